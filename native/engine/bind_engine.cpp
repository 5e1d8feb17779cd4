// The streaming engine for Python: src/recurra/streaming/run.py is what people call.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/engine.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using recurra::Engine;
using recurra::Entry;
using recurra::Session;
using recurra::Settings;

namespace {

using Bytes = nb::ndarray<const std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Numbers = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Table = nb::ndarray<const std::int64_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Longs = nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Array = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Made = nb::ndarray<nb::numpy, float, nb::ndim<1>>;
using MadeTable = nb::ndarray<nb::numpy, float, nb::ndim<2>>;

// A row of the table of instructions: operation, operands, the axes, the places (the result's first), two numbers.
constexpr int AXES = recurra::AXES, PLACE = 2 + AXES, ROW = 2 + AXES + 4 * PLACE + 2;

recurra::Place place(const std::int64_t* from) {
    if (from[0] < 0 || from[0] > 2) throw std::invalid_argument("a damaged program: there is no such space");
    recurra::Place made{recurra::Space(int(from[0])), from[1], {}};
    for (int axis = 0; axis < AXES; ++axis) made.strides[axis] = from[2 + axis];
    return made;
}

std::vector<recurra::Instruction> instructions(const Table& table, const std::vector<std::string>& operations) {
    if (table.shape(1) != ROW) throw std::invalid_argument("a damaged program: instructions of another size");
    std::vector<recurra::Op> known;
    for (const std::string& name : operations) known.push_back(recurra::operation(name));
    std::vector<recurra::Instruction> made;
    for (std::size_t i = 0; i < table.shape(0); ++i) {
        const std::int64_t* at = table.data() + i * ROW;
        if (at[0] < 0 || at[0] >= long(known.size())) throw std::invalid_argument("a damaged program: no such operation");
        if (at[1] < 0 || at[1] > 3) throw std::invalid_argument("a damaged program: a count of operands");
        recurra::Instruction each{known[std::size_t(at[0])], int(at[1]), {}, {}, {}, {at[ROW - 2], at[ROW - 1]}};
        for (int axis = 0; axis < AXES; ++axis) each.shape[axis] = at[2 + axis];
        each.out = place(at + 2 + AXES);
        for (int k = 0; k < each.ins; ++k) each.in[k] = place(at + 2 + AXES + (1 + k) * PLACE);
        made.push_back(each);
    }
    return made;
}

// Matrices as (format, out, in, weights, scales); the engine keeps the arrays.
using MatrixParts = std::tuple<int, long, long, Bytes, Bytes>;

recurra::Matrix matrix(const MatrixParts& parts) {
    const auto& [format, out, in, weights, scales] = parts;
    const bool fits = 0 <= format && format <= 3 && 1 <= out && out <= recurra::MOST_OUT && 1 <= in && in <= recurra::MOST_IN;
    if (!fits) throw std::invalid_argument("a damaged program: a matrix of no such size");
    const recurra::Format of{format};
    if (long(weights.size()) < recurra::weight_bytes(of, out, in) || long(scales.size()) < recurra::scale_bytes(of, out, in))
        throw std::invalid_argument("a damaged program: a matrix with too few numbers");
    return {of, out, in, weights.data(), scales.data(), nullptr};
}

// The engine and what it points into. Calls of one engine follow one another: it is locked while one runs.
struct Held {
    std::vector<MatrixParts> matrices;
    Numbers constants;
    std::unique_ptr<Engine> engine;
    std::mutex lock;
};

using Pairs = std::vector<std::pair<long, long>>;

void make(Held* held, const Table& table, const std::vector<std::string>& operations, const Pairs& inputs, const Pairs& outputs,
          const std::vector<std::tuple<long, long, long>>& leaves,
          const std::vector<std::tuple<long, long, std::vector<long>, bool>>& sections, const std::vector<MatrixParts>& matrices,
          const Pairs& memories, const Numbers& constants, const Numbers& initial, long frame, int threads) {
    recurra::Program program;
    program.instructions = instructions(table, operations);
    for (const auto& [size, offset] : inputs) program.inputs.push_back({size, offset});
    for (const auto& [offset, size] : outputs) program.outputs.push_back({offset, size});
    for (const auto& [offset, after, size] : leaves) program.leaves.push_back({offset, after, size});
    for (const auto& [first, last, own, ends] : sections) program.sections.push_back({first, last, own, ends});
    for (const MatrixParts& each : matrices) program.matrices.push_back(matrix(each));
    for (const auto& [keys, values] : memories) program.memories.push_back({keys, values});
    program.constants = constants.data();
    program.constants_size = long(constants.size());
    program.initial.assign(initial.data(), initial.data() + initial.size());
    program.frame = frame;
    new (held) Held{matrices, constants, std::make_unique<Engine>(std::move(program), threads), {}};
}

template <typename Number>
auto own(std::vector<Number> values, std::initializer_list<std::size_t> shape) {
    auto* kept = new std::vector<Number>(std::move(values));
    nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<std::vector<Number>*>(p); });
    return nb::ndarray<nb::numpy, Number>(kept->data(), shape, owner);
}

