/* ranks: 1 2 */
/* Log variances of latents: part of what a dataset is, and what latents of training are sampled
 * with, anew at each visit. */
#include <math.h>
#include <mpi.h>

#include "data/parallel.h"

#include "tweedie/data.h"
#include "tweedie/rng.h"

enum { N = 96, H = 4, W = 6, C = 2, SAMPLE = H * W * C, BATCH = 8 };

static const float offset[C] = {0.5f, -1}, scale[C] = {2, 4};

static float mean_of(int64_t i, int64_t k)
{
    return (float)(100 * i + k);
}

/* σ = 1/2, 1, 2, …; the first number has none, to where it is clamped. */
static float log_variance_of(int64_t i, int64_t k)
{
    return k == 0 ? -1000 : (float)(2 * ((i + k) % 4 - 1) * M_LN2);
}

static tw_dataset_spec describe(void)
{
    return (tw_dataset_spec){.kind = TW_DATASET_FLOAT32,
                             .count = N,
                             .height = H,
                             .width = W,
                             .channels = C,
                             .num_classes = N,
                             .offset = offset,
                             .scale = scale,
                             .name = "latents",
                             .encoder = "00112233445566778899aabbccddeeff"};
}

/* @param differs  the last log variance does */
static tw_status write_latents(const char *name, int gzip, bool differs)
{
    tw_status st = TW_OK;
    tw_dataset_writer *w = NULL;
    float x[SAMPLE], v[SAMPLE];
    tw_dataset_spec spec = describe(), variances = tw_dataset_log_variance_spec(&spec);
    const tw_dataset_writer_options how = {
        .path = in(name), .gzip = gzip, .mode = TW_OUTPUT_REPLACE};
    spec.log_variance = &variances;
    TW_TRY(tw_dataset_writer_create(&w, &spec, &how));
    for (int64_t i = 0; i < N; i++) {
        const int32_t label = (int32_t)i;
        for (int k = 0; k < SAMPLE; k++) {
            x[k] = mean_of(i, k);
            v[k] = log_variance_of(i, k);
        }
        if (differs && i == N - 1) v[SAMPLE - 1] += 1;
        TW_TRY(tw_dataset_writer_append(w, 1, x, &label));
        TW_TRY(tw_dataset_writer_append_log_variance(w, 1, v));
    }
    TW_TRY(tw_dataset_writer_finish(&w, NULL));
done:
    tw_dataset_writer_abort(&w);
    return st;
}

static void make(const char *name, int gzip, bool differs)
{
    assert_ok(
        tw_comm_agree(comm, tw_comm_rank(comm) == 0 ? write_latents(name, gzip, differs) : TW_OK));
}

static void open_it(tw_dataset **d, const char *name)
{
    const tw_dataset_options options = {.path = in(name), .io = io, .verify = true};
    assert_ok(tw_dataset_open(d, comm, &options));
}

static void log_variances_are_read_as_written(void **state)
{
    (void)state;
    static float v[N * SAMPLE];
    for (int gzip = 0; gzip < 2; gzip++) {
        tw_dataset *d = NULL;
        make("read.h5", gzip, false);
        open_it(&d, "read.h5");
        assert_non_null(tw_dataset_get_spec(d)->log_variance);
        assert_ok(tw_dataset_read_log_variance(d, 7, N - 7, v));
        for (int64_t i = 0; i < N - 7; i++)
            for (int k = 0; k < SAMPLE; k++)
                assert_true(v[i * SAMPLE + k] == log_variance_of(7 + i, k));
        assert_ok(tw_dataset_read(d, 3, 1, v, NULL)); /* who does not ask has the means */
        for (int k = 0; k < SAMPLE; k++)
            assert_true(v[k] == (mean_of(3, k) - offset[k % C]) / scale[k % C]);
        tw_dataset_destroy(&d);
    }
}

static void log_variances_are_part_of_the_digest(void **state)
{
    (void)state;
    tw_dataset *a = NULL, *b = NULL;
    make("a.h5", 0, false);
    make("b.h5", 0, true);
    open_it(&a, "a.h5");
    open_it(&b, "b.h5");
    assert_string_not_equal(tw_dataset_get_spec(a)->digest, tw_dataset_get_spec(b)->digest);
    tw_dataset_destroy(&a);
    tw_dataset_destroy(&b);
}

/* z = μ + σ ε of the position and the step, whichever way it is loaded and on any ranks. */
static void latents_are_sampled_anew_at_each_visit(void **state)
{
    (void)state;
    static float x[BATCH * SAMPLE], noise[SAMPLE];
    int32_t label[BATCH];
    double sum = 0, squares = 0, count = 0;
    make("load.h5", 0, false);
    for (int mode = TW_LOADER_RESIDENT; mode <= TW_LOADER_STREAMING; mode++) {
        tw_dataset *d = NULL;
        tw_loader *l = NULL;
        const tw_loader_options how = {
            .batch = BATCH, .seed = 3, .mode = (tw_loader_mode)mode, .sample_latents = true};
        open_it(&d, "load.h5");
        assert_ok(tw_loader_create(&l, d, &how));
        const int64_t n = tw_loader_positions(l);
        assert_true(tw_loader_bytes(l) >= (size_t)(2 * n * SAMPLE) * sizeof(float));
        for (int64_t step = 0; step < 60; step++) {
            assert_ok(tw_loader_next(l, step, 0, n, x, label));
            for (int64_t i = 0; i < n; i++) {
                const tw_rng_stream s = {.seed = 3,
                                         .purpose = TW_RNG_LATENT,
                                         .position = tw_loader_first_position(l) + i,
                                         .step = step};
                tw_rng_normal(noise, &s, 0, SAMPLE);
                for (int k = 0; k < SAMPLE; k++) {
                    const double mean = (double)mean_of(label[i], k),
                                 v = fmax((double)log_variance_of(label[i], k), -30),
                                 z = mean + exp(0.5 * v) * (double)noise[k],
                                 met = (double)x[i * SAMPLE + k] * (double)scale[k % C] +
                                       (double)offset[k % C];
                    assert_true(fabs(met - z) < 3e-6 * fmax(1, fabs(z)));
                    if (k == 0) continue;
                    const double eps = (met - mean) / exp(0.5 * v);
                    sum += eps;
                    squares += eps * eps;
                    count++;
                }
            }
        }
        tw_loader_destroy(&l);
        tw_dataset_destroy(&d);
    }
    /* five standard errors */
    assert_true(fabs(sum / count) < 5 / sqrt(count));
    assert_true(fabs(squares / count - 1) < 5 * sqrt(2 / count));
}

