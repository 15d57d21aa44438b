/* Optimisers, EMA, norms and learning rates against hand-worked numbers and a reference in double.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <omp.h>

#include "optim/kern_optim.h"
#include "tweedie/memory.h"
#include "tweedie/optim.h"
#include "tweedie/processor.h"

static void close_to(double met, double wanted, double tolerance)
{
    if (!(fabs(met - wanted) <= tolerance))
        fail_msg("met %.17g, wanted %.17g within %g", met, wanted, tolerance);
}

/* A number of [−1, 1) that depends on i and kind, by splitmix64: what the arrays are filled with.
 */
static float number(int64_t i, int64_t kind)
{
    uint64_t x = (uint64_t)i * 0x9e3779b97f4a7c15u + (uint64_t)kind * 0xd1b54a32d192ed03u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return (float)((double)((x ^ x >> 31) >> 11) * 0x1p-52 - 1);
}

static void adam_update_ema(const tw_adam *adam, int64_t k, double learning_rate, double scale,
                            int64_t n, float *theta, float *m, float *v, const float *gradient,
                            int rates, const double *decay, float *const *ema)
{
    tw_update u = {.k = k,
                   .learning_rate = learning_rate,
                   .gradient_scale = scale,
                   .n = n,
                   .theta = theta,
                   .gradient = gradient,
                   .array = {m, v},
                   .rates = rates};
    for (int r = 0; r < rates; r++) u.decay[r] = decay[r], u.ema[r] = ema[r];
    tw_adam_update(adam, &u);
}

static void adam_update(const tw_adam *adam, int64_t k, double learning_rate, double scale,
                        int64_t n, float *theta, float *m, float *v, const float *gradient)
{
    adam_update_ema(adam, k, learning_rate, scale, n, theta, m, v, gradient, 0, NULL, NULL);
}

/* θ = 1, gradients 0.5, −0.25, lr 0.1. Step 1: m̂ = 0.5, v̂ = 0.25, so θ falls by 0.1 · 0.5 / (0.5 +
 * 1e-8). Step 2: m = 0.045 − 0.025 = 0.02, m̂ = 0.02 / 0.19; v = 2.4975e-4 + 6.25e-5 = 3.1225e-4, v̂
 * = 3.1225e-4 / 1.999e-3. */
static void the_first_steps_are_those_worked_by_hand(void **state)
{
    (void)state;
    const tw_adam adam = TW_ADAM_DEFAULTS;
    float theta = 1, m = 0, v = 0, g = 0.5f;
    adam_update(&adam, 1, 0.1, 1.0, 1, &theta, &m, &v, &g);
    close_to(theta, 0.9, 1e-7);
    close_to(m, 0.05, 1e-8);
    close_to(v, 2.5e-4, 1e-10);
    g = -0.25f;
    adam_update(&adam, 2, 0.1, 1.0, 1, &theta, &m, &v, &g);
    close_to(m, 0.02, 1e-8);
    close_to(v, 3.1225e-4, 1e-10);
    close_to(theta, 0.9 - 0.1 * (0.02 / 0.19) / sqrt(3.1225e-4 / 1.999e-3), 1e-6);
}

/* ε stands beside the corrected root (PyTorch), not inside it nor beside the raw one: with a
 * gradient as small as ε the step is halved. */
static void epsilon_is_added_to_the_corrected_root(void **state)
{
    (void)state;
    const tw_adam adam = {.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-3};
    float theta = 0, m = 0, v = 0;
    const float g = 1e-3f;
    adam_update(&adam, 1, 1.0, 1.0, 1, &theta, &m, &v, &g);
    close_to(theta, -0.5, 1e-6);
}

static void weight_decay_is_decoupled_from_the_gradient(void **state)
{
    (void)state;
    const tw_adam adam = {.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .weight_decay = 0.5};
    float theta = 2, m = 0, v = 0;
    const float g = 0;
    adam_update(&adam, 1, 0.1, 1.0, 1, &theta, &m, &v, &g);
    close_to(theta, 2 * (1 - 0.05), 1e-7);
    assert_true(m == 0 && v == 0);
}

enum { N = 70001 };

