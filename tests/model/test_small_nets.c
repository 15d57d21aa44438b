/* Song's tutorial network and the Wide-ResNet classifier, which have no published numbers: against
 * slow loops in double that follow the papers and share nothing with the library but the weights;
 * their input's gradient against slopes of these loops; counts, published names and how weights
 * begin. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/model_fixture.h"
#include "tweedie/fingerprint.h"

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

static image copy_image(image m)
{
    image y = new_image(m.c, m.h, m.w);
    memcpy(y.x, m.x, (size_t)(m.c * m.h * m.w) * sizeof(double));
    return y;
}

/* The parameter of a name in plain layout; freed by the caller. */
static float *weights(const tw_params *p, const char *name, int64_t count)
{
    const tw_param_view *v = tw_params_find(p, name);
    if (!v || v->count != count) fail_msg("%s: no such parameter of %lld", name, (long long)count);
    float *plain = malloc((size_t)count * sizeof *plain);
    tw_params_to_plain(v, p->value, plain);
    return plain;
}

/* 3 x 3, zeros outside, `before` of them in front. */
static image conv(const tw_params *p, const char *path, image x, int out, int stride, int before,
                  int h, int w)
{
    char name[128];
    snprintf(name, sizeof name, "%s.weight", path);
    float *k = weights(p, name, out * x.c * 9);
    image y = new_image(out, h, w);
    for (int o = 0; o < out; o++)
        for (int i = 0; i < h; i++)
            for (int j = 0; j < w; j++)
                for (int c = 0; c < x.c; c++)
                    for (int a = 0; a < 9; a++) {
                        const int r = i * stride + a / 3 - before, s = j * stride + a % 3 - before;
                        if (r < 0 || s < 0 || r >= x.h || s >= x.w) continue;
                        *at(y, o, i, j) += (double)k[(o * x.c + c) * 9 + a] * *at(x, c, r, s);
                    }
    free(k);
    free(x.x);
    return y;
}

/* Every input spreads over 3 x 3 outputs. */
static image conv_transposed(const tw_params *p, const char *path, image x, int out, int stride,
                             int h, int w)
{
    char name[128];
    snprintf(name, sizeof name, "%s.weight", path);
    float *k = weights(p, name, out * x.c * 9);
    image y = new_image(out, h, w);
    for (int c = 0; c < x.c; c++)
        for (int i = 0; i < x.h; i++)
            for (int j = 0; j < x.w; j++)
                for (int o = 0; o < out; o++)
                    for (int a = 0; a < 9; a++)
                        *at(y, o, i * stride + a / 3, j * stride + a % 3) +=
                            (double)k[(c * out + o) * 9 + a] * *at(x, c, i, j);
    free(k);
    free(x.x);
    return y;
}

static void linear(const tw_params *p, const char *path, const double *x, int in, double *y,
                   int out)
{
    char name[128];
    snprintf(name, sizeof name, "%s.weight", path);
    float *w = weights(p, name, in * out);
    snprintf(name, sizeof name, "%s.bias", path);
    float *b = weights(p, name, out);
    for (int o = 0; o < out; o++) {
        y[o] = (double)b[o];
        for (int i = 0; i < in; i++) y[o] += (double)w[o * in + i] * x[i];
    }
    free(w);
    free(b);
}

static void group_norm(const tw_params *p, const char *path, image x, int groups)
{
    char name[128];
    snprintf(name, sizeof name, "%s.weight", path);
    float *gamma = weights(p, name, x.c);
    snprintf(name, sizeof name, "%s.bias", path);
    float *beta = weights(p, name, x.c);
    const int size = x.c / groups, n = size * x.h * x.w;
    for (int g = 0; g < groups; g++) {
        double *v = x.x + g * n, mean = 0, square = 0;
        for (int i = 0; i < n; i++) mean += v[i] / n;
        for (int i = 0; i < n; i++) square += (v[i] - mean) * (v[i] - mean) / n;
        for (int i = 0; i < n; i++) {
            const int c = g * size + i / (x.h * x.w);
            v[i] = (double)gamma[c] * (v[i] - mean) / sqrt(square + 1e-5) + (double)beta[c];
        }
    }
    free(gamma);
    free(beta);
}

