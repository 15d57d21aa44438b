/* Random numbers: known answers, independence of how they are generated, and their distributions.
 *
 * Every statistical bound is at six or more standard deviations of the statistic, and the numbers
 * are fixed by the seed, so a failure is a fault and not bad luck. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <Random123/philox.h>

#include "rng/kern_rng.h"
#include "tweedie/memory.h"
#include "tweedie/processor.h"

static const tw_rng_stream stream = {
    .seed = 0x0123456789abcdef, .purpose = TW_RNG_TEST, .position = 7, .step = 11};

/* The known answers of Random123's kat_vectors, philox4x32 10. */
static void words_are_the_known_answers_of_philox4x32_10(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], answer[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const uint32_t *c = known[i].counter, *k = known[i].key;
        uint32_t w[4][TW_RNG_LANES];
        tw_rng_block16(w, (tw_rng_key){.k0 = k[0], .k1 = k[1], .c1 = c[1], .c2 = c[2], .c3 = c[3]},
                       c[0]);
        for (int j = 0; j < 4; j++) assert_int_equal(w[j][0], known[i].answer[j]);
    }
}

static void a_stream_is_the_counter_of_the_contract(void **state)
{
    (void)state;
    const tw_rng_stream s = {.seed = 0xfeedfacecafebeef,
                             .purpose = TW_RNG_METRIC,
                             .position = 0xabc12345678,
                             .step = 0xdef9abcdef0};
    uint32_t w[2048];
    tw_rng_u32(w, &s, 40, 2048);
    for (uint32_t e = 0; e < 2048; e++) {
        const philox4x32_ctr_t c = {{(40 + e) / 4, 0x12345678, 0x9abcdef0,
                                     (uint32_t)TW_RNG_METRIC << 24 | 0xabc << 12 | 0xdef}};
        const philox4x32_key_t k = {{0xcafebeef, 0xfeedface}};
        const philox4x32_ctr_t answer = philox4x32_R(10, c, k);
        assert_int_equal(w[e], answer.v[e % 4]);
    }
}

enum { SOME = 1000 };

/* Any range gives what the whole gives, for every kind of number. */
#define ASSERT_RANGES(type, draw)                                                                  \
    do {                                                                                           \
        type all[SOME], part[SOME];                                                                \
        memset(all, 0xa5, sizeof all);                                                             \
        {                                                                                          \
            type *const out = all;                                                                 \
            const int64_t first = 0, n = SOME;                                                     \
            draw;                                                                                  \
        }                                                                                          \
        for (int64_t first = 0; first < 140; first += 1 + first / 9)                               \
            for (int64_t n = 0; first + n <= SOME; n += 1 + n / 7) {                               \
                type *const out = part;                                                            \
                memset(part, 0x5a, sizeof part);                                                   \
                draw;                                                                              \
                assert_memory_equal(part, all + first, (size_t)n * sizeof(type));                  \
                for (size_t b = (size_t)n * sizeof(type); b < sizeof part; b++)                    \
                    assert_int_equal(((unsigned char *)part)[b], 0x5a);                            \
            }                                                                                      \
    } while (0)

static void any_range_is_a_part_of_the_whole(void **state)
{
    (void)state;
    ASSERT_RANGES(uint32_t, tw_rng_u32(out, &stream, first, n));
    ASSERT_RANGES(float, tw_rng_uniform(out, &stream, first, n));
    ASSERT_RANGES(float, tw_rng_uniform_open(out, &stream, first, n));
    ASSERT_RANGES(double, tw_rng_uniform_double(out, &stream, first, n));
    ASSERT_RANGES(float, tw_rng_normal(out, &stream, first, n));
    ASSERT_RANGES(float, tw_rng_rademacher(out, &stream, first, n));
    ASSERT_RANGES(int64_t, tw_rng_index(out, &stream, 1000003, first, n));
    ASSERT_RANGES(uint8_t, tw_rng_bytes(out, &stream, 5, first, n));
}

