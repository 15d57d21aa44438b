/* The Fréchet distance of two sets of features, seen as normals: FID where the features are
 * Inception's and the samples 50,000 (Heusel et al. 2017). Covariances have the divisor N − 1; all
 * is computed in double. It has a bias that falls with 1 / N: numbers of different N cannot be
 * compared. */
#include "tweedie/metrics_features.h"

#include "metrics/nearest.h"
#include "metrics/symmetric.h"
#include "tweedie/memory.h"

extern const tw_metric tw_quality_frechet;

tw_status tw_gaussian_of(tw_gaussian *out, const tw_comm *comm, const float *x, int64_t count,
                         int64_t dims)
{
    tw_status st = TW_OK;
    int64_t square;
    TW_CHECK(count >= 2, TW_EDATA, "%lld samples have no covariance; 2 or more were expected",
             (long long)count);
    TW_TRY(tw_multiply(&square, dims, dims, "a covariance"));
    st = tw_alloc(&out->mean, dims, sizeof *out->mean, "a mean");
    if (st == TW_OK)
        st = tw_alloc(&out->covariance, square, sizeof *out->covariance, "a covariance");
    if (comm) st = tw_comm_agree(comm, st);
    if (st != TW_OK) goto done;
    out->count = count;
    out->dims = dims;
    metrics_mean(out->mean, x, count, dims);
    const metrics_matrix m = {.f = x, .mean = out->mean, .rows = count, .columns = dims};
    TW_TRY(metrics_gram(out->covariance, comm, &m, &m, true));
    for (int64_t i = 0; i < square; i++) out->covariance[i] /= (double)(count - 1);
done:
    return st;
}

void tw_gaussian_free(tw_gaussian *g)
{
    tw_free(&g->mean);
    tw_free(&g->covariance);
    *g = (tw_gaussian){0};
}

tw_status tw_gaussian_distance(double *out, const tw_comm *comm, const tw_gaussian *a,
                               const tw_gaussian *b)
{
    tw_status st = TW_OK;
    double root, sum = 0;
    const int64_t n = a->dims;
    TW_TRY(metrics_trace_root(&root, comm, a->covariance, b->covariance, n));
    for (int64_t d = 0; d < n; d++) {
        const double gap = a->mean[d] - b->mean[d];
        sum += gap * gap + a->covariance[d * n + d] + b->covariance[d * n + d];
    }
    *out = sum - 2 * root;
done:
    return st;
}

static tw_status measure(const void *config, const tw_metric_pair *p, double *out)
{
    tw_status st = TW_OK;
    tw_gaussian samples = {0}, reference = {0};
    (void)config;
    TW_TRY(tw_gaussian_of(&samples, p->comm, p->samples, p->sample_count, p->dims));
    if (!p->gaussian)
        TW_TRY(tw_gaussian_of(&reference, p->comm, p->reference, p->reference_count, p->dims));
    TW_TRY(tw_gaussian_distance(out, p->comm, p->gaussian ? p->gaussian : &reference, &samples));
done:
    tw_gaussian_free(&samples);
    tw_gaussian_free(&reference);
    return st;
}

const tw_metric tw_quality_frechet = {
    .kind = {"frechet", "Frechet distance of the features as normals (FID with Inception's)"},
    .value_count = 1,
    .values = {{"frechet_distance", "Frechet distance", "0: the same; less with more samples"}},
    .quick = true,
    .measure = measure,
};
