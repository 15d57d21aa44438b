/* ranks: 1 2 3 */
/* Metrics of features: closed forms, slow loops in double, sets whose counts are known, and the
 * same bits at any number of ranks and threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metrics/symmetric.h"
#include "tweedie/memory.h"
#include "tweedie/metrics_features.h"
#include "tweedie/rng.h"

static tw_comm *comm;

static void must(tw_status st)
{
    if (st != TW_OK) fail_msg("%s", tw_error_message());
}

static void close_to(double met, double wanted, double tolerance)
{
    if (!(fabs(met - wanted) <= tolerance)) fail_msg("%.15g met, %.15g wanted", met, wanted);
}

static float *normals(uint64_t seed, int64_t count, int64_t dims)
{
    float *x = NULL;
    const tw_rng_stream s = {.seed = seed, .purpose = TW_RNG_TEST};
    must(tw_alloc(&x, count * dims, sizeof *x, "points"));
    tw_rng_normal_rows(x, &s, NULL, count, dims);
    return x;
}

/* The values of a metric with its defaults and `assignment` ("" for none). */
static void measure(double *out, const char *name, const tw_metric_pair *pair,
                    const char *assignment)
{
    const tw_choice_rule rule = {.section = name, .key = "kind", .kinds = tw_quality_kinds};
    const char *const list[] = {assignment};
    tw_choice choice = {0};
    tw_config *config = NULL;
    must(tw_choice_make(&choice, &rule, name, assignment[0] ? 1 : 0, list, &config));
    must(((const tw_metric *)choice.kind)->measure(choice.config, pair, out));
    tw_choice_free(&choice);
    tw_config_destroy(&config);
}

static tw_metric_pair pair_of(const float *a, int64_t n, const float *b, int64_t m, int64_t dims)
{
    return (tw_metric_pair){.comm = comm,
                            .samples = a,
                            .reference = b,
                            .sample_count = n,
                            .reference_count = m,
                            .dims = dims};
}

/* ---- matrices ---- */

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* 2 on the diagonal, −1 beside it: 2 − 2 cos(k π / (n + 1)). 300 is above what one thread does. */
static void eigenvalues_of_the_second_difference_are_its_cosines(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 2, 3, 17, 300};
    for (int s = 0; s < 5; s++) {
        const int64_t n = sizes[s];
        double *a = NULL, *values = NULL;
        must(tw_alloc(&a, n * n, sizeof *a, "matrix"));
        must(tw_alloc(&values, n, sizeof *values, "values"));
        for (int64_t i = 0; i < n; i++) {
            a[i * n + i] = 2;
            if (i) a[i * n + i - 1] = a[(i - 1) * n + i] = -1;
        }
        must(metrics_eigenvalues(values, a, n));
        qsort(values, (size_t)n, sizeof *values, ascending);
        for (int64_t k = 1; k <= n; k++)
            close_to(values[k - 1], 2 - 2 * cos((double)k * M_PI / (double)(n + 1)), 1e-13);
        tw_free(&a);
        tw_free(&values);
    }
}

/* A full matrix: c I + 1 1ᵀ has c, n − 1 times, and c + n. */
static void eigenvalues_may_be_many_times_the_same(void **state)
{
    (void)state;
    enum { N = 40 };
    double a[N * N], values[N];
    for (int i = 0; i < N * N; i++) a[i] = 1 + (i % (N + 1) == 0 ? 0.5 : 0);
    must(metrics_eigenvalues(values, a, N));
    qsort(values, N, sizeof *values, ascending);
    for (int i = 0; i < N - 1; i++) close_to(values[i], 0.5, 1e-13);
    close_to(values[N - 1], N + 0.5, 1e-12);
}

/* Of matrices that commute, here circulant ones, the root of the product has the products of roots;
 * b has rank 3 of 6. */
static void the_root_of_a_product_has_the_closed_form(void **state)
{
    (void)state;
    enum { N = 6 };
    double a[N * N] = {0}, b[N * N] = {0}, got, wanted = 0;
    const double of_a[N] = {4, 1, 0.25, 9, 0.25, 1}, of_b[N] = {2, 3, 0, 0, 0, 3};
    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++)
            for (int w = 0; w < N; w++) {
                const double c = cos(2 * M_PI * w * (i - k) / N) / N;
                a[i * N + k] += of_a[w] * c;
                b[i * N + k] += of_b[w] * c;
            }
    for (int w = 0; w < N; w++) wanted += sqrt(of_a[w] * of_b[w]);
    must(metrics_trace_root(&got, comm, a, b, N));
    close_to(got, wanted, 1e-7); /* an eigenvalue of 1e-16 has a root of 1e-8 */
    must(metrics_trace_root(&got, comm, b, a, N));
    close_to(got, wanted, 1e-7);
}

/* ---- the Fréchet distance ---- */

