/* Features of both sets: by a network, of the user's own, or the samples' numbers. */
#include <stdio.h>
#include <string.h>

#include "cli/evaluate_metrics.h"
#include "inverse/operator.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"

void evaluate_features_free(evaluate_features *f)
{
    tw_features_destroy(&f->network);
    tw_gaussian_free(&f->gaussian);
    tw_free(&f->text);
    tw_free(&f->samples);
    tw_free(&f->reference);
}

static tw_status read_stored(void *self, int64_t first, int64_t count, void *stored)
{
    return tw_dataset_read_stored(self, first, count, stored, NULL);
}

tw_status evaluate_features_of(float **out, const evaluate_features *f, const tw_comm *comm,
                               const evaluate_set *set, int64_t count)
{
    tw_status st = TW_OK;
    float *x = NULL;
    int64_t numbers;
    st = tw_multiply(&numbers, count, f->dims, "features");
    if (st == TW_OK) st = tw_alloc(&x, numbers, sizeof *x, "features");
    TW_TRY(tw_comm_agree(comm, st));
    if (f->network)
        TW_TRY(tw_features_compute(f->network, read_stored, set->file, count, x));
    else
        memcpy(x, set->x, (size_t)numbers * sizeof *x);
    *out = x;
    x = NULL;
done:
    tw_free(&x);
    return st;
}

/* ---- the reference's, perhaps from a cache ---- */

static tw_status describe_cache(evaluate_cache *c, const char *path, const evaluate_features *f,
                                const evaluate_set *data)
{
    const tw_dataset_split *split = tw_dataset_get_split(data->file);
    *c = (evaluate_cache){.path = path, .count = data->count, .dims = f->dims};
    return tw_format(c->key, sizeof c->key, "data %s samples %lld to %lld features %s",
                     tw_dataset_get_spec(data->file)->digest, (long long)split->first,
                     (long long)(split->first + data->count - 1),
                     f->network ? tw_features_digest(f->network) : "none");
}

/* What rank zero has read goes to all. */
static tw_status broadcast(evaluate_features *f, const tw_comm *comm)
{
    tw_status st = TW_OK;
    const int64_t numbers = f->reference_count * f->dims, square = f->dims * f->dims;
    tw_gaussian *g = &f->gaussian;
    if (tw_comm_rank(comm) > 0) {
        st = tw_alloc(&f->reference, numbers, sizeof *f->reference, "features");
        if (st == TW_OK) st = tw_alloc(&g->mean, f->dims, sizeof *g->mean, "a mean");
        if (st == TW_OK) st = tw_alloc(&g->covariance, square, sizeof *g->covariance, "covariance");
        g->count = f->reference_count;
        g->dims = f->dims;
    }
    TW_TRY(tw_comm_agree(comm, st));
    TW_TRY(tw_comm_broadcast(comm, f->reference, (size_t)numbers * sizeof *f->reference, 0));
    TW_TRY(tw_comm_broadcast(comm, g->mean, (size_t)f->dims * sizeof *g->mean, 0));
    TW_TRY(tw_comm_broadcast(comm, g->covariance, (size_t)square * sizeof *g->covariance, 0));
done:
    return st;
}

static tw_status find_reference(evaluate_features *f, const tw_comm *comm, const char *path,
                                const evaluate_set *data)
{
    tw_status st = TW_OK;
    evaluate_cache c;
    bool found = false;
    double yes;
    TW_TRY(describe_cache(&c, path, f, data));
    if (path[0] && tw_comm_rank(comm) == 0)
        st = evaluate_cache_read(&found, &f->reference, &f->gaussian, &c);
    TW_TRY(tw_comm_agree(comm, st));
    yes = found;
    TW_TRY(tw_comm_broadcast(comm, &yes, sizeof yes, 0));
    if (yes > 0) {
        TW_TRY(broadcast(f, comm));
        goto done;
    }
    TW_TRY(evaluate_features_of(&f->reference, f, comm, data, data->count));
    if (!path[0]) goto done;
    TW_TRY(tw_gaussian_of(&f->gaussian, comm, f->reference, data->count, f->dims));
    if (tw_comm_rank(comm) == 0) st = evaluate_cache_write(&c, f->reference, &f->gaussian);
    TW_TRY(tw_comm_agree(comm, st));
done:
    return st;
}

