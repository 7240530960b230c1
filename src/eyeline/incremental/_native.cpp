// The kernels of the incremental engine: plain C++ behind a C interface, each on the calling thread alone.
//
// Values are float32, channels last, so that every inner loop runs over channels and vectorises. A source holds n
// positions: `data` is each position's box in raster order, `clean` the map beneath. One rule reads it, in `point`:
// outside the map stands padding, inside the position's box data, elsewhere the clean map. All sizes are in pixels.
// No fast-math: a NaN that goes in must come out.

#include <cstring>
#include <limits>
#include <memory>

#include "_winograd.h"

#if defined(_WIN32)
#define EXPORT extern "C" __declspec(dllexport)
#else
#define EXPORT extern "C" __attribute__((visibility("default")))
#endif

namespace {

struct Source {
    const float* data;
    const float* clean;
    const Index* box;      // (n, 4): first row, row after the last, first column, column after the last
    const Index* offsets;  // (n + 1): where each position's data begins
    Index rows, columns, channels;
};

struct Target {  // the outputs first .. last - 1 of all boxes, as they lie behind one another
    const Index* box;
    const Index* offsets;
    Index positions, first, last;
};

struct Taps {
    Index rows, columns, row_stride, column_stride, row_dilation, column_dilation, above, left;

    Index span(Index outputs) const { return (outputs - 1) * column_stride + (columns - 1) * column_dilation + 1; }
};

// The look-up rule: write where `count` pixels of a row lie, from `column` on.
void point(const Source& source, Index n, Index row, Index column, Index count, const float* padding,
           const float** found) {
    std::fill(found, found + count, padding);
    if (row < 0 || row >= source.rows) return;
    const Index channels = source.channels, *box = source.box + 4 * n;
    const Index low = std::max<Index>(0, -column), high = std::min(count, source.columns - column);
    const float* clean = source.clean + (row * source.columns + column) * channels;
    for (Index i = low; i < high; ++i) found[i] = clean + i * channels;
    if (row < box[0] || row >= box[1]) return;
    const Index start = std::max(low, box[2] - column), stop = std::min(high, box[3] - column);
    const Index place = source.offsets[n] + (row - box[0]) * (box[3] - box[2]) + column - box[2];
    for (Index i = start; i < stop; ++i) found[i] = source.data + (place + i) * channels;
}

// Call visit(position, row, first column, columns, place of the first) for each row of each box.
template <class Visit>
void each_row(const Target& target, Visit visit) {
    for (Index n = 0; n < target.positions; ++n) {
        if (target.offsets[n + 1] <= target.first || target.offsets[n] >= target.last) continue;
        const Index* box = target.box + 4 * n;
        const Index width = box[3] - box[2];
        for (Index row = box[0]; row < box[1]; ++row) {
            const Index place = target.offsets[n] + (row - box[0]) * width;
            const Index start = std::max(place, target.first), stop = std::min(place + width, target.last);
            if (start < stop) visit(n, row, box[2] + start - place, stop - start, start);
        }
    }
}

// Call visit(place, taps' pixels, row, column) for each output: its `taps.rows * taps.columns` pointers, row by row.
template <class Visit>
void each_output(const Source& source, const Target& target, const Taps& taps, const std::vector<float>& padding,
                 Visit visit) {
    Pointers lines, seen(taps.rows * taps.columns);
    each_row(target, [&](Index n, Index row, Index column, Index count, Index place) {
        const Index span = taps.span(count);
        lines.resize(taps.rows * span);
        for (Index a = 0; a < taps.rows; ++a)
            point(source, n, row * taps.row_stride - taps.above + a * taps.row_dilation,
                  column * taps.column_stride - taps.left, span, padding.data(), lines.data() + a * span);
        for (Index j = 0; j < count; ++j) {
            for (Index a = 0; a < taps.rows; ++a)
                for (Index b = 0; b < taps.columns; ++b)
                    seen[a * taps.columns + b] = lines[a * span + j * taps.column_stride + b * taps.column_dilation];
            visit(place + j, seen.data(), row, column + j);
        }
    });
}

// Call visit(place, values) for each pixel of the target's boxes.
template <class Visit>
void each_pixel(const Source& source, const Target& target, Visit visit) {
    const std::vector<float> padding(source.channels, 0.0f);
    each_output(source, target, {1, 1, 1, 1, 1, 1, 0, 0}, padding,
                [=](Index place, const float* const* seen, Index, Index) { visit(place, *seen); });
}

struct Largest {
    static constexpr float start = -std::numeric_limits<float>::infinity();
    float operator()(float best, float value) const { return value > best || value != value ? value : best; }
};

struct Sum {
    static constexpr float start = 0.0f;
    float operator()(float sum, float value) const { return sum + value; }
};

// Join the taps of one output; N > 0 fixes their number, so that nothing is written between two taps.
template <int N, class Join>
void join(float* out, const float* const* seen, Index taps, Index channels, float divisor) {
    const Join next;
    if constexpr (N > 0) {
        NO_ALIAS for (Index c = 0; c < channels; ++c) {
            float value = seen[0][c];
            UNROLL for (int t = 1; t < N; ++t) value = next(value, seen[t][c]);
            out[c] = value / divisor;
        }
    } else {
        std::fill(out, out + channels, Join::start);
        for (Index t = 0; t < taps; ++t) {
            const float* values = seen[t];
            NO_ALIAS for (Index c = 0; c < channels; ++c) out[c] = next(out[c], values[c]);
        }
        NO_ALIAS for (Index c = 0; c < channels; ++c) out[c] /= divisor;
    }
}

template <class Join, class Divisor>
void pool(const Source& source, const Target& target, const Taps& taps, float* out, Divisor divisor) {
    const Index count = taps.rows * taps.columns, channels = source.channels;
    const auto one = count == 4 ? join<4, Join> : count == 9 ? join<9, Join> : join<0, Join>;
    const std::vector<float> padding(channels, Join::start);
    each_output(source, target, taps, padding, [&](Index place, const float* const* seen, Index row, Index column) {
        one(out + place * channels, seen, count, channels, divisor(row, column));
    });
}

// Multiply-add the taps of one output channel by channel; N > 0 fixes their number.
template <int N>
void weigh(float* out, const float* const* seen, const float* weights, const float* bias, Index taps, Index channels,
           Clamp clamp) {
    if constexpr (N > 0) {
        NO_ALIAS for (Index c = 0; c < channels; ++c) {
            float value = bias[c];
            UNROLL for (int t = 0; t < N; ++t) value += seen[t][c] * weights[t * channels + c];
            out[c] = clamp(value);
        }
    } else {
        std::copy(bias, bias + channels, out);
        for (Index t = 0; t < taps; ++t) {
            const float *values = seen[t], *factors = weights + t * channels;
            NO_ALIAS for (Index c = 0; c < channels; ++c) out[c] += values[c] * factors[c];
        }
        NO_ALIAS for (Index c = 0; c < channels; ++c) out[c] = clamp(out[c]);
    }
}

}  // namespace

