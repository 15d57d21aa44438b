/* Inception-v3 of the Fréchet inception distance against slow loops in double that follow its
 * description (Szegedy et al. 2016; pytorch-fid's differences) and share nothing with the library
 * but random weights, at 75 x 75, where one position is left; and its published names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/model_fixture.h"

enum { FEATURES = 2048, CLASSES = 5 };

/* ---- slow loops: one image, channels first ---- */

typedef struct image {
    int c, h, w;
    double *x; /* [c][h][w] */
} image;

static image new_image(int c, int h, int w)
{
    return (image){c, h, w, calloc((size_t)(c * h * w), sizeof(double))};
}

static double *at(image m, int c, int h, int w)
{
    return &m.x[(c * m.h + h) * m.w + w];
}

static const tw_params *params;

static float *weights(const char *block, const char *unit, const char *leaf, int64_t count)
{
    char name[128];
    snprintf(name, sizeof name, "%s%s.%s", block, unit, leaf);
    const tw_param_view *v = tw_params_find(params, name);
    if (!v || v->count != count) fail_msg("%s: no such parameter of %lld", name, (long long)count);
    float *plain = malloc((size_t)count * sizeof *plain);
    tw_params_to_plain(v, params->value, plain);
    return plain;
}

/* relu((conv(x) − mean) / √(var + 0.001) γ + β), kernel kh x kw, padding ph, pw. */
static image unit(const char *block, const char *name, image x, int out, int kh, int kw, int stride,
                  int ph, int pw)
{
    const int h = (x.h + 2 * ph - kh) / stride + 1, w = (x.w + 2 * pw - kw) / stride + 1;
    float *k = weights(block, name, "conv.weight", (int64_t)out * x.c * kh * kw);
    float *gamma = weights(block, name, "bn.weight", out),
          *beta = weights(block, name, "bn.bias", out);
    float *mean = weights(block, name, "bn.running_mean", out);
    float *var = weights(block, name, "bn.running_var", out);
    image y = new_image(out, h, w);
    for (int o = 0; o < out; o++)
        for (int i = 0; i < h; i++)
            for (int j = 0; j < w; j++) {
                double s = 0;
                for (int c = 0; c < x.c; c++)
                    for (int a = 0; a < kh; a++)
                        for (int b = 0; b < kw; b++) {
                            const int r = i * stride + a - ph, q = j * stride + b - pw;
                            if (r < 0 || q < 0 || r >= x.h || q >= x.w) continue;
                            s += (double)k[((o * x.c + c) * kh + a) * kw + b] * *at(x, c, r, q);
                        }
                s = (s - (double)mean[o]) / sqrt((double)var[o] + 1e-3) * (double)gamma[o] +
                    (double)beta[o];
                *at(y, o, i, j) = s > 0 ? s : 0;
            }
    free(k);
    free(gamma);
    free(beta);
    free(mean);
    free(var);
    return y;
}

/* The same for an x that nobody needs any more. */
static image then(const char *block, const char *name, image x, int out, int kh, int kw, int stride,
                  int ph, int pw)
{
    image y = unit(block, name, x, out, kh, kw, stride, ph, pw);
    free(x.x);
    return y;
}

/* 3 x 3 windows; averages over what exists. */
static image pool(image x, int stride, int pad, bool largest)
{
    image y = new_image(x.c, (x.h + 2 * pad - 3) / stride + 1, (x.w + 2 * pad - 3) / stride + 1);
    for (int c = 0; c < x.c; c++)
        for (int i = 0; i < y.h; i++)
            for (int j = 0; j < y.w; j++) {
                double most = -INFINITY, sum = 0;
                int n = 0;
                for (int a = 0; a < 9; a++) {
                    const int r = i * stride + a / 3 - pad, q = j * stride + a % 3 - pad;
                    if (r < 0 || q < 0 || r >= x.h || q >= x.w) continue;
                    most = fmax(most, *at(x, c, r, q));
                    sum += *at(x, c, r, q);
                    n++;
                }
                *at(y, c, i, j) = largest ? most : sum / n;
            }
    return y;
}

static image join(int n, const image *parts)
{
    int c = 0;
    for (int k = 0; k < n; k++) c += parts[k].c;
    image y = new_image(c, parts[0].h, parts[0].w);
    for (int k = 0, first = 0; k < n; first += parts[k++].c) {
        assert_int_equal(parts[k].h, y.h);
        memcpy(at(y, first, 0, 0), parts[k].x, (size_t)(parts[k].c * y.h * y.w) * sizeof(double));
        free(parts[k].x);
    }
    return y;
}

