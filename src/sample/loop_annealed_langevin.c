/* Annealed Langevin dynamics (Song and Ermon 2019, algorithm 1): from the largest noise level to
 * the smallest, T steps of Langevin dynamics at each (sample.corrector_steps; NCSN has 100, NCSNv2
 * 3 to 5), and where sample.denoise says so the last step of NCSNv2 (Song and Ermon 2020),
 * Tweedie's formula x + σ_L² s.
 *
 * Inpainting (the same, section 5): what is given of a sample gets the level's noise once, and
 * takes its place again after each step, so that the dynamics moves the rest towards what goes with
 * it. At the data it is what was given, without noise.
 *
 * `interpolate` = n lays samples in rows of n, i / n and i % n, for pictures of interpolation
 * (NCSNv2, appendix B): a row shares its start and two streams of noise, which are mixed by the
 * cosine and sine of an angle from 0 to π/2, so that neighbours differ by that alone and each
 * sample by itself has the right distribution. */
#include <stddef.h>
#include <string.h>

#include "sample/sampler.h"

typedef struct annealed_config {
    int64_t columns;
} annealed_config;

static const tw_config_field fields[] = {
    {NULL, "interpolate", TW_CONFIG_INT64, offsetof(annealed_config, columns), "0", 0, 1000000,
     .help = "samples of a row that interpolates between two noises; 0: independent samples"},
};

static tw_status check(const void *config, const tw_part_use *use)
{
    (void)use;
    if (((const annealed_config *)config)->columns != 1) return TW_OK;
    return tw_error_set(TW_ECONFIG, "sample.interpolate: a row of 1 has nothing to interpolate; "
                                    "take 2 or more, or 0 for independent samples");
}

/* All times are levels, the last too where it is not the data. */
static int64_t levels(const void *config, const tw_sampler *s)
{
    (void)config;
    return s->grid.steps + 1;
}

/* ---- what is given ---- */

/* y = α x_0 + σ z of what is given of each sample, at the level's noise. */
static void blur_known(const tw_sampler *s, const tw_batch *b, const tw_point *at, float *y)
{
    const float alpha = (float)at->alpha, sigma = (float)at->sigma;
    if (sigma > 0)
        tw_batch_noise(b, y, TW_RNG_SAMPLER_NOISE, at->name);
    else
        memset(y, 0, (size_t)(b->n * b->dims) * sizeof *y);
    for (int64_t i = 0; i < b->n; i++) {
        const float *x0 = s->known->x + b->index[i] % s->known->count * b->dims;
        for (int64_t k = 0; k < b->dims; k++)
            y[i * b->dims + k] = alpha * x0[k] + sigma * y[i * b->dims + k];
    }
}

static void keep_known(const tw_sampler *s, tw_batch *b, const float *y)
{
    for (int64_t i = 0; i < b->n; i++) {
        const uint8_t *mask = s->known->mask + b->index[i] % s->known->count * b->dims;
        for (int64_t k = 0; k < b->dims; k++)
            if (mask[k]) b->x[i * b->dims + k] = y[i * b->dims + k];
    }
}

/* One level: as tw_sampler_correct, but what is given is put back after each step. */
static tw_status correct_around_known(tw_sampler *s, tw_batch *b, const tw_point *at)
{
    tw_status st = TW_OK;
    const int64_t count = s->corrector->correct ? s->config->corrector_steps : 0;
    float *y = s->loop_scratch[0];
    blur_known(s, b, at, y);
    keep_known(s, b, y);
    for (int64_t j = 0; j < count; j++) {
        TW_TRY(tw_sampler_correct_once(s, b, at, j, count));
        keep_known(s, b, y);
    }
done:
    return st;
}

/* ---- the loop ---- */

static tw_status run(const void *config, tw_sampler *s, tw_batch *b)
{
    tw_status st = TW_OK;
    const tw_linear_step denoise = {.x0 = 1};
    b->columns = ((const annealed_config *)config)->columns;
    if (b->columns > 0) tw_sampler_prior(s, b);
    for (int64_t k = 0; k <= s->grid.steps; k++) {
        const tw_point *at = &s->grid.point[k];
        if (at->data) {
            TW_TRY(tw_batch_score(b, b->x, at[-1].t));
            tw_batch_linear(b, &at[-1], &denoise);
            if (s->known) {
                blur_known(s, b, at, s->loop_scratch[0]);
                keep_known(s, b, s->loop_scratch[0]);
            }
        } else if (s->known) {
            TW_TRY(correct_around_known(s, b, at));
        } else {
            TW_TRY(tw_sampler_correct(s, b, at));
        }
        TW_TRY(tw_sampler_step_done(s, b, k + 1));
    }
done:
    return st;
}

const tw_loop tw_loop_annealed_langevin = {
    .kind = {"annealed_langevin", "Langevin dynamics from level to level (NCSN)", fields,
             sizeof fields / sizeof *fields, sizeof(annealed_config)},
    .corrector = true,
    .rule = true,
    .grid = true,
    .usual_corrector = "langevin",
    .usual_rule = "ncsn",
    .usual_corrector_steps = "100",
    .usual_steps = 100, /* of a continuous process */
    .scratch = 1,
    .known = true,
    .check = check,
    .steps = levels,
    .run = run,
};
