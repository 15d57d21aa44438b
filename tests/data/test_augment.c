/* What is done to images of training, and what the network is told of it: held against a map that
 * is made of the labels, forwards, and a sum over all pixels around in double. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/warp.h"
#include "tweedie/augment.h"

enum { H = 9, W = 12, C = 2, DIMS = H * W * C, LABELS = 9 };
enum { MIRRORED, UPSIDE_DOWN, SCALE, COSINE, SINE, STRETCH_X, STRETCH_Y, RIGHT, DOWN };

typedef struct edm {
    tw_config *config;
    tw_choice choice;
} edm;

static edm open_edm(const char *probability)
{
    edm e = {0};
    const tw_choice_rule rule = {
        .section = "data", .key = "augment", .kinds = tw_augment_kinds, .fixed = true};
    if (tw_choice_make(&e.choice, &rule, "edm", 1, &probability, &e.config) != TW_OK)
        fail_msg("%s", tw_error_message());
    return e;
}

static void close_edm(edm *e)
{
    tw_choice_free(&e->choice);
    tw_config_destroy(&e->config);
}

static void run(const edm *e, int64_t position, bool mirrored, float *x, float *labels)
{
    float work[DIMS];
    const tw_augment *a = (const tw_augment *)e->choice.kind;
    const tw_augment_image image = {
        H, W, C, {.seed = 7, .purpose = TW_RNG_AUGMENT, .position = position, .step = 3}, mirrored};
    assert_int_equal(a->labels, LABELS);
    a->run(e->choice.config, &image, x, work, labels);
}

static void make_image(float *x, int64_t position)
{
    const tw_rng_stream s = {.seed = 1, .purpose = TW_RNG_TEST, .position = position};
    tw_rng_normal(x, &s, 0, DIMS);
}

/* ---- the slow reference ---- */

typedef struct point {
    double x, y;
} point;

/* Where the middle of a pixel goes, as the labels say; `other`: the other stretch that has these
 * labels, by the inverse along the opposite direction. */
static point forwards(point p, const float *l, bool other)
{
    const double s = exp2(0.2 * (double)l[SCALE]), c = (double)l[COSINE] + 1, d = (double)l[SINE];
    const double w = hypot((double)l[STRETCH_X], (double)l[STRETCH_Y]) * (other ? -1 : 1),
                 r = atan2((double)l[STRETCH_Y], (double)l[STRETCH_X]), k = exp2(0.2 * w);
    point q = {s * p.x, s * p.y};
    q = (point){c * q.x + d * q.y, c * q.y - d * q.x}; /* y points down */
    const double along = q.x * cos(r) - q.y * sin(r), across = q.x * sin(r) + q.y * cos(r);
    return (point){k * along * cos(r) + across / k * sin(r) + (double)l[RIGHT] * W / 8,
                   -k * along * sin(r) + across / k * cos(r) + (double)l[DOWN] * H / 8};
}

/* What goes to p: the map is affine, so three points say all of it. */
static point backwards(point p, const float *l, bool other)
{
    const point o = forwards((point){0, 0}, l, other), x = forwards((point){1, 0}, l, other),
                y = forwards((point){0, 1}, l, other);
    const double a = x.x - o.x, b = y.x - o.x, c = x.y - o.y, d = y.y - o.y, det = a * d - b * c;
    return (point){(d * (p.x - o.x) - b * (p.y - o.y)) / det,
                   (a * (p.y - o.y) - c * (p.x - o.x)) / det};
}

/* Keys's kernel. */
static double kernel(double u)
{
    u = fabs(u);
    if (u < 1) return 1.5 * u * u * u - 2.5 * u * u + 1;
    return u < 2 ? -0.5 * u * u * u + 2.5 * u * u - 4 * u + 2 : 0;
}

static int reflected(int i, int n)
{
    const int period = 2 * n - 2, r = ((i % period) + period) % period;
    return n - 1 - abs(n - 1 - r);
}

static double value_at(const float *x, double column, double row, int c)
{
    double sum = 0;
    for (int i = (int)floor(row) - 3; i < floor(row) + 5; i++)
        for (int j = (int)floor(column) - 3; j < floor(column) + 5; j++)
            sum += kernel(row - i) * kernel(column - j) *
                   (double)x[(reflected(i, H) * W + reflected(j, W)) * C + c];
    return sum;
}

/* The largest difference of an augmented image from what its labels say. */
static double distance(const float *got, const float *before, const float *l, bool other)
{
    float x[DIMS];
    double most = 0;
    for (int i = 0; i < H; i++)
        memcpy(x + i * W * C, before + (l[UPSIDE_DOWN] > 0 ? H - 1 - i : i) * W * C,
               W * C * sizeof *x);
    for (int i = 0; i < H; i++)
        for (int j = 0; j < W; j++) {
            const point p = backwards((point){j - (W - 1) / 2.0, i - (H - 1) / 2.0}, l, other);
            for (int c = 0; c < C; c++) {
                const double want = value_at(x, p.x + (W - 1) / 2.0, p.y + (H - 1) / 2.0, c);
                most = fmax(most, fabs((double)got[(i * W + j) * C + c] - want));
            }
        }
    return most;
}

/* ---- tests ---- */