static void twenty_steps_follow_a_reference_in_double(void **state)
{
    (void)state;
    const tw_adam adam = {.beta1 = 0.9, .beta2 = 0.99, .epsilon = 1e-8, .weight_decay = 0.01};
    float *theta, *m, *v, *g;
    double *reference;
    assert_int_equal(tw_alloc(&theta, N, sizeof *theta, "theta"), TW_OK);
    assert_int_equal(tw_alloc(&m, N, sizeof *m, "m"), TW_OK);
    assert_int_equal(tw_alloc(&v, N, sizeof *v, "v"), TW_OK);
    assert_int_equal(tw_alloc(&g, N, sizeof *g, "g"), TW_OK);
    assert_int_equal(tw_alloc(&reference, 3 * (int64_t)N, sizeof *reference, "reference"), TW_OK);
    double *const rm = reference + N, *const rv = reference + 2 * (int64_t)N;
    for (int i = 0; i < N; i++) reference[i] = theta[i] = number(i, 0);
    for (int k = 1; k <= 20; k++) {
        for (int i = 0; i < N; i++) {
            g[i] = number(i, k);
            const double x = 0.25 * g[i];
            rm[i] = 0.9 * rm[i] + 0.1 * x;
            rv[i] = 0.99 * rv[i] + 0.01 * x * x;
            reference[i] *= 1 - 1e-3 * 0.01;
            reference[i] -=
                1e-3 * (rm[i] / (1 - pow(0.9, k))) / (sqrt(rv[i] / (1 - pow(0.99, k))) + 1e-8);
        }
        adam_update(&adam, k, 1e-3, 0.25, N, theta, m, v, g);
    }
    /* Each step rounds θ, near 1, by 6e-8 at most, and itself by a few 1e-7 of 1e-3. */
    for (int i = 0; i < N; i++) close_to(theta[i], reference[i], 20 * 8e-8);
    tw_free(&theta), tw_free(&m), tw_free(&v), tw_free(&g), tw_free(&reference);
}

/* All that an update leaves behind: θ, m, v and two EMA. */
enum { ARRAYS = 5 };

static float *run_fused(int threads, int64_t n)
{
    const tw_adam adam = TW_ADAM_DEFAULTS;
    float *all, *g;
    assert_int_equal(tw_alloc(&all, ARRAYS * n, sizeof *all, "arrays"), TW_OK);
    assert_int_equal(tw_alloc(&g, n, sizeof *g, "gradient"), TW_OK);
    for (int64_t i = 0; i < n; i++) all[i] = all[3 * n + i] = all[4 * n + i] = number(i, 0);
    omp_set_num_threads(threads);
    for (int k = 1; k <= 3; k++) {
        for (int64_t i = 0; i < n; i++) g[i] = number(i, k);
        adam_update_ema(&adam, k, 1e-2, 1.0, n, all, all + n, all + 2 * n, g, 2,
                        (const double[]){0.9, 0.999}, (float *const[]){all + 3 * n, all + 4 * n});
    }
    omp_set_num_threads(2);
    tw_free(&g);
    return all;
}

static void results_are_the_same_bits_at_any_number_of_threads(void **state)
{
    (void)state;
    float *one = run_fused(1, N);
    for (int threads = 2; threads <= 5; threads++) {
        float *many = run_fused(threads, N);
        assert_memory_equal(one, many, ARRAYS * N * sizeof *one);
        tw_free(&many);
    }
    const double sum = tw_optim_sum_squares(one, N);
    for (int threads = 1; threads <= 5; threads++) {
        omp_set_num_threads(threads);
        const double again = tw_optim_sum_squares(one, N);
        assert_memory_equal(&sum, &again, sizeof sum);
    }
    omp_set_num_threads(2);
    tw_free(&one);
}

typedef struct pieces {
    const tw_update *u;
    int told[100];
    float first[100]; /* the piece's first parameter when it was told */
} pieces;

static void note_piece(void *self, int64_t piece)
{
    pieces *p = self;
    p->told[piece]++;
    p->first[piece] = p->u->theta[p->u->pieces[piece].at];
}

