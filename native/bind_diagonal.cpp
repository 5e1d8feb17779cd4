// The diagonal family for Python: addresses and sizes, which src/recurra/ops/diagonal/cpu.py has checked.
#include <nanobind/nanobind.h>
#include <nanobind/stl/array.h>

#include <array>
#include <cstdint>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "kernels.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using Address = std::uintptr_t;  // 0 where there is no such array
using Addresses = std::array<Address, 4>;

template <typename Number>
Number* at(Address address) {
    return reinterpret_cast<Number*>(address);
}

recurra::ScanCell cell_named(std::string_view name) {
    using recurra::ScanCell;
    static constexpr std::pair<std::string_view, ScanCell> cells[] = {
        {"linear", ScanCell::linear},   {"steady", ScanCell::steady},     {"complex", ScanCell::complex},
        {"min_gru", ScanCell::min_gru}, {"min_lstm", ScanCell::min_lstm}, {"steady_complex", ScanCell::steady_complex},
        {"qrnn", ScanCell::qrnn},       {"sru", ScanCell::sru},           {"rg_lru", ScanCell::rg_lru}};
    for (const auto& [each, cell] : cells)
        if (each == name) return cell;
    throw std::invalid_argument("no such cell");
}

template <typename Number>
void run(const char* cell, bool backward, int threads, bool holds, long rows, long steps, long units, long stride,
         Address lengths, Addresses in, Address shared, Address h0, Address y, Address h, Address last, Address gy,
         Address glast, Addresses gin, Address gshared, Address gh0) {
    const recurra::Scan<Number> scan = {
        cell_named(cell),          threads,
        holds,                     rows,
        steps,                     units,
        stride,                    at<const long>(lengths),
        {at<const Number>(in[0]), at<const Number>(in[1]), at<const Number>(in[2]), at<const Number>(in[3])},
        at<const Number>(shared),  at<const Number>(h0),
        at<Number>(y),             at<Number>(h),
        at<Number>(last),          at<const Number>(gy),
        at<const Number>(glast),   {at<Number>(gin[0]), at<Number>(gin[1]), at<Number>(gin[2]), at<Number>(gin[3])},
        at<Number>(gshared),       at<Number>(gh0)};
    nb::gil_scoped_release release;
    if constexpr (sizeof(Number) == 4)
        recurra::kernels().scan(scan, backward);
    else
        recurra::kernels().scan_double(scan, backward);
}

}  // namespace

void bind_diagonal(nb::module_& module) {
    const auto define = [&](const char* name, auto function) {
        const Addresses none{};
        module.def(name, function, "cell"_a, "backward"_a, "threads"_a, "holds"_a, "rows"_a, "steps"_a, "units"_a, "stride"_a,
                   "lengths"_a, "inputs"_a, "shared"_a, "h0"_a, "y"_a, "h"_a, "last"_a, "gy"_a = 0, "glast"_a = 0,
                   "gin"_a = none, "gshared"_a = 0, "gh0"_a = 0,
                   "A whole sequence, forward or backward; addresses of arrays as native/kernels.hpp says.");
    };
    define("scan", &run<float>);
    define("scan_double", &run<double>);
}
