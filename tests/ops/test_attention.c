/* Fused attention against slow loops in double, against finite differences, and against itself. */
#include <math.h>
#include <omp.h>
#include <stdlib.h>

#include "ops/attention.h"
#include "ops/ops.h"
#include "ops/reference.h"
#include "ops/single.h"

typedef struct problem {
    int rank;
    int64_t qkv[TW_RANK_MAX], heads;
    double scale, gain; /* gain: amplitude of qkv */
    tw_qkv_order order;
} problem;

static const problem problems[] = {
    {4, {2, 4, 4, 48}, 1, 0.25, 1, TW_QKV_BY_PART},
    {4, {1, 1, 1, 3}, 1, 1, 1, TW_QKV_BY_PART},
    {3, {3, 7, 15}, 1, 0.7, 1, TW_QKV_BY_PART},
    {4, {2, 5, 7, 36}, 3, 0.5, 2, TW_QKV_BY_PART},
    {4, {1, 9, 9, 96}, 4, 0.35, 3, TW_QKV_BY_PART},
    {2, {5, 12}, 2, 0.5, 1, TW_QKV_BY_PART},
    {5, {1, 2, 3, 3, 18}, 2, 1, 1, TW_QKV_BY_PART},
    {4, {2, 8, 8, 192}, 2, 0.2, 1, TW_QKV_BY_PART},
    {4, {17, 2, 2, 96}, 1, 0.18, 30, TW_QKV_BY_PART},
    {4, {2, 4, 5, 36}, 3, 0.5, 2, TW_QKV_BY_HEAD},
    {3, {2, 17, 96}, 2, 0.25, 1, TW_QKV_BY_HEAD},
    {4, {1, 8, 10, 768}, 2, 0.1, 1, TW_QKV_BY_HEAD},
    {4, {1, 17, 17, 15}, 1, 0.4, 1, TW_QKV_BY_PART}, /* several blocks of keys, the last smaller */
    {4, {1, 19, 31, 36}, 2, 0.4, 2, TW_QKV_BY_HEAD},
};
enum { PROBLEMS = sizeof problems / sizeof *problems };

typedef struct numbers {
    int64_t n, p, c, d;
    tw_qkv_order order;
    double *qkv, *go, *o, *a, *sums, *gqkv; /* sums: log Σ_j exp(scale s_j) */
    double largest; /* |scale · s|: its rounding is the relative error of A */
} numbers;

static double *draw(int which, int64_t n, double scale, tw_dtype type)
{
    double *v = malloc((size_t)n * sizeof *v);
    for (int64_t i = 0; i < n; i++) {
        const float f = (float)(scale * (double)noise(which, i));
        v[i] = (double)(type == TW_DTYPE_BF16 ? tw_from_bf16(tw_to_bf16(f)) : f);
    }
    return v;
}

static numbers numbers_of(const problem *k, tw_dtype act)
{
    numbers s = {.n = k->qkv[0], .p = 1, .c = k->qkv[k->rank - 1] / 3, .order = k->order};
    for (int i = 1; i < k->rank - 1; i++) s.p *= k->qkv[i];
    s.d = s.c / k->heads;
    s.qkv = draw(1, s.n * s.p * 3 * s.c, k->gain, act);
    s.go = draw(2, s.n * s.p * s.c, 1, act);
    s.o = calloc((size_t)(s.n * s.p * s.c), sizeof *s.o);
    s.a = calloc((size_t)(s.n * k->heads * s.p * s.p), sizeof *s.a);
    s.sums = calloc((size_t)(s.n * k->heads * s.p), sizeof *s.sums);
    s.gqkv = calloc((size_t)(s.n * s.p * 3 * s.c), sizeof *s.gqkv);
    return s;
}

static void numbers_free(numbers *s)
{
    free(s->qkv);
    free(s->go);
    free(s->o);
    free(s->a);
    free(s->sums);
    free(s->gqkv);
}

/* Where element e of position p of part (0 q, 1 k, 2 v) stands. */
static int64_t at(const numbers *s, int64_t image, int64_t p, int part, int64_t head, int64_t e)
{
    const int64_t pixel = (image * s->p + p) * 3 * s->c;
    if (s->order == TW_QKV_BY_HEAD) return pixel + (3 * head + part) * s->d + e;
    return pixel + part * s->c + head * s->d + e;
}

static double product(const numbers *s, int64_t image, int64_t head, int64_t i, int64_t j)
{
    double sum = 0;
    for (int64_t e = 0; e < s->d; e++)
        sum += s->qkv[at(s, image, i, 0, head, e)] * s->qkv[at(s, image, j, 1, head, e)];
    return sum;
}

