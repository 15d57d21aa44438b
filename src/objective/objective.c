/* Objectives over a planned network. */
#include "tweedie/objective.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tweedie/clock.h"
#include "tweedie/memory.h"

/* The memory of the plan's inputs; NULL where the graph does not read one. */
struct tw_objective_inputs {
    tw_model_inputs model;
    float *target, *z, *x0, *weight, *score_x, *score_f, *probe[TW_OBJECTIVE_PROBES];
    float *own[TW_OBJECTIVE_INPUTS];
};

struct tw_objective {
    tw_model *model;
    const tw_objective_config *config;
    const tw_objective_kind *kind;
    const tw_weighting *weighting;
    const tw_times *times;
    tw_objective_options options;
    tw_plan *plan;
    tw_objective_inputs in;
    const float *losses, *logits; /* the plan's outputs; logits NULL unless it classifies */
    const int32_t *codes;         /* the same; NULL unless latents are codes */
    bool *hit;                    /* [batch], where it classifies */
    double *t, *importance, *loss;
    float *noise, *noisy; /* [batch][dims] where the graph has no room of its own for z and x_t */
    double *history;
    int64_t history_count;
    int probe;
    bool clean;
    double perturb_seconds;
};

/* An operation has no second derivative: says which, and what would work. */
static tw_status refuse_network(const tw_objective *o)
{
    char why[256];
    snprintf(why, sizeof why, "%s", tw_error_message());
    return tw_error_set(
        TW_ECONFIG,
        "objective.kind: %s of prediction.kind = %s differentiates the network more "
        "than once, which network.kind = %s cannot (%s); take network.kind = mlp, "
        "or objective.kind = denoising of another prediction than energy",
        o->kind->kind.name, o->model->prediction->kind.name, o->model->net->kind.name, why);
}

static tw_status build(tw_plan **out, const tw_objective *o)
{
    tw_status st = TW_OK;
    tw_graph *g = NULL;
    const tw_plan_options options = {.precision = o->options.precision,
                                     .convolution = o->options.convolution,
                                     .packing = o->options.packing,
                                     .accumulate = o->options.accumulate,
                                     .lend_gradients = o->options.lend_gradients,
                                     .recompute = o->options.gradients ? o->options.recompute
                                                                       : TW_RECOMPUTE_NO,
                                     .profile = o->options.profile};
    TW_TRY(tw_graph_create(&g));
    tw_value *losses = o->kind->build(g, o->config->kind.config, o->model, o->options.batch);
    if (losses) tw_graph_output(g, "losses", losses);
    if (losses && o->options.gradients) tw_graph_gradient_of_params(g, losses);
    TW_TRY(tw_graph_status(g));
    TW_TRY(tw_plan_create(out, g, o->model->params, &options));
done:
    if (st == TW_EUNSUPPORTED) st = refuse_network(o);
    tw_graph_destroy(&g);
    return st;
}

static void find_inputs(tw_objective *o)
{
    tw_objective_inputs *in = &o->in;
    tw_model_inputs_find(&in->model, o->plan);
    in->target = tw_plan_input(o->plan, "target");
    in->z = tw_plan_input(o->plan, "z");
    in->x0 = tw_plan_input(o->plan, "x0");
    in->weight = tw_plan_input(o->plan, "weight");
    in->score_x = tw_plan_input(o->plan, "score_x");
    in->score_f = tw_plan_input(o->plan, "score_f");
    for (int k = 0; k < TW_OBJECTIVE_PROBES; k++) {
        char name[32];
        snprintf(name, sizeof name, "probe.%d", k);
        in->probe[k] = tw_plan_input(o->plan, name);
    }
    for (int k = 0; o->kind->inputs && o->kind->inputs[k]; k++)
        in->own[k] = tw_plan_input(o->plan, o->kind->inputs[k]);
    o->losses = tw_plan_output(o->plan, "losses");
    o->logits = tw_plan_output(o->plan, "logits");
    o->codes = tw_plan_output(o->plan, "codes");
}

static tw_status make_history(tw_objective *o)
{
    tw_status st = TW_OK;
    int64_t derived = 0;
    o->history_count = o->times->remembers(o->config->times.config, o->model->process, &derived);
    TW_TRY(tw_alloc(&o->history, o->history_count + derived, sizeof *o->history,
                    "a history of losses"));
    tw_objective_observe(o, 0, NULL, NULL);
done:
    return st;
}

