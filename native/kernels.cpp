// A variant's table. The families' kernels are compiled beside it, each once for each variant (CMakeLists.txt), with
// RECURRA_VARIANT its name and the compiler's flags for its instructions.
#include "kernels.hpp"

#include "simd.hpp"

#define NAME_OF(variant) #variant
#define NAME(variant) NAME_OF(variant)

namespace recurra::RECURRA_VARIANT {

long dense_room(const Dense&, bool backward);
void dense(const Dense&, bool backward);
void dense_both(const Dense&, const Dense&, bool backward);
long gemm_room(const Gemm&);
void gemm(const Gemm&);
void steps_forward(const Steps&);
void steps_backward(const Steps&);
void cross_entropy(const CrossEntropy&, bool backward);
float largest(const float* logits, long n);
int64_t weigh(const float* logits, long n, float most, double scale, int64_t* weights);
void product(const Product&, long first_panel, long last_panel);
void quantize(const float* x, long in, Format, void* room);
void embed(const Matrix&, long row, float* y);
void loop(const Instruction&, float* out, const float* const* in);
void attend(const Attention&);
template <typename Number>
void scan(const Scan<Number>&, bool backward);
extern template void scan(const Scan<float>&, bool);
extern template void scan(const Scan<double>&, bool);

extern const Kernels table;
const Kernels table = {NAME(RECURRA_VARIANT), W,
                       &scan<float>,          &scan<double>,
                       &dense_room,           &dense,
                       &dense_both,           &gemm_room,
                       &gemm,                 &steps_forward,
                       &steps_backward,       &cross_entropy,
                       &largest,              &weigh,
                       &product,              &quantize,
                       &embed,                &loop,
                       &attend};

}  // namespace recurra::RECURRA_VARIANT
