/* Metrics: what is said of a sample set beside data, in features of both. Each is one file
 * src/metrics/quality_NAME.c that defines `const tw_metric tw_quality_NAME` and is found by the
 * build; its keys belong to the section of its name.
 *
 * All of them take the features as rows of floats that every rank holds, share the work among
 * ranks and threads in pieces that depend on the shapes alone, and give every rank the same
 * numbers: the same bits at any number of ranks and threads. */
#ifndef TWEEDIE_METRICS_FEATURES_H
#define TWEEDIE_METRICS_FEATURES_H

#include <stdbool.h>
#include <stdint.h>

#include "tweedie/comm.h"
#include "tweedie/kind.h"
#include "tweedie/status.h"

enum { TW_METRIC_VALUES_MAX = 8 };

/* The mean and the covariance of a set, with the divisor count − 1. */
typedef struct tw_gaussian {
    int64_t count, dims;
    double *mean, *covariance; /* [dims], [dims][dims]; owned */
} tw_gaussian;

/* In double, from rows x [count][dims], count >= 2. Collective on `comm` (NULL: alone).
 * @param[out] out  tw_gaussian_free, in any case; zero-initialised
 * @return TW_EDATA where there are fewer than two rows */
tw_status tw_gaussian_of(tw_gaussian *out, const tw_comm *comm, const float *x, int64_t count,
                         int64_t dims);
void tw_gaussian_free(tw_gaussian *g);

/* The Fréchet distance of two normals (Dowson and Landau 1982; Heusel et al. 2017), not its root:
 * |m − n|² + tr (A + B − 2 (A B)^½). Collective on `comm` (NULL: alone). */
tw_status tw_gaussian_distance(double *out, const tw_comm *comm, const tw_gaussian *a,
                               const tw_gaussian *b);

/* Two sets of features. Everything is borrowed. */
typedef struct tw_metric_pair {
    const tw_comm *comm; /* NULL: alone */
    const float *samples, *reference;
    int64_t sample_count, reference_count, dims;
    const tw_gaussian *gaussian; /* of the reference where it is known; NULL: computed */
} tw_metric_pair;

/* A number that a metric gives. */
typedef struct tw_metric_value {
    const char *key;   /* in JSON: "frechet_distance" */
    const char *label; /* for people, at most 28 letters */
    const char *note;  /* what is good: "0: the same"; "" */
} tw_metric_value;

typedef struct tw_metric {
    tw_kind kind;
    int value_count;
    tw_metric_value values[TW_METRIC_VALUES_MAX];
    bool quick; /* costs little beside the features of a few thousand samples */

    /* Collective. @param[out] out  [value_count]
     * @return TW_EDATA where the sets are too small */
    tw_status (*measure)(const void *config, const tw_metric_pair *pair, double *out);
} tw_metric;

extern const tw_kinds tw_quality_kinds;

/* ---- nearest neighbours ---- */

/* The k nearest of b's rows to each row of a, the nearest first, by distances that are computed
 * in double. Of equally near ones the first. Collective on `comm` (NULL: alone).
 * @param same  a and b are the same set: a row is no neighbour of itself
 * @param[out] distances2  [a_count][k]: squared
 * @param[out] indices     [a_count][k], or NULL
 * @return TW_EDATA where b has fewer than k rows (and itself) */
tw_status tw_nearest(double *distances2, int64_t *indices, const tw_comm *comm, const float *a,
                     int64_t a_count, const float *b, int64_t b_count, int64_t dims, int64_t k,
                     bool same);

#endif
