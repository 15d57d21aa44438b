/* Improved precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al.
 * 2020). A ball around each row reaches its k-th nearest neighbour in its own set, itself not
 * counted; r^k is its radius.
 *
 *   precision  share of samples within a ball of the data's, k = precision_k
 *   recall     share of the data within a ball of the samples', k = precision_k
 *   density    balls of the data's that a sample is within, over k, k = coverage_k: 1 for samples
 *              like the data, also above
 *   coverage   share of the data's balls with a sample within, k = coverage_k
 *
 * Balls are closed: a row on the border is within. */
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "metrics/nearest.h"
#include "tweedie/memory.h"
#include "tweedie/metrics_features.h"

extern const tw_metric tw_quality_manifold;

typedef struct manifold_config {
    int64_t precision_k, coverage_k;
} manifold_config;

static const tw_config_field fields[] = {
    {NULL, "precision_k", TW_CONFIG_INT64, offsetof(manifold_config, precision_k), "3", 1, 1000,
     .help = "neighbours of precision and recall"},
    {NULL, "coverage_k", TW_CONFIG_INT64, offsetof(manifold_config, coverage_k), "5", 1, 1000,
     .help = "neighbours of density and coverage"},
};

enum { ROWS = 128, COLUMNS = 512 };

/* What is counted: flags and counts of rows, as numbers that ranks add. A row of samples is one
 * thread's; a row of the data is any thread's, which only ever writes 1. */
typedef struct counts {
    const tw_metric_pair *p;
    metrics_rows samples, reference; /* about the data's mean */
    double *precise, *dense;         /* squared radii of the data, of either k */
    double *recall;                  /* of the samples */
    double *within, *depth;          /* [sample_count] */
    double *recalled, *covered;      /* [reference_count] */
} counts;

/* Whether a pair's distance is at most a radius; near it the distance in double decides. */
static bool reaches(const counts *c, int64_t i, int64_t k, double near2, double *exact2,
                    double radius2)
{
    const double margin = METRICS_MARGIN * (c->samples.square[i] + c->reference.square[k]);
    if (near2 < radius2 - margin) return true;
    if (near2 > radius2 + margin) return false;
    if (*exact2 < 0)
        *exact2 = metrics_distance2(c->p->samples + i * c->p->dims,
                                    c->p->reference + k * c->p->dims, c->p->dims);
    return *exact2 <= radius2;
}

static void mark(double *flag)
{
#pragma omp atomic write
    *flag = 1;
}

static void count_pair(const counts *c, int64_t i, int64_t k, double product)
{
    const double near2 = c->samples.square[i] + c->reference.square[k] - 2 * product;
    double exact2 = -1;
    if (c->within[i] < 1 && reaches(c, i, k, near2, &exact2, c->precise[k])) c->within[i] = 1;
    if (reaches(c, i, k, near2, &exact2, c->dense[k])) {
        c->depth[i] += 1;
        mark(&c->covered[k]);
    }
    if (reaches(c, i, k, near2, &exact2, c->recall[i])) mark(&c->recalled[k]);
}

static bool count_rows(const counts *c, int64_t first, float *product)
{
    const tw_metric_pair *p = c->p;
    const int64_t left = p->sample_count - first, rows = left < ROWS ? left : ROWS;
    for (int64_t column = 0; column < p->reference_count; column += COLUMNS) {
        const int64_t rest = p->reference_count - column, columns = rest < COLUMNS ? rest : COLUMNS;
        if (!metrics_dots(product, COLUMNS, c->samples.x + first * p->dims, rows,
                          c->reference.x + column * p->dims, columns, p->dims))
            return false;
        for (int64_t i = 0; i < rows; i++)
            for (int64_t k = 0; k < columns; k++)
                count_pair(c, first + i, column + k, (double)product[i * COLUMNS + k]);
    }
    return true;
}

static tw_status count_share(const counts *c)
{
    tw_status st = TW_OK;
    float *product = NULL;
    bool failed = false;
    const tw_comm *comm = c->p->comm;
    const int64_t rank = comm ? tw_comm_rank(comm) : 0, ranks = comm ? tw_comm_size(comm) : 1;
    const int64_t threads = omp_get_max_threads();
    TW_TRY(tw_alloc(&product, threads * ROWS * COLUMNS, sizeof *product, "distances of pairs"));
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t first = rank * ROWS; first < c->p->sample_count; first += ranks * ROWS)
        if (!count_rows(c, first, product + omp_get_thread_num() * ROWS * COLUMNS)) {
#pragma omp atomic write
            failed = true;
        }
    TW_TRY(metrics_dots_check(failed));
