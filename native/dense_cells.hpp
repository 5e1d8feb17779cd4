// The gates' arithmetic of Elman, LSTM and GRU, forward and backward, on sums in registers: M rows of a block of units.
//
// Rows of every array are `units` apart times what is said here. What the backward pass needs is kept by the forward pass: the
// gates after their nonlinearity in place of the projected input, LSTM's c, and what h adds to GRU's candidate.
#pragma once

#include "kernels.hpp"
#include "simd.hpp"

namespace recurra::RECURRA_VARIANT {

// The first row of a tile in every array, at its block's first unit.
struct Place {
    const float *h, *c;  // before the step
    float* gates;        // GATES wide
    float* y;
    float* kept;  // LSTM: c; GRU: what h adds to the candidate
};

struct BackPlace {
    const float *h, *c;  // before the step
    const float *gates, *y, *kept;
    const float* gy;
    float* dgates;    // DGATES wide
    float *dh, *dc;   // what later steps hand back, row by row
};

struct Elman {
    static constexpr int GATES = 1, DGATES = 1, FIRST = 0;
    static constexpr int BLOCK = 2;  // vectors of units that the forward pass computes at once
    static constexpr bool HAS_C = false, CARRIES = false;

    template <int M>
    static RECURRA_INLINE void fetch_rows(const Dense& d, const Place& p) {
        RECURRA_UNROLL
        for (int m = 0; m < M; ++m) {
            fetch(p.gates + m * d.units);
            fetch_to_write(p.y + m * d.units);
        }
    }

    template <bool KEEP, int M>
    static RECURRA_INLINE void finish(const Dense& d, Vec (&sums)[M][2], const Place& p, long) {
        RECURRA_UNROLL
        for (int m = 0; m < M; ++m)
            RECURRA_UNROLL
            for (int n = 0; n < 2; ++n) {
                const Vec z = sums[m][n] + load(p.gates + m * d.units + n * W);
                store(p.y + m * d.units + n * W, d.relu ? (z <= 0.0f ? Vec{} : z) : tanh(z));
            }
    }

    static RECURRA_INLINE void fetch_back(const Dense&, const BackPlace& p, long at, long) {
        fetch(p.y + at);
        fetch_to_write(p.dgates + at);
    }

    static RECURRA_INLINE void back(const Dense& d, Vec dh, const BackPlace& p, long at, long) {
        const Vec y = load(p.y + at);
        store(p.dgates + at, d.relu ? (y <= 0.0f ? Vec{} : dh) : dh * (1.0f - y * y));
    }
};

struct Lstm {
    static constexpr int GATES = 4, DGATES = 4, FIRST = 0;
    static constexpr int BLOCK = 1;
    static constexpr bool HAS_C = true, CARRIES = false;

    template <int M>
    static RECURRA_INLINE void fetch_rows(const Dense& d, const Place& p) {
        RECURRA_UNROLL
        for (int m = 0; m < M; ++m) {
            RECURRA_UNROLL
            for (int gate = 0; gate < 4; ++gate) fetch_to_write(p.gates + (m * 4 + gate) * d.units);
            fetch(p.c + m * d.units);
            fetch_to_write(p.kept + m * d.units);
            fetch_to_write(p.y + m * d.units);
        }
    }

    template <bool KEEP, int M>
    static RECURRA_INLINE void finish(const Dense& d, Vec (&sums)[M][4], const Place& p, long) {
        RECURRA_UNROLL
        for (int m = 0; m < M; ++m) {
            const long at = m * d.units;
            float* gates = p.gates + 4 * at;
            const Vec i = sigmoid(sums[m][0] + load(gates)), f = sigmoid(sums[m][1] + load(gates + d.units));
            const Vec g = tanh(sums[m][2] + load(gates + 2 * d.units));
            const Vec o = sigmoid(sums[m][3] + load(gates + 3 * d.units));
            const Vec c = f * load(p.c + at) + i * g;
            store(p.kept + at, c);
            store(p.y + at, o * tanh(c));
            if (KEEP) {
                store(gates, i);
                store(gates + d.units, f);
                store(gates + 2 * d.units, g);
                store(gates + 3 * d.units, o);
            }
        }
    }