// Changes with what the functions take: a library of other sources is not called.
EXPORT int eyeline_interface() { return 2; }

// Return the x86-64 level (1 to 4) that this processor and its system can run, 0 elsewhere.
EXPORT int eyeline_level() {
#if defined(__GNUC__) && defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("bmi2")) return 1;
    const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
    return wide ? 4 : 3;
#else
    return 0;
#endif
}

// Copy the values at other boxes into rows that lie `step` floats apart.
EXPORT void eyeline_fetch(const Source* source, const Target* target, float* out, Index step) {
    const Index channels = source->channels;
    each_pixel(*source, *target, [=](Index place, const float* values) {
        std::memcpy(out + place * step, values, channels * sizeof(float));
    });
}

// Add the values at the boxes of `out` to it, and clamp the sums.
EXPORT void eyeline_fetch_add(const Source* source, const Target* target, float low, float high, float* out) {
    const Index channels = source->channels;
    const Clamp clamp{low, high};
    each_pixel(*source, *target, [=](Index place, const float* values) {
        float* sums = out + place * channels;
        NO_ALIAS for (Index c = 0; c < channels; ++c) sums[c] = clamp(sums[c] + values[c]);
    });
}

// Lay each output's taps in a row: (outputs, groups, taps, channels / groups).
EXPORT void eyeline_gather(const Source* source, const Target* target, const Taps* taps, float pad_value, Index groups,
                           float* out) {
    const Index channels = source->channels, part = channels / groups, count = taps->rows * taps->columns;
    const bool whole = groups == 1 && taps->column_dilation == 1;
    const std::vector<float> padding(channels, pad_value);
    each_output(*source, *target, *taps, padding, [&](Index place, const float* const* seen, Index, Index) {
        float* row = out + (place - target->first) * count * channels;
        for (Index t = 0; t < count;) {
            const Index rest = whole ? taps->columns - t % taps->columns : 1;
            Index run = 1;  // taps that lie behind one another are copied at once
            while (run < rest && seen[t + run] == seen[t] + run * channels) ++run;
            for (Index g = 0; g < groups; ++g)
                std::memcpy(row + (g * count + t) * part, seen[t] + g * part, run * part * sizeof(float));
            t += run;
        }
    });
}

