/* Decoding what a model of latents samples. */
#include "job/decoder.h"

#include <string.h>

#include "tweedie/memory.h"

/* Of samples that are decoded with their derivative at a time, which keeps what lies between all
 * layers: eleven of 64 x 64 x 3, one of 256 x 256 x 3. */
enum { MAP_NUMBERS = 1 << 17 };

tw_status latent_decoder_open(latent_decoder *d, const tw_comm *comm, const char *path)
{
    return tw_restore(&d->network, comm, path, NULL);
}

static tw_status check(const latent_decoder *d, const tw_dataset_spec *latents)
{
    tw_status st = TW_OK;
    const tw_model *m = d->network->model;
    TW_CHECK(tw_model_is_autoencoder(m), TW_ECONFIG,
             "sample.decode: network.kind = %s is no autoencoder, and decodes nothing",
             m->net->kind.name);
    TW_CHECK(
        latents->encoder[0], TW_ECONFIG,
        "sample.decode: the model's samples are no latents: it was not trained on what tweedie "
        "encode-data writes");
    TW_CHECK(strcmp(latents->encoder, d->network->digest) == 0, TW_ECONFIG,
             "sample.decode: the model was trained on latents of the weights %s, and these are %s",
             latents->encoder, d->network->digest);
done:
    return st;
}

static tw_status plan(latent_decoder *d, int halves, const tw_dataset_spec *latents, int64_t batch,
                      tw_precision precision, tw_convolution convolution)
{
    tw_status st = TW_OK;
    int64_t numbers;
    TW_TRY(check(d, latents));
    d->latents = latents;
    d->batch = batch;
    TW_TRY(
        tw_model_codec_create(&d->codec, d->network->model, halves, batch, precision, convolution));
    TW_TRY(tw_multiply(&numbers, batch, tw_model_codec_numbers(d->codec), "latents"));
    TW_TRY(tw_alloc(&d->z, numbers, sizeof *d->z, "latents"));
done:
    return st;
}

tw_status latent_decoder_plan(latent_decoder *d, const tw_dataset_spec *latents, int64_t batch,
                              tw_precision precision, tw_convolution convolution)
{
    return plan(d, TW_CODEC_DECODER, latents, batch, precision, convolution);
}

void latent_decoder_run(latent_decoder *d, int64_t n, const float *x, float *out)
{
    const int64_t numbers = tw_model_codec_numbers(d->codec), dims = d->network->model->dims;
    for (int64_t at = 0; at < n; at += d->batch) {
        const int64_t count = n - at < d->batch ? n - at : d->batch;
        tw_dataset_denormalise(d->latents, count, x + at * numbers, d->z);
        tw_model_codec_decode(d->codec, count, d->z, out + at * dims, NULL);
    }
}

/* ---- as a map ---- */

static void forward(void *self, int64_t n, const float *z, float *x)
{
    latent_decoder_run(self, n, z, x);
}

/* z is scaled by channel before it is decoded. */
static void pull_back(void *self, int64_t n, const float *z, const float *gx, float *gz)
{
    latent_decoder *d = self;
    const int64_t numbers = tw_model_codec_numbers(d->codec), dims = d->network->model->dims;
    const float *scale = d->latents->scale;
    for (int64_t at = 0; at < n; at += d->batch) {
        const int64_t count = n - at < d->batch ? n - at : d->batch;
        float *to = gz + at * numbers;
        tw_dataset_denormalise(d->latents, count, z + at * numbers, d->z);
        tw_model_codec_decoder_vjp(d->codec, count, d->z, gx + at * dims, to);
        for (int64_t k = 0; scale && k < count * numbers; k++)
            to[k] *= scale[k % d->latents->channels];
    }
}

tw_status latent_decoder_plan_map(latent_decoder *d, const tw_dataset_spec *latents, int64_t batch,
                                  tw_precision precision, tw_convolution convolution)
{
    tw_status st = TW_OK;
    const int64_t most = MAP_NUMBERS / d->network->model->dims + 1;
    TW_TRY(plan(d, TW_CODEC_DECODER | TW_CODEC_DECODER_VJP, latents, batch < most ? batch : most,
                precision, convolution));
    d->map = (tw_map){.self = d,
                      .dims = tw_model_codec_numbers(d->codec),
                      .outputs = d->network->model->dims,
                      .forward = forward,
                      .pull_back = pull_back};
done:
    return st;
}

void latent_decoder_free(latent_decoder *d)
{
    tw_model_codec_destroy(&d->codec);
    tw_restore_destroy(&d->network);
    tw_free(&d->z);
}
