/* Plans of small graphs: where values lie, what is dropped, what is fused and what must not be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "graph/memory_plan.h"
#include "tweedie/plan.h"

/* ---- memory ---- */

static uint64_t state_of_parts = 1;

static int64_t draw(int64_t n)
{
    state_of_parts = state_of_parts * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)(state_of_parts >> 33) % n;
}

static size_t aligned(size_t bytes)
{
    return (bytes + TW_ALIGNMENT - 1) / TW_ALIGNMENT * TW_ALIGNMENT;
}

static bool live_together(const tw_buffer *a, const tw_buffer *b)
{
    return a->first <= b->last && b->first <= a->last;
}

static void check_memory(tw_buffer *b, int n, int steps)
{
    size_t total = 0, most = 0, end = 0;
    assert_int_equal(tw_memory_plan(b, n, NULL, 0, &total), TW_OK);
    for (int i = 0; i < n; i++) {
        assert_int_equal(b[i].offset % TW_ALIGNMENT, 0);
        assert_true(b[i].offset + b[i].bytes <= total);
        if (end < b[i].offset + aligned(b[i].bytes)) end = b[i].offset + aligned(b[i].bytes);
        for (int j = 0; j < i; j++)
            if (live_together(&b[i], &b[j]) && b[i].bytes && b[j].bytes)
                assert_true(b[i].offset + b[i].bytes <= b[j].offset ||
                            b[j].offset + b[j].bytes <= b[i].offset);
    }
    assert_int_equal(end, total); /* nothing behind the last buffer */
    for (int k = 0; k < steps; k++) {
        size_t live = 0;
        for (int i = 0; i < n; i++)
            live += b[i].first <= k && k <= b[i].last ? aligned(b[i].bytes) : 0;
        if (most < live) most = live;
    }
    assert_true(
        total >= most &&
        total <=
            2 * most +
                TW_ALIGNMENT); /* no less than what is alive; the bound above is a sanity check */
}

static void buffers_that_live_together_never_overlap(void **state)
{
    (void)state;
    enum { MOST = 60, STEPS = 40 };
    tw_buffer b[MOST];
    for (int trial = 0; trial < 2000; trial++) {
        const int n = 1 + (int)draw(MOST), longest = 1 + (int)draw(STEPS);
        for (int i = 0; i < n; i++) {
            const int first = (int)draw(STEPS), last = first + (int)draw(longest);
            b[i] = (tw_buffer){.bytes = (size_t)(1 + draw(trial % 3 ? 100000 : 200)),
                               .first = first,
                               .last = last < STEPS ? last : STEPS - 1};
        }
        check_memory(b, n, STEPS);
    }
}

/* As gradients take their buffer: range by range, each from some step on. */
static void buffers_keep_clear_of_what_is_taken_and_use_what_is_free(void **state)
{
    (void)state;
    enum { MOST = 40, RANGES = 8, STEPS = 40, LINE = TW_ALIGNMENT };
    tw_buffer b[MOST], alone[MOST], taken[RANGES];
    size_t saved = 0;
    for (int trial = 0; trial < 500; trial++) {
        const int n = 1 + (int)draw(MOST);
        size_t at = 0, total, without;
        for (int i = 0; i < RANGES; i++) {
            taken[i] = (tw_buffer){.bytes = (size_t)(1 + draw(900)) * LINE, .last = STEPS};
            taken[i].first = i + 1 < RANGES ? (int)draw(STEPS) : 0;
            taken[i].offset = at;
            at += taken[i].bytes;
        }
        for (int i = 0; i < n; i++) {
            b[i] = (tw_buffer){.bytes = (size_t)(1 + draw(100000)), .first = (int)draw(STEPS)};
            b[i].last = b[i].first + (int)draw(STEPS - b[i].first);
            alone[i] = b[i];
        }
        assert_int_equal(tw_memory_plan(alone, n, NULL, 0, &without), TW_OK);
        assert_int_equal(tw_memory_plan(b, n, taken, RANGES, &total), TW_OK);
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < RANGES; j++)
                assert_true(!live_together(&b[i], &taken[j]) ||
                            b[i].offset + b[i].bytes <= taken[j].offset ||
                            taken[j].offset + taken[j].bytes <= b[i].offset);
            for (int j = 0; j < i; j++)
                assert_true(!live_together(&b[i], &b[j]) ||
                            b[i].offset + b[i].bytes <= b[j].offset ||
                            b[j].offset + b[j].bytes <= b[i].offset);
        }
        saved += total < at + without;
    }
    assert_true(saved > 250); /* most often less than one behind the other */
}

/* ---- graphs ---- */

typedef struct planned {
    tw_graph *g;
    tw_params *params;
    tw_plan *plan;
} planned;