EXPORT void eyeline_depthwise(const Source* source, const Target* target, const Taps* taps, const float* weights,
                              const float* bias, float low, float high, float* out) {
    const Index count = taps->rows * taps->columns, channels = source->channels;
    const std::vector<float> padding(channels, 0.0f);
    const auto one = count == 9 ? weigh<9> : weigh<0>;
    each_output(*source, *target, *taps, padding, [&](Index place, const float* const* seen, Index, Index) {
        one(out + place * channels, seen, weights, bias, count, channels, {low, high});
    });
}

EXPORT void eyeline_max_pool(const Source* source, const Target* target, const Taps* taps, float* out) {
    pool<Largest>(*source, *target, *taps, out, [](Index, Index) { return 1.0f; });
}

// Divide each sum by what `divisors`, (output rows, output columns), says of its place.
EXPORT void eyeline_average_pool(const Source* source, const Target* target, const Taps* taps, const float* divisors,
                                 Index columns, float* out) {
    pool<Sum>(*source, *target, *taps, out, [=](Index row, Index column) { return divisors[row * columns + column]; });
}

// How many outputs a panel of weights holds: (panels, taps * channels, panel), the last filled up with anything.
EXPORT Index eyeline_panel() { return PANEL; }

// Multiply `batch` matrices (rows, depth) by as many of packed weights. Matrices lie `between` floats apart and rows
// `step`; products (rows, outputs) lie one behind another row by row: (rows, batch, outputs).
EXPORT void eyeline_product(const float* values, Index batch, Index rows, Index depth, Index between, Index step,
                            const float* panels, Index outputs, const float* bias, float low, float high, float* out) {
    const Index packed = (outputs + PANEL - 1) / PANEL * PANEL * depth;
    for (Index i = 0; i < batch; ++i, values += between, panels += packed, bias += outputs, out += outputs)
        product(rows, 1, depth, panels, outputs, bias, {low, high}, [=](Index row, Index) { return values + row * step; },
                [=](Index row) { return out + row * batch * outputs; });
}

