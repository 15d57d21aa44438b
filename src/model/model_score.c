/* The network seen as a score. One plan of a fixed batch evaluates it; others, made when they are
 * first needed, give vᵀ ∂s/∂x, a learned variance or an energy as well. */
#include <string.h>

#include "tweedie/memory.h"
#include "tweedie/model.h"

/* A plan, and the memory of what goes in and comes out. */
typedef struct evaluation {
    tw_plan *plan;
    tw_model_inputs in;
    float *v;
    const float *output, *vjp, *variance, *energy;
} evaluation;

struct tw_model_score {
    tw_model *model;
    int64_t batch;
    tw_precision precision;
    tw_convolution convolution;
    evaluation forward, backward;
    tw_labels labels;
    tw_given given;
    const int32_t *asked; /* of each point of a call, in the place of labels; or NULL */
    int64_t first;        /* point of the call that is computed now */
    tw_score view;
};

static tw_status plan(evaluation *out, const tw_model_score *s, tw_graph *g)
{
    tw_status st = TW_OK;
    const tw_plan_options options = {.precision = s->precision, .convolution = s->convolution};
    TW_TRY(tw_plan_create(&out->plan, g, s->model->params, &options));
    tw_plan_refresh(out->plan);
    tw_model_inputs_find(&out->in, out->plan);
    out->v = tw_plan_input(out->plan, "v");
    out->output = tw_plan_output(out->plan, "output");
    out->vjp = tw_plan_output(out->plan, "vjp");
    out->variance = tw_plan_output(out->plan, "variance");
    out->energy = tw_plan_output(out->plan, "energy");
done:
    return st;
}

static tw_status plan_forward(tw_model_score *s)
{
    tw_status st = TW_OK;
    tw_graph *g = NULL;
    TW_TRY(tw_graph_create(&g));
    const tw_model_values v = tw_model_build(g, s->model, s->batch, NULL);
    tw_graph_output(g, "output", v.output);
    if (v.variance) tw_graph_output(g, "variance", v.variance);
    if (v.energy) tw_graph_output(g, "energy", v.energy);
    TW_TRY(plan(&s->forward, s, g));
done:
    tw_graph_destroy(&g);
    return st;
}

static tw_status plan_backward(tw_model_score *s)
{
    tw_status st = TW_OK;
    tw_graph *g = NULL;
    tw_value *gx = NULL;
    TW_TRY(tw_graph_create(&g));
    tw_model_values v = tw_model_build(g, s->model, s->batch, NULL);
    TW_TRY(tw_graph_status(g));
    tw_graph_gradient(g, v.output, tw_input(g, "v", TW_F32, v.output->shape), &v.x, 1, &gx);
    if (gx) tw_graph_output(g, "vjp", tw_cast(g, gx, TW_F32));
    tw_graph_output(g, "output", v.output);
    TW_TRY(plan(&s->backward, s, g));
done:
    tw_graph_destroy(&g);
    return st;
}

static tw_status check_times(const tw_model_score *s, const double *t, int64_t n)
{
    tw_status st = TW_OK;
    const tw_process *p = s->model->process;
    for (int64_t i = 0; i < n; i++)
        TW_CHECK(tw_process_has_time(p, t[i]), TW_EDATA,
                 tw_process_is_discrete(p) ? "time %g: expected an index of 0 to %g"
                                           : "time %g: expected a time above 0, at most %g",
                 t[i], tw_process_is_discrete(p) ? p->end : p->limit);
done:
    return st;
}

const float *tw_given_of(const tw_given *g, const tw_model *m, int64_t index)
{
    if (!g->y || !g->count) return NULL;
    const int64_t row = (index - g->first) % g->count;
    return g->y + (row < 0 ? row + g->count : row) * m->condition;
}

/* Rows are shared among threads where a pass over them is worth it. */
enum { ALONE = 16384 /* numbers that one thread passes over by itself */ };

