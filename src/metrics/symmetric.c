/* Eigenvalues of symmetric matrices, and the trace of the root of a product (Dowson and Landau
 * 1982): a b has the eigenvalues of lᵀ b l where a = l lᵀ, which is symmetric, so none can become
 * complex in rounding, and a singular a (fewer samples than dimensions) needs no jitter.
 *
 * Householder's reduction to three diagonals, then implicit QR steps with Wilkinson's shift (Golub
 * and Van Loan, chapter 8). Each row of the reduction is read and written once a step: what bounds
 * it is memory. */
#include "metrics/symmetric.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "metrics/dots.h"
#include "tweedie/memory.h"

/* Rows below which a parallel region costs more than it brings. */
enum { ALONE = 256, SWEEPS = 60 };

static double dot(const double *a, const double *b, int64_t n)
{
    double s = 0;
#pragma omp simd reduction(+ : s)
    for (int64_t i = 0; i < n; i++) s += a[i] * b[i];
    return s;
}

/* ---- the factor: Cholesky with the largest pivot first ---- */

static int64_t largest(const double *left, const bool *taken, int64_t n)
{
    int64_t best = -1;
    for (int64_t i = 0; i < n; i++)
        if (!taken[i] && (best < 0 || left[i] > left[best])) best = i;
    return best;
}

tw_status metrics_factor(double *l, int64_t *rank, const double *a, int64_t n)
{
    tw_status st = TW_OK;
    double *left = NULL, most = 0; /* what is left of the diagonal */
    bool *taken = NULL;
    int64_t k = 0;
    TW_TRY(tw_alloc(&left, n, sizeof *left, "a factor"));
    TW_TRY(tw_alloc(&taken, n, sizeof *taken, "a factor"));
    memset(l, 0, (size_t)(n * n) * sizeof *l);
    for (int64_t i = 0; i < n; i++) left[i] = a[i * n + i];
    for (int64_t i = 0; i < n; i++) most = fmax(most, left[i]);
    for (; k < n; k++) {
        const int64_t p = largest(left, taken, n);
        if (!(left[p] > (double)n * DBL_EPSILON * most)) break;
        const double pivot = sqrt(left[p]);
        taken[p] = true;
        l[p * n + k] = pivot;
#pragma omp parallel for schedule(static) if (n > ALONE)
        for (int64_t i = 0; i < n; i++) {
            if (taken[i]) continue;
            const double v = (a[i * n + p] - dot(l + i * n, l + p * n, k)) / pivot;
            l[i * n + k] = v;
            left[i] -= v * v;
        }
    }
    *rank = k;
done:
    tw_free(&left);
    tw_free(&taken);
    return st;
}

/* ---- three diagonals ---- */

/* The reflection I − β v vᵀ that makes all but the first of x [m] zero: v in its place, v_0 = 1.
 * @return β. @param[out] first  what the first becomes */
static double reflect(double *x, int64_t m, double *first)
{
    const double rest = dot(x + 1, x + 1, m - 1), head = x[0];
    *first = head;
    if (!(rest > 0)) return 0;
    const double length = sqrt(head * head + rest);
    const double v0 = head <= 0 ? head - length : -rest / (head + length);
    const double beta = 2 * v0 * v0 / (rest + v0 * v0);
    for (int64_t i = 1; i < m; i++) x[i] /= v0;
    x[0] = 1;
    *first = length;
    return beta;
}

/* a [m][m] of rows `stride` apart becomes (I − β v vᵀ) a (I − β v vᵀ). @param w  [m] */
static void apply(double *a, int64_t stride, int64_t m, const double *v, double beta, double *w)
{
#pragma omp parallel for schedule(static) if (m > ALONE)
    for (int64_t i = 0; i < m; i++) w[i] = beta * dot(a + i * stride, v, m);
    const double c = beta * dot(w, v, m) / 2;
    for (int64_t i = 0; i < m; i++) w[i] -= c * v[i];
#pragma omp parallel for schedule(static) if (m > ALONE)
    for (int64_t i = 0; i < m; i++) {
        double *row = a + i * stride;
        const double vi = v[i], wi = w[i];
#pragma omp simd
        for (int64_t k = 0; k < m; k++) row[k] -= vi * w[k] + wi * v[k];
    }
}

/* @param[out] d, e  [n]: the diagonal, and beside it, e[n − 1] = 0. @param work  2 n */
static void reduce(double *d, double *e, double *a, int64_t n, double *work)
{
    double *v = work, *w = work + n;
    for (int64_t k = 0; k < n; k++) {
        const int64_t m = n - k - 1;
        d[k] = a[k * n + k];
        e[k] = m == 1 ? a[k * n + k + 1] : 0;
        if (m < 2) continue;
        memcpy(v, a + k * n + k + 1, (size_t)m * sizeof *v);
        const double beta = reflect(v, m, &e[k]);
        if (beta > 0) apply(a + (k + 1) * (n + 1), n, m, v, beta, w);
    }
}

