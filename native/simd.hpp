// Numbers W at a time, in the vector types that GCC and Clang both know: the compiler turns them into whatever the
// variant is compiled for. Only kernels.cpp includes this, once for each variant, so everything here lives in the
// variant's own namespace; nothing here may come from the standard library, whose inline functions the linker would
// share between variants.
#pragma once

#include <stdint.h>

#ifndef RECURRA_VARIANT
#error "compile kernels.cpp with -DRECURRA_VARIANT=… (CMakeLists.txt)"
#endif

#define RECURRA_INLINE inline __attribute__((always_inline))
#define RECURRA_UNROLL _Pragma("GCC unroll 16")

namespace recurra::RECURRA_VARIANT {

#if defined(RECURRA_WIDTH)  // for tests: the compiler makes such vectors of several of the processor's
constexpr int W = RECURRA_WIDTH;
constexpr int REGISTERS = 16;
#elif defined(__AVX512F__)
constexpr int W = 16;         // numbers in a vector
constexpr int REGISTERS = 32;  // vectors that the processor holds
#elif defined(__AVX2__)
constexpr int W = 8;
constexpr int REGISTERS = 16;
#elif defined(__aarch64__)
constexpr int W = 4;
constexpr int REGISTERS = 32;
#else
constexpr int W = 4;
constexpr int REGISTERS = 16;
#endif

typedef float Vec __attribute__((vector_size(W * 4)));
typedef int32_t Ints __attribute__((vector_size(W * 4)));
typedef float Loose __attribute__((vector_size(W * 4), aligned(4), may_alias));  // anywhere in memory

RECURRA_INLINE Vec load(const float* from) { return *reinterpret_cast<const Loose*>(from); }
RECURRA_INLINE void store(float* to, Vec x) { *reinterpret_cast<Loose*>(to) = x; }
RECURRA_INLINE void fetch(const float* from) { __builtin_prefetch(from); }
RECURRA_INLINE void fetch_to_write(float* from) { __builtin_prefetch(from, 1); }
RECURRA_INLINE Vec splat(float x) { return x - Vec{}; }  // x - 0 is x, -0 and NaN included

// The first `count` < W numbers, zero behind them; and only those written.
RECURRA_INLINE Vec load_some(const float* from, long count) {
    Vec x{};
    for (long i = 0; i < count; ++i) x[i] = from[i];
    return x;
}
RECURRA_INLINE void store_some(float* to, Vec x, long count) {
    for (long i = 0; i < count; ++i) to[i] = x[i];
}

// Comparisons with NaN are false, so it passes through unlike through min and max.
RECURRA_INLINE Vec clamp(Vec x, float low, float high) {
    x = x < low ? splat(low) : x;
    return x > high ? splat(high) : x;
}

// e^x to about 1 ulp (Cephes' expf); 1.2e-38 at and below -87.3, 2.4e38 above 88.3.
RECURRA_INLINE Vec exp(Vec x) {
    const Vec bounded = clamp(x, -87.3f, 88.3f);
    const Vec shifted = bounded * 1.44269504088896341f + 12583039.0f;  // 1.5 · 2²³ + 127: the sum has no fraction left
    const Vec n = shifted - 12583039.0f;
    const Vec r = (bounded - n * 0.693359375f) + n * 2.12194440e-4f;
    Vec p = splat(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + (r + 1.0f);
    // shifted's low bits are n + 127: moved up by 23 they are 2ⁿ. A product, so that NaN of any payload stays NaN.
    return p * reinterpret_cast<Vec>(reinterpret_cast<Ints>(shifted) << 23);
}

RECURRA_INLINE Vec sigmoid(Vec x) { return 1.0f / (1.0f + exp(-x)); }

// Where the rational function below is ±1 to the last bit, with products and sums fused and without.
#if defined(__FMA__) || defined(__aarch64__)
constexpr float SATURATED = 7.99881172180175781f;
#else
constexpr float SATURATED = 7.90531110763549805f;
#endif

// A rational function of degree 13 over 6 (as in Eigen), to about 3 ulp; ±1 from ±SATURATED on.
RECURRA_INLINE Vec tanh(Vec x) {
    x = clamp(x, -SATURATED, SATURATED);
    const Vec s = x * x;
    Vec p = s * -2.76076847742355e-16f + 2.00018790482477e-13f;
    p = p * s + -8.60467152213735e-11f;
    p = p * s + 5.12229709037114e-08f;
    p = p * s + 1.48572235717979e-05f;
    p = p * s + 6.37261928875436e-04f;
    p = p * s + 4.89352455891786e-03f;
    Vec q = s * 1.19825839466702e-06f + 1.18534705686654e-04f;
    q = q * s + 2.26843463243900e-03f;
    q = q * s + 4.89352518554385e-03f;
    return (p * x) / q;
}

RECURRA_INLINE float sum(Vec x) {
    float total = 0.0f;
    RECURRA_UNROLL
    for (int i = 0; i < W; ++i) total += x[i];
    return total;
}

}  // namespace recurra::RECURRA_VARIANT
