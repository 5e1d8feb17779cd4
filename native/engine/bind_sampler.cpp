// The engine's sampler for Python: settings, numbers, one choice.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <stdexcept>

#include "sampler.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using recurra::Random;
using recurra::SamplerScratch;
using recurra::Settings;

namespace {

template <typename Number>
using Array = nb::ndarray<const Number, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

long choose(const Settings& settings, Array<float> logits, std::optional<Array<std::uint8_t>> allowed, Array<long> history,
            Random& random) {
    static thread_local SamplerScratch scratch;
    const long n = long(logits.shape(0));
    if (const char* wrong = recurra::check(settings, n)) throw std::invalid_argument(wrong);
    if (allowed && long(allowed->shape(0)) < (n + 7) / 8) throw std::invalid_argument("the mask has too few bits");
    return recurra::choose(settings, logits.data(), n, allowed ? allowed->data() : nullptr, history.data(),
                           long(history.shape(0)), random, scratch);
}

}  // namespace

void bind_sampler(nb::module_& module) {
    nb::class_<Settings>(module, "Settings", "How tokens are chosen: native/engine/sampler.hpp.")
        .def(nb::init<>())
        .def_rw("temperature", &Settings::temperature)
        .def_rw("top_k", &Settings::top_k)
        .def_rw("top_p", &Settings::top_p)
        .def_rw("min_p", &Settings::min_p)
        .def_rw("repetition_penalty", &Settings::repetition_penalty)
        .def_rw("repetition_window", &Settings::repetition_window)
        .def_rw("max_tokens", &Settings::max_tokens)
        .def_rw("banned", &Settings::banned)
        .def_rw("forced", &Settings::forced)
        .def_rw("stop", &Settings::stop)
        .def("check", &recurra::check, "vocabulary"_a, "What does not fit, or None.");
    nb::class_<Random>(module, "Random", "The numbers of a session.")
        .def(
            "__init__",
            [](Random* made, std::uint64_t seed, std::uint64_t count) { new (made) Random{seed, count}; }, "seed"_a,
            "count"_a = 0)
        .def_rw("seed", &Random::seed)
        .def_rw("count", &Random::count)
        .def("next", &Random::next, "The next number, in [0, 1).");
    module.def("choose", &choose, "settings"_a, "logits"_a, "allowed"_a.none(), "history"_a, "random"_a,
               "A token out of float32 logits, or a negative number as native/engine/sampler.hpp says.");
    module.def("ends", &recurra::ends, "settings"_a, "token"_a, "random"_a, "Whether the sequence ends with this token.");
}
