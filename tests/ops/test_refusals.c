/* Shapes and attributes that do not fit: refused when the graph is built, in words that name the
 * operation and the shapes met. */
#include "ops/ops.h"
#include "ops/reference.h"

typedef struct values {
    tw_value *image, *rows, *index, *f32, *blocked;
} values;

static tw_value *bad_case(tw_graph *g, const values *v, int k)
{
    switch (k) {
    case 0:
        return tw_add(g, v->image, v->rows);
    case 1:
        return tw_mul(g, tw_input(g, "b", TW_ACT, TW_SHAPE(1, 1, 1, 6)),
                      v->image); /* the first does not repeat */
    case 2:
        return tw_sub(g, v->image, v->index);
    case 3:
        return tw_affine(g, v->index, 1, 0);
    case 4:
        return tw_broadcast(g, v->image, TW_SHAPE(2, 4, 4, 5));
    case 5:
        return tw_sum_to(g, v->image, TW_SHAPE(2, 2, 1, 6));
    case 6:
        return tw_reshape(g, v->image, TW_SHAPE(2, 4, 4));
    case 7:
        return tw_reshape(g, v->image, TW_SHAPE(-2, -4, 4, 6));
    case 8:
        return tw_cast(g, v->image, TW_I32);
    case 9:
        return tw_activation(g, v->image, TW_ACTIVATION_COUNT);
    case 10:
        return tw_activation_grad(g, v->image, v->rows, TW_SILU, 1);
    case 11:
        return tw_softmax(g, tw_input(g, "s", TW_ACT, (tw_shape){.rank = 0}), 1);
    case 12:
        return tw_concat(g, v->image, v->rows);
    case 13:
        return tw_concat(g, v->rows, v->f32);
    case 14:
        return tw_slice(g, v->image, 3, 4);
    case 15:
        return tw_slice(g, v->image, -1, 2);
    case 16:
        return tw_slice(g, v->image, INT64_MAX, 2);
    case 17:
        return tw_pad_channels(g, v->image, 1, 6);
    case 18:
        return tw_upsample_nearest(g, v->rows, 2);
    case 19:
        return tw_upsample_nearest(g, v->image, 0);
    case 20:
        return tw_average_pool(g, v->image, 3);
    case 21:
        return tw_embed_sinusoidal(g, v->rows, 8, 10000);
    case 22:
        return tw_embed_fourier(g, v->f32, v->f32);
    case 23:
        return tw_embed_table(g, v->f32, v->f32);
    case 24:
        return tw_embed_table_grad(g, v->f32, v->index, 2);
    case 25:
        return tw_squared_error(g, v->image, v->rows, NULL);
    case 26:
        return tw_squared_error(g, v->image, v->image, v->f32);
    case 27:
        return tw_softmax(g, v->blocked, 1);
    case 28:
        return tw_add(g, v->blocked, tw_input(g, "b", TW_F32, TW_SHAPE(16, 16, 3, 3)));
    case 29:
        return tw_dropout(g, tw_input(g, "s", TW_ACT, (tw_shape){.rank = 0}), 0.1);
    case 30:
        return tw_softmax_grad(g, v->image, v->rows, 1);
    default:
        return NULL;
    }
}

static void shapes_that_do_not_fit_are_refused_by_name(void **state)
{
    (void)state;
    for (int k = 0; k <= 30; k++) {
        tw_graph *g = new_graph();
        const values v = {.image = tw_input(g, "image", TW_ACT, TW_SHAPE(2, 4, 4, 6)),
                          .rows = tw_input(g, "rows", TW_ACT, TW_SHAPE(3, 7)),
                          .index = tw_input(g, "index", TW_I32, TW_SHAPE(2)),
                          .f32 = tw_input(g, "f32", TW_F32, TW_SHAPE(3, 7)),
                          .blocked = tw_param(g, "w", TW_SHAPE(16, 16, 3, 3), tw_init_ones)};
        assert_int_equal(tw_graph_status(g), TW_OK);
        if (bad_case(g, &v, k)) fail_msg("case %d was accepted", k);
        if (tw_graph_status(g) != TW_ESHAPE || !strchr(tw_error_message(), '['))
            fail_msg("case %d: %s: %s", k, tw_status_name(tw_graph_status(g)), tw_error_message());
        tw_graph_destroy(&g);
    }
}

static void missing_values_are_refused_and_errors_stay_the_first(void **state)
{
    (void)state;
    tw_graph *g = new_graph();
    tw_value *x = tw_input(g, "x", TW_ACT, TW_SHAPE(2, 3));
    assert_null(tw_slice(g, x, 2, 2));
    char first[256];
    assert_int_equal(tw_graph_status(g), TW_ESHAPE);
    snprintf(first, sizeof first, "%s", tw_error_message());
    tw_value *none[] = {tw_add(g, x, NULL),
                        tw_sum_to(g, NULL, TW_SHAPE(1)),
                        tw_broadcast(g, NULL, TW_SHAPE(1)),
                        tw_reshape(g, NULL, TW_SHAPE(1)),
                        tw_cast(g, NULL, TW_F32),
                        tw_squared_error(g, x, NULL, NULL),
                        tw_average_pool(g, NULL, 2),
                        tw_dropout(g, NULL, 0.1),
                        tw_slice(g, NULL, 0, 1),
                        tw_silu(g, NULL)};
    for (int i = 0; i < (int)(sizeof none / sizeof *none); i++) assert_null(none[i]);
    (void)tw_graph_status(g);
    assert_string_equal(tw_error_message(), first);
    tw_graph_destroy(&g);
}

static void derivatives_beyond_the_third_are_refused(void **state)
{
    (void)state;
    tw_graph *g = new_graph();
    tw_value *x = tw_input(g, "x", TW_ACT, TW_SHAPE(2, 3));
    assert_null(tw_activation_grad(g, x, x, TW_SILU, 4));
    assert_int_equal(tw_graph_status(g), TW_EUNSUPPORTED);
    tw_graph_destroy(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_that_do_not_fit_are_refused_by_name),
        cmocka_unit_test(missing_values_are_refused_and_errors_stay_the_first),
        cmocka_unit_test(derivatives_beyond_the_third_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
