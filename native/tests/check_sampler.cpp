// The sampler: its exponentials against the library's, the same bits on every processor; its choices against sorting everything.
#include "../engine/sampler.hpp"
#include "check.hpp"

#include <algorithm>
#include <numeric>

namespace check {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

// Of 10000 weights, each by its place; tests/decoding/test_sampling.py has it too.
constexpr std::uint64_t WEIGHTS = 35505712203204173u;

// As weigh.cpp, with the library's 2^x, to within a unit or two.
double weight(float x, float most, double scale) {
    return std::exp2(std::fmax((double(x) - double(most)) * scale, -64.0)) * 1099511627776.0;
}

bool check_weigh(const recurra::Kernels& kernels, long cases, Draw& draw) {
    Tally tally(kernels, "weigh");
    for (long i = 0; i < cases; ++i) {
        const long n = draw.size(1, 300);
        const double scale = std::exp(draw.between(-5, 8));
        Guarded<float> logits(n, draw, -30, 0);
        Guarded<std::int64_t> got(n, draw);
        logits[draw.upto(n - 1)] = -infinity;
        logits[draw.upto(n - 1)] = 0.0f;
        kernels.weigh(logits.data(), n, 0.0f, scale, got.data());
        std::vector<double> want(std::size_t(n), 0.0);
        for (long j = 0; j < n; ++j) want[std::size_t(j)] = weight(logits[j], 0.0f, scale);
        tally.next("n %ld scale %g", n, scale);
        for (long j = 0; j < n; ++j)
            if (std::fabs(double(got[j]) - want[std::size_t(j)]) > 1.0)
                tally.fail("weight %ld is %ld, not %.1f", j, long(got[j]), want[std::size_t(j)]);
        if (got.touched()) tally.fail("%s: written outside of the array", "weights");
    }
    std::vector<float> logits(10000);
    std::vector<std::int64_t> weights(10000);
    for (long j = 0; j < 10000; ++j) logits[std::size_t(j)] = -float(j) / 256;
    kernels.weigh(logits.data(), 10000, 0.0f, 1.4426950408889634 / 0.7, weights.data());
    std::uint64_t bits = 0;
    for (long j = 0; j < 10000; ++j) bits += std::uint64_t(weights[std::size_t(j)]) * std::uint64_t(j + 1);
    if (bits != WEIGHTS) tally.fail("other bits than on other processors: %llu", static_cast<unsigned long long>(bits));
    return tally.done();
}

bool in(const std::vector<long>& tokens, long token) {
    return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
}

// The definition (src/recurra/decoding/sampling.py), weights apart.
long plain(const recurra::Kernels& kernels, const recurra::Settings& s, std::vector<float> x, const std::uint8_t* allowed,
           const std::vector<long>& history, recurra::Random& random) {
    const long n = long(x.size());
    for (float each : x)
        if (!(each < infinity)) return recurra::not_numbers;
    const auto permits = [=](long token) { return !allowed || (allowed[token / 8] >> token % 8) % 2 == 1; };
    if (random.count < s.forced.size()) {
        const long token = s.forced[random.count];
        if (!permits(token)) return recurra::nothing_allowed;
        random.next();
        return token;
    }
    std::vector<long> earlier = history;
    if (s.repetition_window > 0 && s.repetition_window < long(history.size()))
        earlier.assign(history.end() - s.repetition_window, history.end());
    for (long i = 0; i < n; ++i) {
        if (in(earlier, i)) x[i] = float(x[i] > 0 ? x[i] / s.repetition_penalty : x[i] * s.repetition_penalty);
        if (in(s.banned, i) || !permits(i)) x[i] = -infinity;
    }
    std::vector<long> order(n);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](long i, long j) { return x[i] > x[j]; });
    const float most = x[order[0]];
    if (most == -infinity) return recurra::nothing_allowed;
    const double u = random.next();
    if (s.temperature == 0) return order[0];
    std::vector<std::int64_t> weights(n);
    kernels.weigh(x.data(), n, most, 1.4426950408889634 / s.temperature, weights.data());
    for (long i = 0; i < n; ++i)
        if (s.top_k && i >= s.top_k) weights[order[i]] = 0;
    const auto total = [&] { return std::accumulate(weights.begin(), weights.end(), std::int64_t(0)); };
    const double reached = s.top_p * double(total());
    std::int64_t mass = 0;
    for (long i = 0; i < n; ++i) {
        const std::int64_t own = weights[order[i]];
        if (s.top_p < 1 && double(mass) >= reached) weights[order[i]] = 0;
        mass += own;
    }
    for (std::int64_t& each : weights)
        if (double(each) < s.min_p * 1099511627776.0) each = 0;
    const std::int64_t passed = std::min(std::int64_t(u * double(total())), total() - 1);
    mass = 0;
    for (long i = 0; i < n; ++i)
        if ((mass += weights[i]) > passed) return i;
    return -100;
}

