// A matrix product for Python: addresses, sizes and strides, which src/recurra/ops/product.py has checked.
#include <nanobind/nanobind.h>

#include <cstdint>

#include "kernels.hpp"

namespace nb = nanobind;
using namespace nb::literals;

using Address = std::uintptr_t;

namespace {

template <typename Number>
Number* at(Address address) {
    return reinterpret_cast<Number*>(address);
}

}  // namespace

void bind_gemm(nb::module_& module) {
    using recurra::Gemm;
    nb::class_<Gemm>(module, "Gemm", "A matrix product's sizes and the addresses of its float32 arrays: native/kernels.hpp.")
        .def(
            "__init__",
            [](Gemm* made, int threads, long rows, long depth, long columns, Address a, long a_row, long a_depth, Address b,
               long b_depth, long b_column, Address start, Address c) {
                new (made) Gemm{threads, rows,    depth,   columns,  at<const float>(a),     at<const float>(b),
                                a_row,   a_depth, b_depth, b_column, at<const float>(start), at<float>(c),
                                nullptr};
            },
            "threads"_a, "rows"_a, "depth"_a, "columns"_a, "a"_a, "a_row"_a, "a_depth"_a, "b"_a, "b_depth"_a, "b_column"_a,
            "start"_a, "c"_a)
        .def(
            "room", [](const Gemm& product) { return recurra::kernels().gemm_room(product); },
            "How many float32 numbers of room it needs.")
        .def(
            "run",
            [](Gemm& product, Address room) {
                product.room = at<float>(room);
                nb::gil_scoped_release release;
                recurra::kernels().gemm(product);
            },
            "room"_a, "Multiply.");
}
