/* Encoding as encode-data does it: its batch, its precision, its units. */
#include "job/encoder.h"

#include <string.h>

#include "tweedie/memory.h"

static const tw_config_field batch_field = {
    NULL, "batch", TW_CONFIG_INT64, 0, "32", 1, 1e6, .help = "samples computed at once"};

tw_status latent_encoder_settings(tw_config **config, tw_run_config *run, int64_t *batch,
                                  const tw_restored *network, int assignment_count,
                                  char *const *assignments)
{
    tw_status st = TW_OK;
    TW_TRY(tw_restore_config(config, network, "sample.batch compute.precision compute.convolution",
                             "sample compute", assignment_count, assignments));
    TW_TRY(tw_run_config_bind(run, *config, TW_RUN_COMPUTE, NULL));
    TW_TRY(tw_config_bind_in(*config, "sample", &batch_field, 1, batch));
    TW_TRY(tw_config_finish(*config));
done:
    return st;
}

/* A latent is an image of floats. */
tw_dataset_spec latent_encoder_spec(const tw_model *m)
{
    const tw_shape s = tw_model_latent(m);
    return (tw_dataset_spec){.kind = TW_DATASET_FLOAT32,
                             .height = s.rank > 1 ? s.dims[0] : 1,
                             .width = s.rank > 2 ? s.dims[1] : 1,
                             .channels = s.dims[s.rank - 1]};
}

static tw_status check(const latent_encoder *e, const char *path, const tw_dataset_spec *data,
                       const char *data_path)
{
    tw_status st = TW_OK;
    const tw_model *m = e->network->model;
    const tw_dataset_spec *want = &e->network->samples;
    TW_CHECK(tw_model_is_autoencoder(m), TW_ECONFIG,
             "data.encoder: %s: network.kind = %s is no autoencoder, and encodes nothing", path,
             m->net->kind.name);
    TW_CHECK(data->kind == want->kind && data->height == want->height &&
                 data->width == want->width && data->channels == want->channels,
             TW_ECONFIG,
             "data.encoder: %s encodes %s of %lld x %lld x %lld, and %s holds %s of %lld x %lld x "
             "%lld",
             path, tw_dataset_kind_name(want->kind), (long long)want->height,
             (long long)want->width, (long long)want->channels, data_path,
             tw_dataset_kind_name(data->kind), (long long)data->height, (long long)data->width,
             (long long)data->channels);
    TW_CHECK(!want->condition, TW_ECONFIG,
             "data.encoder: %s is a conditional model, and encodes no samples alone", path);
done:
    return st;
}

static tw_status describe(latent_encoder *e, const tw_dataset_spec *data)
{
    tw_status st = TW_OK;
    tw_dataset_spec *s = &e->latents;
    *s = latent_encoder_spec(e->network->model);
    TW_TRY(tw_alloc(&e->units, 2 * s->channels, sizeof *e->units, "units of latents"));
    s->offset = e->units;
    s->scale = e->units + s->channels;
    s->count = data->count;
    s->num_classes = data->num_classes;
    s->class_names = data->class_names;
    TW_TRY(tw_format(s->encoder, sizeof s->encoder, "%s", e->network->digest));
    latent_encoder_set_scale(e, 1);
done:
    return st;
}

tw_status latent_encoder_open(latent_encoder *e, const tw_comm *comm, const char *path,
                              const tw_dataset_spec *data, const char *data_path)
{
    tw_status st = TW_OK;
    st = tw_restore(&e->network, comm, path, NULL);
    if (st != TW_OK) tw_error_prefix("data.encoder: ");
    TW_TRY(st);
    st = check(e, path, data, data_path);
    if (st == TW_OK)
        st = latent_encoder_settings(&e->config, &e->run, &e->batch, e->network, 0, NULL);
    if (st == TW_OK) st = describe(e, data);
    TW_TRY(comm ? tw_comm_agree(comm, st) : st);
    TW_TRY(tw_compute_agree(&e->precision, (tw_precision)e->run.compute.precision, comm));
done:
    return st;
}

tw_status latent_encoder_plan(latent_encoder *e)
{
    tw_status st = TW_OK;
    const tw_dataset_spec *samples = &e->network->samples;
    int64_t numbers;
    TW_TRY(tw_model_codec_create(&e->codec, e->network->model, TW_CODEC_ENCODER, e->batch,
                                 e->precision, (tw_convolution)e->run.compute.convolution));
    e->numbers = tw_model_codec_numbers(e->codec);
    TW_TRY(tw_multiply(&numbers, e->batch, tw_dataset_elements(samples), "a batch of samples"));
    TW_TRY(tw_alloc(&e->x, numbers, sizeof *e->x, "a batch of samples"));
    TW_TRY(tw_alloc(&e->stored, e->batch, tw_dataset_sample_bytes(samples), "a batch of samples"));
done:
    return st;
}

void latent_encoder_run(latent_encoder *e, int64_t n, const float *x, float *mean,
                        float *log_variance)
{
    tw_model_codec_encode(e->codec, n, x, mean, log_variance);
}

tw_status latent_encoder_read(latent_encoder *e, tw_dataset *data, int64_t first, int64_t count,
                              float *mean, float *log_variance, int32_t *labels)
{
    tw_status st = TW_OK;
    for (int64_t at = 0; at < count; at += e->batch) {
        const int64_t n = count - at < e->batch ? count - at : e->batch;
        TW_TRY(tw_dataset_read_stored(data, first + at, n, e->stored, labels ? labels + at : NULL));
        tw_dataset_normalise(&e->network->samples, n, e->stored, e->x);
        latent_encoder_run(e, n, e->x, mean + at * e->numbers,
                           log_variance ? log_variance + at * e->numbers : NULL);
    }
done:
    return st;
}

void latent_encoder_set_scale(latent_encoder *e, double scale)
{
    for (int64_t c = 0; c < e->latents.channels; c++)
        e->units[e->latents.channels + c] = (float)scale;
}

double latent_encoder_bytes(const latent_encoder *e)
{
    const tw_dataset_spec *samples = &e->network->samples;
    const double rows = (double)e->batch * (double)tw_dataset_elements(samples) * sizeof(float) +
                        (double)e->batch * (double)tw_dataset_sample_bytes(samples);
    return tw_model_codec_bytes(e->codec) + 4.0 * (double)e->network->model->params->size + rows;
}

void latent_encoder_free(latent_encoder *e)
{
    tw_model_codec_destroy(&e->codec);
    tw_run_config_free(&e->run);
    tw_config_destroy(&e->config);
    tw_restore_destroy(&e->network);
    tw_free(&e->units);
    tw_free(&e->stored);
    tw_free(&e->x);
}
