// Which of the variants that were built this processor runs. CMakeLists.txt defines RECURRA_HAS_… for those that were.
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

#include "kernels.hpp"

namespace recurra {

#ifdef RECURRA_HAS_AVX512
namespace avx512 { extern const Kernels table; }
#endif
#ifdef RECURRA_HAS_AVX2
namespace avx2 { extern const Kernels table; }
#endif
#ifdef RECURRA_HAS_NEON
namespace neon { extern const Kernels table; }
#endif
#ifdef RECURRA_HAS_SCALAR
namespace scalar { extern const Kernels table; }
#endif

void each_variant(void (*see)(const Kernels&, void* context), void* context) {
#ifdef RECURRA_HAS_AVX512
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("f16c"))
        see(avx512::table, context);
#endif
#ifdef RECURRA_HAS_AVX2
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"))
        see(avx2::table, context);
#endif
#ifdef RECURRA_HAS_NEON
    see(neon::table, context);  // every aarch64 processor has it
#endif
#ifdef RECURRA_HAS_SCALAR
    see(scalar::table, context);
#endif
}

namespace {

struct Search {
    const char* wanted;  // null: the first
    const Kernels* found;
    std::string names;
};

const Kernels& choose(const char* wanted) {
    Search search{wanted, nullptr, ""};
    each_variant(
        [](const Kernels& each, void* context) {
            Search& search = *static_cast<Search*>(context);
            if (search.found == nullptr && (search.wanted == nullptr || !std::strcmp(search.wanted, each.name)))
                search.found = &each;
            search.names += search.names.empty() ? each.name : std::string(", ") + each.name;
        },
        &search);
    if (search.found == nullptr)
        throw std::runtime_error("RECURRA_SIMD must name a variant that was built and that this processor runs (" +
                                 search.names + "), not '" + wanted + "'");
    return *search.found;
}

std::atomic<const Kernels*> in_use{nullptr};

}  // namespace

const Kernels& kernels() {
    const Kernels* chosen = in_use.load(std::memory_order_acquire);
    if (chosen == nullptr) {
        const char* wanted = std::getenv("RECURRA_SIMD");
        chosen = &choose(wanted != nullptr && *wanted != '\0' ? wanted : nullptr);
        in_use.store(chosen, std::memory_order_release);
    }
    return *chosen;
}

void use(const char* name) { in_use.store(&choose(name), std::memory_order_release); }

}  // namespace recurra
