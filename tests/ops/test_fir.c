/* The FIR filter between whole factors: against known values, a naive loop in double, and a
 * convolution of the stuffed image for the order of filter and convolution. */
#include "ops/ops.h"
#include "ops/reference.h"

static const tw_run plain_run = {.seed = 1};

static const tw_fir_geometry up2 = {2, 1, 2, 1, 4, {0.25, 0.75, 0.75, 0.25}},
                             down2 = {1, 2, 1, 1, 4, {0.125, 0.375, 0.375, 0.125}};

/* y[j] = Σ_k h[k] u[j down + k − before] in one dimension, u zero-stuffed and zero outside. */
static double line(const tw_fir_geometry *f, const double *x, int64_t n, int64_t step, int64_t j)
{
    double y = 0;
    for (int64_t k = 0; k < f->taps; k++) {
        const int64_t m = j * f->down + k - f->before;
        if (m >= 0 && m % f->up == 0 && m / f->up < n) y += f->tap[k] * x[m / f->up * step];
    }
    return y;
}

static tw_fir_geometry geometry_of(const tw_node *n)
{
    tw_fir_geometry f = {
        .up = n->attr.i[0], .down = n->attr.i[1], .before = n->attr.i[2], .taps = n->attr.i[3]};
    for (int64_t k = 0; k < f.taps; k++)
        f.tap[k] = n->attr.f[k < f.taps - 1 - k ? k : f.taps - 1 - k];
    return f;
}

/* One spatial dimension after the other. */
static void naive(const tw_node *n, double *const *in, double *out)
{
    const tw_fir_geometry f = geometry_of(n);
    tw_shape at = n->in[0]->shape;
    double *x = malloc((size_t)tw_shape_count(at) * sizeof *x), *y = NULL;
    memcpy(x, in[0], (size_t)tw_shape_count(at) * sizeof *x);
    for (int d = 1; d < at.rank - 1; d++) {
        int64_t outer = 1, inner = 1;
        const int64_t before = at.dims[d], after = n->out[0].shape.dims[d];
        for (int k = 0; k < d; k++) outer *= at.dims[k];
        for (int k = d + 1; k < at.rank; k++) inner *= at.dims[k];
        y = malloc((size_t)(outer * after * inner) * sizeof *y);
        for (int64_t o = 0; o < outer; o++)
            for (int64_t j = 0; j < after; j++)
                for (int64_t i = 0; i < inner; i++)
                    y[(o * after + j) * inner + i] =
                        line(&f, x + o * before * inner + i, before, inner, j);
        free(x);
        x = y;
        at.dims[d] = after;
    }
    memcpy(out, x, (size_t)tw_shape_count(at) * sizeof *x);
    free(x);
}

/* The longest filter of the examples sums 169 times its largest input. */
static void every_example_agrees_with_a_naive_loop(void **state)
{
    (void)state;
    const tw_op *op = NULL;
    for (int k = 0; k < tw_op_count; k++)
        if (strcmp(tw_op_table[k]->name, "fir") == 0) op = tw_op_table[k];
    assert_non_null(op);
    for (int variant = 0;; variant++) {
        tw_graph *g = new_graph();
        tw_value *y = op->example(g, variant);
        if (y) agrees(y, naive, 1, 64, &plain_run);
        tw_graph_destroy(&g);
        if (!y) break;
    }
}

/* More channels than a block, more rows than a job, more threads than rows. */
static void large_images_agree_with_a_naive_loop(void **state)
{
    (void)state;
    static const tw_shape shapes[] = {
        {4, {2, 16, 18, 200}}, {4, {1, 64, 66, 3}}, {4, {3, 2, 2, 257}}, {3, {1, 5000, 16}}};
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 2; k++) {
            tw_graph *g = new_graph();
            agrees(tw_fir(g, tw_input(g, "x", TW_ACT, shapes[i]), k ? &up2 : &down2), naive, 1, 4,
                   &plain_run);
            tw_graph_destroy(&g);
        }
}