/* Rows ±√((N−1)/2) s_d e_d + m: mean m and covariance diag(s²) exactly, N = 2 D. */
static float *cross(const double *mean, const double *s, int64_t dims)
{
    float *x = NULL;
    const double reach = sqrt((2 * (double)dims - 1) / 2);
    must(tw_alloc(&x, 2 * dims * dims, sizeof *x, "points"));
    for (int64_t i = 0; i < 2 * dims; i++)
        for (int64_t d = 0; d < dims; d++)
            x[i * dims + d] = (float)(mean[d] + (i / 2 == d ? (i % 2 ? reach : -reach) * s[d] : 0));
    return x;
}

static void two_gaussians_have_the_closed_form_distance(void **state)
{
    (void)state;
    enum { D = 70 }; /* above one tile */
    double m1[D], m2[D], s1[D], s2[D], wanted = 0, got;
    for (int d = 0; d < D; d++) {
        m1[d] = 0.125 * d;
        m2[d] = 0.125 * d + 0.5;
        s1[d] = 1 + 0.03125 * d;
        s2[d] = d % 3;
        wanted += 0.25 + (s1[d] - s2[d]) * (s1[d] - s2[d]);
    }
    float *a = cross(m1, s1, D), *b = cross(m2, s2, D);
    const tw_metric_pair p = pair_of(a, 2 * D, b, 2 * D, D), same = pair_of(a, 2 * D, a, 2 * D, D);
    measure(&got, "frechet", &p, "");
    close_to(got, wanted, 1e-5 * wanted); /* the points are floats */
    measure(&got, "frechet", &same, "");
    close_to(got, 0, 1e-9);
    tw_free(&a);
    tw_free(&b);
}

/* tr of a covariance by its definition, in a slow loop; rotated so that it is full. */
static void a_covariance_is_that_of_a_slow_loop(void **state)
{
    (void)state;
    enum { N = 333, D = 67 };
    float *x = normals(3, N, D);
    tw_gaussian g = {0};
    for (int i = 0; i < N; i++)
        for (int d = 1; d < D; d++) x[i * D + d] += 0.5f * x[i * D + d - 1] + 100;
    must(tw_gaussian_of(&g, comm, x, N, D));
    for (int a = 0; a < D; a += 5)
        for (int b = 0; b < D; b += 3) {
            double ma = 0, mb = 0, s = 0;
            for (int i = 0; i < N; i++) {
                ma += (double)x[i * D + a] / N;
                mb += (double)x[i * D + b] / N;
            }
            for (int i = 0; i < N; i++)
                s += ((double)x[i * D + a] - ma) * ((double)x[i * D + b] - mb) / (N - 1);
            close_to(g.covariance[a * D + b], s, 1e-10);
        }
    tw_gaussian_free(&g);
    tw_free(&x);
}

/* ---- the kernel distance ---- */

static double kernel(const float *a, const float *b, int64_t dims)
{
    double s = 0;
    for (int64_t d = 0; d < dims; d++) s += (double)a[d] * (double)b[d];
    return pow(s / (double)dims + 1, 3);
}

static double slow_kid(const float *a, int64_t n, const float *b, int64_t m, int64_t dims)
{
    double aa = 0, bb = 0, ab = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < n; k++)
            if (i != k) aa += kernel(a + i * dims, a + k * dims, dims);
    for (int64_t i = 0; i < m; i++)
        for (int64_t k = 0; k < m; k++)
            if (i != k) bb += kernel(b + i * dims, b + k * dims, dims);
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < m; k++) ab += kernel(a + i * dims, b + k * dims, dims);
    return aa / (double)(n * (n - 1)) + bb / (double)(m * (m - 1)) - 2 * ab / (double)(n * m);
}

static void the_kernel_distance_is_that_of_a_slow_loop(void **state)
{
    (void)state;
    enum { N = 150, M = 530, D = 7 };
    float *a = normals(4, N, D), *b = normals(5, M, D);
    double got[2];
    const tw_metric_pair p = pair_of(a, N, b, M, D);
    measure(got, "kid", &p, "");
    close_to(got[0], slow_kid(a, N, b, M, D), 1e-6);
    assert_true(isnan(got[1])); /* not two blocks */
    measure(got, "kid", &p, "block=50");
    double v[3], mean = 0, square = 0;
    for (int k = 0; k < 3; k++) {
        v[k] = slow_kid(a + k * 50 * D, 50, b + k * 50 * D, 50, D);
        mean += v[k] / 3;
        square += v[k] * v[k] / 3;
    }
    close_to(got[1], sqrt((square - mean * mean) / 2), 1e-6);
    tw_free(&a);
    tw_free(&b);
}

/* Of halves of the same set the mean over many splits is 0 within its own error; with the terms
 * i = k counted it would be 0.2 and more. */