std::vector<long> longs(const Longs& from) { return {from.data(), from.data() + from.size()}; }

// What enters: for each input tokens or numbers, with so many rows.
struct Entries {
    std::vector<std::vector<long>> tokens;
    std::vector<Entry> all;
};

Entries entries(const recurra::Program& program, const nb::list& given, std::size_t rows) {
    if (nb::len(given) != program.inputs.size()) throw std::invalid_argument("another count of inputs");
    Entries made;
    made.tokens.resize(program.inputs.size());
    for (std::size_t i = 0; i < program.inputs.size(); ++i) {
        if (program.inputs[i].offset == -1) {
            const auto tokens = nb::cast<Longs>(given[i]);
            if (tokens.size() != rows) throw std::invalid_argument("another count of tokens");
            made.tokens[i] = longs(tokens);
            made.all.push_back({made.tokens[i].data(), nullptr});
        } else {
            const auto numbers = nb::cast<Array>(given[i]);
            if (numbers.shape(0) != rows || long(numbers.shape(1)) != program.inputs[i].size)
                throw std::invalid_argument("another count of numbers");
            made.all.push_back({nullptr, numbers.data()});
        }
    }
    return made;
}

template <typename Work>
auto locked(Held& held, Work work) {
    nb::gil_scoped_release released;
    const std::lock_guard guard(held.lock);
    return work(*held.engine);
}

nb::object step(Held& held, const Longs& slots, const nb::list& inputs, bool wanted) {
    const std::vector<long> rows = longs(slots);
    const Entries entering = entries(held.engine->program(), inputs, rows.size());
    const std::size_t width = std::size_t(held.engine->outputs());
    std::vector<float> made(wanted ? rows.size() * width : 0);
    locked(held, [&](Engine& engine) { engine.step(rows, entering.all, wanted ? made.data() : nullptr); });
    return wanted ? nb::cast(own(std::move(made), {rows.size(), width})) : nb::none();
}

// The outputs of the last step, or of every one.
nb::object prefill(Held& held, long slot, const nb::list& inputs, long steps, bool every) {
    if (steps < 0) throw std::invalid_argument("a negative count of steps");
    const Entries entering = entries(held.engine->program(), inputs, std::size_t(steps));
    const std::size_t width = std::size_t(held.engine->outputs()), rows = every ? std::size_t(steps) : std::size_t(steps > 0);
    std::vector<float> made(rows * width);
    locked(held, [&](Engine& engine) { engine.prefill(slot, steps, entering.all, made.data(), every); });
    return nb::cast(own(std::move(made), {rows, width}));
}

nb::object advance(Held& held, const Longs& slots) {
    const std::vector<long> rows = longs(slots);
    std::vector<long> tokens(rows.size());
    locked(held, [&](Engine& engine) { engine.advance(rows, tokens.data()); });
    return nb::cast(own(std::move(tokens), {rows.size()}));
}

nb::object generate(Held& held, long slot, long most) {
    if (most < 0 || most > 1L << 30) throw std::invalid_argument("no such count of tokens");
    std::vector<long> tokens(static_cast<std::size_t>(most));
    const long count = locked(held, [&](Engine& engine) { return engine.generate(slot, most, tokens.data()); });
    tokens.resize(std::size_t(count));
    return nb::cast(own(std::move(tokens), {std::size_t(count)}));
}

void set_settings(Held& held, long slot, double temperature, long top_k, double top_p, double min_p, double penalty, long window,
                  long max_tokens, std::vector<long> banned, std::vector<long> forced, std::vector<long> stop) {
    Settings settings{temperature, top_k, top_p, min_p, penalty, window, max_tokens, std::move(banned), std::move(forced), std::move(stop)};
    const char* wrong = recurra::check(settings, held.engine->program().inputs.empty() ? 0 : held.engine->program().inputs[0].size);
    if (wrong != nullptr) throw std::invalid_argument(wrong);
    locked(held, [&](Engine& engine) { engine.session(slot).settings = std::move(settings); });
}

