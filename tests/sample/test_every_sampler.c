/* What every sampler must do, whatever it is: all predictors with all correctors, all loops, on all
 * processes, from the tables that the build makes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <omp.h>

#include "exact_classes.h"
#include "sample/sample_fixture.h"
#include "sample/sampler.h"

enum { N = 11, D = 3, FIRST = 1000 };

static const mixture three = {.modes = 2,
                              .dims = D,
                              .weight = {0.3, 0.7},
                              .mean = {{-1, 0, 1}, {1, 0.5, 1}},
                              .std = {{0.3, 1, 0.5}, {0.3, 0.7, 1}}};

/* n samples from `first` in this batch, with as many threads. */
static void sample_range(float *x, mixture *m, tw_process *p, const char *words, int64_t first,
                         int64_t n, int64_t batch, int threads)
{
    rig r;
    m->process = p;
    omp_set_num_threads(threads);
    if (make_rig(&r, p, mixture_score(m), words, batch, false) != TW_OK ||
        tw_sampler_run(r.sampler, first, n, x) != TW_OK)
        fail_msg("%s on %s: %s", words, p->kind->kind.name, tw_error_message());
    break_rig(&r);
}

/* Whether it is refused; if so it must be said before anything runs, with the key. */
static bool is_refused(mixture *m, tw_process *p, const char *words)
{
    rig r;
    m->process = p;
    m->calls = 0;
    const tw_status st = make_rig(&r, p, mixture_score(m), words, 4, false);
    if (st != TW_OK &&
        (st != TW_ECONFIG || m->calls != 0 ||
         (!strstr(tw_error_message(), "sample.") && !strstr(tw_error_message(), "process."))))
        fail_msg("%s on %s: refused with '%s'", words, p->kind->kind.name, tw_error_message());
    break_rig(&r);
    return st != TW_OK;
}

/* @return whether it is not refused */
static bool holds(tw_process *p, const char *words)
{
    static const int64_t batches[] = {1, 4, 16};
    float whole[N][D], again[N][D];
    mixture m = three;
    if (is_refused(&m, p, words)) return false;
    sample_range(&whole[0][0], &m, p, words, FIRST, N, 4, 1);
    for (int i = 0; i < N * D; i++)
        if (!isfinite(whole[i / D][i % D]))
            fail_msg("%s on %s: not finite", words, p->kind->kind.name);
    for (int k = 0; k < 3; k++) {
        m.batch = batches[k];
        m.strange_batch = false;
        sample_range(&again[0][0], &m, p, words, FIRST, N, batches[k], 1 + k);
        if (m.strange_batch || memcmp(again, whole, sizeof whole) != 0)
            fail_msg("%s on %s: other bits in a batch of %d with %d threads", words,
                     p->kind->kind.name, (int)batches[k], 1 + k);
    }
    m.batch = 4;
    for (int i = 0; i < N; i += 3) {
        const int n = N - i < 3 ? N - i : 3;
        sample_range(again[i], &m, p, words, FIRST + i, n, 4, 2);
    }
    if (memcmp(again, whole, sizeof whole) != 0)
        fail_msg("%s on %s: other bits where the range is cut", words, p->kind->kind.name);
    return true;
}

static tw_process *process_of(const char *kind)
{
    const bool ddpm = strcmp(kind, "ddpm") == 0;
    return make_process(kind, ddpm ? 1 : 0, (const char *const[]){"timesteps=100"});
}

/* Those that must go together, as no peer's do: algorithms 1 and 5 of Song et al. on sub-VP, too.
 */
static bool must_work(const char *predictor, const char *process)
{
    static const char *const all[] = {"euler_maruyama", "reverse_diffusion", "stochastic_heun",
                                      "srk", "ancestral"};
    const bool discrete = strcmp(process, "ddpm") == 0 || strcmp(process, "ladder") == 0;
    for (int i = 0; i < 5; i++)
        if (strcmp(predictor, all[i]) == 0 &&
            (!discrete || strcmp(predictor, "ancestral") == 0 || strstr(predictor, "reverse")))
            return strcmp(process, "ve") == 0 || strstr(process, "vp") || discrete;
    return false;
}

