// The cross entropy of rows of scores against its definition, forward and backward.
#include "check.hpp"

namespace check {

bool check_cross_entropy(const recurra::Kernels& kernels, long cases, Draw& draw) {
    Tally tally(kernels, "cross entropy");
    for (long i = 0; i < cases; ++i) {
        const bool large = i % 16 == 5;  // enough for more than one thread
        const long rows = large ? 30 + draw.upto(9) : draw.upto(4), classes = large ? 1100 + draw.size() : draw.size();
        tally.next("%ld rows of %ld", rows, classes);
        const double spread = draw.coin() ? 2.0 : 60.0;
        Guarded<float> scores(rows * classes, draw, -spread, spread), glosses(rows, draw, -1.0, 1.0);
        Guarded<float> normalizers(rows, draw), losses(rows, draw), gscores(rows * classes, draw);
        Guarded<int64_t> targets(rows, draw);
        for (long row = 0; row < rows; ++row) targets[row] = draw.upto(classes - 1);
        if (rows && draw.upto(7) == 0) scores[draw.upto(rows * classes - 1)] = float(NAN);  // touches its own row only
        recurra::CrossEntropy c = {int(1 + draw.upto(2)), rows, classes, scores.data(), targets.data(), normalizers.data(),
                                   losses.data(), nullptr, nullptr};
        kernels.cross_entropy(c, false);
        c.glosses = glosses.data(), c.gscores = gscores.data();
        kernels.cross_entropy(c, true);
        std::vector<double> logs, wanted, gradient;
        for (long row = 0; row < rows; ++row) {
            double most = -INFINITY, sum = 0.0;
            for (long k = 0; k < classes; ++k) most = std::fmax(most, double(scores[row * classes + k]));
            for (long k = 0; k < classes; ++k) sum += std::exp(double(scores[row * classes + k]) - most);
            logs.push_back(most + std::log(sum));
            wanted.push_back(logs.back() - double(scores[row * classes + targets[row]]));
            for (long k = 0; k < classes; ++k) {
                const double one = k == targets[row] ? 1.0 : 0.0;
                const double share = std::exp(double(scores[row * classes + k]) - logs.back());
                gradient.push_back((share - one) * double(glosses[row]));
            }
        }
        // Of the normalizers' magnitude, for the losses are a difference of numbers as large.
        tally.compare("normalizers", normalizers, logs, 1e-6);
        tally.compare("losses", losses, wanted, 1e-5);
        tally.compare("gscores", gscores, gradient, 1e-5);
        if (targets.touched()) tally.fail("%s", "written outside of an array");
    }
    return tally.done();
}

}  // namespace check
