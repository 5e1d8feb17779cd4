// The diagonal recurrences against their definition (src/recurra/ops/diagonal/reference.py), forward and backward.
#include <algorithm>

#include "check.hpp"
#include "tape.hpp"

namespace check {

namespace {

using recurra::Scan;
using recurra::ScanCell;

struct Cell {
    ScanCell cell;
    const char* name;
    int inputs;
    bool shares, gated, reads_out, pairs;
};

constexpr Cell cells[] = {
    {ScanCell::linear, "scan, linear", 2, false, false, false, false},
    {ScanCell::steady, "scan, steady", 1, true, false, false, false},
    {ScanCell::complex, "scan, complex", 2, false, false, false, true},
    {ScanCell::steady_complex, "scan, steady complex", 1, true, false, false, true},
    {ScanCell::min_gru, "scan, minGRU", 2, false, true, false, false},
    {ScanCell::min_lstm, "scan, minLSTM", 3, false, true, false, false},
    {ScanCell::qrnn, "scan, QRNN", 3, false, true, true, false},
    {ScanCell::sru, "scan, SRU", 4, false, true, true, false},
    {ScanCell::rg_lru, "scan, RG-LRU", 3, true, true, false, false},
};

// One unit's a, b and output; `in` and `shared` are its own.
void coefficients(ScanCell cell, const Var* in, const Var& shared, Var& a, Var& b) {
    switch (cell) {
        case ScanCell::linear: a = in[0], b = in[1]; break;
        case ScanCell::steady: a = shared, b = in[0]; break;
        case ScanCell::min_gru: a = sigmoid(Var(0.0) - in[0]), b = sigmoid(in[0]) * in[1]; break;
        case ScanCell::min_lstm: {
            const Var kept = sigmoid(in[0]), entering = sigmoid(in[1]);
            a = kept / (kept + entering), b = entering / (kept + entering) * in[2];
            break;
        }
        case ScanCell::qrnn: a = sigmoid(in[1]), b = (Var(1.0) - a) * tanh(in[0]); break;
        case ScanCell::sru: a = sigmoid(in[1]), b = (Var(1.0) - a) * in[0]; break;
        case ScanCell::rg_lru: {
            const Var log_a = shared * sigmoid(in[1]);
            a = exp(log_a), b = sqrt(Var(0.0) - expm1(log_a + log_a)) * sigmoid(in[2]) * in[0];
            break;
        }
        default: break;
    }
}

Var output(ScanCell cell, const Var* in, const Var& h) {
    if (cell == ScanCell::qrnn) return sigmoid(in[2]) * h;
    if (cell == ScanCell::sru) return sigmoid(in[2]) * tanh(h) + (Var(1.0) - sigmoid(in[2])) * in[3];
    return h;
}

template <typename Number>
struct Case {
    const Cell cell;
    long rows, steps, units;
    Guarded<Number> in, in2, shared, h0, y, h, last, gy, glast, gin, gin2, gshared, gh0;
    std::vector<long> lengths;
    Scan<Number> s;
    std::vector<Var> ins, shareds, h0s, ys, lasts;

    static long zeros(bool there, long count) { return there ? count : 0; }

    Case(const Cell& which, long r, long t, long d, Draw& draw)
        : cell(which), rows(r), steps(t), units(d),
          // With gates what enters lies side by side in one array, else in arrays of its own.
          in(r * t * d * (which.gated ? which.inputs : 1), draw, which.pairs ? -0.7 : -1.1, which.pairs ? 0.7 : 1.1),
          in2(zeros(!which.gated && which.inputs > 1, r * t * d), draw, -1.0, 1.0),
          shared(zeros(which.shares, d), draw, -0.7, which.gated ? -0.1 : 0.7), h0(r * d, draw, -1.0, 1.0),
          y(r * t * d, draw), h(zeros(which.reads_out, r * t * d), draw), last(zeros(which.gated, r * d), draw),
          gy(r * t * d, draw, -1.0, 1.0), glast(zeros(which.gated, r * d), draw, -1.0, 1.0), gin(in.count(), draw),
          gin2(in2.count(), draw), gshared(zeros(which.shares, r * d), draw), gh0(r * d, draw) {
        if (draw.coin())
            for (long row = 0; row < r; ++row) lengths.push_back(draw.coin() ? t : draw.upto(t));
        const long stride = which.gated ? which.inputs * d : d;
        s = {which.cell, int(1 + draw.upto(2)), !which.gated, r, t, d, stride, lengths.empty() ? nullptr : lengths.data(),
             {}, which.shares ? shared.data() : nullptr, h0.data(), y.data(), which.reads_out ? h.data() : nullptr,
             which.gated ? last.data() : nullptr, nullptr, nullptr, {}, nullptr, nullptr};
        for (int k = 0; k < which.inputs; ++k) {
            s.in[k] = which.gated ? in.data() + k * d : k ? in2.data() : in.data();
            s.gin[k] = which.gated ? gin.data() + k * d : k ? gin2.data() : gin.data();
        }
        for (long row = 0; row < r; ++row)  // what is not to be read
            for (long step = length(row); step < t; ++step)
                for (long i = 0; i < stride; ++i) {
                    in[(row * t + step) * stride + i] = Number(NAN);
                    if (in2.count()) in2[(row * t + step) * stride + i] = Number(NAN);
                }
    }

