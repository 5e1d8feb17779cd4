// simd.hpp's functions over whole arrays (`count` a multiple of 16), compiled once for each variant like the kernels.
#pragma once

namespace recurra {

struct Probe {
    void (*exp)(const float* x, float* y, long count);
    void (*sigmoid)(const float* x, float* y, long count);
    void (*tanh)(const float* x, float* y, long count);
    void (*some)(const float* x, float* y, long count);  // copies by load_some and store_some, from and to the very end
};

}  // namespace recurra
