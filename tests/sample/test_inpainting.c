/* Annealed Langevin dynamics around numbers that are given: they stay, the others follow the
 * conditional distribution, and a sample depends on nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "sample/sample_fixture.h"

enum { SAMPLES = 512, DIMS = 3 };

/* Two modes in three dimensions, far apart in each: what is given of coordinate 0 tells the mode,
 * and so the others. */
static mixture two_modes(void)
{
    mixture m = {.modes = 2, .dims = DIMS, .weight = {0.5, 0.5}};
    for (int d = 0; d < DIMS; d++) {
        m.mean[0][d] = -0.6 - 0.1 * d;
        m.mean[1][d] = 0.7 + 0.1 * d;
        m.std[0][d] = m.std[1][d] = 0.1;
    }
    return m;
}

/* Row 0 is given in coordinate 0, in the first mode; row 1 in coordinate 2, in the second; of row 2
 * nothing is given. */
static const float rows[3][DIMS] = {{-0.55f, 9, 9}, {9, 9, 0.95f}, {9, 9, 9}};
static const uint8_t masks[3][DIMS] = {{1, 0, 0}, {0, 0, 1}, {0, 0, 0}};
static const tw_sampler_known known = {
    .count = 3, .x = &rows[0][0], .mask = &masks[0][0], .text = "known=a mask=b"};

#define WORDS "kind=annealed_langevin corrector_steps=30 step_size=4e-4"

static tw_status rig_around(rig *r, mixture *m, tw_process *p, const char *words, int64_t batch)
{
    const tw_sampler_options options = {.batch = batch, .known = &known};
    *r = (rig){.process = p};
    m->process = p;
    r->score = mixture_score(m);
    tw_status st = bind_settings(r, words, p->kind->sampler);
    if (st == TW_OK) st = tw_sampler_create(&r->sampler, &r->settings, p, &r->score, &options);
    return st;
}

static tw_process *levels(void)
{
    return make_process("ladder", 3,
                        (const char *const[]){"sigma_min=0.03", "sigma_max=2", "levels=24"});
}

static float *samples(const char *words, int64_t first, int64_t n, int64_t batch)
{
    rig r;
    mixture m = two_modes();
    tw_process *p = levels();
    float *x = malloc((size_t)(n * DIMS) * sizeof *x);
    if (rig_around(&r, &m, p, words, batch) != TW_OK ||
        tw_sampler_run(r.sampler, first, n, x) != TW_OK)
        fail_msg("%s", tw_error_message());
    break_rig(&r);
    tw_process_destroy(&p);
    return x;
}

static void what_is_given_is_in_the_samples(void **state)
{
    (void)state;
    float *x = samples(WORDS " denoise=yes", 0, SAMPLES, 64);
    for (int64_t i = 0; i < SAMPLES; i++)
        for (int d = 0; d < DIMS; d++)
            if (masks[i % 3][d]) assert_true(x[i * DIMS + d] == rows[i % 3][d]);
    free(x);
}

/* Without the step to the data it carries the last level's noise, as published. */
static void without_denoising_it_carries_the_smallest_noise(void **state)
{
    (void)state;
    double sum = 0, square = 0, n = 0;
    float *x = samples(WORDS " denoise=no", 0, SAMPLES, 64);
    for (int64_t i = 0; i < SAMPLES; i += 3) {
        const double z = (double)(x[i * DIMS] - rows[0][0]) / 0.03;
        sum += z;
        square += z * z;
        n++;
    }
    close_to(sum / n, 0, 4 / sqrt(n));
    close_to(square / n, 1, 4 * sqrt(2 / n));
    free(x);
}

/* The posterior weight of the other mode is below e^-70; but at levels whose noise hides which mode
 * was given a sample may go to the other one and find no way back, as in the published algorithm.
 */
static void the_rest_follows_what_is_given(void **state)
{
    (void)state;
    const mixture m = two_modes();
    double right[2] = {0}, n[2] = {0}, sum[2] = {0}, square[2] = {0};
    float *x = samples(WORDS " denoise=yes", 0, SAMPLES, 64);
    for (int64_t i = 0; i < SAMPLES; i++) {
        const int row = (int)(i % 3);
        if (row == 2) continue;
        const double off = (double)x[i * DIMS + 1] - m.mean[row][1];
        n[row]++;
        if (fabs(off) > 0.6) continue;
        right[row]++;
        sum[row] += off;
        square[row] += off * off;
    }
    for (int row = 0; row < 2; row++) {
        assert_true(right[row] >= 0.95 * n[row]);
        close_to(sum[row] / right[row], 0, 0.03);
        close_to(sqrt(square[row] / right[row]), 0.1, 0.03);
    }
    free(x);
}

static void samples_of_which_nothing_is_given_find_both_modes(void **state)
{
    (void)state;
    double upper = 0, n = 0;
    float *x = samples(WORDS " denoise=yes", 0, SAMPLES, 64);
    for (int64_t i = 2; i < SAMPLES; i += 3) {
        upper += x[i * DIMS + 1] > 0;
        n++;
    }
    close_to(upper / n, 0.5, 0.2);
    free(x);
}

static void a_sample_depends_on_its_index_alone(void **state)
{
    (void)state;
    float *whole = samples(WORDS, 0, 40, 8), *part = samples(WORDS, 13, 9, 8);
    assert_memory_equal(part, whole + 13 * DIMS, 9 * DIMS * sizeof *part);
    free(whole);
    free(part);
}

static void what_is_given_identifies_a_sample_set(void **state)
{
    (void)state;
    rig r;
    tw_text text = {0};
    mixture m = two_modes();
    tw_process *p = levels();
    assert_int_equal(rig_around(&r, &m, p, WORDS, 8), TW_OK);
    assert_int_equal(tw_sampler_describe(&text, r.sampler), TW_OK);
    assert_non_null(strstr(text.data, "known=a mask=b"));
    tw_text_free(&text);
    break_rig(&r);
    tw_process_destroy(&p);
}

static void other_samplers_refuse_what_is_given(void **state)
{
    (void)state;
    rig r;
    mixture m = two_modes();
    tw_process *p = levels();
    assert_int_equal(rig_around(&r, &m, p, "kind=ancestral", 8), TW_ECONFIG);
    assert_non_null(strstr(tw_error_message(), "sample.known"));
    assert_non_null(strstr(tw_error_message(), "annealed_langevin does"));
    break_rig(&r);
    tw_process_destroy(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_given_is_in_the_samples),
        cmocka_unit_test(without_denoising_it_carries_the_smallest_noise),
        cmocka_unit_test(the_rest_follows_what_is_given),
        cmocka_unit_test(samples_of_which_nothing_is_given_find_both_modes),
        cmocka_unit_test(a_sample_depends_on_its_index_alone),
        cmocka_unit_test(what_is_given_identifies_a_sample_set),
        cmocka_unit_test(other_samplers_refuse_what_is_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
