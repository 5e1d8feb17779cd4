// What the kernels are called with, and the table of them that every variant fills (kernels.cpp).
//
// Legend: B rows, T steps, D or H units. Arrays are float32 and contiguous unless said otherwise.
#pragma once

namespace recurra {

// h_t = a_t ⊙ h_{t-1} + b_t; a, b, out are (rows, steps, units), h0 is (rows, units). With `reverse` time runs from the last step
// to the first and h0 stands behind the last. `out` overlaps none of the others. NaN stays within its own unit.
template <typename Number>
struct Scan {
    const Number *a, *b, *h0;
    Number* out;
    long rows, steps, units;
    bool reverse;
    int threads;
};

struct Kernels {
    const char* name;
    int width;  // float32 numbers in a vector
    void (*scan)(const Scan<float>&);
    void (*scan_double)(const Scan<double>&);
};

// The variant in use: the best that this processor runs, or the one that the environment variable RECURRA_SIMD names.
// Throws std::runtime_error where that one is unknown, not built, or not for this processor.
const Kernels& kernels();

// From now on the variant of that name; throws as `kernels` does. For tests: no kernel may be running.
void use(const char* name);

// Calls see(name) for each variant that was built and that this processor runs, the best first.
void each_variant(void (*see)(const Kernels&, void* context), void* context);

}  // namespace recurra
