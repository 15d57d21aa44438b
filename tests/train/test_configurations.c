/* The shipped configurations: each is read, and no operation of its training plan runs in one of
 * oneDNN's reference implementations, which are thousands of times slower and give nothing else
 * away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/run_config.h"
#include "tweedie/memory.h"
#include "tweedie/setup.h"

/* Samples as the configuration's dataset has them, which need not be here: CIFAR-10 and MNIST, sets
 * of images whose names end in their size, or points. */
static void shape_of(char out[64], const char *path)
{
    const char *name = strrchr(path, '/') + 1, *end = strpbrk(name, "-.");
    int side = 0;
    for (const char *p = end; p > name && p[-1] >= '0' && p[-1] <= '9'; p--) side = atoi(p - 1);
    if (strncmp(name, "cifar", 5) == 0)
        snprintf(out, 64, "data.shape=32,32,3");
    else if (strncmp(name, "mnist", 5) == 0)
        snprintf(out, 64, "data.shape=28,28,1");
    else if (strncmp(name, "emoji-latent", 12) == 0)
        snprintf(out, 64, "data.shape=16,16,4");
    else if (strncmp(name, "latents256", 10) == 0)
        snprintf(out, 64, "data.shape=32,32,4");
    else if (strncmp(name, "emoji", 5) == 0)
        snprintf(out, 64, "data.shape=64,64,3");
    else if (side)
        snprintf(out, 64, "data.shape=%d,%d,3", side, side);
    else
        snprintf(out, 64, "data.shape=2");
}

static void check(const char *path, const char *precision)
{
    tw_setup setup = {0};
    tw_objective *objective = NULL;
    char shape[64], text[32], base[] = "network.base=64", wide[] = "network.base=96";
    const bool latent = strstr(path, "latent256.ini") != NULL;
    char *assignments[] = {shape, text, latent ? wide : base};
    /* hundreds of millions of parameters: the same network, a fraction of the width */
    const int count = strstr(path, "-adm.ini") || latent ? 3 : 2;
    shape_of(shape, path);
    snprintf(text, sizeof text, "compute.precision=%s", precision);
    if (tw_setup_open(&setup, NULL, path, count, assignments) != TW_OK)
        fail_msg("%s", tw_error_message());
    const int64_t batch = setup.model->dims > 100000 ? 1 : 4; /* memory */
    const tw_objective_options options = {
        .batch = batch, .global_batch = batch, .precision = setup.precision, .gradients = true};
    if (tw_objective_add_params(setup.objective, setup.model, 0) != TW_OK ||
        tw_params_use_gradient(setup.model->params, NULL) != TW_OK ||
        tw_objective_create(&objective, setup.model, setup.objective, &options) != TW_OK)
        fail_msg("%s, %s: %s", path, precision, tw_error_message());
    const tw_plan *p = tw_objective_plan(objective);
    assert_true(tw_plan_task_count(p) > 10);
    for (int i = 0; i < tw_plan_task_count(p); i++) {
        const tw_plan_task_info t = tw_plan_task(p, i);
        assert_true(t.implementation[0] != '\0'); /* each says which it is */
        if (strstr(t.implementation, "ref"))
            fail_msg("%s, %s: task %d, %s, runs in %s", path, precision, i, t.op, t.implementation);
    }
    tw_objective_destroy(&objective);
    tw_setup_close(&setup);
}

static void shipped_plans_run_in_no_reference_implementation(void **state)
{
    (void)state;
    const char *source = getenv("TWEEDIE_SOURCE_DIR");
    char pattern[1024];
    glob_t found;
    if (!source) skip();
    snprintf(pattern, sizeof pattern, "%s/jobs/config/*.ini", source);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= 3);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        check(found.gl_pathv[i], "f32");
        check(found.gl_pathv[i], "bf16");
    }
    globfree(&found);
}

/* ---- as published ---- */

/* A number of the configuration as it is frozen, defaults included; -1 where there is none. */
static double number_of(const tw_setup *s, const char *section, const char *key)
{
    char *text = NULL, head[64], line[64];
    double x = -1;
    if (tw_config_text(s->config, &text) != TW_OK) fail_msg("%s", tw_error_message());
    snprintf(head, sizeof head, "[%s]\n", section);
    snprintf(line, sizeof line, "\n%s = ", key);
    const char *from = strstr(text, head), *end = from ? strstr(from, "\n[") : NULL,
               *at = from ? strstr(from, line) : NULL;
    if (at && (!end || at < end)) x = atof(at + strlen(line));
    tw_free(&text);
    return x;
}

/* Rows of the papers' published configurations: optimiser, its rate, warm-up, clipping, batch,
 * steps, EMA, flips, dropout, the span of noise levels (betas of VP; levels in model units, twice
 * those of data in [0, 1]), steps of the sampler. 0: none. */
