// The dense family with options, and the sLSTM: step by step, matrix products to memory and work on whole rows in turns.
//
// Layer norm sees a whole row, and a second matrix all that the first one gave, so what native/dense.hpp does in registers
// cannot be done here. Threads share out the rows, or, where there are few rows or a large matrix, the products' columns and
// then each step's rows, and meet after either.
#pragma once

#include "rows.hpp"
#include "steps_cells.hpp"
#include "steps_product.hpp"
#include "steps_slstm.hpp"
#include "threads.hpp"

namespace recurra::RECURRA_VARIANT {

using RowWork = void (*)(const Steps&, const Spot&);

// A step of a cell: forward, `prepare`, the product with `recurrent`, `forward`, the product with `second`,
// `forward_second`; backward, `backward`, `second`, `backward_second`, `recurrent`, `backward_last`; where there are any.
struct Plan {
    RowWork prepare, forward, forward_second, backward, backward_second, backward_last;
    Matrix recurrent, second;
    long gates, units;  // of a row: G, P
};

inline Plan plan_of(const Steps& d) {
    const long w = d.width, u = d.units;
    const Matrix none = {nullptr, 0, 1, 0, 0, COLUMNS, COLUMNS};
    switch (d.cell) {
        case StepsCell::elman: {
            const bool drops = d.dropout != nullptr;
            return {drops ? elman_prepare : nullptr, elman_forward, nullptr, elman_backward, nullptr,
                    drops ? elman_backward_last : nullptr, {d.weight, 1, 1, w, w, u, u}, none, 1, u};
        }
        case StepsCell::lstm: {
            const long gates = gates_of(d);
            const Matrix recurrent = {d.weight, gates, 1, w, d.shown, u, d.shown_units};
            if (d.projection == nullptr)
                return {nullptr, lstm_forward, nullptr, lstm_backward, nullptr, nullptr, recurrent, none, gates, u};
            return {nullptr, lstm_forward, lstm_forward_second, lstm_backward_shown, lstm_backward, nullptr, recurrent,
                    {d.projection, 1, 1, d.shown, w, d.shown_units, u}, gates, u};
        }
        case StepsCell::gru:
            if (!d.reset_first)
                return {nullptr, gru_forward, nullptr, gru_backward, nullptr, nullptr, {d.weight, 3, 1, w, w, u, u}, none, 3, u};
            return {nullptr, gru_forward, gru_forward_second, gru_backward, gru_backward_reset, nullptr,
                    {d.weight, 2, 1, w, w, u, u}, {d.weight + 2 * w * w, 1, 1, w, w, u, u}, 3, u};
        case StepsCell::slstm: break;
    }
    return {nullptr, slstm_forward, nullptr, slstm_backward, nullptr, nullptr, {d.weight, 4, d.heads, w, w, u, u}, none, 4,
            d.heads * u};
}

// What a thread does, step by step. Steps are counted in the order in which they are computed; the rows of a step are the
// first of the batch, the longest standing first, and lie one after another in every array.
struct Worker {
    const Steps& d;
    const Plan& plan;
    bool ascending;
    int thread, threads;
    Barrier& barrier;
    bool by_rows;
    long first_row, last_row;  // by rows: the thread's

    long step(long count) const { return ascending ? count : d.steps - 1 - count; }
    long rows(long step) const { return d.counts == nullptr ? d.rows : d.counts[step]; }
    long at(long step) const { return d.offsets == nullptr ? step * d.rows : d.offsets[step]; }
    // Rows of the count-th step that the next or the last one has, too.
    long common(long count, long other) const {
        const bool exists = other >= 0 && other < d.steps;
        const long here = rows(step(count)), there = exists ? rows(step(other)) : 0;
        return here < there ? here : there;
    }
    float* panel_second() const { return d.panel + plan.recurrent.panel_size(); }

    void meet() const {
        if (!by_rows) barrier.wait();
    }

    // Rows [begin, end) of the thread, of `count`.
    void own(long count, long& begin, long& end) const {
        begin = by_rows ? first_row : count * thread / threads;
        end = by_rows ? (last_row < count ? last_row : count) : count * (thread + 1) / threads;
    }

    // work(first block, last block, begin, end) for the thread's part of a product over rows [from, to).
    template <typename Work>
    void share(long blocks, long from, long to, Work work) const {
        if (!by_rows) return work(blocks * thread / threads, blocks * (thread + 1) / threads, from, to);
        work(0, blocks, first_row > from ? first_row : from, last_row < to ? last_row : to);
    }

    // `before`: the step computed before this one in the forward pass, whose first `going` rows go on in this one.
    void each_row(long count, long before, long going, RowWork work) const {
        const long start = at(step(count)), units = plan.units, kept = going ? at(step(before)) : 0;
        long begin, end;
        own(rows(step(count)), begin, end);
        for (long row = begin; row < end; ++row) {
            const bool goes = row < going;
            const auto state = [&](const float* first, const float* all) -> const float* {
                if (!d.keep) return row_of(all, row, units);  // in place
                return goes ? row_of(all, kept + row, units) : row_of(first, row, units);
            };
            const float* h = goes ? d.y + (kept + row) * d.shown_units : d.h0 + row * d.shown_units;
            work(d, {row, start + row, d.keep ? start + row : row, h, state(d.c0, d.c), state(d.n0, d.n), state(d.m0, d.m)});
        }
    }

