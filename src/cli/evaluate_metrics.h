/* Metrics in features, as `tweedie evaluate` measures them. */
#ifndef CLI_EVALUATE_METRICS_H
#define CLI_EVALUATE_METRICS_H

#include "cli/evaluate.h"
#include "tweedie/features.h"
#include "tweedie/metrics_features.h"

enum { EVALUATE_METRICS_MAX = 16 };

/* What is measured, and what came out. */
typedef struct evaluate_metrics {
    tw_config *config; /* that the choices are borrowed from */
    int64_t threads;   /* of a rank; 0: what the launcher gives */
    tw_choice choice[EVALUATE_METRICS_MAX];
    double value[EVALUATE_METRICS_MAX][TW_METRIC_VALUES_MAX];
    int count;
    bool measured;
} evaluate_metrics;

/* The metrics of a list "frechet, kid" ("" for all), with their keys by assignments, and
 * compute.threads. Not collective. @param[out] out  evaluate_metrics_free, in any case
 * @return TW_EUSAGE for an unknown metric, TW_ECONFIG for keys */
tw_status evaluate_metrics_bind(evaluate_metrics *out, const char *list, int count,
                                char *const *assignments);
void evaluate_metrics_free(evaluate_metrics *m);

/* Features of both sets, on all ranks. */
typedef struct evaluate_features {
    tw_features *network; /* NULL: arrays, or the numbers of the samples themselves */
    char *text;           /* where they came from; owned */
    float *samples, *reference;
    int64_t sample_count, reference_count, dims;
    tw_gaussian gaussian; /* of the reference, where a cache knew it */
} evaluate_features;
void evaluate_features_free(evaluate_features *f);

/* By a network (`source` a RUN or weights file; "": the shipped one, if there is one for such
 * samples, else nothing is computed), or "samples": their own numbers. Collective.
 * @param cache  "": none; else an HDF5 file that keeps the reference's
 * @param[out] out  evaluate_features_free, in any case; dims 0 where there are none */
tw_status evaluate_features_compute(evaluate_features *out, const tw_comm *comm, const char *source,
                                    const char *cache, const evaluate_set *samples,
                                    const evaluate_set *data);
/* Two arrays "FILE:/path" [rows][dims] are the features. Collective. */
tw_status evaluate_features_read(evaluate_features *out, const tw_comm *comm, const char *samples,
                                 const char *reference);
/* Of the first `count` samples of a set. Collective. @param[out] out  [count][dims], tw_free */
tw_status evaluate_features_of(float **out, const evaluate_features *f, const tw_comm *comm,
                               const evaluate_set *set, int64_t count);

/* Collective. */
tw_status evaluate_metrics_measure(evaluate_metrics *m, const tw_comm *comm,
                                   const evaluate_features *f);
void evaluate_metrics_json(tw_json *json, const evaluate_metrics *m, const evaluate_features *f);
void evaluate_metrics_print(const evaluate_metrics *m, const evaluate_features *f);

/* ---- a cache of the reference's features ---- */

/* What the file must have been made of, for its numbers to be used. */
typedef struct evaluate_cache {
    const char *path;
    char key[512]; /* of data, range and features */
    int64_t count, dims;
} evaluate_cache;

/* Not collective. *found is false where there is no file, or one of other data, other features or
 * damaged numbers, which is told: its place may be taken.
 * @param[out] features  [count][dims], tw_free; gaussian: tw_gaussian_free
 * @return TW_EUSAGE for a file that is no such cache */
tw_status evaluate_cache_read(bool *found, float **features, tw_gaussian *gaussian,
                              const evaluate_cache *c);
tw_status evaluate_cache_write(const evaluate_cache *c, const float *features,
                               const tw_gaussian *gaussian);

/* ---- nearest neighbours ---- */

/* Whether samples repeat training images. */
typedef struct evaluate_neighbours {
    int64_t training, held_out;     /* 0: not asked for, or no such split */
    double median, held_out_median; /* distance to the nearest training image, of samples and of
                                       held-out data */
    double closer;                  /* share of pairs, a sample and a held-out image, of which the
                                       sample is closer to a training image; 1/2: like new data */
    int64_t closer_than_all;        /* samples closer than any held-out image */
} evaluate_neighbours;

/* Draws `grid`, and measures. The training images are the reference's split "train" (where it has
 * none, those compared with), held out is its split "test". Collective. */
tw_status evaluate_neighbours_find(evaluate_neighbours *out, const tw_comm *comm, const char *grid,
                                   const evaluate_features *f, const evaluate_set *samples,
                                   const evaluate_set *data);
void evaluate_neighbours_json(tw_json *json, const evaluate_neighbours *n);
void evaluate_neighbours_print(const evaluate_neighbours *n);

#endif