static void row(const tw_fir_geometry *f, const float *x, int64_t n, const double *want,
                int64_t count)
{
    single s;
    float y[16];
    tw_graph *g = new_graph();
    tw_value *v = tw_fir(g, tw_input(g, "x", TW_F32, TW_SHAPE(1, n, 1)), f);
    single_create(&s, v, TW_DTYPE_F32, 0);
    assert_int_equal(tw_shape_count(v->shape), count);
    single_set(&s, 0, x);
    single_run(&s, &plain_run);
    single_get(&s, 0, y);
    for (int64_t i = 0; i < count; i++) assert_true((double)y[i] == want[i]); /* exact in binary */
    single_destroy(&s);
    tw_graph_destroy(&g);
}

static void the_published_filter_gives_the_published_values(void **state)
{
    (void)state;
    row(&up2, (const float[]){1, 2, 3, 4}, 4,
        (const double[]){0.75, 1.25, 1.75, 2.25, 2.75, 3.25, 3.75, 3}, 8);
    row(&down2, (const float[]){1, 2, 3, 4, 5, 6, 7, 8}, 8, (const double[]){1.5, 3.5, 5.5, 6.375},
        4);
}

static void two_equal_taps_repeat_and_average(void **state)
{
    (void)state;
    row(&(tw_fir_geometry){2, 1, 1, 0, 2, {1, 1}}, (const float[]){1, 2, 3}, 3,
        (const double[]){1, 1, 2, 2, 3, 3}, 6);
    row(&(tw_fir_geometry){1, 2, 0, 0, 2, {0.5, 0.5}}, (const float[]){1, 2, 3, 5}, 4,
        (const double[]){1.5, 4}, 2);
}

/* A column that holds an infinity does not reach the pixels that are not made of it. */
static void what_is_not_finite_stays_where_the_filter_puts_it(void **state)
{
    (void)state;
    single s;
    float x[40], y[80];
    tw_graph *g = new_graph();
    single_create(&s, tw_fir(g, tw_input(g, "x", TW_F32, TW_SHAPE(1, 40, 1)), &up2), TW_DTYPE_F32,
                  0);
    for (int i = 0; i < 40; i++) x[i] = 1;
    x[16] = INFINITY;
    single_set(&s, 0, x);
    single_run(&s, &plain_run);
    single_get(&s, 0, y);
    for (int j = 0; j < 80; j++) assert_int_equal(isfinite(y[j]) == 0, j >= 31 && j <= 34);
    single_destroy(&s);
    tw_graph_destroy(&g);
}

static void what_cannot_be_filtered_is_refused(void **state)
{
    (void)state;
    static const struct {
        tw_shape x;
        tw_fir_geometry f;
    } cases[] = {
        {{2, {3, 4}}, {2, 1, 2, 1, 4, {1, 3, 3, 1}}},
        {{4, {1, 4, 4, 2}}, {2, 1, 2, 1, 4, {1, 2, 3, 4}}},
        {{4, {1, 4, 4, 2}}, {2, 1, 2, 1, 9, {0}}},
        {{4, {1, 4, 4, 2}}, {0, 1, 2, 1, 2, {1, 1}}},
        {{4, {1, 4, 4, 2}}, {1, 0, 2, 1, 2, {1, 1}}},
        {{4, {1, 2, 2, 2}}, {1, 2, 0, 0, 4, {1, 3, 3, 1}}},
        {{4, {1, 4, 4, 2}}, {1, 2, 0, 0, 0, {0}}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tw_graph *g = new_graph();
        assert_null(tw_fir(g, tw_input(g, "x", TW_ACT, cases[i].x), &cases[i].f));
        assert_int_equal(tw_graph_status(g), TW_ESHAPE);
        tw_graph_destroy(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_filter_gives_the_published_values),
        cmocka_unit_test(two_equal_taps_repeat_and_average),
        cmocka_unit_test(every_example_agrees_with_a_naive_loop),
        cmocka_unit_test(large_images_agree_with_a_naive_loop),
        cmocka_unit_test(what_is_not_finite_stays_where_the_filter_puts_it),
        cmocka_unit_test(what_cannot_be_filtered_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
