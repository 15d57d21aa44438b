/* Objectives over a planned network. */
#include "tweedie/loss.h"

#include <string.h>

#include "tweedie/clock.h"
#include "tweedie/memory.h"

struct tw_loss {
    tw_model *model;
    tw_loss_options options;
    tw_plan *plan;
    int64_t *times;
    double perturb_seconds;
};

static tw_status build(tw_plan **out, tw_model *m, const tw_loss_options *o)
{
    tw_status st = TW_OK;
    tw_graph *g = NULL;
    const tw_plan_options options = {
        .precision = o->precision, .accumulate = o->accumulate, .profile = o->profile};
    TW_TRY(tw_graph_create(&g));
    tw_value *noise = tw_model_build(g, m, o->batch, NULL);
    TW_TRY(tw_graph_status(g));
    tw_value *z = tw_input(g, "z", TW_F32, noise->shape),
             *weight = tw_input(g, "weight", TW_F32, TW_SHAPE(o->batch));
    tw_value *losses = tw_squared_error(g, noise, z, weight);
    tw_graph_output(g, "losses", losses);
    if (o->gradients) tw_graph_gradient_of_params(g, losses);
    TW_TRY(tw_plan_create(out, g, m->params, &options));
done:
    tw_graph_destroy(&g);
    return st;
}

tw_status tw_loss_create(tw_loss **out, tw_model *m, const tw_loss_options *options)
{
    tw_status st = TW_OK;
    tw_loss *l = NULL;
    TW_TRY(tw_alloc(&l, 1, sizeof *l, "an objective"));
    l->model = m;
    l->options = *options;
    TW_TRY(tw_alloc(&l->times, options->batch, sizeof *l->times, "an objective's times"));
    TW_TRY(build(&l->plan, m, options));
    *out = l;
    l = NULL;
done:
    tw_loss_destroy(&l);
    return st;
}

void tw_loss_destroy(tw_loss **loss)
{
    if (!*loss) return;
    tw_plan_destroy(&(*loss)->plan);
    tw_free(&(*loss)->times);
    tw_free(loss);
}

void tw_loss_refresh(tw_loss *loss)
{
    tw_plan_refresh(loss->plan);
}

/* Validation draws times and noise from one purpose: the times are far behind any sample's last
 * number. */
enum { VALIDATION_TIME_ELEMENT = 1 << 30 };

static tw_rng_stream stream(const tw_loss_step *s, tw_rng_purpose purpose, int64_t i)
{
    return (tw_rng_stream){.seed = s->seed,
                           .purpose = s->validation ? TW_RNG_VALIDATION : purpose,
                           .position = s->position + i,
                           .step = s->step};
}

void tw_loss_perturb(const tw_model *m, const tw_loss_step *s, int64_t n, const float *x0,
                     int64_t *t, float *z, float *xt)
{
    const int64_t steps = tw_model_timesteps(m), dims = m->dims;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++) {
        const tw_rng_stream time = stream(s, TW_RNG_TIME, i), noise = stream(s, TW_RNG_NOISE, i);
        tw_rng_index(&t[i], &time, steps, s->validation ? VALIDATION_TIME_ELEMENT : 0, 1);
        tw_rng_normal(z + i * dims, &noise, 0, dims);
        const tw_moment q = tw_model_moment(m, t[i]);
        const float a = (float)q.mean, b = (float)q.std;
        for (int64_t k = 0; k < dims; k++)
            xt[i * dims + k] = a * x0[i * dims + k] + b * z[i * dims + k];
    }
}

/* Padding repeats nothing: zeros with weight zero, so it adds nothing to the loss or to a gradient.
 */
static void fill(tw_loss *l, const tw_loss_step *s, const float *x0)
{
    const int64_t dims = l->model->dims, rest = l->options.batch - s->count;
    float *x = tw_plan_input(l->plan, "x"), *t = tw_plan_input(l->plan, "t"),
          *z = tw_plan_input(l->plan, "z");
    float *weight = tw_plan_input(l->plan, "weight");
    tw_loss_perturb(l->model, s, s->count, x0, l->times, z, x);
    memset(x + s->count * dims, 0, (size_t)(rest * dims) * sizeof *x);
    memset(z + s->count * dims, 0, (size_t)(rest * dims) * sizeof *z);
    for (int64_t i = 0; i < l->options.batch; i++) {
        t[i] = i < s->count ? (float)tw_model_moment(l->model, l->times[i]).embedded : 0;
        weight[i] = i < s->count ? (float)s->weight : 0;
    }
}

double tw_loss_run(tw_loss *l, const tw_loss_step *s, const float *x0)
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
    fill(l, s, x0);
    l->perturb_seconds += tw_clock_seconds() - start;
    tw_plan_execute(l->plan, &run);
    const float *losses = tw_plan_output(l->plan, "losses");
    for (int64_t i = 0; i < s->count; i++) sum += (double)losses[i];
    return sum;
}

tw_plan *tw_loss_plan(tw_loss *loss)
{
    return loss->plan;
}

double tw_loss_perturb_seconds(const tw_loss *loss)
{
    return loss->perturb_seconds;
}