static image block_a(const char *b, image x, int features)
{
    image p[4] = {
        unit(b, "branch1x1", x, 64, 1, 1, 1, 0, 0),
        then(b, "branch5x5_2", unit(b, "branch5x5_1", x, 48, 1, 1, 1, 0, 0), 64, 5, 5, 1, 2, 2),
        unit(b, "branch3x3dbl_1", x, 64, 1, 1, 1, 0, 0),
        {0}};
    p[2] = then(b, "branch3x3dbl_2", p[2], 96, 3, 3, 1, 1, 1);
    p[2] = then(b, "branch3x3dbl_3", p[2], 96, 3, 3, 1, 1, 1);
    p[3] = then(b, "branch_pool", pool(x, 1, 1, false), features, 1, 1, 1, 0, 0);
    free(x.x);
    return join(4, p);
}

static image block_b(const char *b, image x)
{
    image p[3] = {unit(b, "branch3x3", x, 384, 3, 3, 2, 0, 0),
                  unit(b, "branch3x3dbl_1", x, 64, 1, 1, 1, 0, 0), pool(x, 2, 0, true)};
    p[1] = then(b, "branch3x3dbl_2", p[1], 96, 3, 3, 1, 1, 1);
    p[1] = then(b, "branch3x3dbl_3", p[1], 96, 3, 3, 2, 0, 0);
    free(x.x);
    return join(3, p);
}

static image block_c(const char *b, image x, int c)
{
    image p[4] = {unit(b, "branch1x1", x, 192, 1, 1, 1, 0, 0),
                  unit(b, "branch7x7_1", x, c, 1, 1, 1, 0, 0),
                  unit(b, "branch7x7dbl_1", x, c, 1, 1, 1, 0, 0),
                  {0}};
    p[1] = then(b, "branch7x7_2", p[1], c, 1, 7, 1, 0, 3);
    p[1] = then(b, "branch7x7_3", p[1], 192, 7, 1, 1, 3, 0);
    p[2] = then(b, "branch7x7dbl_2", p[2], c, 7, 1, 1, 3, 0);
    p[2] = then(b, "branch7x7dbl_3", p[2], c, 1, 7, 1, 0, 3);
    p[2] = then(b, "branch7x7dbl_4", p[2], c, 7, 1, 1, 3, 0);
    p[2] = then(b, "branch7x7dbl_5", p[2], 192, 1, 7, 1, 0, 3);
    p[3] = then(b, "branch_pool", pool(x, 1, 1, false), 192, 1, 1, 1, 0, 0);
    free(x.x);
    return join(4, p);
}

static image block_d(const char *b, image x)
{
    image p[3] = {unit(b, "branch3x3_1", x, 192, 1, 1, 1, 0, 0),
                  unit(b, "branch7x7x3_1", x, 192, 1, 1, 1, 0, 0), pool(x, 2, 0, true)};
    p[0] = then(b, "branch3x3_2", p[0], 320, 3, 3, 2, 0, 0);
    p[1] = then(b, "branch7x7x3_2", p[1], 192, 1, 7, 1, 0, 3);
    p[1] = then(b, "branch7x7x3_3", p[1], 192, 7, 1, 1, 3, 0);
    p[1] = then(b, "branch7x7x3_4", p[1], 192, 3, 3, 2, 0, 0);
    free(x.x);
    return join(3, p);
}

static image block_e(const char *b, image x, bool largest)
{
    image q = unit(b, "branch3x3_1", x, 384, 1, 1, 1, 0, 0);
    image r = unit(b, "branch3x3dbl_1", x, 448, 1, 1, 1, 0, 0);
    r = then(b, "branch3x3dbl_2", r, 384, 3, 3, 1, 1, 1);
    image p[6] = {unit(b, "branch1x1", x, 320, 1, 1, 1, 0, 0),
                  unit(b, "branch3x3_2a", q, 384, 1, 3, 1, 0, 1),
                  unit(b, "branch3x3_2b", q, 384, 3, 1, 1, 1, 0),
                  unit(b, "branch3x3dbl_3a", r, 384, 1, 3, 1, 0, 1),
                  unit(b, "branch3x3dbl_3b", r, 384, 3, 1, 1, 1, 0),
                  then(b, "branch_pool", pool(x, 1, 1, largest), 192, 1, 1, 1, 0, 0)};
    free(q.x);
    free(r.x);
    free(x.x);
    return join(6, p);
}

