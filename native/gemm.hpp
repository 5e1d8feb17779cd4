// Matrix products of many rows, as a layer needs them before and after its recurrence: in tiles whose sums stay in registers,
// out of panels that stay in the caches.
//
// Of what is summed up DEPTH numbers are taken at a time: a block of a panel then fills half of the first cache, and HEIGHT rows
// half of the second. Sums of earlier parts wait in the result.
#pragma once

#include "tile.hpp"

namespace recurra::RECURRA_VARIANT {

constexpr int TILE = rows_of_tile(SPAN);
constexpr long DEPTH = 4096 / COLUMNS, HEIGHT = 40 * TILE;

RECURRA_INLINE long in_columns(long count) { return (count + COLUMNS - 1) / COLUMNS * COLUMNS; }

// Where the result of a product goes, and what is there at first: it is added to, or begins with `start`, or with zero.
struct Result {
    float* data;
    long stride;
    const float* start;  // a number for each column, filled up to whole COLUMNS; or null
    bool add;
};

// M rows times a block. Where `a` is PACKED its rows lie side by side, TILE of them, or else `stride` apart.
template <int M, bool PACKED>
RECURRA_INLINE void tile_times_block(const float* a, long stride, const float* block, long depth, const Result& c, long column,
                                     long columns) {
    Vec sums[M][SPAN];
    RECURRA_UNROLL
    for (int m = 0; m < M; ++m) {
        fetch_to_write(c.data + m * c.stride + column);
        RECURRA_UNROLL
        for (int n = 0; n < SPAN; ++n) sums[m][n] = c.start == nullptr ? Vec{} : load(c.start + column + n * W);
    }
    _Pragma("GCC unroll 4")
    for (long k = 0; k < depth; ++k)
        add_products<M, SPAN>(sums, a + (PACKED ? k * TILE : k), PACKED ? 1 : stride, block + k * COLUMNS);
    const long left = columns - column;
    RECURRA_UNROLL
    for (int m = 0; m < M; ++m)
        RECURRA_UNROLL
        for (int n = 0; n < SPAN; ++n) {
            float* to = c.data + m * c.stride + column + n * W;
            const long some = left - n * W;
            if (some >= W)
                store(to, c.add ? load(to) + sums[m][n] : sums[m][n]);
            else if (some > 0)
                store_some(to, c.add ? load_some(to, some) + sums[m][n] : sums[m][n], some);
        }
}

// Rows, of which each has `depth` numbers and begins `stride` after the last, times a panel of `columns`.
inline void rows_times_matrix(const float* a, long stride, long rows, const float* panel, long depth, long columns,
                              const Result& result) {
    for (long k = 0; k < depth; k += DEPTH)
        for (long top = 0; top < rows; top += HEIGHT) {
            const long bottom = top + HEIGHT < rows ? top + HEIGHT : rows, part = depth - k < DEPTH ? depth - k : DEPTH;
            for (long column = 0; column < columns; column += COLUMNS)
                each_tile<TILE>(top, bottom, [&](auto count, long row) __attribute__((always_inline)) {
                    const Result c = {result.data + row * result.stride, result.stride, k ? nullptr : result.start,
                                      result.add || k > 0};
                    tile_times_block<decltype(count)::value, false>(a + row * stride + k, stride,
                                                                    panel + column * depth + k * COLUMNS, part, c, column,
                                                                    columns);
                });
        }
}

// A panel of `depth` rows of `columns` numbers, where row(k) is the k-th, or null: zeros.
template <typename Row>
void pack_rows(float* panel, long depth, long columns, long first_block, long last_block, Row row) {
    for (long block = first_block; block < last_block; ++block) {
        const long column = block * COLUMNS, some = columns - column;
        for (long k = 0; k < depth; ++k) {
            float* to = panel + (block * depth + k) * COLUMNS;
            const float* from = row(k);
            RECURRA_UNROLL
            for (int n = 0; n < SPAN; ++n)
                store(to + n * W, from == nullptr      ? Vec{}
                                  : some >= (n + 1) * W ? load(from + column + n * W)
                                                        : load_some(from + column + n * W, some - n * W));
        }
    }
}

// A block of N columns of `depth` numbers, side by side, where there are such: zeros for null.
template <long N>
void pack_columns(float* to, const float* (&columns)[N], long depth) {
    static const float none = 0.0f;
    long steps[N];
    for (long n = 0; n < N; ++n) {
        steps[n] = columns[n] != nullptr;
        if (!steps[n]) columns[n] = &none;
    }
    for (long k = 0; k < depth; ++k)
        for (long n = 0; n < N; ++n) to[k * N + n] = columns[n][k * steps[n]];
}

// `height` <= TILE numbers of each of `depth` rows, `stride` apart, side by side.
inline void pack_tile(float* to, const float* from, long stride, long depth, long height) {
    if (height == TILE)
        for (long k = 0; k < depth; ++k) __builtin_memcpy(to + k * TILE, from + k * stride, sizeof(float) * TILE);
    else
        for (long k = 0; k < depth; ++k)
            for (long m = 0; m < height; ++m) to[k * TILE + m] = from[k * stride + m];
}

// Packed tiles of `rows` rows in all, the last of them less than TILE high perhaps, times a panel.
inline void tiles_times_matrix(const float* tiles, long rows, const float* panel, long depth, long columns, const Result& result) {
    for (long column = 0; column < columns; column += COLUMNS)
        for (long row = 0; row < rows; row += TILE)
            each_tile<TILE>(row, row + TILE < rows ? row + TILE : rows, [&](auto count, long) __attribute__((always_inline)) {
                const Result c = {result.data + row * result.stride, result.stride, nullptr, result.add};
                tile_times_block<decltype(count)::value, true>(tiles + row * depth, 0, panel + column * depth, depth, c, column,
                                                               columns);
            });
}

}  // namespace recurra::RECURRA_VARIANT