static double silu(double x)
{
    return x / (1 + exp(-x));
}

static void add_everywhere(image x, const double *e)
{
    for (int i = 0; i < x.c * x.h * x.w; i++) x.x[i] += e[i / (x.h * x.w)];
}

/* [sin 2πtω ‖ cos 2πtω], phases in f32 as published */
static void fourier(const tw_params *p, float t, double *e, int n)
{
    float *w = weights(p, "time.frequencies", n);
    for (int i = 0; i < n; i++) {
        const float phase = t * w[i] * (2 * (float)M_PI);
        e[i] = sin((double)phase);
        e[n + i] = cos((double)phase);
    }
    free(w);
}

/* ---- the tutorial's network ---- */

#define SCORENET                                                                                   \
    "[network]\nkind = scorenet\nchannels = 4, 8, 16, 8\ngroups = 2\nembed = 12\n"                 \
    "[process]\nkind = ve\n[prediction]\nkind = score\n"

static const int widths[4] = {4, 8, 16, 8};

static void settle(const tw_params *p, const char *dense, const char *norm, image h, int groups,
                   const double *time)
{
    double e[16];
    linear(p, dense, time, 12, e, h.c);
    add_everywhere(h, e);
    group_norm(p, norm, h, groups);
    for (int i = 0; i < h.c * h.h * h.w; i++) h.x[i] = silu(h.x[i]);
}

static image joined(image a, image b)
{
    image y = new_image(a.c + b.c, a.h, a.w);
    memcpy(y.x, a.x, (size_t)(a.c * a.h * a.w) * sizeof(double));
    memcpy(at(y, a.c, 0, 0), b.x, (size_t)(b.c * b.h * b.w) * sizeof(double));
    free(a.x);
    return y;
}

/* Times t as the embedding takes them; the result is freed by the caller. */
static image tutorial(const tw_params *p, image x, float t, double log_sigma)
{
    static const char *const dense[] = {"dense5", "dense6", "dense7"};
    double time[12], e[12];
    image levels[4], h = copy_image(x);
    fourier(p, t, e, 6);
    linear(p, "time.linear", e, 12, time, 12);
    for (int i = 0; i < 12; i++) time[i] = silu(time[i]);
    for (int k = 0; k < 4; k++) {
        char name[3][16];
        const int stride = k ? 2 : 1;
        snprintf(name[0], 16, "conv%d", k + 1);
        snprintf(name[1], 16, "dense%d", k + 1);
        snprintf(name[2], 16, "gnorm%d", k + 1);
        h = conv(p, name[0], h, widths[k], stride, 0, (h.h - 3) / stride + 1,
                 (h.w - 3) / stride + 1);
        settle(p, name[1], name[2], h, k ? 2 : 4, time);
        levels[k] = copy_image(h);
    }
    for (int k = 3; k >= 0; k--) {
        char name[2][16];
        snprintf(name[0], 16, "tconv%d", k + 1);
        snprintf(name[1], 16, "tgnorm%d", k + 1);
        const image like = k ? levels[k - 1] : x;
        if (k < 3) h = joined(h, levels[k]);
        h = conv_transposed(p, name[0], h, like.c, k ? 2 : 1, like.h, like.w);
        if (k) settle(p, dense[3 - k], name[1], h, 2, time);
    }
    float *bias = weights(p, "tconv1.bias", x.c);
    for (int i = 0; i < x.c * x.h * x.w; i++)
        h.x[i] = (h.x[i] + (double)bias[i / (x.h * x.w)]) * exp(-log_sigma);
    free(bias);
    for (int k = 0; k < 4; k++) free(levels[k].x);
    return h;
}

