// Checks the kernels without Python: every kernel, on every variant that this processor runs, against naive loops in double.
//
//     check [CASES [SEED]]       CASES (200) drawn cases for each kernel; exits with 1 where something differs
//     check threads [TEAMS]      teams of threads alone, TEAMS (20000) of them
#include "check.hpp"

#include <cstdlib>

namespace {

struct Run {
    long cases;
    std::uint64_t seed;
    bool well;
};

void check_variant(const recurra::Kernels& kernels, void* context) {
    Run& run = *static_cast<Run*>(context);
    check::Draw draw(run.seed);
    run.well &= check::check_simd(kernels);
    run.well &= check::check_sampler(kernels, run.cases, draw);
    run.well &= check::check_cross_entropy(kernels, run.cases, draw);
    run.well &= check::check_scan(kernels, run.cases, draw);
    run.well &= check::check_dense(kernels, run.cases, draw);
    run.well &= check::check_gemm(kernels, run.cases, draw);
    run.well &= check::check_product(kernels, run.cases, draw);
    run.well &= check::check_engine(kernels, run.cases / 4 + 1, draw);
}

}  // namespace

int main(int count, char** words) {
    if (count > 1 && !std::strcmp(words[1], "threads"))
        return check::check_threads(count > 2 ? std::atol(words[2]) : 20000) ? 0 : 1;
    Run run = {count > 1 ? std::atol(words[1]) : 200, count > 2 ? std::uint64_t(std::atoll(words[2])) : 0, true};
    if (run.cases < 1) {
        std::fprintf(stderr, "usage: check [CASES [SEED]] | check threads [TEAMS]\n");
        return 2;
    }
    recurra::each_variant(&check_variant, &run);
    run.well &= check::check_threads(500);
    std::printf(run.well ? "all alike\n" : "differences found\n");
    return run.well ? 0 : 1;
}
