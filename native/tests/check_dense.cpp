// Elman, LSTM and GRU layers against their definition, forward and backward: whole and ragged, both directions, any width.
#include <algorithm>

#include "check.hpp"
#include "tape.hpp"

namespace check {

namespace {

using recurra::Dense;
using recurra::DenseCell;

struct Cell {
    DenseCell cell;
    const char* name;
    int gates, dgates;
};

constexpr Cell cells[] = {{DenseCell::elman, "dense, Elman", 1, 1},
                          {DenseCell::lstm, "dense, LSTM", 4, 4},
                          {DenseCell::gru, "dense, GRU", 3, 4}};

struct Sizes {
    long rows, steps, width, units;
    std::vector<long> lengths, counts, offsets;  // lengths: the longest first

    Sizes(Draw& draw, bool large, long vector) : rows(large ? 17 + draw.upto(8) : 1 + draw.upto(5)),
                                                 steps(1 + draw.upto(5)), width(large ? 24 + draw.upto(16) : draw.size(1, 40)) {
        units = (width + 2 * vector - 1) / (2 * vector) * 2 * vector;
        if (draw.coin()) return;
        for (long row = 0; row < rows; ++row) lengths.push_back(draw.upto(steps));
        std::sort(lengths.rbegin(), lengths.rend());
        long all = 0;
        for (long step = 0; step < steps; ++step) {
            offsets.push_back(all);
            counts.push_back(std::count_if(lengths.begin(), lengths.end(), [&](long length) { return length > step; }));
            all += counts.back();
        }
    }
    bool whole() const { return lengths.empty(); }
    long length(long row) const { return whole() ? steps : lengths[std::size_t(row)]; }
    long total() const { return whole() ? rows * steps : offsets.back() + counts.back(); }
    long place(long step, long row) const { return (whole() ? step * rows : offsets[std::size_t(step)]) + row; }
};

struct Layer {
    const Cell cell;
    const Sizes z;
    Guarded<float> weight, bias_hn, h0, c0, panel, gates, entered, y, kept, hn, cn, gy, dh, dc, dgates;
    Dense d;
    std::vector<Var> xs, adds, hs, cs, ys, hns, cns;  // adds: what h's part of each gate is; GRU's, bias included

    Layer(const Cell& which, const Sizes& sizes, Draw& draw)
        : cell(which), z(sizes), weight(which.gates * z.width * z.width, draw, -0.4, 0.4), bias_hn(z.units, draw),
          h0(z.rows * z.units, draw), c0(which.cell == DenseCell::lstm ? z.rows * z.units : 0, draw),
          panel(which.gates * z.units * z.units, draw), gates(z.total() * which.gates * z.units, draw),
          entered(gates.count(), draw), y(z.total() * z.units, draw),
          kept(which.cell == DenseCell::elman ? 0 : z.total() * z.units, draw), hn(z.rows * z.units, draw),
          cn(c0.count(), draw), gy(y.count(), draw), dh(h0.count(), draw), dc(c0.count(), draw),
          dgates(z.total() * which.dgates * z.units, draw) {
        for (Guarded<float>* each : {&bias_hn, &h0, &c0, &entered, &gy, &dh, &dc})
            for (long i = 0; i < each->count(); ++i)
                (*each)[i] = i % z.units < z.width ? float(draw.between(-1.5, 1.5)) : 0.0f;
        d = Dense{which.cell, draw.coin(), draw.coin(), true, int(1 + draw.upto(2)), z.rows, z.steps, z.width, z.units,
                  z.whole() ? nullptr : z.counts.data(), z.whole() ? nullptr : z.offsets.data(), weight.data(),
                  bias_hn.data(), h0.data(), c0.data(), panel.data(), gates.data(), y.data(), kept.data(), hn.data(),
                  cn.data(), nullptr, nullptr, nullptr, nullptr};
    }

    Var linear(const std::vector<Var>& h, int gate, long unit) const {
        Var sum;
        for (long k = 0; k < z.width; ++k)
            sum = sum + Var(double(weight[(gate * z.width + unit) * z.width + k])) * h[std::size_t(k)];
        return sum;
    }

    void define() {
        tape.clear();
        const auto noted = [](const Guarded<float>& from) {
            std::vector<Var> found;
            for (long i = 0; i < from.count(); ++i) found.push_back(Var::input(double(from[i])));
            return found;
        };
        xs = noted(entered), hs = noted(h0), cs = noted(c0);
        hns = hs, cns = cs;
        adds.assign(xs.size(), Var()), ys.assign(std::size_t(y.count()), Var());
        for (long row = 0; row < z.rows; ++row)
            for (long count = 0; count < z.length(row); ++count)
                define_step(row, d.reverse ? z.length(row) - 1 - count : count);
    }