/* ---- the classifier ---- */

#define WIDERESNET                                                                                 \
    "[network]\nkind = wideresnet\nblocks = 2\nwiden = 2\nclasses = 7\nmean = 0.4, 0.6\n"          \
    "std = 0.25, 0.3\n[process]\nkind = ve\n"

static void activate(const tw_params *p, const char *path, image x)
{
    group_norm(p, path, x, x.c / 4 < 32 ? x.c / 4 : 32);
    for (int i = 0; i < x.c * x.h * x.w; i++)
        if (x.x[i] < 0) x.x[i] = 0;
}

static image residual(image x, int out, int stride)
{
    image y = new_image(out, x.h / stride, x.w / stride);
    for (int c = 0; c < x.c; c++)
        for (int i = 0; i < x.h; i++)
            for (int j = 0; j < x.w; j++)
                *at(y, c, i / stride, j / stride) += *at(x, c, i, j) / (stride * stride);
    free(x.x);
    return y;
}

static image wide_block(const tw_params *p, int group, int k, image x, const double *time)
{
    char path[5][32];
    static const char *const leaf[5] = {"norm1", "conv1", "time", "norm2", "conv2"};
    double e[128];
    const int out = (16 << group) * 2, stride = group && k == 0 ? 2 : 1;
    for (int i = 0; i < 5; i++) snprintf(path[i], 32, "group%d.%d.%s", group, k, leaf[i]);
    image h = copy_image(x);
    activate(p, path[0], h);
    if (group == 0 && k == 0) memcpy(x.x, h.x, (size_t)(x.c * x.h * x.w) * sizeof(double));
    h = conv(p, path[1], h, out, stride, stride == 1, x.h / stride, x.w / stride);
    linear(p, path[2], time, 512, e, out);
    add_everywhere(h, e);
    activate(p, path[3], h);
    h = conv(p, path[4], h, out, 1, 1, h.h, h.w);
    x = residual(x, out, stride);
    for (int i = 0; i < h.c * h.h * h.w; i++) h.x[i] += x.x[i];
    free(x.x);
    return h;
}

static void standardise(image h)
{
    static const double means[2] = {0.4, 0.6}, deviations[2] = {0.25, 0.3};
    const int n = h.c * h.h * h.w;
    double mean = 0, square = 0;
    for (int i = 0; i < n; i++) {
        const int c = i / (h.h * h.w);
        h.x[i] = ((h.x[i] + 1) / 2 - means[c]) / deviations[c];
    }
    for (int i = 0; i < n; i++) mean += h.x[i] / n;
    for (int i = 0; i < n; i++) square += (h.x[i] - mean) * (h.x[i] - mean) / n;
    for (int i = 0; i < n; i++) h.x[i] = (h.x[i] - mean) / fmax(sqrt(square), 1 / sqrt(n));
}

static image classifier(const tw_params *p, image x, float t, double log_sigma)
{
    double e[512], time[512], mean[128] = {0};
    image h = copy_image(x), logits = new_image(7, 1, 1);
    (void)t;
    fourier(p, (float)log_sigma, e, 128);
    linear(p, "time.linear1", e, 256, time, 512);
    for (int i = 0; i < 512; i++) e[i] = silu(time[i]);
    linear(p, "time.linear2", e, 512, time, 512);
    for (int i = 0; i < 512; i++) time[i] = silu(time[i]);
    standardise(h);
    h = conv(p, "in", h, 16, 1, 1, h.h, h.w);
    for (int k = 0; k < 6; k++) h = wide_block(p, k / 2, k % 2, h, time);
    activate(p, "out.norm", h);
    for (int i = 0; i < h.c * h.h * h.w; i++) mean[i / (h.h * h.w)] += h.x[i] / (h.h * h.w);
    linear(p, "out.linear", mean, 128, logits.x, 7);
    free(h.x);
    return logits;
}