static void fill(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] = (float)sin(0.7 * (double)i + 0.3);
}

/* Plans what has been built, with every input and parameter filled. */
static void plan(planned *p, const tw_plan_options *options)
{
    if (!p->params) {
        assert_int_equal(tw_graph_status(p->g), TW_OK);
        assert_int_equal(tw_params_create(&p->params, p->g), TW_OK);
        assert_int_equal(tw_params_use_gradient(p->params, NULL), TW_OK);
        for (int i = 0; i < p->params->view_count; i++)
            fill(p->params->value + p->params->views[i].offset, p->params->views[i].count);
    }
    tw_plan_destroy(&p->plan);
    if (tw_plan_create(&p->plan, p->g, p->params, options) != TW_OK)
        fail_msg("%s", tw_error_message());
    fill(tw_plan_input(p->plan, "x"), tw_shape_count(tw_plan_shape(p->plan, "x")));
    tw_plan_refresh(p->plan);
}

static void execute(planned *p)
{
    const tw_plan_run run = {0};
    tw_plan_execute(p->plan, &run);
}

static void destroy(planned *p)
{
    tw_plan_destroy(&p->plan);
    tw_params_destroy(&p->params);
    tw_graph_destroy(&p->g);
}

static int count_ops(const tw_plan *p, const char *op)
{
    int n = 0;
    for (int i = 0; i < tw_plan_task_count(p); i++) n += strcmp(tw_plan_task(p, i).op, op) == 0;
    return n;
}

static tw_value *input(tw_graph *g)
{
    return tw_input(g, "x", TW_F32, TW_SHAPE(2, 4, 5, 8));
}

static tw_value *norm(tw_graph *g, tw_value *x)
{
    return tw_group_norm(g, x, tw_param(g, "gamma", TW_SHAPE(8), tw_init_ones),
                         tw_param(g, "beta", TW_SHAPE(8), tw_init_ones), 4, 1e-6);
}

static tw_value *conv(tw_graph *g, const char *name, tw_value *x)
{
    const tw_conv_geometry same = tw_conv_square(1, 1, 1);
    return tw_conv(g, x, tw_param(g, name, TW_SHAPE(8, 8, 3, 3), tw_init_ones), NULL, &same);
}

static void what_no_output_needs_is_dropped(void **state)
{
    (void)state;
    planned p = {0};
    assert_int_equal(tw_graph_create(&p.g), TW_OK);
    tw_value *x = input(p.g), *unused = tw_silu(p.g, tw_mul(p.g, x, x));
    tw_silu(p.g, conv(p.g, "w", unused));
    tw_graph_output(p.g, "y", tw_affine(p.g, x, 2, 1));
    plan(&p, &(tw_plan_options){0});
    assert_int_equal(tw_plan_task_count(p.plan), 1);
    assert_int_equal(count_ops(p.plan, "affine"), 1);
    execute(&p);
    const float *y = tw_plan_output(p.plan, "y"), *in = tw_plan_input(p.plan, "x");
    for (int i = 0; i < 2 * 4 * 5 * 8; i++) assert_true(y[i] == 2 * in[i] + 1);
    destroy(&p);
}

/* The outputs that `build` names, fused and unfused: the same numbers to rounding. Leaves the fused
 * plan. */
static void compare(planned *p, const char *const *names, int n)
{
    float *kept[4];
    plan(p, &(tw_plan_options){.no_fusion = true});
    execute(p);
    for (int i = 0; i < n; i++) {
        const size_t bytes =
            (size_t)tw_shape_count(tw_plan_shape(p->plan, names[i])) * sizeof(float);
        kept[i] = memcpy(malloc(bytes), tw_plan_output(p->plan, names[i]), bytes);
    }
    plan(p, &(tw_plan_options){.poison = true});
    execute(p);
    for (int i = 0; i < n; i++) {
        const float *got = tw_plan_output(p->plan, names[i]);
        for (int64_t j = 0; j < tw_shape_count(tw_plan_shape(p->plan, names[i])); j++)
            if (!(fabsf(got[j] - kept[i][j]) <= 1e-5f * (1 + fabsf(kept[i][j]))))
                fail_msg("%s[%lld] is %g fused, %g unfused", names[i], (long long)j, (double)got[j],
                         (double)kept[i][j]);
        free(kept[i]);
    }
}