static void forward(numbers *s, const problem *k)
{
    memset(s->o, 0, (size_t)(s->n * s->p * s->c) * sizeof *s->o);
    for (int64_t image = 0; image < s->n; image++)
        for (int64_t head = 0; head < k->heads; head++)
            for (int64_t i = 0; i < s->p; i++) {
                double *a = s->a + ((image * k->heads + head) * s->p + i) * s->p, sum = 0,
                       top = -INFINITY;
                for (int64_t j = 0; j < s->p; j++) {
                    a[j] = k->scale * product(s, image, head, i, j);
                    top = fmax(top, a[j]);
                    s->largest = fmax(s->largest, fabs(a[j]));
                }
                for (int64_t j = 0; j < s->p; j++) sum += a[j] = exp(a[j] - top);
                s->sums[(image * k->heads + head) * s->p + i] = top + log(sum);
                for (int64_t j = 0; j < s->p; j++) {
                    a[j] /= sum;
                    for (int64_t e = 0; e < s->d; e++)
                        s->o[(image * s->p + i) * s->c + head * s->d + e] +=
                            a[j] * s->qkv[at(s, image, j, 2, head, e)];
                }
            }
}

static void backward(numbers *s, const problem *k)
{
    double *ga = calloc((size_t)s->p, sizeof *ga);
    for (int64_t image = 0; image < s->n; image++)
        for (int64_t head = 0; head < k->heads; head++)
            for (int64_t i = 0; i < s->p; i++) {
                const double *a = s->a + ((image * k->heads + head) * s->p + i) * s->p;
                const double *go = s->go + (image * s->p + i) * s->c + head * s->d;
                double dot = 0;
                for (int64_t j = 0; j < s->p; j++) {
                    ga[j] = 0;
                    for (int64_t e = 0; e < s->d; e++) {
                        ga[j] += go[e] * s->qkv[at(s, image, j, 2, head, e)];
                        s->gqkv[at(s, image, j, 2, head, e)] += a[j] * go[e];
                    }
                    dot += a[j] * ga[j];
                }
                for (int64_t j = 0; j < s->p; j++) {
                    const double gs = k->scale * a[j] * (ga[j] - dot);
                    for (int64_t e = 0; e < s->d; e++) {
                        s->gqkv[at(s, image, i, 0, head, e)] +=
                            gs * s->qkv[at(s, image, j, 1, head, e)];
                        s->gqkv[at(s, image, j, 1, head, e)] +=
                            gs * s->qkv[at(s, image, i, 0, head, e)];
                    }
                }
            }
    free(ga);
}

/* ---- the operations under test ---- */

typedef struct pair {
    tw_graph *g;
    single forward, backward;
} pair;

static void give(single *s, int i, const double *v)
{
    const int64_t n = tw_shape_count(s->task.node->in[i]->shape);
    float *f = malloc((size_t)n * sizeof *f);
    for (int64_t j = 0; j < n; j++) f[j] = (float)v[j];
    single_set(s, i, f);
    free(f);
}

static float *take(const single *s, int k)
{
    float *f = malloc((size_t)tw_shape_count(s->task.node->out[k].shape) * sizeof *f);
    single_get(s, k, f);
    return f;
}

static pair pair_of(const problem *k, const numbers *s, tw_dtype act, unsigned unread)
{
    pair q = {.g = new_graph()};
    tw_value *qkv = tw_input(q.g, "qkv", TW_ACT, tw_shape_make(k->qkv, k->rank)), *gqkv = NULL;
    tw_value *o = tw_attention_ordered(q.g, qkv, k->heads, k->scale, k->order);
    assert_non_null(o);
    tw_graph_gradient(q.g, o, tw_input(q.g, "go", TW_ACT, o->shape), &qkv, 1, &gqkv);
    assert_int_equal(tw_graph_status(q.g), TW_OK);
    single_create(&q.forward, o, act, unread);
    single_create(&q.backward, gqkv, act, 0);
    give(&q.forward, 0, s->qkv);
    give(&q.backward, 0, s->qkv);
    give(&q.backward, 2, s->go);
    return q;
}

static void pair_run(pair *q)
{
    const tw_run run = {.training = true};
    single_run(&q->forward, &run);
    float *kept = take(&q->forward, 1);
    single_set(&q->backward, 1, kept);
    free(kept);
    single_run(&q->backward, &run);
}

