/* Distances of pairs, found by matrix products and decided in double. */
#ifndef METRICS_NEAREST_H
#define METRICS_NEAREST_H

#include "metrics/dots.h"

/* Rows about a common point, which leaves distances as they are and products small where the rows
 * lie far from the origin. */
typedef struct metrics_rows {
    float *x;       /* [count][dims]; owned */
    double *square; /* ‖x_i‖²; owned */
} metrics_rows;

/* The mean of rows. @param[out] out  [dims] */
void metrics_mean(double *out, const float *x, int64_t count, int64_t dims);
/* x − mean. @param[out] out  metrics_rows_free, in any case; zero-initialised */
tw_status metrics_rows_of(metrics_rows *out, const float *x, int64_t count, int64_t dims,
                          const double *mean);
void metrics_rows_free(metrics_rows *rows);

/* ‖x_i‖² of rows. @param[out] out  [count] */
void metrics_squares(double *out, const float *x, int64_t count, int64_t dims);

/* ‖a − b‖², the products in double. */
double metrics_distance2(const float *a, const float *b, int64_t dims);

/* How far ‖a‖² + ‖b‖² − 2 a·b may be from ‖a − b‖² when the product was rounded to f32 on the way:
 * a share of ‖a‖² + ‖b‖². Sums of D products err by √D 2⁻²⁴ of it, hardly ever by this. */
#define METRICS_MARGIN 1e-5

#endif
