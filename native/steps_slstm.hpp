// What the sLSTM does with one row of a step; src/recurra/ops/dense/slstm.py is the definition.
//
// Gates are kept as ĩ, f̃, tanh z̃ and σ(õ). The stabilizer m cancels out of h, but its gradient is computed as it is defined,
// for the clamp of n and the last m may be reason for one.
#pragma once

#include "steps_norm.hpp"

namespace recurra::RECURRA_VARIANT {

// log(1 + e) for e in 0 … 1, to about 1 ulp: twice the series of artanh(e / (2 + e)).
RECURRA_INLINE Vec log1p_of_share(Vec e) {
    const Vec s = e / (e + 2.0f), q = s * s;
    Vec p = splat(1.0f / 15.0f);
    p = p * q + 1.0f / 13.0f;
    p = p * q + 1.0f / 11.0f;
    p = p * q + 1.0f / 9.0f;
    p = p * q + 1.0f / 7.0f;
    p = p * q + 1.0f / 5.0f;
    p = p * q + 1.0f / 3.0f;
    return 2.0f * s + 2.0f * s * (q * p);
}

// What the input and the forget gate come to, from their sums and m before the step.
struct Exponents {
    Vec kept, m;     // log σ(f̃) + m before; m after
    Vec i, f;        // the gates
    Vec falls;       // how f̃ moves log σ(f̃): σ(-f̃)
    RECURRA_INLINE Exponents(Vec log_i, Vec f_sum, Vec before) {
        const Vec e = exp(f_sum < 0.0f ? f_sum : -f_sum);
        kept = (f_sum < 0.0f ? f_sum : Vec{}) - log1p_of_share(e) + before;
        m = kept < log_i ? log_i : kept;
        m = log_i == log_i ? m : log_i;  // NaN of either
        i = exp(log_i - m);
        f = exp(kept - m);
        falls = (f_sum < 0.0f ? splat(1.0f) : e) / (1.0f + e);
    }
};

inline void slstm_forward(const Steps& d, const Spot& s) {
    const long units = d.heads * d.units, kept = s.slot * units;
    const Sums sums = {d.entered + s.at * 4 * units, d.added + s.slot * 4 * units, nullptr, nullptr, nullptr};
    float* gates = d.gates + s.at * 4 * units;
    for (long unit = 0; unit < units; unit += W) {
        const Vec log_i = sums(unit), f_sum = sums(units + unit);
        const Vec z = tanh(sums(2 * units + unit)), o = sigmoid(sums(3 * units + unit));
        const Exponents e(log_i, f_sum, load(s.m + unit));
        const Vec c = e.f * load(s.c + unit) + e.i * z, n = e.f * load(s.n + unit) + e.i;
        store(gates + unit, log_i);
        store(gates + units + unit, f_sum);
        store(gates + 2 * units + unit, z);
        store(gates + 3 * units + unit, o);
        store(d.c + kept + unit, c);
        store(d.n + kept + unit, n);
        store(d.m + kept + unit, e.m);
        store(d.y + s.at * units + unit, o * c / (n < 1.0f ? splat(1.0f) : n));
    }
}

inline void slstm_backward(const Steps& d, const Spot& s) {
    const long units = d.heads * d.units, row = s.row * units;
    const float *gates = d.gates + s.at * 4 * units, *c_after = d.c + s.slot * units, *n_after = d.n + s.slot * units;
    float *dz = d.dentered + s.at * 4 * units, *dh = d.dh + row, *dc = d.dc + row, *dn = d.dn + row, *dm = d.dm + row;
    for (long unit = 0; unit < units; unit += W) {
        const Vec log_i = load(gates + unit), z = load(gates + 2 * units + unit), o = load(gates + 3 * units + unit);
        const Exponents e(log_i, load(gates + units + unit), load(s.m + unit));
        const Vec c = load(c_after + unit), n = load(n_after + unit), share = 1.0f / (n < 1.0f ? splat(1.0f) : n);
        const Vec dy = load(d.gy + s.at * units + unit) + load(dh + unit), h = c * share;
        const Vec given_c = load(dc + unit) + dy * o * share;
        const Vec given_n = load(dn + unit) - (n < 1.0f ? Vec{} : dy * o * h * share);
        const Vec dlog_i = (given_c * z + given_n) * e.i;
        const Vec dkept = (given_c * load(s.c + unit) + given_n * load(s.n + unit)) * e.f;
        // Of m's gradient the larger takes all, and where both are as large each a half.
        const Vec given_m = load(dm + unit) - dlog_i - dkept;
        const Vec to_kept = e.kept < log_i ? Vec{} : e.kept == log_i ? 0.5f * given_m : given_m;
        const Vec back = dkept + to_kept;
        store(dh + unit, Vec{});
        store(dc + unit, given_c * e.f);
        store(dn + unit, given_n * e.f);
        store(dm + unit, back);
        store(dz + unit, dlog_i + (given_m - to_kept));
        store(dz + units + unit, back * e.falls);
        store(dz + 2 * units + unit, given_c * e.i * (1.0f - z * z));
        store(dz + 3 * units + unit, dy * h * (o - o * o));
    }
}

}  // namespace recurra::RECURRA_VARIANT