static void pair_destroy(pair *q)
{
    single_destroy(&q->forward);
    single_destroy(&q->backward);
    tw_graph_destroy(&q->g);
}

static void compare(const char *what, const single *s, int k, const double *want, double tolerance)
{
    const int64_t n = tw_shape_count(s->task.node->out[k].shape);
    float *got = take(s, k);
    double size = 1e-2;
    for (int64_t i = 0; i < n; i++) size = fmax(size, fabs(want[i]));
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) <= tolerance * size))
            fail_msg("%s of %s (%s): element %lld is %.9g, wanted %.9g", what, s->task.op->name,
                     s->task.implementation, (long long)i, (double)got[i], want[i]);
    free(got);
}

/* What the gradient computes probabilities from: exp(scale s - sums) is one of them. */
static void compare_sums(const single *f, const numbers *s, double tolerance)
{
    const tw_shape shape = f->task.node->out[1].shape;
    float *got = take(f, 1);
    for (int64_t head = 0; head < shape.dims[0] * shape.dims[1]; head++)
        for (int64_t i = 0; i < s->p; i++) {
            const float *top = got + 2 * head * s->p + i;
            const double sum = f->task.node->attr.f[0] * (double)*top - log((double)top[s->p]),
                         want = s->sums[head * s->p + i];
            if (!(fabs(sum - want) <= tolerance * (1 + s->largest)))
                fail_msg("query %lld of head %lld: the logarithm of the sum is %.9g, wanted %.9g",
                         (long long)i, (long long)head, sum, want);
        }
    free(got);
}

static void compare_all(const pair *q, const numbers *s, tw_dtype act)
{
    const double scores = 0x1p-23 * s->largest;
    const bool f32 = act == TW_DTYPE_F32;
    compare("o", &q->forward, 0, s->o, f32 ? 4e-6 + scores : 0x1p-7);
    if (tw_attention_keeps(q->forward.task.node->out[0].shape, q->forward.task.node->attr.i[0]))
        compare("A", &q->forward, 1, s->a, f32 ? 4e-6 + scores : 0x1p-8);
    else
        compare_sums(&q->forward, s, f32 ? 1e-6 : 2e-4);
    compare("gqkv", &q->backward, 0, s->gqkv, f32 ? 1e-5 + scores : 0x1p-6);
}

static void both_precisions_agree_with_double_forward_and_backward(void **state)
{
    (void)state;
    for (int act = TW_DTYPE_F32; act <= TW_DTYPE_BF16; act++)
        for (int i = 0; i < PROBLEMS; i++) {
            numbers s = numbers_of(&problems[i], (tw_dtype)act);
            forward(&s, &problems[i]);
            backward(&s, &problems[i]);
            pair q = pair_of(&problems[i], &s, (tw_dtype)act, 0);
            pair_run(&q);
            compare_all(&q, &s, (tw_dtype)act);
            pair_destroy(&q);
            numbers_free(&s);
        }
}

/* So many positions that backward has two blocks, and channels that probabilities are kept. */
static void blocks_of_kept_probabilities_agree_with_double(void **state)
{
    (void)state;
    const problem large = {4, {1, 13, 20, 783}, 1, 0.1, 1, TW_QKV_BY_PART};
    for (int act = TW_DTYPE_F32; act <= TW_DTYPE_BF16; act++) {
        numbers s = numbers_of(&large, (tw_dtype)act);
        forward(&s, &large);
        backward(&s, &large);
        pair q = pair_of(&large, &s, (tw_dtype)act, 0);
        const tw_attention_state *of = q.backward.task.state;
        assert_true(of->keeps && of->blocks > 1);
        pair_run(&q);
        compare_all(&q, &s, (tw_dtype)act);
        pair_destroy(&q);
        numbers_free(&s);
    }
}

static void every_instruction_set_agrees_with_double(void **state)
{
    (void)state;
    const tw_kern_attention *const kernels[] = {&tw_kern_attention_baseline,
                                                &tw_kern_attention_avx2, &tw_kern_attention_avx512};
    for (int isa = TW_ISA_BASELINE; isa <= (int)tw_isa_get(); isa++)
        for (int act = TW_DTYPE_F32; act <= TW_DTYPE_BF16; act++)
            for (int i = 0; i < PROBLEMS; i++) {
                numbers s = numbers_of(&problems[i], (tw_dtype)act);
                forward(&s, &problems[i]);
                backward(&s, &problems[i]);
                pair q = pair_of(&problems[i], &s, (tw_dtype)act, 0);
                for (int k = 0; k < 2; k++) {
                    tw_attention_state *of = k ? q.backward.task.state : q.forward.task.state;
                    of->kernel = kernels[isa];
                    if (of->stored == TW_STORED_BF16_NATIVE) of->stored = TW_STORED_BF16;
                }
                pair_run(&q);
                compare_all(&q, &s, (tw_dtype)act);
                pair_destroy(&q);
                numbers_free(&s);
            }
}