/* ---- the eigenvalues of three diagonals ---- */

static bool is_negligible(const double *d, const double *e, int64_t k)
{
    return fabs(e[k]) <= DBL_EPSILON * (fabs(d[k]) + fabs(d[k + 1]));
}

/* One implicit QR step on the unreduced block l … m: rotations of neighbours chase what the first
 * one puts beside the diagonals. */
static void step(double *d, double *e, int64_t l, int64_t m)
{
    const double half = (d[m - 1] - d[m]) / 2, last = e[m - 1];
    const double shift = d[m] - last * (last / (half + copysign(hypot(half, last), half)));
    double x = d[l] - shift, z = e[l];
    for (int64_t k = l; k < m; k++) {
        const double r = hypot(x, z), c = r > 0 ? x / r : 1, s = r > 0 ? z / r : 0;
        const double a = d[k], b = e[k], f = d[k + 1];
        if (k > l) e[k - 1] = r;
        d[k] = c * c * a + 2 * c * s * b + s * s * f;
        d[k + 1] = s * s * a - 2 * c * s * b + c * c * f;
        e[k] = c * s * (f - a) + (c * c - s * s) * b;
        x = e[k];
        if (k + 1 < m) {
            z = s * e[k + 1];
            e[k + 1] *= c;
        }
    }
}

/* From the last one upwards. */
static tw_status solve(double *d, double *e, int64_t n)
{
    tw_status st = TW_OK;
    int sweeps = 0;
    for (int64_t m = n - 1; m > 0;) {
        int64_t l = m;
        while (l > 0 && !is_negligible(d, e, l - 1)) l--;
        if (l == m) {
            m--;
            sweeps = 0;
            continue;
        }
        TW_CHECK(++sweeps < SWEEPS, TW_EINTERNAL, "eigenvalues: %d sweeps do not converge", SWEEPS);
        step(d, e, l, m);
    }
done:
    return st;
}

tw_status metrics_eigenvalues(double *values, double *a, int64_t n)
{
    tw_status st = TW_OK;
    double *work = NULL;
    TW_TRY(tw_alloc(&work, 3 * n, sizeof *work, "eigenvalues"));
    reduce(values, work + 2 * n, a, n, work);
    TW_TRY(solve(values, work + 2 * n, n));
done:
    tw_free(&work);
    return st;
}

/* ---- the root of a product ---- */

/* Σ √λ of what rank zero finds: the ranks' libraries may differ in the last bit. */
static tw_status sum_roots(double *out, double *product, int64_t n)
{
    tw_status st = TW_OK;
    double *values = NULL, sum = 0;
    TW_TRY(tw_alloc(&values, n, sizeof *values, "eigenvalues"));
    TW_TRY(metrics_eigenvalues(values, product, n));
    for (int64_t i = 0; i < n; i++) sum += sqrt(fmax(values[i], 0));
    *out = sum;
done:
    tw_free(&values);
    return st;
}

tw_status metrics_trace_root(double *out, const tw_comm *comm, const double *a, const double *b,
                             int64_t n)
{
    tw_status st = TW_OK;
    double *l = NULL, *half = NULL, *product = NULL, sum = 0;
    int64_t rank;
    st = tw_alloc(&l, n * n, sizeof *l, "a factor");
    if (st == TW_OK) st = tw_alloc(&half, n * n, sizeof *half, "half a product");
    if (st == TW_OK) st = tw_alloc(&product, n * n, sizeof *product, "a product");
    if (st == TW_OK) st = metrics_factor(l, &rank, a, n);
    if (comm) st = tw_comm_agree(comm, st);
    if (st != TW_OK) goto done;
    const metrics_matrix mb = {.d = b, .rows = n, .columns = n},
                         ml = {.d = l, .rows = n, .columns = n},
                         mh = {.d = half, .rows = n, .columns = n};
    TW_TRY(metrics_gram(half, comm, &mb, &ml, false));
    TW_TRY(metrics_gram(product, comm, &ml, &mh, true));
    if (!comm || tw_comm_rank(comm) == 0) st = sum_roots(&sum, product, n);
    if (comm) {
        TW_TRY(tw_comm_agree(comm, st));
        TW_TRY(tw_comm_broadcast(comm, &sum, sizeof sum, 0));
    }
    if (st != TW_OK) goto done;
    *out = sum;
done:
    tw_free(&l);
    tw_free(&half);
    tw_free(&product);
    return st;
}
