#include "threads.hpp"

#if defined(RECURRA_STD_THREADS)
#include <thread>
#include <vector>
#elif defined(_OPENMP)
#include <omp.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#include <sched.h>
#endif

namespace recurra {

namespace {

std::atomic<bool> a_team_has_run{false};
std::atomic<bool> forked{false};

#if defined(__unix__) || defined(__APPLE__)
void in_the_child() {
    if (a_team_has_run.load()) forked.store(true);
}
const int watching = pthread_atfork(nullptr, nullptr, in_the_child);
#endif

}  // namespace

void Barrier::pause(int spins) {
    if (spins < PATIENCE) {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        asm volatile("yield");
#endif
        return;
    }
#if defined(__unix__) || defined(__APPLE__)
    sched_yield();
#endif
}

void run_team(int threads, Body body, void* context) {
    if (threads > 1 && !forked.load()) {
#if defined(RECURRA_STD_THREADS)
        Barrier barrier(threads);
        std::vector<std::thread> others;
        for (int each = 1; each < threads; ++each)
            others.emplace_back([&, each] { body(context, each, threads, barrier); });
        body(context, 0, threads, barrier);
        for (std::thread& each : others) each.join();
        return;
#elif defined(_OPENMP)
        a_team_has_run.store(true);
        Barrier barrier(1);
#pragma omp parallel num_threads(threads)
        {
#pragma omp single
            barrier.resize(omp_get_num_threads());  // known only inside; `single` lets no thread past before it is done
            body(context, omp_get_thread_num(), omp_get_num_threads(), barrier);
        }
        return;
#endif
    }
    Barrier alone(1);
    body(context, 0, 1, alone);
}

bool has_openmp() {
#ifdef _OPENMP
    return true;
#else
    return false;
#endif
}

}  // namespace recurra
