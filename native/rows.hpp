// How a batch whose rows have different lengths is shared out, for every family that computes it step by step.
#pragma once

namespace recurra::RECURRA_VARIANT {

// The first row of a thread's share, so that all have about equal numbers of steps. `d` has rows, steps and counts.
template <typename Layer>
long row_of_share(const Layer& d, int thread, int threads) {
    if (d.counts == nullptr) return d.rows * thread / threads;
    if (thread == threads) return d.rows;
    long all = 0, done = 0, row = 0;
    for (long step = 0; step < d.steps; ++step) all += d.counts[step];
    for (; row < d.rows && done < all * thread / threads; ++row)
        for (long step = 0; step < d.steps && d.counts[step] > row; ++step) ++done;
    return row;
}

}  // namespace recurra::RECURRA_VARIANT