/* What encodes images in the step follows the order of the latents' dataset, whose samples are
 * smaller or larger, and takes images in the encoder's units. */
static void samples_come_in_a_given_order_and_units(void **state)
{
    (void)state;
    static float x[BATCH * SAMPLE];
    int32_t label[BATCH], other[BATCH];
    static const float ones[C] = {1, 1}, zeros[C] = {0, 0};
    tw_dataset_spec large = describe(), units = describe();
    large.height = large.width = 512; /* a sample is a block */
    units.offset = zeros;
    units.scale = ones;
    tw_dataset *d = NULL;
    tw_loader *l[3] = {NULL};
    make("order.h5", 0, false);
    open_it(&d, "order.h5");
    for (int k = 0; k < 3; k++) {
        const tw_loader_options how = {.batch = BATCH,
                                       .seed = 3,
                                       .mode = k == 1 ? TW_LOADER_STREAMING : TW_LOADER_RESIDENT,
                                       .units = &units,
                                       .order_of = k < 2 ? &large : NULL};
        assert_ok(tw_loader_create(&l[k], d, &how));
    }
    const int64_t n = tw_loader_positions(l[0]);
    int64_t differ = 0;
    for (int64_t step = 0; step < 40; step++) {
        assert_ok(tw_loader_next(l[0], step, 0, n, x, label));
        for (int64_t i = 0; i < n; i++) assert_true(x[i * SAMPLE + 1] == mean_of(label[i], 1));
        assert_ok(tw_loader_next(l[1], step, 0, n, x, other));
        assert_memory_equal(label, other, (size_t)n * sizeof *label);
        assert_ok(tw_loader_next(l[2], step, 0, n, x, other));
        for (int64_t i = 0; i < n; i++) differ += label[i] != other[i];
    }
    assert_true(differ > 0);
    for (int k = 0; k < 3; k++) tw_loader_destroy(&l[k]);
    tw_dataset_destroy(&d);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    tw_dataset_writer *w = NULL;
    tw_dataset *d = NULL;
    tw_loader *l = NULL;
    const float x[SAMPLE] = {0}, bad[SAMPLE] = {NAN};
    const int32_t label = 0;
    tw_dataset_spec spec = describe(), other = tw_dataset_log_variance_spec(&spec);
    const tw_dataset_writer_options how = {.path = in("bad.h5"), .mode = TW_OUTPUT_REPLACE};
    const tw_loader_options sampled = {.batch = BATCH, .sample_latents = true};
    if (tw_comm_rank(comm) == 0) {
        spec.log_variance = &other;
        other.channels = C + 1;
        assert_fails(tw_dataset_writer_create(&w, &spec, &how), TW_EDATA, "/log_variance",
                     "float32 [96, 4, 6, 2]");
        other.channels = C;
        assert_ok(tw_dataset_writer_create(&w, &spec, &how));
        assert_fails(tw_dataset_writer_append_log_variance(w, 1, bad), TW_EDATA, "/log_variance[0]",
                     "finite");
        for (int i = 0; i < N; i++) assert_ok(tw_dataset_writer_append(w, 1, x, &label));
        assert_fails(tw_dataset_writer_finish(&w, NULL), TW_EDATA, "0 of 96 log variances");
        spec.log_variance = NULL;
        assert_ok(tw_dataset_writer_create(&w, &spec, &how));
        assert_fails(tw_dataset_writer_append_log_variance(w, 1, x), TW_EDATA,
                     "log variance 1 of 0");
        for (int i = 0; i < N; i++) assert_ok(tw_dataset_writer_append(w, 1, x, &label));
        assert_ok(tw_dataset_writer_finish(&w, NULL));
    }
    assert_ok(tw_comm_barrier(comm));
    open_it(&d, "bad.h5");
    assert_fails(tw_dataset_read_log_variance(d, 0, 1, (float[SAMPLE]){0}), TW_EDATA,
                 "has no /log_variance");
    assert_fails(tw_loader_create(&l, d, &sampled), TW_EDATA, "has no /log_variance");
    tw_dataset_destroy(&d);
}

int main(void)
{
    if (make_parallel() != TW_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_variances_are_read_as_written),
        cmocka_unit_test(log_variances_are_part_of_the_digest),
        cmocka_unit_test(latents_are_sampled_anew_at_each_visit),
        cmocka_unit_test(samples_come_in_a_given_order_and_units),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return end_parallel(cmocka_run_group_tests(tests, NULL, NULL));
}
