/* An autoencoder's halves, in a graph and as plans of one batch each. */
#include <string.h>

#include "tweedie/memory.h"
#include "tweedie/model.h"

struct tw_model_codec {
    tw_model *model;
    int64_t batch, numbers; /* numbers of a latent */
    tw_plan *encoder, *decoder, *backward;
    float *x, *z;           /* inputs of the halves */
    float *backward_z, *gx; /* and of the decoder's derivative */
    const float *mean, *log_variance, *decoded, *gz;
    const int32_t *codes; /* [batch][vectors]; NULL where there are none */
};

bool tw_model_is_autoencoder(const tw_model *m)
{
    return m->net->halves != NULL;
}

tw_shape tw_model_latent(const tw_model *m)
{
    return m->net->halves->latent(m->network.config, m->sample);
}

int64_t tw_model_codes(const tw_model *m)
{
    return m->net->halves->codes(m->network.config);
}

/* ---- in a graph ---- */

static tw_shape batch_of(tw_shape sample, int64_t n)
{
    tw_shape s = {.rank = sample.rank + 1, .dims = {n}};
    memcpy(s.dims + 1, sample.dims, (size_t)sample.rank * sizeof *s.dims);
    return s;
}

static tw_net_inputs inputs_of(const tw_model *m, tw_value *x)
{
    return (tw_net_inputs){.x = x,
                           .sample = m->sample,
                           .outputs = m->sample.dims[m->sample.rank - 1],
                           .code_state = m->code_state};
}

tw_value *tw_model_build_encoder(tw_graph *g, const tw_model *m, int64_t n)
{
    const tw_net_inputs in = inputs_of(m, tw_input(g, "x", TW_F32, batch_of(m->sample, n)));
    tw_graph_set_padding(g, m->padding ? TW_PAD_CIRCULAR : TW_PAD_ZERO);
    tw_value *moments = m->net->halves->encode(g, m->network.config, &in);
    tw_graph_set_padding(g, TW_PAD_ZERO);
    return moments;
}

tw_value *tw_model_build_codes(tw_graph *g, const tw_model *m, tw_value *z, tw_value **index)
{
    const tw_net_inputs in = inputs_of(m, NULL);
    return m->net->halves->quantise(g, m->network.config, &in, z, index);
}

tw_value *tw_model_build_decoder(tw_graph *g, const tw_model *m, tw_value *z)
{
    const tw_net_inputs in = inputs_of(m, NULL);
    tw_graph_set_padding(g, m->padding ? TW_PAD_CIRCULAR : TW_PAD_ZERO);
    tw_value *x = m->net->halves->decode(g, m->network.config, &in, z);
    tw_graph_set_padding(g, TW_PAD_ZERO);
    return x;
}

/* ---- as plans ---- */

static void build_encoder(tw_graph *g, const tw_model *m, int64_t n)
{
    const tw_shape latent = tw_model_latent(m);
    const int64_t c = latent.dims[latent.rank - 1];
    tw_value *moments = tw_model_build_encoder(g, m, n);
    if (!moments) return;
    if (tw_model_codes(m)) {
        tw_graph_output(g, "mean", moments);
    } else {
        tw_graph_output(g, "mean", tw_slice(g, moments, 0, c));
        tw_graph_output(g, "log_variance", tw_slice(g, moments, c, c));
    }
}

static void build_decoder(tw_graph *g, const tw_model *m, int64_t n)
{
    tw_value *index, *z = tw_input(g, "z", TW_F32, batch_of(tw_model_latent(m), n));
    if (tw_model_codes(m)) {
        z = tw_model_build_codes(g, m, z, &index);
        if (z) tw_graph_output(g, "codes", index);
    }
    tw_value *x = tw_model_build_decoder(g, m, z);
    if (x) tw_graph_output(g, "decoded", x);
}

/* With codes the gradient by those is taken for the gradient by z, as in training. */
static void build_backward(tw_graph *g, const tw_model *m, int64_t n)
{
    tw_value *index, *gz = NULL, *z = tw_input(g, "z", TW_F32, batch_of(tw_model_latent(m), n));
    if (tw_model_codes(m)) z = tw_model_build_codes(g, m, z, &index);
    tw_value *x = tw_model_build_decoder(g, m, z);
    if (!x) return;
    tw_graph_gradient(g, x, tw_input(g, "gx", TW_F32, x->shape), &z, 1, &gz);
    if (gz) tw_graph_output(g, "gz", tw_cast(g, gz, TW_F32));
}

static tw_status plan(tw_plan **out, const tw_model_codec *c, const tw_plan_options *options,
                      void (*build)(tw_graph *g, const tw_model *m, int64_t n))
{
    tw_status st = TW_OK;
    tw_graph *g = NULL;
    TW_TRY(tw_graph_create(&g));
    build(g, c->model, c->batch);
    TW_TRY(tw_graph_status(g));
    TW_TRY(tw_plan_create(out, g, c->model->params, options));
    tw_plan_refresh(*out);
done:
    tw_graph_destroy(&g);
    return st;
}

