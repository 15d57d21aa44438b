/* Backward-weights by tiles: every form against slow loops in double, at sizes that no tile
 * divides; AMX against plain C bit for bit; the same bits at any number of threads.
 *
 * A number is a sum of f32 of K products in chains: it errs by about 2^-24 of the sum of their
 * sizes, of which 32 times are allowed. */
#include <omp.h>

#include "ops/each_isa.h"
#include "ops/panel_gradient.h"
#include "ops/reference.h"
#include "ops/tile_gradient.h"

/* tile.h's operations in plain C */
#include "ops/tile.h"

typedef struct problem {
    int64_t n, height, width, in, out, kernel[2], stride, dilation, before, after;
} problem;

static const problem problems[] = {
    {1, 1, 1, 1, 1, {1, 1}, 1, 1, 0, 0},
    {1, 1, 1, 1, 1, {3, 3}, 1, 1, 1, 1},
    {1, 5, 7, 1, 3, {3, 3}, 1, 1, 1, 1},
    {3, 5, 7, 3, 1, {3, 3}, 1, 1, 1, 1},
    {2, 5, 7, 17, 33, {3, 3}, 1, 1, 1, 1},
    {2, 7, 5, 16, 16, {3, 3}, 1, 1, 1, 1},   /* blocked parameters */
    {3, 4, 4, 48, 80, {3, 3}, 1, 1, 1, 1},   /* images that share steps */
    {5, 8, 8, 32, 32, {3, 3}, 1, 1, 1, 1},   /* images of two steps */
    {2, 16, 20, 32, 48, {3, 3}, 1, 1, 1, 1}, /* parts of ten */
    {2, 9, 7, 20, 19, {3, 3}, 2, 1, 1, 1},
    {3, 8, 8, 16, 32, {3, 3}, 2, 1, 0, 1},
    {1, 7, 6, 2, 2, {2, 2}, 2, 1, 0, 0},
    {1, 10, 11, 16, 17, {3, 3}, 3, 1, 1, 0},
    {2, 9, 9, 5, 3, {3, 3}, 1, 2, 2, 2},
    {1, 12, 9, 5, 18, {3, 2}, 2, 3, 2, 3},
    {1, 4, 5, 2, 3, {3, 3}, 1, 1, 3, 4}, /* padding beyond the kernel's reach */
    {2, 6, 5, 40, 24, {1, 1}, 1, 1, 0, 0},
    {30, 1, 2, 6, 5, {3, 3}, 1, 1, 1, 1},
    {24, 32, 32, 64, 16, {1, 1}, 1, 1, 0, 0}, /* several groups of images */
};
enum { PROBLEMS = sizeof problems / sizeof *problems };

typedef struct gradient {
    tw_graph *g;
    tw_conv_shapes shapes;
    tw_value *gw;
    tw_task task;
    void *x, *gy;
    float *result;
} gradient;

static void *generate(int which, int64_t n, tw_dtype act)
{
    void *v = malloc((size_t)n * tw_dtype_size(act));
    for (int64_t i = 0; i < n; i++) tw_store(v, i, act, noise(which, i));
    return v;
}

static gradient gradient_of(const problem *p, tw_dtype act)
{
    gradient s = {.g = new_graph()};
    tw_conv_geometry geometry = tw_conv_square(p->stride, p->before, p->after);
    for (int d = 0; d < 3; d++) geometry.dilation[d] = p->dilation;
    tw_value *x = tw_input(s.g, "x", TW_ACT, TW_SHAPE(p->n, p->height, p->width, p->in)),
             *w = tw_param(s.g, "w", TW_SHAPE(p->out, p->in, p->kernel[0], p->kernel[1]),
                           tw_init_ones),
             *y = tw_conv(s.g, x, w, NULL, &geometry);
    tw_graph_gradient(s.g, y, tw_input(s.g, "gy", TW_ACT, y->shape), &w, 1, &s.gw);
    assert_int_equal(tw_graph_status(s.g), TW_OK);
    s.shapes = (tw_conv_shapes){x->shape, w->shape, y->shape};
    s.x = generate(1, tw_shape_count(x->shape), act);
    s.gy = generate(2, tw_shape_count(y->shape), act);
    s.result = malloc((size_t)tw_shape_count(w->shape) * sizeof(float));
    s.task = (tw_task){.node = s.gw->node, .op = s.gw->node->op, .act = act};
    s.task.in[0] = s.x;
    s.task.in[1] = s.gy;
    s.task.out[0] = s.result;
    return s;
}

