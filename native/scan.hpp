// The diagonal recurrences, forward and backward: scan_cells.hpp has the cells, src/recurra/ops/diagonal/reference.py what they mean.
//
// Time is the outer loop, and the units of a step, which lie side by side in memory, the inner one, so that every array is walked
// through once and in order, backward in the exactly reverse order, which is what processors fetch ahead in (half the speed
// otherwise); the state stays in the first cache. Rows, or parts of them, go to threads.
#pragma once

#if defined(__x86_64__) && !defined(__clang__)
#include <immintrin.h>  // intrinsics only: they are always inlined
#endif

#include "kernels.hpp"
#include "scan_cells.hpp"
#include "simd.hpp"
#include "threads.hpp"

namespace recurra::RECURRA_VARIANT {

typedef double Doubles __attribute__((vector_size(W * 4)));
typedef double LooseDoubles __attribute__((vector_size(W * 4), aligned(8), may_alias));

RECURRA_INLINE Doubles load(const double* from) { return *reinterpret_cast<const LooseDoubles*>(from); }
RECURRA_INLINE void store(double* to, Doubles x) { *reinterpret_cast<LooseDoubles*>(to) = x; }
RECURRA_INLINE Doubles load_some(const double* from, long count) {
    Doubles x{};
    for (long i = 0; i < count; ++i) x[i] = from[i];
    return x;
}
RECURRA_INLINE void store_some(double* to, Doubles x, long count) {
    for (long i = 0; i < count; ++i) to[i] = x[i];
}

constexpr long LINE = 16;     // numbers; threads share no cache line
constexpr long PANEL = 1024;  // units whose state is kept at once
constexpr long CHUNK = 128;   // units between two writes around the caches
constexpr long TINY = 1 << 15;          // numbers that enter: fewer are not worth a second thread
constexpr long STREAMED = 1l << 24;     // bytes that are written: more would push everything else out of the caches

RECURRA_INLINE void stream(float* to, const float* from) {
#if defined(RECURRA_WIDTH)
    store(to, load(from));
#elif defined(__clang__)
    __builtin_nontemporal_store(load(from), reinterpret_cast<Vec*>(to));
#elif defined(__AVX512F__)
    _mm512_stream_ps(to, __m512(load(from)));
#elif defined(__AVX__)
    _mm256_stream_ps(to, __m256(load(from)));
#elif defined(__x86_64__)
    _mm_stream_ps(to, __m128(load(from)));
#else
    store(to, load(from));
#endif
}

RECURRA_INLINE void fence() {
#if defined(__x86_64__)
    __builtin_ia32_sfence();
#endif
}

template <typename Number>
void copy(Number* to, const Number* from, long count) {
    for (long i = 0; i < count; ++i) to[i] = from[i];
}

// Where one array's numbers of a chunk go: to their place, or, where `streams`, into a buffer and then around the caches. A chunk of
// one array after a chunk of another, for the processor gathers such writes into lines and can do so for few lines at once.
template <typename Number>
class Output {
  public:
    Output(Number* array, bool streams) : array_(array), streams_(streams) {}

    RECURRA_INLINE Number* chunk(long offset) {
        place_ = array_ + offset;
        return streams_ ? buffer_ : place_;
    }
    RECURRA_INLINE void done(long count) const {
        if (!streams_) return;
        float* const to = reinterpret_cast<float*>(place_);
        const float* const from = reinterpret_cast<const float*>(buffer_);
        for (long i = 0; i < count * long(sizeof(Number) / 4); i += W) stream(to + i, from + i);
    }

  private:
    Number* array_;
    Number* place_ = nullptr;
    bool streams_;
    alignas(64) Number buffer_[CHUNK];
};

// One row's units `start` … `end`, at most PANEL, through all of its steps.
template <class Cell, typename Number>
struct Panel {
    typedef decltype(load(static_cast<const Number*>(nullptr))) V;
    static constexpr long N = sizeof(V) / sizeof(Number);

    const Scan<Number> s;
    const bool streams;
    const long row, start, end;

    long length() const { return s.lengths == nullptr ? s.steps : s.lengths[row]; }
    long inputs_at(long step) const { return (row * s.steps + step) * s.stride; }
    long units_at(long step) const { return (row * s.steps + step) * s.units; }