    void define_step(long row, long step) {
        const std::vector<Var> before(hns.begin() + row * z.units, hns.begin() + (row + 1) * z.units);
        const long place = z.place(step, row);
        for (long unit = 0; unit < z.width; ++unit) {
            Var x[4];
            for (int gate = 0; gate < cell.gates; ++gate) {
                const std::size_t at = std::size_t((place * cell.gates + gate) * z.units + unit);
                adds[at] = linear(before, gate, unit);
                if (cell.cell == DenseCell::gru && gate == 2) adds[at] = adds[at] + Var(double(bias_hn[unit]));
                x[gate] = xs[at];
                if (cell.cell != DenseCell::gru || gate < 2) x[gate] = x[gate] + adds[at];
            }
            Var& h = hns[std::size_t(row * z.units + unit)];
            if (cell.cell == DenseCell::elman) {
                h = d.relu ? relu(x[0]) : tanh(x[0]);
            } else if (cell.cell == DenseCell::lstm) {
                Var& c = cns[std::size_t(row * z.units + unit)];
                c = sigmoid(x[1]) * c + sigmoid(x[0]) * tanh(x[2]);
                h = sigmoid(x[3]) * tanh(c);
            } else {
                const Var u = sigmoid(x[1]);
                const Var n = tanh(x[2] + sigmoid(x[0]) * adds[std::size_t((place * 3 + 2) * z.units + unit)]);
                h = u * h + (Var(1.0) - u) * n;
            }
            ys[std::size_t(place * z.units + unit)] = h;
        }
    }

    static std::vector<double> values(const std::vector<Var>& vars) {
        std::vector<double> found;
        for (const Var& each : vars) found.push_back(each.value);
        return found;
    }

    void compare(Tally& tally, const recurra::Kernels& kernels) {
        define();
        const bool lstm = cell.cell == DenseCell::lstm;
        for (const bool keep : {false, true}) {
            std::copy_n(entered.data(), entered.count(), gates.data());
            for (Guarded<float>* each : {&y, &hn, &panel}) std::fill_n(each->data(), each->count(), NAN);
            if (lstm) std::copy_n(c0.data(), c0.count(), cn.data());
            d.keep = keep;
            if (!keep) d.kept = nullptr;
            kernels.dense(d, false);
            d.kept = kept.data();
            tally.compare(keep ? "y" : "y, not kept", y, values(ys), 1e-5);
            tally.compare("hn", hn, values(hns), 1e-5);
            if (lstm) tally.compare("cn", cn, values(cns), 1e-5);
        }
        std::vector<Var> results = ys;
        std::vector<double> weights(gy.data(), gy.data() + gy.count());
        const auto also = [&](const std::vector<Var>& vars, const Guarded<float>& by) {
            results.insert(results.end(), vars.begin(), vars.end());
            weights.insert(weights.end(), by.data(), by.data() + by.count());
        };
        also(hns, dh), also(cns, dc);
        const std::vector<double> by = gradients(results, weights);
        d.gy = gy.data(), d.dh = dh.data(), d.dc = dc.data(), d.dgates = dgates.data();
        std::fill_n(panel.data(), panel.count(), NAN);
        kernels.dense(d, true);
        const auto of = [&](const std::vector<Var>& vars) {
            std::vector<double> found;
            for (const Var& each : vars) found.push_back(each.at < 0 ? 0.0 : by[std::size_t(each.at)]);
            return found;
        };
        tally.compare("dh0", dh, of(hs), 2e-5);
        if (lstm) tally.compare("dc0", dc, of(cs), 2e-5);
        tally.compare("dgates", dgates, ordered(of(xs), of(adds)), 2e-5);
        if (gates.touched() || kept.touched() || panel.touched()) tally.fail("%s", "written outside of an array");
    }

    // As the kernel gives them: GRU's are n, r, u and what h's part of n gets.
    std::vector<double> ordered(const std::vector<double>& by_x, const std::vector<double>& by_h) const {
        if (cell.cell != DenseCell::gru) return by_x;
        std::vector<double> found;
        for (long place = 0; place < z.total(); ++place)
            for (const int gate : {2, 0, 1, 5})
                for (long unit = 0; unit < z.units; ++unit)
                    found.push_back((gate == 5 ? by_h : by_x)[std::size_t((place * 3 + gate % 3) * z.units + unit)]);
        return found;
    }
};

}  // namespace

bool check_dense(const recurra::Kernels& kernels, long cases, Draw& draw) {
    bool well = true;
    for (const Cell& cell : cells) {
        Tally tally(kernels, cell.name);
        for (long i = 0; i < cases; ++i) {
            const Sizes sizes(draw, i % 8 == 3, kernels.width);
            Layer layer(cell, sizes, draw);
            tally.next("rows %ld, steps %ld, width %ld, %s%s%s, threads %d", sizes.rows, sizes.steps, sizes.width,
                       sizes.whole() ? "whole" : "ragged", layer.d.reverse ? ", reverse" : "",
                       layer.d.relu ? ", relu" : "", layer.d.threads);
            layer.compare(tally, kernels);
        }
        well &= tally.done();
    }
    return well;
}

}  // namespace check
