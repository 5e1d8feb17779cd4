// The dense family for Python: addresses and sizes, which src/recurra/ops/dense/cpu.py has checked.
#include <nanobind/nanobind.h>

#include <cstdint>
#include <stdexcept>
#include <string_view>

#include "kernels.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using Address = std::uintptr_t;  // 0 where there is no such array

template <typename Number>
Number* at(Address address) {
    return reinterpret_cast<Number*>(address);
}

recurra::DenseCell cell_named(std::string_view name) {
    if (name == "rnn") return recurra::DenseCell::elman;
    if (name == "lstm") return recurra::DenseCell::lstm;
    if (name == "gru") return recurra::DenseCell::gru;
    throw std::invalid_argument("no such cell");
}

}  // namespace

void bind_dense(nb::module_& module) {
    using recurra::Dense;
    nb::class_<Dense>(module, "Dense", "A layer's sizes and the addresses of its float32 arrays: native/kernels.hpp.")
        .def(
            "__init__",
            [](Dense* made, const char* cell, bool relu, bool reverse, bool keep, int threads, long rows, long steps,
               long width, long units, Address counts, Address offsets, Address weight, Address bias_hn, Address h0,
               Address c0, Address panel, Address gates, Address y, Address kept, Address hn, Address cn, Address gy,
               Address dh, Address dc, Address dgates) {
                new (made) Dense{cell_named(cell),  relu,
                                 reverse,           keep,
                                 threads,           rows,
                                 steps,             width,
                                 units,             at<const long>(counts),
                                 at<const long>(offsets), at<const float>(weight),
                                 at<const float>(bias_hn), at<const float>(h0),
                                 at<const float>(c0), at<float>(panel),
                                 at<float>(gates),  at<float>(y),
                                 at<float>(kept),   at<float>(hn),
                                 at<float>(cn),     at<const float>(gy),
                                 at<float>(dh),     at<float>(dc),
                                 at<float>(dgates)};
            },
            "cell"_a, "relu"_a, "reverse"_a, "keep"_a, "threads"_a, "rows"_a, "steps"_a, "width"_a, "units"_a,
            "counts"_a, "offsets"_a, "weight"_a, "bias_hn"_a, "h0"_a, "c0"_a, "panel"_a, "gates"_a, "y"_a, "kept"_a,
            "hn"_a, "cn"_a, "gy"_a = 0, "dh"_a = 0, "dc"_a = 0, "dgates"_a = 0);
    const auto define = [&](const char* name, bool backward, const char* doc) {
        module.def(
            name,
            [backward](const Dense& layer, const Dense* other) {
                nb::gil_scoped_release release;
                if (other == nullptr)
                    recurra::kernels().dense(layer, backward);
                else
                    recurra::kernels().dense_both(layer, *other, backward);
            },
            "layer"_a, "other"_a.none() = nb::none(), doc);
    };
    // Which of them is said, not seen: where all rows are empty, the arrays of either have no address.
    define("dense_forward", false, "A whole sequence forward; of two layers at once where there are two.");
    define("dense_backward", true, "Backward, after forward; of two layers at once where there are two.");
}