/* By panels where `form` is NULL. */
static void compute(gradient *s, const tw_tile_form *form)
{
    tw_tile_gradient tiles;
    tw_panel_gradient panels;
    void *scratch = NULL;
    const tw_attr *a = &s->gw->node->attr;
    assert_int_equal(form ? tw_tile_gradient_create(&tiles, &s->task, &s->shapes, a, form)
                          : tw_panel_gradient_create(&panels, &s->task, &s->shapes, a),
                     TW_OK);
    assert_int_equal(tw_alloc(&scratch, 1, s->task.scratch_bytes, "scratch"), TW_OK);
    single_fill(scratch, s->task.scratch_bytes);
    single_fill(s->result, (size_t)tw_shape_count(s->shapes.w) * sizeof(float));
    s->task.scratch = scratch;
    if (form) {
        tw_tile_gradient_run(&tiles, &s->task);
        tw_tile_gradient_destroy(&tiles);
    } else {
        tw_panel_gradient_run(&panels, &s->task);
        tw_panel_gradient_destroy(&panels);
    }
    tw_free(&scratch);
}

static void destroy(gradient *s)
{
    free(s->x);
    free(s->gy);
    free(s->result);
    tw_graph_destroy(&s->g);
}

/* Where the parameter store has w[o, i, tap]. */
static int64_t stored(const gradient *s, int64_t o, int64_t i, int64_t tap, int64_t taps)
{
    const int64_t in = s->shapes.w.dims[1];
    if (s->gw->layout == TW_PLAIN) return (o * in + i) * taps + tap;
    return (((o / 16 * (in / 16) + i / 16) * taps + tap) * 16 + i % 16) * 16 + o % 16;
}

/* One number in double; *size is the sum of the terms' sizes. */
static double exact(const gradient *s, const problem *p, int64_t o, int64_t i, int64_t tap,
                    double *size)
{
    const tw_shape y = s->shapes.y;
    double sum = 0;
    *size = 0;
    for (int64_t n = 0; n < p->n; n++)
        for (int64_t r = 0; r < y.dims[1]; r++)
            for (int64_t c = 0; c < y.dims[2]; c++) {
                const int64_t row = r * p->stride + tap / p->kernel[1] * p->dilation - p->before,
                              column = c * p->stride + tap % p->kernel[1] * p->dilation - p->before;
                if (row < 0 || column < 0 || row >= p->height || column >= p->width) continue;
                const double term =
                    (double)tw_load(s->x, ((n * p->height + row) * p->width + column) * p->in + i,
                                    s->task.act) *
                    (double)tw_load(s->gy, ((n * y.dims[1] + r) * y.dims[2] + c) * p->out + o,
                                    s->task.act);
                sum += term;
                *size += fabs(term);
            }
    return sum;
}

/* All numbers, or a thousand of them. */
static void check(const gradient *s, const problem *p, const char *form)
{
    const int64_t taps = p->kernel[0] * p->kernel[1], count = p->out * p->in * taps,
                  step = count > 1000 ? count / 1000 : 1;
    for (int64_t k = 0; k < count; k += step) {
        const int64_t o = k / (p->in * taps), i = k / taps % p->in, tap = k % taps;
        double size;
        const double want = exact(s, p, o, i, tap, &size),
                     got = (double)s->result[stored(s, o, i, tap, taps)];
        if (!(fabs(got - want) <= 0x1p-19 * size))
            fail_msg("problem %d, %s: gw[%lld, %lld, %lld] is %.9g, wanted %.9g",
                     (int)(p - problems), form, (long long)o, (long long)i, (long long)tap, got,
                     want);
    }
}

static void solve_all(const tw_tile_form *form)
{
    for (int k = 0; k < PROBLEMS; k++) {
        gradient s = gradient_of(&problems[k], TW_DTYPE_BF16);
        compute(&s, form);
        check(&s, &problems[k], form->name);
        destroy(&s);
    }
}

static void gradients_by_plain_tiles_are_those_of_slow_loops(void **state)
{
    (void)state;
    solve_all(&tw_tile_plain);
}

static void gradients_by_dot_products_are_those_of_slow_loops(void **state)
{
    (void)state;
    if (!tw_tile_form_dots()) {
        print_message("this processor has no AVX512_BF16\n");
        skip();
    }
    solve_all(tw_tile_form_dots());
}

static void gradients_by_amx_are_those_of_plain_tiles_bit_for_bit(void **state)
{
    (void)state;
    if (!tw_tile_form_amx()) {
        print_message("this processor has no AMX, or does not grant it\n");
        skip();
    }
    for (int k = 0; k < PROBLEMS; k++) {
        gradient s = gradient_of(&problems[k], TW_DTYPE_BF16);
        const size_t bytes = (size_t)tw_shape_count(s.shapes.w) * sizeof(float);
        float *plain = malloc(bytes);
        compute(&s, &tw_tile_plain);
        memcpy(plain, s.result, bytes);
        compute(&s, tw_tile_form_amx());
        check(&s, &problems[k], "amx");
        if (memcmp(plain, s.result, bytes) != 0) fail_msg("problem %d has other bits", k);
        free(plain);
        destroy(&s);
    }
}

