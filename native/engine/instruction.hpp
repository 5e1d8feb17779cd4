// One instruction of the streaming engine; plain, for the variants' kernels see it.
// src/recurra/streaming/program.py says what the operations mean.
#pragma once

namespace recurra {

// Each operation's name in files.
#define RECURRA_OPERATIONS(EACH)                                                                                          \
    EACH(linear) EACH(embed) EACH(attend)                                                                                 \
    EACH(copy) EACH(add) EACH(subtract) EACH(multiply) EACH(divide) EACH(maximum) EACH(minimum) EACH(less) EACH(greater)  \
    EACH(where) EACH(negative) EACH(absolute) EACH(sign) EACH(exp) EACH(expm1) EACH(log) EACH(log1p) EACH(sin) EACH(cos)  \
    EACH(erf) EACH(sqrt) EACH(rsqrt) EACH(reciprocal) EACH(sigmoid) EACH(tanh) EACH(relu) EACH(softplus)                  \
    EACH(cumulate) EACH(softmax) EACH(log_softmax) EACH(normalize) EACH(sum) EACH(greatest) EACH(contract)

#define RECURRA_OPERATION_ITEM(name) name,
enum class Op : int { RECURRA_OPERATIONS(RECURRA_OPERATION_ITEM) };
#undef RECURRA_OPERATION_ITEM

enum class Space : int { frame, state, constants };

constexpr int AXES = 4;

// Number (i, j, k, l) stands at offset + i·strides[0] + j·strides[1] + k·strides[2] + l·strides[3] of its space.
struct Place {
    Space space;
    long offset;
    long strides[AXES];
};

struct Instruction {
    Op op;
    int ins;           // how many of `in` there are
    long shape[AXES];  // of what it loops over
    Place out, in[3];
    long numbers[2];  // matrix; or matrix and input; or memory and heads
};

// One query's attention over a memory of `length` places: keys (length, keys' width) and values, each head by itself.
struct Attention {
    const float *query, *keys, *values;
    long length, heads, key_width, value_width;
    float* shares;  // room for (length,)
    float* out;     // (value_width,): zeros where there is nothing to read
};

}  // namespace recurra