    // The last vector of a row may be a part of one.
    template <bool whole>
    RECURRA_INLINE static V read(const Number* from, long count) {
        return whole ? load(from) : load_some(from, count);
    }
    template <bool whole>
    RECURRA_INLINE static void write(Number* to, V x, long count) {
        whole ? store(to, x) : store_some(to, x, count);
    }
    template <bool whole>
    RECURRA_INLINE V enter(V* in, long step, long unit, long count) const {
        RECURRA_UNROLL
        for (int k = 0; k < Cell::inputs; ++k) in[k] = read<whole>(s.in[k] + inputs_at(step) + unit, count);
        return Cell::shares ? read<whole>(s.shared + unit, count) : V{};
    }

    void forward() const {
        alignas(64) Number h[PANEL];
        copy(h, s.h0 + row * s.units + start, end - start);
        Output<Number> ys(s.y, streams), hs(s.h, streams);
        for (long step = 0; step < length(); ++step)
            for (long from = start; from < end; from += CHUNK) {
                const long count = end - from < CHUNK ? end - from : CHUNK;
                Number* const y = ys.chunk(units_at(step) + from);
                Number* const kept = s.h == nullptr ? nullptr : hs.chunk(units_at(step) + from);
                long i = 0;
                for (; i + N <= count; i += N) forward_some<true>(step, from, i, N, h + (from - start), kept, y);
                if (i < count) forward_some<false>(step, from, i, count - i, h + (from - start), kept, y);
                ys.done(count);
                if (kept != nullptr) hs.done(count);
            }
        for (long step = length(); step < s.steps; ++step)
            for (long i = 0; i < end - start; ++i) s.y[units_at(step) + start + i] = s.holds ? h[i] : Number(0);
        if (s.last != nullptr) copy(s.last + row * s.units + start, h, end - start);
    }

    // `count` units from `from + i` on; `state`, `kept` and `y` start at `from`.
    template <bool whole>
    RECURRA_INLINE void forward_some(long step, long from, long i, long count, Number* state, Number* kept, Number* y) const {
        V in[Cell::inputs], a, b;
        const V shared = enter<whole>(in, step, from + i, count);
        Cell::coefficients(in, shared, a, b);
        const V h = Cell::times(a, read<whole>(state + i, count)) + b;
        write<whole>(state + i, h, count);
        if (kept != nullptr) write<whole>(kept + i, h, count);
        write<whole>(y + i, Cell::readout(in, h), count);
    }

    void backward() const {
        alignas(64) Number gh[PANEL], gshared[PANEL];
        first_gradient(gh);
        for (long i = 0; i < end - start; ++i) gshared[i] = Number(0);
        Output<Number> gin[4] = {{s.gin[0], streams}, {s.gin[1], streams}, {s.gin[2], streams}, {s.gin[3], streams}};
        for (long step = length() - 1; step >= 0; --step)
            for (long from = start + (end - start - 1) / CHUNK * CHUNK; from >= start; from -= CHUNK) {
                const long count = end - from < CHUNK ? end - from : CHUNK;
                Number* to[4];
                for (int k = 0; k < Cell::inputs; ++k) to[k] = gin[k].chunk(inputs_at(step) + from);
                Number *const g = gh + (from - start), *const gs = gshared + (from - start);
                long i = count / N * N;
                if (i < count) backward_some<false>(step, from, i, count - i, g, gs, to);
                for (i -= N; i >= 0; i -= N) backward_some<true>(step, from, i, N, g, gs, to);
                for (int k = 0; k < Cell::inputs; ++k) gin[k].done(count);
            }
        for (long step = length(); step < s.steps; ++step)
            for (int k = 0; k < Cell::inputs; ++k)
                for (long unit = start; unit < end; ++unit) s.gin[k][inputs_at(step) + unit] = Number(0);
        copy(s.gh0 + row * s.units + start, gh, end - start);
        if (Cell::shares) copy(s.gshared + row * s.units + start, gshared, end - start);
    }

    // That of the last h, which the outputs past the row's length may repeat.
    void first_gradient(Number* gh) const {
        for (long i = 0; i < end - start; ++i) gh[i] = s.glast == nullptr ? Number(0) : s.glast[row * s.units + start + i];
        for (long step = s.holds ? length() : s.steps; step < s.steps; ++step)
            for (long i = 0; i < end - start; ++i) gh[i] += s.gy[units_at(step) + start + i];
    }

