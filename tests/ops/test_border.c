/* Padding, cropping and folding: numpy's results, and adjoints of one another. */
#include "ops/border.h"
#include "ops/ops.h"
#include "ops/reference.h"

static const tw_run plain_run = {.seed = 1};

/* numpy.pad([1, 2, 3], (2, 3), mode) */
static void a_line_is_padded_as_by_numpy(void **state)
{
    (void)state;
    static const float x[3] = {1, 2, 3},
                       want[2][8] = {{0, 0, 1, 2, 3, 0, 0, 0}, {3, 2, 1, 2, 3, 2, 1, 2}};
    for (int kind = TW_PAD_ZERO; kind <= TW_PAD_REFLECT; kind++) {
        float y[8];
        single s;
        tw_graph *g = new_graph();
        tw_value *in = tw_input(g, "x", TW_F32, TW_SHAPE(1, 3, 1));
        single_create(
            &s,
            tw_pad(g, in, (const int64_t[]){2, 0, 0}, (const int64_t[]){3, 0, 0}, (tw_padding)kind),
            TW_DTYPE_F32, 0);
        single_set(&s, 0, x);
        single_run(&s, &plain_run);
        single_get(&s, 0, y);
        assert_memory_equal(y, want[kind], sizeof y);
        single_destroy(&s);
        tw_graph_destroy(&g);
    }
}

/* Where position `at` of an output's spatial index comes from, walking to and fro. */
static int64_t walk(const tw_node *n, int d, int64_t at, int64_t extent)
{
    int64_t position = 0, step = 1;
    const int64_t before = n->attr.i[BORDER_BEFORE + d];
    if (extent == 1) return 0;
    for (int64_t k = before; k < at; k++) {
        if (position + step < 0 || position + step >= extent) step = -step;
        position += step;
    }
    for (int64_t k = before; k > at; k--) {
        if (position + step < 0 || position + step >= extent) step = -step;
        position += step;
    }
    return position;
}

static void naive_reflect(const tw_node *n, double *const *in, double *out)
{
    const tw_shape x = n->in[0]->shape, y = n->out[0].shape;
    for (int64_t i = 0; i < tw_shape_count(y); i++) {
        int64_t rest = i, index[TW_RANK_MAX], at = 0;
        for (int d = y.rank - 1; d >= 0; d--) {
            index[d] = rest % y.dims[d];
            rest /= y.dims[d];
        }
        for (int d = 0; d < y.rank; d++)
            at = at * x.dims[d] +
                 (d > 0 && d < y.rank - 1 ? walk(n, d - 1, index[d], x.dims[d]) : index[d]);
        out[i] = in[0][at];
    }
}

static void images_of_any_dimensions_are_reflected(void **state)
{
    (void)state;
    static const int64_t before[3] = {2, 0, 5}, after[3] = {1, 7, 3};
    tw_graph *g = new_graph();
    tw_value *x[] = {tw_input(g, "a", TW_ACT, TW_SHAPE(3, 4, 5, 3)),
                     tw_input(g, "b", TW_ACT, TW_SHAPE(2, 9, 1)),
                     tw_input(g, "c", TW_ACT, TW_SHAPE(1, 2, 3, 4, 2)),
                     tw_input(g, "d", TW_ACT, TW_SHAPE(1, 1, 1, 1))};
    for (int i = 0; i < 4; i++)
        agrees(tw_pad(g, x[i], before, after, TW_PAD_REFLECT), naive_reflect, 1, 0, &plain_run);
    tw_graph_destroy(&g);
}

static float *result(tw_value *v, const float *x)
{
    single s;
    float *y = malloc((size_t)tw_shape_count(v->shape) * sizeof *y);
    single_create(&s, v, TW_DTYPE_F32, 0);
    single_set(&s, 0, x);
    single_run(&s, &plain_run);
    single_get(&s, 0, y);
    single_destroy(&s);
    return y;
}

static double product(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

static float *noises(int which, tw_shape s)
{
    float *x = malloc((size_t)tw_shape_count(s) * sizeof *x);
    for (int64_t i = 0; i < tw_shape_count(s); i++) x[i] = noise(which, i);
    return x;
}

/* <pad x, y> = <x, padᵀ y>, and cropping undoes padding. */
static void gradients_are_adjoints_and_crops_undo(void **state)
{
    (void)state;
    static const int64_t before[3] = {3, 0, 2}, after[3] = {1, 6, 0};
    for (int kind = TW_PAD_ZERO; kind <= TW_PAD_REFLECT; kind++) {
        tw_graph *g = new_graph();
        const tw_shape small = TW_SHAPE(2, 3, 4, 3);
        tw_value *x = tw_input(g, "x", TW_F32, small), *gx = NULL,
                 *y = tw_pad(g, x, before, after, (tw_padding)kind),
                 *seed = tw_input(g, "seed", TW_F32, y->shape);
        tw_graph_gradient(g, y, seed, &x, 1, &gx);
        tw_value *back = tw_crop(g, seed, before, after);
        float *a = noises(1, small), *b = noises(2, y->shape), *padded = result(y, a),
              *folded = result(gx, b), *cropped = result(back, padded);
        const double left = product(padded, b, tw_shape_count(y->shape)),
                     right = product(a, folded, tw_shape_count(small));
        assert_true(fabs(left - right) < 1e-5);
        assert_memory_equal(cropped, a, (size_t)tw_shape_count(small) * sizeof *a);
        float *all[] = {a, b, padded, folded, cropped};
        for (int i = 0; i < 5; i++) free(all[i]);
        tw_graph_destroy(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_padded_as_by_numpy),
        cmocka_unit_test(images_of_any_dimensions_are_reflected),
        cmocka_unit_test(gradients_are_adjoints_and_crops_undo),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
