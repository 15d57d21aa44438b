/* Pooling at stride 1 and interpolation, and their gradients, against naive loops in double. */
#include "ops/ops.h"
#include "ops/reference.h"

static const tw_run plain_run = {.seed = 1};

/* [outer, length, inner] around the node's dimension. */
static void split(tw_shape s, int64_t axis, int64_t *outer, int64_t *inner)
{
    *outer = *inner = 1;
    for (int d = 0; d < axis; d++) *outer *= s.dims[d];
    for (int d = (int)axis + 1; d < s.rank; d++) *inner *= s.dims[d];
}

/* The share of position q in position p, by the definition. */
static double share(const int64_t *attr, int64_t to, int64_t from, int64_t p, int64_t q)
{
    if (attr[1] == TW_MIX_BOX) return llabs(p - q) <= attr[3] / 2 ? 1.0 / (double)attr[3] : 0;
    if (attr[1] == TW_MIX_PERIODIC) {
        const double at = ((double)p + 0.5) * (double)from / (double)to - 0.5;
        double sum = 0;
        for (int64_t turn = -1; turn <= 1; turn++)
            sum += fmax(1 - fabs(at - (double)(q + turn * from)), 0);
        return sum;
    }
    if (attr[1] == TW_MIX_MEAN) {
        int64_t inside = 0;
        for (int64_t k = 0; k < from; k++) inside += llabs(p - k) <= attr[3] / 2;
        return llabs(p - q) <= attr[3] / 2 ? 1.0 / (double)inside : 0;
    }
    double s = to > 1 ? (double)(p * (from - 1)) / (double)(to - 1) : 0;
    if (attr[1] == TW_MIX_CENTRES)
        s = ((double)p + 0.5) * (double)from / (double)to - 0.5;
    else if (attr[1] == TW_MIX_STARTS)
        s = (double)p * (double)from / (double)to;
    s = fmin(fmax(s, 0), (double)(from - 1));
    const double off = fabs(s - (double)q);
    return off < 1 ? 1 - off : 0;
}

static void naive_mix(const tw_node *n, double *const *in, double *out)
{
    const int64_t *a = n->attr.i, axis = a[0], from = n->in[0]->shape.dims[axis], to = a[2];
    int64_t outer, inner;
    split(n->in[0]->shape, axis, &outer, &inner);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t p = 0; p < to; p++)
            for (int64_t i = 0; i < inner; i++) {
                double sum = 0;
                for (int64_t q = 0; q < from; q++)
                    sum += (a[4] ? share(a, from, to, q, p) : share(a, to, from, p, q)) *
                           in[0][(o * from + q) * inner + i];
                out[(o * to + p) * inner + i] = sum;
            }
}

static void mixes_are_those_of_double(void **state)
{
    (void)state;
    static const struct {
        tw_shape x;
        int axis;
        tw_mix_kind kind;
        int64_t extent, window;
    } cases[] = {
        {{4, {2, 9, 7, 5}}, 1, TW_MIX_BOX, 9, 5},
        {{4, {1, 33, 40, 16}}, 2, TW_MIX_BOX, 40, 5},
        {{3, {3, 2, 19}}, 1, TW_MIX_BOX, 2, 7},
        {{4, {2, 7, 6, 130}}, 1, TW_MIX_LINEAR, 14, 1},
        {{4, {2, 4, 14, 3}}, 2, TW_MIX_LINEAR, 28, 1},
        {{4, {2, 4, 9, 300}}, 2, TW_MIX_LINEAR, 4, 1},
        {{3, {1, 5, 2}}, 1, TW_MIX_LINEAR, 1, 1},
        {{5, {1, 1, 2, 3, 4}}, 1, TW_MIX_LINEAR, 3, 1},
        {{4, {2, 9, 7, 5}}, 2, TW_MIX_MEAN, 7, 3},
        {{3, {3, 2, 19}}, 1, TW_MIX_MEAN, 2, 7},
        {{4, {1, 7, 6, 130}}, 1, TW_MIX_CENTRES, 16, 1},
        {{4, {2, 4, 9, 3}}, 2, TW_MIX_CENTRES, 4, 1},
        {{4, {1, 7, 6, 130}}, 1, TW_MIX_STARTS, 16, 1},
        {{4, {2, 4, 9, 3}}, 2, TW_MIX_STARTS, 4, 1},
        {{4, {2, 7, 6, 130}}, 1, TW_MIX_PERIODIC, 14, 1},
        {{4, {2, 4, 9, 3}}, 2, TW_MIX_PERIODIC, 4, 1},
        {{3, {1, 1, 2}}, 1, TW_MIX_PERIODIC, 3, 1},
    };
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++)
        for (int transposed = 0; transposed < 2; transposed++) {
            tw_graph *g = new_graph();
            agrees(tw_mix_axis(g, tw_input(g, "x", TW_ACT, cases[i].x), cases[i].axis,
                               cases[i].kind, cases[i].extent, cases[i].window, transposed),
                   naive_mix, 1, 4, &plain_run);
            tw_graph_destroy(&g);
        }
}

/* PyTorch's AvgPool2d counts the zeros of the padding: ones give 9 / 25 in a corner. */
static void averages_count_what_lies_outside_as_zeros(void **state)
{
    (void)state;
    tw_graph *g = new_graph();
    tw_value *y = tw_average_pool_same(g, tw_input(g, "x", TW_F32, TW_SHAPE(1, 6, 6, 1)), 5);
    single first, second;
    float ones[36], rows[36], out[36];
    for (int i = 0; i < 36; i++) ones[i] = 1;
    single_create(&first, y->node->in[0], TW_DTYPE_F32, 0);
    single_set(&first, 0, ones);
    single_run(&first, &plain_run);
    single_get(&first, 0, rows);
    single_create(&second, y, TW_DTYPE_F32, 0);
    single_set(&second, 0, rows);
    single_run(&second, &plain_run);
    single_get(&second, 0, out);
    assert_true(fabs((double)out[0] - 0.36) < 1e-6);
    assert_true(fabs((double)out[1] - 0.48) < 1e-6);
    assert_true(fabs((double)out[2 * 6 + 2] - 1) < 1e-6);
    single_destroy(&first);
    single_destroy(&second);
    tw_graph_destroy(&g);
}