static tw_status allocate(tw_objective *o)
{
    tw_status st = TW_OK;
    const int64_t n = o->options.batch;
    int64_t numbers;
    TW_TRY(tw_multiply(&numbers, n, o->model->dims, "an objective's noise"));
    TW_TRY(tw_alloc(&o->t, n, sizeof *o->t, "an objective's times"));
    TW_TRY(tw_alloc(&o->importance, n, sizeof *o->importance, "an objective's weights"));
    TW_TRY(tw_alloc(&o->loss, n, sizeof *o->loss, "an objective's losses"));
    TW_TRY(tw_alloc(&o->noise, numbers, sizeof *o->noise, "an objective's noise"));
    TW_TRY(tw_alloc(&o->noisy, numbers, sizeof *o->noisy, "an objective's samples"));
    if (o->kind->classifies) TW_TRY(tw_alloc(&o->hit, n, sizeof *o->hit, "an objective's hits"));
    if (o->times->remembers) TW_TRY(make_history(o));
done:
    return st;
}

tw_status tw_objective_create(tw_objective **out, tw_model *m, const tw_objective_config *config,
                              const tw_objective_options *options)
{
    tw_status st = TW_OK;
    tw_objective *o = NULL;
    TW_TRY(tw_objective_check(config, m));
    TW_TRY(tw_alloc(&o, 1, sizeof *o, "an objective"));
    o->model = m;
    o->config = config;
    o->kind = (const tw_objective_kind *)config->kind.kind;
    o->weighting = (const tw_weighting *)config->weighting.kind;
    o->times = (const tw_times *)config->times.kind;
    o->options = *options;
    o->clean = o->kind->clean && o->kind->clean(config->kind.config);
    o->probe = o->kind->probe ? o->kind->probe(config->kind.config) : TW_PROBE_NONE;
    TW_TRY(allocate(o));
    TW_TRY(build(&o->plan, o));
    find_inputs(o);
    *out = o;
    o = NULL;
done:
    tw_objective_destroy(&o);
    return st;
}

void tw_objective_destroy(tw_objective **objective)
{
    tw_objective *o = *objective;
    if (!o) return;
    tw_plan_destroy(&o->plan);
    tw_free(&o->t);
    tw_free(&o->importance);
    tw_free(&o->loss);
    tw_free(&o->hit);
    tw_free(&o->noise);
    tw_free(&o->noisy);
    tw_free(&o->history);
    tw_free(objective);
}

void tw_objective_refresh(tw_objective *objective)
{
    tw_plan_refresh(objective->plan);
}

/* ---- perturbing ---- */

/* Validation takes times and noise from one purpose: the times are far behind any sample's last
 * number. */
enum { VALIDATION_TIME_ELEMENT = 1 << 30 };

static tw_rng_stream stream(const tw_objective_step *s, tw_rng_purpose purpose, int64_t i)
{
    return (tw_rng_stream){.seed = s->seed,
                           .purpose = s->validation ? TW_RNG_VALIDATION : purpose,
                           .position = s->position + i,
                           .step = s->step};
}

/* Which stratum a position has this step: a permutation, since a position always sees the same part
 * of the data. The element is far behind those of positions. */
static tw_rng_permutation strata(const tw_objective *o, const tw_objective_step *s)
{
    tw_rng_permutation p;
    const tw_rng_stream name = {.seed = s->seed,
                                .purpose = TW_RNG_TIME,
                                .position = ((int64_t)1 << 44) - 1,
                                .step = s->step};
    tw_rng_permutation_init(&p, &name, o->options.global_batch);
    return p;
}

static double time_of(const tw_objective *o, const tw_objective_step *s,
                      const tw_rng_permutation *order, int64_t i, double *importance)
{
    double u;
    const tw_rng_stream name = stream(s, TW_RNG_TIME, i);
    tw_rng_uniform_double(&u, &name, s->validation ? VALIDATION_TIME_ELEMENT : 0, 1);
    if (order)
        u = ((double)tw_rng_permute(order, s->position + i) + u) / (double)o->options.global_batch;
    return o->times->at(o->config->times.config, o->model->process, o->history, u, importance);
}

