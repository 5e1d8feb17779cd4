#include "engine/engine.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "engine/work.hpp"

namespace recurra {

namespace {

constexpr long AT_ONCE = 64;      // rows of a step or a prompt that have a frame, at most,
constexpr long FRAMES = 1L << 27;  // and the numbers of all frames
constexpr long ALONE = 1L << 16;  // multiplications in float32, as long as which one thread is done before two

bool touch(long a, long a_size, long b, long b_size) { return a < b + b_size && b < a + a_size; }

}  // namespace

void Session::remember(long token) {
    if (long(history.size()) >= 2 * REMEMBERED) history.erase(history.begin(), history.end() - REMEMBERED);
    history.push_back(token);
}

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
        work_ += m.out * m.in / (is_quantized(m.format) ? 3 : 1);
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

int Engine::threads_for(long rows) { return crowd_.alone > 0 || work_ * rows < ALONE ? 1 : threads_; }

int Engine::threads_for_step(long rows) {
    if (rows < ROWS_APART * threads_) return threads_for(rows);
    return apart_.alone > 0 ? 1 : threads_;
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
        Crowd& crowd = rows.count() < ROWS_APART * threads_ ? crowd_ : apart_;
        team(threads_for_step(rows.count()), [&](int thread, int threads, Barrier& barrier) {
            Member me{thread, threads, barrier, scratches_[std::size_t(thread)], crowd};
            whole_step(rows, me, outputs);
        });
        crowd.steps(1);
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
    team(int(std::min<long>(count, apart_.alone > 0 ? 1 : threads_)), [&](int thread, int threads, Barrier&) {
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
        Crowd& crowd = rows.count() < ROWS_APART * threads_ ? crowd_ : apart_;
        team(threads_for_step(rows.count()), [&](int thread, int threads, Barrier& barrier) {
            Member me{thread, threads, barrier, scratches_[std::size_t(thread)], crowd};
            whole_step(rows, me, nullptr);
        });
        crowd.steps(1);
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
