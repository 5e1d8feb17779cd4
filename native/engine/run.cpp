// Rows go through an engine's program, section by section.
#include <chrono>
#include <cstring>
#include <tuple>

#include "engine/work.hpp"
#include "kernels.hpp"

namespace recurra {

using Clock = std::chrono::steady_clock;

void Engine::enter(const Rows& rows, long row) {
    for (std::size_t i = 0; i < program_.inputs.size(); ++i) {
        const Input& input = program_.inputs[i];
        if (input.offset >= 0)
            std::memcpy(rows.frames[std::size_t(row)] + input.offset, (*rows.entries)[i].numbers + (rows.from + row) * input.size,
                        std::size_t(input.size) * sizeof(float));
    }
}

void Engine::replace(const Section& section, Rows& rows, long row) {
    for (const long number : section.leaves) {
        const Leaf& leaf = program_.leaves[std::size_t(number)];
        std::memcpy(rows.sessions[std::size_t(row)]->state.data() + leaf.offset, rows.frames[std::size_t(row)] + leaf.after,
                    std::size_t(leaf.size) * sizeof(float));
    }
}

void Engine::leave(Rows& rows, long row, float* output) {
    const float* const frame = rows.frames[std::size_t(row)];
    Session& session = *rows.sessions[std::size_t(row)];
    for (const Output& each : program_.outputs) {
        if (output == nullptr) break;
        std::memcpy(output, frame + each.offset, std::size_t(each.size) * sizeof(float));
        output += each.size;
    }
    if (of_tokens_ && !program_.outputs.empty()) {
        const Output& scores = program_.outputs[0];
        session.scores.assign(frame + scores.offset, frame + scores.offset + scores.size);
        session.begun = true;
    }
}

void Engine::loop(const Instruction& instruction, const Rows& rows, long row) {
    float* const frame = rows.frames[std::size_t(row)];
    const float* const bases[] = {frame, rows.sessions[std::size_t(row)]->state.data(), program_.constants};
    const float* in[3];
    for (int k = 0; k < instruction.ins; ++k) in[k] = bases[int(instruction.in[k].space)] + instruction.in[k].offset;
    if (instruction.op == Op::embed) {
        const long token = (*rows.entries)[std::size_t(instruction.numbers[1])].tokens[rows.from + row];
        kernels().embed(program_.matrices[std::size_t(instruction.numbers[0])], token, frame + instruction.out.offset);
        return;
    }
    kernels().loop(instruction, frame + instruction.out.offset, in);
}

void Engine::attend(const Instruction& instruction, const Rows& rows, long row, Scratch& scratch) {
    const Session& session = *rows.sessions[std::size_t(row)];
    const Memory& memory = session.memories[std::size_t(instruction.numbers[0])];
    const Width width = program_.memories[std::size_t(instruction.numbers[0])];
    float* const frame = rows.frames[std::size_t(row)];
    const float* const bases[] = {frame, session.state.data(), program_.constants};
    const float* const query = bases[int(instruction.in[0].space)] + instruction.in[0].offset;
    kernels().attend({query, memory.keys.data(), memory.values.data(), memory.length, instruction.numbers[1], width.keys, width.values,
                      scratch.attention.data(), frame + instruction.out.offset});
}

void Engine::product(std::size_t number, Rows& rows, long first, long last, Member& me) {
    const Instruction& instruction = program_.instructions[number];
    Matrix matrix = program_.matrices[std::size_t(instruction.numbers[0])];
    const Place* add = nullptr;
    for (int k = 1; k < instruction.ins; ++k) {
        if (matrix.bias == nullptr && instruction.in[k].space == Space::constants)
            matrix.bias = program_.constants + instruction.in[k].offset;
        else
            add = &instruction.in[k];
    }
    Scratch& own = me.scratch;
    const long bytes = quantized_bytes(matrix.format, matrix.in);
    for (long row = first; row < last; ++row) {
        float* const frame = rows.frames[std::size_t(row)];
        const float* const bases[] = {frame, rows.sessions[std::size_t(row)]->state.data(), program_.constants};
        const std::size_t at = std::size_t(row - first);
        own.x[at] = bases[int(instruction.in[0].space)] + instruction.in[0].offset;
        own.y[at] = frame + instruction.out.offset;
        if (add != nullptr) own.add[at] = bases[int(add->space)] + add->offset;
        if (bytes > 0) kernels().quantize(own.x[at], matrix.in, matrix.format, own.quantized.data() + long(at) * bytes / 4);
    }
    const long all = panels(matrix.out);
    kernels().product({&matrix, last - first, own.x.data(), own.y.data(), add == nullptr ? nullptr : own.add.data(), own.quantized.data()},
                      all * me.thread / me.threads, all * (me.thread + 1) / me.threads);
}

void Engine::run(const Section& section, Rows& rows, long first, long last, Member& me) {
    for (long number = section.first; number < section.last; ++number) {
        const Instruction& instruction = program_.instructions[std::size_t(number)];
        if (instruction.op == Op::linear) {
            if (me.loops || waits_[std::size_t(number)]) me.meet();
            product(std::size_t(number), rows, first, last, me);
            me.products = true;
            continue;
        }
        if (me.products) me.meet();
        me.loops = true;
        if (me.thread > 0) continue;
        for (long row = first; row < last; ++row) {
            if (instruction.op == Op::attend)
                attend(instruction, rows, row, me.scratch);
            else
                loop(instruction, rows, row);
        }
    }
    if (section.leaves.empty()) return;
    if (me.products) me.meet();
    me.loops = true;
    if (me.thread == 0)
        for (long row = first; row < last; ++row) replace(section, rows, row);
}

// A step of all rows.
void Engine::whole_step(Rows& rows, Member& me, float* outputs) {
    const auto all = [&](long first, long last, Member& who) {
        who.loops = true;
        if (who.thread == 0)
            for (long row = first; row < last; ++row) enter(rows, row);
        for (const Section& section : program_.sections) run(section, rows, first, last, who);
        if (who.products) who.meet();
        who.loops = true;
        if (who.thread == 0)
            for (long row = first; row < last; ++row) leave(rows, row, outputs == nullptr ? nullptr : outputs + (rows.from + row) * outputs_);
    };
    if (rows.count() < ROWS_APART * me.threads) return all(0, rows.count(), me);
    Member alone{0, 1, me.barrier, me.scratch, me.crowd};
    const auto begun = Clock::now();
    for (auto [first, last] = rows.take(me.threads); first < last; std::tie(first, last) = rows.take(me.threads)) all(first, last, alone);
    const auto done = Clock::now();
    me.barrier.wait();
    if (me.thread == 0 && Clock::now() - done > done - begun) me.crowd.late = true;
}

// The steps of a prompt's part, all rows of one session: what the state goes round in step by step, the rest at once.
void Engine::whole_prompt(Rows& rows, Member& me, bool every, bool last, float* outputs) {
    me.loops = true;
    if (me.thread == 0)
        for (long row = 0; row < rows.count(); ++row) enter(rows, row);
    for (const Section& section : program_.sections) {
        if (!section.leaves.empty()) {
            for (long row = 0; row < rows.count(); ++row) run(section, rows, row, row + 1, me);
            continue;
        }
        if (section.ends && !every && !last) continue;
        const long first = section.ends && !every ? rows.count() - 1 : 0;
        if (rows.count() - first < ROWS_APART * me.threads) {
            run(section, rows, first, rows.count(), me);
            continue;
        }
        me.meet();
        Member alone{0, 1, me.barrier, me.scratch, me.crowd};
        run(section, rows, rows.count() * me.thread / me.threads, rows.count() * (me.thread + 1) / me.threads, alone);
        me.loops = true;
        me.meet();
    }
    me.meet();
    if (me.thread > 0) return;
    for (long row = every ? 0 : rows.count() - 1; row < rows.count() && (every || last); ++row)
        leave(rows, row, outputs == nullptr ? nullptr : outputs + (every ? rows.from + row : 0) * outputs_);
}

}  // namespace recurra
