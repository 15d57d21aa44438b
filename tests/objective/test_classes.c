/* Networks that are told a class: which sample is of which, what a dropped label is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "model/model_fixture.h"
#include "tweedie/objective.h"

enum { N = 6, CLASSES = 3, DIMS_MAX = 8 * 8 * 2 };

#define DDPM "[process]\ntimesteps = 50\nbeta_min = 0.0001\nbeta_max = 0.02\n"
#define CONDITIONAL "classes = 3\n"
#define DROPPED "classes = 3\nlabel_dropout = 0.2\n"

typedef struct setting {
    tw_config *config;
    tw_model *m;
    tw_model_score *score;
    float x[N * DIMS_MAX], s[N * DIMS_MAX];
    double t[N];
    int64_t index[N];
} setting;

static void set_up(setting *s, const char *text, tw_shape sample)
{
    *s = (setting){0};
    s->m = make_model(&s->config, text, sample);
    ok(tw_model_score_create(&s->score, s->m, 4, TW_PRECISION_F32, TW_CONVOLUTION_DIRECT));
    for (int i = 0; i < N; i++) { /* the same point at the same time, sample by sample */
        fill_normal(s->x + i * s->m->dims, 0, s->m->dims);
        s->t[i] = 7;
        s->index[i] = 10 + i;
    }
}

static void tear_down(setting *s)
{
    tw_model_score_destroy(&s->score);
    destroy_model(&s->m, &s->config);
}

static const float *scores(setting *s, const tw_labels *labels)
{
    const tw_score *view = tw_model_score_view(s->score);
    if (labels) tw_model_score_condition(s->score, labels);
    ok(view->eval(view->self, N, s->x, s->t, s->index, s->s));
    return s->s;
}

static bool same(const setting *s, int i, int j)
{
    const size_t bytes = (size_t)s->m->dims * sizeof *s->s;
    return memcmp(s->s + i * s->m->dims, s->s + j * s->m->dims, bytes) == 0;
}

static void a_class_hangs_on_the_index_of_a_sample(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        tw_shape sample;
    } cases[] = {{MLP CONDITIONAL DDPM, {.rank = 1, .dims = {3}}},
                 {UNET CONDITIONAL DDPM, {.rank = 3, .dims = {8, 8, 2}}}};
    static const int32_t list[N + 2] = {2, 2, 0, 0, 1, 1, 2, 2};
    static setting s;
    for (int c = 0; c < 2; c++) {
        set_up(&s, cases[c].text, cases[c].sample);
        scores(&s, NULL);
        for (int i = 0; i < N; i++)
            for (int j = 0; j < i; j++) assert_true(same(&s, i, j) == (i % 3 == j % 3));
        const int own = 11 % CLASSES; /* the class of the sample of index 11 */
        float of_own[DIMS_MAX];
        memcpy(of_own, s.s + s.m->dims, (size_t)s.m->dims * sizeof *of_own);
        scores(&s, &(tw_labels){.one = own});
        assert_memory_equal(s.s, of_own, (size_t)s.m->dims * sizeof *of_own);
        for (int i = 1; i < N; i++) assert_true(same(&s, i, 0));
        scores(&s, &(tw_labels){.list = list, .first = 9, .count = N + 2}); /* 2, 0, 0, 1, 1, 2 */
        for (int i = 0; i < N; i++)
            for (int j = 0; j < i; j++) assert_true(same(&s, i, j) == (list[i + 1] == list[j + 1]));
        tear_down(&s);
    }
}

/* With a dropout there is one row more, which is its own. */
static void no_class_is_a_row_of_its_own(void **state)
{
    (void)state;
    static setting s;
    static float none[DIMS_MAX];
    set_up(&s, MLP DROPPED DDPM, TW_SHAPE(3));
    assert_int_equal(tw_params_find(s.m->params, "class.weight")->shape.dims[0], CLASSES + 1);
    memcpy(none, scores(&s, &(tw_labels){.one = TW_NO_CLASS}), 3 * sizeof *none);
    for (int c = 0; c < CLASSES; c++)
        assert_memory_not_equal(none, scores(&s, &(tw_labels){.one = c}), 3 * sizeof *none);
    tear_down(&s);
}