/* ---- the library's against these ---- */

typedef image slow(const tw_params *p, image x, float t, double log_sigma);

static const struct {
    const char *text;
    slow *run;
    tw_shape sample;
} nets[] = {{SCORENET, tutorial, {3, {19, 24, 2}}}, {WIDERESNET, classifier, {3, {8, 12, 2}}}};

static const double times[3] = {0.9, 0.11, 0.45}, log_sigmas[3] = {-0.7, 1.5, 0.2};

/* L = Σ seed y and what follows of it for three samples. */
typedef struct fixture {
    tw_config *config;
    tw_model *m;
    tw_plan *plan;
    int64_t dims, outputs;
} fixture;

static fixture open_net(int k, tw_precision precision)
{
    fixture f = {0};
    tw_graph *g = NULL;
    tw_value *gx = NULL;
    f.m = make_model(&f.config, nets[k].text, nets[k].sample);
    f.dims = tw_shape_count(nets[k].sample);
    ok(tw_graph_create(&g));
    const tw_model_values v = tw_model_build(g, f.m, 3, NULL);
    ok(tw_graph_status(g));
    tw_value *x = v.x, *y = v.net;
    f.outputs = tw_shape_count(y->shape) / 3;
    tw_value *loss =
        tw_sum_to(g, tw_mul(g, y, tw_input(g, "seed", TW_F32, y->shape)), (tw_shape){0});
    tw_graph_gradient(g, loss, NULL, &x, 1, &gx);
    tw_graph_output(g, "y", y);
    tw_graph_output(g, "gx", gx);
    ok(tw_plan_create(&f.plan, g, f.m->params, &(tw_plan_options){.precision = precision}));
    tw_graph_destroy(&g);
    float *t = tw_plan_input(f.plan, "t"), *s = tw_plan_input(f.plan, "log_sigma");
    for (int n = 0; n < 3; n++) {
        fill_normal((float *)tw_plan_input(f.plan, "x") + n * f.dims, n, f.dims);
        fill_normal((float *)tw_plan_input(f.plan, "seed") + n * f.outputs, 10 + n, f.outputs);
        if (t) t[n] = (float)times[n];
        s[n] = (float)log_sigmas[n];
    }
    tw_plan_refresh(f.plan);
    tw_plan_execute(f.plan, &(tw_plan_run){0});
    return f;
}

static void close_net(fixture *f)
{
    tw_plan_destroy(&f->plan);
    destroy_model(&f->m, &f->config);
}

/* Sample n of a channels-last batch. */
static image image_of(const float *x, int n, tw_shape s)
{
    image m = new_image((int)s.dims[2], (int)s.dims[0], (int)s.dims[1]);
    x += (int64_t)n * tw_shape_count(s);
    for (int i = 0; i < m.h * m.w; i++)
        for (int c = 0; c < m.c; c++) m.x[c * m.h * m.w + i] = (double)x[i * m.c + c];
    return m;
}

static void outputs_agree(int k, tw_precision precision, double tolerance)
{
    fixture f = open_net(k, precision);
    const float *y = tw_plan_output(f.plan, "y");
    for (int n = 0; n < 3; n++) {
        const image x = image_of(tw_plan_input(f.plan, "x"), n, nets[k].sample),
                    want =
                        nets[k].run(f.m->params, x, (float)times[n], (double)(float)log_sigmas[n]);
        double size = 0;
        const int pixels = want.h * want.w;
        for (int i = 0; i < f.outputs; i++) size += want.x[i] * want.x[i] / (double)f.outputs;
        for (int i = 0; i < f.outputs; i++) {
            const double got = (double)y[n * f.outputs + i % pixels * want.c + i / pixels];
            if (!(fabs(got - want.x[i]) <= tolerance * sqrt(size)))
                fail_msg("network %d, sample %d: output %d is %.9g, wanted %.9g", k, n, i, got,
                         want.x[i]);
        }
        free(x.x);
        free(want.x);
    }
    close_net(&f);
}

