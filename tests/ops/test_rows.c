/* Softmax, joining and cutting, resampling against naive loops in double. */
#include "ops/ops.h"
#include "ops/reference.h"

static const tw_run plain_run = {.seed = 1};

static void naive_softmax(const tw_node *n, double *const *in, double *out)
{
    const int64_t c = tw_shape_channels(n->out[0].shape);
    for (int64_t r = 0; r < tw_shape_count(n->out[0].shape); r += c) {
        double largest = -INFINITY, sum = 0;
        for (int64_t i = 0; i < c; i++) largest = fmax(largest, n->attr.f[0] * in[0][r + i]);
        for (int64_t i = 0; i < c; i++)
            sum += out[r + i] = exp(n->attr.f[0] * in[0][r + i] - largest);
        for (int64_t i = 0; i < c; i++) out[r + i] /= sum;
    }
}

static void naive_softmax_grad(const tw_node *n, double *const *in, double *out)
{
    const int64_t c = tw_shape_channels(n->out[0].shape);
    for (int64_t r = 0; r < tw_shape_count(n->out[0].shape); r += c) {
        double dot = 0;
        for (int64_t i = 0; i < c; i++) dot += in[0][r + i] * in[1][r + i];
        for (int64_t i = 0; i < c; i++)
            out[r + i] = n->attr.f[0] * in[0][r + i] * (in[1][r + i] - dot);
    }
}

/* Rows of one, of no vector's length, of more than the stack buffer, and with logits far apart. */
static void softmax_and_its_gradient_are_those_of_double(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 2, 19, 256, 1025, 4099};
    for (int i = 0; i < 6; i++)
        for (int far = 0; far < 2; far++) {
            tw_graph *g = new_graph();
            const tw_shape shape = TW_SHAPE(2, 3, sizes[i]);
            tw_value *x = tw_input(g, "x", TW_ACT, shape), *gy = tw_input(g, "gy", TW_ACT, shape);
            agrees(tw_softmax(g, x, far ? 60 : -0.7), naive_softmax, 1, far ? 64 : 4, &plain_run);
            agrees(tw_softmax_grad(g, x, gy, 0.5), naive_softmax_grad, 1,
                   8 * sqrt((double)sizes[i]) + 4, &plain_run);
            tw_graph_destroy(&g);
        }
}

static void rows_of_softmax_sum_to_one_for_any_logits(void **state)
{
    (void)state;
    const float x[6] = {3e38f, -3e38f, 0, -3e38f, -3e38f, -3e38f};
    tw_graph *g = new_graph();
    single s;
    float y[6];
    single_create(&s, tw_softmax(g, tw_input(g, "x", TW_F32, TW_SHAPE(2, 3)), 1), TW_DTYPE_F32, 0);
    single_set(&s, 0, x);
    single_run(&s, &plain_run);
    single_get(&s, 0, y);
    assert_true(y[0] == 1 && y[1] == 0 && y[2] == 0);
    for (int i = 3; i < 6; i++) assert_true(fabsf(y[i] - 1.0f / 3) < 1e-7f);
    single_destroy(&s);
    tw_graph_destroy(&g);
}

static void naive_concat(const tw_node *n, double *const *in, double *out)
{
    const int64_t ca = tw_shape_channels(n->in[0]->shape), cb = tw_shape_channels(n->in[1]->shape),
                  c = ca + cb;
    for (int64_t j = 0; j < tw_shape_count(n->out[0].shape); j++)
        out[j] = j % c < ca ? in[0][j / c * ca + j % c] : in[1][j / c * cb + j % c - ca];
}

static void naive_slice(const tw_node *n, double *const *in, double *out)
{
    const int64_t c = tw_shape_channels(n->in[0]->shape), count = n->attr.i[1];
    for (int64_t j = 0; j < tw_shape_count(n->out[0].shape); j++)
        out[j] = in[0][j / count * c + n->attr.i[0] + j % count];
}

static void naive_pad(const tw_node *n, double *const *in, double *out)
{
    const int64_t c = tw_shape_channels(n->in[0]->shape), total = n->attr.i[1],
                  first = n->attr.i[0];
    for (int64_t j = 0; j < tw_shape_count(n->out[0].shape); j++) {
        const int64_t i = j % total - first;
        out[j] = i >= 0 && i < c ? in[0][j / total * c + i] : 0;
    }
}

