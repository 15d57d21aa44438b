/* Distances between sets of points. Sums run in a fixed order, so a value does not depend on
 * threads or ranks. */
#include "tweedie/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tweedie/memory.h"
#include "tweedie/rng.h"

/* ---- directions ---- */

static double dot(const double *a, const double *b, int64_t n)
{
    double s = 0;
    for (int64_t i = 0; i < n; i++) s += a[i] * b[i];
    return s;
}

/* Makes row k of a block orthogonal to those before it, and of length 1 (Gram and Schmidt, twice:
 * once is not enough in rounding). */
static void orthogonalise(double *rows, int64_t k, int64_t dims)
{
    double *row = rows + k * dims;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t j = 0; j < k; j++) {
            const double c = dot(row, rows + j * dims, dims);
            for (int64_t i = 0; i < dims; i++) row[i] -= c * rows[j * dims + i];
        }
    const double length = sqrt(dot(row, row, dims));
    for (int64_t i = 0; i < dims; i++) row[i] /= length;
}

/* Unit vectors [count][dims]: each is uniform on the sphere, and those of one block of `dims` are
 * orthogonal to each other. */
static tw_status make_directions(double *out, int64_t count, int64_t dims, uint64_t seed)
{
    tw_status st = TW_OK;
    float *normal = NULL;
    const tw_rng_stream stream = {.seed = seed, .purpose = TW_RNG_METRIC};
    TW_TRY(tw_alloc(&normal, count * dims, sizeof *normal, "directions"));
    tw_rng_normal_rows(normal, &stream, NULL, count, dims);
    for (int64_t i = 0; i < count * dims; i++) out[i] = (double)normal[i];
    for (int64_t k = 0; k < count; k++) orthogonalise(out + k / dims * dims * dims, k % dims, dims);
done:
    tw_free(&normal);
    return st;
}

/* ---- one direction ---- */

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void project(double *out, const float *x, int64_t count, int64_t dims,
                    const double *direction)
{
    for (int64_t i = 0; i < count; i++) {
        double s = 0;
        for (int64_t d = 0; d < dims; d++) s += (double)x[i * dims + d] * direction[d];
        out[i] = s;
    }
    qsort(out, (size_t)count, sizeof *out, ascending);
}

/* ∫ (F⁻¹(u) − G⁻¹(u))² du over [0, 1]: both quantile functions are steps, at i / n and k / m. */
static double wasserstein_line(const double *a, int64_t n, const double *b, int64_t m)
{
    double s = 0, u = 0;
    for (int64_t i = 0, k = 0; i < n && k < m;) {
        /* (i + 1) / n against (k + 1) / m without division, so that equal ends are seen as such */
        const double left = (double)(i + 1) * (double)m, right = (double)(k + 1) * (double)n;
        const double end = left < right ? left : right, gap = a[i] - b[k];
        s += (end - u) * gap * gap;
        u = end;
        i += left <= right;
        k += right <= left;
    }
    return s / ((double)n * (double)m);
}

/* ---- all directions ---- */

typedef struct pair {
    const float *a, *b;
    int64_t a_count, b_count, dims, count; /* of directions */
    const double *directions;
    double *squares; /* [count]: W₂² of each direction */
} pair;

/* This rank's directions: each `ranks`-th. Threads have a pair of buffers each. */
static tw_status run_share(pair *p, int rank, int ranks)
{
    tw_status st = TW_OK;
    double *buffer = NULL;
    const int64_t room = p->a_count + p->b_count;
    const int64_t threads =
        4; /* a few: sorting is bound by memory, and each holds both sets as doubles */
    TW_TRY(tw_alloc(&buffer, threads * room, sizeof *buffer, "projections"));
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t t = 0; t < threads; t++) {
        double *x = buffer + t * room, *y = x + p->a_count;
        for (int64_t k = rank + t * ranks; k < p->count; k += threads * ranks) {
            project(x, p->a, p->a_count, p->dims, p->directions + k * p->dims);
            project(y, p->b, p->b_count, p->dims, p->directions + k * p->dims);
            p->squares[k] = wasserstein_line(x, p->a_count, y, p->b_count);
        }
    }
done:
    tw_free(&buffer);
    return st;
}

static tw_status run_pair(pair *p, const tw_comm *comm, uint64_t seed)
{
    tw_status st = TW_OK;
    double *directions = NULL;
    TW_CHECK(p->a_count >= 1 && p->b_count >= 1 && p->dims >= 1, TW_EDATA,
             "sets of %lld and %lld points of %lld numbers have no distance", (long long)p->a_count,
             (long long)p->b_count, (long long)p->dims);
    TW_TRY(tw_alloc(&directions, p->count * p->dims, sizeof *directions, "directions"));
    TW_TRY(tw_alloc(&p->squares, p->count, sizeof *p->squares, "distances"));
    p->directions = directions;
    TW_TRY(make_directions(directions, p->count, p->dims, seed));
    TW_TRY(run_share(p, comm ? tw_comm_rank(comm) : 0, comm ? tw_comm_size(comm) : 1));
done:
    tw_free(&directions);
    return st;
}

tw_status tw_sliced_wasserstein(double *out, const tw_comm *comm, const float *a, int64_t a_count,
                                const float *b, int64_t b_count, int64_t dims,
                                const tw_sliced_options *options)
{
    tw_status st = TW_OK;
    double sum = 0;
    pair p = {.a = a,
              .b = b,
              .a_count = a_count,
              .b_count = b_count,
              .dims = dims,
              .count = options->directions > 1 ? options->directions : 1};
    if (dims >= 1 && dims < p.count) p.count = (p.count + dims - 1) / dims * dims;
    st = run_pair(&p, comm, options->seed);
    if (comm) {
        TW_TRY(tw_comm_agree(comm, st));
        TW_TRY(tw_comm_sum(comm, p.squares, p.count)); /* the others' are zero here */
    }
    if (st != TW_OK) goto done;
    for (int64_t k = 0; k < p.count; k++) sum += p.squares[k];
    *out = sqrt(sum / (double)p.count);
done:
    tw_free(&p.squares);
    return st;
}

void tw_moments(double *mean, double *std, const float *x, int64_t count, int64_t dims)
{
    for (int64_t d = 0; d < dims; d++) {
        double m = 0, v = 0;
        for (int64_t i = 0; i < count; i++) m += (double)x[i * dims + d];
        m /= (double)count;
        for (int64_t i = 0; i < count; i++)
            v += ((double)x[i * dims + d] - m) * ((double)x[i * dims + d] - m);
        mean[d] = m;
        std[d] = sqrt(v / (double)count);
    }
}
