// Elman, LSTM and GRU layers. A step's own part is computed here, block by block of units, from the matrix product to the gates'
// arithmetic in registers; what needs no step before it, for some steps at a time, in dense_products.hpp.
//
// Threads share out the rows, which do not see one another, or, where there are few rows or a large matrix, the units, and then
// meet after every step; a layer with next to no work in a step is one thread's.
#pragma once

#include "dense_products.hpp"
#include "rows.hpp"
#include "threads.hpp"

namespace recurra::RECURRA_VARIANT {

// What one thread does of every step.
struct Share {
    long first_row, last_row, first_block, last_block;
    bool meets;  // the threads after every step
};

constexpr int BACK = SPAN;  // vectors of units that the backward pass computes at once

// A layer with its room parted.
struct Layer : Dense {
    long span, spare;        // rows of a part of the steps, about; rows of the gates' gradients that there is room for
    float *panel, *panel_x;  // h's and x's matrix
    float *start, *inner;    // the bias and GRU's bias_hn, filled up
    float* part;             // what one part of the steps needs: the gates without `keep`, or twice the gates' gradients
    float *tiles, *packed;   // a thread's own
    long needed;

    template <typename Cell>
    static Layer of(const Dense& d, bool backward, int thread) {
        Layer made{};
        static_cast<Dense&>(made) = d;
        const Walk walk = {d, true}, against = {d, false};
        const long total = walk.total(), wide = Cell::GATES * d.units, columns = in_columns(d.entering);
        // Parts of like size, in which the products' panels still fit into the caches.
        const long parts = most(1, (total + DEPTH - 1) / DEPTH);
        made.span = most(1, (total + parts - 1) / parts);
        long largest = 0;
        const auto see = [&](const Part& part) { largest = most(largest, part.rows); };
        each_part(walk, made.span, see);
        each_part(against, made.span, see);
        made.spare = largest == total ? total : 2 * largest;
        if (d.counts != nullptr && d.threads > 1) made.spare = most(made.spare, total);  // `span_of`
        Room room = {d.room};
        made.panel = room.take(wide * d.units);
        made.panel_x = room.take(wide * (backward ? columns : d.entering));
        made.start = room.take(wide);
        made.inner = room.take(d.units);
        made.part = backward ? room.take(made.spare * Cell::DGATES * d.units) : d.keep ? nullptr : room.take(made.spare * wide);
        if (backward) {
            const long tiles = HEIGHT * DEPTH, packed = DEPTH * (columns + d.units);
            made.tiles = room.take(tiles * d.threads);
            made.packed = room.take(packed * d.threads);
            if (d.room != nullptr) made.tiles += tiles * thread, made.packed += packed * thread;
        }
        made.needed = room.size;
        return made;
    }
};

// --------------------------------------------------------------------------------------------------------- forward

// Blocks of BLOCK · W units, each (width, GATES · BLOCK · W): all that a unit's gates take from h.
template <typename Cell>
void pack_forward(const Layer& d, long first_block, long last_block) {
    constexpr long UNITS = Cell::BLOCK * W, N = Cell::GATES * UNITS;
    for (long block = first_block; block < last_block; ++block) {
        const float* from[N];
        for (long i = 0; i < N; ++i) {
            const long unit = block * UNITS + i % UNITS;
            from[i] = unit < d.width ? d.hh + (i / UNITS * d.width + unit) * d.width : nullptr;
        }
        pack_columns(d.panel + block * d.width * N, from, d.width);
    }
}

template <typename Cell, bool KEEP>
void forward_rows(const Layer& d, const Share& share, const Place& place, long begin, long end) {
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

// `gates` are those of the step's first row.
template <typename Cell, bool KEEP>
void forward_step(const Layer& d, const Walk& walk, const Share& share, long count, float* gates) {
    const long step = walk.step(count), at = walk.at(step) * d.units, going = walk.going(count);
    const long before = count == 0 ? 0 : walk.at(walk.step(count - 1)) * d.units;
    // Without a backward pass to come, c has one place only, that of the last.
    float* kept = KEEP ? d.kept + at : d.cn;
    Place place = {d.y + before, KEEP ? d.kept + before : d.cn, gates, d.y + at, kept};
    forward_rows<Cell, KEEP>(d, share, place, share.first_row, least(share.last_row, going));
    place.h = d.h0;
    if (KEEP) place.c = d.c0;
    forward_rows<Cell, KEEP>(d, share, place, most(share.first_row, going), least(share.last_row, walk.rows(step)));
}

// Each row's h, and c, after its last step.
template <typename Cell, bool KEEP>
void take_ends(const Layer& d, const Walk& walk) {
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

// Blocks of BACK · W units, each (GATES · units, BACK · W): what all gates hand back to those units of h.
template <typename Cell>
void pack_backward(const Layer& d, long first_block, long last_block) {
    constexpr long COLUMNS = BACK * W;
    for (long block = first_block; block < last_block; ++block)
        for (int gate = 0; gate < Cell::GATES; ++gate)
            for (long k = 0; k < d.units; ++k) {
                float* to = d.panel + ((block * Cell::GATES + gate) * d.units + k) * COLUMNS;
                const float* from = d.hh + (gate * d.width + k) * d.width + block * COLUMNS;
                const long columns = k < d.width ? least(COLUMNS, d.width - block * COLUMNS) : 0;
                for (long i = 0; i < COLUMNS; ++i) to[i] = i < columns ? from[i] : 0.0f;
            }
}

// dh of rows [begin, end), before the step's own gates: from the outputs, from the steps that came after, or both; handed to
// use(M sums, first row, unit).
template <typename Cell, typename Fetch, typename Use>
void handed_back(const Layer& d, const Share& share, const float* later, long begin, long end, Fetch fetch, Use use) {
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
void backward_rows(const Layer& d, const Share& share, const BackPlace& p, const float* later, long begin, long end) {
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

// `walk` runs against the forward pass: a row comes in at its last step and goes out at its first. `dgates` are those of the step's
// first row, `later` of the one computed before.
template <typename Cell>
void backward_step(const Layer& d, const Walk& walk, const Share& share, long count, float* dgates, const float* later) {
    const long step = walk.step(count), at = walk.at(step) * d.units, rows = walk.rows(step), going = walk.going(count);
    const bool first = count == d.steps - 1;
    const long before = first ? 0 : walk.step(count + 1);
    const long preceded = first ? 0 : least(rows, walk.rows(before));
    BackPlace p = {d.y + (first ? 0 : walk.at(before) * d.units), d.kept + (first ? 0 : walk.at(before) * d.units),
                   d.gates + at * Cell::GATES, d.y + at, d.kept + at, d.gy + at, dgates, d.dh, d.dc};
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
void backward_ends(const Layer& d, const Walk& walk, const Share& share, long count, const float* dgates) {
    const long step = walk.step(count);
    const long after = count == d.steps - 1 ? 0 : walk.rows(walk.step(count + 1));
    handed_back<Cell>(
        d, share, dgates, most(share.first_row, after), least(share.last_row, walk.rows(step)), [](long, long) {},
        [&](Vec dh, long row, long unit) __attribute__((always_inline)) {
            float* to = d.dh + row * d.units + unit;
            store(to, Cell::CARRIES ? dh + load(to) : dh);
        });
}

// ------------------------------------------------------------------------------------------------------------ shares

// Additions and multiplications of a step's own product.
inline double work_of_step(const Dense& d) {
    const double gates = d.cell == DenseCell::lstm ? 4.0 : d.cell == DenseCell::gru ? 3.0 : 1.0;
    return 2.0 * gates * double(d.rows) * double(d.width) * double(d.units);
}

// Sharing out the rows needs no meetings, but each thread then reads the whole matrix.
template <typename Cell>
bool by_rows(const Layer& d, int threads) {
    const long bytes = long(sizeof(float)) * Cell::GATES * d.units * d.units;
    return d.rows >= 8 * threads && bytes <= (1 << 20);
}

template <typename Cell>
Share share_of(const Layer& d, long blocks, int thread, int threads) {
    if (threads == 1) return {0, d.rows, 0, blocks, false};
    if (by_rows<Cell>(d, threads))
        return {row_of_share(d, thread, threads), row_of_share(d, thread + 1, threads), 0, blocks, false};
    return {0, d.rows, blocks * thread / threads, blocks * (thread + 1) / threads, true};
}

// Rows that a part of the steps has, about.
inline long span_of(const Layer& d, const Share& share, int threads) {
    return d.counts != nullptr && threads > 1 && !share.meets ? d.rows * d.steps : d.span;
}

template <typename Cell, bool KEEP>
void forward(const Layer& d, int thread, int threads, Barrier& barrier) {
    const Walk walk = {d, !d.reverse};
    const long blocks = d.units / (Cell::BLOCK * W), wide = Cell::GATES * d.units, blocks_x = wide / COLUMNS;
    const Share share = share_of<Cell>(d, blocks, thread, threads);
    pack_forward<Cell>(d, blocks * thread / threads, blocks * (thread + 1) / threads);
    pack_entering<Cell>(d, d.panel_x, blocks_x * thread / threads, blocks_x * (thread + 1) / threads);
    barrier.wait();
    each_part(walk, span_of(d, share, threads), [&](const Part& part) {
        float* gates = KEEP ? d.gates + part.row * wide : d.part;
        const long first = part.rows * thread / threads, last = part.rows * (thread + 1) / threads;
        rows_times_matrix(d.x + (part.row + first) * d.entering, d.entering, last - first, d.panel_x, d.entering, wide,
                          {gates + first * wide, wide, d.start, false});
        barrier.wait();
        for (long count = part.first; count < part.last; ++count) {
            forward_step<Cell, KEEP>(d, walk, share, count, gates + (walk.at(walk.step(count)) - part.row) * wide);
            if (share.meets) barrier.wait();
        }
        if (!KEEP) barrier.wait();
    });
    barrier.wait();
    if (thread == 0) take_ends<Cell, KEEP>(d, walk);
}

template <typename Cell>
void backward(const Layer& d, int thread, int threads, Barrier& barrier) {
    const Walk walk = {d, d.reverse}, forth = {d, !d.reverse};
    const long blocks = d.units / (BACK * W), wide = Cell::DGATES * d.units, blocks_x = in_columns(d.entering) / COLUMNS;
    const Share share = share_of<Cell>(d, blocks, thread, threads);
    pack_backward<Cell>(d, blocks * thread / threads, blocks * (thread + 1) / threads);
    if (d.dx != nullptr) pack_leaving<Cell>(d, d.panel_x, blocks_x * thread / threads, blocks_x * (thread + 1) / threads);
    barrier.wait();
    const float* later = nullptr;
    long room = 0;  // parts take turns in two halves: what the last one's products read, this one leaves alone
    each_part(walk, span_of(d, share, threads), [&](const Part& part) {
        float* dgates = d.part + room * wide;
        room = room == 0 ? d.spare / 2 : 0;
        for (long count = part.first; count < part.last; ++count) {
            float* here = dgates + (walk.at(walk.step(count)) - part.row) * wide;
            backward_step<Cell>(d, walk, share, count, here, later);
            if (share.meets) barrier.wait();
            backward_ends<Cell>(d, walk, share, count, here);
            later = here;
        }
        barrier.wait();
        products_back<Cell>(d, forth, {dgates, d.panel_x, d.tiles, d.packed}, part, thread, threads);
    });
}

template <typename Cell>
void take_part(const Dense& d, bool back, int thread, int threads, Barrier& barrier) {
    Layer layer = Layer::of<Cell>(d, back, thread);
    if (thread == 0) fill_up(d, d.bias, layer.start, Cell::GATES), fill_up(d, d.bias_hn, layer.inner, 1);
    layer.bias_hn = layer.inner;
    if (back)
        backward<Cell>(layer, thread, threads, barrier);
    else if (d.keep)
        forward<Cell, true>(layer, thread, threads, barrier);
    else
        forward<Cell, false>(layer, thread, threads, barrier);
}

// What one thread of a team does of a layer.
inline void take_part(const Dense& d, bool back, int thread, int threads, Barrier& barrier) {
    switch (d.cell) {
        case DenseCell::elman: return take_part<Elman>(d, back, thread, threads, barrier);
        case DenseCell::lstm: return take_part<Lstm>(d, back, thread, threads, barrier);
        case DenseCell::gru: return take_part<Gru>(d, back, thread, threads, barrier);
    }
}

// How many numbers `room` has to hold.
long dense_room(const Dense& d, bool back) {
    switch (d.cell) {
        case DenseCell::elman: return Layer::of<Elman>(d, back, 0).needed;
        case DenseCell::lstm: return Layer::of<Lstm>(d, back, 0).needed;
        default: return Layer::of<Gru>(d, back, 0).needed;
    }
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
