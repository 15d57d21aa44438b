/* Distances between sets of points. Sums run in a fixed order, so a value does not depend on
 * threads or ranks. */
#include "tweedie/metrics.h"

#include <math.h>
#include <omp.h>

#include "metrics/dots.h"
#include "metrics/sort.h"
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
 * orthogonal to each other. Made in double, one block after the other, and kept as floats. */
static tw_status make_directions(float *out, int64_t count, int64_t dims, uint64_t seed)
{
    tw_status st = TW_OK;
    double *block = NULL;
    const tw_rng_stream stream = {.seed = seed, .purpose = TW_RNG_METRIC};
    TW_TRY(tw_alloc(&block, (dims < count ? dims : count) * dims, sizeof *block, "directions"));
    tw_rng_normal_rows(out, &stream, NULL, count, dims);
    for (int64_t first = 0; first < count; first += dims) {
        const int64_t n = count - first < dims ? count - first : dims;
        float *rows = out + first * dims;
        for (int64_t i = 0; i < n * dims; i++) block[i] = (double)rows[i];
        for (int64_t k = 0; k < n; k++) orthogonalise(block, k, dims);
        for (int64_t i = 0; i < n * dims; i++) rows[i] = (float)block[i];
    }
done:
    tw_free(&block);
    return st;
}

/* ---- one direction ---- */

/* ∫ (F⁻¹(u) − G⁻¹(u))² du over [0, 1]: both quantile functions are steps, at i / n and k / m. */
static double wasserstein_line(const float *a, int64_t n, const float *b, int64_t m)
{
    double s = 0, u = 0;
    for (int64_t i = 0, k = 0; i < n && k < m;) {
        /* (i + 1) / n against (k + 1) / m without division, so that equal ends are seen as such */
        const double left = (double)(i + 1) * (double)m, right = (double)(k + 1) * (double)n;
        const double end = left < right ? left : right;
        const double gap = (double)a[i] - (double)b[k];
        s += (end - u) * gap * gap;
        u = end;
        i += left <= right;
        k += right <= left;
    }
    return s / ((double)n * (double)m);
}

/* ---- all directions ---- */

/* Directions that one thread projects on at once: enough that a product is bound by arithmetic, few
 * enough that many threads have some; and rows of a product. */
enum { DIRECTIONS = 16, ROWS = 1024 };

typedef struct pair {
    const float *a, *b;
    int64_t a_count, b_count, dims, count; /* of directions */
    const float *directions;
    double *squares; /* [count]: W₂² of each direction */
} pair;

/* out [n][count]: the rows on each direction, in ascending order. @param spare  [count] */
static bool project(float *out, float *spare, const float *x, int64_t count, int64_t dims,
                    const float *directions, int64_t n)
{
    bool well = true;
    for (int64_t at = 0; at < count; at += ROWS)
        well = metrics_dots(out + at, count, directions, n, x + at * dims,
                            count - at < ROWS ? count - at : ROWS, dims) &&
               well;
    for (int64_t k = 0; k < n; k++) metrics_sort(out + k * count, spare, count);
    return well;
}

/* Directions first … first + n − 1. @param buffer  (DIRECTIONS + 1) (a_count + b_count) floats */
static bool run_block(const pair *p, int64_t first, int64_t n, float *buffer)
{
    float *x = buffer, *y = x + DIRECTIONS * p->a_count, *spare = y + DIRECTIONS * p->b_count;
    const float *directions = p->directions + first * p->dims;
    const bool well = project(x, spare, p->a, p->a_count, p->dims, directions, n) &&
                      project(y, spare, p->b, p->b_count, p->dims, directions, n);
    for (int64_t k = 0; well && k < n; k++)
        p->squares[first + k] =
            wasserstein_line(x + k * p->a_count, p->a_count, y + k * p->b_count, p->b_count);
    return well;
}

/* This rank's blocks of directions: each `ranks`-th. */
static tw_status run_share(const pair *p, int rank, int ranks)
{
    tw_status st = TW_OK;
    float *buffer = NULL;
    bool failed = false;
    const int64_t blocks = (p->count + DIRECTIONS - 1) / DIRECTIONS;
    const int64_t mine = blocks > rank ? (blocks - rank + ranks - 1) / ranks : 0;
    const int64_t most = omp_get_max_threads(), threads = mine < most ? (mine ? mine : 1) : most;
    const int64_t room = (DIRECTIONS + 1) * (p->a_count + p->b_count);
    TW_TRY(tw_alloc(&buffer, threads * room, sizeof *buffer, "projections"));
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t k = 0; k < mine; k++) {
        const int64_t first = (rank + k * ranks) * DIRECTIONS, left = p->count - first;
        if (!run_block(p, first, left < DIRECTIONS ? left : DIRECTIONS,
                       buffer + omp_get_thread_num() * room)) {
#pragma omp atomic write
            failed = true;
        }
    }
    TW_TRY(metrics_dots_check(failed));
done:
    tw_free(&buffer);
    return st;
}

static tw_status run_pair(pair *p, const tw_comm *comm, uint64_t seed)
{
    tw_status st = TW_OK;
    float *directions = NULL;
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