static void
predictors_and_correctors_go_together_and_are_bitwise_independent_of_the_cut(void **state)
{
    (void)state;
    for (int i = 0; i < tw_process_kinds.count; i++) {
        tw_process *p = process_of(tw_process_kinds.table[i]->name);
        for (int j = 0; j < tw_predictor_kinds.count; j++)
            for (int k = 0; k < tw_corrector_kinds.count; k++) {
                char words[160];
                const char *predictor = tw_predictor_kinds.table[j]->name;
                const int64_t steps = p->steps == 1 || strcmp(predictor, "onestep") == 0 ? 1 : 8;
                const tw_corrector *c = (const tw_corrector *)tw_corrector_kinds.table[k];
                assert_int_equal(tw_format(words, sizeof words, "kind=%s steps=%d corrector=%s%s%s",
                                           predictor, (int)steps, c->kind.name,
                                           c->rule ? " step_rule=" : "",
                                           !c->rule ? ""
                                           : k % 2  ? "sigma"
                                                    : "fixed"),
                                 TW_OK);
                if (c->correct) strcat(words, " corrector_steps=2");
                if (!holds(p, words) && must_work(predictor, p->kind->kind.name))
                    fail_msg("%s on %s: refused: %s", words, p->kind->kind.name,
                             tw_error_message());
            }
        tw_process_destroy(&p);
    }
}

/* The usual rule of each corrector, and each rule with Langevin. */
static void step_rules_are_bitwise_independent_of_the_cut(void **state)
{
    (void)state;
    static const char *const processes[] = {"ve", "vp", "subvp", "ladder", "ddpm"};
    for (int i = 0; i < 5; i++) {
        tw_process *p = process_of(processes[i]);
        for (int k = 0; k < tw_rule_kinds.count; k++)
            for (int h = 0; h < 2; h++) {
                char words[160];
                assert_int_equal(tw_format(words, sizeof words,
                                           "kind=ancestral corrector=%s step_rule=%s steps=8",
                                           h ? "hmc" : "langevin", tw_rule_kinds.table[k]->name),
                                 TW_OK);
                assert_true(holds(p, words));
            }
        tw_process_destroy(&p);
    }
}

/* Loops as they are configured where nothing is said, but short. */
static void loops_are_bitwise_independent_of_the_cut(void **state)
{
    (void)state;
    for (int i = 0; i < tw_process_kinds.count; i++) {
        tw_process *p = process_of(tw_process_kinds.table[i]->name);
        for (int k = 0; k < tw_loop_kinds.count; k++) {
            char words[160];
            const tw_loop *l = (const tw_loop *)tw_loop_kinds.table[k];
            assert_int_equal(tw_format(words, sizeof words, "kind=%s steps=%d%s", l->kind.name,
                                       p->steps == 1 ? 1 : 8,
                                       l->usual_corrector_steps ? " corrector_steps=3" : ""),
                             TW_OK);
            holds(p, words);
        }
        tw_process_destroy(&p);
    }
}

/* ---- guided ---- */

static const char *const guidances[] = {"none", "classifier_free", "classifier"};

/* n samples from `first`, each guided to its class: the score of the mixture whose modes are the
 * classes. @return what refused it, or TW_OK */
