// A network as a list of instructions for one row (src/recurra/streaming/program.py says what they mean).
//
// A row's numbers are float32 and live in its frame, which lasts for one step, in its session's state, or among the constants.
#pragma once

#include <string>
#include <vector>

#include "engine/instruction.hpp"
#include "engine/weights.hpp"

namespace recurra {

struct Input {
    long size;    // numbers; or how many tokens there are
    long offset;  // in the frame; -1: a token
};

struct Leaf {
    long offset, after, size;  // in the state; in the frame
};

struct Section {
    long first, last;  // instructions
    std::vector<long> leaves;
    bool ends;  // serves only the outputs
};

struct Output {
    long offset, size;  // in the frame
};

struct Width {
    long keys, values;
};

struct Program {
    std::vector<Input> inputs;
    std::vector<Output> outputs;
    std::vector<Leaf> leaves;
    std::vector<Instruction> instructions;
    std::vector<Section> sections;
    std::vector<Matrix> matrices;
    std::vector<Width> memories;
    const float* constants = nullptr;
    long constants_size = 0;
    std::vector<float> initial;  // the state of a session that begins
    long frame = 0;
};

// The operation of that name; throws std::invalid_argument where there is none.
Op operation(const std::string& name);

// Throws std::invalid_argument unless every number that the program would touch exists, so that whatever stood in a file,
// running it reads and writes nothing else.
void check(const Program& program);

}  // namespace recurra
