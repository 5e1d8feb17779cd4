// Derivatives of a definition written out in doubles: every sum and product is noted down and gone through backward. With it a
// recurrence is checked, gradients and all, against its forward pass alone.
#pragma once

#include <cmath>
#include <vector>

namespace check {

struct Step {
    long left, right;  // the operands; -1: none
    double by_left, by_right;
};

inline std::vector<Step> tape;

struct Var {
    double value;
    long at;

    Var(double number = 0.0) : value(number), at(-1) {}
    Var(double result, const Var& left, double by_left, const Var& right, double by_right)
        : value(result), at(long(tape.size())) {
        tape.push_back({left.at, right.at, by_left, by_right});
    }
    static Var input(double number) { return Var(number, Var(), 0.0, Var(), 0.0); }
};

inline Var operator+(const Var& x, const Var& y) { return {x.value + y.value, x, 1.0, y, 1.0}; }
inline Var operator-(const Var& x, const Var& y) { return {x.value - y.value, x, 1.0, y, -1.0}; }
inline Var operator*(const Var& x, const Var& y) { return {x.value * y.value, x, y.value, y, x.value}; }
inline Var operator/(const Var& x, const Var& y) {
    return {x.value / y.value, x, 1.0 / y.value, y, -x.value / (y.value * y.value)};
}
inline Var exp(const Var& x) { return {std::exp(x.value), x, std::exp(x.value), Var(), 0.0}; }
inline Var expm1(const Var& x) { return {std::expm1(x.value), x, std::exp(x.value), Var(), 0.0}; }
inline Var sqrt(const Var& x) { return {std::sqrt(x.value), x, 0.5 / std::sqrt(x.value), Var(), 0.0}; }
inline Var tanh(const Var& x) {
    const double y = std::tanh(x.value);
    return {y, x, 1.0 - y * y, Var(), 0.0};
}
inline Var relu(const Var& x) { return {x.value <= 0.0 ? 0.0 : x.value, x, x.value <= 0.0 ? 0.0 : 1.0, Var(), 0.0}; }
inline Var sigmoid(const Var& x) {
    const double y = 1.0 / (1.0 + std::exp(-x.value));
    return {y, x, y * (1.0 - y), Var(), 0.0};
}

// Of the sum of `weights[i] · results[i]`, by everything on the tape.
inline std::vector<double> gradients(const std::vector<Var>& results, const std::vector<double>& weights) {
    std::vector<double> by(tape.size());
    for (std::size_t i = 0; i < results.size(); ++i)
        if (results[i].at >= 0) by[std::size_t(results[i].at)] += weights[i];
    for (std::size_t i = tape.size(); i-- > 0;) {
        const Step& step = tape[i];
        if (step.left >= 0) by[std::size_t(step.left)] += step.by_left * by[i];
        if (step.right >= 0) by[std::size_t(step.right)] += step.by_right * by[i];
    }
    return by;
}

}  // namespace check
