// The streaming engine's matrix kernels, for every format.
#include "engine/product.hpp"
#include "engine/quantized.hpp"

namespace recurra::RECURRA_VARIANT {

void product(const Product& p, long first_panel, long last_panel) {
    switch (p.matrix->format) {
        case Format::float32: return float_product<float>(p, first_panel, last_panel);
        case Format::float16: return float_product<uint16_t>(p, first_panel, last_panel);
        case Format::int8: return int8_product(p, first_panel, last_panel);
        case Format::int4: return int4_product(p, first_panel, last_panel);
    }
}

void quantize(const float* x, long in, Format format, void* room) {
    if (is_quantized(format)) quantize_row(x, in, format, room);
}

void embed(const Matrix& m, long row, float* y) {
    const long panel = row / PANEL, at = row % PANEL;
    const void* weights = static_cast<const char*>(m.weights) + panel * panel_bytes(m.format, m.in);
    const void* scales = static_cast<const char*>(m.scales) + panel * panel_scale_bytes(m.format, m.in);
    for (long k = 0; k < m.in; ++k) switch (m.format) {
            case Format::float32: y[k] = static_cast<const float*>(weights)[k * PANEL + at]; break;
            case Format::float16: y[k] = widen(static_cast<const uint16_t*>(weights)[k * PANEL + at]); break;
            case Format::int8: {
                const int8_t q = static_cast<const int8_t*>(weights)[k / 4 * PANEL * 4 + at * 4 + k % 4];
                y[k] = q * static_cast<const float*>(scales)[at];
                break;
            }
            case Format::int4: {
                const long group = k / 32, place = group * 4 + k % 16 / 4;
                const uint8_t both = static_cast<const uint8_t*>(weights)[place * PANEL * 4 + at * 4 + k % 4];
                const int q = (k % 32 < 16 ? both & 15 : both >> 4) - 8;
                y[k] = float(q) * scale_of(static_cast<const uint16_t*>(scales) + group * PANEL, at);
                break;
            }
        }
}

}  // namespace recurra::RECURRA_VARIANT
