// Compiled once for each variant, with RECURRA_VARIANT its name and the compiler's flags for its instructions.
#include "dense.hpp"
#include "kernels.hpp"
#include "scan.hpp"
#include "steps.hpp"

#define NAME_OF(variant) #variant
#define NAME(variant) NAME_OF(variant)

namespace recurra::RECURRA_VARIANT {

extern const Kernels table;
const Kernels table = {NAME(RECURRA_VARIANT), W,
                       &scan<float>,          &scan<double>,
                       &dense_forward,        &dense_backward,
                       &steps_forward,        &steps_backward};

}  // namespace recurra::RECURRA_VARIANT
