/* The Fréchet distance of samples while training. The same samples and the same data each time, so
 * what is seen is the change; a few hundred samples make the number itself too large. */
#include "train/quality.h"

#include <string.h>

#include "job/grid.h"
#include "tweedie/features.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"
#include "tweedie/metrics_features.h"

enum { REFERENCE = 5000 }; /* of the training data, the first ones */

struct tw_quality {
    const tw_trainer *t;
    const tw_dataset_spec *spec;
    int64_t count, there; /* samples, and of the data */
    tw_features *features;
    tw_config *config; /* of the fast sampler */
    tw_sampler_config settings;
    tw_sampler *sampler;
    tw_gaussian reference; /* dims 0: not yet */
    float *x, *rows;       /* samples; features of either */
    void *stored;          /* samples as a file would hold them */
};

static tw_status find_features(char *out, size_t size, const tw_trainer *t)
{
    tw_status st = TW_OK;
    if (t->c->evaluate_features[0]) return tw_format(out, size, "%s", t->c->evaluate_features);
    TW_CHECK(tw_features_shipped(out, size, t->samples), TW_ECONFIG,
             "log.evaluate_every: there is no network of features for such samples; "
             "log.evaluate_features, a run of objective.kind = classify, was expected");
done:
    return st;
}

/* [sample] of DPM-Solver++, which has a sample in few evaluations of every process with a range of
 * noise; of others the run's own with fewer steps. */
static tw_status plan_sampler(tw_quality *q, const tw_process *process, const tw_score *score)
{
    tw_status st = TW_OK;
    char text[160];
    const tw_trainer *t = q->t;
    tw_sampler_options options = {.bounded = q->spec->kind == TW_DATASET_UINT8};
    TW_TRY(tw_format(text, sizeof text,
                     "[sample]\nkind = dpmpp\nsteps = %lld\nbatch = %lld\nseed = %lld\n",
                     (long long)t->c->evaluate_steps, (long long)t->run.sample.batch,
                     (long long)t->run.sample.seed));
    TW_TRY(tw_config_create(&q->config));
    TW_TRY(tw_config_parse(q->config, text, (int64_t)strlen(text), "log.evaluate_every"));
    TW_TRY(tw_sampler_bind(&q->settings, q->config, "dpmpp"));
    if (tw_sampler_create(&q->sampler, &q->settings, process, score, &options) == TW_OK) goto done;
    const bool spaced = process->steps > t->c->evaluate_steps;
    options.steps = spaced ? t->c->evaluate_steps : 0;
    TW_TRY(tw_sampler_create(&q->sampler, &t->run.sample, process, score, &options));
done:
    return st;
}

static tw_status allocate(tw_quality *q)
{
    tw_status st = TW_OK;
    const int64_t most = q->there > q->count ? q->there : q->count;
    int64_t numbers;
    TW_TRY(tw_multiply(&numbers, q->count, tw_dataset_elements(q->spec), "samples"));
    TW_TRY(tw_alloc(&q->x, numbers, sizeof *q->x, "samples to evaluate"));
    TW_TRY(tw_alloc(&q->stored, q->count, tw_dataset_sample_bytes(q->spec), "samples to evaluate"));
    TW_TRY(tw_multiply(&numbers, most, tw_features_width(q->features), "features"));
    TW_TRY(tw_alloc(&q->rows, numbers, sizeof *q->rows, "features"));
done:
    return st;
}

tw_status tw_quality_create(tw_quality **out, const tw_trainer *t, const tw_process *process,
                            const tw_score *score)
{
    tw_status st = TW_OK;
    tw_quality *q = NULL;
    char path[TW_PATH_MAX];
    st = tw_alloc(&q, 1, sizeof *q, "evaluation while training");
    if (st == TW_OK) st = find_features(path, sizeof path, t);
    TW_TRY(tw_comm_agree(t->comm, st));
    q->t = t;
    q->spec = t->samples;
    q->count = t->c->evaluate_count;
    q->there = tw_dataset_count(t->data) < REFERENCE ? tw_dataset_count(t->data) : REFERENCE;
    st = tw_features_open(&q->features, t->comm, path, q->spec);
    if (st != TW_OK) tw_error_prefix("log.evaluate_features: ");
    if (st != TW_OK) goto done;
    st = plan_sampler(q, process, score);
    if (st == TW_OK) st = allocate(q);
    TW_TRY(tw_comm_agree(t->comm, st));
    *out = q;
    q = NULL;
done:
    tw_quality_destroy(&q);
    return st;
}

void tw_quality_destroy(tw_quality **quality)
{
    tw_quality *q = *quality;
    if (!q) return;
    tw_sampler_destroy(&q->sampler);
    tw_sampler_config_free(&q->settings);
    tw_config_destroy(&q->config);
    tw_features_destroy(&q->features);
    tw_gaussian_free(&q->reference);
    tw_free(&q->x);
    tw_free(&q->rows);
    tw_free(&q->stored);
    tw_free(quality);
}

double tw_quality_bytes(const tw_quality *q)
{
    if (!q) return 0;
    const double most = (double)(q->there > q->count ? q->there : q->count);
    return 4 * most * (double)tw_features_width(q->features) +
           5.0 * (double)(q->count * tw_dataset_elements(q->spec));
}

static tw_status read_data(void *self, int64_t first, int64_t count, void *stored)
{
    const tw_quality *q = self;
    return tw_trainer_read_stored(q->t, q->t->data, first, count, stored, NULL);
}

static tw_status read_samples(void *self, int64_t first, int64_t count, void *stored)
{
    const tw_quality *q = self;
    const size_t bytes = tw_dataset_sample_bytes(q->spec);
    memcpy(stored, (const char *)q->stored + (size_t)first * bytes, (size_t)count * bytes);
    return TW_OK;
}

/* All ranks get the samples, as a file would hold them. */
static tw_status sample(tw_quality *q)
{
    tw_status st = TW_OK;
    const tw_trainer *t = q->t;
    const int64_t dims = tw_dataset_elements(q->spec);
    TW_TRY(tw_grid_make(t->comm, q->sampler, dims, t->run.sample.batch, 0, q->count, q->x));
    TW_TRY(tw_comm_broadcast(t->comm, q->x, (size_t)(q->count * dims) * sizeof *q->x, 0));
    tw_dataset_denormalise(q->spec, q->count, q->x, q->stored);
done:
    return st;
}

tw_status tw_quality_measure(tw_quality *q, tw_quality_result *out)
{
    tw_status st = TW_OK;
    tw_gaussian own = {0};
    const tw_comm *comm = q->t->comm;
    const int64_t width = tw_features_width(q->features);
    tw_quality_result r = {
        .samples = q->count, .reference = q->there, .digest = tw_features_digest(q->features)};
    if (!q->reference.dims) {
        TW_TRY(tw_features_compute(q->features, read_data, q, q->there, q->rows));
        TW_TRY(tw_gaussian_of(&q->reference, comm, q->rows, q->there, width));
    }
    TW_TRY(sample(q));
    TW_TRY(tw_features_compute(q->features, read_samples, q, q->count, q->rows));
    TW_TRY(tw_gaussian_of(&own, comm, q->rows, q->count, width));
    TW_TRY(tw_gaussian_distance(&r.frechet, comm, &q->reference, &own));
    *out = r;
done:
    tw_gaussian_free(&own);
    return st;
}
