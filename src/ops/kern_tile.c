/* Tiles: read into 16 x 16 floats by rows, then written. Full tiles whose rows or columns are
 * contiguous on a side take vector loops. */
#include "ops/kern_tile.h"

#include <stdbool.h>

static inline bool steps(const int64_t *offset, int64_t step)
{
    return offset[TW_TILE - 1] - offset[0] == step * (TW_TILE - 1) && offset[1] - offset[0] == step;
}

/* tile[row][column] */
static inline void load(const tw_tile *t, float tile[TW_TILE][TW_TILE], const float *restrict from)
{
    const bool full = t->rows == TW_TILE && t->columns == TW_TILE;
    if (full && steps(t->from_column, 1)) {
        for (int r = 0; r < TW_TILE; r++)
            memcpy(tile[r], from + t->from_row[r] + t->from_column[0], TW_TILE * sizeof(float));
        return;
    }
    if (full && steps(t->from_row, 1)) { /* columns are contiguous: transpose */
        for (int c = 0; c < TW_TILE; c++) {
            const float *column = from + t->from_row[0] + t->from_column[c];
            for (int r = 0; r < TW_TILE; r++) tile[r][c] = column[r];
        }
        return;
    }
    for (int64_t r = 0; r < t->rows; r++)
        for (int64_t c = 0; c < t->columns; c++)
            tile[r][c] = from[t->from_row[r] + t->from_column[c]];
}

static inline void transpose(float out[TW_TILE][TW_TILE], float in[TW_TILE][TW_TILE])
{
    for (int r = 0; r < TW_TILE; r++)
        for (int c = 0; c < TW_TILE; c++) out[c][r] = in[r][c];
}

static inline void store_f32(const tw_tile *t, float *restrict to, float tile[TW_TILE][TW_TILE])
{
    float turned[TW_TILE][TW_TILE];
    const bool full = t->rows == TW_TILE && t->columns == TW_TILE;
    if (full && steps(t->to_column, 1)) {
        for (int r = 0; r < TW_TILE; r++)
            memcpy(to + t->to_row[r] + t->to_column[0], tile[r], sizeof tile[r]);
    } else if (full && steps(t->to_row, 1)) {
        transpose(turned, tile);
        for (int c = 0; c < TW_TILE; c++)
            memcpy(to + t->to_row[0] + t->to_column[c], turned[c], sizeof turned[c]);
    } else {
        for (int64_t r = 0; r < t->rows; r++)
            for (int64_t c = 0; c < t->columns; c++)
                to[t->to_row[r] + t->to_column[c]] = tile[r][c];
    }
}

static void to_f32(const tw_tile *t, float *restrict to, const float *restrict from)
{
    float tile[TW_TILE][TW_TILE];
    load(t, tile, from);
    store_f32(t, to, tile);
}

static void to_rounded(const tw_tile *t, float *restrict to, const float *restrict from)
{
    float tile[TW_TILE][TW_TILE];
    load(t, tile, from);
    for (int64_t r = 0; r < t->rows; r++)
        for (int64_t c = 0; c < t->columns; c++) tile[r][c] = tw_from_bf16(tw_to_bf16(tile[r][c]));
    store_f32(t, to, tile);
}

/* Two rows of 16 become 16 pairs: what the bf16 dot products of AVX-512 and AMX read. */
static inline void store_pair(tw_bf16 *restrict to, const float *restrict a,
                              const float *restrict b)
{
    uint32_t pair[TW_TILE];
    for (int c = 0; c < TW_TILE; c++)
        pair[c] = (uint32_t)tw_to_bf16(a[c]) | (uint32_t)tw_to_bf16(b[c]) << 16;
    memcpy(to, pair, sizeof pair);
}

static inline bool paired(const int64_t *along, const int64_t *across)
{
    if (!steps(along, 2)) return false;
    for (int r = 0; r < TW_TILE; r += 2)
        if (across[r + 1] != across[r] + 1) return false;
    return true;
}

static void to_bf16(const tw_tile *t, tw_bf16 *restrict to, const float *restrict from)
{
    float tile[TW_TILE][TW_TILE], turned[TW_TILE][TW_TILE];
    const bool full = t->rows == TW_TILE && t->columns == TW_TILE;
    load(t, tile, from);
    if (full && paired(t->to_column, t->to_row)) {
        for (int r = 0; r < TW_TILE; r += 2)
            store_pair(to + t->to_row[r] + t->to_column[0], tile[r], tile[r + 1]);
    } else if (full && paired(t->to_row, t->to_column)) {
        transpose(turned, tile);
        for (int c = 0; c < TW_TILE; c += 2)
            store_pair(to + t->to_row[0] + t->to_column[c], turned[c], turned[c + 1]);
    } else {
        for (int64_t r = 0; r < t->rows; r++)
            for (int64_t c = 0; c < t->columns; c++)
                to[t->to_row[r] + t->to_column[c]] = tw_to_bf16(tile[r][c]);
    }
}

const tw_kern_tile TW_KERNEL(tw_kern_tile) = {to_f32, to_rounded, to_bf16};