/* Asked for by the call, as guidance does: in the place of the score's own, also over several
 * batches; and its own again. */
static void a_call_may_ask_for_other_classes(void **state)
{
    (void)state;
    static setting s;
    static const int32_t asked[N] = {TW_NO_CLASS, 2, 0, 1, TW_NO_CLASS, 2};
    float own[N * 3], each[N * 3];
    set_up(&s, MLP DROPPED DDPM, TW_SHAPE(3));
    const tw_score *view = tw_model_score_view(s.score);
    assert_int_equal(view->classes, CLASSES);
    assert_true(view->unlabelled);
    for (int i = 0; i < N; i++)
        memcpy(each + 3 * i, scores(&s, &(tw_labels){.one = asked[i]}) + 3 * i, 3 * sizeof *each);
    memcpy(own, scores(&s, &(tw_labels){.one = 1}), sizeof own);
    view->condition(view->self, asked);
    assert_memory_equal(scores(&s, NULL), each, sizeof each);
    view->condition(view->self, NULL);
    assert_memory_equal(scores(&s, NULL), own, sizeof own);
    tear_down(&s);
}

/* Which rows of the class table get a gradient says which classes the network was told. */
static void rows_told(bool told[CLASSES + 1], tw_objective *o, const setting *s,
                      const tw_objective_step *step)
{
    const tw_param_view *v = tw_params_find(s->m->params, "class.weight");
    tw_objective_run(o, step, s->x);
    const int64_t width = v->shape.dims[1];
    for (int c = 0; c <= CLASSES; c++) {
        told[c] = false;
        for (int64_t k = 0; k < width && c < v->shape.dims[0]; k++)
            if (s->m->params->gradient[v->offset + c * width + k] != 0) told[c] = true;
    }
}

static void training_tells_the_labels_and_drops_some(void **state)
{
    (void)state;
    static setting s;
    static const int32_t label[N] = {2, 2, 2, 2, 2, 2};
    tw_objective_config config = {0};
    tw_objective *o = NULL;
    bool told[CLASSES + 1];
    int dropped = 0;
    set_up(&s, MLP DROPPED DDPM, TW_SHAPE(3));
    ok(tw_objective_bind(&config, s.config));
    ok(tw_config_finish(s.config));
    ok(tw_params_use_gradient(s.m->params, NULL));
    ok(tw_objective_create(
        &o, s.m, &config,
        &(tw_objective_options){
            .batch = N, .global_batch = N, .precision = TW_PRECISION_F32, .gradients = true}));
    tw_objective_refresh(o);
    for (int k = 0; k < 200; k++) {
        const tw_objective_step one = {
            .seed = 3, .step = k, .count = 1, .weight = 1, .label = label};
        rows_told(told, o, &s, &one);
        assert_true(!told[0] && !told[1] && told[2] != told[3]);
        dropped += told[3];
    }
    assert_in_range(dropped, 40 - 28, 40 + 28); /* five standard deviations of √(200 · 0.16) */
    tw_objective_destroy(&o);
    tw_objective_config_free(&config);
    tear_down(&s);
}

static void a_dropout_of_no_labels_is_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"[network]\nkind = mlp\nlabel_dropout = 0.1\n" DDPM, "network.label_dropout: there are"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tw_config *config = NULL;
        tw_model *m = NULL;
        ok(tw_config_create(&config));
        ok(tw_config_parse(config, cases[i][0], (int64_t)strlen(cases[i][0]), "test"));
        ok(tw_model_configure(&m, config));
        ok(tw_config_finish(config));
        assert_int_equal(tw_model_create(m, TW_SHAPE(2), 1), TW_ECONFIG);
        if (!strstr(tw_error_message(), cases[i][1]))
            fail_msg("%s: not '%s'", tw_error_message(), cases[i][1]);
        destroy_model(&m, &config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_class_hangs_on_the_index_of_a_sample),
        cmocka_unit_test(no_class_is_a_row_of_its_own),
        cmocka_unit_test(a_call_may_ask_for_other_classes),
        cmocka_unit_test(training_tells_the_labels_and_drops_some),
        cmocka_unit_test(a_dropout_of_no_labels_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
