// What a dense layer computes beside its recurrence, for some steps at a time, whose arrays are then still in the caches: x's
// part of the gates, and from the gates' gradients those of x, of the weights and of the biases.
#pragma once

#include "dense_cells.hpp"
#include "gemm.hpp"

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
    long total() const { return at(d.steps - 1) + rows(d.steps - 1); }
    // Rows of the count-th step that have been in the one computed before it.
    long going(long count) const { return count == 0 ? 0 : least(rows(step(count)), rows(step(count - 1))); }
};

// Steps [first, last) of a walk, whose rows are [row, row + rows) of N.
struct Part {
    long first, last, row, rows;
};

// Cut a walk into parts of about `span` rows.
template <typename Use>
void each_part(const Walk& walk, long span, Use use) {
    for (long first = 0, last = 0; first < walk.d.steps; first = last) {
        long rows = 0;
        do rows += walk.rows(walk.step(last++));
        while (last < walk.d.steps && rows < span);
        use(Part{first, last, least(walk.at(walk.step(first)), walk.at(walk.step(last - 1))), rows});
    }
}

// How x's matrix is seen from a row of the gates' gradients: GRU's begin with the candidate's.
template <typename Cell>
constexpr int gate_of_block(int block) {
    return Cell::FIRST == 0 ? block : (block + 2) % 3;
}
template <typename Cell>
constexpr int block_of_gate(int gate) {
    return Cell::FIRST == 0 ? gate : (gate + 1) % 3;
}

// Where arrays begin in `room`, one after another.
struct Room {
    float* at;
    long size = 0;
    float* take(long count) {
        float* found = at == nullptr ? nullptr : at + size;
        size += (count + 15) / 16 * 16;
        return found;
    }
};

// --------------------------------------------------------------------------------------------------------- forward

template <typename Cell>
void pack_entering(const Dense& d, float* panel, long first_block, long last_block) {
    for (long block = first_block; block < last_block; ++block) {
        const float* from[COLUMNS];
        for (long n = 0; n < COLUMNS; ++n) {
            const long column = block * COLUMNS + n, unit = column % d.units;
            from[n] = unit < d.width ? d.ih + (column / d.units * d.width + unit) * d.entering : nullptr;
        }
        pack_columns(panel + block * d.entering * COLUMNS, from, d.entering);
    }
}

// (blocks, units) from (blocks, width), or zeros.
inline void fill_up(const Dense& d, const float* from, float* to, long blocks) {
    for (long block = 0; block < blocks; ++block)
        for (long unit = 0; unit < d.units; ++unit)
            to[block * d.units + unit] = from != nullptr && unit < d.width ? from[block * d.width + unit] : 0.0f;
}

// -------------------------------------------------------------------------------------------------------- backward

// What one part of the backward pass's products needs: the gates' gradients of its rows, and room.
struct Gradients {
    const float* dgates;
    const float* panel;  // x's matrix, as `pack_leaving` has it
    float *tiles, *rows;  // a thread's own
};

template <typename Cell>
void pack_leaving(const Dense& d, float* panel, long first_block, long last_block) {
    pack_rows(panel, Cell::GATES * d.units, d.entering, first_block, last_block, [&](long k) {
        const long unit = k % d.units;
        return unit < d.width ? d.ih + (gate_of_block<Cell>(k / d.units) * d.width + unit) * d.entering : nullptr;
    });
}

// The h that rows [first, first + count) of N saw, in the forward pass' `walk`.
inline void seen_by(const Walk& walk, long first, long count, const float** seen) {
    const Dense& d = walk.d;
    for (long step = 0; step < d.steps; ++step) {
        const long at = walk.at(step), begin = most(first, at), end = least(first + count, at + walk.rows(step));
        if (begin >= end) continue;
        const long before = walk.ascending ? step - 1 : step + 1;
        const bool exists = before >= 0 && before < d.steps;
        const long going = exists ? least(walk.rows(before), walk.rows(step)) : 0;
        for (long row = begin; row < end; ++row) {
            const long here = row - at;
            seen[row - first] = here < going ? d.y + (walk.at(before) + here) * d.units : d.h0 + here * d.units;
        }
    }
}

