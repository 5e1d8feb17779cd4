// The streaming engine's products in every format against sums in double over the layout as engine/weights.hpp gives it.
#include <algorithm>

#include "check.hpp"

namespace check {

namespace {

using recurra::Format;
using recurra::Kernels;
using recurra::Matrix;
using recurra::PANEL;
using recurra::Product;

constexpr const char* names[] = {"product, float32", "product, float16", "product, int8", "product, int4"};

double half(std::uint16_t bits) {
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    const double size = exponent ? std::ldexp(1024 + fraction, exponent - 25) : std::ldexp(fraction, -24);
    return bits >> 15 ? -size : size;
}

float upper_half(std::uint16_t bits) {
    const std::uint32_t all = std::uint32_t(bits) << 16;
    float x;
    std::memcpy(&x, &all, sizeof x);
    return x;
}

struct Case {
    long out, in, rows;
    Guarded<float> floats, scales, bias;
    Guarded<std::uint16_t> halves, upper_halves;
    Guarded<std::int8_t> bytes;
    Guarded<std::uint8_t> nibbles;
    Matrix matrix;
    std::vector<Guarded<float>> x, add, y;

    static long numbers(bool there, long bytes, long each) { return there ? bytes / each : 0; }

    Case(Format f, long o, long i, long r, Draw& draw)
        : out(o), in(i), rows(r), floats(numbers(f == Format::float32, recurra::weight_bytes(f, o, i), 4), draw, -1.0, 1.0),
          scales(numbers(f == Format::int8, recurra::scale_bytes(f, o, i), 4), draw, 0.005, 0.01),
          bias(draw.coin() ? o : 0, draw, -1.0, 1.0),
          halves(numbers(f == Format::float16, recurra::weight_bytes(f, o, i), 2), draw),
          upper_halves(numbers(f == Format::int4, recurra::scale_bytes(f, o, i), 2), draw),
          bytes(numbers(f == Format::int8, recurra::weight_bytes(f, o, i), 1), draw),
          nibbles(numbers(f == Format::int4, recurra::weight_bytes(f, o, i), 1), draw), matrix{f, o, i, nullptr, nullptr, nullptr} {
        for (long k = 0; k < halves.count(); ++k)  // down to the smallest, not beyond 2
            halves[k] = std::uint16_t(draw.bits() & 0x83ff) | std::uint16_t(draw.upto(15) << 10);
        for (long k = 0; k < upper_halves.count(); ++k)
            upper_halves[k] = std::uint16_t(draw.bits() & 0x807f) | std::uint16_t((120 + draw.upto(4)) << 7);
        for (long k = 0; k < bytes.count(); ++k) bytes[k] = std::int8_t(draw.upto(6) ? draw.upto(254) - 127 : draw.coin() ? 127 : -127);
        for (long k = 0; k < nibbles.count(); ++k) nibbles[k] = std::uint8_t(draw.upto(6) ? draw.bits() : draw.coin() ? 0xff : 0);
        const void* weights[] = {floats.data(), halves.data(), bytes.data(), nibbles.data()};
        matrix.weights = weights[int(f)];
        matrix.scales = f == Format::int8 ? static_cast<const void*>(scales.data()) : upper_halves.data();
        matrix.bias = bias.count() ? bias.data() : nullptr;
        for (long row = 0; row < rows; ++row) {
            const double size = std::pow(10.0, draw.between(-3.0, 0.0));
            x.emplace_back(in, draw, -size, size);
            add.emplace_back(out, draw, -1.0, 1.0);
            y.emplace_back(out, draw);
            if (draw.upto(9) == 0)
                for (long k = 0; k < in; ++k) x.back()[k] = draw.coin() ? 1.0f : -1.0f;
            if (in && draw.upto(9) == 0) x.back()[draw.upto(in - 1)] = draw.coin() ? NAN : INFINITY;
            if (draw.upto(9) == 0) std::fill_n(x.back().data(), in, draw.coin() ? 0.0f : 1e-40f);
        }
    }

    // A weight as an integer times a scale; other formats' is 1.
    double integer(long output, long k, double& scale) const {
        const long panel = output / PANEL, at = output % PANEL;
        scale = 1.0;
        switch (matrix.format) {
            case Format::float32: return double(floats[(panel * in + k) * PANEL + at]);
            case Format::float16: return half(halves[(panel * in + k) * PANEL + at]);
            case Format::int8:
                scale = double(scales[output]);
                return bytes[((panel * ((in + 3) / 4) + k / 4) * PANEL + at) * 4 + k % 4];
            case Format::int4: {
                const long group = panel * ((in + 31) / 32) + k / 32;
                scale = double(upper_half(upper_halves[group * PANEL + at % 16 * 2 + at / 16]));
                const int both = nibbles[((group * 4 + k % 16 / 4) * PANEL + at) * 4 + k % 4];
                return (k % 32 < 16 ? both & 15 : both >> 4) - 8;
            }
        }
        return 0.0;
    }