/* (L(qkv + h v) - L(qkv - h v)) / 2h = <gqkv, v> with L = Σ go o in double. */
static void the_gradient_is_the_slope(void **state)
{
    (void)state;
    for (int i = 0; i < PROBLEMS; i++) {
        numbers s = numbers_of(&problems[i], TW_DTYPE_F32);
        pair q = pair_of(&problems[i], &s, TW_DTYPE_F32, 0);
        pair_run(&q);
        float *g = take(&q.backward, 0);
        const int64_t size = s.n * s.p * 3 * s.c;
        const double h = 1e-5;
        double loss[2] = {0}, expected = 0;
        for (int64_t j = 0; j < size; j++) expected += (double)g[j] * (double)noise(9, j);
        for (int sign = 0; sign < 2; sign++) {
            for (int64_t j = 0; j < size; j++)
                s.qkv[j] += (sign ? -2 * h : h) * (double)noise(9, j);
            forward(&s, &problems[i]);
            for (int64_t j = 0; j < s.n * s.p * s.c; j++) loss[sign] += s.go[j] * s.o[j];
        }
        const double met = (loss[0] - loss[1]) / (2 * h);
        if (!(fabs(met - expected) <= 1e-4 * (1 + fabs(met))))
            fail_msg("problem %d: slope %.9g, gradient %.9g", i, met, expected);
        free(g);
        pair_destroy(&q);
        numbers_free(&s);
    }
}

static void results_do_not_depend_on_the_number_of_threads(void **state)
{
    (void)state;
    const int before = omp_get_max_threads();
    for (int i = 0; i < PROBLEMS; i++)
        for (int act = TW_DTYPE_F32; act <= TW_DTYPE_BF16; act++) {
            numbers s = numbers_of(&problems[i], (tw_dtype)act);
            omp_set_num_threads(1);
            pair one = pair_of(&problems[i], &s, (tw_dtype)act, 0);
            pair_run(&one);
            for (int threads = 2; threads <= 4; threads++) {
                omp_set_num_threads(threads);
                pair many = pair_of(&problems[i], &s, (tw_dtype)act, 0);
                assert_int_equal(omp_get_max_threads(), threads);
                pair_run(&many);
                const single *a = &one.forward, *b = &many.forward, *c = &one.backward,
                             *d = &many.backward;
                assert_memory_equal(a->task.out[0], b->task.out[0],
                                    single_bytes(a, &a->task.node->out[0]));
                assert_memory_equal(c->task.out[0], d->task.out[0],
                                    single_bytes(c, &c->task.node->out[0]));
                pair_destroy(&many);
            }
            pair_destroy(&one);
            numbers_free(&s);
        }
    omp_set_num_threads(before);
}

static void what_nobody_reads_needs_no_memory(void **state)
{
    (void)state;
    for (int j = 0; j < 4; j++) {
        const problem *k = &problems[j / 2 * 3]; /* probabilities; two numbers of each query */
        const int act = j % 2 ? TW_DTYPE_BF16 : TW_DTYPE_F32;
        numbers s = numbers_of(k, (tw_dtype)act);
        pair all = pair_of(k, &s, (tw_dtype)act, 0), less = pair_of(k, &s, (tw_dtype)act, 1u << 1);
        single_run(&all.forward, &(tw_run){0});
        single_run(&less.forward, &(tw_run){0});
        assert_null(less.forward.task.out[1]);
        const single *a = &all.forward;
        assert_memory_equal(a->task.out[0], less.forward.task.out[0],
                            single_bytes(a, &a->task.node->out[0]));
        pair_destroy(&all);
        pair_destroy(&less);
        numbers_free(&s);
    }
}