bool check_choose(const recurra::Kernels& kernels, long cases, Draw& draw) {
    Tally tally(kernels, "choose");
    recurra::SamplerScratch scratch;
    for (long i = 0; i < cases; ++i) {
        const long n = draw.coin() ? draw.size(1, 70) : 1 + draw.upto(3000);
        const double spread = std::exp(draw.between(-3, 5)), grain = draw.coin() ? 0.0 : 1.0;
        Guarded<float> logits(n, draw, -spread, spread);
        for (long j = 0; grain > 0 && j < n; ++j) logits[j] = std::round(logits[j]);
        for (const float odd : {-infinity, 3.4e38f, -3.4e38f, 1e-45f, infinity, std::nanf("")})
            if (draw.upto(15) == 0) logits[draw.upto(n - 1)] = odd;
        const auto some = [&](long most) {
            std::vector<long> tokens(std::size_t(draw.upto(most)));
            for (long& token : tokens) token = draw.upto(n - 1);
            return tokens;
        };
        recurra::Settings settings;
        if (draw.coin()) settings.temperature = draw.coin() ? 0.0 : std::exp(draw.between(-6.9, 6.9));
        if (draw.coin()) settings.top_k = draw.upto(draw.coin() ? n + 1 : 50);
        if (draw.coin()) settings.top_p = draw.coin() ? draw.between(0.01, 1) : 1e-300;
        if (draw.coin()) settings.min_p = draw.between(0, 1);
        if (draw.coin()) settings.repetition_penalty = std::exp(draw.between(0, 6.9));
        settings.repetition_window = draw.upto(5);
        if (draw.coin()) settings.banned = some(5);
        if (draw.coin())
            for (long token : some(3))
                if (!in(settings.banned, token)) settings.forced.push_back(token);
        const std::vector<long> history = some(9);
        Guarded<std::uint8_t> allowed((n + 7) / 8, draw);
        for (long j = 0; j < allowed.count(); ++j) allowed[j] = std::uint8_t(draw.bits() & draw.bits());
        const std::uint8_t* mask = draw.coin() ? allowed.data() : nullptr;
        recurra::Random random{draw.bits(), std::uint64_t(draw.upto(4))}, same = random;

        const auto choose = [&] {
            return recurra::choose(settings, logits.data(), n, mask, history.data(), long(history.size()), random, scratch);
        };
        tally.next("n %ld T %g k %ld p %g", n, settings.temperature, settings.top_k, settings.top_p);
        if (recurra::check(settings, n)) tally.fail("refused: %s", recurra::check(settings, n));
        const long got = choose();
        const long want = plain(kernels, settings, {logits.data(), logits.data() + n}, mask, history, same);
        if (got != want) tally.fail("token %ld, not %ld", got, want);
        if (random.count != same.count) tally.fail("%ld numbers, not %ld", long(random.count), long(same.count));
        settings.banned.push_back(n);
        if (!recurra::check(settings, n)) tally.fail("token %ld was let in", n);
        if (choose() >= n) tally.fail("token %ld or another outside of the vocabulary came", n);
    }
    return tally.done();
}

}  // namespace

// kernels() is the variant that the sampler takes.
bool check_sampler(const recurra::Kernels& kernels, long cases, Draw& draw) {
    recurra::use(kernels.name);
    bool well = check_weigh(kernels, cases, draw);
    well &= check_choose(kernels, 10 * cases, draw);
    return well;
}

}  // namespace check