    long length(long row) const { return lengths.empty() ? steps : lengths[std::size_t(row)]; }

    static std::vector<Var> noted(const Number* from, long count) {
        std::vector<Var> found;
        for (long i = 0; i < count; ++i) found.push_back(Var::input(double(from[i])));
        return found;
    }

    void define() {
        tape.clear();
        ins = noted(in.data(), in.count());
        for (const Var& each : noted(in2.data(), in2.count())) ins.push_back(each);
        shareds = noted(shared.data(), shared.count()), h0s = noted(h0.data(), h0.count());
        ys.assign(std::size_t(rows * steps * units), Var()), lasts = h0s;
        const long width = cell.pairs ? 2 : 1;
        for (long row = 0; row < rows; ++row)
            for (long unit = 0; unit < units; unit += width) define_unit(row, unit);
    }

    Var in_at(int k, long row, long step, long unit) const {
        return cell.gated ? ins[std::size_t(((row * steps + step) * cell.inputs + k) * units + unit)]
                          : ins[std::size_t((k * rows * steps + row * steps + step) * units + unit)];
    }

    void define_unit(long row, long unit) {
        Var* state = &lasts[std::size_t(row * units + unit)];
        for (long step = 0; step < steps; ++step) {
            Var* out = &ys[std::size_t((row * steps + step) * units + unit)];
            if (step >= length(row)) {
                if (s.holds) out[0] = state[0];
                if (s.holds && cell.pairs) out[1] = state[1];
                continue;
            }
            if (cell.pairs) {
                const Var real = cell.shares ? shareds[std::size_t(unit)] : in_at(0, row, step, unit);
                const Var imaginary = cell.shares ? shareds[std::size_t(unit + 1)] : in_at(0, row, step, unit + 1);
                const int b = cell.inputs - 1;
                const Var h = real * state[0] - imaginary * state[1] + in_at(b, row, step, unit);
                state[1] = real * state[1] + imaginary * state[0] + in_at(b, row, step, unit + 1);
                out[0] = state[0] = h, out[1] = state[1];
                continue;
            }
            Var of[4], a, b;
            for (int k = 0; k < cell.inputs; ++k) of[k] = in_at(k, row, step, unit);
            coefficients(cell.cell, of, cell.shares ? shareds[std::size_t(unit)] : Var(), a, b);
            state[0] = a * state[0] + b;
            out[0] = output(cell.cell, of, state[0]);
        }
    }

    static std::vector<double> values(const std::vector<Var>& vars) {
        std::vector<double> found;
        for (const Var& each : vars) found.push_back(each.value);
        return found;
    }