static const struct {
    const char *config, *optimizer;
    double rate;
    int64_t warmup;
    double clip;
    int64_t batch, steps;
    double ema;
    bool flip;
    double dropout, least, most;
} rows[] = {
    {"cifar10-ncsn", "adam", 1e-3, 0, 0, 128, 200001, 0, true, 0, 0.02, 2},
    {"cifar10-ncsnv2", "adam", 1e-4, 0, 0, 128, 300000, 0.999, true, 0, 0.02, 100},
    {"celeba64-ncsnv2", "adam", 1e-4, 0, 0, 128, 210000, 0.999, true, 0, 0.02, 180},
    {"church64-ncsnv2", "adam", 1e-4, 0, 0, 128, 200000, 0.999, true, 0, 0.02, 280},
    {"bedroom128-ncsnv2", "adam", 1e-4, 0, 0, 128, 150000, 0.999, true, 0, 0.02, 380},
    {"ffhq256-ncsnv2", "adam", 1e-4, 0, 0, 32, 80000, 0.999, true, 0, 0.02, 696},
    {"cifar10-ddpm", "adam", 2e-4, 5000, 1, 128, 800000, 0.9999, true, 0.1, 0, 0},
    {"lsun256-ddpm", "adam", 2e-5, 5000, 1, 64, 2400000, 0.9999, true, 0, 0, 0},
    {"cifar10-ddpmpp-vp", "adam", 2e-4, 5000, 1, 128, 1300001, 0.9999, true, 0.1, 0.1, 20},
    {"cifar10-ddpmpp-subvp", "adam", 2e-4, 5000, 1, 128, 1300001, 0.9999, true, 0.1, 0.1, 20},
    {"cifar10-ncsnpp-ve", "adam", 2e-4, 5000, 1, 128, 1300001, 0.999, true, 0.1, 0.02, 100},
    {"celeba64-ncsnpp-ve", "adam", 2e-4, 5000, 1, 128, 1300001, 0.999, true, 0.1, 0.02, 180},
    {"celebahq256-ncsnpp-ve", "adam", 2e-4, 5000, 1, 64, 2400001, 0.999, true, 0, 0.02, 696},
    {"ffhq1024-ncsnpp-ve", "adam", 2e-4, 5000, 1, 8, 2400001, 0.9999, true, 0, 0.02, 2696},
    {"cifar10-iddpm", "adamw", 1e-4, 0, 0, 128, 500000, 0.9999, false, 0.3, 0, 0},
    {"imagenet64-iddpm", "adamw", 1e-4, 0, 0, 128, 1500000, 0.9999, false, 0, 0, 0},
    {"imagenet64-adm", "adamw", 3e-4, 0, 0, 2048, 540000, 0.9999, true, 0.1, 0, 0},
    {"lsun256-adm", "adamw", 1e-4, 0, 0, 256, 500000, 0.9999, true, 0.1, 0, 0},
    {"cifar10-edm-ddpmpp", "adam", 1e-3, 19531, 0, 512, 390625, 0.9993, true, 0.13, 0.002, 80},
    {"cifar10-edm-ncsnpp", "adam", 1e-3, 19531, 0, 512, 390625, 0.9993, true, 0.13, 0.002, 80},
    {"ffhq64-edm-ddpmpp", "adam", 2e-4, 39063, 0, 256, 781250, 0.99965, true, 0.05, 0.002, 80},
    {"diffusers64", "adamw", 1e-4, 500, 1, 16, 51000, 0.9999, true, 0, 0, 0},
};

static void published_runs_have_the_published_hyper_parameters(void **state)
{
    (void)state;
    const char *source = getenv("TWEEDIE_SOURCE_DIR");
    if (!source) skip();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tw_setup s = {0};
        char path[1024];
        snprintf(path, sizeof path, "%s/jobs/config/%s.ini", source, rows[i].config);
        if (tw_setup_read(&s, path, 0, NULL) != TW_OK) fail_msg("%s", tw_error_message());
        const tw_train_config *c = &s.run->train;
        const bool vp = strstr(rows[i].config, "vp") != NULL;
        const struct {
            const char *what;
            double met, wanted;
        } pairs[] = {
            {"learning rate", c->learning_rate, rows[i].rate},
            {"warm-up", (double)c->warmup, (double)rows[i].warmup},
            {"clipping", c->clip, rows[i].clip},
            {"batch", (double)c->batch, (double)rows[i].batch},
            {"steps", (double)c->steps, (double)rows[i].steps},
            {"EMA", c->ema_rates.count == 1 ? c->ema_rates.values[0] : -1, rows[i].ema},
            {"flips", c->flip, rows[i].flip},
            {"dropout", fmax(number_of(&s, "network", "dropout"), 0), rows[i].dropout},
            {"least noise",
             rows[i].most > 0 ? number_of(&s, "process", vp ? "beta_min" : "sigma_min") : 0,
             rows[i].least},
            {"most noise",
             rows[i].most > 0 ? number_of(&s, "process", vp ? "beta_max" : "sigma_max") : 0,
             rows[i].most},
        };
        assert_string_equal(s.run->optimizer.kind->name, rows[i].optimizer);
        for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++)
            if (pairs[k].met != pairs[k].wanted)
                fail_msg("%s: %s: %.9g, and published is %.9g", rows[i].config, pairs[k].what,
                         pairs[k].met, pairs[k].wanted);
        tw_setup_close(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_runs_have_the_published_hyper_parameters),
        cmocka_unit_test(shipped_plans_run_in_no_reference_implementation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
