/* Flat arrays as named arrays and back; a model from a checkpoint is the model that was saved. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "run/state.h"
#include "tweedie/memory.h"
#include "tweedie/model.h"
#include "tweedie/restore.h"

static const char unet[] = "[network]\nkind = unet\nbase = 32\nmult = 1, 2\nblocks = 1\nattention "
                           "= 4\nattention_placement = ho\n"
                           "[process]\nkind = ddpm\ntimesteps = 50\n[sample]\nsteps = 7\nseed = "
                           "3\n[compute]\nprecision = f32\nthreads = 3\n"
                           "[train]\nsteps = 5\n";

static void ok(tw_status st)
{
    if (st != TW_OK) fail_msg("%s", tw_error_message());
}

/* A model of the text; the configuration must live as long. */
static tw_model *make(tw_config **config, tw_shape sample, uint64_t seed)
{
    tw_model *m = NULL;
    ok(tw_config_create(config));
    ok(tw_config_parse(*config, unet, (int64_t)strlen(unet), "test"));
    ok(tw_model_configure(&m, *config));
    ok(tw_model_create(m, sample, seed));
    return m;
}

static void a_snapshot_restores_every_float_of_every_group(void **state)
{
    (void)state;
    tw_config *config = NULL;
    tw_model *m = make(&config, TW_SHAPE(8, 8, 2), 1);
    tw_params *p = m->params;
    float *flat[4] = {p->value};
    static const char *const names[] = {"params", "ema/0.999", "adam/m", "adam/v"};
    tw_state_group groups[4];
    tw_state *s = NULL;
    for (int g = 0; g < 4; g++) {
        if (g > 0) ok(tw_alloc(&flat[g], p->trainable, sizeof(float), "a test"));
        for (int i = 0; i < p->view_count; i++)
            for (int64_t k = 0; k < p->views[i].count; k++)
                flat[g][p->views[i].offset + k] = (float)(g * 1000003 + i * 1009 + k);
        groups[g] = (tw_state_group){names[g], flat[g]};
    }
    ok(tw_state_create(&s, p, groups, 4));
    assert_int_equal(s->count, 4 * p->view_count); /* this network has no constants */
    tw_state_snapshot(s);

    /* the plain copy is what tw_params_to_plain says, under the view's name and shape */
    for (int64_t k = 0; k < s->count; k++) {
        const tw_param_view *v = tw_params_find(p, s->arrays[k].name);
        assert_non_null(v);
        float *plain = NULL;
        ok(tw_alloc(&plain, v->count, sizeof *plain, "a test"));
        tw_params_to_plain(v, flat[k / p->view_count], plain);
        assert_string_equal(s->arrays[k].group, names[k / p->view_count]);
        assert_int_equal(s->arrays[k].rank, v->shape.rank);
        assert_memory_equal(s->arrays[k].data, plain, (size_t)v->count * sizeof *plain);
        tw_free(&plain);
    }

    float *kept[4] = {0};
    for (int g = 0; g < 4; g++) {
        ok(tw_alloc(&kept[g], p->trainable, sizeof(float), "a test"));
        memcpy(kept[g], flat[g], (size_t)p->trainable * sizeof(float));
        memset(flat[g], 0, (size_t)p->trainable * sizeof(float));
    }
    tw_state_restore(s);
    for (int g = 0; g < 4; g++) {
        assert_memory_equal(kept[g], flat[g], (size_t)p->trainable * sizeof(float));
        tw_free(&kept[g]);
        if (g > 0) tw_free(&flat[g]);
    }
    tw_state_destroy(&s);
    tw_model_destroy(&m);
    tw_config_destroy(&config);
}

/* EMA have only what is trained in memory; in a file they hold the parameters' own frozen values
 * and running statistics, and an optimiser's arrays neither. */
static void frozen_parameters_and_statistics_are_saved_with_what_can_be_run(void **state)
{
    (void)state;
    tw_graph *g = NULL;
    tw_params *p = NULL;
    tw_state *s = NULL;
    float ema[16] = {5, 6, 7}, m[16] = {8, 9, 10};
    ok(tw_graph_create(&g));
    tw_state_param(g, "mean", TW_SHAPE(2), tw_init_ones);
    tw_constant(g, "frequencies", TW_SHAPE(2), tw_init_zeros);
    tw_param(g, "weight", TW_SHAPE(3), tw_init_zeros);
    assert_int_equal(tw_graph_param_count(g), 1); /* of which gradients are taken */
    ok(tw_params_create(&p, g));
    ok(tw_params_initialise(p, 1));
    assert_int_equal(tw_params_count(p), 3);
    const tw_param_view *mean = tw_params_find(p, "mean"),
                        *frozen = tw_params_find(p, "frequencies");
    assert_true(mean->role == TW_ROLE_STATE && frozen->role == TW_ROLE_CONSTANT);
    assert_int_equal(mean->offset, p->trainable);
    assert_int_equal(frozen->offset, p->summed);
    p->value[frozen->offset + 1] = 2.5f;
    p->value[mean->offset + 1] = 3.5f;
    const tw_state_group groups[] = {{"params", p->value}, {"ema/0.9", ema}, {"sgd/momentum", m}};
    ok(tw_state_create(&s, p, groups, 3));
    assert_int_equal(s->count, 7);
    tw_state_snapshot(s);
    for (int64_t k = 0; k < s->count; k++) {
        const tw_checkpoint_array *a = &s->arrays[k];
        const bool trained = strcmp(a->name, "weight") == 0;
        assert_true(trained || strcmp(a->group, "sgd/momentum") != 0);
        if (trained)
            assert_true(a->data[0] == (k < 3 ? 0 : k < 6 ? 5 : 8));
        else
            assert_true(a->data[1] == (strcmp(a->name, "mean") == 0 ? 3.5f : 2.5f));
    }
    p->value[mean->offset + 1] = p->value[frozen->offset + 1] = 0;
    tw_state_restore(s);
    assert_true(p->value[mean->offset + 1] == 3.5f && p->value[frozen->offset + 1] == 2.5f);
    tw_state_destroy(&s);
    tw_params_destroy(&p);
    tw_graph_destroy(&g);
}

