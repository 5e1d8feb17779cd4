// The streaming engine's matrix products by themselves, for tests (tests/streaming/test_weights.py).
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string_view.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "kernels.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using recurra::Format;
using recurra::Matrix;

namespace {

using Bytes = nb::ndarray<const std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Vector = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Rows = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Out = nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

Format format_named(std::string_view name) {
    if (name == "float32") return Format::float32;
    if (name == "float16") return Format::float16;
    if (name == "int8") return Format::int8;
    if (name == "int4") return Format::int4;
    throw std::invalid_argument("no such format");
}

void require(bool holds, const char* what) {
    if (!holds) throw std::invalid_argument(what);
}

Matrix matrix(std::string_view format, long out, long in, const Bytes& weights, const Bytes& scales) {
    const Format of = format_named(format);
    require(0 <= out && out <= recurra::MOST_OUT && 0 <= in && in <= recurra::MOST_IN, "no such sizes");
    require(long(weights.size()) == recurra::weight_bytes(of, out, in), "another count of weights");
    require(long(scales.size()) == recurra::scale_bytes(of, out, in), "another count of scales");
    return {of, out, in, weights.data(), scales.data(), nullptr};
}

void product(std::string_view format, const Bytes& weights, const Bytes& scales, const Rows& x, const Out& y,
             const std::optional<Vector>& bias, const std::optional<Rows>& add, long first, long last) {
    const long rows = long(x.shape(0)), in = long(x.shape(1)), out = long(y.shape(1));
    Matrix m = matrix(format, out, in, weights, scales);
    require(long(y.shape(0)) == rows, "another count of rows in y");
    require(!bias || long(bias->shape(0)) == out, "another count of biases");
    require(!add || (long(add->shape(0)) == rows && long(add->shape(1)) == out), "another shape of what is added");
    require(0 <= first && first <= last && last <= recurra::panels(out), "no such panels");
    if (bias) m.bias = bias->data();
    std::vector<const float*> xs, adds;
    std::vector<float*> ys;
    for (long row = 0; row < rows; ++row) {
        xs.push_back(x.data() + row * in);
        ys.push_back(y.data() + row * out);
        if (add) adds.push_back(add->data() + row * out);
    }
    const recurra::Kernels& kernels = recurra::kernels();
    const long bytes = recurra::quantized_bytes(m.format, in);
    const std::unique_ptr<float[]> room(new float[std::size_t(rows * bytes / 4)]);
    if (bytes > 0)
        for (long row = 0; row < rows; ++row) kernels.quantize(xs[std::size_t(row)], in, m.format, room.get() + row * (bytes / 4));
    kernels.product({&m, rows, xs.data(), ys.data(), add ? adds.data() : nullptr, room.get()}, first, last);
}

void embed(std::string_view format, const Bytes& weights, const Bytes& scales, long out, long row, const Out& y) {
    const Matrix m = matrix(format, out, long(y.shape(1)), weights, scales);
    require(y.shape(0) == 1 && 0 <= row && row < out, "no such row");
    recurra::kernels().embed(m, row, y.data());
}

}  // namespace

void bind_product(nb::module_& module) {
    module.def("product", &product, "format"_a, "weights"_a, "scales"_a, "x"_a, "y"_a, "bias"_a.none(), "add"_a.none(), "first"_a,
               "last"_a, "y = x Wᵀ + bias + add for the panels first … last - 1 of a packed matrix; add may be y.");
    module.def("embed", &embed, "format"_a, "weights"_a, "scales"_a, "out"_a, "row"_a, "y"_a,
               "One output's weights of a packed matrix, into y (1, in).");
}