static void networks_are_those_of_slow_loops(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        outputs_agree(k, TW_PRECISION_F32, 1e-5);
        outputs_agree(k, TW_PRECISION_BF16, 0.15);
    }
}

static double slow_loss(int k, const fixture *f, image x, const float *seed, int n)
{
    const image y = nets[k].run(f->m->params, x, (float)times[n], (double)(float)log_sigmas[n]);
    const int pixels = y.h * y.w;
    double sum = 0;
    for (int i = 0; i < f->outputs; i++)
        sum += y.x[i] * (double)seed[n * f->outputs + i % pixels * y.c + i / pixels];
    free(y.x);
    return sum;
}

/* Along random directions of the whole image. */
static void input_gradients_are_slopes_of_slow_loops(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        fixture f = open_net(k, TW_PRECISION_F32);
        const float *seed = tw_plan_input(f.plan, "seed"), *gx = tw_plan_output(f.plan, "gx");
        for (int n = 0; n < 3; n++) {
            const image x = image_of(tw_plan_input(f.plan, "x"), n, nets[k].sample),
                        g = image_of(gx, n, nets[k].sample);
            const double h = 1e-6;
            double loss[2], wanted = 0, norm = 0;
            float *d = malloc((size_t)f.dims * sizeof *d);
            fill_normal(d, 20 + n, f.dims);
            for (int side = 0; side < 2; side++) {
                for (int i = 0; i < f.dims; i++) x.x[i] += (side ? -2 : 1) * h * (double)d[i];
                loss[side] = slow_loss(k, &f, x, seed, n);
            }
            for (int i = 0; i < f.dims; i++) {
                wanted += g.x[i] * (double)d[i];
                norm += g.x[i] * g.x[i];
            }
            const double slope = (loss[0] - loss[1]) / (2 * h);
            if (!(fabs(slope - wanted) <= 1e-4 * sqrt(norm)))
                fail_msg("network %d, sample %d: slope %.9g, gradient says %.9g (norm %.3g)", k, n,
                         slope, wanted, sqrt(norm));
            free(d);
            free(x.x);
            free(g.x);
        }
        close_net(&f);
    }
}

/* An image of one colour has no deviation: 1 / √D takes its place. */
static void a_classifier_takes_images_of_one_colour(void **state)
{
    (void)state;
    fixture f = open_net(1, TW_PRECISION_F32);
    float *x = tw_plan_input(f.plan, "x");
    for (int i = 0; i < 3 * f.dims; i++) x[i] = i % 2 ? -0.8f : -0.2f + 1e-5f * (float)(i % 7);
    tw_plan_execute(f.plan, &(tw_plan_run){0});
    const float *y = tw_plan_output(f.plan, "y"), *gx = tw_plan_output(f.plan, "gx");
    for (int i = 0; i < 3 * 7; i++) assert_true(isfinite(y[i]));
    for (int i = 0; i < 3 * f.dims; i++) assert_true(isfinite(gx[i]));
    close_net(&f);
}

/* ---- counts, names, beginnings ---- */

static tw_model *published(tw_config **config, const char *text, tw_shape sample)
{
    tw_model *m = NULL;
    ok(tw_config_create(config));
    ok(tw_config_parse(*config, text, (int64_t)strlen(text), "test"));
    ok(tw_model_configure(&m, *config));
    ok(tw_config_finish(*config));
    ok(tw_model_create(m, sample, 1));
    return m;
}

static int64_t all_parameters(const tw_params *p)
{
    int64_t n = 0;
    for (int i = 0; i < p->view_count; i++) n += p->views[i].count;
    return n;
}

/* Mean and deviation of a parameter are those of its distribution to four standard errors; a
 * uniform one's largest number lies within its bound. */
