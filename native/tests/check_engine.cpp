// The streaming engine: sound programs give every session the same bits whatever runs beside it, and damaged ones are refused or touch
// nothing that is not theirs (which the address sanitizer sees).
#include "../engine/engine.hpp"
#include "check.hpp"

#include <algorithm>
#include <initializer_list>
#include <stdexcept>
#include <utility>

namespace check {
namespace {

using recurra::Engine;
using recurra::Entry;
using recurra::Format;
using recurra::Instruction;
using recurra::Op;
using recurra::Place;
using recurra::Program;
using recurra::Space;

// Memory of a matrix, no longer than it must be.
struct Weights {
    std::unique_ptr<unsigned char[]> numbers, scales;
};

template <typename Number>
void fill(unsigned char* at, long count, Draw& draw) {
    for (long i = 0; i < count; ++i) {
        const Number each = Number(draw.between(-0.3, 0.3));
        std::memcpy(at + i * long(sizeof(Number)), &each, sizeof each);
    }
}

recurra::Matrix matrix(long out, long in, Draw& draw, std::vector<Weights>& kept) {
    const Format format{int(draw.upto(3))};
    const long bytes = recurra::weight_bytes(format, out, in), scales = recurra::scale_bytes(format, out, in);
    Weights made{std::make_unique<unsigned char[]>(std::size_t(bytes)), std::make_unique<unsigned char[]>(std::size_t(scales))};
    if (format == Format::float32)
        fill<float>(made.numbers.get(), bytes / 4, draw);
    else
        for (long i = 0; i < bytes; ++i) made.numbers[std::size_t(i)] = static_cast<unsigned char>(draw.bits());
    if (format == Format::float16)
        for (long i = 1; i < bytes; i += 2) made.numbers[std::size_t(i)] &= 0xb7;  // no infinity, no NaN, nothing large
    if (format == Format::int8) fill<float>(made.scales.get(), scales / 4, draw);
    for (long i = 1; format == Format::int4 && i < scales; i += 2) made.scales[std::size_t(i)] = 0x3c;  // about 0.01
    const recurra::Matrix m{format, out, in, made.numbers.get(), made.scales.get(), nullptr};
    kept.push_back(std::move(made));
    return m;
}

Place line(Space space, long offset) { return {space, offset, {0, 0, 0, 1}}; }

Instruction instruction(Op op, long size, Place out, std::initializer_list<Place> ins, long first = 0, long second = 0) {
    Instruction made{op, int(ins.size()), {1, 1, 1, size}, out, {}, {first, second}};
    int k = 0;
    for (const Place& each : ins) made.in[k++] = each;
    return made;
}

// A recurrent network of tokens: embedding, a layer with some arithmetic, scores.
struct Sound {
    long tokens, size, units;
    std::vector<Weights> kept;
    std::vector<float> constants;
    Program program;

