#include "engine/engine.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "kernels.hpp"
#include "threads.hpp"

namespace recurra {

namespace {

constexpr long AT_ONCE = 64;      // rows of a step or a prompt that have a frame, at most,
constexpr long FRAMES = 1L << 27;  // and the numbers of all frames
constexpr long ROWS_APART = 8;    // from so many rows a thread on, each thread takes rows of its own
constexpr long ALONE = 1L << 16;  // multiplications that one thread does sooner than two

bool touch(long a, long a_size, long b, long b_size) { return a < b + b_size && b < a + a_size; }

}  // namespace

void Session::remember(long token) {
    if (long(history.size()) >= 2 * REMEMBERED) history.erase(history.begin(), history.end() - REMEMBERED);
    history.push_back(token);
}

// Rows that go through the program: steps of as many sessions, or of one.
struct Engine::Rows {
    std::vector<Session*> sessions;
    const std::vector<Entry>* entries;
    long from;  // the first row's number in `entries`
    std::vector<float*> frames;

    long count() const { return long(sessions.size()); }
};

struct Engine::Scratch {
    std::vector<const float*> x, add;
    std::vector<float*> y;
    std::vector<float> quantized, attention;
    SamplerScratch sampler;
};

// A thread at work on rows that it shares with others, each doing some panels of every product and the first all else; or, where it is
// alone, on rows of its own.
struct Engine::Member {
    int thread, threads;
    Barrier& barrier;
    Scratch& scratch;
    Crowd& crowd;
    bool products = false, loops = false;  // since the last time that all met

