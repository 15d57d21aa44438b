/* Nearest neighbours. The products point at candidates, a few more than are asked for; their
 * distances are then computed in double, so what comes out does not depend on how a product was
 * rounded. */
#include "metrics/nearest.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "tweedie/memory.h"
#include "tweedie/metrics_features.h"

enum { ROWS = 128, COLUMNS = 512, MORE = 4 };

void metrics_squares(double *out, const float *x, int64_t count, int64_t dims)
{
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < count; i++) {
        double s = 0;
        for (int64_t d = 0; d < dims; d++) s += (double)x[i * dims + d] * (double)x[i * dims + d];
        out[i] = s;
    }
}

void metrics_mean(double *out, const float *x, int64_t count, int64_t dims)
{
    memset(out, 0, (size_t)dims * sizeof *out);
    for (int64_t i = 0; i < count; i++)
        for (int64_t d = 0; d < dims; d++) out[d] += (double)x[i * dims + d];
    for (int64_t d = 0; d < dims; d++) out[d] /= (double)count;
}

tw_status metrics_rows_of(metrics_rows *out, const float *x, int64_t count, int64_t dims,
                          const double *mean)
{
    tw_status st = TW_OK;
    TW_TRY(tw_alloc(&out->x, count * dims, sizeof *out->x, "rows about their mean"));
    TW_TRY(tw_alloc(&out->square, count, sizeof *out->square, "norms"));
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < count; i++)
        for (int64_t d = 0; d < dims; d++)
            out->x[i * dims + d] = (float)((double)x[i * dims + d] - mean[d]);
    metrics_squares(out->square, out->x, count, dims);
done:
    return st;
}

void metrics_rows_free(metrics_rows *rows)
{
    tw_free(&rows->x);
    tw_free(&rows->square);
}

double metrics_distance2(const float *a, const float *b, int64_t dims)
{
    double s = 0;
    for (int64_t d = 0; d < dims; d++) {
        const double gap = (double)a[d] - (double)b[d];
        s += gap * gap;
    }
    return s;
}

typedef struct candidate {
    double distance2;
    int64_t index;
} candidate;

typedef struct search {
    const float *a, *b;
    metrics_rows near_a, near_b; /* about b's mean */
    int64_t a_count, b_count, dims, k, kept;
    bool same;
    double *distances2, *indices; /* [a_count][k] */
} search;

/* Keeps the `kept` nearest in order. */
static void insert(candidate *list, int64_t *count, int64_t kept, candidate c)
{
    int64_t at = *count;
    if (at == kept && !(c.distance2 < list[kept - 1].distance2)) return;
    if (at == kept) at--;
    for (; at > 0 && list[at - 1].distance2 > c.distance2; at--) list[at] = list[at - 1];
    list[at] = c;
    if (*count < kept) ++*count;
}

