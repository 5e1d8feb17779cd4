// The matrix product inside of a step: a few rows times a block of columns, the sums held in registers throughout.
//
// A panel is a matrix cut into blocks of N vectors of columns, each block stored with its rows one after another: what
// the loop over k reads lies in one line.
#pragma once

#include "simd.hpp"

namespace recurra::RECURRA_VARIANT {

template <int N>
struct Count {
    static constexpr int value = N;
};

// Keep x in a register: left alone, the compiler loads it anew for every product, and loads are what runs short.
RECURRA_INLINE void hold(Vec& x) {
#if defined(RECURRA_WIDTH)
    (void)x;  // no register holds it
#elif defined(__x86_64__)
    asm("" : "+v"(x));
#elif defined(__aarch64__)
    asm("" : "+w"(x));
#endif
}

// sums[m][n] += a[m · stride] · row[n].
template <int M, int N>
RECURRA_INLINE void add_products(Vec (&sums)[M][N], const float* a, long stride, const float* row) {
    if constexpr (N <= M) {
        Vec columns[N];
        RECURRA_UNROLL
        for (int n = 0; n < N; ++n) hold(columns[n] = load(row + n * W));
        RECURRA_UNROLL
        for (int m = 0; m < M; ++m) {
            Vec x = splat(a[m * stride]);
            hold(x);
            RECURRA_UNROLL
            for (int n = 0; n < N; ++n) sums[m][n] += x * columns[n];
        }
    } else {
        Vec xs[M];
        RECURRA_UNROLL
        for (int m = 0; m < M; ++m) hold(xs[m] = splat(a[m * stride]));
        RECURRA_UNROLL
        for (int n = 0; n < N; ++n) {
            Vec column = load(row + n * W);
            if (M > 1) hold(column);
            RECURRA_UNROLL
            for (int m = 0; m < M; ++m) sums[m][n] += xs[m] * column;
        }
    }
}

// sums[m][n] += Σ_k a[m · stride + k] · block[k][n], for M rows and N vectors of columns. The order in which a sum is added up does
// not depend on the other rows.
template <int M, int N>
RECURRA_INLINE void multiply(Vec (&sums)[M][N], const float* a, long stride, const float* block, long count) {
    for (long k = 0; k < count; ++k) {
        const float* row = block + k * N * W;
        RECURRA_UNROLL
        for (int n = 0; n < N; n += 16 / W) __builtin_prefetch(row + n * W + 1024);
        add_products<M, N>(sums, a + k, stride, row);
    }
}

// The same for BLOCKS blocks, `size` numbers apart, at once: a sum takes some cycles to come back, and few rows have too few.
template <int BLOCKS, int M, int N>
RECURRA_INLINE void multiply_blocks(Vec (&sums)[BLOCKS][M][N], const float* a, long stride, const float* block, long size,
                                    long count) {
    for (long k = 0; k < count; ++k) {
        RECURRA_UNROLL
        for (int i = 0; i < BLOCKS; ++i) {
            const float* row = block + i * size + k * N * W;
            RECURRA_UNROLL
            for (int n = 0; n < N; n += 16 / W) __builtin_prefetch(row + n * W + 1024);
            add_products<M, N>(sums[i], a + k, stride, row);
        }
    }
}

// Rows that a tile of N vectors may have, so that its sums fit into the registers with what `add_products` holds there: the columns
// and one row's x, or all rows' x and one column.
constexpr int rows_of_tile(int n) {
    const int columns_held = (REGISTERS - 1 - n) / n, rows_held = (REGISTERS - 1) / (n + 1);
    const int rows = columns_held >= n ? columns_held : rows_held < n ? rows_held : n - 1;
    return rows > 7 ? 7 : rows < 1 ? 1 : rows;
}

constexpr int SPAN = 2;  // vectors of columns that a product computes at once, where nothing else decides
constexpr long COLUMNS = SPAN * W;

// Cut rows [begin, end) into tiles of at most MOST rows, as equal as can be, and call tile(Count<M>, first row) for each.
template <int MOST, typename Tile>
RECURRA_INLINE void each_tile(long begin, long end, Tile tile) {
    const long rows = end - begin, tiles = (rows + MOST - 1) / MOST;
    for (long i = 0; i < tiles; ++i) {
        const long first = begin + rows * i / tiles;
        switch (begin + rows * (i + 1) / tiles - first) {
            case 1: tile(Count<1>{}, first); break;
            case 2: if constexpr (MOST >= 2) tile(Count<2>{}, first); break;
            case 3: if constexpr (MOST >= 3) tile(Count<3>{}, first); break;
            case 4: if constexpr (MOST >= 4) tile(Count<4>{}, first); break;
            case 5: if constexpr (MOST >= 5) tile(Count<5>{}, first); break;
            case 6: if constexpr (MOST >= 6) tile(Count<6>{}, first); break;
            case 7: if constexpr (MOST >= 7) tile(Count<7>{}, first); break;
        }
    }
}

// The product of rows [begin, end) of a, `stride` apart, with a block of `count` rows and N vectors of columns. Before a tile of
// rows is computed before(Count<M>, first row) is called, and after(Count<M>, first row, sums) when its sums are there.
//
// A long block is taken in parts that stay in the first cache while all rows go by; sums of parts wait in memory.
template <int N, typename Before, typename After>
RECURRA_INLINE void rows_times_block(const float* a, long stride, const float* block, long count, long begin, long end,
                                     Before before, After after) {
    constexpr int MOST = rows_of_tile(N);
    constexpr long ROWS = 16 * MOST, PART = 4096 / (N * W);  // 16 kB of the block, and some more of waiting sums
    const long size = count < 2 * PART || end - begin <= 2 * MOST ? count : PART;
    Vec waiting[ROWS][N];
    for (; begin < end; begin += ROWS) {
        const long stop = end < begin + ROWS ? end : begin + ROWS;
        long part = 0;
        do {
            const long left = count - part;
            each_tile<MOST>(begin, stop, [&](auto rows, long first) __attribute__((always_inline)) {
                constexpr int M = decltype(rows)::value;
                if (left <= size) before(rows, first);
                Vec sums[M][N];
                RECURRA_UNROLL
                for (int m = 0; m < M; ++m)
                    RECURRA_UNROLL
                    for (int n = 0; n < N; ++n) sums[m][n] = part == 0 ? Vec{} : waiting[first - begin + m][n];
                multiply<M, N>(sums, a + first * stride + part, stride, block + part * N * W, left <= size ? left : size);
                if (left <= size) {
                    after(rows, first, sums);
                    return;
                }
                RECURRA_UNROLL
                for (int m = 0; m < M; ++m)
                    RECURRA_UNROLL
                    for (int n = 0; n < N; ++n) waiting[first - begin + m][n] = sums[m][n];
            });
            part += size;
        } while (part < count);
    }
}

// The same for M rows alone and as many whole groups of BLOCKS blocks as there are; returns the first block left.
template <int M, int BLOCKS, int N, typename Before, typename After>
RECURRA_INLINE long few_times_panel(const float* a, long stride, const float* panel, long count, long first, long last,
                                    long begin, Before before, After after) {
    for (; first + BLOCKS <= last; first += BLOCKS) {
        RECURRA_UNROLL
        for (int i = 0; i < BLOCKS; ++i) before(Count<M>{}, begin, first + i);
        Vec sums[BLOCKS][M][N] = {};
        multiply_blocks<BLOCKS, M, N>(sums, a + begin * stride, stride, panel + first * count * N * W, count * N * W, count);
        RECURRA_UNROLL
        for (int i = 0; i < BLOCKS; ++i) after(Count<M>{}, begin, first + i, sums[i]);
    }
    return first;
}

// The products of rows [begin, end) of a, `stride` apart, with blocks [first, last) of a panel, each of `count` rows and N vectors of
// columns. Before a tile is computed before(Count<M>, first row, block) is called, and after(Count<M>, first row, block, sums) when
// its sums are there.
template <int N, typename Before, typename After>
RECURRA_INLINE void rows_times_panel(const float* a, long stride, const float* panel, long count, long first, long last,
                                     long begin, long end, Before before, After after) {
    if (end - begin == 1)
        first = few_times_panel<1, 8 / N, N>(a, stride, panel, count, first, last, begin, before, after);
    else if (end - begin == 2 && N < 4)
        first = few_times_panel<2, N == 3 ? 2 : 4 / N, N>(a, stride, panel, count, first, last, begin, before, after);
    for (long block = first; block < last; ++block)
        rows_times_block<N>(
            a, stride, panel + block * count * N * W, count, begin, end,
            [&](auto rows, long row) __attribute__((always_inline)) { before(rows, row, block); },
            [&](auto rows, long row, auto& sums) __attribute__((always_inline)) { after(rows, row, block, sums); });
}

}  // namespace recurra::RECURRA_VARIANT
