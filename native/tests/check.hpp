// What the checks of the kernels share: drawn sizes and numbers, guarded arrays, and a tally of differences.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "../kernels.hpp"

#if defined(__SANITIZE_ADDRESS__)
#define RECURRA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RECURRA_ASAN 1
#endif
#endif

namespace check {

// The same draws on every machine (splitmix64).
class Draw {
  public:
    explicit Draw(std::uint64_t seed) : state_(seed) {}

    std::uint64_t bits() {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }
    double between(double low, double high) { return low + (high - low) * double(bits() >> 11) / 9007199254740992.0; }
    long upto(long most) { return long(bits() % std::uint64_t(most + 1)); }  // 0 … most
    bool coin() { return bits() & 1; }

    // A size that a vectorized loop gets wrong first: small, or about a multiple of a vector.
    long size(long least = 1, long most = 70) {
        const long near = 16 * upto(4) + upto(4) - 2;
        const long drawn = coin() ? near : upto(20);
        return drawn < least ? least : drawn > most ? most : drawn;
    }

  private:
    std::uint64_t state_;
};

// Some numbers with a guard on either side, at whatever alignment its kind of number allows. With the address sanitizer the
// memory ends with the last of them, so that reading past them is found out too; guards are NaN, which shows elsewhere.
template <typename Number>
class Guarded {
  public:
    Guarded(long count, Draw& draw)
        : count_(count), front_(1 + draw.upto(15)), memory_(new Number[front_ + count + behind]) {
        std::memset(memory_.get(), 0xff, size() * sizeof(Number));
    }

    Guarded(long count, Draw& draw, double low, double high) : Guarded(count, draw) {
        for (long i = 0; i < count; ++i) data()[i] = Number(draw.between(low, high));
    }

    Number* data() { return memory_.get() + front_; }
    const Number* data() const { return memory_.get() + front_; }
    Number& operator[](long i) { return data()[i]; }
    Number operator[](long i) const { return data()[i]; }
    long count() const { return count_; }

    bool touched() const {
        const auto other = [this](long from, long to) {
            const unsigned char* bytes = reinterpret_cast<const unsigned char*>(memory_.get());
            for (std::size_t i = from * sizeof(Number); i < to * sizeof(Number); ++i)
                if (bytes[i] != 0xff) return true;
            return false;
        };
        return other(0, front_) || other(front_ + count_, size());
    }

  private:
#ifdef RECURRA_ASAN
    static constexpr long behind = 0;
#else
    static constexpr long behind = 64;
#endif
    long size() const { return front_ + count_ + behind; }

    long count_, front_;
    std::unique_ptr<Number[]> memory_;
};

// What one kernel did over all of its cases.
class Tally {
  public:
    Tally(const recurra::Kernels& kernels, const char* kernel) : variant_(kernels.name), kernel_(kernel) {}

    // `got` must be `want` to within `allowed`, relative to the larger of 1 and its magnitude; NaN and infinity alike.
    template <typename Number>
    void compare(const char* what, const Guarded<Number>& got, const std::vector<double>& want, double allowed) {
        if (got.touched()) fail("%s: written outside of the array", what);
        for (long i = 0; i < got.count(); ++i) {
            const double x = double(got[i]), y = want[std::size_t(i)];
            if ((std::isnan(x) && std::isnan(y)) || x == y) continue;
            const double error = std::fabs(x - y) / std::fmax(1.0, std::fabs(y));
            if (error > worst_) worst_ = error;  // NaN is not
            if (!(error <= allowed)) fail("%s[%ld] is %.9g, not %.9g", what, i, x, y);
        }
    }

    // The same, bit for bit.
    template <typename Number>
    void same(const char* what, const Guarded<Number>& one, const Guarded<Number>& other) {
        if (std::memcmp(one.data(), other.data(), std::size_t(one.count()) * sizeof(Number)))
            fail("%s: other bits", what);
    }

    template <typename... Values>
    void next(const char* format, Values... values) {
        ++cases_;
        std::snprintf(sizes_, sizeof sizes_, format, values...);
    }

    template <typename... Values>
    void fail(const char* format, Values... values) {
        if (++failures_ > 5) return;
        std::printf("%s %s (%s): ", variant_, kernel_, sizes_);
        std::printf(format, values...);
        std::printf("\n");
    }

    // Prints the line; whether all went well.
    bool done() const {
        std::printf("%-7s %-26s %5ld cases, worst error %.1e%s\n", variant_, kernel_, cases_, worst_,
                    failures_ ? ": FAILED" : "");
        return failures_ == 0;
    }

  private:
    const char *variant_, *kernel_;
    char sizes_[200] = "";
    long cases_ = 0, failures_ = 0;
    double worst_ = 0.0;
};

// Each file's own: all kernels of a family, over `cases` drawn cases; whether all went well.
bool check_scan(const recurra::Kernels& kernels, long cases, Draw& draw);
bool check_cross_entropy(const recurra::Kernels& kernels, long cases, Draw& draw);
bool check_dense(const recurra::Kernels& kernels, long cases, Draw& draw);
bool check_gemm(const recurra::Kernels& kernels, long cases, Draw& draw);
bool check_sampler(const recurra::Kernels& kernels, long cases, Draw& draw);
bool check_engine(const recurra::Kernels& kernels, long cases, Draw& draw);
bool check_product(const recurra::Kernels& kernels, long cases, Draw& draw);
bool check_simd(const recurra::Kernels& kernels);
bool check_threads(long teams);

}  // namespace check
