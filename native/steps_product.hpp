// A step's matrix products over all of a batch's rows, to memory, forward and backward.
#pragma once

#include "tile.hpp"

namespace recurra::RECURRA_VARIANT {

// Blocks of a matrix on its diagonal, one for each head, `gates` times: (gates, heads, out, in). Rows of what goes in are heads
// times `in_units` numbers, of what comes out gates times heads times `out_units`: both filled up to whole COLUMNS.
struct Matrix {
    const float* weight;
    long gates, heads, out, in, out_units, in_units;
    long forward_blocks() const { return gates * heads * (out_units / COLUMNS); }
    long backward_blocks() const { return heads * (in_units / COLUMNS); }
    long panel_size() const { return gates * heads * out_units * in_units; }
};

// Rows of numbers, `stride` apart; a product reads or writes some numbers of each.
struct Rows {
    float* data;
    long stride;
};

// Blocks of COLUMNS numbers that come out, each (in, COLUMNS).
inline void pack_product(const Matrix& m, float* panel, long first, long last) {
    const long blocks = m.out_units / COLUMNS;
    for (long block = first; block < last; ++block)
        for (long i = 0; i < COLUMNS; ++i) {
            const long unit = block % blocks * COLUMNS + i;
            const float* from = m.weight + (block / blocks * m.out + unit) * m.in;
            float* to = panel + block * m.in * COLUMNS + i;
            for (long k = 0; k < m.in; ++k) to[k * COLUMNS] = unit < m.out ? from[k] : 0.0f;
        }
}

// Blocks of COLUMNS numbers that went in, each (gates, out, COLUMNS).
inline void pack_product_back(const Matrix& m, float* panel, long first, long last) {
    const long blocks = m.in_units / COLUMNS;
    for (long block = first; block < last; ++block) {
        const long head = block / blocks, column = block % blocks * COLUMNS;
        for (long k = 0; k < m.gates * m.out; ++k) {
            const float* from = m.weight + ((k / m.out * m.heads + head) * m.out + k % m.out) * m.in + column;
            float* to = panel + (block * m.gates * m.out + k) * COLUMNS;
            for (long i = 0; i < COLUMNS; ++i) to[i] = column + i < m.in ? from[i] : 0.0f;
        }
    }
}

// What comes out of rows [begin, end), blocks [first, last) of it.
inline void product_forward(const Matrix& m, const float* panel, const float* in, long in_stride, const Rows& out, long first,
                            long last, long begin, long end) {
    const long blocks = m.out_units / COLUMNS;
    for (long block = first; block < last; ++block) {
        const float* from = in + block / blocks % m.heads * m.in_units;
        each_tile<rows_of_tile(SPAN)>(begin, end, [&](auto rows, long row) __attribute__((always_inline)) {
            constexpr int M = decltype(rows)::value;
            Vec sums[M][SPAN] = {};
            multiply<M, SPAN>(sums, from + row * in_stride, in_stride, panel + block * m.in * COLUMNS, m.in);
            RECURRA_UNROLL
            for (int i = 0; i < M; ++i)
                RECURRA_UNROLL
                for (int n = 0; n < SPAN; ++n) store(out.data + (row + i) * out.stride + block * COLUMNS + n * W, sums[i][n]);
        });
    }
}

// What goes back to rows [begin, end) of `in`, blocks [first, last) of it: `add`ed to what is there, or in its place.
inline void product_backward(const Matrix& m, const float* panel, const Rows& out, const Rows& in, bool add, long first,
                             long last, long begin, long end) {
    const long blocks = m.in_units / COLUMNS;
    const bool joined = m.heads == 1 && m.out == m.out_units;  // then the gates of a row follow one another
    const long parts = joined ? 1 : m.gates, count = joined ? m.gates * m.out : m.out;
    for (long block = first; block < last; ++block)
        each_tile<rows_of_tile(SPAN)>(begin, end, [&](auto rows, long row) __attribute__((always_inline)) {
            constexpr int M = decltype(rows)::value;
            float* to = in.data + row * in.stride + block * COLUMNS;
            Vec sums[M][SPAN] = {};
            if (add)
                RECURRA_UNROLL
                for (int i = 0; i < M; ++i)
                    RECURRA_UNROLL
                    for (int n = 0; n < SPAN; ++n) sums[i][n] = load(to + i * in.stride + n * W);
            for (long part = 0; part < parts; ++part)
                multiply<M, SPAN>(sums, out.data + row * out.stride + (part * m.heads + block / blocks) * m.out_units,
                                  out.stride, panel + (block * m.gates * m.out + part * count) * COLUMNS, count);
            RECURRA_UNROLL
            for (int i = 0; i < M; ++i)
                RECURRA_UNROLL
                for (int n = 0; n < SPAN; ++n) store(to + i * in.stride + n * W, sums[i][n]);
        });
}

}  // namespace recurra::RECURRA_VARIANT