    explicit Sound(Draw& draw) : tokens(draw.size(2, 40)), size(draw.size(1, 40)), units(draw.size(1, 70)), constants(std::size_t(units), 0.1f) {
        Program& p = program;
        p.matrices = {matrix(tokens, size, draw, kept), matrix(units, size, draw, kept), matrix(units, units, draw, kept),
                      matrix(tokens, units, draw, kept)};
        p.inputs = {{tokens, -1}};
        p.initial.assign(std::size_t(units), 0.25f);
        p.constants = constants.data();
        p.constants_size = units;
        const auto next = [&](long numbers) { return std::exchange(p.frame, p.frame + numbers); };
        const Place h = line(Space::state, 0), x = line(Space::frame, next(size)), e = line(Space::frame, next(units));
        Place y = line(Space::frame, next(units));
        p.instructions = {instruction(Op::embed, 1, x, {}, 0, 0),
                          instruction(Op::linear, 1, e, {x, line(Space::constants, 0)}, 1),
                          instruction(Op::linear, 1, y, {h, e}, 2)};
        p.sections = {{0, 2, {}, false}};
        for (long left = draw.upto(6); left > 0; --left) {
            const Place z = line(Space::frame, next(units));
            const Op ops[] = {Op::sigmoid, Op::relu, Op::normalize, Op::add, Op::multiply, Op::softmax, Op::cumulate};
            const Op op = ops[draw.upto(6)];
            if (op == Op::add || op == Op::multiply)
                p.instructions.push_back(instruction(op, units, z, {y, draw.coin() ? h : e}));
            else if (op == Op::normalize)
                p.instructions.push_back(instruction(op, units, z, {y, {Space::constants, 0, {0, 0, 0, 0}}}));
            else
                p.instructions.push_back(instruction(op, units, z, {y}));
            y = z;
        }
        const Place after = line(Space::frame, next(units)), scores = line(Space::frame, next(tokens));
        p.instructions.push_back(instruction(Op::tanh, units, after, {y}));
        p.instructions.push_back(instruction(Op::linear, 1, scores, {after}, 3));
        const long all = long(p.instructions.size());
        p.sections.push_back({2, all - 1, {0}, false});
        p.sections.push_back({all - 1, all, {}, true});
        p.leaves = {{0, after.offset, units}};
        p.outputs = {{scores.offset, tokens}};
    }
};

std::vector<long> drawn_tokens(long count, long below, Draw& draw) {
    std::vector<long> made;
    for (long i = 0; i < count; ++i) made.push_back(draw.upto(below - 1));
    return made;
}

void check_sound(Tally& tally, Draw& draw) {
    const Sound sound(draw);
    const long rows = 1 + draw.upto(30), steps = 1 + draw.upto(80), width = sound.tokens;
    tally.next("tokens %ld size %ld units %ld rows %ld steps %ld", sound.tokens, sound.size, sound.units, rows, steps);
    Engine many(sound.program, 3), alone(sound.program, 1);
    std::vector<long> slots;
    for (long row = 0; row < rows; ++row) slots.push_back(many.admit());
    const long watched = draw.upto(rows - 1), single = alone.admit(), whole = many.admit(), cut = alone.admit();
    std::vector<long> own;
    Guarded<float> together(rows * width, draw), one(width, draw), other(width, draw), prompt(steps * width, draw);
    for (long step = 0; step < steps; ++step) {
        const std::vector<long> tokens = drawn_tokens(rows, sound.tokens, draw);
        own.push_back(tokens[std::size_t(watched)]);
        many.step(slots, {{tokens.data(), nullptr}}, together.data());
        alone.step({single}, {{&own.back(), nullptr}}, one.data());
        std::memcpy(other.data(), together.data() + watched * width, std::size_t(width) * sizeof(float));
        tally.same("a row among others", one, other);
    }
    if (together.touched() || one.touched()) tally.fail("%s", "outputs: written outside");
    many.prefill(whole, steps, {{own.data(), nullptr}}, prompt.data(), true);
    std::memcpy(other.data(), prompt.data() + (steps - 1) * width, std::size_t(width) * sizeof(float));
    tally.same("a whole prompt", one, other);
    const long part = draw.upto(steps - 1);
    alone.prefill(cut, part, {{own.data(), nullptr}}, nullptr, false);
    alone.prefill(cut, steps - part, {{own.data() + part, nullptr}}, other.data(), false);
    tally.same("a prompt in two parts", one, other);
    long first[20], second[20];
    const long a = many.generate(whole, 20, first), b = alone.generate(single, 20, second);
    if (a != b || !std::equal(first, first + a, second)) tally.fail("%s", "other tokens");
}

Place wild_place(Draw& draw) {
    Place made{Space(int(draw.upto(2))), draw.upto(300) - 5, {}};
    for (long& stride : made.strides) stride = draw.upto(5) == 0 ? draw.upto(200) - 10 : draw.upto(1);
    return made;
}

// Anything at all, mostly just possible.
void check_wild(Tally& tally, long& ran, Draw& draw) {
    Sound sound(draw);
    Program& p = sound.program;
    tally.next("wild, tokens %ld size %ld units %ld", sound.tokens, sound.size, sound.units);
    p.frame = p.frame - draw.upto(3) + draw.upto(400);
    for (long left = 1 + draw.upto(3); left > 0; --left) {
        Instruction& each = p.instructions[std::size_t(draw.upto(long(p.instructions.size()) - 1))];
        switch (draw.upto(6)) {
            case 0: each.op = Op(int(draw.upto(int(Op::contract)))); break;
            case 1: each.ins = int(draw.upto(4)); break;
            case 2: each.shape[draw.upto(3)] = draw.upto(80) - 2; break;
            case 3: each.out = wild_place(draw); break;
            case 4: each.in[draw.upto(2)] = wild_place(draw); break;
            case 5: each.numbers[draw.upto(1)] = draw.upto(6) - 1; break;
            default: {
                const long value = draw.upto(200) - 5;
                long* const places[] = {&p.leaves[0].offset, &p.leaves[0].after, &p.leaves[0].size, &p.outputs[0].offset, &p.outputs[0].size,
                                        &p.inputs[0].size, &p.sections[0].last, &p.sections[1].first};
                *places[draw.upto(7)] = value;
            }
        }
    }
    try {
        Engine engine(p, 1);
        std::vector<long> slots{engine.admit(), engine.admit()};
        const std::vector<long> tokens = drawn_tokens(9, p.inputs[0].size, draw);
        std::vector<float> outputs(std::size_t(9 * engine.outputs()));
        engine.step(slots, {{tokens.data(), nullptr}}, outputs.data());
        engine.prefill(slots[0], 9, {{tokens.data(), nullptr}}, outputs.data(), true);
        long made[3];
        engine.generate(slots[0], 3, made);
        ++ran;
    } catch (const std::exception&) {  // refused
    }
}

}  // namespace

bool check_engine(const recurra::Kernels& kernels, long cases, Draw& draw) {
    recurra::use(kernels.name);
    Tally tally(kernels, "engine");
    for (long i = 0; i < cases; ++i) check_sound(tally, draw);
    long ran = 0;
    for (long i = 0; i < 20 * cases; ++i) check_wild(tally, ran, draw);
    if (ran == 0 || ran == 20 * cases) tally.fail("%ld of the wild programs ran", ran);
    return tally.done();
}

}  // namespace check
