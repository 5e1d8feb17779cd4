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
               long entering, long width, long units, Address counts, Address offsets, Address x, Address ih, Address hh,
               Address bias, Address bias_hn, Address h0, Address c0, Address gates, Address y, Address kept, Address hn,
               Address cn, Address gy, Address dh, Address dc, Address dx, Address dih, Address dhh, Address dbias,
               Address dbias_hn) {
                new (made) Dense{cell_named(cell),        relu,
                                 reverse,                 keep,
                                 threads,                 rows,
                                 steps,                   entering,
                                 width,                   units,
                                 at<const long>(counts),  at<const long>(offsets),
                                 at<const float>(x),      at<const float>(ih),
                                 at<const float>(hh),     at<const float>(bias),
                                 at<const float>(bias_hn), at<const float>(h0),
                                 at<const float>(c0),     at<float>(gates),
                                 at<float>(y),            at<float>(kept),
                                 at<float>(hn),           at<float>(cn),
                                 nullptr,                 at<const float>(gy),
                                 at<float>(dh),           at<float>(dc),
                                 at<float>(dx),           at<float>(dih),
                                 at<float>(dhh),          at<float>(dbias),
                                 at<float>(dbias_hn)};
            },
            "cell"_a, "relu"_a, "reverse"_a, "keep"_a, "threads"_a, "rows"_a, "steps"_a, "entering"_a, "width"_a,
            "units"_a, "counts"_a, "offsets"_a, "x"_a, "ih"_a, "hh"_a, "bias"_a, "bias_hn"_a, "h0"_a, "c0"_a, "gates"_a,
            "y"_a, "kept"_a, "hn"_a, "cn"_a, "gy"_a = 0, "dh"_a = 0, "dc"_a = 0, "dx"_a = 0, "dih"_a = 0, "dhh"_a = 0,
            "dbias"_a = 0, "dbias_hn"_a = 0)
        .def(
            "room", [](const Dense& layer, bool backward) { return recurra::kernels().dense_room(layer, backward); },
            "backward"_a, "How many float32 numbers of room a pass needs.")
        .def(
            "use", [](Dense& layer, Address room) { layer.room = at<float>(room); }, "room"_a, "Say where the room is.");
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