static void every_instruction_set_gives_the_same_bits(void **state)
{
    (void)state;
    enum { CHUNKS = 1000 };
    float *a = malloc(CHUNKS * CHUNK * sizeof *a), *b = malloc(CHUNKS * CHUNK * sizeof *b);
    uint32_t *u = malloc(CHUNKS * CHUNK * sizeof *u), *v = malloc(CHUNKS * CHUNK * sizeof *v);
    const rng_kernels *sets[2] = {NULL, NULL};
    if (tw_processor_get().isa >= TW_ISA_AVX2) sets[0] = &rng_kernels_avx2;
    if (tw_processor_get().isa >= TW_ISA_AVX512) sets[1] = &rng_kernels_avx512;
    rng_kernels_baseline.normals(a, tw_rng_key_of(&stream), 12345, CHUNKS);
    rng_kernels_baseline.words(u, tw_rng_key_of(&stream), 12345, CHUNKS);
    for (int i = 0; i < 2; i++) {
        if (!sets[i]) continue;
        sets[i]->normals(b, tw_rng_key_of(&stream), 12345, CHUNKS);
        sets[i]->words(v, tw_rng_key_of(&stream), 12345, CHUNKS);
        assert_memory_equal(a, b, CHUNKS * CHUNK * sizeof *a);
        assert_memory_equal(u, v, CHUNKS * CHUNK * sizeof *u);
    }
    free(a), free(b), free(u), free(v);
}

/* Box and Muller's transform of the same words by libm in double; the angle is quadrant · π/2 +
 * [−π/4, π/4). */
static void normals_are_the_exact_transform_to_2e6(void **state)
{
    (void)state;
    enum { N = 1 << 20 };
    float *z = malloc(N * sizeof *z);
    uint32_t *w = malloc(N * sizeof *w);
    tw_rng_normal(z, &stream, 0, N);
    tw_rng_u32(w, &stream, 0, N);
    double worst = 0;
    for (int i = 0; i < N; i += 2) {
        const double u = ((double)(w[i] >> 1) + 0.5) * 0x1p-31;
        const double angle =
            M_PI_2 * (w[i + 1] >> 30) + M_PI_4 * (double)(int32_t)(w[i + 1] << 2) * 0x1p-31;
        const double r = sqrt(-2 * log(u));
        /* Near u = 1 a float cannot hold u to better than 2^-25, which the square root amplifies:
         * count it there. */
        const double allowed = 2e-6 + (r > 0 ? fmin(0x1p-25 / r, sqrt(0x1p-24)) : 0x1p-12);
        const double e = fmax(fabs(z[i] - r * cos(angle)), fabs(z[i + 1] - r * sin(angle)));
        assert_true(e <= allowed);
        if (r > 0.1) worst = fmax(worst, e);
    }
    assert_true(worst < 2e-6);
    free(z), free(w);
}

static void extreme_words_give_finite_normals(void **state)
{
    (void)state;
    /* The kernel cannot be handed words, so its bound is checked by its own formula at the largest
     * radius. */
    enum { N = 1 << 22 };
    float *z = malloc(N * sizeof *z);
    double largest = 0;
    for (int64_t step = 0; step < 4; step++) {
        const tw_rng_stream s = {.seed = 3, .purpose = TW_RNG_TEST, .step = step};
        tw_rng_normal(z, &s, 0, N);
        for (int i = 0; i < N; i++) {
            assert_true(isfinite(z[i]));
            largest = fmax(largest, fabs(z[i]));
        }
    }
    /* Of 2^24 normals the largest is beyond 4.9 but with probability e^-16, and beyond 6.67 never.
     */
    assert_true(largest > 4.9 && largest < 6.67);
    free(z);
}

/* χ² of counts against equal cells, as a normal deviate (Wilson and Hilferty). */
static double deviate(const int64_t *count, int cells, double expected)
{
    double chi2 = 0;
    for (int i = 0; i < cells; i++)
        chi2 += ((double)count[i] - expected) * ((double)count[i] - expected) / expected;
    const double k = cells - 1, v = 2 / (9 * k);
    return (cbrt(chi2 / k) - (1 - v)) / sqrt(v);
}