static void perturb_one(const tw_objective *o, const tw_objective_step *s, int64_t i, double t,
                        const float *x0, float *z, float *xt)
{
    const tw_rng_stream noise = stream(s, TW_RNG_NOISE, i);
    const float a = (float)tw_process_alpha(o->model->process, t),
                b = (float)tw_process_sigma(o->model->process, t);
    tw_rng_normal(z, &noise, 0, o->model->dims);
    for (int64_t k = 0; k < o->model->dims; k++) xt[k] = a * x0[k] + b * z[k];
}

void tw_objective_perturb(const tw_objective *o, const tw_objective_step *s, int64_t n,
                          const float *x0, double *t, float *z, float *xt)
{
    const int64_t dims = o->model->dims;
    tw_rng_permutation order;
    const bool stratified = o->config->stratified && !s->validation;
    if (stratified) order = strata(o, s);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++) {
        t[i] = time_of(o, s, stratified ? &order : NULL, i, &o->importance[i]);
        perturb_one(o, s, i, t[i], x0 + i * dims, z + i * dims, xt + i * dims);
    }
}

/* ---- inputs ---- */

static double reduction(const tw_objective *o)
{
    const double factor[] = {1, 0.5 * (double)o->model->dims, (double)o->model->dims};
    return o->kind->weighted ? factor[o->config->reduce] : 1; /* the graph takes the mean */
}

/* Probe k of a sample: numbers k D … of its stream. */
static void fill_probe(const tw_objective *o, const tw_rng_stream *s, int64_t k, float *v)
{
    const int64_t dims = o->model->dims;
    double squares = 0;
    if (o->probe == TW_PROBE_RADEMACHER) {
        tw_rng_rademacher(v, s, k * dims, dims);
        return;
    }
    tw_rng_normal(v, s, k * dims, dims);
    if (o->probe != TW_PROBE_SPHERE) return;
    for (int64_t d = 0; d < dims; d++) squares += (double)v[d] * (double)v[d];
    const double scale = sqrt((double)dims / squares);
    for (int64_t d = 0; d < dims; d++) v[d] = (float)(scale * (double)v[d]);
}

static void fill_target(const tw_objective *o, double t, const float *x0, const float *z, float *to)
{
    double a, b;
    o->model->prediction->target(o->model->predicted.config, o->model->process, t, &a, &b);
    const float of_x0 = (float)a, of_z = (float)b;
    if (of_x0 == 0 && of_z == 1)
        memcpy(to, z, (size_t)o->model->dims * sizeof *to);
    else
        for (int64_t k = 0; k < o->model->dims; k++) to[k] = of_x0 * x0[k] + of_z * z[k];
}

/* The class that the network is told; validation drops none. */
static int32_t label_of(const tw_objective *o, const tw_objective_step *s, int64_t i)
{
    double u;
    const tw_rng_stream name = {
        .seed = s->seed, .purpose = TW_RNG_LABEL, .position = s->position + i, .step = s->step};
    if (!s->label) return 0;
    if (s->validation || o->model->label_dropout == 0) return s->label[i];
    tw_rng_uniform_double(&u, &name, 0, 1);
    return u < o->model->label_dropout ? TW_NO_CLASS : s->label[i];
}

/* What the inputs of sample i hold, given its x_0, z and x_t. */
static void fill_one(const tw_objective *o, const tw_objective_step *s, int64_t i, const float *x0)
{
    const tw_objective_inputs *in = &o->in;
    const int64_t dims = o->model->dims, at = i * dims;
    const double t = o->t[i];
    const tw_model_view view = tw_model_view_at(o->model, t);
    const float *z = o->noise + at, *seen = o->clean ? x0 : o->noisy + at;
    const float scale = (float)view.input;
    double weight = s->weight * o->importance[i] * reduction(o);
    const int64_t own = i < s->count ? i : 0, told = tw_model_augment_labels(o->model);
    tw_model_inputs_set(&in->model, o->model, i, t, label_of(o, s, own));
    if (s->augment) tw_model_inputs_set_augment(&in->model, o->model, i, s->augment + own * told);
    if (s->condition)
        tw_model_inputs_give(&in->model, o->model, i, s->condition + own * o->model->condition);
    for (int64_t k = 0; k < dims; k++) in->model.x[at + k] = scale * seen[k];
    if (in->target) fill_target(o, t, x0, z, in->target + at);
    if (in->z) memcpy(in->z + at, z, (size_t)dims * sizeof *z);
    if (in->x0) memcpy(in->x0 + at, x0, (size_t)dims * sizeof *x0);
    if (in->score_x) in->score_x[i] = (float)view.score_x;
    if (in->score_f) in->score_f[i] = (float)view.score_f;
    if (o->kind->weighted || o->kind->of_score)
        weight *= o->weighting->weight(o->config->weighting.config, o->model, t, &view);
    if (o->kind->of_score) weight /= view.score_f * view.score_f;
    in->weight[i] = (float)weight;
    for (int k = 0; k < TW_OBJECTIVE_PROBES && in->probe[k]; k++) {
        const tw_rng_stream probe = stream(s, TW_RNG_PROBE, i);
        fill_probe(o, &probe, k, in->probe[k] + at);
    }
    if (o->kind->fill) {
        const tw_objective_sample sample = {.i = i,
                                            .t = t,
                                            .alpha = tw_process_alpha(o->model->process, t),
                                            .sigma = tw_process_sigma(o->model->process, t),
                                            .view = &view,
                                            .stream = stream(s, TW_RNG_PROBE, i),
                                            .x0 = x0,
                                            .z = z,
                                            .xt = seen};
        o->kind->fill(o->config->kind.config, o->model, in->own, &sample);
    }
}

