// The sampler's walks over all logits, once for each variant but with the same bits on all: no product and sum fused (CMakeLists.txt).
#include <stdint.h>

#include "simd.hpp"

namespace recurra::RECURRA_VARIANT {

float largest(const float* logits, long n) {
    constexpr float infinity = __builtin_inff();
    Vec most = splat(-infinity);
    Ints bad{};
    long i = 0;
    for (; i + W <= n; i += W) {
        const Vec x = load(logits + i);
        most = x > most ? x : most;
        bad |= ~(x < infinity);
    }
    for (int lane = 0; i < n; ++i, ++lane) {
        most[lane] = logits[i] > most[lane] ? logits[i] : most[lane];
        bad[lane] |= !(logits[i] < infinity);
    }
    float found = -infinity;
    for (int lane = 0; lane < W; ++lane) {
        if (bad[lane]) return __builtin_nanf("");
        found = most[lane] > found ? most[lane] : found;
    }
    return found;
}

int64_t weigh(const float* logits, long n, float most, double scale, int64_t* weights) {
    constexpr double magic = 6755399441055744.0;  // 1.5 · 2^52: added and taken off again it rounds to a whole number
    constexpr uint64_t magic_bits = 0x4338000000000000u;
    int64_t total = 0;
    for (long i = 0; i < n; ++i) {
        double t = (double(logits[i]) - double(most)) * scale;
        t = t > -64.0 ? t : -64.0;  // nothing is left of these
        const double shifted = t + magic;
        const double f = t - (shifted - magic);  // in [-1/2, 1/2]
        double power = 7.054911620801123e-09;    // ln(2)^i / i!, the series of 2^f
        power = power * f + 1.01780860092397e-07;
        power = power * f + 1.321548679014431e-06;
        power = power * f + 1.5252733804059841e-05;
        power = power * f + 0.0001540353039338161;
        power = power * f + 0.0013333558146428443;
        power = power * f + 0.009618129107628477;
        power = power * f + 0.05550410866482158;
        power = power * f + 0.24022650695910072;
        power = power * f + 0.6931471805599453;
        power = power * f + 1.0;
        uint64_t bits;
        __builtin_memcpy(&bits, &shifted, 8);
        bits = (bits + 1023 + 40) << 52;  // of 2^(40 + k), for the lowest bits of `shifted` are k
        double whole;
        __builtin_memcpy(&whole, &bits, 8);
        whole = power * whole + magic;
        __builtin_memcpy(&bits, &whole, 8);
        weights[i] = int64_t(bits - magic_bits);
        total += int64_t(bits - magic_bits);
    }
    return total;
}

}  // namespace recurra::RECURRA_VARIANT
