// Compiled without fused products (CMakeLists.txt), so that its bits are the same on every processor.
#include "sampler.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels.hpp"

namespace recurra {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr long most_tokens = 1 << 22;  // the sum of their weights fits into 63 bits
constexpr double inverse_ln2 = 1.4426950408889634;

// At least so many numbers, whose memory is used again.
template <typename Number>
Number* room(std::vector<Number>& memory, long count) {
    if (long(memory.size()) < count) memory.resize(std::size_t(count));
    return memory.data();
}

std::uint64_t mixed(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

bool inside(const std::vector<long>& tokens, long vocabulary) {
    return std::all_of(tokens.begin(), tokens.end(), [=](long token) { return 0 <= token && token < vocabulary; });
}

bool among(const std::vector<long>& tokens, long token) {
    return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
}

bool permits(const std::uint8_t* allowed, long token) {
    return allowed == nullptr || allowed[token >> 3] >> (token & 7) & 1;
}

// Leave −infinity where a token is not allowed.
void mask(float* logits, long n, const std::uint8_t* allowed) {
    for (long i = 0; i < n; i += 8) {
        const unsigned bits = allowed[i >> 3];
        const long most = std::min(8l, n - i);
        if (bits == 0)
            std::fill(logits + i, logits + i + most, -infinity);
        else if (bits != 0xff)
            for (long j = 0; j < most; ++j) logits[i + j] = bits >> j & 1 ? logits[i + j] : -infinity;
    }
}

std::int64_t sum(const std::int64_t* weights, long n) {
    std::int64_t total = 0;
    for (long i = 0; i < n; ++i) total += weights[i];
    return total;
}

// Whether the token at i comes before the one at j: the more probable, of equal ones the lower.
struct Before {
    const float* logits;
    bool operator()(long i, long j) const { return logits[i] > logits[j] || (logits[i] == logits[j] && i < j); }
};

// Take the k first tokens: their ids in `ids`, rising, and their logits in `kept`. All of them reach the k-th largest of the
// maxima of columns, into which the logits are written in rows.
void take_first(const float* logits, long n, long k, SamplerScratch& scratch) {
    constexpr long rows = 16;
    const long columns = n / rows;
    float least = -infinity;
    if (k <= columns) {
        float* tops = room(scratch.tops, columns);
        std::copy(logits, logits + columns, tops);
        for (long row = 1; row < rows; ++row)
            for (long i = 0; i < columns; ++i) tops[i] = std::max(tops[i], logits[row * columns + i]);
        std::nth_element(tops, tops + k - 1, tops + columns, [](float a, float b) { return a > b; });
        least = tops[k - 1];
    }
    long* ids = room(scratch.ids, n);
    long found = 0;
    for (long i = 0; i < n; ++i)
        if (logits[i] >= least) ids[found++] = i;
    std::nth_element(ids, ids + k - 1, ids + found, Before{logits});
    std::sort(ids, ids + k);
    float* kept = room(scratch.kept, k);
    for (long i = 0; i < k; ++i) kept[i] = logits[ids[i]];
}

// Leave no weight to tokens after the first whose weights together reach `share` of all. Tokens are counted in bins of
// falling logits, and only the bin in which it is reached is sorted.
void keep_share(const float* logits, long n, float most, double scale, double share, std::int64_t* weights,
                SamplerScratch& scratch) {
    constexpr int bins = 2048, fineness = 32;  // bins for each factor of 2
    std::int32_t* bin_of = room(scratch.bins, n);
    for (long i = 0; i < n; ++i) {
        const double below = (double(most) - double(logits[i])) * (scale * fineness);
        bin_of[i] = std::int32_t(below < bins - 1.0 ? below : bins - 1.0);
    }
    std::int64_t* masses = room(scratch.masses, bins);
    std::fill(masses, masses + bins, 0);
    for (long i = 0; i < n; ++i) masses[bin_of[i]] += weights[i];

    const double reached = share * double(sum(masses, bins));
    std::int64_t mass = 0;
    int last = 0;
    while (last < bins - 1 && double(mass + masses[last]) < reached) mass += masses[last++];
    long* ids = room(scratch.order, n);
    long found = 0;
    for (long i = 0; i < n; ++i)
        if (bin_of[i] == last) ids[found++] = i;
    for (long i = 0; i < n; ++i) weights[i] = bin_of[i] > last ? 0 : weights[i];
    std::sort(ids, ids + found, Before{logits});
    for (long i = 0; i < found; ++i) {
        const std::int64_t own = weights[ids[i]];
        if (double(mass) >= reached) weights[ids[i]] = 0;
        mass += own;
    }
}

// The first place at which the weights up to it exceed u of all, their total.
long draw(const std::int64_t* weights, long n, std::int64_t total, double u) {
    constexpr long block = 64;
    const std::int64_t passed = std::min(std::int64_t(u * double(total)), total - 1);
    std::int64_t before = 0;
    long i = 0;
    for (; i + block <= n; i += block) {
        const std::int64_t mass = sum(weights + i, block);
        if (before + mass > passed) break;
        before += mass;
    }
    while ((before += weights[i]) <= passed) ++i;
    return i;
}

}  // namespace

double Random::next() {
    constexpr std::uint64_t golden = 0x9e3779b97f4a7c15u;
    return double(mixed(mixed(seed + golden) + ++count * golden) >> 11) / 9007199254740992.0;
}

const char* check(const Settings& s, long vocabulary) {
    if (vocabulary < 1 || vocabulary > most_tokens) return "the vocabulary must have 1 … 4194304 tokens";
    if (!(s.temperature == 0.0 || (s.temperature >= 1e-3 && s.temperature <= 1e3)))
        return "temperature must be 0 or 0.001 … 1000";
    if (s.top_k < 0) return "top_k must be 0 or more";
    if (!(s.top_p > 0.0 && s.top_p <= 1.0)) return "top_p must be above 0, at most 1";
    if (!(s.min_p >= 0.0 && s.min_p <= 1.0)) return "min_p must be 0 … 1";
    if (!(s.repetition_penalty >= 1.0 && s.repetition_penalty <= 1e3)) return "repetition_penalty must be 1 … 1000";
    if (s.repetition_window < 0) return "repetition_window must be 0 or more";
    if (s.max_tokens < 0) return "max_tokens must be 0 or more";
    if (!inside(s.banned, vocabulary)) return "a banned token is not in the vocabulary";
    if (!inside(s.forced, vocabulary)) return "a forced token is not in the vocabulary";
    if (!inside(s.stop, vocabulary)) return "a stop token is not in the vocabulary";
    for (long token : s.forced)
        if (among(s.banned, token)) return "a forced token is banned";
    return nullptr;
}

long choose(const Settings& settings, const float* logits, long n, const std::uint8_t* allowed, const long* history,
            long history_length, Random& random, SamplerScratch& scratch) {
    float most = kernels().largest(logits, n);
    if (std::isnan(most)) return not_numbers;
    if (random.count < settings.forced.size()) {
        const long token = settings.forced[random.count];
        if (token < 0 || token >= n) return not_a_token;
        if (!permits(allowed, token)) return nothing_allowed;
        random.next();
        return token;
    }

    if (settings.repetition_penalty != 1.0 || !settings.banned.empty() || allowed != nullptr) {
        float* changed = room(scratch.logits, n);
        std::copy(logits, logits + n, changed);
        if (settings.repetition_penalty != 1.0) {
            const long window = settings.repetition_window;
            const long first = window > 0 && window < history_length ? history_length - window : 0;
            for (long i = first; i < history_length; ++i) {
                const long token = history[i];
                if (token < 0 || token >= n) return not_a_token;
                const double x = logits[token];  // not `changed`: however often a token came, once
                changed[token] = float(x > 0 ? x / settings.repetition_penalty : x * settings.repetition_penalty);
            }
        }
        for (long token : settings.banned) {
            if (token < 0 || token >= n) return not_a_token;
            changed[token] = -infinity;
        }
        if (allowed != nullptr) mask(changed, n, allowed);
        logits = changed;
        most = kernels().largest(logits, n);
    }
    if (most == -infinity) return nothing_allowed;

    const double u = random.next();
    if (settings.temperature == 0.0 || settings.top_k == 1) return std::find(logits, logits + n, most) - logits;
    const bool few = settings.top_k > 0 && settings.top_k < n;
    if (few) {
        take_first(logits, n, settings.top_k, scratch);
        logits = scratch.kept.data();
        n = settings.top_k;
    }
    const double scale = inverse_ln2 / settings.temperature;
    std::int64_t* weights = room(scratch.weights, n);
    std::int64_t total = kernels().weigh(logits, n, most, scale, weights);
    if (settings.top_p < 1.0) keep_share(logits, n, most, scale, settings.top_p, weights, scratch);
    if (settings.min_p > 0.0) {
        const double least = settings.min_p * double(std::int64_t(1) << 40);
        for (long i = 0; i < n; ++i) weights[i] = double(weights[i]) >= least ? weights[i] : 0;
    }
    if (settings.top_p < 1.0 || settings.min_p > 0.0) total = sum(weights, n);
    const long chosen = draw(weights, n, total, u);
    return few ? scratch.ids[chosen] : chosen;
}

bool ends(const Settings& settings, long token, const Random& random) {
    return (settings.max_tokens > 0 && random.count >= std::uint64_t(settings.max_tokens)) ||
           among(settings.stop, token);
}

}  // namespace recurra
