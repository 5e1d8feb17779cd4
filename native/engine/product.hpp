// The streaming engine's matrix products (weights.hpp): panels of outputs times the rows' x.
//
// A sum is added up over k = 0 … in - 1, one after another, however many rows and panels go together, and wherever it waits in memory in
// between; what follows it is `finish`, which is never inlined, so that it is the same instructions for all.
#pragma once

#include "engine/halves.hpp"
#include "engine/weights.hpp"
#include "simd.hpp"
#include "tile.hpp"

namespace recurra::RECURRA_VARIANT {

constexpr int VECTORS = PANEL / W;  // of a panel
constexpr int ROOM = (REGISTERS - 1) / (VECTORS + 1);
constexpr int MOST_ROWS = ROOM > 7 ? 7 : ROOM;  // whose sums, x and a column the registers hold at once

// Where the memory's stream is to be by the time that it is computed with. Matrices that no cache holds come a fifth faster where the
// processor alone fetches ahead, others where this does.
constexpr long AHEAD = 2048;          // bytes
constexpr long UNCACHED = 8L << 20;  // bytes of a matrix from which on

RECURRA_INLINE void fetch_panel(const void* at, long bytes) {
    RECURRA_UNROLL
    for (long line = 0; line < bytes; line += 64) __builtin_prefetch(static_cast<const char*>(at) + line);
}

// y of one row and panel, from the sums.
__attribute__((noinline)) inline void finish(const Product& p, long row, long panel, const float* sums) {
    const long first = panel * PANEL, left = p.matrix->out - first;
    const float* bias = p.matrix->bias == nullptr ? nullptr : p.matrix->bias + first;
    const float* add = p.add == nullptr ? nullptr : p.add[row] + first;
    float* y = p.y[row] + first;
    if (left < PANEL) {
        for (long i = 0; i < left; ++i) {
            float sum = sums[i];
            if (bias != nullptr) sum += bias[i];
            if (add != nullptr) sum += add[i];
            y[i] = sum;
        }
        return;
    }
    for (long i = 0; i < PANEL; i += W) {
        Vec sum = load(sums + i);
        if (bias != nullptr) sum += load(bias + i);
        if (add != nullptr) sum += load(add + i);
        store(y + i, sum);
    }
}

// Have at hand what `finish` will touch: rows' outputs lie far apart, each in a page of its own.
RECURRA_INLINE void expect(const Product& p, long row, long panel) {
    for (long i = 0; i < PANEL; i += 16) {
        fetch_to_write(p.y[row] + panel * PANEL + i);
        if (p.add != nullptr) fetch(p.add[row] + panel * PANEL + i);
    }
}

// sums += the products of M rows' numbers k = begin … end - 1 with those of PANELS panels, `size` numbers apart. What stands `ahead`
// numbers further on is fetched; nothing where that is 0.
template <int PANELS, int M, typename Number>
RECURRA_INLINE void add_panels(Vec (&sums)[PANELS][M][VECTORS], const float* const* x, const Number* panel, long size, long begin,
                               long end, long ahead) {
    for (long k = begin; k < end; ++k)
        RECURRA_UNROLL
        for (int i = 0; i < PANELS; ++i) {
            const Number* row = panel + i * size + k * PANEL;
            if (ahead != 0) fetch_panel(row + ahead, PANEL * sizeof(Number));
            Vec xs[M];
            RECURRA_UNROLL
            for (int m = 0; m < M; ++m) hold(xs[m] = splat(x[m][k]));
            RECURRA_UNROLL
            for (int n = 0; n < VECTORS; ++n) {
                Vec column = widen(row + n * W);
                if (M > 1) hold(column);
                RECURRA_UNROLL
                for (int m = 0; m < M; ++m) sums[i][m][n] += xs[m] * column;
            }
        }
}

// One row. Of two panels at once, for a sum takes some cycles to come back, and one panel has too few.
template <int PANELS, typename Number>
RECURRA_INLINE void one_row(const Product& p, long panel) {
    constexpr long ahead = AHEAD / sizeof(Number);
    const long in = p.matrix->in, size = in * PANEL, turn = in > ahead / PANEL ? in - ahead / PANEL : 0;
    const Number* weights = static_cast<const Number*>(p.matrix->weights) + panel * size;
    Vec sums[PANELS][1][VECTORS] = {};
    if (weight_bytes(p.matrix->format, p.matrix->out, in) < UNCACHED) {
        add_panels<PANELS, 1>(sums, p.x, weights, size, 0, turn, ahead);
        add_panels<PANELS, 1>(sums, p.x, weights, size, turn, in, ahead + (PANELS - 1) * size);
    } else {
        add_panels<PANELS, 1>(sums, p.x, weights, size, 0, in, 0);
    }
    float done[PANEL];
    for (int i = 0; i < PANELS; ++i) {
        RECURRA_UNROLL
        for (int n = 0; n < VECTORS; ++n) store(done + n * W, sums[i][0][n]);
        finish(p, 0, panel + i, done);
    }
}

// Several rows. A panel is taken in parts that stay in the first cache while all rows go by.
template <typename Number>
RECURRA_INLINE void several_rows(const Product& p, long panel) {
    constexpr long ROWS = 16 * MOST_ROWS, PART = 16384 / PANEL / sizeof(Number), ahead = AHEAD / sizeof(Number);
    const long in = p.matrix->in, size = in * PANEL;
    const Number* weights = static_cast<const Number*>(p.matrix->weights) + panel * size;
    float waiting[ROWS][PANEL];
    for (long begin = 0; begin < p.rows; begin += ROWS) {
        const long end = p.rows < begin + ROWS ? p.rows : begin + ROWS;
        long k = 0;
        do {
            const long next = in - k < 2 * PART || end - begin <= MOST_ROWS ? in : k + PART;
            each_tile<MOST_ROWS>(begin, end, [&](auto count, long row) __attribute__((always_inline)) {
                constexpr int M = decltype(count)::value;
                for (long m = 0; m < M && next == in; ++m) expect(p, row + m, panel);
                Vec sums[1][M][VECTORS] = {};
                float(*wait)[PANEL] = waiting + (row - begin);
                if (k > 0)
                    RECURRA_UNROLL
                    for (int m = 0; m < M; ++m)
                        RECURRA_UNROLL
                        for (int n = 0; n < VECTORS; ++n) sums[0][m][n] = load(wait[m] + n * W);
                add_panels<1, M>(sums, p.x + row, weights, size, k, next, ahead);
                RECURRA_UNROLL
                for (int m = 0; m < M; ++m)
                    RECURRA_UNROLL
                    for (int n = 0; n < VECTORS; ++n) store(wait[m] + n * W, sums[0][m][n]);
            });
            k = next;
        } while (k < in);
        for (long row = begin; row < end; ++row) finish(p, row, panel, waiting[row - begin]);
    }
}

template <typename Number>
void float_product(const Product& p, long first, long last) {
    if (p.rows != 1)
        for (; first < last; ++first) several_rows<Number>(p, first);
    for (; first + 2 <= last; first += 2) one_row<2, Number>(p, first);
    if (first < last) one_row<1, Number>(p, first);
}

}  // namespace recurra::RECURRA_VARIANT
