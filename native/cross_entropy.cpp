// The cross entropy of rows of scores. A row is walked through while it lies in the caches: forward for its largest score and for
// the sum of exponentials, backward for its gradient. Rows go to threads.
#include "kernels.hpp"
#include "simd.hpp"
#include "threads.hpp"

namespace recurra::RECURRA_VARIANT {

namespace {

constexpr long TINY = 1 << 15;  // scores: fewer are not worth a second thread
constexpr int LANES = 4;        // sums side by side: an addition need not wait for the one before

float largest(const float* x, long n) {
    Vec most[LANES];
    for (Vec& each : most) each = splat(-__builtin_inff());
    long i = 0;
    for (; i + LANES * W <= n; i += LANES * W)
        RECURRA_UNROLL
        for (int l = 0; l < LANES; ++l) {
            const Vec here = load(x + i + l * W);
            most[l] = here > most[l] ? here : most[l];
        }
    float found = -__builtin_inff();
    for (const Vec& each : most)
        for (int l = 0; l < W; ++l) found = each[l] > found ? each[l] : found;
    for (; i < n; ++i) found = x[i] > found ? x[i] : found;
    return found;
}

// Σ exp(x - most). NaN anywhere, and infinity, make it NaN.
float summed(const float* x, long n, float most) {
    Vec sums[LANES] = {};
    long i = 0;
    for (; i + LANES * W <= n; i += LANES * W)
        RECURRA_UNROLL
        for (int l = 0; l < LANES; ++l) sums[l] += exp(load(x + i + l * W) - most);
    for (; i + W <= n; i += W) sums[0] += exp(load(x + i) - most);
    float total = sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
    if (i < n) {
        const Vec rest = exp(load_some(x + i, n - i) - most);
        for (long l = 0; l < n - i; ++l) total += rest[l];
    }
    return total;
}

void gradient(const float* x, long n, float normalizer, float by, float* out) {
    long i = 0;
    for (; i + W <= n; i += W) store(out + i, exp(load(x + i) - normalizer) * by);
    if (i < n) store_some(out + i, exp(load_some(x + i, n - i) - normalizer) * by, n - i);
}

}  // namespace

void cross_entropy(const CrossEntropy& c, bool backward) {
    const int threads = c.rows * c.classes < TINY ? 1 : c.threads;
    team(threads, [&](int thread, int of, Barrier&) {
        for (long row = c.rows * thread / of; row < c.rows * (thread + 1) / of; ++row) {
            const float* x = c.scores + row * c.classes;
            const long target = c.targets[row];
            if (backward) {
                float* out = c.gscores + row * c.classes;
                gradient(x, c.classes, c.normalizers[row], c.glosses[row], out);
                out[target] -= c.glosses[row];
            } else {
                const float most = largest(x, c.classes);
                c.normalizers[row] = most + __builtin_logf(summed(x, c.classes, most));
                c.losses[row] = c.normalizers[row] - x[target];
            }
        }
    });
}

}  // namespace recurra::RECURRA_VARIANT