static void normals_have_the_moments_and_quantiles_of_a_normal(void **state)
{
    (void)state;
    enum { N = 1 << 22, CELLS = 256 };
    float *z = malloc(N * sizeof *z);
    tw_rng_normal(z, &stream, 0, N);
    double m[5] = {0}, lag = 0, cross = 0;
    int64_t count[CELLS] = {0};
    for (int i = 0; i < N; i++) {
        double power = 1;
        for (int k = 1; k <= 4; k++) m[k] += (power *= z[i]);
        count[(int)fmin(CELLS - 1, floor(CELLS * 0.5 * erfc(-z[i] * M_SQRT1_2)))]++;
        lag += (double)z[i] * z[(i + 1) % N];
        cross += (double)(z[i] * z[i] - 1) * (z[i ^ 1] * z[i ^ 1] - 1);
    }
    const double root = sqrt((double)N);
    assert_true(fabs(m[1] / root) < 6);
    assert_true(fabs((m[2] - N) / (root * sqrt(2.0))) < 6);
    assert_true(fabs(m[3] / (root * sqrt(15.0))) < 6);
    assert_true(fabs((m[4] - 3.0 * N) / (root * sqrt(96.0))) < 6);
    assert_true(fabs(lag / root) < 6);
    assert_true(fabs(cross / (2 * root * sqrt(2.0))) < 6);
    assert_true(fabs(deviate(count, CELLS, (double)N / CELLS)) < 6);
    free(z);
}

static void uniforms_fill_their_interval_evenly(void **state)
{
    (void)state;
    enum { N = 1 << 20, CELLS = 1000 };
    float *u = malloc(N * sizeof *u), *o = malloc(N * sizeof *o);
    double *d = malloc(N * sizeof *d);
    int64_t count[3][CELLS] = {{0}};
    tw_rng_uniform(u, &stream, 0, N);
    tw_rng_uniform_open(o, &stream, 0, N);
    tw_rng_uniform_double(d, &stream, 0, N);
    for (int i = 0; i < N; i++) {
        assert_true(u[i] >= 0 && u[i] < 1 && o[i] > 0 && o[i] < 1 && d[i] >= 0 && d[i] < 1);
        count[0][(int)((double)u[i] * CELLS)]++;
        count[1][(int)((double)o[i] * CELLS)]++;
        count[2][(int)(d[i] * CELLS)]++;
    }
    for (int k = 0; k < 3; k++) assert_true(fabs(deviate(count[k], CELLS, (double)N / CELLS)) < 6);
    free(u), free(o), free(d);
}

static void uniforms_are_the_stated_multiples_of_their_words(void **state)
{
    (void)state;
    enum { N = 4096 };
    static uint32_t w[2 * N];
    static float u[N], o[N];
    static double d[N];
    tw_rng_u32(w, &stream, 0, 2 * N);
    tw_rng_uniform(u, &stream, 0, N);
    tw_rng_uniform_open(o, &stream, 0, N);
    tw_rng_uniform_double(d, &stream, 0, N);
    for (int i = 0; i < N; i++) {
        assert_true(u[i] == ldexp(w[i] / 256, -24));
        assert_true(o[i] == ldexp(w[i] / 512 * 2 + 1, -24)); /* odd: neither 0 nor 1 */
        assert_true(d[i] == ldexp((double)(((uint64_t)w[2 * i + 1] << 32 | w[2 * i]) >> 11), -53));
    }
}

static void indices_signs_and_bytes_are_even(void **state)
{
    (void)state;
    enum { N = 1 << 20, LIMIT = 77 };
    int64_t *index = malloc(N * sizeof *index), count[256] = {0};
    float *sign = malloc(N * sizeof *sign);
    uint8_t *byte = malloc(N);
    tw_rng_index(index, &stream, LIMIT, 0, N);
    for (int i = 0; i < N; i++) {
        assert_true(index[i] >= 0 && index[i] < LIMIT);
        count[index[i]]++;
    }
    assert_true(fabs(deviate(count, LIMIT, (double)N / LIMIT)) < 6);
    tw_rng_rademacher(sign, &stream, 0, N);
    double sum = 0;
    for (int i = 0; i < N; i++) {
        assert_true(fabsf(sign[i]) == 1.0f);
        sum += sign[i];
    }
    assert_true(fabs(sum) < 6 * sqrt((double)N));
    memset(count, 0, sizeof count);
    tw_rng_bytes(byte, &stream, 1, 0, N);
    for (int i = 0; i < N; i++) count[byte[i]]++;
    assert_true(fabs(deviate(count, 256, (double)N / 256)) < 6);
    tw_rng_index(index, &stream, 1, 0, 10);
    for (int i = 0; i < 10; i++) assert_int_equal(index[i], 0);
    free(index), free(sign), free(byte);
}

