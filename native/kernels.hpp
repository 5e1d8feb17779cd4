// What the kernels are called with, and the table of them that every variant fills (kernels.cpp).
//
// Legend: B rows, T steps, D or H units. Arrays are float32 and contiguous unless said otherwise.
#pragma once

#include <stdint.h>

#include "engine/instruction.hpp"
#include "engine/weights.hpp"

namespace recurra {

// Where a and b come from (native/scan_cells.hpp).
enum class ScanCell { linear, steady, complex, steady_complex, min_gru, min_lstm, qrnn, sru, rg_lru };

// A diagonal recurrence h_t = a_t ⊙ h_{t-1} + b_t over whole sequences, with the arithmetic that makes a and b before it and the
// output y after it. Complex numbers are pairs, counted as two units. Real cells other than `linear` and `steady` are float32 only.
// NaN stays within its own unit (its own pair), and what enters past a row's length is not read.
template <typename Number>
struct Scan {
    ScanCell cell;
    int threads;
    bool holds;  // y repeats h past a row's length; else it is zero there
    long rows, steps, units;
    long stride;           // from one step to the next in `in` and `gin`, and from one row's end to the next row's start
    const long* lengths;   // (rows,), each 0 … steps; or null
    const Number* in[4];   // what enters, as many as the cell has: (rows, steps, units)
    const Number* shared;  // (units,): what is the same at every step, where the cell has that
    const Number* h0;      // (rows, units)
    Number* y;             // (rows, steps, units)
    Number* h;             // as y, where that is not h; null where no gradients are wanted. Past a row's length nothing is written
    Number* last;          // (rows, units), each row's last h; or null

    // The backward pass, with `h` as the forward pass left it (or y), in …
    const Number* gy;     // (rows, steps, units)
    const Number* glast;  // (rows, units), or null: zero
    // … and out.
    Number* gin[4];
    Number* gshared;  // (rows, units), to be added up
    Number* gh0;      // (rows, units)
};

enum class DenseCell { elman, lstm, gru };

// A whole sequence of an Elman, LSTM or GRU layer, from its input to its output, and all of its gradients. `width` is H and `units`
// H filled up with zeros to a multiple of twice the vectors' width. Every array of steps is (N, ·): the rows of each step one after
// another, step by step; N is rows × steps, or the sum of `counts` for rows of different lengths, which then stand in the order of
// their lengths, the longest first.
struct Dense {
    DenseCell cell;
    bool relu;     // Elman's nonlinearity; else tanh
    bool reverse;  // time runs from each row's last step to its first
    bool keep;     // a backward pass is to come
    int threads;
    long rows, steps, entering, width, units;
    const long *counts, *offsets;  // (steps,): how many rows a step has, and its first row of N; both null where all rows are whole
    const float* x;                // (N, entering)
    const float *ih, *hh;          // (gates · width, entering) and (gates · width, width)
    const float* bias;             // (gates · width,) or null
    const float* bias_hn;          // GRU: (width,) or null, stands inside the reset gate's product
    const float *h0, *c0;          // (rows, units); c0 LSTM only. Without `keep`, cn holds c0 at first
    float* gates;  // (N, gates · units), with `keep`: the gates
    float* y;      // (N, units)
    float* kept;   // (N, units), with `keep`: LSTM's c, or what h adds to GRU's candidate
    float *hn, *cn;  // (rows, units): after each row's last step
    float* room;     // for `dense_room` numbers

    // The backward pass: with what the forward pass left, in …
    const float* gy;  // (N, units)
    float *dh, *dc;   // (rows, units): in: the gradients of hn and cn; out: those of h0 and c0
    // … and out, null where it is not wanted.
    float* dx;
    float *dih, *dhh, *dbias, *dbias_hn;
};

enum class StepsCell { elman, lstm, gru, slstm };

// A whole sequence of a layer of the dense family with options, each step's matrix product followed by work on whole rows.
// `width` is the units of one head and `units` those filled up with zeros to a multiple of twice the vectors' width;
// P is heads × units, G the gates (coupled LSTM: 3), R what the next step sees, h: `shown` and filled up `shown_units`,
// P but with a projection. N and `counts` are as in Dense, and K, for what only a backward pass has for every step,
// is N with `keep` and else rows. Options are null, zero or false where a layer does not have them.
struct Steps {
    StepsCell cell;
    bool relu;         // Elman's nonlinearity; else tanh
    bool coupled;      // LSTM: no input gate, it is 1 - f
    bool reset_first;  // GRU: r scales h before the matrix, not after
    bool reverse, keep;
    int threads;
    float zoneout_h, zoneout_c;  // rates, of which the expected value is taken; masks go before
    long rows, steps, heads, width, units, shown, shown_units;
    const long *counts, *offsets;
    const float* weight;      // (G, heads, width, width), or (G, width, shown)
    const float* projection;  // (shown, width)
    const float* peephole;    // (G - 1, P): i, f, o
    const float *gain_x, *gain_h, *bias;  // (G, P): layer norm, all or none
    const float *gain_c, *bias_c;         // (P,): LSTM's, both or none
    const float* bias_hn;                 // (P,): GRU's
    const float *dropout, *moves_h, *moves_c;  // masks: (N, P), (N, R), (N, P)
    const float *h0, *c0, *n0, *m0;  // (rows, R or P), the states that the cell has
    float* panel;    // room for both matrices filled up
    float* entered;  // (N, G · P): x's part of the gates, biases included unless there is layer norm; that leaves its normal
    float* gates;    // (N, G · P); may be `entered` but with layer norm and `keep`
    float* added;    // (K, G · P): what h adds
    float* inner;    // (K, P): what the second matrix sees, or Elman's h after dropout
    float* moments;  // (K, 4): with layer norm
    float* y;        // (N, R)
    float *c, *n, *m;          // (K, P); without `keep` they hold the first state at first, and the last in the end
    float *hn, *cn, *nn, *mn;  // (rows, R or P): after each row's last step; without `keep` only hn is written