/* Input i of a batch: c_in x, time, class and condition of row `row` of the call. */
static void fill_row(const tw_model_score *s, const evaluation *e, int64_t i, int64_t row,
                     const float *x, const double *t, const int64_t *index, const float *v)
{
    const int64_t dims = s->model->dims;
    const float scale = (float)tw_model_view_at(s->model, t[row]).input;
    for (int64_t k = 0; k < dims; k++) e->in.x[i * dims + k] = scale * x[row * dims + k];
    tw_model_inputs_set(&e->in, s->model, i, t[row],
                        s->asked ? s->asked[s->first + row] : tw_label_of(&s->labels, index[row]));
    tw_model_inputs_give(&e->in, s->model, i, tw_given_of(&s->given, s->model, index[row]));
    if (v) memcpy(e->v + i * dims, v + row * dims, (size_t)dims * sizeof *v);
}

/* Inputs of one batch, then runs. What is missing to a full batch repeats the last sample. */
static void compute(const tw_model_score *s, const evaluation *e, int64_t n, const float *x,
                    const double *t, const int64_t *index, const float *v)
{
    const tw_plan_run run = {0};
#pragma omp parallel for schedule(static) if (s->batch * s->model->dims > ALONE)
    for (int64_t i = 0; i < s->batch; i++) fill_row(s, e, i, i < n ? i : n - 1, x, t, index, v);
    tw_plan_execute(e->plan, &run);
}

/* out = of_x x + of_f F, row by row; of_x is 0 for ε. */
static void combine(int64_t dims, double of_x, double of_f, const float *x, const float *f,
                    float *out)
{
    const float a = (float)of_x, b = (float)of_f;
    if (a == 0)
        for (int64_t k = 0; k < dims; k++) out[k] = b * f[k];
    else
        for (int64_t k = 0; k < dims; k++) out[k] = a * x[k] + b * f[k];
}

static void take_score(const tw_model_score *s, int64_t n, const float *x, const double *t,
                       const float *f, float *out)
{
    const int64_t dims = s->model->dims;
#pragma omp parallel for schedule(static) if (n * dims > ALONE)
    for (int64_t i = 0; i < n; i++) {
        const tw_model_view q = tw_model_view_at(s->model, t[i]);
        combine(dims, q.score_x, q.score_f, x + i * dims, f + i * dims, out + i * dims);
    }
}

static int64_t part(const tw_model_score *s, int64_t first, int64_t n)
{
    return n - first < s->batch ? n - first : s->batch;
}

static tw_status evaluate(tw_model_score *s, int64_t n, const float *x, const double *t,
                          const int64_t *index, float *score_out, float *v_out, double *energy_out)
{
    tw_status st = TW_OK;
    const int64_t dims = s->model->dims;
    const evaluation *e = &s->forward;
    TW_TRY(check_times(s, t, n));
    for (int64_t first = 0; first < n; first += s->batch) {
        const int64_t count = part(s, first, n);
        s->first = first;
        compute(s, e, count, x + first * dims, t + first, index + first, NULL);
        if (score_out)
            take_score(s, count, x + first * dims, t + first, e->output, score_out + first * dims);
        if (v_out)
            memcpy(v_out + first * dims, e->variance, (size_t)(count * dims) * sizeof *v_out);
        for (int64_t i = 0; energy_out && i < count; i++)
            energy_out[first + i] = (double)e->energy[i];
    }
done:
    return st;
}

static tw_status eval(void *self, int64_t n, const float *x, const double *t, const int64_t *index,
                      float *score_out)
{
    return evaluate(self, n, x, t, index, score_out, NULL, NULL);
}

static tw_status eval_variance(void *self, int64_t n, const float *x, const double *t,
                               const int64_t *index, float *score_out, float *v_out)
{
    return evaluate(self, n, x, t, index, score_out, v_out, NULL);
}

static tw_status eval_energy(void *self, int64_t n, const float *x, const double *t,
                             const int64_t *index, float *score_out, double *energy_out)
{
    return evaluate(self, n, x, t, index, score_out, NULL, energy_out);
}