/* ---- where features come from ---- */

/* @param[out] path  "": nowhere */
static tw_status choose(char *path, size_t size, const char *source, const evaluate_set *data)
{
    if (strcmp(source, "none") == 0)
        source = "";
    else if (!source[0] && tw_features_shipped(path, size, tw_dataset_get_spec(data->file)))
        return TW_OK;
    return tw_format(path, size, "%s", source);
}

tw_status evaluate_features_compute(evaluate_features *f, const tw_comm *comm, const char *source,
                                    const char *cache, const evaluate_set *samples,
                                    const evaluate_set *data)
{
    tw_status st = TW_OK;
    char path[TW_PATH_MAX];
    st = choose(path, sizeof path, source, data);
    TW_TRY(tw_comm_agree(comm, st));
    TW_CHECK(path[0] || !cache[0], TW_EUSAGE,
             "--cache: keeps features of the reference, and there are none; --features says which");
    if (!path[0]) goto done;
    f->dims = data->dims;
    if (strcmp(path, "samples") != 0) {
        TW_TRY(tw_features_open(&f->network, comm, path, tw_dataset_get_spec(data->file)));
        f->dims = tw_features_width(f->network);
    }
    TW_TRY(tw_comm_agree(comm, tw_strdup(&f->text, f->network ? tw_features_text(f->network)
                                                              : "the samples themselves")));
    f->sample_count = samples->count;
    f->reference_count = data->count;
    TW_TRY(evaluate_features_of(&f->samples, f, comm, samples, samples->count));
    TW_TRY(find_reference(f, comm, cache, data));
done:
    return st;
}

/* ---- arrays ---- */

enum { NUMBERS_MAX = 1 << 28 };

/* Rank zero reads. @param[out] out  tw_free */
static tw_status read_array(float **out, int64_t *count, int64_t *dims, const tw_comm *comm,
                            const char *argument)
{
    tw_status st = TW_OK;
    double *values = NULL;
    float *x = NULL;
    int rank = 0;
    int64_t extent[2] = {0};
    if (tw_comm_rank(comm) == 0)
        st =
            operator_read_array(&values, &rank, extent, "--features arrays", argument, NUMBERS_MAX);
    TW_TRY(tw_comm_agree(comm, st));
    TW_TRY(tw_comm_broadcast(comm, extent, sizeof extent, 0));
    const int64_t numbers = extent[0] * extent[1];
    TW_TRY(tw_comm_agree(comm, tw_alloc(&x, numbers, sizeof *x, "features")));
    for (int64_t i = 0; values && i < numbers; i++) x[i] = (float)values[i];
    TW_TRY(tw_comm_broadcast(comm, x, (size_t)numbers * sizeof *x, 0));
    *out = x;
    x = NULL;
    *count = extent[0];
    *dims = extent[1];
done:
    tw_free(&values);
    tw_free(&x);
    return st;
}

tw_status evaluate_features_read(evaluate_features *f, const tw_comm *comm, const char *samples,
                                 const char *reference)
{
    tw_status st = TW_OK;
    int64_t dims;
    TW_TRY(read_array(&f->samples, &f->sample_count, &f->dims, comm, samples));
    TW_TRY(read_array(&f->reference, &f->reference_count, &dims, comm, reference));
    TW_CHECK(dims == f->dims, TW_EDATA,
             "%s has %lld features a sample, and %s has %lld: they cannot be compared", samples,
             (long long)f->dims, reference, (long long)dims);
    TW_TRY(tw_comm_agree(comm, tw_strdup(&f->text, "arrays of the user's")));
done:
    return st;
}
