/* A classifier without its last layer. */
#include <string.h>

#include "tweedie/memory.h"
#include "tweedie/model.h"

struct tw_model_features {
    tw_model model; /* a view of the model, with the samples' shape */
    int64_t batch, width;
    float scale; /* of a sample at the least noise, as the network is given it */
    tw_plan *plan;
    tw_model_inputs in;
    const float *features;
};

static tw_status check(const tw_model *m, tw_shape sample)
{
    tw_status st = TW_OK;
    char want[64], met[64];
    TW_CHECK(m->net->logits, TW_ECONFIG,
             "its network, %s, is no classifier, and gives no features; objective.kind = classify "
             "trains one",
             m->net->kind.name);
    TW_CHECK(tw_shape_equal(sample, m->sample) || (m->net->any_extent && sample.rank == 3),
             TW_ECONFIG, "its network takes samples of %s, and these are %s",
             tw_shape_text(m->sample, want), tw_shape_text(sample, met));
    TW_TRY(tw_net_check(m->net, m->network.config, (tw_net_padding)m->pad, sample));
done:
    return st;
}

static tw_status plan(tw_model_features *f, tw_precision precision, tw_convolution convolution)
{
    tw_status st = TW_OK;
    tw_graph *g = NULL;
    const tw_plan_options options = {.precision = precision, .convolution = convolution};
    TW_TRY(tw_graph_create(&g));
    const tw_model_values v = tw_model_build(g, &f->model, f->batch, NULL);
    TW_TRY(tw_graph_status(g));
    TW_CHECK(v.features, TW_ECONFIG, "its network, %s, names no features", f->model.net->kind.name);
    tw_graph_output(g, "features", v.features);
    TW_TRY(tw_plan_create(&f->plan, g, f->model.params, &options));
    tw_plan_refresh(f->plan);
    tw_model_inputs_find(&f->in, f->plan);
    f->features = tw_plan_output(f->plan, "features");
    f->width = v.features->shape.dims[1];
done:
    tw_graph_destroy(&g);
    return st;
}

tw_status tw_model_features_create(tw_model_features **out, const tw_model *m, tw_shape sample,
                                   int64_t batch, tw_precision precision,
                                   tw_convolution convolution)
{
    tw_status st = TW_OK;
    tw_model_features *f = NULL;
    const double start = m->process->steps ? 0 : m->process->start;
    TW_TRY(check(m, sample));
    TW_TRY(tw_alloc(&f, 1, sizeof *f, "features"));
    f->model = *m;
    f->model.sample = sample;
    f->model.dims = tw_shape_count(sample);
    f->batch = batch;
    f->scale = (float)(tw_process_alpha(m->process, start) * tw_model_view_at(m, start).input);
    TW_TRY(plan(f, precision, convolution));
    for (int64_t i = 0; i < batch; i++) tw_model_inputs_set(&f->in, &f->model, i, start, 0);
    *out = f;
    f = NULL;
done:
    tw_model_features_destroy(&f);
    return st;
}

void tw_model_features_destroy(tw_model_features **features)
{
    if (!*features) return;
    tw_plan_destroy(&(*features)->plan);
    tw_free(features);
}

int64_t tw_model_features_width(const tw_model_features *f)
{
    return f->width;
}

tw_plan *tw_model_features_plan(const tw_model_features *f)
{
    return f->plan;
}

/* What is missing to a full batch repeats the last sample. */
void tw_model_features_compute(const tw_model_features *f, int64_t n, const float *x, float *out)
{
    const tw_plan_run run = {0};
    const int64_t dims = f->model.dims;
    for (int64_t first = 0; first < n; first += f->batch) {
        const int64_t count = n - first < f->batch ? n - first : f->batch;
        for (int64_t i = 0; i < f->batch; i++) {
            const float *row = x + (first + (i < count ? i : count - 1)) * dims;
            for (int64_t k = 0; k < dims; k++) f->in.x[i * dims + k] = f->scale * row[k];
        }
        tw_plan_execute(f->plan, &run);
        memcpy(out + first * f->width, f->features, (size_t)(count * f->width) * sizeof *out);
    }
}