/* 4096 positions: a matrix of them would be 64 MiB in f32. */
static void no_large_matrix_of_all_pairs_of_positions_is_kept(void **state)
{
    (void)state;
    const int before = omp_get_max_threads();
    omp_set_num_threads(1);
    for (int act = TW_DTYPE_F32; act <= TW_DTYPE_BF16; act++) {
        tw_graph *g = new_graph();
        tw_value *qkv = tw_input(g, "qkv", TW_ACT, TW_SHAPE(1, 64, 64, 48)), *gqkv = NULL;
        tw_value *o = tw_attention(g, qkv, 1, 0.25);
        assert_non_null(o);
        tw_graph_gradient(g, o, tw_input(g, "go", TW_ACT, o->shape), &qkv, 1, &gqkv);
        assert_int_equal(tw_graph_status(g), TW_OK);
        single s[2];
        single_create(&s[0], o, (tw_dtype)act, 0);
        single_create(&s[1], gqkv, (tw_dtype)act, 0);
        for (int k = 0; k < 2; k++) {
            assert_true(s[k].task.scratch_bytes < 8 << 20);
            for (int i = 0; i < s[k].task.node->nin; i++)
                assert_true(tw_shape_count(s[k].task.node->in[i]->shape) <= 4096 * 48);
            single_destroy(&s[k]);
        }
        tw_graph_destroy(&g);
    }
    omp_set_num_threads(before);
}

static void a_nan_of_any_bits_is_not_lost(void **state)
{
    (void)state;
    const tw_kern_attention *const kernels[] = {&tw_kern_attention_baseline,
                                                &tw_kern_attention_avx2, &tw_kern_attention_avx512};
    for (int isa = TW_ISA_BASELINE; isa <= (int)tw_isa_get(); isa++)
        for (int where = 0; where < 21; where++) {
            float s[21] = {0}, p[21];
            tw_bf16 h[21];
            memset(&s[where], 0xff, sizeof s[where]);
            kernels[isa]->softmax[TW_STORED_F32](p, s, NULL, NULL, 1, 21, 1.0f);
            for (int i = 0; i < 21; i++) assert_true(isnan(p[i]));
            memset(s, 0, sizeof s);
            memset(&s[where], 0xff, sizeof s[where]);
            kernels[isa]->softmax[TW_STORED_BF16](h, s, NULL, NULL, 1, 21, 1.0f);
            for (int i = 0; i < 21; i++) assert_true(isnan(tw_from_bf16(h[i])));
        }
}

static void products_are_no_reference_implementations(void **state)
{
    (void)state;
    for (int act = TW_DTYPE_F32; act <= TW_DTYPE_BF16; act++) {
        const problem k = {4, {2, 16, 16, 3 * 64}, 1, 0.125, 1, TW_QKV_BY_PART};
        numbers s = numbers_of(&k, (tw_dtype)act);
        pair q = pair_of(&k, &s, (tw_dtype)act, 0);
        if (tw_isa_get() == TW_ISA_AVX512)
            for (int i = 0; i < 2; i++) {
                const tw_attention_state *of = i ? q.backward.task.state : q.forward.task.state;
                for (int j = 0; j < of->count; j++)
                    assert_null(strstr(of->products[j].implementation, "ref"));
            }
        pair_destroy(&q);
        numbers_free(&s);
    }
}

static void wrong_shapes_are_refused_by_name(void **state)
{
    (void)state;
    const struct {
        int64_t channels, heads;
        const char *message;
    } cases[] = {
        {10, 1, "attention of [2, 4, 10]: 10 channels are not three equal parts"},
        {12, 3, "attention of [2, 4, 12]: 3 heads do not divide the channels"},
        {12, 0, "attention of [2, 4, 12]: 0 heads do not divide the channels"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tw_graph *g = new_graph();
        assert_null(tw_attention(g, tw_input(g, "qkv", TW_ACT, TW_SHAPE(2, 4, cases[i].channels)),
                                 cases[i].heads, 1));
        assert_int_equal(tw_graph_status(g), TW_ESHAPE);
        assert_string_equal(tw_error_message(), cases[i].message);
        tw_graph_destroy(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_precisions_agree_with_double_forward_and_backward),
        cmocka_unit_test(blocks_of_kept_probabilities_agree_with_double),
        cmocka_unit_test(every_instruction_set_agrees_with_double),
        cmocka_unit_test(the_gradient_is_the_slope),
        cmocka_unit_test(results_do_not_depend_on_the_number_of_threads),
        cmocka_unit_test(what_nobody_reads_needs_no_memory),
        cmocka_unit_test(no_large_matrix_of_all_pairs_of_positions_is_kept),
        cmocka_unit_test(a_nan_of_any_bits_is_not_lost),
        cmocka_unit_test(products_are_no_reference_implementations),
        cmocka_unit_test(wrong_shapes_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