// dih and dhh, tiles [first, last) of all gates' rows: `rows` of the part's gradients from `at` on, `depth` of them.
template <typename Cell>
void weights_back(const Dense& d, const Gradients& g, long at, long depth, bool add, long first, long last) {
    const long tiles = (d.width + TILE - 1) / TILE, wide = Cell::DGATES * d.units;
    const float* panel_h = g.rows + depth * in_columns(d.entering);
    for (long tile = first; tile < last;) {
        // As many tiles of one gate as fill the second cache.
        const long gate = tile / tiles, unit = tile % tiles * TILE;
        const long stop = least(least(last, (gate + 1) * tiles), tile + HEIGHT / TILE);
        const long height = least(d.width, unit + (stop - tile) * TILE) - unit, row = gate * d.width + unit;
        const auto pack = [&](long block) {
            for (long i = 0; i < height; i += TILE)
                pack_tile(g.tiles + i * depth, g.dgates + at * wide + block * d.units + unit + i, wide, depth,
                          least(TILE, height - i));
        };
        const long entering = block_of_gate<Cell>(gate), recurrent = Cell::FIRST + gate;
        pack(entering);
        if (d.dih != nullptr)
            tiles_times_matrix(g.tiles, height, g.rows, depth, d.entering,
                               {d.dih + row * d.entering, d.entering, nullptr, add});
        if (d.dhh != nullptr) {
            if (recurrent != entering) pack(recurrent);
            tiles_times_matrix(g.tiles, height, panel_h, depth, d.width, {d.dhh + row * d.width, d.width, nullptr, add});
        }
        tile = stop;
    }
}

// dbias and dbias_hn: units [first, last) of every gate.
template <typename Cell>
void biases_back(const Dense& d, const Gradients& g, long rows, bool add, long first, long last) {
    const long wide = Cell::DGATES * d.units;
    for (int block = 0; block < Cell::DGATES; ++block) {
        const bool inner = block >= Cell::GATES;
        float* to = inner ? d.dbias_hn : d.dbias == nullptr ? nullptr : d.dbias + gate_of_block<Cell>(block) * d.width;
        if (to == nullptr) continue;
        for (long unit = first; unit < last; unit += COLUMNS) {
            Vec sums[SPAN] = {};
            for (long row = 0; row < rows; ++row)
                RECURRA_UNROLL
                for (int n = 0; n < SPAN; ++n) sums[n] += load(g.dgates + row * wide + block * d.units + unit + n * W);
            RECURRA_UNROLL
            for (int n = 0; n < SPAN; ++n) {
                float* at = to + unit + n * W;
                const long some = least(W, d.width - unit - n * W);
                if (some > 0) store_some(at, add ? load_some(at, some) + sums[n] : sums[n], some);
            }
        }
    }
}

// A thread's share of a part's products. `walk` is the forward pass'.
template <typename Cell>
void products_back(const Dense& d, const Walk& walk, const Gradients& g, const Part& part, int thread, int threads) {
    const long wide = Cell::DGATES * d.units;
    if (d.dx != nullptr) {
        const long first = part.rows * thread / threads, last = part.rows * (thread + 1) / threads;
        rows_times_matrix(g.dgates + first * wide, wide, last - first, g.panel, Cell::GATES * d.units, d.entering,
                          {d.dx + (part.row + first) * d.entering, d.entering, nullptr, false});
    }
    const long blocks = d.units / COLUMNS;
    biases_back<Cell>(d, g, part.rows, part.first > 0, blocks * thread / threads * COLUMNS,
                      blocks * (thread + 1) / threads * COLUMNS);
    if (d.dih == nullptr && d.dhh == nullptr) return;
    const long tiles = Cell::GATES * ((d.width + TILE - 1) / TILE), columns = in_columns(d.entering);
    long at = 0;
    do {  // once at least: without rows the gradients are zero
        const long depth = least(DEPTH, part.rows - at), first = part.row + at;
        if (d.dih != nullptr)
            pack_rows(g.rows, depth, d.entering, 0, columns / COLUMNS, [&](long k) { return d.x + (first + k) * d.entering; });
        if (d.dhh != nullptr) {
            const float* seen[DEPTH];
            seen_by(walk, first, depth, seen);
            pack_rows(g.rows + depth * columns, depth, d.width, 0, blocks, [&](long k) { return seen[k]; });
        }
        weights_back<Cell>(d, g, at, depth, part.first > 0 || at > 0, tiles * thread / threads, tiles * (thread + 1) / threads);
        at += depth;
    } while (at < part.rows);
}

}  // namespace recurra::RECURRA_VARIANT