void set_allowed(Held& held, long slot, const std::optional<Bytes>& bits) {
    const auto& inputs = held.engine->program().inputs;
    if (bits && (inputs.empty() || long(bits->size()) < (inputs[0].size + 7) / 8)) throw std::invalid_argument("a mask with too few bits");
    std::vector<std::uint8_t> allowed;
    if (bits) allowed.assign(bits->data(), bits->data() + bits->size());
    locked(held, [&](Engine& engine) { engine.session(slot).allowed = std::move(allowed); });
}

void set_memory(Held& held, long slot, long number, const Array& keys, const Array& values) {
    const auto& widths = held.engine->program().memories;
    if (number < 0 || number >= long(widths.size())) throw std::invalid_argument("there is no such memory");
    const recurra::Width width = widths[std::size_t(number)];
    if (long(keys.shape(1)) != width.keys || long(values.shape(1)) != width.values || keys.shape(0) != values.shape(0))
        throw std::invalid_argument("a memory takes keys (M, " + std::to_string(width.keys) + ") and values (M, " +
                                    std::to_string(width.values) + ")");
    recurra::Memory made{{keys.data(), keys.data() + keys.size()}, {values.data(), values.data() + values.size()}, long(keys.shape(0))};
    locked(held, [&](Engine& engine) { engine.session(slot).memories[std::size_t(number)] = std::move(made); });
}

nb::object memory(Held& held, long slot, long number) {
    const auto& widths = held.engine->program().memories;
    if (number < 0 || number >= long(widths.size())) throw std::invalid_argument("there is no such memory");
    const recurra::Width width = widths[std::size_t(number)];
    const auto kept = locked(held, [=](Engine& engine) { return engine.session(slot).memories[std::size_t(number)]; });
    const std::size_t length = std::size_t(kept.length);
    return nb::make_tuple(own(kept.keys, {length, std::size_t(width.keys)}), own(kept.values, {length, std::size_t(width.values)}));
}

// All of a session that its steps and tokens change.
nb::object state(Held& held, long slot) {
    const Session session = locked(held, [=](Engine& engine) { return engine.session(slot); });
    return nb::make_tuple(own(session.state, {session.state.size()}), own(session.scores, {session.scores.size()}),
                          own(std::vector<long>(session.history.end() - std::min(long(session.history.size()), recurra::REMEMBERED), session.history.end()),
                              {std::size_t(std::min(long(session.history.size()), recurra::REMEMBERED))}),
                          session.random.seed, session.random.count, session.begun,
                          session.ended);
}

void set_state(Held& held, long slot, const Numbers& state, const Numbers& scores, const Longs& history, std::uint64_t seed,
               std::uint64_t count, bool begun, bool ended) {
    const recurra::Program& program = held.engine->program();
    if (state.size() != program.initial.size()) throw std::invalid_argument("a state of another size");
    if (begun && (program.outputs.empty() || long(scores.size()) != program.outputs[0].size))
        throw std::invalid_argument("another count of scores");
    for (std::size_t i = 0; i < history.size(); ++i)
        if (program.inputs.empty() || history.data()[i] < 0 || history.data()[i] >= program.inputs[0].size)
            throw std::invalid_argument("a token that is none");
    locked(held, [&](Engine& engine) {
        Session& session = engine.session(slot);
        session.state.assign(state.data(), state.data() + state.size());
        session.scores.assign(scores.data(), scores.data() + scores.size());
        session.history = longs(history);
        session.random = {seed, count};
        session.begun = begun;
        session.ended = ended;
    });
}

}  // namespace

void bind_engine(nb::module_& module) {
    module.attr("INSTRUCTION") = ROW;
    nb::class_<Held>(module, "Engine", "Sessions of a program; recurra.streaming.run is what people call.")
        .def("__init__", &make)
        .def("admit", [](Held& held) { return locked(held, [](Engine& e) { return e.admit(); }); })
        .def("fork", [](Held& held, long slot) { return locked(held, [=](Engine& e) { return e.fork(slot); }); })
        .def("retire", [](Held& held, long slot) { locked(held, [=](Engine& e) { e.retire(slot); }); })
        .def("sessions", [](Held& held) { return locked(held, [](Engine& e) { return e.sessions(); }); })
        .def("step", &step, "slots"_a, "inputs"_a, "outputs"_a)
        .def("prefill", &prefill, "slot"_a, "inputs"_a, "steps"_a, "every"_a)
        .def("advance", &advance, "slots"_a)
        .def("generate", &generate, "slot"_a, "most"_a)
        .def("set_settings", &set_settings)
        .def("set_allowed", &set_allowed, "slot"_a, "bits"_a.none())
        .def("set_memory", &set_memory)
        .def("memory", &memory)
        .def("state", &state)
        .def("set_state", &set_state);
}
