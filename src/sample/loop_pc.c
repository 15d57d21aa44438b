/* Predictor and corrector in turns (Song et al. 2021, algorithm 1): at each time the corrector's
 * steps, then one step of the predictor to the next. As published, reverse diffusion and one
 * Langevin step at a signal-to-noise ratio of 0.16: the choice for VE. */
#include "sample/sampler.h"

static tw_status run(const void *config, tw_sampler *s, tw_batch *b)
{
    tw_status st = TW_OK;
    (void)config;
    for (int64_t k = 0; k < s->grid.steps; k++) {
        TW_TRY(tw_sampler_correct(s, b, &s->grid.point[k]));
        TW_TRY(tw_sampler_predict(s, b, k));
        TW_TRY(tw_sampler_step_done(s, b, k + 1));
    }
done:
    return st;
}

const tw_loop tw_loop_pc = {
    .kind = {"pc", "predictor and corrector in turns"},
    .predictor = true,
    .corrector = true,
    .grid = true,
    .usual_predictor = "reverse_diffusion",
    .usual_corrector = "langevin",
    .run = run,
};