/* Pieces of 1 to 6000 elements and gaps between them; gaps stay as they were. */
static void an_update_in_pieces_has_the_bits_of_a_whole_one(void **state)
{
    (void)state;
    enum { SIZE = 90000, COUNT = 40 };
    static float whole[4][SIZE], cut[4][SIZE], before[4][SIZE], g[SIZE];
    static tw_update_piece list[COUNT];
    static bool covered[SIZE];
    const tw_adam adam = TW_ADAM_DEFAULTS;
    pieces p = {0};
    int64_t at = 0;
    for (int k = 0; k < COUNT; k++) {
        list[k] = (tw_update_piece){at + k * 7 % 5, 1 + k * k * 997 % 3000 * (k % 3)};
        at = list[k].at + list[k].count;
        for (int64_t i = list[k].at; i < at; i++) covered[i] = true;
    }
    assert_true(at <= SIZE);
    for (int i = 0; i < SIZE; i++) {
        for (int a = 0; a < 4; a++) whole[a][i] = cut[a][i] = before[a][i] = fabsf(number(i, a));
        g[i] = number(i, 9);
    }
    for (int way = 0; way < 2; way++) {
        float(*x)[SIZE] = way ? cut : whole;
        const tw_update u = {.k = 3,
                             .learning_rate = 0.1,
                             .gradient_scale = 0.5,
                             .n = SIZE,
                             .theta = x[0],
                             .gradient = g,
                             .array = {x[1], x[2]},
                             .rates = 1,
                             .decay = {0.9},
                             .ema = {x[3]},
                             .pieces = way ? list : NULL,
                             .piece_count = COUNT,
                             .updated = note_piece,
                             .self = &p};
        p.u = &u;
        tw_adam_update(&adam, &u);
        assert_int_equal(p.told[0], way);
    }
    for (int a = 0; a < 4; a++)
        for (int i = 0; i < SIZE; i++)
            if (cut[a][i] != (covered[i] ? whole : before)[a][i])
                fail_msg("array %d, element %d: %.9g", a, i, (double)cut[a][i]);
    for (int k = 0; k < COUNT; k++) {
        assert_int_equal(p.told[k], 1);
        assert_true(p.first[k] == whole[0][list[k].at]);
    }
}

/* The same arithmetic in a pass of its own. */
static void ema_update(int64_t n, float *ema, const float *theta, double decay)
{
    const float rate = (float)(1 - decay);
    for (int64_t i = 0; i < n; i++) ema[i] += rate * (theta[i] - ema[i]);
}

static void a_fused_ema_is_a_separate_ema_bitwise(void **state)
{
    (void)state;
    const tw_adam adam = TW_ADAM_DEFAULTS;
    float *fused = run_fused(2, N), *all, *g;
    assert_int_equal(tw_alloc(&all, ARRAYS * (int64_t)N, sizeof *all, "arrays"), TW_OK);
    assert_int_equal(tw_alloc(&g, N, sizeof *g, "gradient"), TW_OK);
    for (int i = 0; i < N; i++) all[i] = all[3 * N + i] = all[4 * N + i] = number(i, 0);
    for (int k = 1; k <= 3; k++) {
        for (int i = 0; i < N; i++) g[i] = number(i, k);
        adam_update(&adam, k, 1e-2, 1.0, N, all, all + N, all + 2 * N, g);
        ema_update(N, all + 3 * N, all, 0.9);
        ema_update(N, all + 4 * N, all, 0.999);
    }
    assert_memory_equal(all, fused, ARRAYS * N * sizeof *all);
    tw_free(&fused), tw_free(&all), tw_free(&g);
}

/* ---- every optimiser ---- */

typedef struct chosen {
    const tw_optimizer *o;
    tw_choice choice;
    tw_config *config;
} chosen;

static chosen choose(const char *name, int count, const char *const *assignments)
{
    chosen c = {0};
    const tw_choice_rule rule = {"optimizer",        "kind",       "adam", "",
                                 tw_optimizer_kinds, .fixed = true};
    if (tw_choice_make(&c.choice, &rule, name, count, assignments, &c.config) != TW_OK)
        fail_msg("%s", tw_error_message());
    c.o = (const tw_optimizer *)c.choice.kind;
    return c;
}