static tw_status plan_halves(tw_model_codec *c, int halves, const tw_plan_options *options)
{
    tw_status st = TW_OK;
    if (halves & TW_CODEC_ENCODER) {
        TW_TRY(plan(&c->encoder, c, options, build_encoder));
        c->x = tw_plan_input(c->encoder, "x");
        c->mean = tw_plan_output(c->encoder, "mean");
        c->log_variance = tw_plan_output(c->encoder, "log_variance");
    }
    if (halves & TW_CODEC_DECODER) {
        TW_TRY(plan(&c->decoder, c, options, build_decoder));
        c->z = tw_plan_input(c->decoder, "z");
        c->decoded = tw_plan_output(c->decoder, "decoded");
        c->codes = tw_plan_output(c->decoder, "codes");
    }
    if (halves & TW_CODEC_DECODER_VJP) {
        TW_TRY(plan(&c->backward, c, options, build_backward));
        c->backward_z = tw_plan_input(c->backward, "z");
        c->gx = tw_plan_input(c->backward, "gx");
        c->gz = tw_plan_output(c->backward, "gz");
    }
done:
    return st;
}

tw_status tw_model_codec_create(tw_model_codec **out, tw_model *m, int halves, int64_t batch,
                                tw_precision precision, tw_convolution convolution)
{
    tw_status st = TW_OK;
    tw_model_codec *c = NULL;
    const tw_plan_options options = {.precision = precision, .convolution = convolution};
    TW_CHECK(tw_model_is_autoencoder(m), TW_ECONFIG,
             "network.kind: %s is no autoencoder, and has no latents", m->net->kind.name);
    TW_TRY(tw_alloc(&c, 1, sizeof *c, "an autoencoder"));
    c->model = m;
    c->batch = batch;
    c->numbers = tw_shape_count(tw_model_latent(m));
    TW_TRY(plan_halves(c, halves, &options));
    *out = c;
    c = NULL;
done:
    tw_model_codec_destroy(&c);
    return st;
}

void tw_model_codec_destroy(tw_model_codec **codec)
{
    tw_model_codec *c = *codec;
    if (!c) return;
    tw_plan_destroy(&c->encoder);
    tw_plan_destroy(&c->decoder);
    tw_plan_destroy(&c->backward);
    tw_free(codec);
}

double tw_model_codec_bytes(const tw_model_codec *c)
{
    double bytes = 0;
    const tw_plan *const plans[] = {c->encoder, c->decoder, c->backward};
    for (int k = 0; k < 3; k++) {
        if (!plans[k]) continue;
        const tw_plan_memory m = tw_plan_memory_use(plans[k]);
        bytes += (double)(m.arena + m.scratch + m.packed + m.inputs);
    }
    return bytes;
}

void tw_model_codec_refresh(tw_model_codec *c)
{
    if (c->encoder) tw_plan_refresh(c->encoder);
    if (c->decoder) tw_plan_refresh(c->decoder);
    if (c->backward) tw_plan_refresh(c->backward);
}

int64_t tw_model_codec_numbers(const tw_model_codec *c)
{
    return c->numbers;
}

/* Rows of a batch; what is missing to a full one repeats the last. */
static void fill(float *to, const float *rows, int64_t n, int64_t batch, int64_t width)
{
    memcpy(to, rows, (size_t)(n * width) * sizeof *to);
    for (int64_t i = n; i < batch; i++)
        memcpy(to + i * width, rows + (n - 1) * width, (size_t)width * sizeof *to);
}

void tw_model_codec_encode(tw_model_codec *c, int64_t n, const float *x, float *mean,
                           float *log_variance)
{
    const tw_plan_run run = {0};
    const int64_t dims = c->model->dims;
    for (int64_t at = 0; at < n; at += c->batch) {
        const int64_t count = n - at < c->batch ? n - at : c->batch, to = at * c->numbers;
        const size_t bytes = (size_t)(count * c->numbers) * sizeof *mean;
        fill(c->x, x + at * dims, count, c->batch, dims);
        tw_plan_execute(c->encoder, &run);
        memcpy(mean + to, c->mean, bytes);
        if (log_variance && c->log_variance) memcpy(log_variance + to, c->log_variance, bytes);
    }
}

void tw_model_codec_decode(tw_model_codec *c, int64_t n, const float *z, float *x, int32_t *index)
{
    const tw_plan_run run = {0};
    const tw_shape latent = tw_model_latent(c->model);
    const int64_t dims = c->model->dims, vectors = c->numbers / latent.dims[latent.rank - 1];
    for (int64_t at = 0; at < n; at += c->batch) {
        const int64_t count = n - at < c->batch ? n - at : c->batch;
        fill(c->z, z + at * c->numbers, count, c->batch, c->numbers);
        tw_plan_execute(c->decoder, &run);
        memcpy(x + at * dims, c->decoded, (size_t)(count * dims) * sizeof *x);
        if (index && c->codes)
            memcpy(index + at * vectors, c->codes, (size_t)(count * vectors) * sizeof *index);
    }
}

void tw_model_codec_decoder_vjp(tw_model_codec *c, int64_t n, const float *z, const float *gx,
                                float *gz)
{
    const tw_plan_run run = {0};
    const int64_t dims = c->model->dims;
    for (int64_t at = 0; at < n; at += c->batch) {
        const int64_t count = n - at < c->batch ? n - at : c->batch;
        fill(c->backward_z, z + at * c->numbers, count, c->batch, c->numbers);
        fill(c->gx, gx + at * dims, count, c->batch, dims);
        tw_plan_execute(c->backward, &run);
        memcpy(gz + at * c->numbers, c->gz, (size_t)(count * c->numbers) * sizeof *gz);
    }
}
