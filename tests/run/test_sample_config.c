/* [sample]: what is chosen where nobody chose, and that everything a sample depends on is in the
 * line that tells sample sets apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "run/sample_config.h"

static void ok(tw_status st)
{
    if (st != TW_OK) fail_msg("%s", tw_error_message());
}

/* The settings that a text gives; the configuration holds its strings. */
static void settle(tw_config **config, tw_sampler_settings *out, const char *text,
                   tw_objective_kind objective, tw_dataset_kind kind)
{
    tw_sample_config c;
    const tw_model m = {.objective = {.kind = objective, .scale = 0.03, .sigma = 1.5}};
    const tw_dataset_spec spec = {.kind = kind};
    ok(tw_config_create(config));
    ok(tw_config_parse(*config, text, (int64_t)strlen(text), "test"));
    ok(tw_sample_config_bind(&c, *config));
    ok(tw_config_finish(*config));
    tw_sample_config_settings(out, &c, &m, &spec);
}

static void the_objective_chooses_the_sampler_and_the_data_the_clipping(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        tw_objective_kind objective;
        tw_dataset_kind data;
        const char *kind;
        bool clip;
    } cases[] = {
        {"", TW_OBJECTIVE_DDPM, TW_DATASET_UINT8, "ancestral", true},
        {"", TW_OBJECTIVE_DDPM, TW_DATASET_FLOAT32, "ancestral", false},
        {"", TW_OBJECTIVE_DDPM, TW_DATASET_POINTS, "ancestral", false},
        {"", TW_OBJECTIVE_ONESTEP, TW_DATASET_POINTS, "onestep", false},
        {"[sample]\nkind = ddim\nclip = no\n", TW_OBJECTIVE_DDPM, TW_DATASET_UINT8, "ddim", false},
        {"[sample]\nkind = ancestral\nclip = yes\n", TW_OBJECTIVE_ONESTEP, TW_DATASET_POINTS,
         "ancestral", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tw_config *config = NULL;
        tw_sampler_settings s;
        settle(&config, &s, cases[i].text, cases[i].objective, cases[i].data);
        assert_string_equal(s.kind, cases[i].kind);
        assert_int_equal(s.clip, cases[i].clip);
        assert_true(s.onestep_scale == 0.03 && s.onestep_sigma == 1.5);
        tw_config_destroy(&config);
    }
}

static void every_setting_is_told(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",          "kind = ddim", "steps = 10",    "spacing = 10,20", "variance = fixedsmall",
        "clip = no", "eta = 0.5",   "clip_min = -2", "clip_max = 2",    "seed = 1",
    };
    char lines[sizeof texts / sizeof *texts + 2][512], text[128];
    size_t n = 0;
    for (; n < sizeof texts / sizeof *texts; n++) {
        tw_config *config = NULL;
        tw_sampler_settings s;
        snprintf(text, sizeof text, "[sample]\n%s\n", texts[n]);
        settle(&config, &s, text, TW_OBJECTIVE_DDPM, TW_DATASET_UINT8);
        ok(tw_sample_config_describe(lines[n], sizeof lines[n], &s, s.steps ? s.steps : 1000, 32,
                                     TW_PRECISION_F32));
        if (n == 0) {
            ok(tw_sample_config_describe(lines[sizeof texts / sizeof *texts], sizeof *lines, &s,
                                         1000, 16, TW_PRECISION_F32));
            ok(tw_sample_config_describe(lines[sizeof texts / sizeof *texts + 1], sizeof *lines, &s,
                                         1000, 32, TW_PRECISION_BF16));
        }
        tw_config_destroy(&config);
    }
    for (size_t i = 0; i < n + 2; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(lines[i], lines[k]) == 0)
                fail_msg("settings %d and %d are both told as '%s'", (int)i, (int)k, lines[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_objective_chooses_the_sampler_and_the_data_the_clipping),
        cmocka_unit_test(every_setting_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