static void at_probability_zero_nothing_happens(void **state)
{
    (void)state;
    edm e = open_edm("augment_probability=0");
    for (int mirrored = 0; mirrored < 2; mirrored++)
        for (int64_t i = 0; i < 200; i++) {
            float x[DIMS], before[DIMS], l[LABELS];
            make_image(x, i);
            memcpy(before, x, sizeof x);
            run(&e, i, mirrored, x, l);
            assert_memory_equal(x, before, sizeof x);
            for (int k = 0; k < LABELS; k++)
                assert_true(l[k] == (k == MIRRORED ? (float)mirrored : 0));
        }
    close_edm(&e);
}

static void the_labels_say_what_was_done(void **state)
{
    (void)state;
    static const char *const probabilities[] = {"augment_probability=1", "augment_probability=0.3"};
    for (int k = 0; k < 2; k++) {
        edm e = open_edm(probabilities[k]);
        for (int64_t i = 0; i < 60; i++) {
            float x[DIMS], before[DIMS], l[LABELS];
            make_image(x, i);
            memcpy(before, x, sizeof x);
            run(&e, i, false, x, l);
            const double one = distance(x, before, l, false), other = distance(x, before, l, true);
            if (!(fmin(one, other) < 1e-4)) /* labels are f32: some 1e-6 of a pixel */
                fail_msg("image %d of %s: off by %.3g", (int)i, probabilities[k], fmin(one, other));
        }
        close_edm(&e);
    }
}

static void saying_alone_says_the_same(void **state)
{
    (void)state;
    edm e = open_edm("augment_probability=0.5");
    for (int64_t i = 0; i < 50; i++) {
        float x[DIMS], again[DIMS], l[LABELS], told[LABELS];
        make_image(x, i);
        memcpy(again, x, sizeof x);
        run(&e, i, i % 2, x, l);
        run(&e, i, i % 2, NULL, told);
        run(&e, i, i % 2, again, NULL);
        assert_memory_equal(l, told, sizeof l);
        assert_memory_equal(x, again, sizeof x);
    }
    close_edm(&e);
}

/* Mean and mean square of numbers that happen at probability p, to five standard deviations. */
static void is_distributed(const char *what, const double *v, int n, double happens, double square)
{
    int count = 0;
    double sum = 0, squares = 0, fourths = 0;
    for (int i = 0; i < n; i++) {
        count += v[i] != 0;
        sum += v[i] / n;
        squares += v[i] * v[i] / n;
        fourths += pow(v[i], 4) / n;
    }
    if (!(fabs(count - n * happens) < 5 * sqrt(n * happens * (1 - happens))) ||
        !(fabs(squares - square) < 5 * sqrt(fourths / n)) ||
        !(what[0] == '+' || fabs(sum) < 5 * sqrt(squares / n)))
        fail_msg("%s: %d of %d, mean %.3g, mean square %.4g and not %.4g", what, count, n, sum,
                 squares, square);
}

static void labels_have_the_published_distributions(void **state)
{
    (void)state;
    enum { N = 40000 };
    const double p = 0.12;
    edm e = open_edm("augment_probability=0.12");
    double *v = malloc(LABELS * N * sizeof *v), *size = malloc(N * sizeof *size);
    for (int i = 0; i < N; i++) {
        float l[LABELS];
        run(&e, i, false, NULL, l);
        for (int k = 0; k < LABELS; k++) v[k * N + i] = (double)l[k];
        size[i] = hypot((double)l[STRETCH_X], (double)l[STRETCH_Y]);
    }
    is_distributed("+upside down", v + UPSIDE_DOWN * N, N, p / 2, p / 2);
    is_distributed("scale", v + SCALE * N, N, p, p);
    is_distributed("+cosine less one", v + COSINE * N, N, p, 1.5 * p);
    is_distributed("sine", v + SINE * N, N, p, p / 2);
    is_distributed("+stretch", size, N, p, p);
    is_distributed("stretch of the rows", v + STRETCH_X * N, N, p, 0.75 * p);
    is_distributed("stretch of the columns", v + STRETCH_Y * N, N, p / 2, 0.25 * p);
    is_distributed("right", v + RIGHT * N, N, p, p);
    is_distributed("down", v + DOWN * N, N, p, p);
    free(v);
    free(size);
    close_edm(&e);
}

/* By hand: whole pixels, quarters of a turn, and the image beyond its border. */
static void maps_onto_pixels_move_them(void **state)
{
    (void)state;
    enum { N = 5 };
    float x[N * N], y[N * N];
    for (int i = 0; i < N * N; i++) x[i] = (float)(i * i % 17);
    tw_warp(y, x, N, N, 1, &(tw_affine_map){1, 0, 0, 0, 1, 0});
    assert_memory_equal(y, x, sizeof x);
    tw_warp(y, x, N, N, 1, &(tw_affine_map){1, 0, 2, 0, 1, -1});
    static const int from[N] = {2, 3, 4, 3, 2}, row[N] = {1, 0, 1, 2, 3};
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) assert_true(y[i * N + j] == x[row[i] * N + from[j]]);
    tw_warp(y, x, N, N, 1, &(tw_affine_map){0, -1, 0, 1, 0, 0}); /* against the clock */
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) assert_true(y[i * N + j] == x[j * N + N - 1 - i]);
    float one = 3, same = 0;
    tw_warp(&same, &one, 1, 1, 1, &(tw_affine_map){1, 0, 7.3, 0, 1, -2.2});
    assert_true(fabs((double)same - 3) < 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_onto_pixels_move_them),
        cmocka_unit_test(at_probability_zero_nothing_happens),
        cmocka_unit_test(the_labels_say_what_was_done),
        cmocka_unit_test(saying_alone_says_the_same),
        cmocka_unit_test(labels_have_the_published_distributions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
