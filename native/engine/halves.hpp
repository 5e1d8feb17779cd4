// float16 numbers in memory, read as float32.
#pragma once

#include "simd.hpp"

#if defined(__F16C__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace recurra::RECURRA_VARIANT {

RECURRA_INLINE Vec widen(const float* from) { return load(from); }

RECURRA_INLINE Vec widen(const uint16_t* from) {
#if defined(__AVX512F__) && !defined(RECURRA_WIDTH)
    return reinterpret_cast<Vec>(_mm512_maskz_cvtph_ps(0xffff, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))));
#elif defined(__F16C__) && !defined(RECURRA_WIDTH)
    return reinterpret_cast<Vec>(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
#elif defined(__aarch64__) && !defined(RECURRA_WIDTH)
    return reinterpret_cast<Vec>(vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(from))));
#else
    typedef uint16_t Halves __attribute__((vector_size(W * 2), aligned(2), may_alias));
    const Ints half = __builtin_convertvector(*reinterpret_cast<const Halves*>(from), Ints);
    const Ints size = (half & 0x7fff) << 13, sign = (half & 0x8000) << 16;
    const Ints finite = reinterpret_cast<Ints>(reinterpret_cast<Vec>(size) * 0x1p112f);  // the exponents' zeros apart
    return reinterpret_cast<Vec>((size >= 0x1f << 23 ? size | 0x7f800000 : finite) | sign);
#endif
}

// One number alone.
RECURRA_INLINE float widen(uint16_t half) {
    uint16_t some[W] = {half};
    return widen(some)[0];
}

}  // namespace recurra::RECURRA_VARIANT
