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

// sums[m][n] += Σ_k a[m · stride + k] · block[k][n], for M rows and N vectors of columns.
template <int M, int N>
RECURRA_INLINE void multiply(Vec (&sums)[M][N], const float* a, long stride, const float* block, long count) {
    // A sum takes some cycles to come back: with few of them, several are kept for each and added at the end.
    constexpr int CHAINS = M * N >= 8 ? 1 : M * N >= 4 ? 2 : 4;
    Vec more[CHAINS][M][N] = {};
    long k = 0;
    for (; k + CHAINS <= count; k += CHAINS) {
        RECURRA_UNROLL
        for (int chain = 0; chain < CHAINS; ++chain) {
            const float* w = block + (k + chain) * N * W;
            RECURRA_UNROLL
            for (int n = 0; n < N; ++n) __builtin_prefetch(w + n * W + 1024);
            Vec columns[N];
            RECURRA_UNROLL
            for (int n = 0; n < N; ++n) columns[n] = load(w + n * W);
            RECURRA_UNROLL
            for (int m = 0; m < M; ++m) {
                const Vec x = splat(a[m * stride + k + chain]);
                RECURRA_UNROLL
                for (int n = 0; n < N; ++n) {
                    if (chain == 0)
                        sums[m][n] += x * columns[n];
                    else
                        more[chain][m][n] += x * columns[n];
                }
            }
        }
    }
    for (; k < count; ++k)
        for (int m = 0; m < M; ++m)
            for (int n = 0; n < N; ++n) sums[m][n] += splat(a[m * stride + k]) * load(block + (k * N + n) * W);
    for (int chain = 1; chain < CHAINS; ++chain)
        for (int m = 0; m < M; ++m)
            for (int n = 0; n < N; ++n) sums[m][n] += more[chain][m][n];
}

// Rows that a tile of N vectors may have, so that its sums, one row's x and the columns fit into the registers.
constexpr int rows_of_tile(int n) {
    const int rows = (REGISTERS - 1 - n) / n;
    return rows > 7 ? 7 : rows < 1 ? 1 : rows;
}

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

}  // namespace recurra::RECURRA_VARIANT
