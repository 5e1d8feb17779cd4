// From logits to a token. src/recurra/decoding/sampling.py is the definition, operation for operation: both take the same token, on
// every processor, for no step depends on a library's exp or on the order of a sum.
#pragma once

#include <cstdint>
#include <vector>

namespace recurra {

// A session's settings, the fields of recurra.decoding.Sampling. Those that come from outside go through check() first.
struct Settings {
    double temperature = 1.0;         // 0: greedy
    long top_k = 0;                   // 0: all
    double top_p = 1.0;               // 1: all
    double min_p = 0.0;               // 0: all
    double repetition_penalty = 1.0;  // 1: none
    long repetition_window = 0;       // how many of the last tokens are penalized; 0: all
    long max_tokens = 0;              // 0: no limit
    std::vector<long> banned;         // never come
    std::vector<long> forced;         // come first, in this order
    std::vector<long> stop;           // end the sequence
};

// What does not fit about settings for a vocabulary of so many tokens, or null. Never reads out of bounds, whatever they hold.
const char* check(const Settings& settings, long vocabulary);

// Numbers in [0, 1), the n-th a function of seed and n alone: splitmix64 (Steele, Lea & Flood, OOPSLA 2014) from a mixed seed.
// A session has one, and every token takes one number, so `count` is how many tokens it has.
struct Random {
    std::uint64_t seed = 0, count = 0;
    double next();
};

// Memory that is used again; one for each thread, whatever the sessions.
struct SamplerScratch {
    std::vector<float> logits, kept, tops;
    std::vector<long> ids, order;
    std::vector<std::int64_t> weights, masses;
    std::vector<std::int32_t> bins;
};

// What choose() gives in place of a token; `random` has then not moved.
constexpr long not_numbers = -1;      // a logit is NaN or +infinity
constexpr long nothing_allowed = -2;  // every token is banned, masked or has a logit of −infinity
constexpr long not_a_token = -3;      // a banned, forced or earlier token is not in the vocabulary

// The next token out of n (1 … 4194304 = 2²²) logits. `allowed` has a bit for each token, the lowest of the first byte for token 0, or
// is null; `history` are the tokens so far, prompt included. The settings have passed check(settings, n). Every token moves `random` by
// one, greedy and forced ones too. Allocates nothing once `scratch` has grown.
long choose(const Settings& settings, const float* logits, long n, const std::uint8_t* allowed, const long* history,
            long history_length, Random& random, SamplerScratch& scratch);

// Whether the sequence ends with this token, of which `random.count` have come.
bool ends(const Settings& settings, long token, const Random& random);

}  // namespace recurra
