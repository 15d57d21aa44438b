/* A second network seen as the log of a factor of a density, with its gradient by the symbolic
 * gradient of the network: of a classifier, with logits z(c_in x, t) and temperature T,
 *
 *   log p(y | x_t) = log softmax(z / T)[y],   ∇x = c_in ∂/∂(c_in x);
 *
 * of an energy model, −E(x_t, t) / T, whose gradient is its score / T. */
#include <string.h>

#include "tweedie/memory.h"
#include "tweedie/model.h"

struct tw_model_factor {
    tw_model *model;
    int64_t batch;
    char text[96];
    tw_plan *plan;
    tw_model_inputs in;
    float *sharpness;                            /* [batch]: 1 / T */
    const float *gradient, *log_factor, *logits; /* logits NULL of an energy */
    tw_log_factor view;
};

/* [n] and [n, …]: the log of the factor and its gradient by the input x. */
static void build(tw_graph *g, const tw_model *m, int64_t n)
{
    tw_value *log_factor, *gradient = NULL;
    const tw_model_values v = tw_model_build(g, m, n, NULL);
    if (!v.net) return;
    tw_value *sharpness = tw_input(g, "sharpness", TW_F32, TW_SHAPE(n));
    if (m->net->logits) {
        tw_graph_output(g, "logits", v.net);
        tw_value *z = tw_mul(g, v.net, tw_reshape(g, sharpness, TW_SHAPE(n, 1)));
        log_factor = tw_affine(
            g, tw_cross_entropy(g, z, tw_input(g, "label", TW_I32, TW_SHAPE(n)), NULL), -1, 0);
    } else {
        log_factor = tw_affine(g, tw_mul(g, v.energy, sharpness), -1, 0);
    }
    tw_value *x = v.x;
    tw_graph_gradient(g, log_factor, NULL, &x, 1, &gradient);
    tw_graph_output(g, "log_factor", log_factor);
    if (gradient) tw_graph_output(g, "gradient", tw_cast(g, gradient, TW_F32));
}

static tw_status plan(tw_model_factor *f, tw_precision precision, tw_convolution convolution)
{
    tw_status st = TW_OK;
    tw_graph *g = NULL;
    const tw_plan_options options = {.precision = precision, .convolution = convolution};
    TW_TRY(tw_graph_create(&g));
    build(g, f->model, f->batch);
    TW_TRY(tw_graph_status(g));
    TW_TRY(tw_plan_create(&f->plan, g, f->model->params, &options));
    tw_plan_refresh(f->plan);
    tw_model_inputs_find(&f->in, f->plan);
    f->sharpness = tw_plan_input(f->plan, "sharpness");
    f->gradient = tw_plan_output(f->plan, "gradient");
    f->log_factor = tw_plan_output(f->plan, "log_factor");
    f->logits = tw_plan_output(f->plan, "logits");
    TW_CHECK(f->gradient, TW_ECONFIG,
             "network.kind: %s does not depend on the sample, and can guide nothing",
             f->model->net->kind.name);
done:
    tw_graph_destroy(&g);
    return st;
}

/* One batch; what is missing to a full one repeats the last sample. */
static void compute(const tw_model_factor *f, int64_t n, const float *x, const double *t,
                    const int32_t *label, double temperature)
{
    const tw_plan_run run = {0};
    const int64_t dims = f->model->dims;
    for (int64_t i = 0; i < f->batch; i++) {
        const int64_t row = i < n ? i : n - 1;
        const float scale = (float)tw_model_view_at(f->model, t[row]).input;
        for (int64_t k = 0; k < dims; k++) f->in.x[i * dims + k] = scale * x[row * dims + k];
        tw_model_inputs_set(&f->in, f->model, i, t[row], label ? label[row] : 0);
        f->sharpness[i] = (float)(1 / temperature);
    }
    tw_plan_execute(f->plan, &run);
}

static tw_status eval(void *self, int64_t n, const float *x, const double *t, const int32_t *label,
                      double temperature, float *gradient, double *log_factor)
{
    tw_status st = TW_OK;
    const tw_model_factor *f = self;
    const int64_t dims = f->model->dims;
    for (int64_t i = 0; i < n; i++)
        TW_CHECK(tw_process_has_time(f->model->process, t[i]), TW_EDATA,
                 "time %g: is none of the process of the network that guides", t[i]);
    for (int64_t first = 0; first < n; first += f->batch) {
        const int64_t count = n - first < f->batch ? n - first : f->batch;
        compute(f, count, x + first * dims, t + first, label ? label + first : NULL, temperature);
        for (int64_t i = 0; i < count; i++) {
            const float scale = (float)tw_model_view_at(f->model, t[first + i]).input;
            for (int64_t k = 0; k < dims; k++)
                gradient[(first + i) * dims + k] = scale * f->gradient[i * dims + k];
            if (log_factor) log_factor[first + i] = (double)f->log_factor[i];
        }
    }
done:
    return st;
}

tw_status tw_model_factor_classify(const tw_model_factor *f, int64_t n, const float *x,
                                   const double *t, int32_t *label)
{
    tw_status st = TW_OK;
    const int64_t dims = f->model->dims, classes = f->model->classes;
    TW_CHECK(f->logits, TW_ECONFIG, "network.kind: %s is no classifier", f->model->net->kind.name);
    for (int64_t first = 0; first < n; first += f->batch) {
        const int64_t count = n - first < f->batch ? n - first : f->batch;
        compute(f, count, x + first * dims, t + first, NULL, 1);
        for (int64_t i = 0; i < count; i++) {
            const float *z = f->logits + i * classes;
            int32_t best = 0;
            for (int32_t k = 1; k < classes; k++) best = z[k] > z[best] ? k : best;
            label[first + i] = best;
        }
    }
done:
    return st;
}

tw_status tw_model_factor_create(tw_model_factor **out, tw_model *m, const char *text,
                                 int64_t batch, tw_precision precision, tw_convolution convolution)
{
    tw_status st = TW_OK;
    tw_model_factor *f = NULL;
    TW_CHECK(m->net->logits || m->prediction->outputs == 1, TW_ECONFIG,
             "guidance.network: is neither a classifier (objective.kind = classify) nor an energy "
             "model (prediction.kind = energy); its network is %s, its prediction %s",
             m->net->kind.name, m->prediction->kind.name);
    TW_TRY(tw_alloc(&f, 1, sizeof *f, "a network that guides"));
    f->model = m;
    f->batch = batch;
    TW_TRY(tw_format(f->text, sizeof f->text, "%s", text));
    TW_TRY(plan(f, precision, convolution));
    f->view = (tw_log_factor){.self = f,
                              .dims = m->dims,
                              .classes = m->classes,
                              .classifier = m->net->logits,
                              .text = f->text,
                              .eval = eval};
    *out = f;
    f = NULL;
done:
    tw_model_factor_destroy(&f);
    return st;
}

void tw_model_factor_destroy(tw_model_factor **factor)
{
    if (!*factor) return;
    tw_plan_destroy(&(*factor)->plan);
    tw_free(factor);
}

const tw_log_factor *tw_model_factor_view(const tw_model_factor *factor)
{
    return &factor->view;
}
