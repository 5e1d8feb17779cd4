// A matrix product by itself, for layers without a kernel of their own (src/recurra/ops/product.py).
#include "gemm.hpp"

#include "kernels.hpp"
#include "threads.hpp"

namespace recurra::RECURRA_VARIANT {

namespace {

// Blocks [first, last) of rows [from, from + depth) of b, as a panel.
void pack(const Gemm& d, float* panel, long from, long depth, long first, long last) {
    if (d.b_column == 1)
        return pack_rows(panel, depth, d.columns, first, last, [&](long k) { return d.b + (from + k) * d.b_depth; });
    for (long block = first; block < last; ++block) {
        const float* columns[COLUMNS];
        for (long n = 0; n < COLUMNS; ++n) {
            const long column = block * COLUMNS + n;
            columns[n] = column < d.columns ? d.b + column * d.b_column + from : nullptr;
        }
        pack_columns(panel + block * depth * COLUMNS, columns, depth);
    }
}

// Rows of a that lie in memory as they are: the whole of b is packed first.
void by_rows(const Gemm& d, int thread, int threads, Barrier& barrier) {
    const long blocks = in_columns(d.columns) / COLUMNS;
    pack(d, d.room, 0, d.depth, blocks * thread / threads, blocks * (thread + 1) / threads);
    float* start = d.start == nullptr ? nullptr : d.room + d.depth * blocks * COLUMNS;
    if (start != nullptr && thread == 0)
        for (long i = 0; i < blocks * COLUMNS; ++i) start[i] = i < d.columns ? d.start[i] : 0.0f;
    barrier.wait();
    const long last = d.rows * (thread + 1) / threads;
    for (long row = d.rows * thread / threads, end; row < last; row = end) {
        end = row + HEIGHT < last ? row + HEIGHT : last;
        rows_times_matrix(d.a + row * d.a_row, d.a_row, end - row, d.room, d.depth, d.columns,
                          {d.c + row * d.columns, d.columns, start, false});
    }
}

// Columns of a that lie in memory as they are: a part of the sums after the other, a's tiles packed for each. Panels take turns.
void by_columns(const Gemm& d, int thread, int threads, Barrier& barrier) {
    const long wide = in_columns(d.columns), blocks = wide / COLUMNS, tiles = (d.rows + TILE - 1) / TILE;
    float* packed = d.room + 2 * DEPTH * wide + thread * HEIGHT * DEPTH;
    const long last = tiles * (thread + 1) / threads * TILE < d.rows ? tiles * (thread + 1) / threads * TILE : d.rows;
    for (long from = 0, part = 0; from < d.depth; from += DEPTH, ++part) {
        const long depth = d.depth - from < DEPTH ? d.depth - from : DEPTH;
        float* panel = d.room + part % 2 * DEPTH * wide;
        pack(d, panel, from, depth, blocks * thread / threads, blocks * (thread + 1) / threads);
        barrier.wait();
        for (long row = tiles * thread / threads * TILE; row < last; row += HEIGHT) {
            const long height = last - row < HEIGHT ? last - row : HEIGHT;
            for (long i = 0; i < height; i += TILE)
                pack_tile(packed + i * depth, d.a + from * d.a_depth + row + i, d.a_depth, depth,
                          height - i < TILE ? height - i : TILE);
            tiles_times_matrix(packed, height, panel, depth, d.columns,
                               {d.c + row * d.columns, d.columns, nullptr, from > 0});
        }
    }
}

}  // namespace

long gemm_room(const Gemm& d) {
    const long wide = in_columns(d.columns);
    return d.a_depth == 1 ? (d.depth + 1) * wide : 2 * DEPTH * wide + d.threads * HEIGHT * DEPTH;
}

void gemm(const Gemm& d) {
    const double work = 2.0 * double(d.rows) * double(d.depth) * double(d.columns);
    team(work < 1e6 ? 1 : d.threads, [&](int thread, int threads, Barrier& barrier) {
        (d.a_depth == 1 ? by_rows : by_columns)(d, thread, threads, barrier);
    });
}

}  // namespace recurra::RECURRA_VARIANT