/* Padding is the first sample again with weight zero: it adds nothing to the loss or to a gradient.
 */
static void fill(tw_objective *o, const tw_objective_step *s, const float *x0)
{
    const int64_t dims = o->model->dims;
    tw_objective_perturb(o, s, s->count, x0, o->t, o->noise, o->noisy);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < s->count; i++) fill_one(o, s, i, x0 + i * dims);
    for (int64_t i = s->count; i < o->options.batch; i++) {
        o->t[i] = o->t[0];
        o->importance[i] = 0;
        memcpy(o->noise + i * dims, o->noise, (size_t)dims * sizeof *o->noise);
        memcpy(o->noisy + i * dims, o->noisy, (size_t)dims * sizeof *o->noisy);
        fill_one(o, s, i, x0);
    }
}

/* ---- running ---- */

/* Of equal logits the first counts. */
static void judge(tw_objective *o, int64_t count)
{
    const int64_t classes = o->model->classes;
    for (int64_t i = 0; i < count; i++) {
        const float *z = o->logits + i * classes;
        int64_t best = 0;
        for (int64_t k = 1; k < classes; k++) best = z[k] > z[best] ? k : best;
        o->hit[i] = best == o->in.model.label[i];
    }
}

double tw_objective_run(tw_objective *o, const tw_objective_step *s, const float *x0)
{
    const double start = tw_clock_seconds();
    const tw_plan_run run = {.seed = s->seed,
                             .step = s->step,
                             .position = s->position,
                             .training = !s->validation,
                             .add_gradients = s->add_gradients,
                             .ready = s->ready,
                             .between = s->between,
                             .self = s->self};
    double sum = 0;
    fill(o, s, x0);
    o->perturb_seconds += tw_clock_seconds() - start;
    tw_plan_execute(o->plan, &run);
    for (int64_t i = 0; i < s->count; i++) {
        sum += (double)o->losses[i];
        o->loss[i] = (double)o->losses[i] / (s->weight * o->importance[i]);
    }
    if (o->hit) judge(o, s->count);
    return sum;
}

void tw_objective_last(const tw_objective *o, const double **t, const double **loss)
{
    *t = o->t;
    *loss = o->loss;
}

const bool *tw_objective_hits(const tw_objective *o)
{
    return o->hit;
}

const int32_t *tw_objective_codes(const tw_objective *o, int64_t *vectors)
{
    if (!o->codes) return NULL;
    const tw_shape latent = tw_model_latent(o->model);
    *vectors = tw_shape_count(latent) / tw_shape_channels(latent);
    return o->codes;
}

double *tw_objective_history(tw_objective *o, int64_t *count)
{
    *count = o->history_count;
    return o->history;
}

void tw_objective_observe(tw_objective *o, int64_t n, const double *t, const double *loss)
{
    if (o->times->observe)
        o->times->observe(o->config->times.config, o->model->process, o->history, n, t, loss);
}

tw_plan *tw_objective_plan(tw_objective *objective)
{
    return objective->plan;
}

double tw_objective_perturb_seconds(const tw_objective *objective)
{
    return objective->perturb_seconds;
}
