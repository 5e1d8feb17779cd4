// How the streaming engine stores matrices, so that a file that is mapped into memory is used as it is, on every variant.
//
// A matrix (out, in) is cut into panels of 32 outputs, the last filled up with zeros, one panel after another. Inside a panel:
//
//     float32, float16   [in][32]
//     int8               [in / 4][32][4] and a float32 scale for each output, [panels · 32]; `in` filled up with zeros
//     int4               [in / 32][4][32][4] bytes, and a scale for each group of 32 inputs and output, [panels][in / 32][16][2];
//                        `in` filled up with zeros. Byte [g][j][output][i] is q + 8 for input 32g + 4j + i in its low four bits, and
//                        for the input 16 further on in its high ones; q is -8 … 7. Scale [g][j][i] is that of output 16i + j, the
//                        upper half of a float32 number (bfloat16): range is what counts, its rounding goes into the choice of q.
//
// A weight is q · scale; int8's q is -127 … 127. src/recurra/streaming/weights.py makes them.
#pragma once

namespace recurra {

enum class Format { float32, float16, int8, int4 };

constexpr long PANEL = 32;

// The largest matrix: no count of bytes below overflows, nor a sum of products of int8.
constexpr long MOST_OUT = 1L << 28, MOST_IN = 1L << 17;

constexpr bool is_quantized(Format format) { return format == Format::int8 || format == Format::int4; }

constexpr long filled_up(long count, long to) { return (count + to - 1) / to * to; }

constexpr long panels(long out) { return (out + PANEL - 1) / PANEL; }

// The bytes of one panel's weights, and of its scales.
constexpr long panel_bytes(Format format, long in) {
    switch (format) {
        case Format::float32: return in * PANEL * 4;
        case Format::float16: return in * PANEL * 2;
        case Format::int8: return filled_up(in, 4) * PANEL;
        case Format::int4: return filled_up(in, 32) * PANEL / 2;
    }
    return 0;
}
constexpr long panel_scale_bytes(Format format, long in) {
    switch (format) {
        case Format::int8: return PANEL * 4;
        case Format::int4: return filled_up(in, 32) / 32 * PANEL * 2;
        default: return 0;
    }
}

// The bytes of a matrix's weights, and of its scales.
constexpr long weight_bytes(Format format, long out, long in) { return panels(out) * panel_bytes(format, in); }
constexpr long scale_bytes(Format format, long out, long in) { return panels(out) * panel_scale_bytes(format, in); }

// A matrix in such memory: at any address that suits its numbers, best a multiple of 64.
struct Matrix {
    Format format;
    long out, in;
    const void* weights;
    const void* scales;  // int8 and int4
    const float* bias;   // (out,); or null
};

// One row's x in int8, for matrices of int8 or int4: 64 bytes that begin with the scale, a float, and the sum of the negative numbers, an
// int32; the numbers as int8, `in` filled up with zeros to a multiple of 32; then for int8 their sizes and -1 for each negative one, and
// for int4 the sum of each group of 32, times 8, as int32; filled up to a multiple of 64 bytes.
constexpr long quantized_bytes(Format format, long in) {
    const long filled = filled_up(in, 32);
    return is_quantized(format) ? filled_up(64 + filled + (format == Format::int4 ? filled / 8 : 2 * filled), 64) : 0;
}

// y = W x + bias + add for each row. What a row gets never depends on the other rows, nor on which panels are computed together.
struct Product {
    const Matrix* matrix;
    long rows;
    const float* const* x;    // rows times (in,); not read where there is `quantized`
    float* const* y;          // rows times (out,); apart from x and from other rows
    const float* const* add;  // rows times (out,), which may be y itself; or null
    const void* quantized;    // int8 and int4: the rows' x as `Kernels::quantize` left it, quantized_bytes apart
};

}  // namespace recurra