static void norm_and_activation_are_one_pass(void **state)
{
    (void)state;
    planned p = {0};
    assert_int_equal(tw_graph_create(&p.g), TW_OK);
    tw_value *x = tw_cast(p.g, input(p.g), TW_ACT),
             *y = tw_cast(p.g, tw_silu(p.g, norm(p.g, x)), TW_F32);
    tw_graph_output(p.g, "y", y);
    tw_graph_gradient_of_params(p.g, tw_sum_to(p.g, tw_mul(p.g, y, y), (tw_shape){0}));
    compare(&p, (const char *const[]){"y"}, 1);
    assert_int_equal(count_ops(p.plan, "norm_act"), 1);
    assert_int_equal(count_ops(p.plan, "norm_act_grad"), 1);
    assert_int_equal(count_ops(p.plan, "activation") + count_ops(p.plan, "activation_grad") +
                         count_ops(p.plan, "group_norm"),
                     0);
    destroy(&p);
}

/* The sum in front of the activation is asked for itself: it must exist, so nothing may swallow it.
 */
static void a_value_in_the_middle_that_is_an_output_stays(void **state)
{
    (void)state;
    planned p = {0};
    assert_int_equal(tw_graph_create(&p.g), TW_OK);
    tw_value *h = norm(p.g, tw_cast(p.g, input(p.g), TW_ACT));
    tw_graph_output(p.g, "middle", tw_cast(p.g, h, TW_F32));
    tw_graph_output(p.g, "y", tw_cast(p.g, tw_silu(p.g, h), TW_F32));
    compare(&p, (const char *const[]){"middle", "y"}, 2);
    assert_int_equal(count_ops(p.plan, "activation"), 1);
    destroy(&p);
    assert_int_equal(tw_graph_create(&p.g), TW_OK);
    h = norm(p.g, tw_cast(p.g, input(p.g), TW_ACT));
    tw_graph_output(p.g, "middle", h); /* the value itself */
    tw_graph_output(p.g, "y", tw_cast(p.g, tw_silu(p.g, h), TW_F32));
    compare(&p, (const char *const[]){"middle", "y"}, 2);
    assert_int_equal(count_ops(p.plan, "activation"), 1);
    destroy(&p);
}

static void a_residual_is_added_by_the_convolution(void **state)
{
    (void)state;
    planned p = {0};
    assert_int_equal(tw_graph_create(&p.g), TW_OK);
    tw_value *x = tw_cast(p.g, input(p.g), TW_ACT);
    tw_graph_output(p.g, "y", tw_cast(p.g, tw_add(p.g, conv(p.g, "w", x), x), TW_F32));
    compare(&p, (const char *const[]){"y"}, 1);
    assert_int_equal(count_ops(p.plan, "add"), 0);
    destroy(&p);
}

static void a_convolution_that_is_read_before_its_sum_stays_alone(void **state)
{
    (void)state;
    planned p = {0};
    assert_int_equal(tw_graph_create(&p.g), TW_OK);
    tw_value *x = tw_cast(p.g, input(p.g), TW_ACT), *h = conv(p.g, "w", x),
             *sum = tw_add(p.g, h, x);
    tw_graph_output(p.g, "h", h);
    tw_graph_output(p.g, "y", tw_cast(p.g, sum, TW_F32));
    compare(&p, (const char *const[]){"h", "y"}, 2);
    assert_int_equal(count_ops(p.plan, "add"), 1);
    destroy(&p);
    /* h + silu(h): the other summand needs the convolution */
    assert_int_equal(tw_graph_create(&p.g), TW_OK);
    h = conv(p.g, "w", tw_cast(p.g, input(p.g), TW_ACT));
    tw_graph_output(p.g, "y", tw_cast(p.g, tw_add(p.g, h, tw_silu(p.g, h)), TW_F32));
    compare(&p, (const char *const[]){"y"}, 1);
    assert_int_equal(count_ops(p.plan, "add"), 1);
    destroy(&p);
}

/* Of two convolutions one takes the other's result; a sum of one value with itself has no summand.
 */
static void sums_of_convolutions_are_right_either_way(void **state)
{
    (void)state;
    planned p = {0};
    assert_int_equal(tw_graph_create(&p.g), TW_OK);
    tw_value *x = tw_cast(p.g, input(p.g), TW_ACT), *a = conv(p.g, "a", x), *b = conv(p.g, "b", x);
    tw_value *twice = conv(p.g, "c", x);
    tw_graph_output(p.g, "y", tw_cast(p.g, tw_add(p.g, a, b), TW_F32));
    tw_graph_output(p.g, "z", tw_cast(p.g, tw_add(p.g, twice, twice), TW_F32));
    compare(&p, (const char *const[]){"y", "z"}, 2);
    assert_int_equal(count_ops(p.plan, "add"), 1);
    destroy(&p);
}

