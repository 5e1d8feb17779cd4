// simd.hpp's functions against the standard library's in double, over every exponent, and with NaN and infinity.
#include "check.hpp"
#include "probe.hpp"

namespace recurra {
#ifdef RECURRA_HAS_AVX512
namespace avx512 { extern const Probe probe; }
#endif
#ifdef RECURRA_HAS_AVX2
namespace avx2 { extern const Probe probe; }
#endif
#ifdef RECURRA_HAS_NEON
namespace neon { extern const Probe probe; }
#endif
#ifdef RECURRA_HAS_SCALAR
namespace scalar { extern const Probe probe; }
#endif
}  // namespace recurra

namespace check {

namespace {

recurra::Probe probe_of(const recurra::Kernels& kernels) {
#ifdef RECURRA_HAS_AVX512
    if (!std::strcmp(kernels.name, "avx512")) return recurra::avx512::probe;
#endif
#ifdef RECURRA_HAS_AVX2
    if (!std::strcmp(kernels.name, "avx2")) return recurra::avx2::probe;
#endif
#ifdef RECURRA_HAS_NEON
    if (!std::strcmp(kernels.name, "neon")) return recurra::neon::probe;
#endif
#ifdef RECURRA_HAS_SCALAR
    if (!std::strcmp(kernels.name, "scalar")) return recurra::scalar::probe;
#endif
    return {};
}

// Both signs of 512 numbers out of each power of two, denormal ones too, and of 0, infinity and NaN.
std::vector<float> sweep() {
    std::vector<float> found;
    for (std::uint32_t exponent = 0; exponent < 256; ++exponent)
        for (std::uint32_t step = 0; step < 512; ++step)
            for (const std::uint32_t sign : {0u, 0x80000000u}) {
                const std::uint32_t fraction = step == 511 ? 0x7fffff : step * 16411u;
                const std::uint32_t bits = sign | exponent << 23 | fraction;
                float x;
                std::memcpy(&x, &bits, sizeof x);
                found.push_back(x);
            }
    return found;
}

double ulp(double x) {
    const float near = float(std::fabs(x));
    return double(std::nextafterf(near, INFINITY)) - double(near);
}

// Within `ulps` of units in the last place, or of `tiny` where the result is next to nothing.
bool check_function(const recurra::Kernels& kernels, const char* name, void (*function)(const float*, float*, long),
                    double (*definition)(double), double ulps, double tiny) {
    const std::vector<float> xs = sweep();
    std::vector<float> ys(xs.size());
    function(xs.data(), ys.data(), long(xs.size()));
    long wrong = 0;
    double worst = 0.0;
    for (std::size_t i = 0; i < xs.size(); ++i) {
        const double want = definition(double(xs[i])), got = double(ys[i]);
        if (std::isnan(want) && std::isnan(got)) continue;
        const double off = std::fabs(got - want);
        if (off > tiny && off / ulp(want) > worst) worst = off / ulp(want);
        if (off <= tiny || off <= ulps * ulp(want)) continue;
        if (++wrong <= 5) std::printf("%s %s(%.9g) is %.9g, not %.9g\n", kernels.name, name, double(xs[i]), got, want);
    }
    std::printf("%-7s %-26s %5zu numbers, worst error %.2f ulp%s\n", kernels.name, name, xs.size(), worst,
                wrong ? ": FAILED" : "");
    return wrong == 0;
}

bool check_some(const recurra::Kernels& kernels) {
    Tally tally(kernels, "load_some, store_some");
    Draw draw(1);
    for (long count = 0; count < 40; ++count) {
        tally.next("count %ld", count);
        Guarded<float> x(count, draw, -1.0, 1.0), y(count, draw);
        probe_of(kernels).some(x.data(), y.data(), count);
        tally.compare("y", y, std::vector<double>(x.data(), x.data() + count), 0.0);
    }
    return tally.done();
}

}  // namespace

bool check_simd(const recurra::Kernels& kernels) {
    const recurra::Probe probe = probe_of(kernels);
    // Where e^x leaves float32's normal numbers, exp stops: see its comment.
    const bool exp = check_function(
        kernels, "exp", probe.exp,
        [](double x) { return std::exp(x > 88.3f ? double(88.3f) : x); }, 2.0, 1.3e-38);
    const bool sigmoid = check_function(
        kernels, "sigmoid", probe.sigmoid, [](double x) { return 1.0 / (1.0 + std::exp(-x)); }, 4.0, 5e-38);
    const bool tanh = check_function(
        kernels, "tanh", probe.tanh, [](double x) { return std::tanh(x); }, 6.0, 1e-42);
    return check_some(kernels) && exp && sigmoid && tanh;
}

}  // namespace check
