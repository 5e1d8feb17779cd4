// The cross entropy for Python: addresses and sizes, which src/recurra/ops/losses.py has checked.
#include <nanobind/nanobind.h>

#include <cstdint>

#include "kernels.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using Address = std::uintptr_t;

void run(bool backward, int threads, long rows, long classes, Address scores, Address targets, Address normalizers,
         Address losses, Address glosses, Address gscores) {
    const recurra::CrossEntropy c = {threads,
                                     rows,
                                     classes,
                                     reinterpret_cast<const float*>(scores),
                                     reinterpret_cast<const std::int64_t*>(targets),
                                     reinterpret_cast<float*>(normalizers),
                                     reinterpret_cast<float*>(losses),
                                     reinterpret_cast<const float*>(glosses),
                                     reinterpret_cast<float*>(gscores)};
    nb::gil_scoped_release release;
    recurra::kernels().cross_entropy(c, backward);
}

}  // namespace

void bind_cross_entropy(nb::module_& module) {
    module.def("cross_entropy", &run, "backward"_a, "threads"_a, "rows"_a, "classes"_a, "scores"_a, "targets"_a,
               "normalizers"_a, "losses"_a, "glosses"_a = 0, "gscores"_a = 0,
               "All rows, forward or backward; addresses of arrays as native/kernels.hpp says.");
}