static void release(chosen *c)
{
    tw_choice_free(&c->choice);
    tw_config_destroy(&c->config);
}

/* Three updates, in `parts` ranges, as ranks cut them. @return θ, the arrays and one EMA, [6 n] */
static float *run_optimizer(const chosen *c, int threads, int64_t parts, int64_t n)
{
    enum { EMA = 1 + TW_OPTIMIZER_ARRAYS };
    const int arrays = tw_optimizer_array_count(c->o);
    float *all, *g;
    assert_int_equal(tw_alloc(&all, (EMA + 1) * n, sizeof *all, "arrays"), TW_OK);
    assert_int_equal(tw_alloc(&g, n, sizeof *g, "gradient"), TW_OK);
    for (int64_t i = 0; i < n; i++) all[i] = all[EMA * n + i] = number(i, 0);
    omp_set_num_threads(threads);
    for (int k = 1; k <= 3; k++) {
        for (int64_t i = 0; i < n; i++) g[i] = number(i, k);
        for (int64_t part = 0; part < parts; part++) {
            const int64_t first = part * n / parts, end = (part + 1) * n / parts;
            tw_update u = {.k = k,
                           .learning_rate = 1e-2,
                           .gradient_scale = 0.5,
                           .n = end - first,
                           .theta = all + first,
                           .gradient = g + first,
                           .rates = 1,
                           .decay = {0.9},
                           .ema = {all + EMA * n + first}};
            for (int a = 0; a < arrays; a++) u.array[a] = all + (1 + a) * n + first;
            c->o->update(c->choice.config, &u);
        }
    }
    omp_set_num_threads(2);
    tw_free(&g);
    return all;
}

static void every_optimiser_is_elementwise_names_its_arrays_and_descends(void **state)
{
    (void)state;
    enum { SIZE = 6007 };
    assert_true(tw_optimizer_kinds.count >= 3);
    for (int k = 0; k < tw_optimizer_kinds.count; k++) {
        chosen c = choose(tw_optimizer_kinds.table[k]->name, 0, NULL);
        float *one = run_optimizer(&c, 1, 1, SIZE);
        for (int parts = 2; parts <= 5; parts++) {
            float *many = run_optimizer(&c, parts, parts, SIZE);
            assert_memory_equal(one, many, (2 + TW_OPTIMIZER_ARRAYS) * SIZE * sizeof *one);
            tw_free(&many);
        }
        const int arrays = tw_optimizer_array_count(c.o);
        assert_true(arrays <= TW_OPTIMIZER_ARRAYS && c.o->largest > 1 && c.o->limits);
        for (int a = 0; a < arrays; a++) {
            const char *slash = strchr(c.o->arrays[a], '/');
            assert_true(slash && slash > c.o->arrays[a] && slash[1]);
            assert_true(strncmp(c.o->arrays[a], "ema/", 4) != 0);
        }
        tw_free(&one);

        /* θ of ½ θ² comes near its minimum */
        float theta = 1, gradient, array[TW_OPTIMIZER_ARRAYS] = {0};
        tw_update u = {.learning_rate = 0.01,
                       .gradient_scale = 1,
                       .n = 1,
                       .theta = &theta,
                       .gradient = &gradient};
        for (int a = 0; a < arrays; a++) u.array[a] = &array[a];
        for (u.k = 1; u.k <= 2000; u.k++) {
            gradient = theta;
            c.o->update(c.choice.config, &u);
        }
        if (!(fabsf(theta) < 0.02f)) fail_msg("%s: %g", c.o->kind.name, (double)theta);
        release(&c);
    }
}

static void sgd_follows_a_reference_in_double(void **state)
{
    (void)state;
    for (int nesterov = 0; nesterov < 2; nesterov++) {
        chosen c = choose("sgd", 3,
                          (const char *const[]){"momentum=0.8", "weight_decay=0.1",
                                                nesterov ? "nesterov=yes" : "nesterov=no"});
        float *all = run_optimizer(&c, 2, 1, N);
        for (int i = 0; i < N; i++) {
            double theta = number(i, 0), b = 0;
            for (int k = 1; k <= 3; k++) {
                const double g = 0.5 * number(i, k) + 0.1 * theta;
                b = 0.8 * b + g;
                theta -= 1e-2 * (nesterov ? g + 0.8 * b : b);
            }
            close_to(all[i], theta, 3 * 8e-8);
            close_to(all[N + i], b, 1e-6);
        }
        tw_free(&all);
        release(&c);
    }
}