// Convolve: each group's outputs from its taps, read where they lie.
EXPORT void eyeline_convolve(const Source* source, const Target* target, const Taps* taps, Index groups,
                             const float* panels, Index outputs, const float* bias, float low, float high,
                             float* out) {
    const Index count = taps->rows * taps->columns, part = source->channels / groups;
    const Index step = (outputs + PANEL - 1) / PANEL * PANEL * count * part, most = 16 * ROWS;
    const std::vector<float> padding(source->channels, 0.0f);
    Pointers waiting;
    Index first = target->first;
    const auto flush = [&](Index last) {
        for (Index g = 0; g < groups; ++g)
            product(last - first, count, part, panels + g * step, outputs, bias + g * outputs, {low, high},
                    [&](Index row, Index t) { return waiting[row * count + t] + g * part; },
                    [&](Index row) { return out + ((first + row) * groups + g) * outputs; });
        waiting.clear();
        first = last;
    };
    each_output(*source, *target, *taps, padding, [&](Index place, const float* const* seen, Index, Index) {
        waiting.insert(waiting.end(), seen, seen + count);
        if (place + 1 - first == most) flush(place + 1);
    });
    if (!waiting.empty()) flush(target->last);
}

// Sum data minus the clean values that it replaces, (n, channels), in double precision.
EXPORT void eyeline_global_sum_change(const Source* source, Index positions, double* sums) {
    const Index channels = source->channels;
    std::fill(sums, sums + positions * channels, 0.0);
    each_row({source->box, source->offsets, positions, 0, source->offsets[positions]},
             [&](Index n, Index row, Index column, Index count, Index place) {
                 double* sum = sums + n * channels;
                 const float* values = source->data + place * channels;
                 const float* clean = source->clean + (row * source->columns + column) * channels;
                 for (Index j = 0; j < count; ++j, values += channels, clean += channels)
                     NO_ALIAS for (Index c = 0; c < channels; ++c) sum[c] += double(values[c]) - double(clean[c]);
             });
}

// Convolve by Winograd's tiles, at most `most` at a time, with 36 packed matrices of weights; boxes are cut into tiles of
// 4 x 4 outputs and smaller ones at their ends.
EXPORT void eyeline_winograd(const Source* source, const Target* target, Index above, Index left, const float* panels,
                             Index outputs, const float* bias, float low, float high, Index most, float* out) {
    const Index channels = source->channels;
    const std::vector<float> padding(channels, 0.0f);
    const std::unique_ptr<float[]> values(new float[most * POINTS * channels]);
    const std::unique_ptr<float[]> products(new float[most * POINTS * outputs]);
    std::vector<Tile> tiles;
    const auto flush = [&] {
        multiply_tiles(tiles, values.get(), channels, panels, outputs, products.get());
        const float* found = products.get();
        for (const Tile& tile : tiles) {
            TILE_OUT[tile.rows - 1][tile.columns - 1](found, tile.first, tile.step, bias, outputs, {low, high});
            found += POINTS * outputs;
        }
        tiles.clear();
    };
    Pointers lines, seen(POINTS);
    each_row(*target, [&](Index n, Index row, Index column, Index count, Index place) {
        const Index* box = target->box + 4 * n;
        if ((row - box[0]) % 4) return;  // a tile's first row stands for the others
        const Index rows = std::min<Index>(4, box[1] - row), span = count + 2;
        lines.resize((rows + 2) * span);
        for (Index a = 0; a < rows + 2; ++a)
            point(*source, n, row - above + a, column - left, span, padding.data(), lines.data() + a * span);
        for (Index j = 0; j < count; j += 4) {
            const Index columns = std::min<Index>(4, count - j);
            for (Index a = 0; a < rows + 2; ++a)
                std::copy_n(lines.data() + a * span + j, columns + 2, seen.data() + a * (columns + 2));
            float* tile = values.get() + tiles.size() * POINTS * channels;
            TILE_IN[rows - 1][columns - 1](seen.data(), tile, channels);
            tiles.push_back({rows, columns, out + (place + j) * outputs, count * outputs});
            if (static_cast<Index>(tiles.size()) == most) flush();
        }
    });
    flush();
}
