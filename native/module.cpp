// The Python module recurra._native: checks shapes, then hands raw pointers to the kernels.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <stdexcept>

#include "linear_scan.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

template <typename Number, std::size_t axes>
using Array = nb::ndarray<Number, nb::ndim<axes>, nb::c_contig, nb::device::cpu>;

template <typename Number>
void linear_scan(Array<const Number, 3> a, Array<const Number, 3> b, Array<const Number, 2> h0,
                 Array<Number, 3> out, bool reverse) {
    for (std::size_t axis = 0; axis < 3; ++axis)
        if (b.shape(axis) != a.shape(axis) || out.shape(axis) != a.shape(axis))
            throw std::invalid_argument("linear_scan: a, b and out must have one shape (B, T, D)");
    if (h0.shape(0) != a.shape(0) || h0.shape(1) != a.shape(2))
        throw std::invalid_argument("linear_scan: h0 must have shape (B, D)");
    nb::gil_scoped_release release;
    recurra::linear_scan(a.data(), b.data(), h0.data(), out.data(), a.shape(0), a.shape(1), a.shape(2), reverse);
}

}  // namespace

NB_MODULE(_native, module) {
    module.doc() = "recurra's compiled kernels";
    // Arguments are never converted: a copy of `out` would swallow the result.
    module.def("linear_scan", &linear_scan<float>, "a"_a.noconvert(), "b"_a.noconvert(), "h0"_a.noconvert(),
               "out"_a.noconvert(), "reverse"_a);
    module.def("linear_scan", &linear_scan<double>, "a"_a.noconvert(), "b"_a.noconvert(), "h0"_a.noconvert(),
               "out"_a.noconvert(), "reverse"_a);
}