static void the_kernel_distance_of_two_halves_has_no_bias(void **state)
{
    (void)state;
    enum { N = 20, SPLITS = 200, D = 3 };
    double sum = 0, squares = 0;
    for (int k = 0; k < SPLITS; k++) {
        float *x = normals(100 + (uint64_t)k, 2 * N, D);
        double got[2];
        const tw_metric_pair p = pair_of(x, N, x + N * D, N, D);
        measure(got, "kid", &p, "");
        sum += got[0];
        squares += got[0] * got[0];
        tw_free(&x);
    }
    const double mean = sum / SPLITS, error = sqrt(squares / SPLITS / SPLITS);
    if (!(fabs(mean) < 4 * error && error < 0.05)) fail_msg("%g, error %g", mean, error);
}

/* ---- precision, recall, density, coverage ---- */

static void counts_of_hand_made_sets_are_exact(void **state)
{
    (void)state;
    /* Data at 0 1 2 3 and 20 22 on a line: with k = 1 the balls reach 1 at the first four and 2 at
     * the others. Samples at 1.5, 4, 4.5, 21 and 40: radii 2.5 0.5 0.5 16.5 19. */
    const float data[] = {0, 1, 2, 3, 20, 22}, samples[] = {1.5f, 4, 4.5f, 21, 40};
    double got[4];
    const tw_metric_pair p = pair_of(samples, 5, data, 6, 1);
    measure(got, "manifold", &p, "precision_k=1");
    close_to(got[0], 3.0 / 5, 0); /* 1.5, 4 on the border of 3's ball, 21 */
    close_to(got[1], 1, 0);       /* 0 … 3 of 1.5 (and 4.5 ± 16.5), 20 and 22 of 21 */
    /* coverage_k = 2: radii 2 1 1 2 18 19 */
    const tw_metric_pair q = pair_of(samples, 4, data, 6, 1);
    const tw_metric_pair r = pair_of(samples, 5, data, 6, 1);
    measure(got, "manifold", &q, "coverage_k=2");
    /* 1.5: 0 1 2 3; 4: 3 20 22; 4.5: 3 20 22; 21: 20 22 (3 reaches 5, 22 reaches 41) */
    close_to(got[2], (4 + 3 + 3 + 2) / (2.0 * 4), 0);
    close_to(got[3], 1, 0);
    measure(got, "manifold", &r, "coverage_k=2"); /* 40: 22 */
    close_to(got[2], (4 + 3 + 3 + 2 + 1) / (2.0 * 5), 0);
}

static void samples_far_away_have_neither_precision_nor_recall(void **state)
{
    (void)state;
    enum { N = 40, D = 4 };
    float *a = normals(8, N, D), *b = normals(9, N, D);
    double got[4];
    for (int i = 0; i < N * D; i++) a[i] += 100;
    const tw_metric_pair p = pair_of(a, N, b, N, D), same = pair_of(b, N, b, N, D);
    measure(got, "manifold", &p, "");
    for (int k = 0; k < 4; k++) close_to(got[k], 0, 0);
    measure(got, "manifold", &same, "");
    close_to(got[0], 1, 0);
    close_to(got[1], 1, 0);
    close_to(got[3], 1, 0);
    tw_free(&a);
    tw_free(&b);
}

/* Every value against loops by the definitions. */
static void counts_are_those_of_a_slow_loop(void **state)
{
    (void)state;
    enum { N = 140, M = 150, D = 3 };
    float *a = normals(10, N, D), *b = normals(11, M, D);
    static double ra[N], rb[M], rb5[M];
    double got[4], list[M], precise = 0, recalled = 0, deep = 0, covered = 0;
    for (int i = 0; i < N * D; i++) a[i] *= 1.2f;
#define D2(x, y)                                                                                   \
    ((x[0] - y[0]) * (double)(x[0] - y[0]) + (x[1] - y[1]) * (double)(x[1] - y[1]) +               \
     (x[2] - y[2]) * (double)(x[2] - y[2]))
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < N; k++) list[k] = D2((a + i * D), (a + k * D));
        qsort(list, N, sizeof *list, ascending);
        ra[i] = list[3];
    }
    for (int i = 0; i < M; i++) {
        for (int k = 0; k < M; k++) list[k] = D2((b + i * D), (b + k * D));
        qsort(list, M, sizeof *list, ascending);
        rb[i] = list[3];
        rb5[i] = list[5];
    }
    for (int i = 0; i < N; i++) {
        bool in = false;
        for (int k = 0; k < M; k++) {
            in |= D2((a + i * D), (b + k * D)) <= rb[k];
            deep += D2((a + i * D), (b + k * D)) <= rb5[k];
        }
        precise += in;
    }
    for (int k = 0; k < M; k++) {
        bool in = false, near = false;
        for (int i = 0; i < N; i++) {
            in |= D2((a + i * D), (b + k * D)) <= ra[i];
            near |= D2((a + i * D), (b + k * D)) <= rb5[k];
        }
        recalled += in;
        covered += near;
    }
    const tw_metric_pair p = pair_of(a, N, b, M, D);
    measure(got, "manifold", &p, "");
    close_to(got[0], precise / N, 1e-15);
    close_to(got[1], recalled / M, 1e-15);
    close_to(got[2], deep / 5 / N, 1e-15);
    close_to(got[3], covered / M, 1e-15);
    tw_free(&a);
    tw_free(&b);
}

