// Sessions of a program: each has a state of its own, and any of them move on together. What a session gives never depends, to the
// last bit, on which others are beside it, on how a prompt was cut, nor on the number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/program.hpp"
#include "engine/sampler.hpp"

namespace recurra {

struct Memory {
    std::vector<float> keys, values;
    long length = 0;
};

constexpr long REMEMBERED = 1L << 16;  // tokens: a session's memory is bounded, however long it runs

struct Session {
    std::vector<float> state, scores;  // scores: the first output, as the last step left it
    std::vector<Memory> memories;
    Settings settings;
    Random random;
    std::vector<long> history;          // the last tokens, where a token is all that enters
    std::vector<std::uint8_t> allowed;  // a bit for each token; empty: all
    bool begun = false, ended = false;

    void remember(long token);
};

// What enters a step: of each of the program's inputs, a row for each session or, of a prompt, for each token.
struct Entry {
    const long* tokens;    // (rows,); null where the input is numbers
    const float* numbers;  // (rows, size); null where it is a token
};

class Engine {
  public:
    Engine(Program program, int threads);
    ~Engine();

    const Program& program() const { return program_; }

    // A new session's slot, and one that goes on from where another stands.
    long admit();
    long fork(long slot);
    void retire(long slot);
    Session& session(long slot);  // throws std::out_of_range
    long sessions() const;

    // One step of each slot, all different. The outputs of each row stand one after another in `outputs`, unless that is null.
    void step(const std::vector<long>& slots, const std::vector<Entry>& entries, float* outputs);

    // `steps` steps of one slot. `outputs` has a row for each of them, or, without `every`, for the last; or is null.
    void prefill(long slot, long steps, const std::vector<Entry>& entries, float* outputs, bool every);

    // A token for each slot, chosen from its scores, and fed. `tokens` gets what choose() gives: where that is below zero, the slot
    // stays as it was; a slot that has ended gets `over`.
    void advance(const std::vector<long>& slots, long* tokens);
    static constexpr long over = -4;

    // Up to `most` tokens of one slot; how many there are. It stops behind a token that ends the sequence, and before an error, which
    // is then the last of `tokens`.
    long generate(long slot, long most, long* tokens);

    long outputs() const { return outputs_; }  // numbers of all outputs of a row

  private:
    struct Rows;
    struct Scratch;
    struct Member;

    // Whether threads have kept each other waiting, as they do where another program has a core: one of them is then faster alone for
    // a while, the longer the more often.
    struct Crowd {
        bool late = false;  // since `steps` was last called
        long alone = 0, period = SHORTEST, calm = 0;
        static constexpr long SHORTEST = 64, LONGEST = 4096;

        void steps(long count);
    };

    void check_slots(const std::vector<long>& slots);
    void check_entries(long rows, const std::vector<Entry>& entries) const;
    void check_begun(long slot);
    void prepare(long rows);
    int threads_for(long rows);
    int threads_for_step(long rows);  // each of another session

    void whole_step(Rows& rows, Member& me, float* outputs);
    void whole_prompt(Rows& rows, Member& me, bool every, bool last, float* outputs);
    void run(const Section& section, Rows& rows, long first, long last, Member& me);
    void product(std::size_t number, Rows& rows, long first, long last, Member& me);
    void loop(const Instruction& instruction, const Rows& rows, long row);
    void attend(const Instruction& instruction, const Rows& rows, long row, Scratch& scratch);
    void enter(const Rows& rows, long row);
    void replace(const Section& section, Rows& rows, long row);
    void leave(Rows& rows, long row, float* output);
    long choose_for(Session& session, Scratch& scratch);

    Program program_;
    int threads_;
    long work_ = 0;  // of a step's products: as multiplications in float32
    long outputs_ = 0, most_quantized_ = 0;
    long stride_;              // of frames
    long at_once_;             // rows that have a frame
    std::vector<char> waits_;  // of each instruction: a product that reads what products just before it write
    bool of_tokens_;           // a token is all that enters
    std::vector<std::unique_ptr<Session>> sessions_;
    std::vector<long> free_;
    std::vector<float> frames_;
    std::vector<Scratch> scratches_;
    Crowd crowd_, apart_;  // of threads that share rows, and of those that take rows of their own
};

}  // namespace recurra
