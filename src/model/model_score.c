/* The network seen as a score. One plan of a fixed batch evaluates it; another, made when it is
 * first wanted, gives vᵀ ∂s/∂x as well. */
#include <math.h>
#include <string.h>

#include "tweedie/memory.h"
#include "tweedie/model.h"

struct tw_model_score {
    tw_model *model;
    int64_t batch;
    tw_precision precision;
    tw_plan *forward, *backward;
    tw_score view;
};

static tw_status plan_forward(tw_model_score *s)
{
    tw_status st = TW_OK;
    tw_graph *g = NULL;
    const tw_plan_options options = {.precision = s->precision};
    TW_TRY(tw_graph_create(&g));
    tw_graph_output(g, "noise", tw_model_build(g, s->model, s->batch, NULL));
    TW_TRY(tw_plan_create(&s->forward, g, s->model->params, &options));
    tw_plan_refresh(s->forward);
done:
    tw_graph_destroy(&g);
    return st;
}

static tw_status plan_backward(tw_model_score *s)
{
    tw_status st = TW_OK;
    tw_graph *g = NULL;
    tw_value *x = NULL, *gx = NULL;
    const tw_plan_options options = {.precision = s->precision};
    TW_TRY(tw_graph_create(&g));
    tw_value *noise = tw_model_build(g, s->model, s->batch, NULL);
    TW_TRY(tw_graph_status(g));
    x = tw_graph_input(g, "x");
    tw_graph_gradient(g, noise, tw_input(g, "v", TW_F32, noise->shape), &x, 1, &gx);
    if (gx) tw_graph_output(g, "vjp", tw_cast(g, gx, TW_F32));
    tw_graph_output(g, "noise", noise);
    TW_TRY(tw_plan_create(&s->backward, g, s->model->params, &options));
    tw_plan_refresh(s->backward);
done:
    tw_graph_destroy(&g);
    return st;
}

/* Fills one batch's inputs; what is missing to a full batch repeats the last sample. */
static void fill(const tw_model_score *s, tw_plan *plan, const char *name, const float *from,
                 int64_t n)
{
    const int64_t dims = s->model->dims;
    float *to = tw_plan_input(plan, name);
    memcpy(to, from, (size_t)(n * dims) * sizeof *to);
    for (int64_t i = n; i < s->batch; i++)
        memcpy(to + i * dims, from + (n - 1) * dims, (size_t)dims * sizeof *to);
}

static tw_status fill_times(const tw_model_score *s, tw_plan *plan, const double *t, int64_t n)
{
    tw_status st = TW_OK;
    float *to = tw_plan_input(plan, "t");
    const int64_t steps = tw_model_timesteps(s->model);
    for (int64_t i = 0; i < s->batch; i++) {
        const double ti = t[i < n ? i : n - 1];
        TW_CHECK(ti >= 0 && ti <= (double)(steps - 1) && floor(ti) == ti, TW_EDATA,
                 "time %g: expected an index of 0 to %lld", ti, (long long)steps - 1);
        if (to) to[i] = (float)tw_model_moment(s->model, (int64_t)ti).embedded;
    }
done:
    return st;
}

static void take(const tw_model_score *s, const float *from, const double *t, int64_t n,
                 bool as_score, float *out)
{
    const int64_t dims = s->model->dims;
    for (int64_t i = 0; i < n; i++) {
        const float factor =
            as_score ? (float)(-1 / tw_model_moment(s->model, (int64_t)t[i]).std) : 1.0f;
        for (int64_t k = 0; k < dims; k++) out[i * dims + k] = factor * from[i * dims + k];
    }
}

static tw_status evaluate(tw_model_score *s, int64_t n, const float *x, const double *t,
                          bool as_score, float *out)
{
    tw_status st = TW_OK;
    const tw_plan_run run = {0};
    const int64_t dims = s->model->dims;
    for (int64_t first = 0; first < n; first += s->batch) {
        const int64_t count = n - first < s->batch ? n - first : s->batch;
        fill(s, s->forward, "x", x + first * dims, count);
        TW_TRY(fill_times(s, s->forward, t + first, count));
        tw_plan_execute(s->forward, &run);
        take(s, tw_plan_output(s->forward, "noise"), t + first, count, as_score,
             out + first * dims);
    }
done:
    return st;
}

static tw_status eval(void *self, int64_t n, const float *x, const double *t, const int64_t *index,
                      float *score_out)
{
    (void)index; /* the network draws nothing and takes no labels */
    return evaluate(self, n, x, t, true, score_out);
}

static tw_status vjp(void *self, int64_t n, const float *x, const double *t, const int64_t *index,
                     const float *v, float *score_out, float *vjp_out)
{
    tw_status st = TW_OK;
    tw_model_score *s = self;
    const tw_plan_run run = {0};
    const int64_t dims = s->model->dims;
    (void)index;
    if (!s->backward) TW_TRY(plan_backward(s));
    for (int64_t first = 0; first < n; first += s->batch) {
        const int64_t count = n - first < s->batch ? n - first : s->batch;
        fill(s, s->backward, "x", x + first * dims, count);
        fill(s, s->backward, "v", v + first * dims, count);
        TW_TRY(fill_times(s, s->backward, t + first, count));
        tw_plan_execute(s->backward, &run);
        take(s, tw_plan_output(s->backward, "vjp"), t + first, count, true, vjp_out + first * dims);
        if (score_out)
            take(s, tw_plan_output(s->backward, "noise"), t + first, count, true,
                 score_out + first * dims);
    }
done:
    return st;
}

tw_status tw_model_score_create(tw_model_score **out, tw_model *m, int64_t batch,
                                tw_precision precision)
{
    tw_status st = TW_OK;
    tw_model_score *s = NULL;
    TW_TRY(tw_alloc(&s, 1, sizeof *s, "a model's score"));
    s->model = m;
    s->batch = batch;
    s->precision = precision;
    s->view = (tw_score){.self = s, .dims = m->dims, .eval = eval, .vjp = vjp};
    TW_TRY(plan_forward(s));
    *out = s;
    s = NULL;
done:
    tw_model_score_destroy(&s);
    return st;
}

void tw_model_score_destroy(tw_model_score **score)
{
    if (!*score) return;
    tw_plan_destroy(&(*score)->forward);
    tw_plan_destroy(&(*score)->backward);
    tw_free(score);
}

void tw_model_score_refresh(tw_model_score *s)
{
    tw_plan_refresh(s->forward);
    if (s->backward) tw_plan_refresh(s->backward);
}

const tw_score *tw_model_score_view(const tw_model_score *s)
{
    return &s->view;
}

tw_status tw_model_score_noise(tw_model_score *s, int64_t n, const float *x, const double *t,
                               float *out)
{
    return evaluate(s, n, x, t, false, out);
}

tw_plan *tw_model_score_plan(const tw_model_score *score)
{
    return score->forward;
}
