// What goes through an engine's program, and who does it; engine.cpp makes them, run.cpp does the work.
#pragma once

#include <vector>

#include "engine/engine.hpp"
#include "threads.hpp"

namespace recurra {

constexpr long ROWS_APART = 8;  // from so many rows a thread on, each thread takes rows of its own, and none waits for another

// Rows that go through the program: steps of as many sessions, or of one.
struct Engine::Rows {
    std::vector<Session*> sessions;
    const std::vector<Entry>* entries;
    long from;  // the first row's number in `entries`
    std::vector<float*> frames;

    long count() const { return long(sessions.size()); }
};

struct Engine::Scratch {
    std::vector<const float*> x, add;
    std::vector<float*> y;
    std::vector<float> quantized, attention;
    SamplerScratch sampler;
};

// A thread at work on rows that it shares with others, each doing some panels of every product and the first all else; or, where it is
// alone, on rows of its own.
struct Engine::Member {
    int thread, threads;
    Barrier& barrier;
    Scratch& scratch;
    Crowd& crowd;
    bool products = false, loops = false;  // since the last time that all met

    // The first waits for nothing but others' panels, which are as many as its own.
    void meet() {
        if (threads > 1 && (products || loops) && barrier.wait() && thread == 0) crowd.late = true;
        products = loops = false;
    }
};

}  // namespace recurra
