/* Two networks in one graph: whose parameters are whose, what is minimised beside the loss, and
 * what a step sums beside the gradients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "tweedie/plan.h"

static void ok(tw_status st)
{
    if (st != TW_OK) fail_msg("%s", tw_error_message());
}

/* y = w x, [n, 1] */
static tw_value *network(tw_graph *g, tw_value *x)
{
    return tw_linear(g, x, tw_param(g, "weight", TW_SHAPE(1, 2), tw_init_ones), NULL);
}

static void parameters_belong_to_their_scope(void **state)
{
    tw_graph *g = NULL;
    (void)state;
    ok(tw_graph_create(&g));
    tw_value *own = tw_param(g, "weight", TW_SHAPE(1, 2), tw_init_ones);
    tw_graph_push_scope(g, &(tw_graph_scope){.prefix = "second."});
    tw_value *second = tw_param(g, "weight", TW_SHAPE(1, 2), tw_init_ones);
    tw_graph_push_scope(g, &(tw_graph_scope){.prefix = "inner.", .frozen = true});
    tw_value *frozen = tw_param(g, "weight", TW_SHAPE(3), tw_init_ones);
    tw_graph_pop_scope(g);
    tw_graph_pop_scope(g);
    tw_graph_push_scope(g, &(tw_graph_scope){.prefix = "second.", .again = true});
    assert_ptr_equal(tw_param(g, "weight", TW_SHAPE(1, 2), tw_init_ones), second);
    ok(tw_graph_status(g));
    assert_string_equal(own->name, "weight");
    assert_string_equal(second->name, "second.weight");
    assert_string_equal(frozen->name, "second.inner.weight");
    assert_int_equal(second->role, TW_ROLE_PARAM);
    assert_int_equal(frozen->role, TW_ROLE_CONSTANT);
    assert_int_equal(tw_graph_param_count(g), 2);
    assert_null(tw_param(g, "weight", TW_SHAPE(2, 2), tw_init_ones)); /* of another shape */
    assert_int_equal(tw_graph_status(g), TW_EINTERNAL);
    tw_graph_destroy(&g);
}

static void a_second_of_a_name_is_refused_unless_it_is_meant(void **state)
{
    tw_graph *g = NULL;
    (void)state;
    ok(tw_graph_create(&g));
    tw_graph_push_scope(g, &(tw_graph_scope){.prefix = "a."});
    tw_param(g, "weight", TW_SHAPE(2), tw_init_ones);
    assert_null(tw_param(g, "weight", TW_SHAPE(2), tw_init_ones));
    assert_int_equal(tw_graph_status(g), TW_EINTERNAL);
    tw_graph_destroy(&g);
}

typedef struct setting {
    tw_graph *g;
    tw_params *params;
    tw_plan *plan;
} setting;

static void plan(setting *s, bool accumulate)
{
    const tw_plan_options options = {.precision = TW_PRECISION_F32, .accumulate = accumulate};
    ok(tw_graph_status(s->g));
    ok(tw_params_create(&s->params, s->g));
    ok(tw_params_initialise(s->params, 1));
    ok(tw_params_use_gradient(s->params, NULL));
    ok(tw_plan_create(&s->plan, s->g, s->params, &options));
    tw_plan_refresh(s->plan);
}

static void destroy(setting *s)
{
    tw_plan_destroy(&s->plan);
    tw_params_destroy(&s->params);
    tw_graph_destroy(&s->g);
}

/* loss = w·x1 of [1], and beside it 10 v·x2 and w·x2: dw = x1 + x2, dv = 10 x2. */
static void a_further_loss_adds_its_gradient_alone(void **state)
{
    setting s = {0};
    (void)state;
    ok(tw_graph_create(&s.g));
    tw_value *x1 = tw_input(s.g, "x1", TW_F32, TW_SHAPE(1, 2)),
             *x2 = tw_input(s.g, "x2", TW_F32, TW_SHAPE(1, 2));
    tw_value *loss = tw_reshape(s.g, network(s.g, x1), TW_SHAPE(1));
    tw_graph_push_scope(s.g, &(tw_graph_scope){.prefix = "v."});
    tw_value *v = network(s.g, x2);
    tw_graph_pop_scope(s.g);
    tw_graph_add_loss(s.g, tw_reshape(s.g, tw_affine(s.g, v, 10, 0), TW_SHAPE(1)));
    tw_graph_push_scope(s.g, &(tw_graph_scope){.prefix = "", .again = true});
    tw_graph_add_loss(s.g, tw_reshape(s.g, network(s.g, x2), TW_SHAPE(1)));
    tw_graph_pop_scope(s.g);
    tw_graph_output(s.g, "loss", loss);
    tw_graph_gradient_of_params(s.g, loss);
    plan(&s, false);
    memcpy(tw_plan_input(s.plan, "x1"), (const float[]){1, 2}, 8);
    memcpy(tw_plan_input(s.plan, "x2"), (const float[]){3, 5}, 8);
    tw_plan_execute(s.plan, &(tw_plan_run){.training = true});
    assert_true(*(const float *)tw_plan_output(s.plan, "loss") == 3);
    const float *w = s.params->gradient + tw_params_find(s.params, "weight")->offset,
                *of_v = s.params->gradient + tw_params_find(s.params, "v.weight")->offset;
    assert_true(w[0] == 4 && w[1] == 7);
    assert_true(of_v[0] == 30 && of_v[1] == 50);
    destroy(&s);
}

