// Winograd's F(M x N, 3 x 3), M and N from 1 to 4: M x N outputs of a 3 x 3 convolution from (M + 2) x (N + 2) products.
//
// At the points 0, near, -near, far, -far and infinity. A smaller tile leaves out the last of the finite ones, and reads
// the same transformed weights: what these are divided by for a point that it has not, its inputs are multiplied by.
// All constants are exact in binary.
#pragma once

#include "_product.h"

namespace {

constexpr int SIDE = 6, POINTS = SIDE * SIDE;  // inputs of the largest tile
constexpr float near = 5.0f / 8, far = 3.0f / 2, near2 = near * near, far2 = far * far;

inline void turn_in(const float (&d)[3], float (&found)[3]) {
    found[0] = near * far2 * (near * d[0] - d[1]);
    found[1] = 2 * near * (near2 - far2) * d[1];
    found[2] = d[2] - near * d[1];
}

inline void turn_in(const float (&d)[4], float (&found)[4]) {
    found[0] = far2 * (near2 * d[0] - d[2]);
    found[1] = (near2 - far2) * (d[2] + near * d[1]);
    found[2] = (near2 - far2) * (d[2] - near * d[1]);
    found[3] = d[3] - near2 * d[1];
}

inline void turn_in(const float (&d)[5], float (&found)[5]) {
    found[0] = far * (near2 * far * d[0] - near2 * d[1] - far * d[2] + d[3]);
    found[1] = (far + near) * (d[3] - (far - near) * d[2] - near * far * d[1]);
    found[2] = (far - near) * (d[3] - (far + near) * d[2] + near * far * d[1]);
    found[3] = 2 * far * (d[3] - near2 * d[1]);
    found[4] = near2 * far * d[1] - near2 * d[2] - far * d[3] + d[4];
}

inline void turn_in(const float (&d)[6], float (&found)[6]) {
    const float near_even = d[4] - far2 * d[2], near_odd = near * (d[3] - far2 * d[1]);
    const float far_even = d[4] - near2 * d[2], far_odd = far * (d[3] - near2 * d[1]);
    found[0] = near2 * far2 * d[0] - (near2 + far2) * d[2] + d[4];
    found[1] = near_even + near_odd;
    found[2] = near_even - near_odd;
    found[3] = far_even + far_odd;
    found[4] = far_even - far_odd;
    found[5] = near2 * far2 * d[1] - (near2 + far2) * d[3] + d[5];
}

inline void turn_out(const float (&m)[3], float (&found)[1]) { found[0] = m[0] + m[1] + m[2]; }

inline void turn_out(const float (&m)[4], float (&found)[2]) {
    found[0] = m[0] + m[1] + m[2];
    found[1] = near * (m[1] - m[2]) + m[3];
}

inline void turn_out(const float (&m)[5], float (&found)[3]) {
    const float near_sum = m[1] + m[2], near_gap = m[1] - m[2];
    found[0] = m[0] + near_sum + m[3];
    found[1] = near * near_gap + far * m[3];
    found[2] = near2 * near_sum + far2 * m[3] + m[4];
}

inline void turn_out(const float (&m)[6], float (&found)[4]) {
    const float near_sum = m[1] + m[2], near_gap = m[1] - m[2], far_sum = m[3] + m[4], far_gap = m[3] - m[4];
    found[0] = m[0] + near_sum + far_sum;
    found[1] = near * near_gap + far * far_gap;
    found[2] = near2 * near_sum + far2 * far_sum;
    found[3] = near2 * near * near_gap + far2 * far * far_gap + m[5];
}

// Transform the inputs of a tile, row by row: as many rows of `out`, (M + 2) x (N + 2).
template <int M, int N>
void tile_in(const float* const* seen, float* out, Index channels) {
    NO_ALIAS for (Index c = 0; c < channels; ++c) {
        float once[N + 2][M + 2];
        UNROLL for (int v = 0; v < N + 2; ++v) {
            float column[M + 2];
            UNROLL for (int u = 0; u < M + 2; ++u) column[u] = seen[u * (N + 2) + v][c];
            turn_in(column, once[v]);
        }
        UNROLL for (int u = 0; u < M + 2; ++u) {
            float row[N + 2], twice[N + 2];
            UNROLL for (int v = 0; v < N + 2; ++v) row[v] = once[v][u];
            turn_in(row, twice);
            UNROLL for (int v = 0; v < N + 2; ++v) out[(u * (N + 2) + v) * channels + c] = twice[v];
        }
    }
}

// Transform the products of a tile back, add bias and clamp: its outputs, `step` floats from row to row.
template <int M, int N>
void tile_out(const float* products, float* out, Index step, const float* bias, Index channels, Clamp clamp) {
    NO_ALIAS for (Index c = 0; c < channels; ++c) {
        float once[N + 2][M];
        UNROLL for (int v = 0; v < N + 2; ++v) {
            float column[M + 2];
            UNROLL for (int u = 0; u < M + 2; ++u) column[u] = products[(u * (N + 2) + v) * channels + c];
            turn_out(column, once[v]);
        }
        UNROLL for (int u = 0; u < M; ++u) {
            float row[N + 2], twice[N];
            UNROLL for (int v = 0; v < N + 2; ++v) row[v] = once[v][u];
            turn_out(row, twice);
            UNROLL for (int v = 0; v < N; ++v) out[u * step + v * channels + c] = clamp(twice[v] + bias[c]);
        }
    }
}

#define SIZES(tile, M) {tile<M, 1>, tile<M, 2>, tile<M, 3>, tile<M, 4>}
constexpr decltype(&tile_in<1, 1>) TILE_IN[4][4] = {SIZES(tile_in, 1), SIZES(tile_in, 2), SIZES(tile_in, 3),
                                                    SIZES(tile_in, 4)};
constexpr decltype(&tile_out<1, 1>) TILE_OUT[4][4] = {SIZES(tile_out, 1), SIZES(tile_out, 2), SIZES(tile_out, 3),
                                                      SIZES(tile_out, 4)};
#undef SIZES

struct Tile {
    Index rows, columns;  // outputs, 1 to 4
    float* first;         // the first output
    Index step;           // floats from row to row

    // Place of a pair of points among the products, -1 for a point that the tile leaves out.
    Index place(Index u, Index v) const {
        const Index row = u == SIDE - 1 ? rows + 1 : u, column = v == SIDE - 1 ? columns + 1 : v;
        if (row > rows + (u == SIDE - 1) || column > columns + (v == SIDE - 1)) return -1;
        return row * (columns + 2) + column;
    }
};

// Multiply the transformed inputs of tiles, POINTS rows of `depth` each, by the weights of their points.
void multiply_tiles(const std::vector<Tile>& tiles, const float* values, Index depth, const float* panels,
                    Index outputs, float* products) {
    const Index packed = (outputs + PANEL - 1) / PANEL * PANEL * depth;
    const std::vector<float> nothing(outputs, 0.0f);
    const Clamp open{-std::numeric_limits<float>::infinity(), std::numeric_limits<float>::infinity()};
    std::vector<Index> rows;
    for (Index point = 0; point < POINTS; ++point) {
        rows.clear();
        for (std::size_t t = 0; t < tiles.size(); ++t) {
            const Index place = tiles[t].place(point / SIDE, point % SIDE);
            if (place >= 0) rows.push_back(t * POINTS + place);
        }
        product(rows.size(), 1, depth, panels + point * packed, outputs, nothing.data(), open,
                [&](Index row, Index) { return values + rows[row] * depth; },
                [&](Index row) { return products + rows[row] * outputs; });
    }
}

}  // namespace
