/* Products and forward convolutions, of which samples are made, have the same bits at any number of
 * threads, whatever the library cuts by threads on this processor. */
#include <omp.h>

#include "ops/conv.h"
#include "ops/ops.h"
#include "ops/reference.h"

extern const tw_op tw_op_matmul;

static const tw_run evaluation = {0};

static void *result(tw_value *value, tw_dtype act, size_t *bytes, char *implementation)
{
    single s;
    single_create(&s, value, act, 0);
    *bytes = single_bytes(&s, value);
    void *copy = malloc(*bytes);
    fill_inputs(&s, 1);
    single_run(&s, &evaluation);
    memcpy(copy, s.task.out[value->output], *bytes);
    memcpy(implementation, s.task.implementation, sizeof s.task.implementation);
    single_destroy(&s);
    return copy;
}

static int differing;

static void compare(tw_value *v, tw_dtype act, const char *what, int k)
{
    static const int threads[] = {1, 2, 3, 4, 7};
    char implementation[TW_IMPLEMENTATION_MAX];
    void *first = NULL;
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        size_t bytes;
        omp_set_num_threads(threads[i]);
        void *y = result(v, act, &bytes, implementation);
        if (!first) first = y;
        if (memcmp(first, y, bytes) != 0) {
            print_message("%s %d (%s, %s): other bits with %d threads than with one\n", what, k,
                          implementation, act == TW_DTYPE_BF16 ? "bf16" : "f32", threads[i]);
            differing++;
        }
        if (first != y) free(y);
    }
    free(first);
    omp_set_num_threads(2);
}

/* [rows, inner] x [inner, columns], `count` times where it is not 0. */
static const struct {
    int64_t count, rows, inner, columns;
    bool ta, tb, bias, f32;
} products[] = {
    {0, 1000, 64, 64, false, true, true, false}, /* hidden layers of an MLP */
    {0, 1000, 2, 64, false, true, true, false},
    {0, 1000, 64, 2, false, true, true, true},
    {0, 50, 64, 64, false, true, true, false},
    {0, 7, 64, 64, false, true, true, false},
    {0, 1, 300, 300, false, true, true, false},
    {0, 16, 5000, 24, false, true, true, false}, /* a long sum */
    {0, 16, 2048, 512, false, true, true, false},
    {0, 64, 128, 512, false, true, true, false}, /* the time embedding of a U-Net */
    {0, 64, 4096, 64, true, false, false, true}, /* the gradient of weights */
    {0, 200, 1500, 2, true, false, false, true},
    {0, 333, 77, 129, true, true, false, false},
    {5, 200, 65, 190, false, false, false, false},
    {2, 17, 3000, 33, true, true, true, false},
};

static void products_do_not_depend_on_the_number_of_threads(void **state)
{
    (void)state;
    differing = 0;
    for (int k = 0; k < (int)(sizeof products / sizeof *products); k++) {
        tw_graph *g = new_graph();
        const int64_t n = products[k].count, r = products[k].rows, i = products[k].inner,
                      c = products[k].columns;
        const int64_t a[3] = {n, products[k].ta ? i : r, products[k].ta ? r : i},
                      b[3] = {n, products[k].tb ? c : i, products[k].tb ? i : c};
        const tw_attr attr = {.i = {products[k].ta, products[k].tb, n == 0, products[k].f32}};
        tw_value *in[3] = {tw_input(g, "a", TW_ACT, tw_shape_make(n ? a : a + 1, n ? 3 : 2)),
                           tw_input(g, "b", TW_ACT, tw_shape_make(n ? b : b + 1, n ? 3 : 2)),
                           products[k].bias ? tw_param(g, "bias", TW_SHAPE(c), tw_init_ones)
                                            : NULL};
        tw_value *v = tw_emit_optional(g, &tw_op_matmul, in, 3, 1u << 2, &attr);
        for (int act = TW_DTYPE_F32; act <= TW_DTYPE_BF16; act++)
            compare(v, (tw_dtype)act, "product", k);
        tw_graph_destroy(&g);
    }
    assert_int_equal(differing, 0);
}