static void adamw_is_adam_with_decoupled_weight_decay(void **state)
{
    (void)state;
    chosen adam = choose("adam", 0, NULL),
           none = choose("adamw", 1, (const char *const[]){"weight_decay=0"}),
           some = choose("adamw", 1, (const char *const[]){"weight_decay=0.5"});
    float *a = run_optimizer(&adam, 2, 1, N), *b = run_optimizer(&none, 2, 1, N),
          *d = run_optimizer(&some, 2, 1, N);
    assert_memory_equal(a, b, 3 * N * sizeof *a);
    assert_memory_equal(a + N, d + N, 2 * N * sizeof *a); /* the moments do not see it */
    assert_true(fabsf(d[1]) < fabsf(a[1]));
    tw_free(&a), tw_free(&b), tw_free(&d);
    release(&adam), release(&none), release(&some);
}

static void every_instruction_set_gives_the_same_bits(void **state)
{
    (void)state;
    const optim_kernels *sets[3] = {&optim_kernels_baseline, NULL, NULL};
    if (tw_processor_get().isa >= TW_ISA_AVX2) sets[1] = &optim_kernels_avx2;
    if (tw_processor_get().isa >= TW_ISA_AVX512) sets[2] = &optim_kernels_avx512;
    enum { COUNT = 1037 };
    static float x[3][6][COUNT], g[COUNT];
    const adam_constants c = {.scale = 0.3f,
                              .beta2 = 0.999f,
                              .one_minus_beta1 = 0.1f,
                              .one_minus_beta2 = 0.001f,
                              .keep = 0.9999f,
                              .step = 0.01f,
                              .root = 31.6f,
                              .epsilon = 1e-8f};
    const sgd_constants sgd = {.scale = 0.3f,
                               .penalty = 0.01f,
                               .momentum = 0.9f,
                               .direct = 1,
                               .buffered = 0.9f,
                               .step = 0.01f};
    double sums[3] = {0};
    for (int s = 0; s < 3; s++) {
        if (!sets[s]) continue;
        for (int i = 0; i < COUNT; i++) {
            for (int k = 0; k < 6; k++) x[s][k][i] = fabsf(number(i, k));
            g[i] = number(i, 9);
        }
        sets[s]->adam(&c, COUNT, x[s][0], x[s][1], x[s][2], g);
        sets[s]->sgd(&sgd, COUNT, x[s][4], x[s][5], g);
        sets[s]->ema(0.001f, COUNT, x[s][3], x[s][0]);
        sums[s] = sets[s]->sum_squares(x[s][0], COUNT);
        assert_memory_equal(x[s], x[0], sizeof x[0]);
        assert_memory_equal(&sums[s], &sums[0], sizeof sums[0]);
    }
}

static void the_sum_of_squares_is_that_of_doubles(void **state)
{
    (void)state;
    static const int64_t sizes[] = {0, 1, 5, 31, 32, 33, 4095, 4097, 1000003, 2100000};
    float *x;
    assert_int_equal(tw_alloc(&x, 2100000, sizeof *x, "x"), TW_OK);
    for (int64_t i = 0; i < 2100000; i++) x[i] = 1e-3f * number(i, 3);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        double sum = 0;
        for (int64_t i = 0; i < sizes[k]; i++) sum += (double)x[i] * x[i];
        close_to(tw_optim_sum_squares(x, sizes[k]), sum, 1e-12 * sum);
    }
    double sums[25], blocks = 0, whole = 0;
    tw_optim_block_squares(x, 99000, 4096, sums);
    for (int b = 0; b < 25; b++) blocks += sums[b];
    for (int64_t i = 0; i < 99000; i++) whole += (double)x[i] * x[i];
    close_to(blocks, whole, 1e-12 * whole);
    double one;
    tw_optim_block_squares(x + 3 * 4096, 4096, 4096,
                           &one); /* a block is the same whoever computes it */
    assert_true(one == sums[3]);
    x[1234567] = NAN;
    assert_true(isnan(tw_optim_sum_squares(x, 2100000)));
    x[1234567] = -INFINITY;
    assert_true(isinf(tw_optim_sum_squares(x, 2100000)));
    tw_free(&x);
}