static tw_status sample_guided(float *x, tw_process *p, int guidance, const char *words,
                               int64_t first, int64_t n, int64_t batch)
{
    rig r = {0};
    classes c;
    tw_config *config = NULL;
    tw_guidance_config settings = {0};
    tw_guided *guided = NULL;
    char kind[64], scale[] = "guidance.scale=1.5";
    char *assignments[] = {kind, scale};
    tw_status st = TW_OK;
    classes_init(&c, &three, p, &(tw_labels){.each = true});
    const tw_score score = classes_score(&c);
    const tw_log_factor factor = classes_factor(&c);
    const tw_guidance_use use = {.score = &score,
                                 .process = p,
                                 .labels = c.labels,
                                 .factor = guidance == 2 ? &factor : NULL,
                                 .batch = batch};
    TW_TRY(tw_config_create(&config));
    TW_TRY(tw_format(kind, sizeof kind, "guidance.kind=%s", guidances[guidance]));
    TW_TRY(tw_config_override(config, guidance ? 2 : 1, assignments));
    TW_TRY(tw_guidance_bind(&settings, config, "guidance"));
    TW_TRY(tw_config_finish(config));
    if (guidance) TW_TRY(tw_guided_create(&guided, &settings, &use));
    TW_TRY(make_rig(&r, p, guided ? *tw_guided_view(guided) : score, words, batch, false));
    TW_TRY(tw_sampler_run(r.sampler, first, n, x));
done:
    break_rig(&r);
    tw_guided_destroy(&guided);
    tw_guidance_config_free(&settings);
    tw_config_destroy(&config);
    return st;
}

static void hold_guided(tw_process *p, int guidance, const char *words)
{
    float whole[N][D], again[N][D];
    if (sample_guided(&whole[0][0], p, 0, words, FIRST, N, 4) == TW_ECONFIG)
        return; /* a sampler that does not go with the process */
    if (sample_guided(&again[0][0], p, guidance, words, FIRST, N, 4) != TW_OK)
        fail_msg("%s on %s with %s: %s", words, p->kind->kind.name, guidances[guidance],
                 tw_error_message());
    for (int i = 0; i < N * D; i++)
        if (!isfinite(again[i / D][i % D]))
            fail_msg("%s on %s with %s: not finite", words, p->kind->kind.name,
                     guidances[guidance]);
    if (memcmp(whole, again, sizeof whole) == 0)
        fail_msg("%s on %s with %s: changes nothing", words, p->kind->kind.name,
                 guidances[guidance]);
    memcpy(whole, again, sizeof whole);
    for (int i = 0; i < N; i += 3)
        assert_int_equal(
            sample_guided(again[i], p, guidance, words, FIRST + i, N - i < 3 ? N - i : 3, 5),
            TW_OK);
    if (memcmp(again, whole, sizeof whole) != 0)
        fail_msg("%s on %s with %s: other bits where the range is cut", words, p->kind->kind.name,
                 guidances[guidance]);
}

/* Every predictor, every corrector and every loop, on three processes. */
static void guided_samples_are_bitwise_independent_of_the_cut(void **state)
{
    (void)state;
    static const char *const processes[] = {"vp", "ve", "ddpm"};
    omp_set_num_threads(1);
    for (int i = 0; i < 3; i++) {
        tw_process *p = process_of(processes[i]);
        char words[160];
        for (int g = 1; g < 3; g++) {
            for (int k = 0; k < tw_predictor_kinds.count; k++) {
                const char *name = tw_predictor_kinds.table[k]->name;
                assert_int_equal(tw_format(words, sizeof words, "kind=%s steps=%d", name,
                                           strcmp(name, "onestep") == 0 ? 1 : 6),
                                 TW_OK);
                hold_guided(p, g, words);
            }
            for (int k = 0; k < tw_corrector_kinds.count; k++) {
                assert_int_equal(tw_format(words, sizeof words,
                                           "kind=pc predictor=reverse_diffusion corrector=%s%s "
                                           "steps=6",
                                           tw_corrector_kinds.table[k]->name,
                                           k % 2 ? "" : " clip=no"),
                                 TW_OK);
                hold_guided(p, g, words);
            }
            for (int k = 0; k < tw_loop_kinds.count; k++) {
                assert_int_equal(
                    tw_format(words, sizeof words, "kind=%s steps=6", tw_loop_kinds.table[k]->name),
                    TW_OK);
                hold_guided(p, g, words);
            }
        }
        tw_process_destroy(&p);
    }
}