    void compare(Tally& tally, void (*scan)(const Scan<Number>&, bool), double allowed) {
        define();
        scan(s, false);
        tally.compare("y", y, values(ys), allowed);
        if (cell.gated) tally.compare("last", last, values(lasts), allowed);
        s.gy = gy.data(), s.glast = cell.gated ? glast.data() : nullptr;
        s.gshared = cell.shares ? gshared.data() : nullptr, s.gh0 = gh0.data();
        if (!cell.reads_out) s.h = s.y;
        scan(s, true);
        std::vector<Var> results = ys;
        std::vector<double> weights(gy.data(), gy.data() + gy.count());
        if (cell.gated) {
            results.insert(results.end(), lasts.begin(), lasts.end());
            weights.insert(weights.end(), glast.data(), glast.data() + glast.count());
        }
        const std::vector<double> by = gradients(results, weights);
        const auto of = [&](const std::vector<Var>& vars, long from, long count) {
            std::vector<double> found;
            for (long i = from; i < from + count; ++i) found.push_back(by[std::size_t(vars[std::size_t(i)].at)]);
            return found;
        };
        tally.compare("gin", gin, of(ins, 0, gin.count()), allowed);
        tally.compare("gin[1]", gin2, of(ins, gin.count(), gin2.count()), allowed);
        tally.compare("gh0", gh0, of(h0s, 0, gh0.count()), allowed);
        if (gh0.touched() || gshared.touched() || h.touched()) tally.fail("%s", "written outside of an array");
        if (!cell.shares) return;
        std::vector<double> all(std::size_t(units), 0.0);
        for (long i = 0; i < rows * units; ++i) all[std::size_t(i % units)] += double(gshared[i]);
        for (long i = 0; i < units; ++i) {
            const double want = by[std::size_t(shareds[std::size_t(i)].at)];
            if (!(std::fabs(all[std::size_t(i)] - want) <= allowed * std::fmax(1.0, std::fabs(want)) * 10))
                tally.fail("gshared[%ld] is %.9g, not %.9g", i, all[std::size_t(i)], want);
        }
    }
};

template <typename Number>
bool check_cell(const recurra::Kernels& kernels, const Cell& cell, void (*scan)(const Scan<Number>&, bool), long cases,
                double allowed, Draw& draw) {
    char name[64];
    std::snprintf(name, sizeof name, "%s%s", cell.name, sizeof(Number) == 8 ? ", double" : "");
    Tally tally(kernels, name);
    for (long i = 0; i < cases; ++i) {
        const bool large = i % 16 == 5;  // enough for more than one thread
        const long rows = large ? 1 + draw.upto(16) : draw.upto(4);
        long units = large ? 64 + draw.size() : i % 64 == 9 ? 1030 : draw.size();
        if (cell.pairs) units += units % 2;
        const long steps = large ? 34000 / (rows * units * cell.inputs) + 1 : draw.upto(9);
        Case<Number> each(cell, rows, steps, units, draw);
        tally.next("rows %ld, steps %ld, units %ld, %s, threads %d", rows, steps, units,
                   each.lengths.empty() ? "whole" : "ragged", each.s.threads);
        each.compare(tally, scan, allowed);
    }
    return tally.done();
}

// Arrays that are large and lie at whole lines are written around the caches: the same numbers must come out.
bool check_streaming(const recurra::Kernels& kernels, Draw& draw) {
    Tally tally(kernels, "scan, around the caches");
    constexpr long rows = 2, steps = 1100, units = 2048, count = rows * steps * units;
    Guarded<float> a(count, draw, -1.0, 1.0), b(count, draw, -1.0, 1.0), h0(rows * units, draw, -1.0, 1.0);
    Guarded<float> gh0(rows * units, draw), other(rows * units, draw);
    std::vector<float> room(std::size_t(6 * count + 64));
    float* const line = room.data() + (64 - reinterpret_cast<std::uintptr_t>(room.data()) % 64) / sizeof(float);
    float *const y = line, *const ga = y + count, *const gb = ga + count;  // at whole lines
    float *const y2 = gb + count + 3, *const ga2 = y2 + count, *const gb2 = ga2 + count;
    Scan<float> s = {ScanCell::linear, 2, true, rows, steps, units, units, nullptr, {a.data(), b.data()}, nullptr, h0.data(),
                     y, nullptr, nullptr, nullptr, nullptr, {}, nullptr, nullptr};
    tally.next("units %ld", units);
    for (int twice = 0; twice < 2; ++twice) {
        s.y = twice ? y2 : y, s.h = nullptr;
        kernels.scan(s, false);
        s.h = s.y, s.gy = b.data(), s.gin[0] = twice ? ga2 : ga, s.gin[1] = twice ? gb2 : gb;
        s.gh0 = twice ? other.data() : gh0.data();
        kernels.scan(s, true);
    }
    if (std::memcmp(y, y2, std::size_t(3 * count) * sizeof(float))) tally.fail("%s", "other numbers");
    tally.same("gh0", gh0, other);
    return tally.done();
}

}  // namespace

bool check_scan(const recurra::Kernels& kernels, long cases, Draw& draw) {
    bool well = check_streaming(kernels, draw);
    for (const Cell& cell : cells) well &= check_cell<float>(kernels, cell, kernels.scan, cases, 1e-5, draw);
    for (const Cell& cell : cells)
        if (!cell.gated && cell.cell != ScanCell::steady_complex)
            well &= check_cell<double>(kernels, cell, kernels.scan_double, cases / 4 + 1, 1e-12, draw);
    return well;
}

}  // namespace check
