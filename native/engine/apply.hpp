// The instructions that loop over numbers, in every variant's vectors. What becomes of a number never depends on where it stands:
// whole vectors, the last few numbers and numbers with gaps between them go through the same arithmetic.
#pragma once

#include "engine/instruction.hpp"
#include "simd.hpp"

namespace recurra::RECURRA_VARIANT {

namespace loops {

// One axis of a place.
struct Line {
    const float* at;
    long stride;
};

RECURRA_INLINE Vec read(Line line, long i, long count) {
    const float* from = line.at + i * line.stride;
    if (line.stride == 0) return splat(*from);
    if (line.stride == 1) return count == W ? load(from) : load_some(from, count);
    Vec x{};
    for (long k = 0; k < count; ++k) x[k] = from[k * line.stride];
    return x;
}

RECURRA_INLINE void write(float* to, long stride, Vec x, long count) {
    if (stride == 1 && count == W) return store(to, x);
    for (long k = 0; k < count; ++k) to[k * stride] = x[k];
}

// The two outer loops and the third; `line` does the last axis.
template <typename Each>
RECURRA_INLINE void outer(const Instruction& s, float* out, const float* const* in, Each line) {
    for (long a = 0; a < s.shape[0]; ++a)
        for (long b = 0; b < s.shape[1]; ++b)
            for (long c = 0; c < s.shape[2]; ++c) {
                const auto at = [&](const Place& p) { return a * p.strides[0] + b * p.strides[1] + c * p.strides[2]; };
                Line lines[3];
                for (int k = 0; k < s.ins; ++k) lines[k] = {in[k] + at(s.in[k]), s.in[k].strides[3]};
                line(out + at(s.out), lines);
            }
}

// y = f(x…), number by number.
template <int N, typename F>
RECURRA_INLINE void map(const Instruction& s, float* out, const float* const* in, F f) {
    const long n = s.shape[3], stride = s.out.strides[3];
    outer(s, out, in, [&](float* y, const Line* x) {
        for (long i = 0; i < n; i += W) {
            const long count = n - i < W ? n - i : W;
            Vec v[N];
            for (int k = 0; k < N; ++k) v[k] = read(x[k], i, count);
            Vec made;
            if constexpr (N == 1) made = f(v[0]);
            if constexpr (N == 2) made = f(v[0], v[1]);
            if constexpr (N == 3) made = f(v[0], v[1], v[2]);
            write(y + i * stride, stride, made, count);
        }
    });
}

// A function of the C library, number by number.
template <typename F>
RECURRA_INLINE Vec each(Vec x, F f) {
    for (int i = 0; i < W; ++i) x[i] = f(x[i]);
    return x;
}

RECURRA_INLINE Vec chosen(Ints mask, Vec yes, Vec no) { return mask ? yes : no; }

// As torch's: NaN wins.
RECURRA_INLINE Vec larger(Vec x, Vec y) { return chosen((x > y) | (x != x), x, y); }
RECURRA_INLINE Vec smaller(Vec x, Vec y) { return chosen((x < y) | (x != x), x, y); }

RECURRA_INLINE float largest(Line x, long n) {
    float most = x.at[0];
    for (long i = 1; i < n; ++i) {
        const float next = x.at[i * x.stride];
        if (next > most || next != next) most = next;
    }
    return most;
}

template <typename F>
RECURRA_INLINE float total(Line x, long n, F f) {
    Vec sums{};
    for (long i = 0; i < n; i += W) {
        const long count = n - i < W ? n - i : W;
        Vec more = f(read(x, i, count));
        for (long k = count; k < W; ++k) more[k] = 0.0f;
        sums += more;
    }
    return sum(sums);
}

RECURRA_INLINE void softmax(float* y, long stride, Line x, long n, bool logarithm) {
    const float most = largest(x, n);
    const auto power = [&](Vec v) { return exp(v - most); };
    const float all = total(x, n, power);
    const float shift = most + __builtin_logf(all), scale = 1.0f / all;
    for (long i = 0; i < n; i += W) {
        const long count = n - i < W ? n - i : W;
        const Vec v = read(x, i, count);
        write(y + i * stride, stride, logarithm ? v - shift : power(v) * scale, count);
    }
}

RECURRA_INLINE void normalize(float* y, long stride, Line x, long n, float eps) {
    const float mean = total(x, n, [](Vec v) { return v; }) / float(n);
    const float variance = total(x, n, [&](Vec v) { return (v - mean) * (v - mean); }) / float(n);
    const float scale = 1.0f / __builtin_sqrtf(variance + eps);
    for (long i = 0; i < n; i += W) {
        const long count = n - i < W ? n - i : W;
        write(y + i * stride, stride, (read(x, i, count) - mean) * scale, count);
    }
}

RECURRA_INLINE float dot(Line x, Line y, long n) {
    Vec sums{};
    for (long i = 0; i < n; i += W) {
        const long count = n - i < W ? n - i : W;
        Vec more = read(x, i, count) * read(y, i, count);
        for (long k = count; k < W; ++k) more[k] = 0.0f;
        sums += more;
    }
    return sum(sums);
}

// y[g][m][n] = Σ_k a[g][m][·][k] b[g][·][n][k]; the order of a sum depends on the strides alone.
RECURRA_INLINE void contract(const Instruction& s, float* out, const float* const* in) {
    const long N = s.shape[2], K = s.shape[3];
    const Place &y = s.out, &a = s.in[0], &b = s.in[1];
    for (long g = 0; g < s.shape[0]; ++g)
        for (long m = 0; m < s.shape[1]; ++m) {
            float* const to = out + g * y.strides[0] + m * y.strides[1];
            const float* const as = in[0] + g * a.strides[0] + m * a.strides[1];
            const float* const bs = in[1] + g * b.strides[0] + m * b.strides[1];
            if (b.strides[2] == 1 && y.strides[2] == 1 && a.strides[2] == 0) {
                for (long n = 0; n < N; n += W) {
                    const long count = N - n < W ? N - n : W;
                    Vec sums{};
                    for (long k = 0; k < K; ++k) sums += read({bs + k * b.strides[3], 1}, n, count) * as[k * a.strides[3]];
                    write(to + n, 1, sums, count);
                }
                continue;
            }
            for (long n = 0; n < N; ++n) {
                const Line u{as + n * a.strides[2], a.strides[3]}, v{bs + n * b.strides[2], b.strides[3]};
                to[n * y.strides[2]] = dot(u, v, K);
            }
        }
}

// Vaswani et al. 2017 (arXiv 1706.03762), equation 1.
RECURRA_INLINE void attend(const Attention& a) {
    const long k = a.key_width / a.heads, v = a.value_width / a.heads;
    const float scale = 1.0f / __builtin_sqrtf(float(k));
    for (long i = 0; i < a.value_width; ++i) a.out[i] = 0.0f;
    for (long head = 0; head < a.heads && a.length > 0; ++head) {
        const Line query{a.query + head * k, 1};
        for (long m = 0; m < a.length; ++m) {
            const float* const key = a.keys + m * a.key_width + head * k;
            a.shares[m] = dot(query, {key, 1}, k) * scale;
        }
        softmax(a.shares, 1, {a.shares, 1}, a.length, false);
        float* const out = a.out + head * v;
        for (long m = 0; m < a.length; ++m) {
            const Line value{a.values + m * a.value_width + head * v, 1};
            for (long i = 0; i < v; i += W) {
                const long count = v - i < W ? v - i : W;
                write(out + i, 1, read({out, 1}, i, count) + a.shares[m] * read(value, i, count), count);
            }
        }
    }
}

RECURRA_INLINE void reduce(const Instruction& s, float* out, const float* const* in) {
    const long n = s.shape[3], stride = s.out.strides[3];
    outer(s, out, in, [&](float* y, const Line* x) {
        switch (s.op) {
            case Op::sum: *y = total(x[0], n, [](Vec v) { return v; }); break;
            case Op::greatest: *y = largest(x[0], n); break;
            case Op::softmax: softmax(y, stride, x[0], n, false); break;
            case Op::log_softmax: softmax(y, stride, x[0], n, true); break;
            case Op::normalize: normalize(y, stride, x[0], n, *x[1].at); break;
            default: {  // cumulate
                float so_far = 0.0f;
                for (long i = 0; i < n; ++i) y[i * stride] = so_far += x[0].at[i * x[0].stride];
            }
        }
    });
}

}  // namespace loops

inline void apply(const Instruction& s, float* out, const float* const* in) {
    using namespace loops;
    const Vec one = splat(1.0f), none{};
#define RECURRA_MAP(op, count, ...) \
    case Op::op: return map<count>(s, out, in, __VA_ARGS__)
    switch (s.op) {
        RECURRA_MAP(copy, 1, [](Vec x) { return x; });
        RECURRA_MAP(add, 2, [](Vec x, Vec y) { return x + y; });
        RECURRA_MAP(subtract, 2, [](Vec x, Vec y) { return x - y; });
        RECURRA_MAP(multiply, 2, [](Vec x, Vec y) { return x * y; });
        RECURRA_MAP(divide, 2, [](Vec x, Vec y) { return x / y; });
        RECURRA_MAP(maximum, 2, &larger);
        RECURRA_MAP(minimum, 2, &smaller);
        RECURRA_MAP(less, 2, [=](Vec x, Vec y) { return chosen(x < y, one, none); });
        RECURRA_MAP(greater, 2, [=](Vec x, Vec y) { return chosen(x > y, one, none); });
        RECURRA_MAP(where, 3, [=](Vec c, Vec x, Vec y) { return chosen(c != none, x, y); });
        RECURRA_MAP(negative, 1, [](Vec x) { return -x; });
        RECURRA_MAP(absolute, 1, [](Vec x) { return chosen(x < 0.0f, -x, x + 0.0f); });
        RECURRA_MAP(sign, 1, [=](Vec x) { return chosen(x > 0.0f, one, chosen(x < 0.0f, -one, none)); });
        RECURRA_MAP(exp, 1, [=](Vec x) {  // beyond the bounds of the vectors' own: e^16 times the rest, or e^-16
            const Vec shift = chosen(x > 88.3f, one * 16.0f, chosen(x < -87.3f, one * -16.0f, none));
            const Vec factor = chosen(x > 88.3f, one * 8886110.52f, chosen(x < -87.3f, one * 1.12535175e-7f, one));
            return chosen(x < -104.0f, none, exp(x - shift) * factor);
        });
        RECURRA_MAP(expm1, 1, [](Vec x) { return each(x, [](float v) { return __builtin_expm1f(v); }); });
        RECURRA_MAP(log, 1, [](Vec x) { return each(x, [](float v) { return __builtin_logf(v); }); });
        RECURRA_MAP(log1p, 1, [](Vec x) { return each(x, [](float v) { return __builtin_log1pf(v); }); });
        RECURRA_MAP(sin, 1, [](Vec x) { return each(x, [](float v) { return __builtin_sinf(v); }); });
        RECURRA_MAP(cos, 1, [](Vec x) { return each(x, [](float v) { return __builtin_cosf(v); }); });
        RECURRA_MAP(erf, 1, [](Vec x) { return each(x, [](float v) { return __builtin_erff(v); }); });
        RECURRA_MAP(sqrt, 1, [](Vec x) { return each(x, [](float v) { return __builtin_sqrtf(v); }); });
        RECURRA_MAP(rsqrt, 1, [=](Vec x) { return one / each(x, [](float v) { return __builtin_sqrtf(v); }); });
        RECURRA_MAP(reciprocal, 1, [=](Vec x) { return one / x; });
        RECURRA_MAP(sigmoid, 1, [](Vec x) { return sigmoid(x); });
        RECURRA_MAP(tanh, 1, [](Vec x) { return tanh(x); });
        RECURRA_MAP(relu, 1, [=](Vec x) { return chosen(x < 0.0f, none, x); });
        RECURRA_MAP(softplus, 1, [](Vec x) {
            const Vec above = chosen(x < 0.0f, Vec{}, x);
            return above + each(chosen(x < 0.0f, x, -x), [](float v) { return __builtin_log1pf(__builtin_expf(v)); });
        });
        case Op::contract: return contract(s, out, in);
        default: return reduce(s, out, in);
    }
#undef RECURRA_MAP
}

}  // namespace recurra::RECURRA_VARIANT
