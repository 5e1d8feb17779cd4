// Four bytes of weights times four of x in each 32-bit lane, exactly, by what the instruction set has for it.
//
//     Quad x = quad(from)                    four signed bytes of x, -127 … 127, for all lanes
//     Pairs sums; add_nibbles(sums, q, x)    q: bytes 0 … 15, at most 8 times; then whole(sums)
//     Signed x = signed_quad(x, k)           four bytes of x in all its forms
//     sums = add_bytes(sums, weights, x)     weights: signed bytes, -127 … 127
//
// x86 multiplies unsigned bytes by signed ones. Where it does (TURNS), add_bytes takes |x|, and turns the weight's bits over where x is
// negative: that makes -w - 1 of w, so sums lack |x| for each negative x, whatever the weights.
#pragma once

#include "simd.hpp"

#if defined(__AVX2__) && !defined(RECURRA_WIDTH)
#include <immintrin.h>
#elif defined(__aarch64__) && !defined(RECURRA_WIDTH)
#include <arm_neon.h>
#endif

namespace recurra::RECURRA_VARIANT {

typedef int32_t LooseInts __attribute__((vector_size(W * 4), aligned(1), may_alias));
typedef int32_t LooseInt __attribute__((aligned(1), may_alias));

RECURRA_INLINE Ints load_ints(const void* from) { return *static_cast<const LooseInts*>(from); }
RECURRA_INLINE Ints four_bytes(const void* from) { return *static_cast<const LooseInt*>(from) - Ints{}; }

// x in int8: the numbers, their sizes, and -1 where they are negative, else 0.
struct Forms {
    const int8_t *numbers, *sizes, *turns;
};

#if defined(__AVX512BW__) && !defined(RECURRA_WIDTH)

constexpr bool TURNS = true;
typedef __m512i Quad;
typedef __m512i Pairs;

RECURRA_INLINE Quad quad(const void* from) { return reinterpret_cast<__m512i>(four_bytes(from)); }
RECURRA_INLINE Ints whole(Pairs sums) { return reinterpret_cast<Ints>(_mm512_madd_epi16(sums, _mm512_set1_epi16(1))); }
RECURRA_INLINE Pairs pair_products(Ints sizes, Ints bytes) {
    return _mm512_maddubs_epi16(reinterpret_cast<__m512i>(sizes), reinterpret_cast<__m512i>(bytes));
}
RECURRA_INLINE void add_nibbles(Pairs& sums, Ints q, const Quad& x) {
    sums = _mm512_add_epi16(sums, _mm512_maddubs_epi16(reinterpret_cast<__m512i>(q), x));
}

#elif defined(__AVX2__) && !defined(RECURRA_WIDTH)

constexpr bool TURNS = true;
typedef __m256i Quad;
typedef __m256i Pairs;

RECURRA_INLINE Quad quad(const void* from) { return reinterpret_cast<__m256i>(four_bytes(from)); }
RECURRA_INLINE Ints whole(Pairs sums) { return reinterpret_cast<Ints>(_mm256_madd_epi16(sums, _mm256_set1_epi16(1))); }
RECURRA_INLINE Pairs pair_products(Ints sizes, Ints bytes) {
    return _mm256_maddubs_epi16(reinterpret_cast<__m256i>(sizes), reinterpret_cast<__m256i>(bytes));
}
RECURRA_INLINE void add_nibbles(Pairs& sums, Ints q, const Quad& x) {
    sums = _mm256_add_epi16(sums, _mm256_maddubs_epi16(reinterpret_cast<__m256i>(q), x));
}

#elif defined(__aarch64__) && !defined(RECURRA_WIDTH)

constexpr bool TURNS = false;
typedef int8x16_t Quad;

RECURRA_INLINE Quad quad(const void* from) { return reinterpret_cast<int8x16_t>(four_bytes(from)); }

#if defined(__ARM_FEATURE_DOTPROD)
typedef int32x4_t Pairs;

RECURRA_INLINE Ints add_bytes(Ints sums, Ints weights, const Quad& x) {
    return reinterpret_cast<Ints>(vdotq_s32(reinterpret_cast<int32x4_t>(sums), reinterpret_cast<int8x16_t>(weights), x));
}
RECURRA_INLINE void add_nibbles(Pairs& sums, Ints q, const Quad& x) {
    sums = vdotq_s32(sums, reinterpret_cast<int8x16_t>(q), x);
}
RECURRA_INLINE Ints whole(Pairs sums) { return reinterpret_cast<Ints>(sums); }
#else
struct Pairs {
    int16x8_t low, high;
};

RECURRA_INLINE Ints add_bytes(Ints sums, Ints weights, const Quad& x) {
    const int8x16_t w = reinterpret_cast<int8x16_t>(weights);
    const int16x8_t low = vmull_s8(vget_low_s8(w), vget_low_s8(x)), high = vmull_high_s8(w, x);
    return reinterpret_cast<Ints>(vpadalq_s16(reinterpret_cast<int32x4_t>(sums), vpaddq_s16(low, high)));
}
RECURRA_INLINE void add_nibbles(Pairs& sums, Ints q, const Quad& x) {
    const int8x16_t w = reinterpret_cast<int8x16_t>(q);
    sums.low = vmlal_s8(sums.low, vget_low_s8(w), vget_low_s8(x));
    sums.high = vmlal_high_s8(sums.high, w, x);
}
RECURRA_INLINE Ints whole(Pairs sums) { return reinterpret_cast<Ints>(vpaddlq_s16(vpaddq_s16(sums.low, sums.high))); }
#endif

#else

constexpr bool TURNS = false;
typedef int16_t Pairs __attribute__((vector_size(W * 4)));

RECURRA_INLINE Pairs even_bytes(Pairs x) { return (x << 8) >> 8; }

struct Quad {
    Pairs even, odd;
};

RECURRA_INLINE Quad quad(const void* from) {
    const Pairs x = reinterpret_cast<Pairs>(four_bytes(from));
    return {even_bytes(x), x >> 8};
}
RECURRA_INLINE Ints whole(Pairs sums) {
    const Ints both = reinterpret_cast<Ints>(sums);
    return ((both << 16) >> 16) + (both >> 16);
}
RECURRA_INLINE void add_nibbles(Pairs& sums, Ints q, const Quad& x) {
    const Pairs w = reinterpret_cast<Pairs>(q);
    sums += even_bytes(w) * x.even + (w >> 8) * x.odd;
}
RECURRA_INLINE Ints add_bytes(Ints sums, Ints weights, const Quad& x) {
    Pairs pairs{};  // at most 2 · 127², which 16 bits hold
    add_nibbles(pairs, weights, x);
    return sums + whole(pairs);
}

#endif

#if defined(__AVX2__) && !defined(RECURRA_WIDTH)
struct Signed {
    Ints size, turn;
};
RECURRA_INLINE Signed signed_quad(const Forms& x, long k) { return {four_bytes(x.sizes + k), four_bytes(x.turns + k)}; }
RECURRA_INLINE Ints add_bytes(Ints sums, Ints weights, const Signed& x) {
    return sums + whole(pair_products(x.size, weights ^ x.turn));  // a pair is at most 2 · 127 · 128, which 16 bits hold
}
#else
typedef Quad Signed;
RECURRA_INLINE Signed signed_quad(const Forms& x, long k) { return quad(x.numbers + k); }
#endif

}  // namespace recurra::RECURRA_VARIANT
