/* A keyed permutation of [0, n) with random access.
 *
 * Black and Rogaway 2002, "generalised Feistel" and "cycle walking": i = column + columns · row
 * lies in a rectangle of at least n cells. Each round rotates all cells of a row by an amount
 * hashed from the row, the next all cells of a column by one hashed from the column: both are
 * permutations of the rectangle. A result outside [0, n) is permuted again, which ends since the
 * cycle that began inside returns there. columns = ⌈√n⌉ and rows = ⌈n / columns⌉ leave less than
 * one row over, so walking is rare. */
#include <assert.h>
#include <math.h>

#include "tweedie/rng.h"

enum {
    ROUNDS = 24
}; /* of two key words each; at 16 the 120 orders of 5 things and the 720 of 6 are still measurably
      unequal */

void tw_rng_permutation_init(tw_rng_permutation *out, const tw_rng_stream *s, int64_t n)
{
    assert(n >= 1 && n < (int64_t)1 << 62);
    uint64_t columns = (uint64_t)sqrt((double)n) + 1; /* a double may round the root */
    while (columns > 1 && (columns - 1) * (columns - 1) >= (uint64_t)n) columns--;
    out->n = n;
    out->columns = (uint32_t)columns;
    out->rows = (uint32_t)(((uint64_t)n + columns - 1) / columns);
    tw_rng_u32(out->keys, s, 0, 2 * ROUNDS);
}

/* A number of [0, limit) from a row or column: two keyed rounds of MurmurHash3's finaliser. */
static uint32_t amount(uint32_t x, const uint32_t key[2], uint32_t limit)
{
    x = (x ^ key[0]) * 0x85ebca6bu;
    x = (x ^ x >> 15) * 0xc2b2ae35u;
    x = (x ^ x >> 13) + key[1];
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    x ^= x >> 16;
    return (uint32_t)((uint64_t)x * limit >> 32);
}

static uint64_t permute_rectangle(const tw_rng_permutation *p, uint64_t i)
{
    uint64_t row = i / p->columns, column = i % p->columns;
    for (int k = 0; k < ROUNDS; k += 2) {
        column += amount((uint32_t)row, p->keys + 2 * k, p->columns);
        if (column >= p->columns) column -= p->columns;
        row += amount((uint32_t)column, p->keys + 2 * k + 2, p->rows);
        if (row >= p->rows) row -= p->rows;
    }
    return row * p->columns + column;
}

int64_t tw_rng_permute(const tw_rng_permutation *p, int64_t i)
{
    assert(i >= 0 && i < p->n);
    uint64_t x = (uint64_t)i;
    do x = permute_rectangle(p, x);
    while (x >= (uint64_t)p->n);
    return (int64_t)x;
}
