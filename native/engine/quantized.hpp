// The streaming engine's products of int8 and int4 weights with x in int8, which has one scale for a whole row. Products and sums of
// integers are exact; int4's groups are added up in float32, one after another.
#pragma once

#include "engine/bytes.hpp"
#include "engine/product.hpp"
#include "engine/weights.hpp"
#include "simd.hpp"

namespace recurra::RECURRA_VARIANT {

// What quantize leaves in a room (weights.hpp).
struct Quantized {
    float scale;
    int32_t negative;  // the sum of the negative numbers
    Forms forms;
    const int32_t* sums;
};

RECURRA_INLINE Quantized quantized(const Product& p, long row) {
    const long filled = filled_up(p.matrix->in, 32);
    const char* room = static_cast<const char*>(p.quantized) + row * quantized_bytes(p.matrix->format, p.matrix->in);
    const int8_t* numbers = reinterpret_cast<const int8_t*>(room + 64);
    return {*reinterpret_cast<const float*>(room), *reinterpret_cast<const int32_t*>(room + 4),
            {numbers, numbers + filled, numbers + 2 * filled}, reinterpret_cast<const int32_t*>(numbers + filled)};
}

// One row's y of one panel, from the sums in units of the scale of x.
RECURRA_INLINE void finish_scaled(const Product& p, long row, long panel, const Vec (&sums)[VECTORS]) {
    const float scale = quantized(p, row).scale;
    float done[PANEL];
    RECURRA_UNROLL
    for (int n = 0; n < VECTORS; ++n) store(done + n * W, sums[n] * scale);
    finish(p, row, panel, done);
}

// M rows' products with PANELS panels at once: of one row with two, so that memory is read in two streams.
template <int PANELS, int M>
RECURRA_INLINE void int8_rows(const Product& p, long row, long panel) {
    const long bytes = panel_bytes(Format::int8, p.matrix->in);
    const char* weights = static_cast<const char*>(p.matrix->weights) + panel * bytes;
    const float* scales = static_cast<const float*>(p.matrix->scales) + panel * PANEL;
    Quantized x[M];
    RECURRA_UNROLL
    for (int m = 0; m < M; ++m) {
        x[m] = quantized(p, row + m);
        if (M > 1) expect(p, row + m, panel);
    }
    Ints sums[PANELS][M][VECTORS] = {};
    for (long k = 0; k < bytes / PANEL; k += 4) {
        Signed fours[M];
        RECURRA_UNROLL
        for (int m = 0; m < M; ++m) fours[m] = signed_quad(x[m].forms, k);
        RECURRA_UNROLL
        for (int i = 0; i < PANELS; ++i) {
            const char* at = weights + i * bytes + k * PANEL;
            fetch_panel(at + AHEAD / 2 + (k * PANEL + AHEAD / 2 < bytes ? 0 : (PANELS - 1) * bytes), PANEL * 4);
            RECURRA_UNROLL
            for (int m = 0; m < M; ++m)
                RECURRA_UNROLL
                for (int n = 0; n < VECTORS; ++n) sums[i][m][n] = add_bytes(sums[i][m][n], load_ints(at + n * W * 4), fours[m]);
        }
    }
    for (int i = 0; i < PANELS; ++i)
        RECURRA_UNROLL
        for (int m = 0; m < M; ++m) {
            Vec scaled[VECTORS];
            RECURRA_UNROLL
            for (int n = 0; n < VECTORS; ++n) {
                const Ints whole_sums = TURNS ? sums[i][m][n] - x[m].negative : sums[i][m][n];
                scaled[n] = __builtin_convertvector(whole_sums, Vec) * load(scales + i * PANEL + n * W);
            }
            finish_scaled(p, row + m, panel + i, scaled);
        }
}

// The scales of a group's outputs W n …; two stand in each lane of what is loaded.
RECURRA_INLINE Vec load_scales(const uint16_t* scales, int n) {
    const Ints both = load_ints(scales + n % (VECTORS / 2) * W * 2);
    return reinterpret_cast<Vec>(n < VECTORS / 2 ? both << 16 : both & ~0xffff);
}

RECURRA_INLINE float scale_of(const uint16_t* scales, long output) {
    const uint32_t bits = uint32_t(scales[output % 16 * 2 + output / 16]) << 16;
    float scale;
    __builtin_memcpy(&scale, &bits, sizeof scale);
    return scale;
}

template <int M>
RECURRA_INLINE void int4_rows(const Product& p, long row, long panel) {
    const long groups = filled_up(p.matrix->in, 32) / 32;
    const char* weights = static_cast<const char*>(p.matrix->weights) + panel * groups * PANEL * 16;
    const uint16_t* scales = static_cast<const uint16_t*>(p.matrix->scales) + panel * groups * PANEL;
    Quantized x[M];
    RECURRA_UNROLL
    for (int m = 0; m < M; ++m) {
        x[m] = quantized(p, row + m);
        if (M > 1) expect(p, row + m, panel);
    }
    Vec sums[M][VECTORS] = {};
    for (long group = 0; group < groups; ++group) {
        const char* at = weights + group * PANEL * 16;
        const uint16_t* scale = scales + group * PANEL;
        fetch_panel(at + AHEAD, PANEL * 16);
        fetch_panel(scale + AHEAD / 16, PANEL * 2);
        Pairs pairs[M][VECTORS] = {};
        _Pragma("GCC unroll 1")  // unrolled, the compiler sums in another order, for which it has not the registers
        for (int j = 0; j < 4; ++j) {
            Quad lows[M], highs[M];
            RECURRA_UNROLL
            for (int m = 0; m < M; ++m) {
                lows[m] = quad(x[m].forms.numbers + group * 32 + j * 4);
                highs[m] = quad(x[m].forms.numbers + group * 32 + 16 + j * 4);
            }
            RECURRA_UNROLL
            for (int n = 0; n < VECTORS; ++n) {
                const Ints both = load_ints(at + j * PANEL * 4 + n * W * 4);
                const Ints low = both & 0x0f0f0f0f, high = (both >> 4) & 0x0f0f0f0f;
                RECURRA_UNROLL
                for (int m = 0; m < M; ++m) {
                    add_nibbles(pairs[m][n], low, lows[m]);
                    add_nibbles(pairs[m][n], high, highs[m]);
                }
            }
        }
        RECURRA_UNROLL
        for (int n = 0; n < VECTORS; ++n) {
            const Vec unit = load_scales(scale, n);
            RECURRA_UNROLL
            for (int m = 0; m < M; ++m)
                sums[m][n] += __builtin_convertvector(whole(pairs[m][n]) - x[m].sums[group], Vec) * unit;
        }
    }
    RECURRA_UNROLL
    for (int m = 0; m < M; ++m) finish_scaled(p, row + m, panel, sums[m]);
}

RECURRA_INLINE void int8_product(const Product& p, long first, long last) {
    if (p.rows == 1)
        for (; first + 2 <= last; first += 2) int8_rows<2, 1>(p, 0, first);
    for (; first < last; ++first)
        each_tile<3>(0, p.rows, [&](auto count, long row) __attribute__((always_inline)) {
            int8_rows<1, decltype(count)::value>(p, row, first);
        });
}

RECURRA_INLINE void int4_product(const Product& p, long first, long last) {
    for (; first < last; ++first)
        each_tile<2>(0, p.rows, [&](auto count, long row) __attribute__((always_inline)) {
            int4_rows<decltype(count)::value>(p, row, first);
        });
}

// Numbers below are taken for zero: their scale, and its inverse, would be outside of float32's normal numbers.
constexpr float LEAST = 0x1p-100f;

// Keep the compiler from fusing x, a product, with the sum it goes into: it must be rounded by itself, on every variant.
RECURRA_INLINE Vec rounded(Vec x) {
    asm("" : "+m"(x));
    return x;
}

inline void quantize_row(const float* x, long in, Format format, void* room) {
    constexpr float INTEGER = 0x1.8p23f;  // a number added to it has no fraction left
    typedef int8_t Bytes __attribute__((vector_size(W), aligned(1), may_alias));
    const long filled = filled_up(in, 32);
    int8_t* numbers = static_cast<int8_t*>(room) + 64;
    __builtin_memset(room, 0, static_cast<unsigned long>(quantized_bytes(format, in)));

    Ints sizes{};  // magnitudes in the order of their bits, NaN the largest of all
    for (long k = 0; k < in; k += W) {
        const Ints size = reinterpret_cast<Ints>(in - k < W ? load_some(x + k, in - k) : load(x + k)) & 0x7fffffff;
        sizes = size > sizes ? size : sizes;
    }
    int32_t most = 0;
    for (int i = 0; i < W; ++i) most = sizes[i] > most ? sizes[i] : most;
    float largest;
    __builtin_memcpy(&largest, &most, sizeof largest);
    float& scale = *static_cast<float*>(room);
    if (!(largest <= 0x1.fffffep127f)) {
        scale = __builtin_nanf("");
        return;
    }
    if (largest < LEAST) return;
    scale = largest / 127.0f;

    const float inverse = 127.0f / largest;
    for (long k = 0; k < in; k += W) {
        const Vec shifted = rounded((in - k < W ? load_some(x + k, in - k) : load(x + k)) * inverse) + INTEGER;
        const Ints q = reinterpret_cast<Ints>(shifted) - reinterpret_cast<Ints>(splat(INTEGER));
        *reinterpret_cast<Bytes*>(numbers + k) = __builtin_convertvector(q, Bytes);
    }
    if (format == Format::int8 && TURNS) {
        int8_t *sizes = numbers + filled, *turns = sizes + filled;
        int32_t negative = 0;
        for (long k = 0; k < filled; ++k) {
            turns[k] = int8_t(numbers[k] >> 7);
            sizes[k] = int8_t((numbers[k] ^ turns[k]) - turns[k]);
            negative += numbers[k] & turns[k];
        }
        reinterpret_cast<int32_t*>(room)[1] = negative;
    }
    if (format == Format::int4) {
        int32_t* sums = reinterpret_cast<int32_t*>(numbers + filled);
        for (long group = 0; group < filled / 32; ++group) {
            int32_t sum = 0;
            for (long k = group * 32; k < group * 32 + 32; ++k) sum += numbers[k];
            sums[group] = 8 * sum;
        }
    }
}

}  // namespace recurra::RECURRA_VARIANT
