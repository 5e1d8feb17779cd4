// What goes through an engine's program, and who does it; engine.cpp makes them, run.cpp does the work.
#pragma once

#include <algorithm>
#include <atomic>
#include <utility>
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
    std::atomic<long> taken{0};  // by threads that take rows of their own

    long count() const { return long(sessions.size()); }

    // The rows that a thread takes next, from `first` to before `second`; none where they are equal. Parts are half of an even share:
    // whoever has a core to itself takes more of them, and each costs a walk through all weights.
    std::pair<long, long> take(int threads) {
        const long part = threads == 1 ? count() : std::max(ROWS_APART, (count() + 2 * threads - 1) / (2 * threads));
        const long first = std::min(taken.fetch_add(part, std::memory_order_relaxed), count());
        return {first, std::min(first + part, count())};
    }
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