static void threads_give_the_same_bits(int k, tw_dtype act, const tw_tile_form *form)
{
    static const int threads[] = {1, 2, 3, 4, 7};
    gradient s = gradient_of(&problems[k], act);
    const size_t bytes = (size_t)tw_shape_count(s.shapes.w) * sizeof(float);
    float *first = malloc(bytes);
    for (int t = 0; t < 5; t++) {
        omp_set_num_threads(threads[t]);
        compute(&s, form);
        if (t == 0) memcpy(first, s.result, bytes);
        if (memcmp(first, s.result, bytes) != 0)
            fail_msg("problem %d has other bits with %d threads", k, threads[t]);
    }
    omp_set_num_threads(2);
    check(&s, &problems[k], form ? form->name : "panels");
    free(first);
    destroy(&s);
}

static void gradients_by_tiles_do_not_depend_on_the_number_of_threads(void **state)
{
    (void)state;
    const tw_tile_form *form = tw_tile_form_dots() ? tw_tile_form_dots() : &tw_tile_plain;
    for (int k = 0; k < PROBLEMS; k++) threads_give_the_same_bits(k, TW_DTYPE_BF16, form);
}

static void *solve_by_panels(void *arg)
{
    for (int k = 0; k < PROBLEMS; k++) threads_give_the_same_bits(k, TW_DTYPE_F32, NULL);
    return arg;
}

static void gradients_by_panels_are_those_of_slow_loops_at_any_number_of_threads(void **state)
{
    (void)state;
    on_each_isa(solve_by_panels);
}

/* ---- one tile ---- */

static float dot(float c, const float *a, const float *b, int pairs)
{
    static tw_bf16 left[16][32], right[16][32];
    static float sums[16][16];
    memset(left, 0, sizeof left);
    memset(right, 0, sizeof right);
    memset(sums, 0, sizeof sums);
    sums[3][5] = c;
    for (int k = 0; k < 2 * pairs; k++) {
        left[3][k] = tw_to_bf16(a[k]);
        right[k / 2][2 * 5 + k % 2] = tw_to_bf16(b[k]);
    }
    TW_TILE_REGISTERS;
    TW_TILE_LOAD(0, sums, 64);
    TW_TILE_LOAD(1, left, 64);
    TW_TILE_LOAD(2, right, 64);
    TW_TILE_DOT(0, 1, 2);
    TW_TILE_STORE(0, sums, 64);
    return sums[3][5];
}

static void assert_same(float got, float want)
{
    if (memcmp(&got, &want, sizeof got) != 0)
        fail_msg("%a in the place of %a", (double)got, (double)want);
}

static void plain_tiles_sum_in_the_order_and_with_the_rounding_of_tdpbf16ps(void **state)
{
    (void)state;
    const float big = 0x1p24f, ones[4] = {1, 1, 1, 1};
    /* odd terms in a chain of their own, which is added to the even one's before c */
    assert_same(dot(-big, (float[]){big, 1}, ones, 1), 0);
    assert_same(dot(-big, (float[]){big, 3}, ones, 1), 4); /* 2^24 + 3, to even */
    assert_same(dot(1, (float[]){big, 1, -big, 0}, ones, 2), 2);
    /* a product is not rounded before it is added: (1 + 2^-7)² - 1 - 2^-6 = 2^-14 */
    assert_same(dot(0, (float[]){-1, 0, 1.0078125f, 0}, (float[]){1.015625f, 0, 1.0078125f, 0}, 2),
                0x1p-14f);
    /* denormal numbers are 0 of their sign, before and after */
    assert_same(dot(0, (float[]){0x1p-130f, 0}, (float[]){0x1p100f, 0}, 1), 0);
    assert_same(dot(0, (float[]){0x1p-70f, 0}, (float[]){0x1p-70f, 0}, 1), 0);
    assert_same(dot(0, (float[]){0x1p-63f, 0}, (float[]){0x1p-63f, 0}, 1), 0x1p-126f);
    assert_same(dot(0x1p-127f, (float[]){0, 0}, ones, 1), 0);
    assert_same(dot(0x1.8p-126f, (float[]){-0x1p-126f, 0}, ones, 1), 0);
    assert_true(isnan(dot(0, (float[]){INFINITY, 0}, (float[]){0, 0}, 1)));
    assert_same(dot(0, (float[]){0x1p127f, 0}, (float[]){2, 0}, 1), INFINITY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_tiles_sum_in_the_order_and_with_the_rounding_of_tdpbf16ps),
        cmocka_unit_test(gradients_by_plain_tiles_are_those_of_slow_loops),
        cmocka_unit_test(gradients_by_dot_products_are_those_of_slow_loops),
        cmocka_unit_test(gradients_by_amx_are_those_of_plain_tiles_bit_for_bit),
        cmocka_unit_test(gradients_by_tiles_do_not_depend_on_the_number_of_threads),
        cmocka_unit_test(gradients_by_panels_are_those_of_slow_loops_at_any_number_of_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
