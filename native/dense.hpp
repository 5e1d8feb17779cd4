// Elman, LSTM and GRU layers: the part of a step that needs the step before. What does not (the input's projection and
// the gradients of x and of the weights) is one large matrix product each, outside.
//
// A block of units is computed from the matrix product to the gates' arithmetic in registers. Threads share out the rows,
// which do not see one another, or, where there are few rows or a large matrix, the units, and then meet after every step.
#pragma once

#include "dense_cells.hpp"
#include "rows.hpp"
#include "tile.hpp"
#include "threads.hpp"

namespace recurra::RECURRA_VARIANT {

RECURRA_INLINE long least(long a, long b) { return a < b ? a : b; }
RECURRA_INLINE long most(long a, long b) { return a > b ? a : b; }

// The steps in the order in which they are computed. Rows stand in the order of their lengths, the longest first, so that
// a step's rows are the first `rows(step)` of the batch; they lie one after another from row `at(step)` of every array.
struct Walk {
    const Dense& d;
    bool ascending;
    long step(long count) const { return ascending ? count : d.steps - 1 - count; }
    long rows(long step) const { return d.counts == nullptr ? d.rows : d.counts[step]; }
    long at(long step) const { return d.offsets == nullptr ? step * d.rows : d.offsets[step]; }
    // Rows of the count-th step that have been in the one computed before it.
    long going(long count) const { return count == 0 ? 0 : least(rows(step(count)), rows(step(count - 1))); }
};

// What one thread does of every step.
struct Share {
    long first_row, last_row, first_block, last_block;
};

// --------------------------------------------------------------------------------------------------------- forward

// Blocks of BLOCK · W units, each (width, GATES · BLOCK · W): all that a unit's gates take from h.
template <typename Cell>
void pack_forward(const Dense& d, long first_block, long last_block) {
    constexpr int N = Cell::GATES * Cell::BLOCK;
    constexpr long UNITS = Cell::BLOCK * W;
    for (long block = first_block; block < last_block; ++block)
        for (int gate = 0; gate < Cell::GATES; ++gate)
            for (long i = 0; i < UNITS; ++i) {
                const long unit = block * UNITS + i;
                float* to = d.panel + block * d.width * N * W + gate * UNITS + i;
                const float* from = d.weight + (gate * d.width + unit) * d.width;
                for (long k = 0; k < d.width; ++k) to[k * N * W] = unit < d.width ? from[k] : 0.0f;
            }
}

template <typename Cell, bool KEEP>
void forward_rows(const Dense& d, const Share& share, const Place& place, long begin, long end) {
    constexpr int N = Cell::GATES * Cell::BLOCK;
    constexpr long UNITS = Cell::BLOCK * W;
    const auto place_of = [&](long row, long unit) __attribute__((always_inline)) {
        const long at = row * d.units;
        return Place{place.h + at + unit, place.c + at + unit, place.gates + Cell::GATES * at + unit,
                     place.y + at + unit, place.kept + at + unit};
    };
    rows_times_panel<N>(
        place.h, d.units, d.panel, d.width, share.first_block, share.last_block, begin, end,
        [&](auto rows, long first, long block) __attribute__((always_inline)) {
            Cell::template fetch_rows<decltype(rows)::value>(d, place_of(first, block * UNITS));
        },
        [&](auto rows, long first, long block, auto& sums) __attribute__((always_inline)) {
            Cell::template finish<KEEP, decltype(rows)::value>(d, sums, place_of(first, block * UNITS), block * UNITS);
        });
}

template <typename Cell, bool KEEP>
void forward_step(const Dense& d, const Walk& walk, const Share& share, long count) {
    const long step = walk.step(count), at = walk.at(step) * d.units, going = walk.going(count);
    const long before = count == 0 ? 0 : walk.at(walk.step(count - 1)) * d.units;
    // Without a backward pass to come, c has one place only, that of the last.
    float* kept = KEEP ? d.kept + at : d.cn;
    Place place = {d.y + before, KEEP ? d.kept + before : d.cn, d.gates + Cell::GATES * at, d.y + at, kept};
    forward_rows<Cell, KEEP>(d, share, place, share.first_row, least(share.last_row, going));
    place.h = d.h0;
    if (KEEP) place.c = d.c0;
    forward_rows<Cell, KEEP>(d, share, place, most(share.first_row, going), least(share.last_row, walk.rows(step)));
}

// Each row's h, and c, after its last step.
template <typename Cell, bool KEEP>
void take_ends(const Dense& d, const Walk& walk) {
    for (long row = 0; row < d.rows; ++row) {
        long step = d.steps - 1;
        while (step >= 0 && walk.rows(step) <= row) --step;
        const bool moved = step >= 0;
        const long at = moved ? (walk.at(walk.ascending ? step : 0) + row) * d.units : row * d.units;
        const float* h = (moved ? d.y : d.h0) + at;
        for (long unit = 0; unit < d.units; ++unit) d.hn[row * d.units + unit] = h[unit];
        if (!(Cell::HAS_C && KEEP)) continue;
        const float* c = (moved ? d.kept : d.c0) + at;
        for (long unit = 0; unit < d.units; ++unit) d.cn[row * d.units + unit] = c[unit];
    }
}

// -------------------------------------------------------------------------------------------------------- backward

constexpr int BACK = 2;  // vectors of units that the backward pass computes at once

// Blocks of BACK · W units, each (GATES · units, BACK · W): what all gates hand back to those units of h.
template <typename Cell>
void pack_backward(const Dense& d, long first_block, long last_block) {
    constexpr long COLUMNS = BACK * W;
    for (long block = first_block; block < last_block; ++block)
        for (int gate = 0; gate < Cell::GATES; ++gate)
            for (long k = 0; k < d.units; ++k) {
                float* to = d.panel + ((block * Cell::GATES + gate) * d.units + k) * COLUMNS;
                const float* from = d.weight + (gate * d.width + k) * d.width + block * COLUMNS;
                const long columns = k < d.width ? least(COLUMNS, d.width - block * COLUMNS) : 0;
                for (long i = 0; i < COLUMNS; ++i) to[i] = i < columns ? from[i] : 0.0f;
            }
}

// dh of rows [begin, end), before the step's own gates: from the outputs, from the steps that came after, or both; handed to
// use(M sums, first row, unit).
template <typename Cell, typename Fetch, typename Use>
void handed_back(const Dense& d, const Share& share, const float* later, long begin, long end, Fetch fetch, Use use) {
    const long from = later == nullptr ? 0 : Cell::FIRST * d.units, count = later == nullptr ? 0 : Cell::GATES * d.units;
    rows_times_panel<BACK>(
        later + from, Cell::DGATES * d.units, d.panel, count, share.first_block, share.last_block, begin, end,
        [&](auto rows, long first, long block) __attribute__((always_inline)) {
            RECURRA_UNROLL
            for (int m = 0; m < decltype(rows)::value; ++m) fetch(first + m, block * BACK * W);
        },
        [&](auto rows, long first, long block, auto& sums) __attribute__((always_inline)) {
            RECURRA_UNROLL
            for (int m = 0; m < decltype(rows)::value; ++m)
                RECURRA_UNROLL
                for (int n = 0; n < BACK; ++n) use(sums[m][n], first + m, (block * BACK + n) * W);
        });
}

template <typename Cell>
void backward_rows(const Dense& d, const Share& share, const BackPlace& p, const float* later, long begin, long end) {
    const bool carried = Cell::CARRIES || later == nullptr;
    handed_back<Cell>(
        d, share, later, begin, end,
        [&](long row, long unit) __attribute__((always_inline)) {
            fetch(p.gy + row * d.units + unit);
            Cell::fetch_back(d, p, row * d.units + unit, row);
        },
        [&](Vec dh, long row, long unit) __attribute__((always_inline)) {
            const long at = row * d.units + unit;
            dh += load(p.gy + at);
            if (carried) dh += load(p.dh + at);
            Cell::back(d, dh, p, at, row);
        });
}

// `walk` runs against the forward pass: a row comes in at its last step and goes out at its first.
template <typename Cell>
void backward_step(const Dense& d, const Walk& walk, const Share& share, long count) {
    const long step = walk.step(count), at = walk.at(step) * d.units, rows = walk.rows(step), going = walk.going(count);
    const float* later =
        count == 0 ? nullptr : d.dgates + walk.at(walk.step(count - 1)) * Cell::DGATES * d.units;
    const bool first = count == d.steps - 1;
    const long before = first ? 0 : walk.step(count + 1);
    const long preceded = first ? 0 : least(rows, walk.rows(before));
    BackPlace p = {d.y + (first ? 0 : walk.at(before) * d.units), d.kept + (first ? 0 : walk.at(before) * d.units),
                   d.gates + at * Cell::GATES, d.y + at, d.kept + at, d.gy + at, d.dgates + at * Cell::DGATES, d.dh, d.dc};
    for (int starts = 0; starts < 2; ++starts) {
        if (starts) p.h = d.h0, p.c = d.c0;
        const long begin = most(share.first_row, starts ? preceded : 0);
        const long end = least(share.last_row, starts ? rows : preceded);
        backward_rows<Cell>(d, share, p, later, begin, least(end, going));
        backward_rows<Cell>(d, share, p, nullptr, most(begin, going), end);
    }
}

// dh0 of the rows whose first step was the count-th of this walk.
template <typename Cell>
void backward_ends(const Dense& d, const Walk& walk, const Share& share, long count) {
    const long step = walk.step(count);
    const long after = count == d.steps - 1 ? 0 : walk.rows(walk.step(count + 1));
    const float* later = d.dgates + walk.at(step) * Cell::DGATES * d.units;
    handed_back<Cell>(
        d, share, later, most(share.first_row, after), least(share.last_row, walk.rows(step)), [](long, long) {},
        [&](Vec dh, long row, long unit) __attribute__((always_inline)) {
            float* to = d.dh + row * d.units + unit;
            store(to, Cell::CARRIES ? dh + load(to) : dh);
        });
}

// ------------------------------------------------------------------------------------------------------------ shares

// Sharing out the rows needs no meetings, but each thread then reads the whole matrix.
template <typename Cell>
bool by_rows(const Dense& d, int threads) {
    const long bytes = long(sizeof(float)) * Cell::GATES * d.units * d.units;
    return d.rows >= 8 * threads && bytes <= (1 << 20);
}

RECURRA_INLINE Share share_of(const Dense& d, bool rows, long blocks, int thread, int threads) {
    if (rows) return {row_of_share(d, thread, threads), row_of_share(d, thread + 1, threads), 0, blocks};
    return {0, d.rows, blocks * thread / threads, blocks * (thread + 1) / threads};
}

template <typename Cell, bool KEEP>
void forward(const Dense& d, int thread, int threads, Barrier& barrier) {
    const Walk walk = {d, !d.reverse};
    const long blocks = d.units / (Cell::BLOCK * W);
    pack_forward<Cell>(d, blocks * thread / threads, blocks * (thread + 1) / threads);
    const bool rows = by_rows<Cell>(d, threads);
    const Share share = share_of(d, rows, blocks, thread, threads);
    barrier.wait();
    for (long count = 0; count < d.steps; ++count) {
        forward_step<Cell, KEEP>(d, walk, share, count);
        if (!rows) barrier.wait();
    }
    if (rows) barrier.wait();
    if (thread == 0) take_ends<Cell, KEEP>(d, walk);
}

template <typename Cell>
void backward(const Dense& d, int thread, int threads, Barrier& barrier) {
    const Walk walk = {d, d.reverse};
    const long blocks = d.units / (BACK * W);
    pack_backward<Cell>(d, blocks * thread / threads, blocks * (thread + 1) / threads);
    const bool rows = by_rows<Cell>(d, threads);
    const Share share = share_of(d, rows, blocks, thread, threads);
    barrier.wait();
    for (long count = 0; count < d.steps; ++count) {
        backward_step<Cell>(d, walk, share, count);
        if (!rows) barrier.wait();
        backward_ends<Cell>(d, walk, share, count);
    }
}

// What one thread of a team does of a layer.
inline void take_part(const Dense& d, bool back, int thread, int threads, Barrier& barrier) {
    switch (d.cell) {
        case DenseCell::elman:
            return back     ? backward<Elman>(d, thread, threads, barrier)
                   : d.keep ? forward<Elman, true>(d, thread, threads, barrier)
                            : forward<Elman, false>(d, thread, threads, barrier);
        case DenseCell::lstm:
            return back     ? backward<Lstm>(d, thread, threads, barrier)
                   : d.keep ? forward<Lstm, true>(d, thread, threads, barrier)
                            : forward<Lstm, false>(d, thread, threads, barrier);
        case DenseCell::gru:
            return back     ? backward<Gru>(d, thread, threads, barrier)
                   : d.keep ? forward<Gru, true>(d, thread, threads, barrier)
                            : forward<Gru, false>(d, thread, threads, barrier);
    }
}

// Additions and multiplications in a step.
inline double work_of_step(const Dense& d) {
    const double gates = d.cell == DenseCell::lstm ? 4.0 : d.cell == DenseCell::gru ? 3.0 : 1.0;
    return 2.0 * gates * double(d.rows) * double(d.width) * double(d.units);
}

void dense(const Dense& d, bool back) {
    const int threads = work_of_step(d) < 60e3 ? 1 : d.threads;  // a meeting costs as much as some 20,000 of them
    team(threads, [&](int thread, int of, Barrier& barrier) { take_part(d, back, thread, of, barrier); });
}

// Two layers that do not see one another, each by half of the team: with two threads neither ever waits for the other.
void dense_both(const Dense& first, const Dense& second, bool back) {
    const bool small = work_of_step(first) * double(first.steps) < 1e6;
    Barrier halves[2] = {Barrier(1), Barrier(1)};
    team(small ? 1 : first.threads, [&](int thread, int threads, Barrier& barrier) {
        if (threads == 1) {
            take_part(first, back, 0, 1, barrier);
            take_part(second, back, 0, 1, barrier);
            return;
        }
        const int half = thread % 2, mates = half == 0 ? (threads + 1) / 2 : threads / 2;
        if (thread < 2) halves[half].resize(mates);
        barrier.wait();
        take_part(half == 0 ? first : second, back, thread / 2, mates, halves[half]);
    });
}

}  // namespace recurra::RECURRA_VARIANT
