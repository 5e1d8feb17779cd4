// The diagonal recurrence; see src/recurra/ops/diagonal/reference.py for the definition.
#pragma once

#include "kernels.hpp"
#include "simd.hpp"
#include "threads.hpp"

namespace recurra::RECURRA_VARIANT {

template <typename Number>
void scan(const Scan<Number>& s) {
    team(s.threads, [&](int thread, int threads, Barrier&) {
        for (long row = s.rows * thread / threads; row < s.rows * (thread + 1) / threads; ++row) {
            const Number* before = s.h0 + row * s.units;
            for (long count = 0; count < s.steps; ++count) {
                const long step = s.reverse ? s.steps - 1 - count : count;
                const long offset = (row * s.steps + step) * s.units;
                for (long unit = 0; unit < s.units; ++unit)
                    s.out[offset + unit] = s.a[offset + unit] * before[unit] + s.b[offset + unit];
                before = s.out + offset;
            }
        }
    });
}

}  // namespace recurra::RECURRA_VARIANT