/* vᵀ ∂s/∂x = score_x v + score_f c_in vᵀ J, J = ∂F/∂(c_in x). */
static tw_status vjp(void *self, int64_t n, const float *x, const double *t, const int64_t *index,
                     const float *v, float *score_out, float *vjp_out)
{
    tw_status st = TW_OK;
    tw_model_score *s = self;
    const int64_t dims = s->model->dims;
    TW_TRY(check_times(s, t, n));
    if (!s->backward.plan) TW_TRY(plan_backward(s));
    for (int64_t first = 0; first < n; first += s->batch) {
        const int64_t count = part(s, first, n), at = first * dims;
        s->first = first;
        compute(s, &s->backward, count, x + at, t + first, index + first, v + at);
        for (int64_t i = 0; i < count; i++) {
            const tw_model_view q = tw_model_view_at(s->model, t[first + i]);
            combine(dims, q.score_x, q.score_f * q.input, v + at + i * dims,
                    s->backward.vjp + i * dims, vjp_out + at + i * dims);
        }
        if (score_out) take_score(s, count, x + at, t + first, s->backward.output, score_out + at);
    }
done:
    return st;
}

static void condition(void *self, const int32_t *label)
{
    ((tw_model_score *)self)->asked = label;
}

tw_status tw_model_score_create(tw_model_score **out, tw_model *m, int64_t batch,
                                tw_precision precision, tw_convolution convolution)
{
    tw_status st = TW_OK;
    tw_model_score *s = NULL;
    TW_CHECK(!m->net->logits, TW_ECONFIG,
             "network.kind: %s is a classifier and has no score: nothing can be sampled from it; "
             "it guides another network's samples (tweedie sample RUN --guide CLASSIFIER_RUN)",
             m->net->kind.name);
    TW_CHECK(!tw_model_is_autoencoder(m), TW_ECONFIG,
             "network.kind: %s has no score: nothing can be sampled from it; its latents are what "
             "another network learns (tweedie encode-data), whose samples it decodes (tweedie "
             "sample RUN --decode AUTOENCODER_RUN)",
             m->net->kind.name);
    TW_TRY(tw_alloc(&s, 1, sizeof *s, "a model's score"));
    s->model = m;
    s->batch = batch;
    s->precision = precision;
    s->convolution = convolution;
    s->labels = (tw_labels){.classes = m->classes, .each = true};
    TW_TRY(plan_forward(s));
    s->view = (tw_score){.self = s,
                         .dims = m->dims,
                         .eval = eval,
                         .vjp = vjp,
                         .eval_variance = s->forward.variance ? eval_variance : NULL,
                         .eval_energy = s->forward.energy ? eval_energy : NULL,
                         .condition = m->classes ? condition : NULL,
                         .classes = m->classes,
                         .unlabelled = m->label_dropout > 0};
    *out = s;
    s = NULL;
done:
    tw_model_score_destroy(&s);
    return st;
}

void tw_model_score_destroy(tw_model_score **score)
{
    if (!*score) return;
    tw_plan_destroy(&(*score)->forward.plan);
    tw_plan_destroy(&(*score)->backward.plan);
    tw_free(score);
}

void tw_model_score_condition(tw_model_score *s, const tw_labels *labels)
{
    s->labels = *labels;
    s->labels.classes = s->model->classes;
}

void tw_model_score_give(tw_model_score *s, const tw_given *given)
{
    s->given = *given;
}

void tw_model_score_refresh(tw_model_score *s)
{
    tw_plan_refresh(s->forward.plan);
    if (s->backward.plan) tw_plan_refresh(s->backward.plan);
}

const tw_score *tw_model_score_view(const tw_model_score *s)
{
    return &s->view;
}

tw_status tw_model_score_quantity(tw_model_score *s, tw_model_quantity which, int64_t n,
                                  const float *x, const double *t, const int64_t *index, float *out)
{
    tw_status st = TW_OK;
    const int64_t dims = s->model->dims;
    TW_TRY(check_times(s, t, n));
    for (int64_t first = 0; first < n; first += s->batch) {
        const int64_t count = part(s, first, n);
        s->first = first;
        compute(s, &s->forward, count, x + first * dims, t + first, index + first, NULL);
        for (int64_t i = 0; i < count; i++) {
            const tw_model_view q = tw_model_view_at(s->model, t[first + i]);
            const double of_x[] = {0, q.noise_x, q.x0_x}, of_f[] = {1, q.noise_f, q.x0_f};
            combine(dims, of_x[which], of_f[which], x + (first + i) * dims,
                    s->forward.output + i * dims, out + (first + i) * dims);
        }
    }
done:
    return st;
}

tw_plan *tw_model_score_plan(const tw_model_score *score)
{
    return score->forward.plan;
}