    template <bool whole>
    RECURRA_INLINE void backward_some(long step, long from, long i, long count, Number* g, Number* gs, Number** to) const {
        const long unit = from + i, here = units_at(step) + unit;
        const Number* const before = step > 0 ? s.h + here - s.units : s.h0 + row * s.units + unit;
        V in[Cell::inputs], gin[Cell::inputs], a, b;
        const V shared = enter<whole>(in, step, unit, count);
        Cell::coefficients(in, shared, a, b);
        const V h = Cell::reads_out ? read<whole>(s.h + here, count) : V{};
        const V gh = read<whole>(g + i, count) + Cell::readout_back(in, h, read<whole>(s.gy + here, count), gin);
        V gshared = Cell::shares ? read<whole>(gs + i, count) : V{};
        Cell::back(in, shared, Cell::times_conjugate(gh, read<whole>(before, count)), gh, gin, gshared);
        write<whole>(g + i, Cell::times_conjugate(gh, a), count);
        if (Cell::shares) write<whole>(gs + i, gshared, count);
        RECURRA_UNROLL
        for (int k = 0; k < Cell::inputs; ++k) write<whole>(to[k] + i, gin[k], count);
    }
};

// Whether each write around the caches would fill a line, and there are enough of them.
template <class Cell, typename Number>
bool worth_streaming(const Scan<Number>& s, bool backward) {
    const auto lines = [](const Number* array, long stride) {
        return (reinterpret_cast<uintptr_t>(array) | uintptr_t(stride * long(sizeof(Number)))) % 64 == 0;
    };
    const int arrays = backward ? Cell::inputs : s.h == nullptr ? 1 : 2;
    bool whole = s.units % LINE == 0 && s.rows * s.steps * s.units * arrays * long(sizeof(Number)) >= STREAMED;
    if (!backward) return whole && lines(s.y, s.units) && (s.h == nullptr || lines(s.h, s.units));
    for (int k = 0; k < Cell::inputs; ++k) whole = whole && lines(s.gin[k], s.stride);
    return whole;
}

// A thread takes whole rows where they are many or just come out even, by their lengths; else its share of every row's units.
template <class Cell, typename Number>
void run_scan(const Scan<Number>& s, bool backward) {
    const bool streams = worth_streaming<Cell>(s, backward);
    long steps = s.rows;  // and one for each row
    for (long row = 0; row < s.rows; ++row) steps += s.lengths == nullptr ? s.steps : s.lengths[row];
    team(steps * s.units * Cell::inputs < TINY ? 1 : s.threads, [&](int thread, int threads, Barrier&) {
        const bool by_rows = s.rows >= 8 * threads || (s.lengths == nullptr && s.rows % threads == 0);
        const long lines = (s.units + LINE - 1) / LINE;
        const long start = by_rows ? 0 : lines * thread / threads * LINE;
        const long most = by_rows ? s.units : lines * (thread + 1) / threads * LINE, end = most < s.units ? most : s.units;
        long before = 0;
        for (long row = 0; row < s.rows; ++row) {
            const bool mine = before >= steps * thread / threads && before < steps * (thread + 1) / threads;
            before += 1 + (s.lengths == nullptr ? s.steps : s.lengths[row]);
            if (by_rows && !mine) continue;
            for (long unit = start; unit < end; unit += PANEL) {
                const Panel<Cell, Number> panel = {s, streams, row, unit, end - unit < PANEL ? end : unit + PANEL};
                backward ? panel.backward() : panel.forward();
            }
        }
        if (streams) fence();
    });
}

template <typename Number>
void scan(const Scan<Number>& s, bool backward) {
    switch (s.cell) {
        case ScanCell::linear: return run_scan<Given<RealNumbers>>(s, backward);
        case ScanCell::steady: return run_scan<Steady<RealNumbers>>(s, backward);
        case ScanCell::complex: return run_scan<Given<ComplexNumbers>>(s, backward);
        case ScanCell::steady_complex: return run_scan<Steady<ComplexNumbers>>(s, backward);
        default: break;
    }
    if constexpr (sizeof(Number) == 4) switch (s.cell) {
        case ScanCell::min_gru: return run_scan<MinGRU>(s, backward);
        case ScanCell::min_lstm: return run_scan<MinLSTM>(s, backward);
        case ScanCell::qrnn: return run_scan<QRNN>(s, backward);
        case ScanCell::sru: return run_scan<SRU>(s, backward);
        case ScanCell::rg_lru: return run_scan<RGLRU>(s, backward);
        default: break;
    }
}

}  // namespace recurra::RECURRA_VARIANT