static void begins_with(const tw_params *p, const char *name, double deviation, bool uniform)
{
    const tw_param_view *v = tw_params_find(p, name);
    double sum = 0, square = 0, most = 0;
    if (!v) fail_msg("no parameter %s", name);
    for (int64_t i = 0; i < v->count; i++) {
        const double x = (double)p->value[v->offset + i];
        sum += x;
        square += x * x;
        most = fmax(most, fabs(x));
    }
    const double n = (double)v->count;
    if (!(fabs(sum / n) <= 4 * deviation / sqrt(n)) ||
        !(fabs(sqrt(square / n) / deviation - 1) <= 4 / sqrt(2 * n)) ||
        (uniform && most > deviation * sqrt(3) * (1 + 1e-6)))
        fail_msg("%s: mean %.3g, deviation %.6g, largest %.6g; wanted deviation %.6g", name,
                 sum / n, sqrt(square / n), most, deviation);
}

static double within(double bound)
{
    return bound / sqrt(3);
}

static void the_tutorials_network_is_the_published_one(void **state)
{
    (void)state;
    tw_config *c = NULL;
    tw_reference_names names = {0};
    static const char *const some[] = {"embed.0.W",    "embed.1.weight",      "embed.1.bias",
                                       "conv1.weight", "dense1.dense.weight", "dense1.dense.bias",
                                       "gnorm1.weight"};
    tw_model *m =
        published(&c, "[network]\nkind = scorenet\n[process]\nkind = ve\n", TW_SHAPE(28, 28, 1));
    const tw_params *p = m->params;
    assert_int_equal(all_parameters(p), 1115425);
    assert_int_equal(tw_params_count(p), 1115425 - 128);
    ok(tw_model_reference_names(&names, m));
    for (int i = 0; i < 7; i++) assert_string_equal(names.items[i].name, some[i]);
    assert_string_equal(names.items[names.count - 1].name, "tconv1.bias");
    assert_string_equal(names.items[names.count - 3].name, "tgnorm2.bias");
    begins_with(p, "time.frequencies", 30, false);
    begins_with(p, "time.linear.weight", within(1 / sqrt(256)), true);
    begins_with(p, "conv4.weight", within(1 / sqrt(9 * 128)), true);
    begins_with(p, "dense4.weight", within(1 / sqrt(256)), true);
    begins_with(p, "tconv3.weight", within(1 / sqrt(9 * 64)), true); /* over its outputs */
    tw_reference_names_free(&names);
    destroy_model(&m, &c);
}

static void the_classifier_is_the_published_one(void **state)
{
    (void)state;
    tw_config *c = NULL;
    tw_model *m =
        published(&c, "[network]\nkind = wideresnet\nclasses = 10\n[process]\nkind = ve\n",
                  TW_SHAPE(32, 32, 3));
    const tw_params *p = m->params;
    assert_int_equal(all_parameters(p), 38913242);
    assert_int_equal(tw_params_count(p), 38913242 - 128);
    begins_with(p, "time.frequencies", 16, false);
    begins_with(p, "group0.0.conv1.weight", sqrt(2.0 / (9 * 160)), false);
    begins_with(p, "group2.3.conv2.weight", sqrt(2.0 / (9 * 640)), false);
    begins_with(p, "out.linear.weight", within(1 / sqrt(10)), true);
    destroy_model(&m, &c);
}

/* Training and sampling refuse it; it is built with as many outputs as classes. */
static void a_classifier_has_no_score(void **state)
{
    (void)state;
    tw_config *c = NULL;
    tw_model_score *score = NULL;
    tw_model *m = published(&c, WIDERESNET, TW_SHAPE(8, 8, 2));
    assert_int_equal(tw_model_score_create(&score, m, 2, TW_PRECISION_F32, TW_CONVOLUTION_DIRECT),
                     TW_ECONFIG);
    assert_non_null(strstr(tw_error_message(), "wideresnet is a classifier"));
    destroy_model(&m, &c);
}

