// The diagonal recurrence against its definition, in double.
#include "check.hpp"

namespace check {

namespace {

template <typename Number>
void naive(const recurra::Scan<Number>& s, std::vector<double>& h) {
    for (long row = 0; row < s.rows; ++row)
        for (long unit = 0; unit < s.units; ++unit) {
            double before = double(s.h0[row * s.units + unit]);
            for (long count = 0; count < s.steps; ++count) {
                const long step = s.reverse ? s.steps - 1 - count : count;
                const std::size_t at = std::size_t((row * s.steps + step) * s.units + unit);
                h[at] = before = double(s.a[at]) * before + double(s.b[at]);
            }
        }
}

template <typename Number>
bool check_one(const recurra::Kernels& kernels, const char* name, void (*scan)(const recurra::Scan<Number>&), long cases,
               double allowed, Draw& draw) {
    Tally tally(kernels, name);
    for (long i = 0; i < cases; ++i) {
        const long rows = draw.upto(4), steps = draw.upto(12), units = draw.size();
        const bool reverse = draw.coin();
        const int threads = int(1 + draw.upto(2));
        tally.next("rows %ld, steps %ld, units %ld, reverse %d, threads %d", rows, steps, units, reverse, threads);
        Guarded<Number> a(rows * steps * units, draw, -1.0, 1.0), b(a.count(), draw, -1.0, 1.0);
        Guarded<Number> h0(rows * units, draw, -1.0, 1.0), out(a.count(), draw), again(a.count(), draw);
        if (draw.coin() && b.count()) b[draw.upto(b.count() - 1)] = Number(draw.coin() ? NAN : INFINITY);
        std::vector<double> want(std::size_t(a.count()));
        recurra::Scan<Number> s = {a.data(), b.data(), h0.data(), out.data(), rows, steps, units, reverse, threads};
        naive(s, want);
        scan(s);
        tally.compare("out", out, want, allowed);
        s.out = again.data(), s.threads = 4 - threads;
        scan(s);
        tally.same("out", out, again);
    }
    return tally.done();
}

}  // namespace

bool check_scan(const recurra::Kernels& kernels, long cases, Draw& draw) {
    const bool singles = check_one(kernels, "scan", kernels.scan, cases, 2e-6, draw);
    return check_one(kernels, "scan, double", kernels.scan_double, cases, 1e-14, draw) && singles;
}

}  // namespace check