static void rates_are_named_by_their_shortest_decimal(void **state)
{
    (void)state;
    char name[64];
    ok(tw_state_ema_name(name, sizeof name, 0.9999));
    assert_string_equal(name, "ema/0.9999");
}

static void samples_are_described_and_understood(void **state)
{
    (void)state;
    const float offset[2] = {1, 2}, scale[2] = {3, 4};
    const tw_dataset_spec specs[] = {
        {.kind = TW_DATASET_UINT8, .height = 28, .width = 20, .channels = 1, .num_classes = 10},
        {.kind = TW_DATASET_FLOAT32,
         .height = 4,
         .width = 5,
         .channels = 2,
         .offset = offset,
         .scale = scale},
        {.kind = TW_DATASET_POINTS,
         .height = 1,
         .width = 1,
         .channels = 2,
         .offset = offset,
         .scale = scale},
    };
    for (int i = 0; i < 3; i++) {
        tw_checkpoint_meta meta = {0};
        tw_dataset_spec back;
        ok(tw_state_describe_samples(&meta, &specs[i]));
        ok(tw_state_sample_spec(&back, &meta));
        assert_int_equal(back.kind, specs[i].kind);
        assert_int_equal(back.height, specs[i].height);
        assert_int_equal(back.width, specs[i].width);
        assert_int_equal(back.channels, specs[i].channels);
        assert_int_equal(back.num_classes, specs[i].num_classes);
        assert_ptr_equal(back.offset, specs[i].offset);
        assert_ptr_equal(back.scale, specs[i].scale);
        assert_int_equal(tw_state_sample_shape(&back).rank, i == 2 ? 1 : 3);
        meta.channels = 0;
        assert_int_equal(tw_state_sample_spec(&back, &meta), TW_EDATA);
        meta.channels = 2;
        strcpy(meta.sample_kind, "uint16");
        assert_int_equal(tw_state_sample_spec(&back, &meta), TW_EDATA);
        assert_non_null(strstr(tw_error_message(), "uint16"));
    }
}

/* ---- restoring ---- */

typedef struct saved {
    char run[256], checkpoint[512];
    tw_config *config;
    tw_model *model;
    float *ema;
} saved;