static void full_sizes_run_in_no_reference_implementation(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        tw_shape sample;
    } full[] = {
        {"[network]\nkind = scorenet\n[process]\nkind = ve\n", {3, {28, 28, 1}}},
        {"[network]\nkind = wideresnet\nclasses = 10\n[process]\nkind = ve\n", {3, {32, 32, 3}}}};
    for (int k = 0; k < 2; k++)
        for (int half = 0; half < 2; half++) {
            tw_config *c = NULL;
            tw_graph *g = NULL;
            tw_plan *plan = NULL;
            tw_model *m = published(&c, full[k].text, full[k].sample);
            ok(tw_params_use_gradient(m->params, NULL));
            ok(tw_graph_create(&g));
            tw_value *y = tw_model_build(g, m, 4, NULL).net;
            tw_graph_gradient_of_params(g, tw_sum_to(g, y, (tw_shape){0}));
            ok(tw_plan_create(
                &plan, g, m->params,
                &(tw_plan_options){.precision = half ? TW_PRECISION_BF16 : TW_PRECISION_F32}));
            for (int i = 0; i < tw_plan_task_count(plan); i++) {
                const tw_plan_task_info t = tw_plan_task(plan, i);
                if (strstr(t.implementation, "ref"))
                    fail_msg("network %d: %s runs in %s", k, t.op, t.implementation);
            }
            tw_plan_destroy(&plan);
            tw_graph_destroy(&g);
            destroy_model(&m, &c);
        }
}

static void what_cannot_be_built_is_refused_by_its_key(void **state)
{
    (void)state;
    static const struct {
        const char *text, *word;
        tw_shape sample;
    } cases[] = {
        {"[network]\nkind = scorenet\n", "17 x 17", {3, {28, 16, 1}}},
        {"[network]\nkind = scorenet\nchannels = 32, 64\n", "network.channels", {3, {28, 28, 1}}},
        {"[network]\nkind = scorenet\nchannels = 32, 64, 48, 64\n",
         "network.groups",
         {3, {28, 28, 1}}},
        {"[network]\nkind = scorenet\nembed = 7\n", "network.embed", {3, {28, 28, 1}}},
        {"[network]\nkind = wideresnet\n", "network.classes", {3, {8, 8, 3}}},
        {"[network]\nkind = wideresnet\nclasses = 4\n", "network.mean", {3, {8, 8, 1}}},
        {"[network]\nkind = wideresnet\nclasses = 4\n", "multiple of 4", {3, {8, 10, 3}}},
        {"[network]\nkind = wideresnet\nclasses = 4\nwiden = 9\n", "network.widen", {3, {8, 8, 3}}},
    };
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) {
        tw_config *c = NULL;
        tw_model *m = NULL;
        ok(tw_config_create(&c));
        ok(tw_config_parse(c, cases[i].text, (int64_t)strlen(cases[i].text), "test"));
        ok(tw_model_configure(&m, c));
        ok(tw_config_finish(c));
        assert_int_equal(tw_model_create(m, cases[i].sample, 1), TW_ECONFIG);
        if (!strstr(tw_error_message(), cases[i].word))
            fail_msg("case %d: %s", i, tw_error_message());
        destroy_model(&m, &c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks_are_those_of_slow_loops),
        cmocka_unit_test(input_gradients_are_slopes_of_slow_loops),
        cmocka_unit_test(a_classifier_takes_images_of_one_colour),
        cmocka_unit_test(the_tutorials_network_is_the_published_one),
        cmocka_unit_test(the_classifier_is_the_published_one),
        cmocka_unit_test(a_classifier_has_no_score),
        cmocka_unit_test(full_sizes_run_in_no_reference_implementation),
        cmocka_unit_test(what_cannot_be_built_is_refused_by_its_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
