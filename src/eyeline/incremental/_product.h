// Products of rows of float32, wherever they lie, with a matrix laid out for this build's registers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

// NO_ALIAS: what a loop writes is never what it reads, which the compiler cannot see through arrays of pointers.
// ALONE: inside another function there would not be enough registers for all that it keeps.
#if defined(__GNUC__)
#define ALONE __attribute__((noinline))
#define SOON(place) __builtin_prefetch(place)
#if defined(__clang__)
#define NO_ALIAS _Pragma("clang loop vectorize(assume_safety)")
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define NO_ALIAS _Pragma("GCC ivdep")
#define UNROLL _Pragma("GCC unroll 16")
#endif
#else
#define ALONE
#define SOON(place)
#define NO_ALIAS
#define UNROLL
#endif

namespace {

using Index = std::int64_t;
using Pointers = std::vector<const float*>;

struct Clamp {
    float low, high;

    // NaN passes both comparisons
    float operator()(float value) const {
        value = value < low ? low : value;
        return value > high ? high : value;
    }
};

// A vector as wide as this build's registers; ROWS x 2 of them, two of weights and one of values fill the registers.
#if defined(__AVX512F__)
constexpr int LANES = 16, ROWS = 12;
#elif defined(__AVX__)
constexpr int LANES = 8, ROWS = 6;
#elif defined(__aarch64__)
constexpr int LANES = 4, ROWS = 12;
#elif defined(__GNUC__)
constexpr int LANES = 4, ROWS = 6;
#else
constexpr int LANES = 1, ROWS = 4;
#endif
#if defined(__GNUC__)
typedef float Vector __attribute__((vector_size(4 * LANES)));
typedef float Anywhere __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
#else
using Vector = float;
using Anywhere = float;
#endif
constexpr int PANEL = 2 * LANES;  // outputs that one pass over the inputs computes
constexpr int SUMMED = 128;       // products that are added one after another
constexpr int CACHE = 1 << 18;    // bytes of inputs that stay near while all panels pass

// Where the outputs of a block of rows go: sums, plus bias, clamped, from a column on.
struct Outputs {
    float* const* rows;
    Index column;
    const float* bias;
    Clamp clamp;
};

// Multiply R rows by the first V vectors of one panel of weights, (taps, depth, PANEL).
// Row i at tap t is `depth` floats from rows[t * ROWS + i] on. Long sums are sums of sums: they lose fewer digits.
template <int V, int R>
ALONE void multiply(const float* const* rows, Index taps, Index depth, const float* panel, Index width, Outputs out) {
    float lines[R][V * LANES];
    Vector sums[R][V];
    UNROLL for (int i = 0; i < R; ++i) UNROLL for (int v = 0; v < V; ++v) sums[i][v] = Vector{};
    bool begun = false;
    const auto settle = [&] {
        UNROLL for (int i = 0; i < R; ++i) UNROLL for (int v = 0; v < V; ++v) {
            Anywhere* line = reinterpret_cast<Anywhere*>(lines[i] + v * LANES);
            *line = begun ? *line + sums[i][v] : sums[i][v];
            sums[i][v] = Vector{};
        }
        begun = true;
    };
    Index summed = 0;
    for (Index t = 0; t < taps; ++t, rows += ROWS) {
        const float* values[R];
        UNROLL for (int i = 0; i < R; ++i) values[i] = rows[i];
        for (Index k = 0; k < depth;) {
            const Index stop = std::min(depth, k + SUMMED);
            summed += stop - k;
            for (; k < stop; ++k, panel += PANEL) {
                SOON(panel + 24 * PANEL);
                SOON(panel + 24 * PANEL + LANES);
                const Vector left = *reinterpret_cast<const Anywhere*>(panel);
                const Vector right = *reinterpret_cast<const Anywhere*>(panel + LANES);
                UNROLL for (int i = 0; i < R; ++i) {
                    sums[i][0] += values[i][k] * left;
                    if constexpr (V == 2) sums[i][1] += values[i][k] * right;
                }
            }
            if (summed >= SUMMED) {
                settle();
                summed = 0;
            }
        }
    }
    settle();
    UNROLL for (int i = 0; i < R; ++i) {
        float* row = out.rows[i] + out.column;
        const float* bias = out.bias + out.column;
        NO_ALIAS for (Index c = 0; c < width; ++c) row[c] = out.clamp(lines[i][c] + bias[c]);
    }
}

// Multiply `count` rows, at most ROWS.
template <int V, int R = ROWS, class... Rest>
void multiply_some(Index count, Rest... rest) {
    if constexpr (R > 1)
        if (count < R) return multiply_some<V, R - 1>(count, rest...);
    multiply<V, R>(rest...);
}

// Multiply rows by all panels; pick(row, t) says where a row's values at tap t lie, put(row) where its outputs go.
template <class Pick, class Put>
void product(Index count, Index taps, Index depth, const float* panels, Index outputs, const float* bias, Clamp clamp,
             Pick pick, Put put) {
    const Index blocks = (count + ROWS - 1) / ROWS;
    const Index together = std::max<Index>(4, CACHE / (4 * ROWS * taps * depth));
    Pointers rows(std::min(blocks, together) * taps * ROWS);
    std::vector<float*> places(std::min(blocks, together) * ROWS);
    for (Index from = 0; from < blocks; from += together) {
        const Index to = std::min(from + together, blocks);
        // blocks of nearly the same height: no lonely last row
        const auto start = [=](Index block) { return block * count / blocks; };
        for (Index b = from; b < to; ++b)
            for (Index row = start(b); row < start(b + 1); ++row) {
                for (Index t = 0; t < taps; ++t) rows[((b - from) * taps + t) * ROWS + row - start(b)] = pick(row, t);
                places[row - start(from)] = put(row);
            }
        const float* panel = panels;
        for (Index column = 0; column < outputs; column += PANEL, panel += taps * depth * PANEL) {
            const Index width = std::min<Index>(PANEL, outputs - column);
            for (Index b = from; b < to; ++b) {
                const float* const* seen = rows.data() + (b - from) * taps * ROWS;
                const Index height = start(b + 1) - start(b);
                const Outputs out{places.data() + start(b) - start(from), column, bias, clamp};
                if (width > LANES)
                    multiply_some<2>(height, seen, taps, depth, panel, width, out);
                else
                    multiply_some<1>(height, seen, taps, depth, panel, width, out);
            }
        }
    }
}

}  // namespace