static int64_t largest(const double *x, int64_t length, int64_t inner, int64_t p, int64_t reach)
{
    int64_t best = p < reach ? 0 : p - reach;
    for (int64_t q = best + 1; q <= p + reach && q < length; q++)
        if (x[q * inner] > x[best * inner]) best = q;
    return best;
}

static void naive_max(const tw_node *n, double *const *in, double *out)
{
    const int64_t length = n->in[0]->shape.dims[n->attr.i[0]], reach = n->attr.i[1] / 2;
    int64_t outer, inner;
    split(n->in[0]->shape, n->attr.i[0], &outer, &inner);
    for (int64_t k = 0; k < outer * inner; k++) {
        const int64_t at = k / inner * length * inner + k % inner;
        for (int64_t p = 0; p < length; p++)
            out[at + p * inner] = in[0][at + largest(in[0] + at, length, inner, p, reach) * inner];
    }
}

static void naive_max_grad(const tw_node *n, double *const *in, double *out)
{
    const int64_t length = n->in[0]->shape.dims[n->attr.i[0]], reach = n->attr.i[1] / 2;
    int64_t outer, inner;
    split(n->in[0]->shape, n->attr.i[0], &outer, &inner);
    for (int64_t i = 0; i < tw_shape_count(n->in[0]->shape); i++) out[i] = 0;
    for (int64_t k = 0; k < outer * inner; k++) {
        const int64_t at = k / inner * length * inner + k % inner;
        for (int64_t p = 0; p < length; p++)
            out[at + largest(in[0] + at, length, inner, p, reach) * inner] += in[1][at + p * inner];
    }
}

static const struct {
    tw_shape x;
    int axis;
    int64_t window;
} maxima[] = {
    {{4, {2, 9, 7, 5}}, 1, 5},    {{4, {1, 33, 40, 16}}, 2, 5}, {{3, {3, 2, 19}}, 1, 7},
    {{4, {2, 7, 6, 130}}, 1, 31}, {{3, {1, 1, 3}}, 1, 3},       {{5, {1, 4, 2, 3, 4}}, 1, 3},
};
enum { MAXIMA = sizeof maxima / sizeof *maxima };

static void maxima_are_those_of_double(void **state)
{
    (void)state;
    for (int i = 0; i < MAXIMA; i++) {
        tw_graph *g = new_graph();
        agrees(
            tw_max_axis(g, tw_input(g, "x", TW_ACT, maxima[i].x), maxima[i].axis, maxima[i].window),
            naive_max, 1, 0, &plain_run);
        tw_graph_destroy(&g);
    }
}

static void gradients_of_maxima_are_those_of_double(void **state)
{
    (void)state;
    for (int i = 0; i < MAXIMA; i++) {
        tw_graph *g = new_graph();
        agrees(tw_max_axis_grad(g, tw_input(g, "x", TW_ACT, maxima[i].x),
                                tw_input(g, "gy", TW_ACT, maxima[i].x), maxima[i].axis,
                                maxima[i].window),
               naive_max_grad, 1, 16, &plain_run);
        tw_graph_destroy(&g);
    }
}

/* x is the same everywhere: position 0 gets what its windows and the next two's have. */
static void the_first_of_equal_numbers_gets_the_gradient(void **state)
{
    (void)state;
    tw_graph *g = new_graph();
    single s;
    const float x[6] = {2, 2, 2, 2, 2, 2}, gy[6] = {1, 10, 100, 1000, 10000, 100000};
    float gx[6];
    const tw_shape shape = TW_SHAPE(1, 6, 1);
    single_create(&s,
                  tw_max_axis_grad(g, tw_input(g, "x", TW_F32, shape),
                                   tw_input(g, "gy", TW_F32, shape), 1, 5),
                  TW_DTYPE_F32, 0);
    single_set(&s, 0, x);
    single_set(&s, 1, gy);
    single_run(&s, &plain_run);
    single_get(&s, 0, gx);
    assert_true(gx[0] == 111 && gx[1] == 1000 && gx[2] == 10000 && gx[3] == 100000 && gx[4] == 0);
    single_destroy(&s);
    tw_graph_destroy(&g);
}

static void a_nan_is_the_largest(void **state)
{
    (void)state;
    tw_graph *g = new_graph();
    single s;
    const float x[5] = {1, 2, NAN, 4, 5};
    float y[5];
    single_create(&s, tw_max_axis(g, tw_input(g, "x", TW_F32, TW_SHAPE(1, 5, 1)), 1, 3),
                  TW_DTYPE_F32, 0);
    single_set(&s, 0, x);
    single_run(&s, &plain_run);
    single_get(&s, 0, y);
    assert_true(y[0] == 2 && isnan(y[1]) && isnan(y[2]) && isnan(y[3]) && y[4] == 5);
    single_destroy(&s);
    tw_graph_destroy(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mixes_are_those_of_double),
        cmocka_unit_test(averages_count_what_lies_outside_as_zeros),
        cmocka_unit_test(maxima_are_those_of_double),
        cmocka_unit_test(gradients_of_maxima_are_those_of_double),
        cmocka_unit_test(the_first_of_equal_numbers_gets_the_gradient),
        cmocka_unit_test(a_nan_is_the_largest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