    // The backward pass: with what the forward pass left, in …
    const float* gy;            // (N, R)
    float *dh, *dc, *dn, *dm;   // (rows, R or P): in: the gradients of the last states; out: those of the first
    // … and out. `dadded` may be `dentered` where there is no layer norm and the cell is no GRU.
    float *dentered, *dadded;   // (N, G · P): of what x and h add
    float* dshown;              // (N, R), with a projection: of its product
    float* dinner;              // room for (rows, P)
    float *dgain_x, *dgain_h, *dbias, *dgain_c, *dbias_c, *dbias_hn, *dpeephole;  // (rows, …): added to, row by row
};

// The matrix product c = a · b, with `start` in every row where there is one. a lies in memory row by row, a_depth = 1, or column by column, a_row = 1; and so does b.
struct Gemm {
    int threads;
    long rows, depth, columns;
    const float *a, *b;
    long a_row, a_depth, b_depth, b_column;  // from one number to the next
    const float* start;                      // (columns,) or null; only where a lies row by row
    float* c;                                // (rows, columns)
    float* room;                             // for `gemm_room` numbers
};

// The cross entropy of rows of scores: what is lost by each row's target under the softmax of its scores.
struct CrossEntropy {
    int threads;
    long rows, classes;
    const float* scores;     // (rows, classes)
    const int64_t* targets;  // (rows,), each 0 … classes - 1
    float* normalizers;      // (rows,): log Σ exp(scores); the forward pass leaves them to the backward pass
    float* losses;           // (rows,): normalizers - scores[targets]

    // The backward pass.
    const float* glosses;  // (rows,)
    float* gscores;        // (rows, classes): (softmax(scores) - one at the target) · glosses
};

struct Kernels {
    const char* name;
    int width;  // float32 numbers in a vector
    void (*scan)(const Scan<float>&, bool backward);
    void (*scan_double)(const Scan<double>&, bool backward);
    long (*dense_room)(const Dense&, bool backward);
    void (*dense)(const Dense&, bool backward);
    void (*dense_both)(const Dense&, const Dense&, bool backward);  // two that do not see one another, at once
    long (*gemm_room)(const Gemm&);
    void (*gemm)(const Gemm&);
    void (*steps_forward)(const Steps&);
    void (*steps_backward)(const Steps&);
    void (*cross_entropy)(const CrossEntropy&, bool backward);

    // The sampler's (engine/sampler.hpp). The largest logit, or NaN where one of them is NaN or +infinity; and weights[i] =
    // 2^((logits[i] - most) · scale) in units of 2^-40, rounded, so that sums are exact in any order, and no library's exp decides;
    // their sum. The same bits on every variant, as recurra.decoding.sampling's.
    float (*largest)(const float* logits, long n);
    int64_t (*weigh)(const float* logits, long n, float most, double scale, int64_t* weights);

    // The streaming engine's (engine/weights.hpp), each for one thread.
    void (*product)(const Product&, long first_panel, long last_panel);  // the panels first … last - 1
    void (*quantize)(const float* x, long in, Format, void* room);  // quantized_bytes; NaN or infinity in x makes every y NaN
    void (*embed)(const Matrix&, long row, float* y);               // that output's `in` weights
    void (*loop)(const Instruction&, float* out, const float* const* in);  // neither `linear`, `embed` nor `attend`
    void (*attend)(const Attention&);
};

// The variant in use: the best that this processor runs, or the one that the environment variable RECURRA_SIMD names.
// Throws std::runtime_error where that one is unknown, not built, or not for this processor.
const Kernels& kernels();

// From now on the variant of that name; throws as `kernels` does. For tests: no kernel may be running.
void use(const char* name);

// Calls see(name) for each variant that was built and that this processor runs, the best first.
void each_variant(void (*see)(const Kernels&, void* context), void* context);

}  // namespace recurra
