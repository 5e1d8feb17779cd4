#include "engine/program.hpp"

#include <stdexcept>

namespace recurra {

namespace {

constexpr long MOST_NUMBERS = 1L << 27;  // of a frame, and of what an instruction loops over: below half a second's work

void require(bool holds, const std::string& what) {
    if (!holds) throw std::invalid_argument("a damaged program: " + what);
}

bool within(long offset, long size, long all) { return 0 <= offset && 0 <= size && size <= all && offset <= all - size; }

long size_of(const Program& p, Space space) {
    switch (space) {
        case Space::frame: return p.frame;
        case Space::state: return long(p.initial.size());
        case Space::constants: return p.constants_size;
    }
    return -1;
}

void check_place(const Program& p, const Place& place, const long* shape, bool written) {
    const long all = size_of(p, place.space);
    require(!written || place.space == Space::frame, "only the frame is written");
    require(0 <= place.offset && place.offset < all, "a place outside its space");
    long last = place.offset;
    for (int axis = 0; axis < AXES; ++axis) {
        require(0 <= place.strides[axis] && place.strides[axis] <= all, "a stride outside its space");
        last += (shape[axis] - 1) * place.strides[axis];  // at most 2²⁷ · 2³¹, four times
    }
    require(last < all, "a place that ends outside its space");
}

void check_matrix(const Matrix& m) {
    require(1 <= m.out && m.out <= MOST_OUT && 1 <= m.in && m.in <= MOST_IN, "a matrix of no such size");
    require(m.weights != nullptr, "a matrix without weights");
}

// The vectors of what does not loop: `shape` says nothing about them.
void check_vector(const Program& p, const Place& place, long size, bool written) {
    const long shape[AXES] = {1, 1, 1, size};
    require(place.strides[3] == 1, "a vector with gaps");
    check_place(p, place, shape, written);
}

void check_linear(const Program& p, const Instruction& i) {
    require(1 <= i.ins && within(i.numbers[0], 1, long(p.matrices.size())), "a product without its matrix");
    const Matrix& m = p.matrices[std::size_t(i.numbers[0])];
    check_vector(p, i.out, m.out, true);
    check_vector(p, i.in[0], m.in, false);
    for (int k = 1; k < i.ins; ++k) check_vector(p, i.in[k], m.out, false);
    require(i.ins < 3 || i.in[1].space == Space::constants || i.in[2].space == Space::constants, "more than one sum");
    // Panels are written while x is still read.
    const Place& x = i.in[0];
    require(x.space != Space::frame || x.offset + m.in <= i.out.offset || i.out.offset + m.out <= x.offset,
            "a product that writes over what it reads");
}

void check_embed(const Program& p, const Instruction& i) {
    require(i.ins == 0 && within(i.numbers[0], 1, long(p.matrices.size())), "an embedding without its matrix");
    require(within(i.numbers[1], 1, long(p.inputs.size())), "an embedding without its input");
    const Matrix& m = p.matrices[std::size_t(i.numbers[0])];
    const Input& token = p.inputs[std::size_t(i.numbers[1])];
    require(token.offset == -1 && token.size <= m.out, "an embedding of too few rows");
    check_vector(p, i.out, m.in, true);
}

void check_attend(const Program& p, const Instruction& i) {
    require(i.ins == 1 && within(i.numbers[0], 1, long(p.memories.size())), "attention without its memory");
    const Width& width = p.memories[std::size_t(i.numbers[0])];
    const long heads = i.numbers[1];
    require(1 <= heads && width.keys % heads == 0 && width.values % heads == 0, "heads that do not divide a memory");
    check_vector(p, i.out, width.values, true);
    check_vector(p, i.in[0], width.keys, false);
}

int operands(Op op) {
    switch (op) {
        case Op::add: case Op::subtract: case Op::multiply: case Op::divide: case Op::maximum: case Op::minimum:
        case Op::less: case Op::greater: case Op::normalize: case Op::contract:
            return 2;
        case Op::where: return 3;
        default: return 1;
    }
}

void check_instruction(const Program& p, const Instruction& i) {
    require(0 <= i.ins && i.ins <= 3, "a count of operands");
    if (i.op == Op::linear) return check_linear(p, i);
    if (i.op == Op::embed) return check_embed(p, i);
    if (i.op == Op::attend) return check_attend(p, i);
    long all = 1;
    for (const long size : i.shape) {
        require(1 <= size && size <= MOST_NUMBERS / all, "axes of no such length");
        all *= size;
    }
    require(i.ins == operands(i.op), "a count of operands that does not fit its operation");
    check_place(p, i.out, i.shape, true);
    for (int k = 0; k < i.ins; ++k) check_place(p, i.in[k], i.shape, false);
}

}  // namespace

Op operation(const std::string& name) {
#define RECURRA_OPERATION_ITEM(each) \
    if (name == #each) return Op::each;
    RECURRA_OPERATIONS(RECURRA_OPERATION_ITEM)
#undef RECURRA_OPERATION_ITEM
    throw std::invalid_argument("there is no operation '" + name + "': the file was made by a later version");
}

void check(const Program& p) {
    require(0 < p.frame && p.frame <= MOST_NUMBERS, "a frame of no such size");
    require(p.initial.size() <= (1UL << 31) && 0 <= p.constants_size && p.constants_size <= (1L << 31), "no such sizes");
    for (const Matrix& each : p.matrices) check_matrix(each);
    for (const Width& each : p.memories)
        require(1 <= each.keys && each.keys <= MOST_IN && 1 <= each.values && each.values <= MOST_IN, "a memory of no such width");
    for (const Input& each : p.inputs)
        require(1 <= each.size && (each.offset == -1 ? each.size <= MOST_OUT : within(each.offset, each.size, p.frame)),
                "an input outside the frame");
    for (const Output& each : p.outputs) require(within(each.offset, each.size, p.frame), "an output outside the frame");
    for (const Leaf& each : p.leaves)
        require(within(each.offset, each.size, long(p.initial.size())) && within(each.after, each.size, p.frame),
                "a part of the state outside of it");
    for (const Instruction& each : p.instructions) check_instruction(p, each);
    long at = 0;
    for (const Section& each : p.sections) {
        require(each.first == at && at <= each.last && each.last <= long(p.instructions.size()), "sections out of order");
        for (const long leaf : each.leaves) require(within(leaf, 1, long(p.leaves.size())), "a section without its state");
        at = each.last;
    }
    require(at == long(p.instructions.size()), "instructions without a section");
}

}  // namespace recurra