static void each_part_of_the_name_makes_another_stream(void **state)
{
    (void)state;
    const tw_rng_stream others[] = {
        stream,
        {.seed = stream.seed + 1,
         .purpose = stream.purpose,
         .position = stream.position,
         .step = stream.step},
        {.seed = stream.seed ^ (uint64_t)1 << 63,
         .purpose = stream.purpose,
         .position = stream.position,
         .step = stream.step},
        {.seed = stream.seed,
         .purpose = TW_RNG_NOISE,
         .position = stream.position,
         .step = stream.step},
        {.seed = stream.seed,
         .purpose = stream.purpose,
         .position = stream.position + 1,
         .step = stream.step},
        {.seed = stream.seed,
         .purpose = stream.purpose,
         .position = stream.position + ((int64_t)1 << 43),
         .step = stream.step},
        {.seed = stream.seed,
         .purpose = stream.purpose,
         .position = stream.position,
         .step = stream.step + 1},
        {.seed = stream.seed,
         .purpose = stream.purpose,
         .position = stream.position,
         .step = stream.step + ((int64_t)1 << 43)},
        {.seed = stream.seed,
         .purpose = stream.purpose,
         .position = stream.step,
         .step = stream.position},
    };
    enum { N = 4096, STREAMS = sizeof others / sizeof *others };
    static float z[STREAMS][N];
    for (int i = 0; i < STREAMS; i++) tw_rng_normal(z[i], &others[i], 0, N);
    for (int i = 0; i < STREAMS; i++)
        for (int j = 0; j < i; j++) {
            double correlation = 0;
            for (int k = 0; k < N; k++) correlation += (double)z[i][k] * z[j][k];
            assert_true(fabs(correlation) < 6 * sqrt((double)N));
        }
}

static void rows_are_the_streams_of_their_positions(void **state)
{
    (void)state;
    enum { ROWS = 9, DIMS = 1031 };
    static float all[ROWS][DIMS], one[DIMS];
    int64_t positions[ROWS];
    tw_rng_normal_rows(&all[0][0], &stream, NULL, ROWS, DIMS);
    for (int i = 0; i < ROWS; i++) {
        tw_rng_stream s = stream;
        s.position += i;
        positions[i] = s.position;
        tw_rng_normal(one, &s, 0, DIMS);
        assert_memory_equal(one, all[i], sizeof one);
    }
    static float named[ROWS][DIMS];
    tw_rng_normal_rows(&named[0][0], &stream, positions, ROWS, DIMS);
    assert_memory_equal(named, all, sizeof all);
}

static void dropout_bytes_in_registers_are_those_in_memory(void **state)
{
    (void)state;
    uint8_t memory[1024], registers[256];
    tw_rng_bytes(memory, &stream, 1023, 4096, sizeof memory);
    for (uint32_t i = 0; i < 4; i++) {
        tw_rng_dropout256(registers, tw_rng_key_of(&stream), 1023, 4096 / 16 + 16 * i);
        assert_memory_equal(registers, memory + 256 * i, 256);
    }
    uint8_t other[1024];
    tw_rng_bytes(other, &stream, 1022, 4096, sizeof other);
    assert_memory_not_equal(other, memory, sizeof memory);
    assert_int_equal(tw_rng_dropout_threshold(0), 0);
    assert_int_equal(tw_rng_dropout_threshold(0.1), 26);
    assert_int_equal(tw_rng_dropout_threshold(0.5), 128);
    assert_int_equal(tw_rng_dropout_threshold(1), 256);
}

