// Teams and their barrier: what a thread wrote before it, all read after; thousands of teams, which a busy machine must not stall.
#include "../threads.hpp"
#include "check.hpp"

namespace check {

bool check_threads(long teams) {
    constexpr int most = 3;
    constexpr long rounds = 8;
    long wrong = 0;
    for (long i = 0; i < teams; ++i) {
        long written[most] = {}, read[most] = {};
        int together = 0;
        recurra::team(1 + int(i % most), [&](int thread, int threads, recurra::Barrier& barrier) {
            if (thread == 0) together = threads;
            for (long round = 1; round <= rounds; ++round) {
                written[thread] = round * (thread + 1);
                barrier.wait();
                for (int each = 0; each < threads; ++each) read[thread] += written[each];
                barrier.wait();
            }
        });
        const long each = rounds * (rounds + 1) / 2 * together * (together + 1) / 2;
        for (int thread = 0; thread < together; ++thread) wrong += read[thread] != each;
        wrong += together < 1 || together > 1 + int(i % most);
    }
    std::printf("        %-26s %5ld teams%s\n", "threads", teams, wrong ? ": FAILED" : "");
    return wrong == 0;
}

}  // namespace check
