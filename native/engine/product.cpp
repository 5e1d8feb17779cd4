// The streaming engine's matrix kernels, for every format.
#include "engine/product.hpp"

namespace recurra::RECURRA_VARIANT {

void product(const Product& p, long first_panel, long last_panel) {
    switch (p.matrix->format) {
        case Format::float32: return float_product<float>(p, first_panel, last_panel);
        case Format::float16: return float_product<uint16_t>(p, first_panel, last_panel);
        case Format::int8: return;
        case Format::int4: return;
    }
}

void quantize(const float*, long, Format, void*) {}

void embed(const Matrix& m, long row, float* y) {
    const long panel = row / PANEL, at = row % PANEL;
    const char* weights = static_cast<const char*>(m.weights) + panel * panel_bytes(m.format, m.in);
    switch (m.format) {
        case Format::float32:
            for (long k = 0; k < m.in; ++k) y[k] = reinterpret_cast<const float*>(weights)[k * PANEL + at];
            return;
        default: return;
    }
}

}  // namespace recurra::RECURRA_VARIANT