    static RECURRA_INLINE void fetch_back(const Dense& d, const BackPlace& p, long at, long row) {
        RECURRA_UNROLL
        for (int gate = 0; gate < 4; ++gate) {
            fetch(p.gates + at + (3 * row + gate) * d.units);
            fetch_to_write(p.dgates + at + (3 * row + gate) * d.units);
        }
        fetch(p.kept + at);
        fetch(p.c + at);
        fetch_to_write(p.dc + at);
    }

    static RECURRA_INLINE void back(const Dense& d, Vec dh, const BackPlace& p, long at, long row) {
        const float* gates = p.gates + at + 3 * row * d.units;
        float* dgates = p.dgates + at + 3 * row * d.units;
        const Vec i = load(gates), f = load(gates + d.units), g = load(gates + 2 * d.units), o = load(gates + 3 * d.units);
        const Vec shown = tanh(load(p.kept + at));
        const Vec dc = dh * o * (1.0f - shown * shown) + load(p.dc + at);
        store(p.dc + at, dc * f);
        store(dgates, dc * g * (i - i * i));
        store(dgates + d.units, dc * load(p.c + at) * (f - f * f));
        store(dgates + 2 * d.units, dc * i * (1.0f - g * g));
        store(dgates + 3 * d.units, dh * shown * (o - o * o));
    }
};

// The gradients of the gates are kept as n, r, u and, once more, n times r: the first three are what the input's projection
// gets, the last three what h's gets.
struct Gru {
    static constexpr int GATES = 3, DGATES = 4, FIRST = 1;
    static constexpr int BLOCK = 1;
    static constexpr bool HAS_C = false, CARRIES = true;

    template <int M>
    static RECURRA_INLINE void fetch_rows(const Dense& d, const Place& p) {
        RECURRA_UNROLL
        for (int m = 0; m < M; ++m) {
            RECURRA_UNROLL
            for (int gate = 0; gate < 3; ++gate) fetch_to_write(p.gates + (m * 3 + gate) * d.units);
            fetch_to_write(p.y + m * d.units);
            fetch_to_write(p.kept + m * d.units);
        }
    }

    template <bool KEEP, int M>
    static RECURRA_INLINE void finish(const Dense& d, Vec (&sums)[M][3], const Place& p, long unit) {
        const Vec bias = load(d.bias_hn + unit);
        RECURRA_UNROLL
        for (int m = 0; m < M; ++m) {
            const long at = m * d.units;
            float* gates = p.gates + 3 * at;
            const Vec r = sigmoid(sums[m][0] + load(gates)), u = sigmoid(sums[m][1] + load(gates + d.units));
            const Vec added = sums[m][2] + bias;
            const Vec n = tanh(r * added + load(gates + 2 * d.units));
            store(p.y + at, u * (load(p.h + at) - n) + n);
            if (KEEP) {
                store(gates, r);
                store(gates + d.units, u);
                store(gates + 2 * d.units, n);
                store(p.kept + at, added);
            }
        }
    }

    static RECURRA_INLINE void fetch_back(const Dense& d, const BackPlace& p, long at, long row) {
        RECURRA_UNROLL
        for (int gate = 0; gate < 3; ++gate) fetch(p.gates + at + (2 * row + gate) * d.units);
        RECURRA_UNROLL
        for (int gate = 0; gate < 4; ++gate) fetch_to_write(p.dgates + at + (3 * row + gate) * d.units);
        fetch(p.kept + at);
        fetch(p.h + at);
        fetch_to_write(p.dh + at);
    }

    static RECURRA_INLINE void back(const Dense& d, Vec dh, const BackPlace& p, long at, long row) {
        const float* gates = p.gates + at + 2 * row * d.units;
        float* dgates = p.dgates + at + 3 * row * d.units;
        const Vec r = load(gates), u = load(gates + d.units), n = load(gates + 2 * d.units);
        const Vec dn = (dh - dh * u) * (1.0f - n * n);
        store(p.dh + at, dh * u);
        store(dgates, dn);
        store(dgates + d.units, dn * load(p.kept + at) * (r - r * r));
        store(dgates + 2 * d.units, dh * (load(p.h + at) - n) * (u - u * u));
        store(dgates + 3 * d.units, dn * r);
    }
};

}  // namespace recurra::RECURRA_VARIANT
