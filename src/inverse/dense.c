/* Small dense matrices: eigenvectors, Cholesky's factor, the cosine transform. */
#include <math.h>
#include <stdbool.h>

#include "inverse/basis.h"
#include "tweedie/memory.h"

void tw_cosine_matrix(int64_t n, double *matrix)
{
    for (int64_t k = 0; k < n; k++)
        for (int64_t j = 0; j < n; j++)
            matrix[k * n + j] = sqrt((k == 0 ? 1.0 : 2.0) / (double)n) *
                                cos(M_PI * (double)k * ((double)j + 0.5) / (double)n);
}

/* ---- eigenvectors ---- */

/* The reflection H = I − v vᵀ / b that takes row i left of the diagonal to its last element,
 * applied from both sides to the leading i × i block: A ← A − v qᵀ − q vᵀ, with p = A v / b and q =
 * p − (vᵀ p / 2 b) v. v stays in row i, v / b in column i, e [i] the element beside the diagonal.
 */
static double reflect(int64_t n, double *a, int64_t i, double *e)
{
    double *v = a + i * n, norm = 0, b, k = 0;
    for (int64_t j = 0; j < i; j++) norm += v[j] * v[j];
    norm = v[i - 1] > 0 ? -sqrt(norm) : sqrt(norm);
    b = norm * norm - v[i - 1] * norm;
    e[i] = norm;
    if (b == 0) return 0;
    v[i - 1] -= norm;
    for (int64_t j = 0; j < i; j++) {
        double p = 0;
        for (int64_t l = 0; l < i; l++) p += (l <= j ? a[j * n + l] : a[l * n + j]) * v[l];
        e[j] = p / b;
        k += e[j] * v[j];
    }
    k /= 2 * b;
    for (int64_t j = 0; j < i; j++) e[j] -= k * v[j];
    for (int64_t j = 0; j < i; j++)
        for (int64_t l = 0; l <= j; l++) a[j * n + l] -= v[j] * e[l] + e[j] * v[l];
    for (int64_t j = 0; j < i; j++) a[j * n + i] = v[j] / b;
    return b;
}

/* Tridiagonal form: d the diagonal, e [1 … n) beside it, the transformation in a. */
static void tridiagonalise(int64_t n, double *a, double *d, double *e)
{
    for (int64_t i = n - 1; i > 0; i--) d[i] = i > 1 ? reflect(n, a, i, e) : 0;
    if (n > 1) e[1] = a[n]; /* row 1 needs no reflection */
    e[0] = 0;
    for (int64_t i = 0; i < n; i++) {
        const bool reflected = i > 1 && d[i] != 0;
        for (int64_t j = 0; reflected && j < i; j++) {
            double g = 0;
            for (int64_t k = 0; k < i; k++) g += a[i * n + k] * a[k * n + j];
            for (int64_t k = 0; k < i; k++) a[k * n + j] -= g * a[k * n + i];
        }
        d[i] = a[i * n + i];
        a[i * n + i] = 1;
        for (int64_t j = 0; j < i; j++) a[j * n + i] = a[i * n + j] = 0;
    }
}

/* One QL sweep with an implicit shift over l … m; rotates the eigenvectors, which are rows of z. */
static void sweep(int64_t n, double *z, double *d, double *e, int64_t l, int64_t m)
{
    double g = (d[l + 1] - d[l]) / (2 * e[l]), r = hypot(g, 1);
    double s = 1, c = 1, p = 0;
    g = d[m] - d[l] + e[l] / (g + (g >= 0 ? r : -r));
    for (int64_t i = m - 1; i >= l; i--) {
        const double f = s * e[i], b = c * e[i];
        r = hypot(f, g);
        e[i + 1] = r;
        if (r == 0) {
            d[i + 1] -= p;
            e[m] = 0;
            return;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1] - p;
        r = (d[i] - g) * s + 2 * c * b;
        p = s * r;
        d[i + 1] = g + p;
        g = c * r - b;
        double *zi = z + i * n, *zj = zi + n;
        for (int64_t k = 0; k < n; k++) {
            const double t = zj[k];
            zj[k] = s * zi[k] + c * t;
            zi[k] = c * zi[k] - s * t;
        }
    }
    d[l] -= p;
    e[l] = g;
    e[m] = 0;
}

static void transpose(int64_t n, double *a)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < i; j++) {
            const double t = a[i * n + j];
            a[i * n + j] = a[j * n + i];
            a[j * n + i] = t;
        }
}

/* Selection: n is small beside the rest. */
static void sort(int64_t n, double *z, double *d)
{
    for (int64_t i = 0; i + 1 < n; i++) {
        int64_t k = i;
        for (int64_t j = i + 1; j < n; j++)
            if (d[j] < d[k]) k = j;
        if (k == i) continue;
        const double t = d[i];
        d[i] = d[k];
        d[k] = t;
        for (int64_t j = 0; j < n; j++) {
            const double v = z[i * n + j];
            z[i * n + j] = z[k * n + j];
            z[k * n + j] = v;
        }
    }
}

tw_status tw_eigen(int64_t n, double *a, double *values)
{
    tw_status st = TW_OK;
    double *e = NULL;
    TW_TRY(tw_alloc(&e, n, sizeof *e, "eigenvalues"));
    for (int64_t i = 0; i < n * n; i++)
        TW_CHECK(isfinite(a[i]), TW_EDIVERGED, "a matrix with numbers that are not finite");
    tridiagonalise(n, a, values, e);
    transpose(n, a);
    for (int64_t i = 1; i < n; i++) e[i - 1] = e[i];
    e[n - 1] = 0;
    for (int64_t l = 0; l < n; l++)
        for (int tries = 0;; tries++) {
            int64_t m = l;
            for (; m < n - 1; m++)
                if (fabs(e[m]) <= 1e-16 * (fabs(values[m]) + fabs(values[m + 1]))) break;
            if (m == l) break;
            TW_CHECK(tries < 200, TW_EDIVERGED, "eigenvalues do not converge");
            sweep(n, a, values, e, l, m);
        }
    sort(n, a, values);
    transpose(n, a);
done:
    tw_free(&e);
    return st;
}

/* ---- Cholesky ---- */

tw_status tw_cholesky(int64_t n, double *a)
{
    tw_status st = TW_OK;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j <= i; j++) {
            double sum = a[i * n + j];
            for (int64_t k = 0; k < j; k++) sum -= a[i * n + k] * a[j * n + k];
            if (i == j) TW_CHECK(sum > 0, TW_EDATA, "a matrix that is not positive definite");
            a[i * n + j] = i == j ? sqrt(sum) : sum / a[j * n + j];
        }
done:
    return st;
}

void tw_cholesky_solve(int64_t n, const double *l, double *x)
{
    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = 0; k < i; k++) x[i] -= l[i * n + k] * x[k];
        x[i] /= l[i * n + i];
    }
    for (int64_t i = n - 1; i >= 0; i--) {
        for (int64_t k = i + 1; k < n; k++) x[i] -= l[k * n + i] * x[k];
        x[i] /= l[i * n + i];
    }
}
