/* The kernel distance of Bińkowski et al. (2018): the squared maximum mean discrepancy with the
 * polynomial kernel k(x, y) = (x·y / D + 1)³, estimated without bias,
 *
 *   Σ_{i≠j} k(x_i, x_j) / n(n − 1) + Σ_{i≠j} k(y_i, y_j) / m(m − 1) − 2 Σ_ij k(x_i, y_j) / nm,
 *
 * so that its mean is 0 where the sets have the same distribution, and it can be negative. All
 * pairs count; the published means over subsets of 1,000 have the same expectation and a larger
 * variance. The deviation is that of the mean over disjoint blocks of `block` samples of both. */
#include <math.h>
#include <omp.h>

#include "metrics/dots.h"
#include "tweedie/memory.h"
#include "tweedie/metrics_features.h"

extern const tw_metric tw_quality_kid;

typedef struct kid_config {
    int64_t block;
} kid_config;

static const tw_config_field fields[] = {
    {NULL, "block", TW_CONFIG_INT64, offsetof(kid_config, block), "1000", 2, 1e9,
     .help = "samples of a block, of the deviation"},
};

enum { ROWS = 128, COLUMNS = 512 };

typedef struct side {
    const float *x;
    int64_t count;
} side;

typedef struct kernel_sum {
    side a, b;
    int64_t dims;
    bool same;    /* without pairs of a row with itself */
    double *sums; /* for each block of ROWS of a */
} kernel_sum;

/* Block `at` of a against all of b, the columns in their order. */
static bool sum_rows(const kernel_sum *s, int64_t at, float *product)
{
    const int64_t first = at * ROWS, left = s->a.count - first, rows = left < ROWS ? left : ROWS;
    double sum = 0;
    for (int64_t column = 0; column < s->b.count; column += COLUMNS) {
        const int64_t rest = s->b.count - column, columns = rest < COLUMNS ? rest : COLUMNS;
        if (!metrics_dots(product, COLUMNS, s->a.x + first * s->dims, rows,
                          s->b.x + column * s->dims, columns, s->dims))
            return false;
        for (int64_t i = 0; i < rows; i++)
            for (int64_t k = 0; k < columns; k++) {
                const double v = (double)product[i * COLUMNS + k] / (double)s->dims + 1;
                if (!s->same || first + i != column + k) sum += v * v * v;
            }
    }
    s->sums[at] = sum;
    return true;
}

static tw_status sum_share(kernel_sum *s, int64_t blocks, int rank, int ranks)
{
    tw_status st = TW_OK;
    float *product = NULL;
    bool failed = false;
    const int64_t threads = omp_get_max_threads();
    TW_TRY(tw_alloc(&product, threads * ROWS * COLUMNS, sizeof *product, "kernels of pairs"));
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t at = rank; at < blocks; at += ranks)
        if (!sum_rows(s, at, product + omp_get_thread_num() * ROWS * COLUMNS)) {
#pragma omp atomic write
            failed = true;
        }
    TW_TRY(metrics_dots_check(failed));
done:
    tw_free(&product);
    return st;
}

/* Σ k over pairs. Collective. */
static tw_status sum_kernel(double *out, const tw_comm *comm, side a, side b, int64_t dims,
                            bool same)
{
    tw_status st = TW_OK;
    kernel_sum s = {.a = a, .b = b, .dims = dims, .same = same};
    const int64_t blocks = (a.count + ROWS - 1) / ROWS;
    double sum = 0;
    st = tw_alloc(&s.sums, blocks, sizeof *s.sums, "sums of kernels");
    if (st == TW_OK)
        st = sum_share(&s, blocks, comm ? tw_comm_rank(comm) : 0, comm ? tw_comm_size(comm) : 1);
    if (comm) {
        TW_TRY(tw_comm_agree(comm, st));
        TW_TRY(tw_comm_sum(comm, s.sums, blocks)); /* zeros where others computed */
    }
    if (st != TW_OK) goto done;
    for (int64_t k = 0; k < blocks; k++) sum += s.sums[k];
    *out = sum;
done:
    tw_free(&s.sums);
    return st;
}

static tw_status estimate(double *out, const tw_comm *comm, side a, side b, int64_t dims)
{
    tw_status st = TW_OK;
    double aa, bb, ab;
    const double n = (double)a.count, m = (double)b.count;
    TW_TRY(sum_kernel(&aa, comm, a, a, dims, true));
    TW_TRY(sum_kernel(&bb, comm, b, b, dims, true));
    TW_TRY(sum_kernel(&ab, comm, a, b, dims, false));
    *out = aa / (n * (n - 1)) + bb / (m * (m - 1)) - 2 * ab / (n * m);
done:
    return st;
}

/* Of the mean over disjoint blocks; NaN where there are not two of them. */
static tw_status find_deviation(double *out, const tw_metric_pair *p, int64_t block)
{
    tw_status st = TW_OK;
    const int64_t least =
        p->sample_count < p->reference_count ? p->sample_count : p->reference_count;
    const int64_t blocks = least / block;
    double sum = 0, squares = 0;
    *out = NAN;
    if (blocks < 2) goto done;
    for (int64_t k = 0; k < blocks; k++) {
        double v;
        TW_TRY(estimate(&v, p->comm, (side){p->samples + k * block * p->dims, block},
                        (side){p->reference + k * block * p->dims, block}, p->dims));
        sum += v;
        squares += v * v;
    }
    const double mean = sum / (double)blocks;
    *out = sqrt(fmax(0, squares / (double)blocks - mean * mean) / (double)(blocks - 1));
done:
    return st;
}

static tw_status measure(const void *config, const tw_metric_pair *p, double *out)
{
    tw_status st = TW_OK;
    const kid_config *c = config;
    TW_CHECK(p->sample_count >= 2 && p->reference_count >= 2, TW_EDATA,
             "kid: %lld samples and %lld of the data; 2 of each were expected",
             (long long)p->sample_count, (long long)p->reference_count);
    TW_TRY(estimate(&out[0], p->comm, (side){p->samples, p->sample_count},
                    (side){p->reference, p->reference_count}, p->dims));
    TW_TRY(find_deviation(&out[1], p, c->block));
done:
    return st;
}

const tw_metric tw_quality_kid = {
    .kind = {"kid", "kernel distance (MMD^2, polynomial kernel), without bias", fields,
             sizeof fields / sizeof *fields, sizeof(kid_config)},
    .value_count = 2,
    .values = {{"kid", "kernel distance (KID)", "0: the same; also below"},
               {"kid_std", "  its standard error", ""}},
    .measure = measure,
};