static int nearer(const void *x, const void *y)
{
    const candidate *a = x, *b = y;
    if (a->distance2 != b->distance2) return a->distance2 < b->distance2 ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

/* The candidates of one row by their distances in double. */
static void decide(const search *s, int64_t row, candidate *list, int64_t count)
{
    for (int64_t c = 0; c < count; c++)
        list[c].distance2 =
            metrics_distance2(s->a + row * s->dims, s->b + list[c].index * s->dims, s->dims);
    qsort(list, (size_t)count, sizeof *list, nearer);
    for (int64_t c = 0; c < s->k; c++) {
        s->distances2[row * s->k + c] = list[c].distance2;
        s->indices[row * s->k + c] = (double)list[c].index;
    }
}

/* @param lists  [ROWS][kept], @param counts  [ROWS] */
static bool search_rows(const search *s, int64_t first, float *product, candidate *lists,
                        int64_t *counts)
{
    const int64_t left = s->a_count - first, rows = left < ROWS ? left : ROWS;
    memset(counts, 0, ROWS * sizeof *counts);
    for (int64_t column = 0; column < s->b_count; column += COLUMNS) {
        const int64_t rest = s->b_count - column, columns = rest < COLUMNS ? rest : COLUMNS;
        if (!metrics_dots(product, COLUMNS, s->near_a.x + first * s->dims, rows,
                          s->near_b.x + column * s->dims, columns, s->dims))
            return false;
        for (int64_t i = 0; i < rows; i++)
            for (int64_t k = 0; k < columns; k++)
                if (!s->same || first + i != column + k)
                    insert(lists + i * s->kept, &counts[i], s->kept,
                           (candidate){s->near_b.square[column + k] -
                                           2 * (double)product[i * COLUMNS + k],
                                       column + k});
    }
    for (int64_t i = 0; i < rows; i++) decide(s, first + i, lists + i * s->kept, counts[i]);
    return true;
}

static tw_status search_share(const search *s, int rank, int ranks)
{
    tw_status st = TW_OK;
    float *product = NULL;
    candidate *lists = NULL;
    int64_t *counts = NULL;
    bool failed = false;
    const int64_t threads = omp_get_max_threads();
    TW_TRY(tw_alloc(&product, threads * ROWS * COLUMNS, sizeof *product, "distances of pairs"));
    TW_TRY(tw_alloc(&lists, threads * ROWS * s->kept, sizeof *lists, "nearest neighbours"));
    TW_TRY(tw_alloc(&counts, threads * ROWS, sizeof *counts, "nearest neighbours"));
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t first = (int64_t)rank * ROWS; first < s->a_count; first += (int64_t)ranks * ROWS) {
        const int64_t me = omp_get_thread_num();
        if (!search_rows(s, first, product + me * ROWS * COLUMNS, lists + me * ROWS * s->kept,
                         counts + me * ROWS)) {
#pragma omp atomic write
            failed = true;
        }
    }
    TW_TRY(metrics_dots_check(failed));
done:
    tw_free(&product);
    tw_free(&lists);
    tw_free(&counts);
    return st;
}

static tw_status prepare(search *s)
{
    tw_status st = TW_OK;
    double *mean = NULL;
    TW_TRY(tw_alloc(&mean, s->dims, sizeof *mean, "a mean"));
    TW_TRY(tw_alloc(&s->indices, s->a_count * s->k, sizeof *s->indices, "nearest neighbours"));
    metrics_mean(mean, s->b, s->b_count, s->dims);
    TW_TRY(metrics_rows_of(&s->near_a, s->a, s->a_count, s->dims, mean));
    TW_TRY(metrics_rows_of(&s->near_b, s->b, s->b_count, s->dims, mean));
done:
    tw_free(&mean);
    return st;
}

tw_status tw_nearest(double *distances2, int64_t *indices, const tw_comm *comm, const float *a,
                     int64_t a_count, const float *b, int64_t b_count, int64_t dims, int64_t k,
                     bool same)
{
    tw_status st = TW_OK;
    const int64_t there = b_count - same;
    search s = {.a = a,
                .b = b,
                .a_count = a_count,
                .b_count = b_count,
                .dims = dims,
                .k = k,
                .kept = k + MORE < there ? k + MORE : there,
                .same = same,
                .distances2 = distances2};
    TW_CHECK(k <= there, TW_EDATA, "%lld samples have no %lld neighbours each; more were expected",
             (long long)b_count, (long long)k);
    memset(distances2, 0, (size_t)(a_count * k) * sizeof *distances2);
    st = prepare(&s);
    if (st == TW_OK)
        st = search_share(&s, comm ? tw_comm_rank(comm) : 0, comm ? tw_comm_size(comm) : 1);
    if (comm) {
        TW_TRY(tw_comm_agree(comm, st));
        TW_TRY(tw_comm_sum(comm, distances2, a_count * k)); /* zeros where others computed */
        TW_TRY(tw_comm_sum(comm, s.indices, a_count * k));
    }
    if (st != TW_OK) goto done;
    for (int64_t i = 0; indices && i < a_count * k; i++) indices[i] = (int64_t)s.indices[i];
done:
    metrics_rows_free(&s.near_a);
    metrics_rows_free(&s.near_b);
    tw_free(&s.indices);
    return st;
}