    void multiply(const Matrix& m, const float* panel, const float* in, long stride, const Rows& out, long from, long to) const {
        share(m.forward_blocks(), from, to, [&](long first, long last, long begin, long end) {
            product_forward(m, panel, in, stride, out, first, last, begin, end);
        });
    }

    void multiply_back(const Matrix& m, const float* panel, const Rows& out, const Rows& in, bool add, long count) const {
        share(m.backward_blocks(), 0, count, [&](long first, long last, long begin, long end) {
            product_backward(m, panel, out, in, add, first, last, begin, end);
        });
    }

    void forward(long count) const {
        const long start = at(step(count)), going = common(count, count - 1), all = rows(step(count));
        const long slot = d.keep ? start : 0, wide = plan.gates * plan.units, units = plan.units;
        const Rows added = {d.added + slot * wide, wide};
        const float* inner = row_of(d.inner, slot, units);
        if (plan.prepare != nullptr) {
            each_row(count, count - 1, going, plan.prepare);
            meet();
            multiply(plan.recurrent, d.panel, inner, units, added, 0, all);
        } else {
            const float* h = d.y + (going ? at(step(count - 1)) : 0) * d.shown_units;
            multiply(plan.recurrent, d.panel, h, d.shown_units, added, 0, going);
            multiply(plan.recurrent, d.panel, d.h0, d.shown_units, added, going, all);
        }
        meet();
        each_row(count, count - 1, going, plan.forward);
        meet();
        if (plan.forward_second == nullptr) return;
        const Rows projected = {d.y + start * d.shown_units, d.shown_units};
        const Rows candidate = {added.data + 2 * units, wide};
        multiply(plan.second, panel_second(), inner, units, d.projection ? projected : candidate, 0, all);
        meet();
        each_row(count, count - 1, going, plan.forward_second);
        meet();
    }

    void backward(long count) const {
        const long start = at(step(count)), all = rows(step(count)), going = common(count, count + 1);
        const long wide = plan.gates * plan.units, units = plan.units;
        const Rows dadded = {d.dadded + start * wide, wide}, dinner = {d.dinner, units}, dh = {d.dh, d.shown_units};
        each_row(count, count + 1, going, plan.backward);
        meet();
        if (plan.backward_second != nullptr) {
            const Rows candidate = {dadded.data + 2 * units, wide};
            const Rows projected = {row_of(d.dshown, start, d.shown_units), d.shown_units};
            multiply_back(plan.second, panel_second(), d.projection ? projected : candidate, dinner, false, all);
            meet();
            each_row(count, count + 1, going, plan.backward_second);
            meet();
        }
        const bool last = plan.backward_last != nullptr;
        multiply_back(plan.recurrent, d.panel, dadded, last ? dinner : dh, !last, all);
        meet();
        if (!last) return;
        each_row(count, count + 1, going, plan.backward_last);
        meet();
    }
};

// Run work(worker) in as many threads as a step's work keeps busy, with the matrices packed.
template <typename Work>
void steps_team(const Steps& d, bool backward, Work work) {
    const Plan plan = plan_of(d);
    const Matrix &one = plan.recurrent, &two = plan.second;
    const double numbers = double(one.gates * one.heads * one.out * one.in + two.gates * two.out * two.in);
    const bool small = 2.0 * numbers * double(d.rows) < 60e3;
    team(small ? 1 : d.threads, [&](int thread, int threads, Barrier& barrier) {
        const bool by_rows = d.rows >= 8 * threads && numbers <= (1 << 18);
        const Worker worker = {d, plan, backward == d.reverse, thread, threads, barrier, by_rows || threads == 1,
                               row_of_share(d, thread, threads), row_of_share(d, thread + 1, threads)};
        const auto pack = [&](const Matrix& m, float* panel) {
            const long blocks = backward ? m.backward_blocks() : m.forward_blocks();
            const auto part = backward ? &pack_product_back : &pack_product;
            part(m, panel, blocks * thread / threads, blocks * (thread + 1) / threads);
        };
        pack(one, d.panel);
        if (two.weight != nullptr) pack(two, worker.panel_second());
        barrier.wait();
        work(worker);
    });
}

// Each row's states after its last step.
inline void steps_ends(const Steps& d, const Worker& worker) {
    const auto take = [&](float* last, const float* all, const float* first, long units) {
        if (last == nullptr) return;
        for (long row = 0; row < d.rows; ++row) {
            long step = d.steps - 1;
            while (step >= 0 && worker.rows(step) <= row) --step;
            const float* from = step < 0 ? first + row * units : all + (worker.at(worker.ascending ? step : 0) + row) * units;
            for (long unit = 0; unit < units; ++unit) last[row * units + unit] = from[unit];
        }
    };
    take(d.hn, d.y, d.h0, d.shown_units);
    if (!d.keep) return;
    take(d.cn, d.c, d.c0, worker.plan.units);
    take(d.nn, d.n, d.n0, worker.plan.units);
    take(d.mn, d.m, d.m0, worker.plan.units);
}

void steps_forward(const Steps& d) {
    steps_team(d, false, [&](const Worker& worker) {
        for (long count = 0; count < d.steps; ++count) worker.forward(count);
        worker.barrier.wait();
        if (worker.thread == 0) steps_ends(d, worker);
    });
}

// Against the forward pass: a row comes in at its last step and goes out at its first.
void steps_backward(const Steps& d) {
    steps_team(d, true, [&](const Worker& worker) {
        for (long count = 0; count < d.steps; ++count) worker.backward(count);
    });
}

}  // namespace recurra::RECURRA_VARIANT