    // The first waits for nothing but others' panels, which are as many as its own.
    void meet() {
        if (threads > 1 && (products || loops) && barrier.wait() && thread == 0) crowd.late = true;
        products = loops = false;
    }
};

Engine::Engine(Program program, int threads) : program_(std::move(program)), threads_(std::max(1, threads)) {
    check(program_);
    stride_ = filled_up(program_.frame, 16) + 16;
    at_once_ = std::max(1L, std::min(AT_ONCE, FRAMES / stride_));
    of_tokens_ = program_.inputs.size() == 1 && program_.inputs[0].offset == -1;
    for (const Output& each : program_.outputs) outputs_ += each.size;
    std::vector<std::pair<long, long>> written;
    for (const Instruction& each : program_.instructions) {
        waits_.push_back(false);
        if (each.op != Op::linear) {
            written.clear();
            continue;
        }
        const Matrix& m = program_.matrices[std::size_t(each.numbers[0])];
        for (const auto& [offset, size] : written) {
            for (int k = 0; k < each.ins; ++k) {
                const bool same = k > 0 && each.in[k].offset == offset && size == m.out;  // each thread adds to its own panels
                if (each.in[k].space == Space::frame && !same && touch(each.in[k].offset, k == 0 ? m.in : m.out, offset, size))
                    waits_.back() = true;
            }
        }
        if (waits_.back()) written.clear();
        written.emplace_back(each.out.offset, m.out);
        multiplications_ += m.out * m.in;
        most_quantized_ = std::max(most_quantized_, quantized_bytes(m.format, m.in));
    }
}

Engine::~Engine() = default;

long Engine::admit() {
    auto made = std::make_unique<Session>();
    made->state = program_.initial;
    made->memories.resize(program_.memories.size());
    if (free_.empty()) {
        sessions_.push_back(std::move(made));
        return long(sessions_.size()) - 1;
    }
    const long slot = free_.back();
    free_.pop_back();
    sessions_[std::size_t(slot)] = std::move(made);
    return slot;
}

long Engine::fork(long slot) {
    Session copy = session(slot);
    const long made = admit();
    session(made) = std::move(copy);
    return made;
}

void Engine::retire(long slot) {
    session(slot);
    free_.push_back(slot);
    sessions_[std::size_t(slot)].reset();
}

Session& Engine::session(long slot) {
    if (slot < 0 || slot >= long(sessions_.size()) || sessions_[std::size_t(slot)] == nullptr)
        throw std::out_of_range("there is no session " + std::to_string(slot));
    return *sessions_[std::size_t(slot)];
}

long Engine::sessions() const { return long(sessions_.size() - free_.size()); }

void Engine::check_slots(const std::vector<long>& slots) {
    for (const long slot : slots) session(slot);
    std::vector<long> sorted = slots;
    std::sort(sorted.begin(), sorted.end());
    const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
    if (twice != sorted.end()) throw std::invalid_argument("session " + std::to_string(*twice) + " is named twice");
}

void Engine::check_entries(long rows, const std::vector<Entry>& entries) const {
    if (entries.size() != program_.inputs.size()) throw std::invalid_argument("another count of inputs");
    for (std::size_t i = 0; i < entries.size(); ++i) {
        const Input& input = program_.inputs[i];
        if ((input.offset == -1) != (entries[i].tokens != nullptr)) throw std::invalid_argument("tokens and numbers are not alike");
        if (input.offset != -1) continue;
        for (long row = 0; row < rows; ++row) {
            const long token = entries[i].tokens[row];
            if (token < 0 || token >= input.size)
                throw std::invalid_argument("token " + std::to_string(token) + " is none of 0 … " + std::to_string(input.size - 1));
        }
    }
}

void Engine::check_begun(long slot) {
    if (!of_tokens_ || program_.outputs.empty() || program_.outputs[0].size < program_.inputs[0].size)
        throw std::invalid_argument("this program does not give scores of tokens");
    if (program_.outputs[0].size != program_.inputs[0].size) throw std::invalid_argument("more scores than tokens");
    if (!session(slot).begun) throw std::invalid_argument("session " + std::to_string(slot) + " was not given any token yet");
}

// Room for so many rows, made before any thread runs.
void Engine::prepare(long rows) {
    frames_.resize(std::max(frames_.size(), std::size_t(rows * stride_)));
    scratches_.resize(std::size_t(threads_));
    long longest = 0;
    for (const auto& session : sessions_)
        if (session != nullptr)
            for (const Memory& memory : session->memories) longest = std::max(longest, memory.length);
    for (Scratch& each : scratches_) {
        each.x.resize(std::size_t(rows));
        each.y.resize(std::size_t(rows));
        each.add.resize(std::size_t(rows));
        each.quantized.resize(std::size_t(rows * most_quantized_ / 4));
        each.attention.resize(std::size_t(longest));
    }
}

void Engine::Crowd::steps(long count) {
    if (alone > 0) {
        alone = std::max(0L, alone - count);
    } else if (late) {
        alone = period;
        period = std::min(2 * period, LONGEST);
        calm = 0;
    } else if ((calm += count) >= SHORTEST) {
        period = std::max(period / 2, SHORTEST);
        calm = 0;
    }
    late = false;
}

int Engine::threads_for(long rows) { return crowd_.alone > 0 || multiplications_ * rows < ALONE ? 1 : threads_; }

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

// Vaswani et al. 2017 (arXiv 1706.03762), equation 1, of one query; zeros where there is nothing to read.
void Engine::attend(const Instruction& instruction, const Rows& rows, long row, Scratch& scratch) {
    const Session& session = *rows.sessions[std::size_t(row)];
    const Memory& memory = session.memories[std::size_t(instruction.numbers[0])];
    const Width width = program_.memories[std::size_t(instruction.numbers[0])];
    const long heads = instruction.numbers[1], k = width.keys / heads, v = width.values / heads;
    float* const frame = rows.frames[std::size_t(row)];
    const float* const bases[] = {frame, session.state.data(), program_.constants};
    const float* const query = bases[int(instruction.in[0].space)] + instruction.in[0].offset;
    float* const out = frame + instruction.out.offset;
    std::fill(out, out + width.values, 0.0f);
    const float scale = 1.0f / std::sqrt(float(k));
    for (long head = 0; head < heads && memory.length > 0; ++head) {
        float most = -INFINITY, all = 0.0f;
        for (long m = 0; m < memory.length; ++m) {
            const float* const key = memory.keys.data() + m * width.keys + head * k;
            float sum = 0.0f;
            for (long i = 0; i < k; ++i) sum += query[head * k + i] * key[i];
            scratch.attention[std::size_t(m)] = sum * scale;
            most = std::max(most, sum * scale);
        }
        for (long m = 0; m < memory.length; ++m) all += scratch.attention[std::size_t(m)] = std::exp(scratch.attention[std::size_t(m)] - most);
        for (long m = 0; m < memory.length; ++m) {
            const float weight = scratch.attention[std::size_t(m)] / all;
            const float* const value = memory.values.data() + m * width.values + head * v;
            for (long i = 0; i < v; ++i) out[head * v + i] += weight * value[i];
        }
    }
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
    all(rows.count() * me.thread / me.threads, rows.count() * (me.thread + 1) / me.threads, alone);
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

void Engine::step(const std::vector<long>& slots, const std::vector<Entry>& entries, float* outputs) {
    check_slots(slots);
    check_entries(long(slots.size()), entries);
    prepare(std::min(long(slots.size()), at_once_));
    for (long from = 0; from < long(slots.size()); from += at_once_) {
        Rows rows{{}, &entries, from, {}};
        for (long row = from; row < std::min(long(slots.size()), from + at_once_); ++row) {
            rows.sessions.push_back(&session(slots[std::size_t(row)]));
            rows.frames.push_back(frames_.data() + (row - from) * stride_);
            if (of_tokens_) rows.sessions.back()->remember(entries[0].tokens[row]);
        }
        team(threads_for(rows.count()), [&](int thread, int threads, Barrier& barrier) {
            Member me{thread, threads, barrier, scratches_[std::size_t(thread)], crowd_};
            whole_step(rows, me, outputs);
        });
        crowd_.steps(1);
    }
}

void Engine::prefill(long slot, long steps, const std::vector<Entry>& entries, float* outputs, bool every) {
    Session& the = session(slot);
    check_entries(steps, entries);
    prepare(std::min(steps, at_once_));
    for (long row = 0; of_tokens_ && row < steps; ++row) the.remember(entries[0].tokens[row]);
    for (long from = 0; from < steps; from += at_once_) {
        const long count = std::min(steps - from, at_once_);
        Rows rows{std::vector<Session*>(std::size_t(count), &the), &entries, from, {}};
        for (long row = 0; row < count; ++row) rows.frames.push_back(frames_.data() + row * stride_);
        team(threads_for(count), [&](int thread, int threads, Barrier& barrier) {
            Member me{thread, threads, barrier, scratches_[std::size_t(thread)], crowd_};
            whole_prompt(rows, me, every, from + count == steps, outputs);
        });
        crowd_.steps(count);
    }
}

long Engine::choose_for(Session& session, Scratch& scratch) {
    if (session.ended) return over;
    const long known = std::min(long(session.history.size()), REMEMBERED);
    const long token =
        choose(session.settings, session.scores.data(), program_.inputs[0].size, session.allowed.empty() ? nullptr : session.allowed.data(),
               session.history.data() + (session.history.size() - std::size_t(known)), known, session.random, scratch.sampler);
    if (token >= 0) {
        session.remember(token);
        session.ended = ends(session.settings, token, session.random);
    }
    return token;
}

void Engine::advance(const std::vector<long>& slots, long* tokens) {
    check_slots(slots);
    for (const long slot : slots) check_begun(slot);
    prepare(std::min(long(slots.size()), at_once_));
    const long count = long(slots.size());
    team(std::min<int>(threads_, int(std::min<long>(count, threads_))), [&](int thread, int threads, Barrier&) {
        for (long row = count * thread / threads; row < count * (thread + 1) / threads; ++row)
            tokens[row] = choose_for(*sessions_[std::size_t(slots[std::size_t(row)])], scratches_[std::size_t(thread)]);
    });
    std::vector<long> going, fed;
    for (long row = 0; row < count; ++row)
        if (tokens[row] >= 0) {
            going.push_back(slots[std::size_t(row)]);
            fed.push_back(tokens[row]);
        }
    const std::vector<Entry> entries{{fed.data(), nullptr}};
    for (long from = 0; from < long(going.size()); from += at_once_) {
        Rows rows{{}, &entries, from, {}};
        for (long row = from; row < std::min(long(going.size()), from + at_once_); ++row) {
            rows.sessions.push_back(&session(going[std::size_t(row)]));
            rows.frames.push_back(frames_.data() + (row - from) * stride_);
        }
        team(threads_for(rows.count()), [&](int thread, int threads, Barrier& barrier) {
            Member me{thread, threads, barrier, scratches_[std::size_t(thread)], crowd_};
            whole_step(rows, me, nullptr);
        });
        crowd_.steps(1);
    }
}

long Engine::generate(long slot, long most, long* tokens) {
    check_begun(slot);
    prepare(1);
    Session& the = session(slot);
    long token = 0, count = 0;
    const std::vector<Entry> entries{{&token, nullptr}};
    Rows rows{{&the}, &entries, 0, {frames_.data()}};
    bool on = true;  // whether another token comes, from this team
    while (token >= 0 && count < most) {
        team(threads_for(1), [&](int thread, int threads, Barrier& barrier) {
            Member me{thread, threads, barrier, scratches_[std::size_t(thread)], crowd_};
            do {
                if (thread == 0) {
                    token = choose_for(the, me.scratch);
                    if (token != over) tokens[count++] = token;
                }
                me.loops = true;
                me.meet();
                if (token < 0) return;
                whole_step(rows, me, nullptr);
                me.meet();
                if (thread == 0) {
                    crowd_.steps(1);
                    on = count < most && threads_for(1) == threads;
                }
                me.loops = true;
                me.meet();
            } while (on);
        });
    }
    return count;
}

}  // namespace recurra