/* The 2048 means of an image of −1 … 1. */
static void reference(double *out, image x)
{
    x = then("", "Conv2d_1a_3x3", x, 32, 3, 3, 2, 0, 0);
    x = then("", "Conv2d_2a_3x3", x, 32, 3, 3, 1, 0, 0);
    x = then("", "Conv2d_2b_3x3", x, 64, 3, 3, 1, 1, 1);
    image y = pool(x, 2, 0, true);
    free(x.x);
    y = then("", "Conv2d_3b_1x1", y, 80, 1, 1, 1, 0, 0);
    y = then("", "Conv2d_4a_3x3", y, 192, 3, 3, 1, 0, 0);
    x = pool(y, 2, 0, true);
    free(y.x);
    x = block_a("Mixed_5b.", x, 32);
    x = block_a("Mixed_5c.", x, 64);
    x = block_a("Mixed_5d.", x, 64);
    x = block_b("Mixed_6a.", x);
    x = block_c("Mixed_6b.", x, 128);
    x = block_c("Mixed_6c.", x, 160);
    x = block_c("Mixed_6d.", x, 160);
    x = block_c("Mixed_6e.", x, 192);
    x = block_d("Mixed_7a.", x);
    x = block_e("Mixed_7b.", x, false);
    x = block_e("Mixed_7c.", x, true);
    assert_int_equal(x.c, FEATURES);
    for (int c = 0; c < FEATURES; c++) {
        out[c] = 0;
        for (int i = 0; i < x.h * x.w; i++) out[c] += x.x[c * x.h * x.w + i] / (x.h * x.w);
    }
    free(x.x);
}

/* One number of an image [h][w][c] between positions, nothing beyond the borders. */
static double between(const float *x, int h, int w, int c, int k, double r, double q)
{
    r = fmin(fmax(r, 0), h - 1);
    q = fmin(fmax(q, 0), w - 1);
    const int r0 = (int)r, q0 = (int)q, r1 = r0 + 1 < h ? r0 + 1 : r0,
              q1 = q0 + 1 < w ? q0 + 1 : q0;
    const double u = r - r0, v = q - q0;
#define X(a, b) ((double)x[((a)*w + (b)) * c + k])
    return (1 - u) * ((1 - v) * X(r0, q0) + v * X(r0, q1)) +
           u * ((1 - v) * X(r1, q0) + v * X(r1, q1));
}

/* ---- the model ---- */

static void fill(tw_model *m)
{
    float z[2048];
    for (int i = 0; i < m->params->view_count; i++) {
        const tw_param_view *v = &m->params->views[i];
        const char *leaf = strstr(v->name, ".bn.");
        if (!leaf) continue;
        fill_normal(z, 5000 + i, v->count);
        float *p = m->params->value + v->offset;
        for (int64_t k = 0; k < v->count; k++)
            p[k] = strcmp(leaf, ".bn.running_var") == 0 ? expf(0.3f * z[k])
                   : strcmp(leaf, ".bn.weight") == 0    ? 1 + 0.2f * z[k]
                                                        : 0.2f * z[k];
    }
}

static tw_model *make(tw_config **config, const char *more)
{
    tw_model *m = NULL;
    char text[256];
    snprintf(text, sizeof text,
             "[network]\nkind = inception\nextent = 75\nclasses = %d\n%s[process]\nkind = single\n",
             CLASSES, more);
    ok(tw_config_create(config));
    ok(tw_config_parse(*config, text, (int64_t)strlen(text), "test"));
    ok(tw_model_configure(&m, *config));
    ok(tw_config_finish(*config));
    ok(tw_model_create(m, TW_SHAPE(75, 75, 3), 1));
    fill(m);
    return m;
}

static void compare(const float *met, const double *wanted)
{
    double scale = 0, worst = 0;
    for (int c = 0; c < FEATURES; c++) scale = fmax(scale, fabs(wanted[c]));
    assert_true(scale > 1e-3);
    for (int c = 0; c < FEATURES; c++) worst = fmax(worst, fabs((double)met[c] - wanted[c]));
    if (!(worst < 1e-4 * scale)) fail_msg("off by %g of %g", worst, scale);
}

enum { H = 40, W = 90 };

