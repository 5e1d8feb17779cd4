// The cells of the diagonal family for scan.hpp: from what enters, V numbers at a time, the a and b of h' = a ⊙ h + b, the output
// out of the new h, and the gradients of both. src/recurra/ops/diagonal/reference.py has the definitions.
//
// A cell has `inputs`, how many arrays enter; `shares`, whether `shared`, the same at every step, is read; `reads_out`, whether its
// output is another than h. `back` gets the gradients of a and b, `readout_back` that of the output, and between them they fill
// gin, one for each input; `back` adds to the gradient of `shared`, and `readout_back` gives that of h.
#pragma once

#include "simd.hpp"

namespace recurra::RECURRA_VARIANT {

#ifdef __clang__
template <typename V, typename Index>
RECURRA_INLINE V lanes(V x, Index index) {
    V y{};
    RECURRA_UNROLL
    for (unsigned i = 0; i < sizeof(V) / sizeof(x[0]); ++i) y[i] = x[index[i]];
    return y;
}
#else
template <typename V, typename Index>
RECURRA_INLINE V lanes(V x, Index index) {
    return __builtin_shuffle(x, index);
}
#endif

// σ(x) and σ(-x), each to the last digits; one e^x serves both.
RECURRA_INLINE void gate(Vec x, Vec& open, Vec& shut) {
    const Vec small = exp(x > 0.0f ? -x : x);
    const Vec larger = 1.0f / (1.0f + small), smaller = small * larger;
    open = x > 0.0f ? larger : smaller;
    shut = x > 0.0f ? smaller : larger;
}

// The slope of tanh at x, where tanh itself would have rounded to 1.
RECURRA_INLINE Vec slope_of_tanh(Vec x) {
    Vec open, shut;
    gate(2.0f * x, open, shut);
    return 4.0f * open * shut;
}

// e^x - 1 for x ≤ 0, without the loss of digits near 0; `exp`'s polynomial, put together in another order.
RECURRA_INLINE Vec exp_minus_1(Vec x) {
    x = clamp(x, -87.3f, 0.0f);
    const Vec shifted = x * 1.44269504088896341f + 12583039.0f;
    const Vec n = shifted - 12583039.0f;
    const Vec r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    Vec p = splat(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    const Vec power = reinterpret_cast<Vec>(reinterpret_cast<Ints>(shifted) << 23);
    return power * (p * (r * r) + r) + (power - 1.0f);
}

RECURRA_INLINE Vec root(Vec x) {
    Vec y{};
    RECURRA_UNROLL
    for (int i = 0; i < W; ++i) y[i] = __builtin_sqrtf(x[i]);
    return y;
}

struct RealNumbers {
    template <typename V>
    RECURRA_INLINE static V times(V a, V h) { return a * h; }
    template <typename V>
    RECURRA_INLINE static V times_conjugate(V g, V a) { return g * a; }
};

// Pairs of a real and an imaginary part, one after another.
struct ComplexNumbers {
    template <typename V>
    RECURRA_INLINE static void parts(V a, V& real, V& imaginary, V& sign) {
        decltype(a < a) even{}, odd{};
        RECURRA_UNROLL
        for (int i = 0; i < int(sizeof(V) / sizeof(a[0])); ++i) even[i] = i & ~1, odd[i] = i | 1, sign[i] = i & 1 ? 1 : -1;
        real = lanes(a, even), imaginary = lanes(a, odd);
    }
    template <typename V>
    RECURRA_INLINE static V swapped(V x) {
        decltype(x < x) other{};
        RECURRA_UNROLL
        for (int i = 0; i < int(sizeof(V) / sizeof(x[0])); ++i) other[i] = i ^ 1;
        return lanes(x, other);
    }
    template <typename V>
    RECURRA_INLINE static V times(V a, V h) {
        V real, imaginary, sign;
        parts(a, real, imaginary, sign);
        return real * h + imaginary * (swapped(h) * sign);
    }
    template <typename V>
    RECURRA_INLINE static V times_conjugate(V g, V a) {
        V real, imaginary, sign;
        parts(a, real, imaginary, sign);
        return real * g - imaginary * (swapped(g) * sign);
    }
};

struct PlainOutput {
    static constexpr bool reads_out = false;
    template <typename V>
    RECURRA_INLINE static V readout(const V*, V h) { return h; }
    template <typename V>
    RECURRA_INLINE static V readout_back(const V*, V, V gy, V*) { return gy; }
};

// a and b themselves.
template <class Numbers>
struct Given : Numbers, PlainOutput {
    static constexpr int inputs = 2;
    static constexpr bool shares = false;
    template <typename V>
    RECURRA_INLINE static void coefficients(const V* in, V, V& a, V& b) { a = in[0], b = in[1]; }
    template <typename V>
    RECURRA_INLINE static void back(const V*, V, V ga, V gb, V* gin, V&) { gin[0] = ga, gin[1] = gb; }
};

// b, and an a that is the same at every step.
template <class Numbers>
struct Steady : Numbers, PlainOutput {
    static constexpr int inputs = 1;
    static constexpr bool shares = true;
    template <typename V>
    RECURRA_INLINE static void coefficients(const V* in, V shared, V& a, V& b) { a = shared, b = in[0]; }
    template <typename V>
    RECURRA_INLINE static void back(const V*, V, V ga, V gb, V* gin, V& gshared) { gshared += ga, gin[0] = gb; }
};

struct MinGRU : RealNumbers, PlainOutput {
    static constexpr int inputs = 2;  // the gate, the candidate
    static constexpr bool shares = false;
    RECURRA_INLINE static void coefficients(const Vec* in, Vec, Vec& a, Vec& b) {
        Vec open;
        gate(in[0], open, a);
        b = open * in[1];
    }
    RECURRA_INLINE static void back(const Vec* in, Vec, Vec ga, Vec gb, Vec* gin, Vec&) {
        Vec open, shut;
        gate(in[0], open, shut);
        gin[0] = (gb * in[1] - ga) * (open * shut);
        gin[1] = gb * open;
    }
};

struct MinLSTM : RealNumbers, PlainOutput {
    static constexpr int inputs = 3;  // the forget gate f, the input gate i, the candidate
    static constexpr bool shares = false;
    // σ(f) and σ(i), divided by their sum.
    RECURRA_INLINE static void shares_of(Vec f, Vec i, Vec& kept, Vec& entering) {
        Vec open, shut;
        const Vec below_f = f < 0.0f ? f : Vec{}, below_i = i < 0.0f ? i : Vec{};
        const Vec most = below_f > below_i ? below_f : below_i;  // σ(x) is e^min(x, 0) σ(|x|): the larger power becomes 1
        gate(f < 0.0f ? -f : f, open, shut);
        kept = exp(below_f - most) * open;
        gate(i < 0.0f ? -i : i, open, shut);
        entering = exp(below_i - most) * open;
        const Vec sum = kept + entering;
        kept /= sum, entering /= sum;
    }
    RECURRA_INLINE static void coefficients(const Vec* in, Vec, Vec& a, Vec& b) {
        Vec entering;
        shares_of(in[0], in[1], a, entering);
        b = entering * in[2];
    }
    RECURRA_INLINE static void back(const Vec* in, Vec, Vec ga, Vec gb, Vec* gin, Vec&) {
        Vec kept, entering, open, shut;
        shares_of(in[0], in[1], kept, entering);
        const Vec ratio = (ga - gb * in[2]) * (kept * entering);  // the gradient of log σ(f) - log σ(i)
        gate(in[0], open, shut);
        gin[0] = ratio * shut;
        gate(in[1], open, shut);
        gin[1] = -ratio * shut;
        gin[2] = gb * entering;
    }
};

struct QRNN : RealNumbers {
    static constexpr int inputs = 3;  // the candidate, the forget gate, the output gate
    static constexpr bool shares = false, reads_out = true;
    RECURRA_INLINE static void coefficients(const Vec* in, Vec, Vec& a, Vec& b) {
        Vec shut;
        gate(in[1], a, shut);
        b = shut * tanh(in[0]);
    }
    RECURRA_INLINE static void back(const Vec* in, Vec, Vec ga, Vec gb, Vec* gin, Vec&) {
        Vec open, shut;
        gate(in[1], open, shut);
        const Vec candidate = tanh(in[0]);
        gin[0] = gb * shut * slope_of_tanh(in[0]);
        gin[1] = (ga - gb * candidate) * (open * shut);
    }
    RECURRA_INLINE static Vec readout(const Vec* in, Vec h) { return sigmoid(in[2]) * h; }
    RECURRA_INLINE static Vec readout_back(const Vec* in, Vec h, Vec gy, Vec* gin) {
        Vec open, shut;
        gate(in[2], open, shut);
        gin[2] = gy * h * (open * shut);
        return gy * open;
    }
};

struct SRU : RealNumbers {
    static constexpr int inputs = 4;  // the candidate, the forget gate, the reset gate, the highway
    static constexpr bool shares = false, reads_out = true;
    RECURRA_INLINE static void coefficients(const Vec* in, Vec, Vec& a, Vec& b) {
        Vec shut;
        gate(in[1], a, shut);
        b = shut * in[0];
    }
    RECURRA_INLINE static void back(const Vec* in, Vec, Vec ga, Vec gb, Vec* gin, Vec&) {
        Vec open, shut;
        gate(in[1], open, shut);
        gin[0] = gb * shut;
        gin[1] = (ga - gb * in[0]) * (open * shut);
    }
    RECURRA_INLINE static Vec readout(const Vec* in, Vec h) {
        Vec open, shut;
        gate(in[2], open, shut);
        return open * tanh(h) + shut * in[3];
    }
    RECURRA_INLINE static Vec readout_back(const Vec* in, Vec h, Vec gy, Vec* gin) {
        Vec open, shut;
        gate(in[2], open, shut);
        gin[2] = gy * (tanh(h) - in[3]) * (open * shut);
        gin[3] = gy * shut;
        return gy * open * slope_of_tanh(h);
    }
};

struct RGLRU : RealNumbers, PlainOutput {
    static constexpr int inputs = 3;  // u, the recurrence gate, the input gate; shared: log a where the first is wide open
    static constexpr bool shares = true;
    static constexpr float least = 1.4210854715202004e-14f;  // of 1 - a²: the square of float32's ε
    RECURRA_INLINE static Vec square_of_scale(Vec log_a) { return -exp_minus_1(2.0f * log_a); }
    RECURRA_INLINE static Vec scale_of(Vec square) { return root(square < least ? splat(least) : square); }
    RECURRA_INLINE static void coefficients(const Vec* in, Vec shared, Vec& a, Vec& b) {
        const Vec log_a = shared * sigmoid(in[1]);
        a = exp(log_a);
        b = scale_of(square_of_scale(log_a)) * sigmoid(in[2]) * in[0];
    }
    RECURRA_INLINE static void back(const Vec* in, Vec shared, Vec ga, Vec gb, Vec* gin, Vec& gshared) {
        Vec open, shut, entrance, barred;
        gate(in[1], open, shut);
        gate(in[2], entrance, barred);
        const Vec log_a = shared * open, a = exp(log_a), square = square_of_scale(log_a), scale = scale_of(square);
        const Vec slope = square < least ? Vec{} : -(a * a) / scale;  // the scale's, by log a
        const Vec glog_a = ga * a + gb * entrance * in[0] * slope;
        gin[0] = gb * scale * entrance;
        gin[1] = glog_a * shared * (open * shut);
        gin[2] = gb * scale * in[0] * (entrance * barred);
        gshared += glog_a * open;
    }
};

}  // namespace recurra::RECURRA_VARIANT