/* Whether written straight to the buffer or added, statistics lie behind the gradients. */
static void statistics_are_summed_as_gradients_are(void **state)
{
    (void)state;
    for (int add = 0; add < 2; add++) {
        setting s = {0};
        ok(tw_graph_create(&s.g));
        tw_value *x = tw_input(s.g, "x", TW_F32, TW_SHAPE(1, 2));
        tw_value *mean = tw_state_param(s.g, "mean", TW_SHAPE(2), tw_init_ones);
        tw_state_param(s.g, "idle", TW_SHAPE(3), tw_init_ones);
        tw_constant(s.g, "frozen", TW_SHAPE(2), tw_init_ones);
        tw_value *loss = tw_reshape(s.g, network(s.g, x), TW_SHAPE(1));
        tw_graph_statistic(s.g, mean, tw_affine(s.g, tw_reshape(s.g, x, TW_SHAPE(2)), 2, 0));
        tw_graph_gradient_of_params(s.g, loss);
        plan(&s, add);
        const tw_params *p = s.params;
        const tw_param_view *m = tw_params_find(p, "mean"), *idle = tw_params_find(p, "idle");
        assert_true(m->offset >= p->trainable && idle->offset + 3 <= p->summed);
        assert_true(tw_params_find(p, "frozen")->offset >= p->summed);
        memset(p->gradient, 0xff, (size_t)p->summed * sizeof(float));
        for (int run = 0; run < 1 + add; run++) {
            memcpy(tw_plan_input(s.plan, "x"), (const float[]){1, 4}, 8);
            tw_plan_execute(s.plan, &(tw_plan_run){.training = true, .add_gradients = run > 0});
        }
        const float *sum = p->gradient + m->offset;
        assert_true(sum[0] == (add ? 4 : 2) && sum[1] == (add ? 16 : 8));
        for (int i = 0; i < 3; i++) assert_true(p->gradient[idle->offset + i] == 0);
        destroy(&s);
    }
}

static void a_store_grows_behind_what_it_has(void **state)
{
    tw_graph *first = NULL, *more = NULL;
    tw_params *p = NULL;
    (void)state;
    ok(tw_graph_create(&first));
    tw_param(first, "a", TW_SHAPE(3), tw_init_fan_in(3));
    tw_constant(first, "c", TW_SHAPE(2), tw_init_fan_in(3));
    ok(tw_params_create(&p, first));
    ok(tw_params_initialise(p, 5));
    float a[3], c[2];
    memcpy(a, p->value + p->views[0].offset, sizeof a);
    memcpy(c, p->value + p->views[1].offset, sizeof c);
    ok(tw_graph_create(&more));
    tw_param(more, "b", TW_SHAPE(20), tw_init_fan_in(3));
    tw_param(more, "a", TW_SHAPE(3), tw_init_fan_in(3));
    ok(tw_params_extend(p, more));
    ok(tw_params_initialise(p, 5));
    assert_int_equal(p->view_count, 3);
    assert_string_equal(p->views[2].name, "b");
    assert_memory_equal(p->value + tw_params_find(p, "a")->offset, a, sizeof a);
    assert_memory_equal(p->value + tw_params_find(p, "c")->offset, c, sizeof c);
    assert_int_equal(p->trainable, 16 + 32);
    tw_params_destroy(&p);
    tw_graph_destroy(&first);
    tw_graph_destroy(&more);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_belong_to_their_scope),
        cmocka_unit_test(a_second_of_a_name_is_refused_unless_it_is_meant),
        cmocka_unit_test(a_further_loss_adds_its_gradient_alone),
        cmocka_unit_test(statistics_are_summed_as_gradients_are),
        cmocka_unit_test(a_store_grows_behind_what_it_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
