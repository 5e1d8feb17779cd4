#include "probe.hpp"

#include "../simd.hpp"

namespace recurra::RECURRA_VARIANT {

namespace {

template <Vec (*function)(Vec)>
void each(const float* x, float* y, long count) {
    for (long i = 0; i < count; i += W) store(y + i, function(load(x + i)));
}

void some(const float* x, float* y, long count) {
    for (long i = 0; i < count;) {
        const long left = count - i < W - 1 ? count - i : W - 1;
        store_some(y + i, load_some(x + i, left), left);
        i += left;
    }
}

}  // namespace

extern const Probe probe;
const Probe probe = {&each<exp>, &each<sigmoid>, &each<tanh>, &some};

}  // namespace recurra::RECURRA_VARIANT