/* A summand that is read again later must not be overwritten by the convolution that adds it. */
static void a_residual_that_lives_on_keeps_its_value(void **state)
{
    (void)state;
    planned p = {0};
    assert_int_equal(tw_graph_create(&p.g), TW_OK);
    tw_value *x = tw_silu(p.g, tw_cast(p.g, input(p.g), TW_ACT)),
             *y = tw_add(p.g, conv(p.g, "a", x), x);
    tw_graph_output(p.g, "y", tw_cast(p.g, tw_mul(p.g, y, x), TW_F32));
    tw_graph_output(p.g, "x again", tw_cast(p.g, tw_affine(p.g, x, 3, 0), TW_F32));
    compare(&p, (const char *const[]){"y", "x again"}, 2);
    destroy(&p);
}

/* A convolution of blocked weights with its backward-data, a 1 x 1, one of odd channels, a linear
 * layer. */
static void build_packed(planned *p)
{
    tw_graph *g = p->g;
    const tw_conv_geometry same = tw_conv_square(1, 1, 1), point = tw_conv_square(1, 0, 0);
    tw_value *x = tw_cast(g, tw_input(g, "x", TW_F32, TW_SHAPE(2, 4, 5, 16)), TW_ACT);
    tw_value *w[4] = {tw_param(g, "w0", TW_SHAPE(48, 16, 3, 3), tw_init_ones),
                      tw_param(g, "w1", TW_SHAPE(35, 48, 1, 1), tw_init_ones),
                      tw_param(g, "w2", TW_SHAPE(7, 35, 3, 3), tw_init_ones),
                      tw_param(g, "w3", TW_SHAPE(37, 7), tw_init_ones)};
    tw_value *h = tw_conv(g, x, w[0], NULL, &same), *gx = NULL;
    h = tw_conv(g, h, w[1], NULL, &point);
    h = tw_linear(g, tw_conv(g, h, w[2], NULL, &same), w[3], NULL);
    tw_graph_gradient(g, h, tw_silu(g, h), &x, 1, &gx);
    tw_graph_output(g, "y", tw_cast(g, h, TW_F32));
    tw_graph_output(g, "gx", tw_cast(g, gx, TW_F32));
}

/* Numbers of a part, others elsewhere: packing the part alone is enough of it, and reads no more.
 */
static void pack_part_alone(planned *p, int64_t i, const float *wanted)
{
    const tw_plan_part part = tw_plan_part_get(p->plan, i);
    for (int64_t k = 0; k < p->params->size; k++) p->params->value[k] = NAN;
    memcpy(p->params->value + part.offset, wanted + part.offset,
           (size_t)part.count * sizeof *wanted);
    tw_plan_pack(p->plan, i);
}

static void parts_pack_what_a_refresh_packs(void **state)
{
    (void)state;
    for (int precision = TW_PRECISION_F32; precision <= TW_PRECISION_BF16; precision++) {
        planned p = {0};
        const tw_plan_options options = {.precision = (tw_precision)precision};
        assert_int_equal(tw_graph_create(&p.g), TW_OK);
        build_packed(&p);
        plan(&p, &options);
        execute(&p);
        const int64_t n = tw_plan_part_count(p.plan), size = p.params->size,
                      count = tw_shape_count(tw_plan_shape(p.plan, "gx"));
        float *wanted = malloc((size_t)size * sizeof *wanted),
              *gx = malloc((size_t)count * sizeof *gx);
        memcpy(wanted, p.params->value, (size_t)size * sizeof *wanted);
        memcpy(gx, tw_plan_output(p.plan, "gx"), (size_t)count * sizeof *gx);
        for (int64_t k = 0; k < size; k++) p.params->value[k] = 9;
        tw_plan_refresh(p.plan);
        for (int64_t i = n - 1, end = size; i >= 0; i--) {
            const tw_plan_part part = tw_plan_part_get(p.plan, i);
            assert_true(part.offset >= 0 && part.count > 0 && part.offset + part.count <= end);
            end = part.offset;
            pack_part_alone(&p, i, wanted);
        }
        memcpy(p.params->value, wanted, (size_t)size * sizeof *wanted);
        execute(&p);
        assert_memory_equal(gx, tw_plan_output(p.plan, "gx"), (size_t)count * sizeof *gx);
        assert_true(n > 3);
        free(wanted);
        free(gx);
        destroy(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffers_that_live_together_never_overlap),
        cmocka_unit_test(buffers_keep_clear_of_what_is_taken_and_use_what_is_free),
        cmocka_unit_test(what_no_output_needs_is_dropped),
        cmocka_unit_test(norm_and_activation_are_one_pass),
        cmocka_unit_test(a_value_in_the_middle_that_is_an_output_stays),
        cmocka_unit_test(a_residual_is_added_by_the_convolution),
        cmocka_unit_test(a_convolution_that_is_read_before_its_sum_stays_alone),
        cmocka_unit_test(sums_of_convolutions_are_right_either_way),
        cmocka_unit_test(a_residual_that_lives_on_keeps_its_value),
        cmocka_unit_test(parts_pack_what_a_refresh_packs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