    // x as the kernel takes it.
    std::vector<double> taken(long row) const {
        std::vector<double> found(x[std::size_t(row)].data(), x[std::size_t(row)].data() + in);
        if (!recurra::is_quantized(matrix.format)) return found;
        float largest = 0.0f;
        for (const double each : found) largest = std::isfinite(each) ? std::fmax(largest, float(std::fabs(each))) : INFINITY;
        const float scale = largest / 127.0f, inverse = 127.0f / largest;
        for (double& each : found)
            each = std::isinf(largest) ? NAN : largest < 1e-30f ? 0.0 : double(std::nearbyintf(float(each) * inverse)) * double(scale);
        return found;
    }

    std::vector<double> product(long row, bool adds) const {
        const std::vector<double> xs = taken(row);
        std::vector<double> found;
        for (long output = 0; output < out; ++output) {
            double sum = (bias.count() ? double(bias[output]) : 0.0) + (adds ? double(add[std::size_t(row)][output]) : 0.0);
            for (long k = 0; k < in; ++k) {
                double scale;
                const double q = integer(output, k, scale);
                sum += q * scale * xs[std::size_t(k)];
            }
            found.push_back(sum);
        }
        return found;
    }

    // Rows begin … end - 1 into `to`; `cuts` are where one call's panels end and the next one's start.
    void run(const Kernels& kernels, std::vector<Guarded<float>>& to, long begin, long end, bool adds, std::vector<long> cuts, Draw& draw) const {
        std::vector<const float*> xs, adding;
        std::vector<float*> ys;
        const long bytes_each = recurra::quantized_bytes(matrix.format, in);
        Guarded<float> room((end - begin) * bytes_each / 4, draw);
        for (long row = begin; row < end; ++row) {
            xs.push_back(x[std::size_t(row)].data());
            adding.push_back(add[std::size_t(row)].data());
            ys.push_back(to[std::size_t(row)].data());
            kernels.quantize(xs.back(), in, matrix.format, room.data() + (row - begin) * bytes_each / 4);
        }
        const Product p = {&matrix, end - begin, xs.data(), ys.data(), adds ? adding.data() : nullptr, room.data()};
        cuts.push_back(0);
        cuts.push_back(recurra::panels(out));
        std::sort(cuts.begin(), cuts.end());
        for (std::size_t i = 1; i < cuts.size(); ++i) kernels.product(p, cuts[i - 1], cuts[i]);
    }
};

bool check_format(const Kernels& kernels, Format format, long cases, Draw& draw) {
    Tally tally(kernels, names[int(format)]);
    for (long i = 0; i < cases; ++i) {
        const bool in_parts = draw.upto(4) == 0;  // a panel that the first cache does not hold
        const long out = draw.size(1, 100), in = in_parts ? 255 + draw.upto(300) : draw.size(0, 100);
        const long rows = in_parts ? 4 + draw.upto(12) : draw.upto(3) ? 1 + draw.upto(8) : 1 + draw.upto(130);
        tally.next("out %ld, in %ld, rows %ld", out, in, rows);
        Case each(format, out, in, rows, draw);
        const bool adds = draw.coin();
        each.run(kernels, each.y, 0, rows, adds, {}, draw);
        for (long row = 0; row < rows; ++row)
            tally.compare("y", each.y[std::size_t(row)], each.product(row, adds), 3e-5);

        std::vector<Guarded<float>> again;
        for (long row = 0; row < rows; ++row) again.emplace_back(out, draw);
        for (long begin = 0, end; begin < rows; begin = end) {
            end = std::min(rows, begin + 1 + draw.upto(5));
            each.run(kernels, again, begin, end, adds, {draw.upto(recurra::panels(out)), draw.upto(recurra::panels(out))}, draw);
        }
        for (long row = 0; row < rows; ++row)
            tally.same("rows and panels together and apart", each.y[std::size_t(row)], again[std::size_t(row)]);

        const long output = draw.upto(out - 1);
        Guarded<float> embedded(in, draw);
        kernels.embed(each.matrix, output, embedded.data());
        std::vector<double> weights;
        for (long k = 0; k < in; ++k) {
            double scale;
            const double q = each.integer(output, k, scale);
            weights.push_back(double(float(q * scale)));
        }
        tally.compare("embedding", embedded, weights, 0.0);
    }
    return tally.done();
}

}  // namespace

bool check_product(const Kernels& kernels, long cases, Draw& draw) {
    bool well = true;
    for (const Format format : {Format::float32, Format::float16, Format::int8, Format::int4})
        well &= check_format(kernels, format, cases, draw);
    return well;
}

}  // namespace check
