/* Reading what is given of the samples. */
#include "job/sample_known.h"

#include "tweedie/memory.h"

static tw_status open_all(tw_dataset **out, const char *path)
{
    const tw_dataset_options options = {.path = path, .split = "all"};
    return tw_dataset_open(out, NULL, &options);
}

/* Of the samples' height and width, and of their channels or, where `one_channel`, of one. */
static tw_status check_shape(const char *key, const char *path, const tw_dataset_spec *found,
                             const tw_dataset_spec *wanted, bool one_channel)
{
    tw_status st = TW_OK;
    TW_CHECK(found->height == wanted->height && found->width == wanted->width &&
                 (found->channels == wanted->channels || (one_channel && found->channels == 1)),
             TW_EDATA,
             "sample.%s: %s holds samples of %lld x %lld x %lld, and %lld x %lld x %lld were "
             "expected",
             key, path, (long long)found->height, (long long)found->width,
             (long long)found->channels, (long long)wanted->height, (long long)wanted->width,
             (long long)wanted->channels);
done:
    return st;
}

static tw_status read_values(sample_known *k, tw_dataset *data, const char *path,
                             const tw_dataset_spec *samples)
{
    tw_status st = TW_OK;
    const tw_dataset_spec *spec = tw_dataset_get_spec(data);
    int64_t numbers;
    TW_TRY(check_shape("known", path, spec, samples, false));
    TW_CHECK(spec->count > 0, TW_EDATA, "sample.known: %s holds no samples", path);
    TW_TRY(tw_multiply(&numbers, spec->count, tw_dataset_elements(spec), "known samples"));
    TW_TRY(tw_alloc(&k->x, numbers, sizeof *k->x, "known samples"));
    TW_TRY(tw_alloc(&k->mask, numbers, sizeof *k->mask, "the mask of known samples"));
    TW_TRY(tw_dataset_read(data, 0, spec->count, k->x, NULL));
    k->view.count = spec->count;
done:
    return st;
}

/* Each number of sample n of the mask, or of its only one, for the samples that it is for. */
static tw_status read_mask(sample_known *k, tw_dataset *data, const char *path,
                           const tw_dataset_spec *samples)
{
    tw_status st = TW_OK;
    const tw_dataset_spec *spec = tw_dataset_get_spec(data);
    const int64_t dims = tw_dataset_elements(samples), repeat = samples->channels / spec->channels;
    float *row = NULL;
    TW_TRY(check_shape("mask", path, spec, samples, true));
    TW_CHECK(spec->count == 1 || spec->count == k->view.count, TW_EDATA,
             "sample.mask: %s holds %lld samples; 1 was expected, or the %lld of sample.known",
             path, (long long)spec->count, (long long)k->view.count);
    TW_TRY(tw_alloc(&row, tw_dataset_elements(spec), sizeof *row, "a mask"));
    for (int64_t n = 0; n < k->view.count; n++) {
        if (n < spec->count) TW_TRY(tw_dataset_read(data, n, 1, row, NULL));
        for (int64_t i = 0; i < dims; i++) k->mask[n * dims + i] = row[i / repeat] > 0;
    }
done:
    tw_free(&row);
    return st;
}

tw_status sample_known_read(sample_known *out, const tw_sampler_config *config,
                            const tw_dataset_spec *samples)
{
    tw_status st = TW_OK;
    tw_dataset *known = NULL, *mask = NULL;
    const bool given = config->known && *config->known, masked = config->mask && *config->mask;
    TW_CHECK(given || !masked, TW_ECONFIG,
             "sample.mask: there is nothing that it could be the mask of; sample.known names it");
    TW_CHECK(!given || masked, TW_ECONFIG,
             "sample.known: sample.mask must say which numbers of it are given");
    if (!given) return TW_OK;
    TW_TRY(open_all(&known, config->known));
    TW_TRY(read_values(out, known, config->known, samples));
    TW_TRY(open_all(&mask, config->mask));
    TW_TRY(read_mask(out, mask, config->mask, samples));
    TW_TRY(tw_format(out->text, sizeof out->text, "known=%s mask=%s",
                     tw_dataset_get_spec(known)->digest, tw_dataset_get_spec(mask)->digest));
    out->view.x = out->x;
    out->view.mask = out->mask;
    out->view.text = out->text;
done:
    tw_dataset_destroy(&known);
    tw_dataset_destroy(&mask);
    return st;
}

void sample_known_free(sample_known *known)
{
    tw_free(&known->x);
    tw_free(&known->mask);
    *known = (sample_known){0};
}
