/* Filling a network by rule and measuring it. */
#include "tweedie/fingerprint.h"

#include <math.h>
#include <string.h>

#include "tweedie/memory.h"

static double phase_of(const char *key)
{
    uint32_t h = 2166136261u;
    for (; *key; key++) h = (h ^ (unsigned char)*key) * 16777619u;
    return 2 * M_PI * (double)(h % 1000) / 1000;
}

static bool ends_in(const char *key, const char *end)
{
    const size_t n = strlen(key), m = strlen(end);
    return n >= m && strcmp(key + n - m, end) == 0;
}

/* Tables of conditional normalisations hold scales in their first two thirds and shifts behind;
 * vectors are scales by their names, or shifts. */
static double rule(const tw_published *e, const tw_param_view *v, double phase, int64_t count,
                   int64_t i)
{
    const double s = sin(phase + 0.7 * (double)i);
    if (!v->trainable) return 4 * s; /* Fourier frequencies */
    if (e->shape.rank == 2 && ends_in(e->name, "embed.weight"))
        return (i % e->shape.dims[1] < 2 * (e->shape.dims[1] / 3) ? 1 : 0) + 0.1 * s;
    if (e->shape.rank >= 2) return s / sqrt((double)count / (double)e->shape.dims[0]);
    const bool scale =
        ends_in(e->name, "weight") || ends_in(e->name, "alpha") || ends_in(e->name, "gamma");
    return (scale ? 1 : 0) + 0.1 * s;
}

/* Writes one published array into the plain copy of the parameter that holds it. */
static void fill_slice(const tw_published *e, const tw_param_view *v, float *plain)
{
    const int64_t count = tw_shape_count(e->shape);
    const double phase = phase_of(e->name);
    for (int64_t i = 0; i < count; i++)
        plain[tw_published_index(e, i)] = (float)rule(e, v, phase, count, i);
}

/* @param[out] frozen  how many of the published parameters are not trained */
static tw_status fill_params(tw_model *m, int64_t *frozen)
{
    tw_status st = TW_OK;
    tw_reference_names p = {0};
    float *plain = NULL;
    int64_t filled = 0;
    *frozen = 0;
    TW_TRY(tw_model_reference_names(&p, m));
    TW_CHECK(p.count > 0, TW_EUNSUPPORTED, "the network %s has no published parameter names",
             m->net->kind.name);
    TW_TRY(tw_alloc(&plain, m->params->size, sizeof *plain, "a parameter"));
    for (int k = 0; k < p.count; k++) {
        const tw_param_view *v = tw_params_find(m->params, p.items[k].param);
        TW_CHECK(v, TW_EINTERNAL, "%s: published as a slice of %s, which is no parameter",
                 p.items[k].name, p.items[k].param);
        tw_params_to_plain(v, m->params->value, plain);
        fill_slice(&p.items[k], v, plain);
        tw_params_from_plain(v, plain, m->params->value);
        if (v->trainable)
            filled += tw_shape_count(p.items[k].shape);
        else if (!p.items[k].buffer)
            *frozen += tw_shape_count(p.items[k].shape);
    }
    TW_CHECK(filled == tw_params_count(m->params), TW_EINTERNAL,
             "published names cover %lld of %lld parameters", (long long)filled,
             (long long)tw_params_count(m->params));
done:
    tw_free(&plain);
    tw_reference_names_free(&p);
    return st;
}

/* The index in channels-first order of element `i` of a channels-last batch. */
static int64_t channels_first(tw_shape s, int64_t i)
{
    const int64_t c = tw_shape_channels(s), n = s.dims[0], pixels = tw_shape_count(s) / (n * c);
    const int64_t channel = i % c, pixel = i / c % pixels, image = i / (c * pixels);
    return (image * c + channel) * pixels + pixel;
}

/* Gradients of parameters and of the input come from plans of their own: one graph with both would
 * hold the backward pass twice, which no fusion recognises, and what is measured should be what
 * trains and what guides. */