static void permutations_are_permutations_of_any_size(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1,  2,  3,  4,  5,  6,  7,  8,   9,   10,  11,  12,    13,
                                    15, 16, 17, 24, 25, 26, 99, 100, 101, 255, 257, 60000, 100003};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        const int64_t n = sizes[k];
        uint8_t *seen = calloc((size_t)n, 1);
        tw_rng_permutation p;
        tw_rng_permutation_init(&p, &stream, n);
        for (int64_t i = 0; i < n; i++) {
            const int64_t j = tw_rng_permute(&p, i);
            assert_true(j >= 0 && j < n && !seen[j]);
            seen[j] = 1;
        }
        free(seen);
    }
    tw_rng_permutation p;
    const int64_t huge = ((int64_t)1 << 62) - 1;
    tw_rng_permutation_init(&p, &stream, huge);
    for (int64_t i = 0; i < 100; i++) {
        const int64_t j = tw_rng_permute(&p, huge - 1 - i);
        assert_true(j >= 0 && j < huge);
    }
}

/* The rank of an order among the n! orders (Lehmer's code). */
static int rank_of(const int *order, int n)
{
    int rank = 0;
    for (int i = 0; i < n; i++) {
        int smaller = 0;
        for (int j = i + 1; j < n; j++) smaller += order[j] < order[i];
        rank = rank * (n - i) + smaller;
    }
    return rank;
}

static void every_order_of_few_things_is_equally_likely(void **state)
{
    (void)state;
    static const int factorial[] = {1, 1, 2, 6, 24, 120, 720};
    for (int n = 2; n <= 6; n++) {
        enum { DRAWS = 400000 };
        int64_t count[720] = {0};
        for (int64_t epoch = 0; epoch < DRAWS; epoch++) {
            const tw_rng_stream s = {
                .seed = 99, .purpose = TW_RNG_SHUFFLE, .position = n, .step = epoch};
            tw_rng_permutation p;
            int order[6];
            tw_rng_permutation_init(&p, &s, n);
            for (int i = 0; i < n; i++) order[i] = (int)tw_rng_permute(&p, i);
            count[rank_of(order, n)]++;
        }
        const double d = deviate(count, factorial[n], (double)DRAWS / factorial[n]);
        if (fabs(d) >= 6) print_error("n = %d: %g standard deviations\n", n, d);
        assert_true(fabs(d) < 6);
    }
}

static void a_large_permutation_moves_neighbours_apart_and_anywhere(void **state)
{
    (void)state;
    enum { N = 60000, CELLS = 40 };
    tw_rng_permutation p;
    tw_rng_permutation_init(&p, &stream, N);
    int64_t joint[CELLS * CELLS] = {0}, steps[CELLS] = {0};
    for (int64_t i = 0; i < N; i++) {
        const int64_t j = tw_rng_permute(&p, i), next = tw_rng_permute(&p, (i + 1) % N);
        joint[i * CELLS / N * CELLS + j * CELLS / N]++;
        steps[(next - j + N) % N * CELLS / N]++;
    }
    /* A permutation has slightly less spread than independent samples; it can only err to the low
     * side of χ². */
    assert_true(fabs(deviate(joint, CELLS * CELLS, (double)N / (CELLS * CELLS))) < 6);
    assert_true(fabs(deviate(steps, CELLS, (double)N / CELLS)) < 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_the_known_answers_of_philox4x32_10),
        cmocka_unit_test(a_stream_is_the_counter_of_the_contract),
        cmocka_unit_test(any_range_is_a_part_of_the_whole),
        cmocka_unit_test(every_instruction_set_gives_the_same_bits),
        cmocka_unit_test(normals_are_the_exact_transform_to_2e6),
        cmocka_unit_test(extreme_words_give_finite_normals),
        cmocka_unit_test(normals_have_the_moments_and_quantiles_of_a_normal),
        cmocka_unit_test(uniforms_fill_their_interval_evenly),
        cmocka_unit_test(uniforms_are_the_stated_multiples_of_their_words),
        cmocka_unit_test(indices_signs_and_bytes_are_even),
        cmocka_unit_test(each_part_of_the_name_makes_another_stream),
        cmocka_unit_test(rows_are_the_streams_of_their_positions),
        cmocka_unit_test(dropout_bytes_in_registers_are_those_in_memory),
        cmocka_unit_test(permutations_are_permutations_of_any_size),
        cmocka_unit_test(every_order_of_few_things_is_equally_likely),
        cmocka_unit_test(a_large_permutation_moves_neighbours_apart_and_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
