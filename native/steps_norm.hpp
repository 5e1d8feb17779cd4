// What the rows of a step share: layer norm of a row, forward and backward, and zoneout.
#pragma once

#include "kernels.hpp"
#include "simd.hpp"

namespace recurra::RECURRA_VARIANT {

// A row of one step: its place in the batch, in arrays of N rows, in what is kept only for a backward pass; and its states
// before the step.
struct Spot {
    long row, at, slot;
    const float *h, *c, *n, *m;
};

constexpr float EPSILON = 1e-5f;  // torch.nn.functional.layer_norm's

// x where its unit is one of the `width` first; zero in what fills the rest up.
RECURRA_INLINE Vec within(Vec x, long unit, long width) {
    Ints lanes;
    RECURRA_UNROLL
    for (int i = 0; i < W; ++i) lanes[i] = i;
    return lanes < int32_t(width - unit) ? x : Vec{};
}

struct Moments {
    float mean, scale;  // scale: 1/σ
};

// Of `blocks` blocks of `units` numbers, `width` of each counted; the rest are zero. `units` is a multiple of 2 W.
inline Moments moments_of(const float* x, long blocks, long units, long width) {
    const float share = 1.0f / float(blocks * width);
    Vec sums[2] = {};
    for (long i = 0; i < blocks * units; i += 2 * W) sums[0] += load(x + i), sums[1] += load(x + i + W);
    const float mean = sum(sums[0] + sums[1]) * share;
    Vec squares[2] = {};
    for (long block = 0; block < blocks; ++block)
        for (long unit = 0; unit < units; unit += 2 * W)
            for (int half = 0; half < 2; ++half) {
                const Vec off = within(load(x + block * units + unit + half * W) - mean, unit + half * W, width);
                squares[half] += off * off;
            }
    return {mean, 1.0f / __builtin_sqrtf(sum(squares[0] + squares[1]) * share + EPSILON)};
}

// x becomes (x - mean) / σ, zero in what fills up; returns 1/σ.
inline float normalize(float* x, long blocks, long units, long width) {
    const Moments moments = moments_of(x, blocks, units, width);
    for (long block = 0; block < blocks; ++block)
        for (long unit = 0; unit < units; unit += W) {
            float* to = x + block * units + unit;
            store(to, within((load(to) - moments.mean) * moments.scale, unit, width));
        }
    return moments.scale;
}

// From dz, the gradient of normal ⊙ gain, that of what was normalized, into `to`, which may be dz; dz ⊙ normal is added to
// `dgain`, and dz to `dbias` unless that is null. Gains are zero in what fills up.
inline void normalize_back(const float* dz, const float* normal, float scale, const float* gain, float* dgain, float* dbias,
                           float* to, long blocks, long units, long width) {
    const float share = 1.0f / float(blocks * width);
    Vec plain{}, along{};
    for (long i = 0; i < blocks * units; i += W) {
        const Vec d = load(dz + i), x = load(normal + i), g = d * load(gain + i);
        plain += g;
        along += g * x;
        store(dgain + i, load(dgain + i) + d * x);
        if (dbias != nullptr) store(dbias + i, load(dbias + i) + d);
    }
    const float mean = sum(plain) * share, slope = sum(along) * share;
    for (long i = 0; i < blocks * units; i += W)
        store(to + i, (load(dz + i) * load(gain + i) - mean - load(normal + i) * slope) * scale);
}

// What x and h add to a gate, from its place in their rows; with layer norm both are normal.
struct Sums {
    const float *x, *h, *gain_x, *gain_h, *bias;
    RECURRA_INLINE Vec operator()(long at) const {
        if (gain_x == nullptr) return load(x + at) + load(h + at);
        return load(x + at) * load(gain_x + at) + load(bias + at) + load(h + at) * load(gain_h + at);
    }
};

// How much of its new value a unit takes: zoneout's mask, or what is to be expected of it.
struct Zone {
    const float* moves;
    float rate;
    RECURRA_INLINE bool open() const { return moves == nullptr && rate == 0.0f; }
    RECURRA_INLINE Vec share(long unit) const { return moves == nullptr ? splat(1.0f - rate) : load(moves + unit); }
    RECURRA_INLINE Vec operator()(Vec after, Vec before, long unit) const {
        if (open()) return after;
        const Vec moving = share(unit);
        return moving * after + (1.0f - moving) * before;
    }
    // Of the gradient `d`, what goes to the new value; what goes to the old one is left in `stays`.
    RECURRA_INLINE Vec back(Vec d, long unit, Vec& stays) const {
        stays = Vec{};
        if (open()) return d;
        const Vec moving = share(unit);
        stays = (1.0f - moving) * d;
        return moving * d;
    }
};

RECURRA_INLINE const float* row_of(const float* array, long row, long size) {
    return array == nullptr ? nullptr : array + row * size;
}
RECURRA_INLINE float* row_of(float* array, long row, long size) { return array == nullptr ? nullptr : array + row * size; }

RECURRA_INLINE Zone zone_of_h(const Steps& d, const Spot& s) {
    return {row_of(d.moves_h, s.at, d.shown_units), d.zoneout_h};
}

// A factor of dropout, 1 where there is none.
RECURRA_INLINE Vec dropped(const float* mask, long unit) { return mask == nullptr ? splat(1.0f) : load(mask + unit); }

}  // namespace recurra::RECURRA_VARIANT