static tw_status plan(tw_plan **out, tw_model *m, int64_t n, const tw_plan_options *options,
                      bool of_params)
{
    tw_status st = TW_OK;
    tw_graph *g = NULL;
    tw_value *x = NULL, *gx = NULL;
    TW_TRY(tw_graph_create(&g));
    tw_value *y = tw_model_build(g, m, n, NULL).net;
    TW_TRY(tw_graph_status(g));
    tw_value *loss =
        tw_sum_to(g, tw_mul(g, y, tw_input(g, "seed", TW_F32, y->shape)), (tw_shape){0});
    if (of_params) {
        tw_graph_output(g, "y", y);
        tw_graph_output(g, "loss", loss);
        tw_graph_gradient_of_params(g, loss);
    } else {
        x = tw_graph_input(g, "x");
        tw_graph_gradient(g, loss, NULL, &x, 1, &gx);
        tw_graph_output(g, "gx", gx);
    }
    TW_TRY(tw_plan_create(out, g, m->params, options));
done:
    tw_graph_destroy(&g);
    return st;
}

/* ln σ where the network is told `time`: the noise level itself, or the index of one in the table
 * of a discrete process that adds noise alone. */
static double log_sigma(const tw_process *p, double time)
{
    if (tw_process_is_discrete(p) && tw_process_alpha(p, 0) == 1)
        for (int64_t k = 0; k < p->steps; k++)
            if ((int64_t)tw_process_condition(p, (double)k) == (int64_t)time)
                return log(tw_process_sigma(p, (double)k));
    return log(time);
}

/* sin(first + step i) over a batch, i in channels-first order. */
static void fill_by_rule(float *x, tw_shape s, double first, double step)
{
    for (int64_t i = 0; i < tw_shape_count(s); i++)
        x[i] = (float)sin(first + step * (double)channels_first(s, i));
}

/* Fills the inputs by rule and runs. */
static void execute(tw_plan *p, const tw_process *process, const tw_fingerprint_inputs *f)
{
    const tw_plan_run run = {0};
    tw_model_inputs in;
    tw_model_inputs_find(&in, p);
    fill_by_rule(in.x, tw_plan_shape(p, "x"), 0.3, 0.11);
    fill_by_rule(tw_plan_input(p, "seed"), tw_plan_shape(p, "seed"), 1, 0.23);
    if (in.condition) fill_by_rule(in.condition, tw_plan_shape(p, "condition"), 0.7, 0.13);
    for (int64_t i = 0; i < f->n; i++) {
        if (in.t) in.t[i] = (float)f->times[i];
        if (in.log_sigma) in.log_sigma[i] = (float)log_sigma(process, f->times[i]);
        if (in.index) in.index[i] = (int32_t)f->times[i];
        if (in.label) in.label[i] = (int32_t)f->labels[i];
    }
    tw_plan_refresh(p);
    tw_plan_execute(p, &run);
}

static double sum_squares(const float *x, int64_t n)
{
    double s = 0;
    for (int64_t i = 0; i < n; i++) s += (double)x[i] * (double)x[i];
    return s;
}

static void measure_outputs(tw_fingerprint *f, const tw_model *m, const tw_plan *p)
{
    const tw_shape s = tw_plan_shape(p, "y");
    const int64_t count = tw_shape_count(s);
    const float *y = tw_plan_output(p, "y");
    f->params += tw_params_count(m->params);
    for (int64_t i = 0; i < count; i++) {
        const int64_t at = channels_first(s, i);
        if (at < 8) f->first8[at] = (double)y[i];
        f->sum += (double)y[i];
    }
    f->sumsq = sum_squares(y, count);
    f->loss = (double)*(const float *)tw_plan_output(p, "loss");
    f->param_grad_norm = sqrt(sum_squares(m->params->gradient, m->params->trainable));
}

tw_status tw_fingerprint_measure(tw_fingerprint *out, tw_model *m,
                                 const tw_fingerprint_inputs *inputs,
                                 const tw_plan_options *options)
{
    tw_status st = TW_OK;
    tw_plan *p = NULL;
    tw_fingerprint f = {0};
    if (!inputs->keep) TW_TRY(fill_params(m, &f.params));
    if (!m->params->gradient) TW_TRY(tw_params_use_gradient(m->params, NULL));
    TW_TRY(plan(&p, m, inputs->n, options, true));
    execute(p, m->process, inputs);
    measure_outputs(&f, m, p);
    tw_plan_destroy(&p);
    TW_TRY(plan(&p, m, inputs->n, options, false));
    execute(p, m->process, inputs);
    f.input_grad_sumsq =
        sum_squares(tw_plan_output(p, "gx"), tw_shape_count(tw_plan_shape(p, "x")));
    *out = f;
done:
    tw_plan_destroy(&p);
    return st;
}
