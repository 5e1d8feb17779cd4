// A team of threads out of OpenMP's pool (torch's own, where both load one runtime), and the barrier between its steps.
#pragma once

#include <atomic>

namespace recurra {

class Barrier {
  public:
    explicit Barrier(int threads) : threads_(threads) {}

    // Before any thread waits.
    void resize(int threads) { threads_ = threads; }

    // Wait until every thread of the team has come here. What was written before is seen by all after. Where a thread is
    // late, because some other program has its core, the others give theirs up instead of burning it. Whether this one did.
    bool wait() {
        if (threads_ == 1) return false;
        const long round = round_.load(std::memory_order_relaxed);
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) == threads_ - 1) {
            arrived_.store(0, std::memory_order_relaxed);
            round_.store(round + 1, std::memory_order_release);
            return false;
        }
        int spins = 0;
        for (; round_.load(std::memory_order_acquire) == round; ++spins) pause(spins);
        return spins > PATIENCE;
    }

  private:
    static constexpr int PATIENCE = 3000;  // some microseconds: far more than a step of equal shares should differ by
    static void pause(int spins);

    int threads_;
    alignas(64) std::atomic<int> arrived_{0};
    alignas(64) std::atomic<long> round_{0};
};

// Run body(context, thread, threads, barrier) in at most `threads` threads at once: in fewer where OpenMP gives fewer, in
// one where the extension was built without it, and in one in a process that was forked after a team had run, for
// OpenMP's pool does not survive a fork.
using Body = void (*)(void* context, int thread, int threads, Barrier& barrier);
void run_team(int threads, Body body, void* context);

// The same with anything that can be called as work(thread, threads, barrier).
template <typename Work>
void team(int threads, Work work) {
    run_team(
        threads,
        [](void* context, int thread, int of, Barrier& barrier) {
            (*static_cast<Work*>(context))(thread, of, barrier);
        },
        &work);
}

bool has_openmp();

}  // namespace recurra
