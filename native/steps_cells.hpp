// What Elman, LSTM and GRU do with one row of a step, forward and backward, with any of their options: native/steps.hpp
// calls these before, between and after a step's matrix products. src/recurra/ops/dense/reference.py is the definition.
#pragma once

#include "steps_norm.hpp"

namespace recurra::RECURRA_VARIANT {

// --------------------------------------------------------------------------------------------------------- what is shared

RECURRA_INLINE long gates_of(const Steps& d) {
    switch (d.cell) {
        case StepsCell::elman: return 1;
        case StepsCell::gru: return 3;
        default: return d.coupled ? 3 : 4;
    }
}

// The gates' sums; with layer norm they are made normal first, `blocks` blocks of what h adds.
inline Sums summed(const Steps& d, const Spot& s, long blocks) {
    const long wide = gates_of(d) * d.units;
    float *x = d.entered + s.at * wide, *h = d.added + s.slot * wide;
    if (d.gain_x != nullptr) {
        d.moments[4 * s.slot] = normalize(x, gates_of(d), d.units, d.width);
        d.moments[4 * s.slot + 1] = normalize(h, blocks, d.units, d.width);
    }
    return {x, h, d.gain_x, d.gain_h, d.bias};
}

// From the gradients of the gates' sums, which stand in the row of `dentered`, those of what entered.
inline void enter_back(const Steps& d, const Spot& s) {
    const long gates = gates_of(d), wide = gates * d.units, row = s.row * wide;
    float* dx = d.dentered + s.at * wide;
    normalize_back(dx, d.entered + s.at * wide, d.moments[4 * s.slot], d.gain_x, d.dgain_x + row, d.dbias + row, dx, gates,
                   d.units, d.width);
}

// From `dz`, gradients of `blocks` blocks of the gates' sums, those of what h added, from block `first` on.
inline void add_back(const Steps& d, const Spot& s, const float* dz, long first, long blocks) {
    const long wide = gates_of(d) * d.units, from = first * d.units;
    normalize_back(dz, d.added + s.slot * wide + from, d.moments[4 * s.slot + (first ? 2 : 1)], d.gain_h + from,
                   d.dgain_h + s.row * wide + from, nullptr, d.dadded + s.at * wide + from, blocks, d.units, d.width);
}

// ------------------------------------------------------------------------------------------------------------------ Elman

inline void elman_prepare(const Steps& d, const Spot& s) {
    for (long unit = 0; unit < d.units; unit += W)
        store(d.inner + s.slot * d.units + unit, load(s.h + unit) * load(d.dropout + s.at * d.units + unit));
}

inline void elman_forward(const Steps& d, const Spot& s) {
    const Sums sums = summed(d, s, 1);
    const Zone zone = zone_of_h(d, s);
    for (long unit = 0; unit < d.units; unit += W) {
        const Vec z = sums(unit), y = d.relu ? (z <= 0.0f ? Vec{} : z) : tanh(z);
        store(d.gates + s.at * d.units + unit, y);
        store(d.y + s.at * d.units + unit, zone(y, load(s.h + unit), unit));
    }
}

inline void elman_backward(const Steps& d, const Spot& s) {
    const Zone zone = zone_of_h(d, s);
    float *dh = d.dh + s.row * d.units, *dz = d.dentered + s.at * d.units, *dadded = d.dadded + s.at * d.units;
    for (long unit = 0; unit < d.units; unit += W) {
        Vec stays;
        const Vec dy = zone.back(load(d.gy + s.at * d.units + unit) + load(dh + unit), unit, stays);
        const Vec y = load(d.gates + s.at * d.units + unit);
        const Vec given = d.relu ? (y <= 0.0f ? Vec{} : dy) : dy * (1.0f - y * y);
        store(dh + unit, stays);
        store(dz + unit, given);
        store(dadded + unit, given);
    }
    if (d.gain_x == nullptr) return;
    add_back(d, s, dz, 0, 1);
    enter_back(d, s);
}

inline void elman_backward_last(const Steps& d, const Spot& s) {
    float* dh = d.dh + s.row * d.units;
    for (long unit = 0; unit < d.units; unit += W)
        store(dh + unit, load(dh + unit) + load(d.dinner + s.row * d.units + unit) * load(d.dropout + s.at * d.units + unit));
}

// ------------------------------------------------------------------------------------------------------------------- LSTM

// Where an LSTM's gates stand in a row; i stands where f does where it is 1 - f.
struct LstmGates {
    long i, f, g, o, wide;
    explicit LstmGates(const Steps& d)
        : i(0), f(d.coupled ? 0 : d.units), g(f + d.units), o(g + d.units), wide(o + d.units) {}
};

RECURRA_INLINE const float* peephole_of(const Steps& d, int gate) {  // 0: i, 1: f, 2: o
    const int at = d.coupled ? gate - 1 : gate;
    return d.peephole == nullptr || at < 0 ? nullptr : d.peephole + at * d.units;
}

RECURRA_INLINE Zone zone_of_c(const Steps& d, const Spot& s) { return {row_of(d.moves_c, s.at, d.units), d.zoneout_c}; }

inline void lstm_forward(const Steps& d, const Spot& s) {
    const long units = d.units;
    const LstmGates at(d);
    const Sums sums = summed(d, s, gates_of(d));
    const Zone zone = zone_of_c(d, s), zone_h = zone_of_h(d, s);
    const float *seen_i = peephole_of(d, 0), *seen_f = peephole_of(d, 1), *seen_o = peephole_of(d, 2);
    const float* mask = row_of(d.dropout, s.at, units);
    const bool shortened = d.projection != nullptr, normal = d.gain_c != nullptr;
    float* gates = d.gates + s.at * at.wide;
    float* c_after = d.c + s.slot * units;
    float* out = shortened ? d.inner + s.slot * units : d.y + s.at * units;
    for (long unit = 0; unit < units; unit += W) {
        const Vec c = load(s.c + unit);
        Vec zi = sums(at.i + unit), zf = sums(at.f + unit), zo = sums(at.o + unit);
        if (seen_i != nullptr) zi += load(seen_i + unit) * c;
        if (seen_f != nullptr) zf += load(seen_f + unit) * c;
        const Vec f = sigmoid(zf), i = d.coupled ? 1.0f - f : sigmoid(zi), g = tanh(sums(at.g + unit));
        const Vec moved = f * c + i * (g * dropped(mask, unit));
        if (seen_o != nullptr) zo += load(seen_o + unit) * moved;
        const Vec o = sigmoid(zo);
        store(gates + at.i + unit, i);
        store(gates + at.f + unit, f);
        store(gates + at.g + unit, g);
        store(gates + at.o + unit, o);
        store(c_after + unit, zone(moved, c, unit));
        const Vec y = normal ? moved : o * tanh(moved);
        store(out + unit, shortened || normal ? y : zone_h(y, load(s.h + unit), unit));
    }
    if (!normal) return;
    const Moments moments = moments_of(out, 1, units, d.width);
    d.moments[4 * s.slot + 2] = moments.mean;
    d.moments[4 * s.slot + 3] = moments.scale;
    for (long unit = 0; unit < units; unit += W) {
        const Vec c = (load(out + unit) - moments.mean) * moments.scale;
        const Vec y = load(gates + at.o + unit) * tanh(c * load(d.gain_c + unit) + load(d.bias_c + unit));
        store(out + unit, shortened ? y : zone_h(y, load(s.h + unit), unit));
    }
}

// After the projection.
inline void lstm_forward_second(const Steps& d, const Spot& s) {
    const Zone zone = zone_of_h(d, s);
    if (zone.open()) return;
    float* y = d.y + s.at * d.shown_units;
    for (long unit = 0; unit < d.shown_units; unit += W) store(y + unit, zone(load(y + unit), load(s.h + unit), unit));
}

// The gradient of the projection's product, or of the output where there is none, into `to`.
inline void lstm_shown_back(const Steps& d, const Spot& s, float* to) {
    const Zone zone = zone_of_h(d, s);
    float* dh = d.dh + s.row * d.shown_units;
    for (long unit = 0; unit < d.shown_units; unit += W) {
        Vec stays;
        store(to + unit, zone.back(load(d.gy + s.at * d.shown_units + unit) + load(dh + unit), unit, stays));
        store(dh + unit, stays);
    }
}

inline void lstm_backward_shown(const Steps& d, const Spot& s) { lstm_shown_back(d, s, d.dshown + s.at * d.shown_units); }

// What tanh was taken of, from c as it moved: the same, or normal with a gain and a bias.
struct Shown {
    const float *gain, *bias;
    float mean, scale;
    RECURRA_INLINE Vec normal(Vec c) const { return (c - mean) * scale; }
    RECURRA_INLINE Vec operator()(Vec c, long unit) const {
        return gain == nullptr ? c : normal(c) * load(gain + unit) + load(bias + unit);
    }
};

// `dy` holds the gradient of o ⊙ tanh(…), and then that of c as it moved, as far as it comes this way.
inline void lstm_memory_back(const Steps& d, const Spot& s, const Shown& shown, float* dy) {
    const LstmGates at(d);
    const float* gates = d.gates + s.at * at.wide;
    const float* mask = row_of(d.dropout, s.at, d.units);
    float *dz = d.dentered + s.at * at.wide, *dgain = row_of(d.dgain_c, s.row, d.units);
    float* dbias = row_of(d.dbias_c, s.row, d.units);
    Vec plain{}, along{};
    for (long unit = 0; unit < d.units; unit += W) {
        const Vec i = load(gates + at.i + unit), o = load(gates + at.o + unit);
        const Vec g = load(gates + at.g + unit) * dropped(mask, unit);
        const Vec f = load(gates + at.f + unit), moved = f * load(s.c + unit) + (d.coupled ? 1.0f - f : i) * g;
        const Vec t = tanh(shown(moved, unit)), d_y = load(dy + unit), dt = d_y * o * (1.0f - t * t);
        store(dz + at.o + unit, d_y * t * (o - o * o));
        store(dy + unit, dt);
        if (dgain == nullptr) continue;
        const Vec normal = shown.normal(moved), gained = dt * load(shown.gain + unit);
        store(dgain + unit, load(dgain + unit) + dt * normal);
        store(dbias + unit, load(dbias + unit) + dt);
        plain += gained;
        along += gained * normal;
    }
    if (dgain == nullptr) return;
    const float mean = sum(plain) / float(d.width), slope = sum(along) / float(d.width);
    for (long unit = 0; unit < d.units; unit += W) {
        const Vec i = load(gates + at.i + unit), f = load(gates + at.f + unit);
        const Vec g = load(gates + at.g + unit) * dropped(mask, unit);
        const Vec moved = f * load(s.c + unit) + (d.coupled ? 1.0f - f : i) * g;
        store(dy + unit, (load(dy + unit) * load(shown.gain + unit) - mean - shown.normal(moved) * slope) * shown.scale);
    }
}

inline void lstm_backward_gates(const Steps& d, const Spot& s, float* dmoved) {
    const LstmGates at(d);
    const float* gates = d.gates + s.at * at.wide;
    const float* mask = row_of(d.dropout, s.at, d.units);
    const float *seen_i = peephole_of(d, 0), *seen_f = peephole_of(d, 1), *seen_o = peephole_of(d, 2);
    const Zone zone = zone_of_c(d, s);
    float *dz = d.dentered + s.at * at.wide, *dadded = d.dadded + s.at * at.wide, *dc_carried = d.dc + s.row * d.units;
    float* dpeephole = row_of(d.dpeephole, s.row, at.o);
    for (long unit = 0; unit < d.units; unit += W) {
        const Vec c = load(s.c + unit), f = load(gates + at.f + unit), i = d.coupled ? 1.0f - f : load(gates + at.i + unit);
        const Vec g = load(gates + at.g + unit), factor = dropped(mask, unit), dzo = load(dz + at.o + unit);
        Vec stays;
        Vec dc = load(dmoved + unit) + zone.back(load(dc_carried + unit), unit, stays);
        if (seen_o != nullptr) {
            dc += dzo * load(seen_o + unit);
            float* to = dpeephole + at.g + unit;  // o's stands where g's gate does, there being none of g
            store(to, load(to) + dzo * (f * c + i * (g * factor)));
        }
        const Vec di = dc * (g * factor), df = dc * c;
        const Vec dzi = d.coupled ? Vec{} : di * (i - i * i), dzf = (d.coupled ? df - di : df) * (f - f * f);
        const Vec dzg = dc * i * factor * (1.0f - g * g);
        Vec before = stays + dc * f;
        if (seen_f != nullptr) {
            before += dzf * load(seen_f + unit);
            store(dpeephole + at.f + unit, load(dpeephole + at.f + unit) + dzf * c);
        }
        if (seen_i != nullptr) {
            before += dzi * load(seen_i + unit);
            store(dpeephole + at.i + unit, load(dpeephole + at.i + unit) + dzi * c);
        }
        store(dc_carried + unit, before);
        if (!d.coupled) store(dz + at.i + unit, dzi), store(dadded + at.i + unit, dzi);
        store(dz + at.f + unit, dzf), store(dadded + at.f + unit, dzf);
        store(dz + at.g + unit, dzg), store(dadded + at.g + unit, dzg);
        store(dadded + at.o + unit, dzo);
    }
    if (d.gain_x == nullptr) return;
    add_back(d, s, dz, 0, gates_of(d));
    enter_back(d, s);
}

// After the projection's own backward product, or at first where there is none.
inline void lstm_backward(const Steps& d, const Spot& s) {
    float* dy = d.dinner + s.row * d.units;
    if (d.projection == nullptr) lstm_shown_back(d, s, dy);
    const float* moments = d.moments + 4 * s.slot;
    const bool normal = d.gain_c != nullptr;
    const Shown shown = {d.gain_c, d.bias_c, normal ? moments[2] : 0.0f, normal ? moments[3] : 1.0f};
    lstm_memory_back(d, s, shown, dy);
    lstm_backward_gates(d, s, dy);
}

// -------------------------------------------------------------------------------------------------------------------- GRU

struct GruRow {
    float *r, *u, *n;
    GruRow(float* array, long row, long units) : r(array + row * 3 * units), u(r + units), n(u + units) {}
};

// n and the new h, from the reset gate's product or, `reset_first`, from r and h's product with the rest.
inline void gru_finish(const Steps& d, const Spot& s, const Sums& sums, const GruRow& gates) {
    const long units = d.units;
    const float* mask = row_of(d.dropout, s.at, units);
    const Zone zone = zone_of_h(d, s);
    for (long unit = 0; unit < units; unit += W) {
        const long at = 2 * units + unit;
        Vec x = load(sums.x + at), m = load(sums.h + at);
        if (sums.gain_x != nullptr) {
            x = x * load(sums.gain_x + at) + load(sums.bias + at);
            m *= load(sums.gain_h + at);
        }
        m += load(d.bias_hn + unit);
        const Vec n = tanh(x + (d.reset_first ? m : load(gates.r + unit) * m)), u = load(gates.u + unit);
        const Vec h = load(s.h + unit);
        store(gates.n + unit, n);
        store(d.y + s.at * units + unit, zone((1.0f - u) * (n * dropped(mask, unit)) + u * h, h, unit));
    }
}

inline void gru_forward(const Steps& d, const Spot& s) {
    const long units = d.units;
    const Sums sums = summed(d, s, d.reset_first ? 2 : 3);
    const GruRow gates(d.gates, s.at, units);
    for (long unit = 0; unit < units; unit += W) {
        const Vec r = sigmoid(sums(unit)), u = sigmoid(sums(units + unit));
        store(gates.r + unit, r);
        store(gates.u + unit, u);
        if (d.reset_first) store(d.inner + s.slot * units + unit, r * load(s.h + unit));
    }
    if (!d.reset_first) gru_finish(d, s, sums, gates);
}

inline void gru_forward_second(const Steps& d, const Spot& s) {
    float* added = d.added + s.slot * 3 * d.units;
    if (d.gain_x != nullptr) d.moments[4 * s.slot + 2] = normalize(added + 2 * d.units, 1, d.units, d.width);
    const Sums sums = {d.entered + s.at * 3 * d.units, added, d.gain_x, d.gain_h, d.bias};
    gru_finish(d, s, sums, GruRow(d.gates, s.at, d.units));
}

// r's gradients, and the layer norm's where r's are known.
inline void gru_backward_reset(const Steps& d, const Spot& s) {
    const long units = d.units;
    const GruRow gates(d.gates, s.at, units), dz(d.dentered, s.at, units), dadded(d.dadded, s.at, units);
    float* dh = d.dh + s.row * units;
    for (long unit = 0; unit < units; unit += W) {
        const Vec r = load(gates.r + unit), back = load(d.dinner + s.row * units + unit);  // of r ⊙ h
        const Vec dr = back * load(s.h + unit) * (r - r * r);
        store(dh + unit, load(dh + unit) + back * r);
        store(dz.r + unit, dr);
        store(dadded.r + unit, dr);
    }
    if (d.gain_x == nullptr) return;
    add_back(d, s, dz.r, 0, 2);
    enter_back(d, s);
}

inline void gru_backward(const Steps& d, const Spot& s) {
    const long units = d.units;
    const GruRow gates(d.gates, s.at, units), added(d.added, s.slot, units), dz(d.dentered, s.at, units);
    const GruRow dadded(d.dadded, s.at, units);
    const float* mask = row_of(d.dropout, s.at, units);
    const Zone zone = zone_of_h(d, s);
    float *dh = d.dh + s.row * units, *dbias_hn = d.dbias_hn + s.row * units;
    for (long unit = 0; unit < units; unit += W) {
        Vec stays;
        const Vec dy = zone.back(load(d.gy + s.at * units + unit) + load(dh + unit), unit, stays);
        const Vec r = load(gates.r + unit), u = load(gates.u + unit), n = load(gates.n + unit);
        const Vec factor = dropped(mask, unit), du = dy * (load(s.h + unit) - n * factor) * (u - u * u);
        const Vec dn = dy * (1.0f - u) * factor * (1.0f - n * n), dm = d.reset_first ? dn : dn * r;
        store(dh + unit, stays + dy * u);
        store(dz.u + unit, du), store(dadded.u + unit, du);
        store(dz.n + unit, dn), store(dadded.n + unit, dm);
        store(dbias_hn + unit, load(dbias_hn + unit) + dm);
        if (d.reset_first) continue;
        Vec m = load(added.n + unit);
        if (d.gain_h != nullptr) m *= load(d.gain_h + 2 * units + unit);
        const Vec dr = dn * (m + load(d.bias_hn + unit)) * (r - r * r);
        store(dz.r + unit, dr), store(dadded.r + unit, dr);
    }
    if (d.gain_x == nullptr) return;
    if (d.reset_first) return add_back(d, s, dadded.n, 2, 1);
    add_back(d, s, dadded.r, 0, 3);
    enter_back(d, s);
}

}  // namespace recurra::RECURRA_VARIANT
