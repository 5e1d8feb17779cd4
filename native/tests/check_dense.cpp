// Elman, LSTM and GRU layers against their definition, forward and backward to every weight: whole and ragged, both directions,
// any sizes.
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
    int gates;
};

constexpr Cell cells[] = {
    {DenseCell::elman, "dense, Elman", 1}, {DenseCell::lstm, "dense, LSTM", 4}, {DenseCell::gru, "dense, GRU", 3}};

struct Sizes {
    long rows, steps, entering, width, units;
    std::vector<long> lengths, counts, offsets;  // lengths: the longest first

    Sizes(Draw& draw, bool large, long vector) : rows(large ? 17 + draw.upto(8) : 1 + draw.upto(5)),
                                                 steps(1 + draw.upto(5)), entering(draw.size(1, 40)),
                                                 width(large ? 24 + draw.upto(16) : draw.size(1, 40)) {
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
    Guarded<float> x, ih, hh, bias, bias_hn, h0, c0, gates, y, kept, hn, cn, gy, dh, dc, dx, dih, dhh, dbias, dbias_hn;
    Dense d;
    std::vector<Var> xs, ihs, hhs, biases, inner, hs, cs, ys, hns, cns;

    Layer(const Cell& which, const Sizes& sizes, Draw& draw)
        : cell(which), z(sizes), x(z.total() * z.entering, draw, -1.5, 1.5), ih(gated() * z.entering, draw, -0.4, 0.4),
          hh(gated() * z.width, draw, -0.4, 0.4), bias(gated(), draw, -0.5, 0.5), bias_hn(z.width, draw, -0.5, 0.5),
          h0(z.rows * z.units, draw), c0(which.cell == DenseCell::lstm ? z.rows * z.units : 0, draw),
          gates(z.total() * which.gates * z.units, draw), y(z.total() * z.units, draw),
          kept(which.cell == DenseCell::elman ? 0 : z.total() * z.units, draw), hn(z.rows * z.units, draw),
          cn(c0.count(), draw), gy(y.count(), draw), dh(h0.count(), draw), dc(c0.count(), draw), dx(x.count(), draw),
          dih(ih.count(), draw), dhh(hh.count(), draw), dbias(bias.count(), draw), dbias_hn(bias_hn.count(), draw) {
        for (Guarded<float>* each : {&h0, &c0, &gy, &dh, &dc})
            for (long i = 0; i < each->count(); ++i)
                (*each)[i] = i % z.units < z.width ? float(draw.between(-1.5, 1.5)) : 0.0f;
        d = Dense{};
        d.cell = which.cell, d.relu = draw.coin(), d.reverse = draw.coin(), d.threads = int(1 + draw.upto(2));
        d.rows = z.rows, d.steps = z.steps, d.entering = z.entering, d.width = z.width, d.units = z.units;
        if (!z.whole()) d.counts = z.counts.data(), d.offsets = z.offsets.data();
        d.x = x.data(), d.ih = ih.data(), d.hh = hh.data();
        if (draw.coin()) d.bias = bias.data();
        if (which.cell == DenseCell::gru && draw.coin()) d.bias_hn = bias_hn.data();
        d.h0 = h0.data(), d.c0 = c0.data(), d.y = y.data(), d.hn = hn.data(), d.cn = cn.data();
    }

    long gated() const { return cell.gates * z.width; }

    static std::vector<Var> noted(const Guarded<float>& from, bool there = true) {
        std::vector<Var> found;
        for (long i = 0; i < from.count(); ++i) found.push_back(there ? Var::input(double(from[i])) : Var(0.0));
        return found;
    }

    // Row `row` of a matrix times a vector.
    static Var linear(const std::vector<Var>& matrix, long row, const std::vector<Var>& vector) {
        Var sum;
        for (std::size_t k = 0; k < vector.size(); ++k) sum = sum + matrix[std::size_t(row) * vector.size() + k] * vector[k];
        return sum;
    }

    void define() {
        tape.clear();
        xs = noted(x), ihs = noted(ih), hhs = noted(hh), hs = noted(h0), cs = noted(c0);
        biases = noted(bias, d.bias != nullptr), inner = noted(bias_hn, d.bias_hn != nullptr);
        hns = hs, cns = cs;
        ys.assign(std::size_t(y.count()), Var());
        for (long row = 0; row < z.rows; ++row)
            for (long count = 0; count < z.length(row); ++count)
                define_step(row, d.reverse ? z.length(row) - 1 - count : count);
    }

    void define_step(long row, long step) {
        const std::vector<Var> before(hns.begin() + row * z.units, hns.begin() + row * z.units + z.width);
        const long place = z.place(step, row);
        const std::vector<Var> here(xs.begin() + place * z.entering, xs.begin() + (place + 1) * z.entering);
        for (long unit = 0; unit < z.width; ++unit) {
            Var entered[4], added[4];
            for (int gate = 0; gate < cell.gates; ++gate) {
                const long at = gate * z.width + unit;
                entered[gate] = linear(ihs, at, here) + biases[std::size_t(at)];
                added[gate] = linear(hhs, at, before);
            }
            Var& h = hns[std::size_t(row * z.units + unit)];
            const auto sum = [&](int gate) { return entered[gate] + added[gate]; };
            if (cell.cell == DenseCell::elman) {
                h = d.relu ? relu(sum(0)) : tanh(sum(0));
            } else if (cell.cell == DenseCell::lstm) {
                Var& c = cns[std::size_t(row * z.units + unit)];
                c = sigmoid(sum(1)) * c + sigmoid(sum(0)) * tanh(sum(2));
                h = sigmoid(sum(3)) * tanh(c);
            } else {
                const Var u = sigmoid(sum(1));
                const Var n = tanh(entered[2] + sigmoid(sum(0)) * (added[2] + inner[std::size_t(unit)]));
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

    void run(Tally& tally, const recurra::Kernels& kernels, bool backward, Draw& draw) {
        Guarded<float> room(kernels.dense_room(d, backward), draw);
        d.room = room.data();
        kernels.dense(d, backward);
        if (room.touched()) tally.fail("%s", "written outside of the room");
    }

    void compare(Tally& tally, const recurra::Kernels& kernels, Draw& draw) {
        define();
        const bool lstm = cell.cell == DenseCell::lstm;
        for (const bool keep : {false, true}) {
            for (Guarded<float>* each : {&y, &hn}) std::fill_n(each->data(), each->count(), NAN);
            if (lstm) std::copy_n(c0.data(), c0.count(), cn.data());
            d.keep = keep;
            d.gates = keep ? gates.data() : nullptr, d.kept = keep ? kept.data() : nullptr;
            run(tally, kernels, false, draw);
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
        d.gy = gy.data(), d.dh = dh.data(), d.dc = dc.data();
        const auto wanted = [&](bool possible, Guarded<float>& gradient) {
            return possible && draw.upto(4) ? gradient.data() : nullptr;
        };
        d.dx = wanted(true, dx), d.dih = wanted(true, dih), d.dhh = wanted(true, dhh);
        d.dbias = wanted(d.bias != nullptr, dbias), d.dbias_hn = wanted(d.bias_hn != nullptr, dbias_hn);
        run(tally, kernels, true, draw);
        const auto hold = [&](const char* name, const float* there, const Guarded<float>& got, const std::vector<Var>& vars) {
            if (there == nullptr) return;
            std::vector<double> found;
            for (const Var& each : vars) found.push_back(each.at < 0 ? 0.0 : by[std::size_t(each.at)]);
            tally.compare(name, got, found, 2e-5);
        };
        hold("dh0", d.dh, dh, hs);
        if (lstm) hold("dc0", d.dc, dc, cs);
        hold("dx", d.dx, dx, xs), hold("dih", d.dih, dih, ihs), hold("dhh", d.dhh, dhh, hhs);
        hold("dbias", d.dbias, dbias, biases), hold("dbias_hn", d.dbias_hn, dbias_hn, inner);
        if (gates.touched() || kept.touched()) tally.fail("%s", "written outside of an array");
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
            tally.next("rows %ld, steps %ld, entering %ld, width %ld, %s%s%s, threads %d", sizes.rows, sizes.steps,
                       sizes.entering, sizes.width, sizes.whole() ? "whole" : "ragged", layer.d.reverse ? ", reverse" : "",
                       layer.d.relu ? ", relu" : "", layer.d.threads);
            layer.compare(tally, kernels, draw);
        }
        well &= tally.done();
    }
    return well;
}

}  // namespace check
