// The Python module recurra._native: checks shapes, then hands raw pointers to the kernels.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "kernels.hpp"
#include "threads.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

template <typename Number, std::size_t axes>
using Array = nb::ndarray<Number, nb::ndim<axes>, nb::c_contig, nb::device::cpu>;

template <typename Number>
void linear_scan(Array<const Number, 3> a, Array<const Number, 3> b, Array<const Number, 2> h0,
                 Array<Number, 3> out, bool reverse, int threads) {
    for (std::size_t axis = 0; axis < 3; ++axis)
        if (b.shape(axis) != a.shape(axis) || out.shape(axis) != a.shape(axis))
            throw std::invalid_argument("linear_scan: a, b and out must have one shape (B, T, D)");
    if (h0.shape(0) != a.shape(0) || h0.shape(1) != a.shape(2))
        throw std::invalid_argument("linear_scan: h0 must have shape (B, D)");
    const recurra::Scan<Number> scan = {a.data(), b.data(), h0.data(), out.data(),
                                        long(a.shape(0)), long(a.shape(1)), long(a.shape(2)), reverse, threads};
    nb::gil_scoped_release release;
    if constexpr (sizeof(Number) == 4)
        recurra::kernels().scan(scan);
    else
        recurra::kernels().scan_double(scan);
}

std::vector<std::string> variants() {
    std::vector<std::string> names;
    recurra::each_variant(
        [](const recurra::Kernels& each, void* context) {
            static_cast<std::vector<std::string>*>(context)->push_back(each.name);
        },
        &names);
    return names;
}

}  // namespace

NB_MODULE(_native, module) {
    module.doc() = "recurra's compiled kernels";
    module.def("variant", [] { return recurra::kernels().name; }, "The variant in use.");
    module.def("variants", &variants, "The variants that this processor runs, the best first.");
    module.def("use", &recurra::use, "name"_a, "Use that variant from now on; for tests.");
    module.def("width", [] { return recurra::kernels().width; }, "How many float32 numbers one of its vectors holds.");
    module.def("openmp", &recurra::has_openmp, "Whether it can use more than one thread.");
    // Arguments are never converted: a copy of `out` would swallow the result.
    module.def("linear_scan", &linear_scan<float>, "a"_a.noconvert(), "b"_a.noconvert(), "h0"_a.noconvert(),
               "out"_a.noconvert(), "reverse"_a, "threads"_a);
    module.def("linear_scan", &linear_scan<double>, "a"_a.noconvert(), "b"_a.noconvert(), "h0"_a.noconvert(),
               "out"_a.noconvert(), "reverse"_a, "threads"_a);
}