static void channels_are_joined_cut_and_padded(void **state)
{
    (void)state;
    static const int64_t cases[][3] = {{1, 1, 1}, {3, 64, 1000}, {19, 5, 77}, {128, 129, 200}};
    for (int i = 0; i < 4; i++) {
        tw_graph *g = new_graph();
        const int64_t ca = cases[i][0], cb = cases[i][1], rows = cases[i][2];
        tw_value *a = tw_input(g, "a", TW_ACT, TW_SHAPE(rows, ca)),
                 *b = tw_input(g, "b", TW_ACT, TW_SHAPE(rows, cb));
        tw_value *both = tw_concat(g, a, b);
        agrees(both, naive_concat, 1, 0, &plain_run);
        agrees(tw_slice(g, both, 0, ca), naive_slice, 1, 0, &plain_run);
        agrees(tw_slice(g, both, ca, cb), naive_slice, 1, 0, &plain_run);
        agrees(tw_pad_channels(g, a, cb, ca + cb + 2), naive_pad, 1, 0, &plain_run);
        agrees(tw_pad_channels(g, a, 0, ca + 1), naive_pad, 1, 0, &plain_run);
        tw_graph_destroy(&g);
    }
}

/* Visits every element of the big tensor with its place in the small one. */
static int64_t small_index(tw_shape big, tw_shape small, int64_t factor, int64_t j)
{
    int64_t at = 0, stride = 1;
    for (int d = big.rank - 1; d >= 0; d--) {
        const int64_t i = j % big.dims[d];
        j /= big.dims[d];
        at += (d == 0 || d == big.rank - 1 ? i : i / factor) * stride;
        stride *= small.dims[d];
    }
    return at;
}

static void naive_upsample(const tw_node *n, double *const *in, double *out)
{
    for (int64_t j = 0; j < tw_shape_count(n->out[0].shape); j++)
        out[j] =
            n->attr.f[0] * in[0][small_index(n->out[0].shape, n->in[0]->shape, n->attr.i[0], j)];
}

static void naive_pool(const tw_node *n, double *const *in, double *out)
{
    for (int64_t k = 0; k < tw_shape_count(n->out[0].shape); k++) out[k] = 0;
    for (int64_t j = 0; j < tw_shape_count(n->in[0]->shape); j++)
        out[small_index(n->in[0]->shape, n->out[0].shape, n->attr.i[0], j)] +=
            n->attr.f[0] * in[0][j];
}

/* The scale from the shapes, not from what the builder has set. */
static void naive_average(const tw_node *n, double *const *in, double *out)
{
    const int64_t count = tw_shape_count(n->out[0].shape);
    naive_pool(n, in, out);
    for (int64_t k = 0; k < count; k++)
        out[k] *= (double)count / (double)tw_shape_count(n->in[0]->shape) / n->attr.f[0];
}

static void resampling_repeats_and_averages_in_one_to_three_dimensions(void **state)
{
    (void)state;
    static const tw_shape small[] = {
        {3, {2, 5, 3}},      {3, {1, 1, 1}},       {4, {2, 3, 5, 7}},    {4, {3, 17, 16, 33}},
        {4, {1, 2, 1, 300}}, {5, {2, 3, 2, 5, 3}}, {5, {1, 1, 3, 1, 1}},
    };
    for (int i = 0; i < (int)(sizeof small / sizeof *small); i++)
        for (int64_t factor = 1; factor <= 3; factor++) {
            tw_graph *g = new_graph();
            tw_value *up = tw_upsample_nearest(g, tw_input(g, "x", TW_ACT, small[i]), factor);
            agrees(up, naive_upsample, 1, 0, &plain_run);
            agrees(tw_average_pool(g, up, factor), naive_average, 1, 2, &plain_run);
            agrees(tw_pool_scaled(g, up, factor, 1), naive_pool, 1, 8, &plain_run);
            tw_graph_destroy(&g);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(softmax_and_its_gradient_are_those_of_double),
        cmocka_unit_test(rows_of_softmax_sum_to_one_for_any_logits),
        cmocka_unit_test(channels_are_joined_cut_and_padded),
        cmocka_unit_test(resampling_repeats_and_averages_in_one_to_three_dimensions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
