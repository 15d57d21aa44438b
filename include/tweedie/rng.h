/* Random numbers without a generator state: each is a function of (seed, purpose, position, step,
 * element), never of who draws it.
 *
 * Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC
 * 2011). A stream is named by
 *
 *   key     = the 64-bit seed
 *   counter = (element / 4; position, low 32 bits; step, low 32 bits; purpose << 24 | position >>
 * 32 << 12 | step >> 32)
 *
 * and its element e is word e % 4 of that block, so any range of any stream can be drawn by itself,
 * bitwise as in a longer draw, on any instruction set and number of threads. `position` is the
 * place in the global batch while training and the global sample index while sampling; `step` is
 * the training step, the epoch or the sampler's time index. Both are below 2^44.
 *
 *     tw_rng_stream z = {.seed = seed, .purpose = TW_RNG_NOISE, .position = i, .step = step};
 *     tw_rng_normal(noise, &z, 0, dims);
 *
 * None of these functions fails, allocates or is collective; arguments out of range are programming
 * errors. */
#ifndef TWEEDIE_RNG_H
#define TWEEDIE_RNG_H

#include <stdint.h>

/* What a number is for. The values are part of every run's reproducibility: never renumber them. At
 * most 256. */
typedef enum tw_rng_purpose {
    TW_RNG_TEST = 0, /* tests and benchmarks */
    TW_RNG_INIT = 1, /* initial parameters: position = index of the parameter, step 0 */
    TW_RNG_NOISE =
        2, /* the noise z of a training example: position in the global batch, training step */
    TW_RNG_TIME = 3,    /* its time t */
    TW_RNG_DROPOUT = 4, /* its dropout masks: drawn with tw_rng_bytes */
    TW_RNG_FLIP = 5,    /* its horizontal flip */
    TW_RNG_SHUFFLE =
        6, /* the order of the samples inside a block: position = virtual shard, step = epoch */
    TW_RNG_BLOCK_ORDER = 7, /* the order of a shard's blocks: the same */
    TW_RNG_SAMPLER_PRIOR =
        8, /* the prior draw of a sampler: position = global sample index, step 0 */
    TW_RNG_SAMPLER_NOISE = 9, /* the noise of a sampler's predictor: the same, step = time index */
    TW_RNG_CORRECTOR_NOISE = 10, /* the noise of a sampler's corrector */
    TW_RNG_PROBE = 11,           /* probe vectors of trace estimators */
    TW_RNG_DATA = 12,            /* the built-in data generators: position = index of the point */
    TW_RNG_DEQUANTISE = 13,      /* uniform dequantisation */
    TW_RNG_IMPORT_SHUFFLE =
        14,                 /* the order in which an importer stores samples: position 0, step 0 */
    TW_RNG_VALIDATION = 15, /* noise and times of the validation loss */
    TW_RNG_METRIC = 16,     /* random directions and subsets of metrics */
    TW_RNG_LABEL = 17,      /* labels drawn while sampling, label dropout while training */
    TW_RNG_BOUND = 18,      /* the noise of a variational bound's x_t: position = sample index, step
                               = repeat times the process's steps + t */
    TW_RNG_OPERATOR = 24,   /* random projections of a measurement: position = row */
    TW_RNG_MEASUREMENT = 25, /* noise of a simulated measurement: position = row */
    TW_RNG_RESTORE = 26,     /* noise of a posterior sampler beside its sampler's own: position =
                                sample index, step = name of the step */
} tw_rng_purpose;

/* The name of a sequence of numbers. */
typedef struct tw_rng_stream {
    uint64_t seed;
    tw_rng_purpose purpose;
    int64_t position; /* [0, 2^44) */
    int64_t step;     /* [0, 2^44) */
} tw_rng_stream;

/* Each fills out[0 … n) with elements first … first + n − 1 of the stream; 0 <= first, first + n <=
 * 2^34 (2^33 where an element takes two words, as said). First a multiple of 4 is fastest. */

/* 32 random bits. */
void tw_rng_u32(uint32_t *out, const tw_rng_stream *s, int64_t first, int64_t n);

/* Uniform on [0, 1): multiples of 2^-24. */
void tw_rng_uniform(float *out, const tw_rng_stream *s, int64_t first, int64_t n);

/* Uniform on (0, 1): odd multiples of 2^-24, so that a logarithm of it or of its complement is
 * finite. */
void tw_rng_uniform_open(float *out, const tw_rng_stream *s, int64_t first, int64_t n);

/* Uniform on [0, 1): multiples of 2^-53. Two words each. */
void tw_rng_uniform_double(double *out, const tw_rng_stream *s, int64_t first, int64_t n);

/* Standard normal (Box and Muller 1958), |z| <= 6.67, absolute error against the exact transform
 * below 2e-6. */
void tw_rng_normal(float *out, const tw_rng_stream *s, int64_t first, int64_t n);

/* −1 or +1. */
void tw_rng_rademacher(float *out, const tw_rng_stream *s, int64_t first, int64_t n);

/* Uniform integers of [0, limit), limit >= 1; the bias is below limit / 2^64. Two words each. */
void tw_rng_index(int64_t *out, const tw_rng_stream *s, int64_t limit, int64_t first, int64_t n);

/* Row i of out [rows][dims] is tw_rng_normal of the stream at position s->position + i, or at
 * positions[i] where positions is not NULL. Threads share the rows. */
void tw_rng_normal_rows(float *out, const tw_rng_stream *s, const int64_t *positions, int64_t rows,
                        int64_t dims);

/* Random bytes for dropout: 16 elements from each Philox block, which is counted by layer << 22 |
 * element / 16. Element e is byte e % 16 of it, in little-endian order. 0 <= layer < 1024, first +
 * n <= 2^26. First a multiple of 16 is fastest. An element is dropped where its byte is below
 * tw_rng_dropout_threshold(). A kernel that wants the numbers in registers takes them from
 * rng_block.h, which gives the same. */
void tw_rng_bytes(uint8_t *out, const tw_rng_stream *s, int layer, int64_t first, int64_t n);

/* Dropout at probability p in [0, 1] happens at k / 256, k = round(256 p), and what is kept is
 * scaled by 256 / (256 − k), so it is unbiased (p = 0.1 becomes 26 / 256 = 0.1016). @return k in 0
 * … 256 */
int tw_rng_dropout_threshold(double p);

/* A permutation of [0, n) with random access: a generalised Feistel cipher over the smallest
 * rectangle that holds n numbers, with cycle walking (Black and Rogaway, "Ciphers with arbitrary
 * finite domains", 2002). Plain data, copied freely. */
typedef struct tw_rng_permutation {
    int64_t n;
    uint32_t rows, columns;
    uint32_t keys[48];
} tw_rng_permutation;

/* The permutation of [0, n) that the stream names; 1 <= n < 2^62. */
void tw_rng_permutation_init(tw_rng_permutation *out, const tw_rng_stream *s, int64_t n);

/* Where it takes i; 0 <= i < n. About 0.3 µs, in constant memory. */
int64_t tw_rng_permute(const tw_rng_permutation *p, int64_t i);

#endif
