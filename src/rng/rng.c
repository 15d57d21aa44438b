/* The ranges of rng.h over the kernels' chunks. Whole chunks are generated in place; a ragged
 * beginning or end is generated into a chunk on the stack and cut, which is why no result can
 * depend on how a range is split. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "rng/kern_rng.h"
#include "tweedie/processor.h"

static const rng_kernels *kernels(void)
{
    return TW_ISA_SELECT(rng_kernels);
}

static void check(const tw_rng_stream *s, int64_t first, int64_t n)
{
    (void)s, (void)first, (void)n;
    assert(s->position >= 0 && s->position < (int64_t)1 << 44 && s->step >= 0 &&
           s->step < (int64_t)1 << 44);
    assert((unsigned)s->purpose < 256);
    assert(first >= 0 && n >= 0 && first <= ((int64_t)1 << 34) - n);
}

/* Generates chunks of CHUNK elements of four bytes, from the block on. */
typedef void generate_chunks(void *out, tw_rng_key key, uint32_t block, int64_t chunks);

static void generate_words(void *out, tw_rng_key key, uint32_t block, int64_t chunks)
{
    kernels()->words(out, key, block, chunks);
}

static void generate_normals(void *out, tw_rng_key key, uint32_t block, int64_t chunks)
{
    kernels()->normals(out, key, block, chunks);
}

/* Elements first … first + n − 1, of four bytes each. */
static void fill(void *out, tw_rng_key key, int64_t first, int64_t n, generate_chunks *generate)
{
    union {
        uint32_t words[CHUNK];
        float normals[CHUNK];
    } part;
    unsigned char *to = out;
    const int64_t skip = first % 4;
    uint32_t block = (uint32_t)(first / 4);
    if (skip != 0 && n > 0) {
        const int64_t count = n < 4 - skip ? n : 4 - skip;
        generate(&part, key, block++, 1);
        memcpy(to, (const unsigned char *)&part + 4 * skip, 4 * (size_t)count);
        to += 4 * count;
        n -= count;
    }
    const int64_t chunks = n / CHUNK, rest = n % CHUNK;
    generate(to, key, block, chunks);
    if (rest != 0) {
        generate(&part, key, block + (uint32_t)(chunks * TW_RNG_LANES), 1);
        memcpy(to + 4 * chunks * CHUNK, &part, 4 * (size_t)rest);
    }
}

void tw_rng_u32(uint32_t *out, const tw_rng_stream *s, int64_t first, int64_t n)
{
    check(s, first, n);
    fill(out, tw_rng_key_of(s), first, n, generate_words);
}

void tw_rng_normal(float *out, const tw_rng_stream *s, int64_t first, int64_t n)
{
    check(s, first, n);
    fill(out, tw_rng_key_of(s), first, n, generate_normals);
}

/* Words, a buffer of them at a time, each turned into one element by EXPRESSION of `w`. */
#define FOR_WORDS(EXPRESSION)                                                                      \
    do {                                                                                           \
        uint32_t words[8 * CHUNK];                                                                 \
        for (int64_t i = 0; i < n; i += 8 * CHUNK) {                                               \
            const int64_t count = n - i < 8 * CHUNK ? n - i : 8 * CHUNK;                           \
            tw_rng_u32(words, s, first + i, count);                                                \
            for (int64_t j = 0; j < count; j++) {                                                  \
                const uint32_t w = words[j];                                                       \
                out[i + j] = (EXPRESSION);                                                         \
            }                                                                                      \
        }                                                                                          \
    } while (0)

/* The same with elements of 64 bits `w`, the first word low. */
#define FOR_PAIRS(EXPRESSION)                                                                      \
    do {                                                                                           \
        uint32_t words[8 * CHUNK];                                                                 \
        for (int64_t i = 0; i < n; i += 4 * CHUNK) {                                               \
            const int64_t count = n - i < 4 * CHUNK ? n - i : 4 * CHUNK;                           \
            tw_rng_u32(words, s, 2 * (first + i), 2 * count);                                      \
            for (int64_t j = 0; j < count; j++) {                                                  \
                const uint64_t w = (uint64_t)words[2 * j + 1] << 32 | words[2 * j];                \
                out[i + j] = (EXPRESSION);                                                         \
            }                                                                                      \
        }                                                                                          \
    } while (0)

void tw_rng_uniform(float *out, const tw_rng_stream *s, int64_t first, int64_t n)
{
    FOR_WORDS((float)(int32_t)(w >> 8) * 0x1p-24f);
}

void tw_rng_uniform_open(float *out, const tw_rng_stream *s, int64_t first, int64_t n)
{
    FOR_WORDS((float)(int32_t)(w >> 9 << 1 | 1) * 0x1p-24f);
}

void tw_rng_uniform_double(double *out, const tw_rng_stream *s, int64_t first, int64_t n)
{
    FOR_PAIRS((double)(int64_t)(w >> 11) * 0x1p-53);
}

void tw_rng_rademacher(float *out, const tw_rng_stream *s, int64_t first, int64_t n)
{
    FOR_WORDS(w >> 31 ? -1.0f : 1.0f);
}

/* High 64 bits of a product: the place of w / 2^64 in [0, limit). */
static uint64_t multiply_high(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 wide;
    return (uint64_t)((wide)a * b >> 64);
}

void tw_rng_index(int64_t *out, const tw_rng_stream *s, int64_t limit, int64_t first, int64_t n)
{
    assert(limit >= 1);
    FOR_PAIRS((int64_t)multiply_high(w, (uint64_t)limit));
}

void tw_rng_normal_rows(float *out, const tw_rng_stream *s, const int64_t *positions, int64_t rows,
                        int64_t dims)
{
#pragma omp parallel for schedule(static) if (rows * dims > 8192)
    for (int64_t i = 0; i < rows; i++) {
        tw_rng_stream row = *s;
        row.position = positions ? positions[i] : s->position + i;
        tw_rng_normal(out + i * dims, &row, 0, dims);
    }
}

void tw_rng_bytes(uint8_t *out, const tw_rng_stream *s, int layer, int64_t first, int64_t n)
{
    assert(layer >= 0 && layer < 1024 && first >= 0 && n >= 0 && first <= ((int64_t)1 << 26) - n);
    uint32_t words[8 * CHUNK];
    const tw_rng_key key = tw_rng_key_of(s);
    const int64_t whole = (int64_t)sizeof words;
    int64_t skip = first % 16;
    for (int64_t start = first - skip; n > 0; start += whole, skip = 0) {
        const int64_t count = n < whole - skip ? n : whole - skip;
        const int64_t chunks = (skip + count + 4 * CHUNK - 1) / (4 * CHUNK);
        kernels()->words(words, key, tw_rng_dropout_block(layer) + (uint32_t)(start / 16), chunks);
        memcpy(out, (const uint8_t *)words + skip, (size_t)count);
        out += count;
        n -= count;
    }
}

int tw_rng_dropout_threshold(double p)
{
    assert(p >= 0 && p <= 1);
    return (int)lrint(256 * p);
}
