// The dense family with options for Python: a description whose fields are those of recurra::Steps (native/kernels.hpp), arrays
// as addresses of float32 numbers. src/recurra/ops/dense/varied.py fills it in and has checked everything.
#include <nanobind/nanobind.h>

#include <cstdint>
#include <stdexcept>
#include <string_view>

#include "kernels.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using recurra::Steps;
using recurra::StepsCell;

namespace {

StepsCell cell_named(std::string_view name) {
    if (name == "rnn") return StepsCell::elman;
    if (name == "lstm") return StepsCell::lstm;
    if (name == "gru") return StepsCell::gru;
    if (name == "slstm") return StepsCell::slstm;
    throw std::invalid_argument("no such cell");
}

struct Array {
    const char* name;
    void (*set)(Steps&, std::uintptr_t address);
};

#define ARRAY(name) \
    {#name, [](Steps& steps, std::uintptr_t address) { steps.name = reinterpret_cast<decltype(steps.name)>(address); }}

const Array arrays[] = {
    ARRAY(counts),  ARRAY(offsets), ARRAY(weight),  ARRAY(projection), ARRAY(peephole), ARRAY(gain_x),  ARRAY(gain_h),
    ARRAY(bias),    ARRAY(gain_c),  ARRAY(bias_c),  ARRAY(bias_hn),    ARRAY(dropout),  ARRAY(moves_h), ARRAY(moves_c),
    ARRAY(h0),      ARRAY(c0),      ARRAY(n0),      ARRAY(m0),         ARRAY(panel),    ARRAY(entered), ARRAY(gates),
    ARRAY(added),   ARRAY(inner),   ARRAY(moments), ARRAY(y),          ARRAY(c),        ARRAY(n),       ARRAY(m),
    ARRAY(hn),      ARRAY(cn),      ARRAY(nn),      ARRAY(mn),         ARRAY(gy),       ARRAY(dh),      ARRAY(dc),
    ARRAY(dn),      ARRAY(dm),      ARRAY(dentered), ARRAY(dadded),    ARRAY(dshown),   ARRAY(dinner),  ARRAY(dgain_x),
    ARRAY(dgain_h), ARRAY(dbias),   ARRAY(dgain_c), ARRAY(dbias_c),    ARRAY(dbias_hn), ARRAY(dpeephole),
};

}  // namespace

void bind_steps(nb::module_& module) {
    nb::class_<Steps>(module, "Steps", "A layer's whole sequence: options and sizes, and where its arrays are.")
        .def(
            "__init__", [](Steps* made, const char* cell) { (new (made) Steps{})->cell = cell_named(cell); }, "cell"_a)
        .def(
            "put",
            [](Steps& steps, const char* name, std::uintptr_t address) {
                for (const Array& each : arrays)
                    if (std::string_view(name) == each.name) return each.set(steps, address);
                throw std::invalid_argument("no such array");
            },
            "name"_a, "address"_a, "Say where an array is.")
        .def_rw("relu", &Steps::relu)
        .def_rw("coupled", &Steps::coupled)
        .def_rw("reset_first", &Steps::reset_first)
        .def_rw("reverse", &Steps::reverse)
        .def_rw("keep", &Steps::keep)
        .def_rw("threads", &Steps::threads)
        .def_rw("zoneout_h", &Steps::zoneout_h)
        .def_rw("zoneout_c", &Steps::zoneout_c)
        .def_rw("rows", &Steps::rows)
        .def_rw("steps", &Steps::steps)
        .def_rw("heads", &Steps::heads)
        .def_rw("width", &Steps::width)
        .def_rw("units", &Steps::units)
        .def_rw("shown", &Steps::shown)
        .def_rw("shown_units", &Steps::shown_units);
    module.def(
        "steps_forward", [](const Steps& steps) { recurra::kernels().steps_forward(steps); }, "steps"_a,
        nb::call_guard<nb::gil_scoped_release>(), "Forward, as native/kernels.hpp says.");
    module.def(
        "steps_backward", [](const Steps& steps) { recurra::kernels().steps_backward(steps); }, "steps"_a,
        nb::call_guard<nb::gil_scoped_release>(), "Backward, after forward.");
}