static void a_process_begins_with_a_sampler_that_goes_with_it(void **state)
{
    (void)state;
    static const char *const processes[] = {"ve", "vp", "subvp", "ladder", "ddpm", "single"};
    for (int i = 0; i < 6; i++) {
        tw_process *p = process_of(processes[i]);
        mixture m = three;
        assert_false(is_refused(&m, p, "steps=1"));
        tw_process_destroy(&p);
    }
}

static tw_status no_score(void *self, int64_t n, const float *x, const double *t,
                          const int64_t *index, float *score)
{
    (void)self, (void)n, (void)x, (void)t, (void)index, (void)score;
    fail_msg("a sampler ran that was to be refused");
    return TW_EINTERNAL;
}

/* A score without energy and learned variances. */
static void what_does_not_go_together_is_refused_with_what_would(void **state)
{
    static const struct {
        const char *process, *words, *key, *instead;
    } bad[] = {
        {"ve", "kind=mala", "sample.corrector", "prediction.kind = energy"},
        {"ve", "kind=hmc metropolis=yes", "sample.corrector", "metropolis = no"},
        {"ve", "kind=pc corrector=mala", "sample.corrector", "take langevin"},
        {"vp", "variance=learned kind=ancestral", "sample.variance", "fixedlarge"},
        {"ddpm", "kind=euler_maruyama", "sample.predictor", "reverse_diffusion"},
        {"ladder", "kind=srk", "sample.predictor", "ancestral"},
        {"ddpm", "kind=stochastic_heun", "sample.predictor", "ancestral"},
        {"ladder", "interpolate=1", "sample.interpolate", "2 or more"},
        {"ladder", "kind=langevin time=10", "sample.time", "9"},
        {"vp", "kind=langevin time=1.5", "sample.time", "to 1"},
        {"vp", "kind=mala corrector=hmc", "sample.corrector", "sample.kind = pc"},
        {"vp", "kind=pc corrector=langevin step_rule=scale", "sample.step_rule", "sigma"},
        {"vp", "kind=euler_maruyama corrector_steps=3", "corrector_steps", "corrector"},
        {"vp", "kind=langevin step_size=0", "step_size", "0"},
    };
    (void)state;
    int64_t dims = 2;
    const tw_score score = {.self = &dims, .dims = 2, .eval = no_score};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tw_process *p = process_of(bad[i].process);
        rig r;
        const tw_status st = make_rig(&r, p, score, bad[i].words, 4, false);
        if (st != TW_ECONFIG || !strstr(tw_error_message(), bad[i].key) ||
            !strstr(tw_error_message(), bad[i].instead))
            fail_msg("%s on %s: '%s' names not %s or %s", bad[i].words, bad[i].process,
                     st == TW_OK ? "" : tw_error_message(), bad[i].key, bad[i].instead);
        break_rig(&r);
        tw_process_destroy(&p);
    }
}

static void a_metropolis_test_and_a_step_that_looks_at_the_sample_are_refused(void **state)
{
    (void)state;
    mixture m = three;
    tw_process *p = process_of("ve");
    assert_true(is_refused(&m, p, "kind=pc corrector=mala step_rule=snr"));
    assert_non_null(strstr(tw_error_message(), "fixed, sigma or ncsn"));
    assert_true(is_refused(&m, p, "kind=pc corrector=hmc step_rule=snr metropolis=yes"));
    assert_false(is_refused(&m, p, "kind=pc corrector=hmc step_rule=snr"));
    tw_process_destroy(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            predictors_and_correctors_go_together_and_are_bitwise_independent_of_the_cut),
        cmocka_unit_test(step_rules_are_bitwise_independent_of_the_cut),
        cmocka_unit_test(loops_are_bitwise_independent_of_the_cut),
        cmocka_unit_test(guided_samples_are_bitwise_independent_of_the_cut),
        cmocka_unit_test(a_process_begins_with_a_sampler_that_goes_with_it),
        cmocka_unit_test(what_does_not_go_together_is_refused_with_what_would),
        cmocka_unit_test(a_metropolis_test_and_a_step_that_looks_at_the_sample_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