/* The second of three images, so that a batch is mixed up nowhere. */
static void run(float *out, const tw_model *m, const float *x, int channels)
{
    tw_model_features *f = NULL;
    float all[3 * FEATURES];
    ok(tw_model_features_create(&f, m, TW_SHAPE(H, W, channels), 2, TW_PRECISION_F32,
                                TW_CONVOLUTION_AUTO));
    assert_int_equal(tw_model_features_width(f), FEATURES);
    tw_model_features_compute(f, 3, x, all);
    memcpy(out, all + FEATURES, FEATURES * sizeof *out);
    tw_model_features_destroy(&f);
}

static void features_are_those_of_a_slow_reference_in_double(void **state)
{
    (void)state;
    tw_config *config = NULL;
    tw_model *m = make(&config, "");
    static float x[3 * H * W * 3], met[FEATURES];
    static double wanted[FEATURES];
    image big = new_image(3, 75, 75);
    fill_normal(x, 1, 3 * H * W * 3);
    params = m->params;
    for (int k = 0; k < 3; k++) /* half-pixel centres */
        for (int i = 0; i < 75; i++)
            for (int j = 0; j < 75; j++)
                *at(big, k, i, j) = between(x + H * W * 3, H, W, 3, k, (i + 0.5) * H / 75 - 0.5,
                                            (j + 0.5) * W / 75 - 0.5);
    reference(wanted, big);
    run(met, m, x, 3);
    compare(met, wanted);
    destroy_model(&m, &config);
}

static void grey_images_and_the_original_resizing_are_taken_too(void **state)
{
    (void)state;
    tw_config *config = NULL;
    tw_model *m = make(&config, "preprocess = tensorflow\n");
    static float x[3 * H * W], met[FEATURES];
    static double wanted[FEATURES];
    image big = new_image(3, 75, 75);
    for (int i = 0; i < 3 * H * W; i++) x[i] = (float)((i * 37 % 256) / 127.5 - 1);
    params = m->params;
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < 75; i++)
            for (int j = 0; j < 75; j++) {
                const double v =
                    127.5 *
                    (between(x + H * W, H, W, 1, 0, (double)i * H / 75, (double)j * W / 75) + 1);
                *at(big, k, i, j) = (v - 128) / 128;
            }
    reference(wanted, big);
    run(met, m, x, 1);
    compare(met, wanted);
    destroy_model(&m, &config);
}

/* 94 units of five arrays and the last layer; 23,885,392 numbers with 1008 outputs, of which the
 * statistics are buffers (2 x 17,216). */
static void names_and_counts_are_the_published_ones(void **state)
{
    (void)state;
    tw_config *config = NULL;
    tw_model *m = make(&config, "");
    tw_reference_names names = {0};
    int64_t count = 0, buffers = 0;
    ok(tw_model_reference_names(&names, m));
    assert_int_equal(names.count, 94 * 5 + 2);
    for (int i = 0; i < names.count; i++) {
        const int64_t n = tw_shape_count(names.items[i].shape);
        count += n;
        buffers += strstr(names.items[i].name, "running_") ? n : 0;
    }
    /* torchvision's inception_v3 with 1000 classes and without its second classifier has
     * 21,785,568 numbers before the last layer, and 2 x 17,216 statistics */
    assert_int_equal(count - buffers, 21785568 + (FEATURES + 1) * CLASSES);
    assert_int_equal(buffers, 2 * 17216);
    assert_string_equal(names.items[0].name, "Conv2d_1a_3x3.conv.weight");
    tw_reference_names_free(&names);
    destroy_model(&m, &config);
}

static void other_samples_are_refused(void **state)
{
    (void)state;
    tw_config *config = NULL;
    tw_model *m = make(&config, "");
    tw_model_features *f = NULL;
    assert_int_equal(tw_model_features_create(&f, m, TW_SHAPE(32, 32, 4), 2, TW_PRECISION_F32,
                                              TW_CONVOLUTION_AUTO),
                     TW_ECONFIG);
    assert_int_equal(
        tw_model_features_create(&f, m, TW_SHAPE(32), 2, TW_PRECISION_F32, TW_CONVOLUTION_AUTO),
        TW_ECONFIG);
    assert_null(f);
    destroy_model(&m, &config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(features_are_those_of_a_slow_reference_in_double),
        cmocka_unit_test(grey_images_and_the_original_resizing_are_taken_too),
        cmocka_unit_test(names_and_counts_are_the_published_ones),
        cmocka_unit_test(other_samples_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