/* ---- neighbours, and who computes ---- */

static void the_nearest_are_found_also_far_from_the_origin(void **state)
{
    (void)state;
    /* 1000 ± 1: squared norms of 3e6 in f32 would hide distances below 0.5 */
    enum { N = 30, M = 700, D = 3, K = 4 };
    float *a = normals(12, N, D), *b = normals(13, M, D);
    double got[N * K];
    int64_t index[N * K];
    for (int i = 0; i < N * D; i++) a[i] += 1000;
    for (int i = 0; i < M * D; i++) b[i] += 1000;
    memcpy(b + 77 * D, a, D * sizeof *b); /* an image that was memorised */
    must(tw_nearest(got, index, comm, a, N, b, M, D, K, false));
    close_to(got[0], 0, 0);
    assert_int_equal(index[0], 77);
    for (int i = 0; i < N; i++) {
        double best = INFINITY;
        for (int k = 0; k < M; k++) best = fmin(best, D2((a + i * D), (b + k * D)));
        close_to(got[i * K], best, 1e-9);
        for (int k = 1; k < K; k++) assert_true(got[i * K + k] >= got[i * K + k - 1]);
    }
    tw_free(&a);
    tw_free(&b);
}

static void every_metric_is_the_same_bits_at_any_number_of_ranks_and_threads(void **state)
{
    (void)state;
    enum { N = 300, M = 700, D = 33 };
    float *a = normals(14, N, D), *b = normals(15, M, D);
    tw_metric_pair p = pair_of(a, N, b, M, D);
    const int threads = omp_get_max_threads();
    for (int k = 0; k < tw_quality_kinds.count; k++) {
        const char *name = tw_quality_kinds.table[k]->name;
        double together[TW_METRIC_VALUES_MAX] = {0}, alone[TW_METRIC_VALUES_MAX] = {0};
        p.comm = comm;
        measure(together, name, &p, "");
        p.comm = NULL;
        omp_set_num_threads(3);
        measure(alone, name, &p, "");
        omp_set_num_threads(threads);
        if (memcmp(together, alone, sizeof alone) != 0) fail_msg("%s differs", name);
    }
    tw_free(&a);
    tw_free(&b);
}

static void sets_that_are_too_small_are_refused(void **state)
{
    (void)state;
    const float x[] = {0, 1, 2};
    double out[TW_METRIC_VALUES_MAX];
    const tw_metric_pair p = {
        .samples = x, .reference = x, .sample_count = 1, .reference_count = 3, .dims = 1};
    for (int k = 0; k < tw_quality_kinds.count; k++) {
        const tw_metric *m = (const tw_metric *)tw_quality_kinds.table[k];
        const tw_choice_rule rule = {.section = "m", .key = "kind", .kinds = tw_quality_kinds};
        tw_choice choice = {0};
        tw_config *config = NULL;
        must(tw_choice_make(&choice, &rule, m->kind.name, 0, NULL, &config));
        assert_int_equal(m->measure(choice.config, &p, out), TW_EDATA);
        tw_choice_free(&choice);
        tw_config_destroy(&config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eigenvalues_of_the_second_difference_are_its_cosines),
        cmocka_unit_test(eigenvalues_may_be_many_times_the_same),
        cmocka_unit_test(the_root_of_a_product_has_the_closed_form),
        cmocka_unit_test(two_gaussians_have_the_closed_form_distance),
        cmocka_unit_test(a_covariance_is_that_of_a_slow_loop),
        cmocka_unit_test(the_kernel_distance_is_that_of_a_slow_loop),
        cmocka_unit_test(the_kernel_distance_of_two_halves_has_no_bias),
        cmocka_unit_test(counts_of_hand_made_sets_are_exact),
        cmocka_unit_test(samples_far_away_have_neither_precision_nor_recall),
        cmocka_unit_test(counts_are_those_of_a_slow_loop),
        cmocka_unit_test(the_nearest_are_found_also_far_from_the_origin),
        cmocka_unit_test(every_metric_is_the_same_bits_at_any_number_of_ranks_and_threads),
        cmocka_unit_test(sets_that_are_too_small_are_refused),
    };
    if (tw_comm_create(&comm) != TW_OK) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tw_comm_destroy(&comm);
    return failed;
}
