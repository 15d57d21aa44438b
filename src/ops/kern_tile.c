/* Tiles: read into 16 x 16 floats by rows, then written. Full tiles whose rows or columns are
 * contiguous on a side take vector loops. */
#include "ops/kern_tile.h"

#include <stdbool.h>

#include "ops/vector_turn.h"

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

/* A full tile whose rows are contiguous here and whose columns are there, or the other way. */
static inline void turn(const int64_t *from_line, const int64_t *to_line, float *restrict to,
                        const float *restrict from)
{
    for (int i = 0; i < TW_TILE; i += TW_LANES)
        for (int j = 0; j < TW_TILE; j += TW_LANES) {
            tw_vec r[TW_LANES];
#pragma GCC unroll 16
            for (int k = 0; k < TW_LANES; k++)
                r[k] = tw_vload_f32(from + from_line[i + k] + j, TW_LANES);
            tw_vturn(r);
#pragma GCC unroll 16
            for (int k = 0; k < TW_LANES; k++)
                tw_vstore_f32(to + to_line[j + k] + i, r[k], TW_LANES);
        }
}

static inline bool turns(const tw_tile *t, float *restrict to, const float *restrict from)
{
    if (t->rows < TW_TILE || t->columns < TW_TILE) return false;
    if (steps(t->from_column, 1) && steps(t->to_row, 1))
        turn(t->from_row, t->to_column, to + t->to_row[0], from + t->from_column[0]);
    else if (steps(t->from_row, 1) && steps(t->to_column, 1))
        turn(t->from_column, t->to_row, to + t->to_column[0], from + t->from_row[0]);
    else
        return false;
    return true;
}

static void to_f32(const tw_tile *t, float *restrict to, const float *restrict from)
{
    if (turns(t, to, from)) return;
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

#ifdef TW_SIMD_AVX512

/* Where the numbers of a vector of the source lie, and which of its vectors. */
typedef struct lines {
    const int64_t *from, *to, *to_across;
    int64_t first;
} lines;

/* Packed weights are read long after: their lines need not be read before they are written, nor
 * stay in cache (packing 28.8 M weights twice: 14 ms against 21). */
TW_INLINE void put(tw_bf16 *to, __m512i v)
{
    if ((uintptr_t)to % 64 == 0)
        _mm512_stream_si512((__m512i *)(void *)to, v);
    else
        memcpy(to, &v, sizeof v);
}

TW_INLINE __m512i wide(__m256i low, __m256i high)
{
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/* Pairs are of neighbouring vectors: number for number side by side. */
TW_INLINE void interleave(const lines *l, tw_bf16 *restrict to, const float *restrict from)
{
    for (int r = 0; r < TW_TILE; r += 2) {
        const float *a = from + l->from[r] + l->first, *b = from + l->from[r + 1] + l->first;
        const __m512i low = _mm512_cvtepu16_epi32(
                          (__m256i)tw_vto_bf16(tw_vload_f32(a, TW_LANES), false)),
                      high = _mm512_cvtepu16_epi32(
                          (__m256i)tw_vto_bf16(tw_vload_f32(b, TW_LANES), false));
        const __m512i pairs = _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
        put(to + l->to[r] + l->to_across[0], pairs);
    }
}

/* Pairs are of neighbours in a vector: 16 x 8 pairs are transposed, those of vectors 0 … 7 in the
 * lower halves of registers. */
TW_INLINE void transpose_pairs(const lines *l, tw_bf16 *restrict to, const float *restrict from)
{
    __m512i a[8], b[8];
    for (int r = 0; r < 8; r++) {
        const float *x = from + l->from[r] + l->first, *y = from + l->from[r + 8] + l->first;
        a[r] = wide((__m256i)tw_vto_bf16(tw_vload_f32(x, TW_LANES), false),
                    (__m256i)tw_vto_bf16(tw_vload_f32(y, TW_LANES), false));
    }
    for (int r = 0; r < 8; r += 2) {
        b[r] = _mm512_unpacklo_epi32(a[r], a[r + 1]);
        b[r + 1] = _mm512_unpackhi_epi32(a[r], a[r + 1]);
    }
    for (int r = 0; r < 8; r += 4)
        for (int k = 0; k < 2; k++) { /* columns 2k and 2k + 1 of both 128-bit lanes */
            a[r + 2 * k] = _mm512_unpacklo_epi64(b[r + k], b[r + k + 2]);
            a[r + 2 * k + 1] = _mm512_unpackhi_epi64(b[r + k], b[r + k + 2]);
        }
    const __m512i low = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13),
                  high = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
    for (int c = 0; c < 4; c++) {
        const __m512i x = _mm512_permutex2var_epi64(a[c], low, a[c + 4]),
                      y = _mm512_permutex2var_epi64(a[c], high, a[c + 4]);
        put(to + l->to[0] + l->to_across[2 * c], x);
        put(to + l->to[0] + l->to_across[2 * c + 8], y);
    }
}

/* Whole tiles between the store and what the bf16 dot products of AVX-512 and AMX read. */
TW_INLINE bool to_pairs(const tw_tile *t, tw_bf16 *restrict to, const float *restrict from)
{
    if (t->rows < TW_TILE || t->columns < TW_TILE) return false; /* the tables are as short */
    const bool columns = steps(t->from_column, 1);
    if (!columns && !steps(t->from_row, 1)) return false;
    const lines l = columns ? (lines){t->from_row, t->to_row, t->to_column, t->from_column[0]}
                            : (lines){t->from_column, t->to_column, t->to_row, t->from_row[0]};
    if (paired(l.to_across, l.to))
        interleave(&l, to, from);
    else if (paired(l.to, l.to_across))
        transpose_pairs(&l, to, from);
    else
        return false;
    return true;
}

#else

TW_INLINE bool to_pairs(const tw_tile *t, tw_bf16 *restrict to, const float *restrict from)
{
    (void)t, (void)to, (void)from;
    return false;
}

#endif

static void to_bf16(const tw_tile *t, tw_bf16 *restrict to, const float *restrict from)
{
    if (to_pairs(t, to, from)) return;
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

/* Stores past the cache are in no order with others until here. */
static void finish(void)
{
#ifdef TW_SIMD_AVX512
    _mm_sfence();
#endif
}

const tw_kern_tile TW_KERNEL(tw_kern_tile) = {to_f32, to_rounded, to_bf16, finish};