static void clipping_is_pytorchs(void **state)
{
    (void)state;
    close_to(tw_optim_clip_scale(2.0, 1.0), 1 / (2 + 1e-6), 1e-15);
    assert_true(tw_optim_clip_scale(0.5, 1.0) == 1.0);
    close_to(tw_optim_clip_scale(1.0, 1.0), 1 / (1 + 1e-6), 1e-15);
    assert_true(tw_optim_clip_scale(0.0, 1.0) == 1.0);
    assert_true(tw_optim_clip_scale(1e9, 0.0) == 1.0);
    assert_true(isnan(tw_optim_clip_scale(NAN, 1.0)));
}

static void ema_decays_as_published(void **state)
{
    (void)state;
    float ema = 1;
    const float theta = 3;
    ema_update(1, &ema, &theta, 0.75);
    close_to(ema, 1.5, 1e-7);
    close_to(tw_ema_decay(0.9999, true, 1), 2.0 / 11, 1e-15);
    close_to(tw_ema_decay(0.9999, true, 90), 0.91, 1e-15);
    close_to(tw_ema_decay(0.9999, true, 1000000), 0.9999, 0);
    close_to(tw_ema_decay(0.9999, false, 1), 0.9999, 0);
}

static void learning_rates_warm_up_and_decay(void **state)
{
    (void)state;
    tw_learning_rate r = {.base = 2e-4, .warmup = 5000, .decay = TW_DECAY_CONSTANT, .steps = 0};
    close_to(tw_learning_rate_at(&r, 0), 0, 0);
    close_to(tw_learning_rate_at(&r, 2500), 1e-4, 1e-18);
    close_to(tw_learning_rate_at(&r, 5000), 2e-4, 0);
    close_to(tw_learning_rate_at(&r, 1 << 30), 2e-4, 0);
    r.steps = 15000;
    r.decay = TW_DECAY_LINEAR;
    close_to(tw_learning_rate_at(&r, 5000), 2e-4, 0);
    close_to(tw_learning_rate_at(&r, 10000), 1e-4, 1e-18);
    close_to(tw_learning_rate_at(&r, 15000), 0, 0);
    close_to(tw_learning_rate_at(&r, 20000), 0, 0);
    r.decay = TW_DECAY_COSINE;
    close_to(tw_learning_rate_at(&r, 7500), 2e-4 * 0.5 * (1 + M_SQRT1_2), 1e-18);
    close_to(tw_learning_rate_at(&r, 15000), 0, 1e-18);
    r = (tw_learning_rate){.base = 1, .warmup = 0, .decay = TW_DECAY_CONSTANT};
    close_to(tw_learning_rate_at(&r, 0), 1, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_steps_are_those_worked_by_hand),
        cmocka_unit_test(epsilon_is_added_to_the_corrected_root),
        cmocka_unit_test(weight_decay_is_decoupled_from_the_gradient),
        cmocka_unit_test(twenty_steps_follow_a_reference_in_double),
        cmocka_unit_test(results_are_the_same_bits_at_any_number_of_threads),
        cmocka_unit_test(an_update_in_pieces_has_the_bits_of_a_whole_one),
        cmocka_unit_test(a_fused_ema_is_a_separate_ema_bitwise),
        cmocka_unit_test(every_optimiser_is_elementwise_names_its_arrays_and_descends),
        cmocka_unit_test(sgd_follows_a_reference_in_double),
        cmocka_unit_test(adamw_is_adam_with_decoupled_weight_decay),
        cmocka_unit_test(every_instruction_set_gives_the_same_bits),
        cmocka_unit_test(the_sum_of_squares_is_that_of_doubles),
        cmocka_unit_test(clipping_is_pytorchs),
        cmocka_unit_test(ema_decays_as_published),
        cmocka_unit_test(learning_rates_warm_up_and_decay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
