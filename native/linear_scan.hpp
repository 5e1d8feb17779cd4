// The diagonal recurrence h_t = a_t * h_{t-1} + b_t; see src/recurra/ops/diagonal/reference.py for the definition.
#pragma once

#include <cstddef>

namespace recurra {

// a, b, out: rows x steps x units, h0: rows x units, all contiguous. With `reverse` time runs from the last step to
// the first and h0 stands behind the last. `out` overlaps none of the others. NaN propagates within its own unit.
template <typename Number>
void linear_scan(const Number* a, const Number* b, const Number* h0, Number* out, std::size_t rows,
                 std::size_t steps, std::size_t units, bool reverse) {
    for (std::size_t row = 0; row < rows; ++row) {
        const Number* before = h0 + row * units;
        for (std::size_t count = 0; count < steps; ++count) {
            const std::size_t step = reverse ? steps - 1 - count : count;
            const std::size_t offset = (row * steps + step) * units;
            for (std::size_t unit = 0; unit < units; ++unit)
                out[offset + unit] = a[offset + unit] * before[unit] + b[offset + unit];
            before = out + offset;
        }
    }
}

}  // namespace recurra
