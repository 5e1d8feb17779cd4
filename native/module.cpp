// The Python module recurra._native.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <vector>

#include "kernels.hpp"
#include "threads.hpp"

namespace nb = nanobind;
using namespace nb::literals;

void bind_cross_entropy(nb::module_&);
void bind_dense(nb::module_&);
void bind_diagonal(nb::module_&);
void bind_engine(nb::module_&);
void bind_gemm(nb::module_&);
void bind_product(nb::module_&);
void bind_sampler(nb::module_&);
void bind_steps(nb::module_&);

namespace {

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
    bind_cross_entropy(module);
    bind_dense(module);
    bind_diagonal(module);
    bind_engine(module);
    bind_gemm(module);
    bind_product(module);
    bind_sampler(module);
    bind_steps(module);
}