done:
    tw_free(&product);
    return st;
}

/* Squared radii of the balls of a set, to the k1-th and the k2-th neighbour (out2 NULL: not asked
 * for). @param[out] out1, out2  [count], tw_free */
static tw_status find_radii(double **out1, int64_t k1, double **out2, int64_t k2,
                            const tw_comm *comm, const float *x, int64_t count, int64_t dims)
{
    tw_status st = TW_OK;
    double *all = NULL;
    const int64_t k = out2 && k2 > k1 ? k2 : k1;
    st = tw_alloc(&all, count * k, sizeof *all, "distances of neighbours");
    if (st == TW_OK) st = tw_alloc(out1, count, sizeof **out1, "radii");
    if (st == TW_OK && out2) st = tw_alloc(out2, count, sizeof **out2, "radii");
    if (comm) st = tw_comm_agree(comm, st);
    if (st != TW_OK) goto done;
    TW_TRY(tw_nearest(all, NULL, comm, x, count, x, count, dims, k, true));
    for (int64_t i = 0; i < count; i++) {
        (*out1)[i] = all[i * k + k1 - 1];
        if (out2) (*out2)[i] = all[i * k + k2 - 1];
    }
done:
    tw_free(&all);
    return st;
}

static tw_status allocate(counts *c)
{
    tw_status st = TW_OK;
    double *mean = NULL;
    const tw_metric_pair *p = c->p;
    const int64_t n = p->sample_count, m = p->reference_count;
    TW_TRY(tw_alloc(&mean, p->dims, sizeof *mean, "a mean"));
    metrics_mean(mean, p->reference, m, p->dims);
    TW_TRY(metrics_rows_of(&c->samples, p->samples, n, p->dims, mean));
    TW_TRY(metrics_rows_of(&c->reference, p->reference, m, p->dims, mean));
    TW_TRY(tw_alloc(&c->within, 2 * n, sizeof *c->within, "counts of samples"));
    TW_TRY(tw_alloc(&c->recalled, 2 * m, sizeof *c->recalled, "counts of the data"));
    c->depth = c->within + n;
    c->covered = c->recalled + m;
done:
    tw_free(&mean);
    return st;
}

static tw_status count_all(counts *c, const manifold_config *config)
{
    tw_status st = TW_OK;
    const tw_metric_pair *p = c->p;
    st = allocate(c);
    if (p->comm) st = tw_comm_agree(p->comm, st);
    if (st != TW_OK) goto done;
    TW_TRY(find_radii(&c->precise, config->precision_k, &c->dense, config->coverage_k, p->comm,
                      p->reference, p->reference_count, p->dims));
    TW_TRY(find_radii(&c->recall, config->precision_k, NULL, 0, p->comm, p->samples,
                      p->sample_count, p->dims));
    st = count_share(c);
    if (!p->comm) goto done;
    TW_TRY(tw_comm_agree(p->comm, st));
    TW_TRY(tw_comm_sum(p->comm, c->within, 2 * p->sample_count));
    TW_TRY(tw_comm_sum(p->comm, c->recalled, 2 * p->reference_count));
done:
    return st;
}

static double share(const double *flags, int64_t count)
{
    double n = 0;
    for (int64_t i = 0; i < count; i++) n += flags[i] > 0;
    return n / (double)count;
}

static tw_status measure(const void *config, const tw_metric_pair *p, double *out)
{
    tw_status st = TW_OK;
    const manifold_config *m = config;
    counts c = {.p = p};
    double depth = 0;
    TW_TRY(count_all(&c, m));
    for (int64_t i = 0; i < p->sample_count; i++) depth += c.depth[i];
    out[0] = share(c.within, p->sample_count);
    out[1] = share(c.recalled, p->reference_count);
    out[2] = depth / ((double)m->coverage_k * (double)p->sample_count);
    out[3] = share(c.covered, p->reference_count);
done:
    metrics_rows_free(&c.samples);
    metrics_rows_free(&c.reference);
    tw_free(&c.precise);
    tw_free(&c.dense);
    tw_free(&c.recall);
    tw_free(&c.within);
    tw_free(&c.recalled);
    return st;
}

const tw_metric tw_quality_manifold = {
    .kind = {"manifold", "precision and recall, density and coverage", fields,
             sizeof fields / sizeof *fields, sizeof(manifold_config)},
    .value_count = 4,
    .values = {{"precision", "precision", "samples that look like data"},
               {"recall", "recall", "data that look like samples"},
               {"density", "density", "1: as dense as the data"},
               {"coverage", "coverage", "data with samples near them"}},
    .measure = measure,
};