/* A run with one checkpoint: raw parameters of one seed, an average of another. */
static void save(saved *s, const char *config)
{
    const float offset[2] = {10, 20}, scale[2] = {2, 4};
    const tw_dataset_spec spec = {.kind = TW_DATASET_FLOAT32,
                                  .height = 8,
                                  .width = 8,
                                  .channels = 2,
                                  .offset = offset,
                                  .scale = scale};
    tw_checkpoint_meta meta = {.step = 12, .config = config};
    tw_state *state = NULL;
    char path[512];
    const char *base = getenv("TMPDIR");
    snprintf(s->run, sizeof s->run, "%s/tweedie-test-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(s->run));
    snprintf(path, sizeof path, "%s/checkpoints", s->run);
    assert_int_equal(mkdir(path, 0777), 0);
    s->model = make(&s->config, TW_SHAPE(8, 8, 2), 1);
    tw_config *other_config = NULL;
    tw_model *other = make(&other_config, TW_SHAPE(8, 8, 2), 2);
    ok(tw_alloc(&s->ema, other->params->size, sizeof(float), "a test"));
    memcpy(s->ema, other->params->value, (size_t)other->params->size * sizeof(float));
    const tw_state_group groups[] = {{"params", s->model->params->value}, {"ema/0.9", s->ema}};
    ok(tw_state_create(&state, s->model->params, groups, 2));
    tw_state_snapshot(state);
    ok(tw_state_describe_samples(&meta, &spec));
    ok(tw_checkpoint_write(s->run, state->arrays, state->count, &meta));
    ok(tw_checkpoint_name(s->checkpoint, sizeof s->checkpoint, s->run, 12));
    tw_state_destroy(&state);
    tw_model_destroy(&other);
    tw_config_destroy(&other_config);
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info, (void)type, (void)ftw;
    return remove(path);
}

static void discard(saved *s)
{
    tw_model_destroy(&s->model);
    tw_config_destroy(&s->config);
    tw_free(&s->ema);
    nftw(s->run, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void a_restored_model_holds_the_weights_that_were_asked_for(void **state)
{
    (void)state;
    saved s = {0};
    tw_restored *r = NULL, *raw = NULL, *exported = NULL;
    char path[512];
    save(&s, unet);
    const size_t bytes = (size_t)s.model->params->size * sizeof(float);
    ok(tw_restore(&r, NULL, s.run, NULL)); /* by default the first average */
    assert_memory_equal(r->model->params->value, s.ema, bytes);
    assert_string_equal(r->meta.weights, "ema:0.9");
    assert_int_equal(r->samples.kind, TW_DATASET_FLOAT32);
    assert_true(r->samples.offset[1] == 20 && r->samples.scale[0] == 2);
    assert_int_equal(r->model->process->steps, 50);
    ok(tw_restore(&raw, NULL, s.checkpoint, "raw"));
    assert_memory_equal(raw->model->params->value, s.model->params->value, bytes);
    assert_string_not_equal(raw->digest, r->digest);

    /* an exported file holds the same weights, and its digest says so */
    snprintf(path, sizeof path, "%s/weights.h5", s.run);
    ok(tw_weights_export(s.run, "ema:0.9", path, true, NULL));
    ok(tw_restore(&exported, NULL, path, ""));
    assert_memory_equal(exported->model->params->value, s.ema, bytes);
    assert_string_equal(exported->digest, r->digest);
    tw_restore_destroy(&r);
    tw_restore_destroy(&raw);
    tw_restore_destroy(&exported);
    discard(&s);
}

typedef struct settings {
    int64_t steps, seed, threads;
    int precision;
} settings;

static void settings_are_inherited_as_listed_and_free_in_their_sections(void **state)
{
    (void)state;
    saved s = {0};
    tw_restored *r = NULL;
    tw_config *c = NULL;
    settings v;
    const tw_config_field fields[] = {
        {"sample", "steps", TW_CONFIG_INT64, offsetof(settings, steps), .default_text = "0"},
        {"sample", "seed", TW_CONFIG_INT64, offsetof(settings, seed), .default_text = "0"},
        {"compute", "threads", TW_CONFIG_INT64, offsetof(settings, threads), .default_text = "0"},
        {"compute", "precision", TW_CONFIG_CHOICE, offsetof(settings, precision),
         .default_text = "auto", .choices = "auto|f32"},
    };
    char seed[] = "sample.seed=8", width[] = "network.base=8", similar[] = "samples.seed=8";
    save(&s, unet);
    ok(tw_restore(&r, NULL, s.run, NULL));
    ok(tw_restore_config(&c, r, "sample compute.precision", "sample compute", 1, (char *[]){seed}));
    ok(tw_config_bind(c, fields, 4, &v));
    ok(tw_config_finish(c));
    assert_int_equal(v.steps, 7);     /* of the run */
    assert_int_equal(v.seed, 8);      /* of the assignment */
    assert_int_equal(v.threads, 0);   /* not inherited */
    assert_int_equal(v.precision, 1); /* inherited by name */
    tw_config_destroy(&c);
    assert_int_equal(tw_restore_config(&c, r, "sample", "sample compute", 1, (char *[]){width}),
                     TW_EUSAGE);
    assert_non_null(strstr(tw_error_message(), "network.base=8"));
    assert_int_equal(tw_restore_config(&c, r, "sample", "sample compute", 1, (char *[]){similar}),
                     TW_EUSAGE);
    assert_null(c);
    tw_restore_destroy(&r);
    discard(&s);
}

static void files_that_fit_no_network_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *config, *word;
    } bad[] = {
        {"[network]\nkind = unet\nbase = 64\nmult = 1, 2\nblocks = 1\nattention_placement = ho\n",
         "expected"}, /* another network's shapes */
        {"[network]\nkind = transformer\n", "transformer"},
        {"[network]\nkind = unet\nbase = 32\nwings = 2\n", "wings"},
        {"[network]\nkind = mlp\n", "points"},
        {"", "network.kind"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        saved s = {0};
        tw_restored *r = NULL;
        save(&s, bad[i].config);
        if (tw_restore(&r, NULL, s.run, NULL) != TW_EDATA)
            fail_msg("%zu: %s", i, tw_error_message());
        if (!strstr(tw_error_message(), bad[i].word)) fail_msg("%zu: %s", i, tw_error_message());
        assert_null(r);
        discard(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_snapshot_restores_every_float_of_every_group),
        cmocka_unit_test(frozen_parameters_and_statistics_are_saved_with_what_can_be_run),
        cmocka_unit_test(rates_are_named_by_their_shortest_decimal),
        cmocka_unit_test(samples_are_described_and_understood),
        cmocka_unit_test(a_restored_model_holds_the_weights_that_were_asked_for),
        cmocka_unit_test(settings_are_inherited_as_listed_and_free_in_their_sections),
        cmocka_unit_test(files_that_fit_no_network_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