static const struct {
    int rank;
    int64_t x[5], w[5], stride, before, after;
} convolutions[] = {
    {4, {4, 28, 28, 1}, {32, 1, 3, 3}, 1, 1, 1},
    {4, {4, 28, 28, 32}, {1, 32, 3, 3}, 1, 1, 1},
    {4, {4, 32, 32, 3}, {64, 3, 3, 3}, 1, 1, 1},
    {4, {4, 32, 32, 64}, {3, 64, 3, 3}, 1, 1, 1},
    {4, {1, 14, 14, 48}, {64, 48, 3, 3}, 1, 1, 1},
    {4, {16, 14, 14, 64}, {64, 64, 3, 3}, 1, 1, 1},
    {4, {5, 14, 14, 64}, {64, 64, 3, 3}, 2, 0, 1},
    {4, {4, 16, 16, 64}, {192, 64, 1, 1}, 1, 0, 0},
    {4, {1, 4, 4, 512}, {256, 512, 3, 3}, 1, 1, 1},
    {4, {3, 4, 4, 512}, {256, 512, 1, 1}, 1, 0, 0},
    {4, {3, 19, 17, 20}, {23, 20, 3, 3}, 1, 1, 1},
    {4, {2, 9, 9, 5}, {3, 5, 5, 5}, 1, 2, 2},
    {3, {8, 200, 16}, {32, 16, 5}, 1, 2, 2},
    {5, {2, 8, 9, 7, 16}, {16, 16, 3, 3, 3}, 1, 1, 1},
};

static void forward_convolutions_do_not_depend_on_the_number_of_threads(void **state)
{
    (void)state;
    differing = 0;
    for (int k = 0; k < (int)(sizeof convolutions / sizeof *convolutions); k++) {
        tw_graph *g = new_graph();
        const tw_conv_geometry geometry =
            tw_conv_square(convolutions[k].stride, convolutions[k].before, convolutions[k].after);
        tw_value *x =
            tw_input(g, "x", TW_ACT, tw_shape_make(convolutions[k].x, convolutions[k].rank));
        tw_value *w =
            tw_param(g, "w", tw_shape_make(convolutions[k].w, convolutions[k].rank), tw_init_ones);
        tw_value *b = tw_param(g, "b", TW_SHAPE(convolutions[k].w[0]), tw_init_ones);
        tw_value *v = tw_conv(g, x, w, b, &geometry);
        for (int act = TW_DTYPE_F32; act <= TW_DTYPE_BF16; act++)
            compare(v, (tw_dtype)act, "convolution", k);
        tw_graph_destroy(&g);
    }
    assert_int_equal(differing, 0);
}

/* Winograd's in all directions: sums over tiles are cut by shape. */
static void winograds_convolutions_do_not_depend_on_the_number_of_threads(void **state)
{
    (void)state;
    static const int64_t shapes[][5] = {/* N, H, W, I, O */
                                        {3, 19, 17, 20, 23}, {1, 4, 4, 200, 70},
                                        {9, 16, 12, 32, 48}, {2, 2, 2, 16, 16},
                                        {3, 57, 54, 6, 40}, /* segments of tiles */
                                        {1, 190, 180, 4, 70}};
    differing = 0;
    single_convolution = TW_CONVOLUTION_WINOGRAD;
    for (int k = 0; k < (int)(sizeof shapes / sizeof *shapes); k++) {
        const int64_t *s = shapes[k];
        tw_graph *g = new_graph();
        const tw_conv_geometry geometry = tw_conv_square(1, 1, 1);
        tw_value *x = tw_input(g, "x", TW_ACT, TW_SHAPE(s[0], s[1], s[2], s[3])),
                 *w = tw_param(g, "w", TW_SHAPE(s[4], s[3], 3, 3), tw_init_ones),
                 *b = tw_param(g, "b", TW_SHAPE(s[4]), tw_init_ones),
                 *y = tw_conv(g, x, w, b, &geometry), *wrt[] = {x, w, b}, *gradient[3];
        tw_graph_gradient(g, y, tw_input(g, "gy", TW_ACT, y->shape), wrt, 3, gradient);
        assert_int_equal(tw_graph_status(g), TW_OK);
        for (int act = TW_DTYPE_F32; act <= TW_DTYPE_BF16; act++) {
            compare(y, (tw_dtype)act, "convolution", k);
            compare(gradient[0], (tw_dtype)act, "gradient of the input", k);
            compare(gradient[1], (tw_dtype)act, "gradient of the weights", k);
            compare(gradient[2], (tw_dtype)act, "gradient of the bias", k);
        }
        tw_graph_destroy(&g);
    }
    single_convolution = TW_CONVOLUTION_DIRECT;
    assert_int_equal(differing, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_do_not_depend_on_the_number_of_threads),
        cmocka_unit_test(forward_convolutions_do_not_depend_on_the_number_of_threads),
        cmocka_unit_test(winograds_convolutions_do_not_depend_on_the_number_of_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
