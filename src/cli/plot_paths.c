/* Samples on their way: by the run's own sampler, which is an SDE's where nothing else is said, and
 * by the probability-flow ODE, from the same points of the prior.
 *
 * The ODE is Heun's method without churn on a grid of ODE_STEPS times: the adaptive solver has no
 * times in common that could be drawn. Both have the same marginals, so the number, the sliced
 * Wasserstein distance of the two sets of ends, is that of two sample sets of one distribution. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/figure_run.h"
#include "sample/sampler.h"
#include "tweedie/memory.h"
#include "tweedie/metrics.h"
#include "tweedie/rng.h"

enum { PANEL = 460, ODE_STEPS = 64, BACKGROUND = 160 };

typedef struct route {
    int64_t count, steps; /* paths that are kept; steps, known after the first one */
    float *x;             /* [steps + 1][count][2] */
    float *end;           /* [samples][2] */
    double evaluations;
} route;

static tw_status allocate(route *r, int64_t steps)
{
    tw_status st = TW_OK;
    int64_t numbers;
    TW_TRY(tw_multiply(&numbers, 2 * r->count, steps + 1, "paths"));
    TW_TRY(tw_alloc(&r->x, numbers, sizeof *r->x, "paths"));
    r->steps = steps;
done:
    return st;
}

/* The watcher sees x after each step. */
static tw_status keep(void *self, int64_t step, int64_t steps, int64_t first, int64_t n,
                      const float *x)
{
    tw_status st = TW_OK;
    route *r = self;
    if (!r->x) TW_TRY(allocate(r, steps));
    if (step > r->steps) goto done;
    for (int64_t i = 0; i < n && first + i < r->count; i++)
        memcpy(r->x + 2 * (step * r->count + first + i), x + 2 * i, 2 * sizeof *x);
done:
    return st;
}

/* Where paths begin, as the sampler has it. */
static void begin(route *r, const tw_process *p, uint64_t seed)
{
    for (int64_t i = 0; i < r->count; i++) {
        const tw_rng_stream s = {.seed = seed, .purpose = TW_RNG_SAMPLER_PRIOR, .position = i};
        float *x = r->x + 2 * i;
        if (p->prior_high > p->prior_low)
            tw_rng_uniform(x, &s, 0, 2);
        else
            tw_rng_normal(x, &s, 0, 2);
        for (int k = 0; k < 2; k++)
            x[k] = p->prior_high > p->prior_low
                       ? (float)(p->prior_low + (p->prior_high - p->prior_low) * (double)x[k])
                       : (float)p->prior_std * x[k];
    }
}

static tw_status follow(route *out, figure_run *d, int64_t samples)
{
    tw_status st = TW_OK;
    tw_sampler *s = NULL;
    const tw_sampler_options options = {.bounded = false};
    TW_CHECK(!((const tw_loop *)d->run.sample.loop.kind)->stream, TW_EUSAGE,
             "sample.kind: %s steps each sample by itself, and has no common times to draw; take a "
             "predictor (pc, ancestral)",
             d->run.sample.kind);
    TW_TRY(
        tw_sampler_create(&s, &d->run.sample, d->process, tw_model_score_view(d->score), &options));
    TW_TRY(tw_alloc(&out->end, 2 * samples, sizeof *out->end, "samples"));
    tw_sampler_watch(s, keep, out);
    TW_TRY(tw_sampler_run(s, 0, samples, out->end));
    begin(out, d->process, (uint64_t)d->run.sample.seed);
    out->evaluations = tw_sampler_evaluations(s);
done:
    tw_sampler_destroy(&s);
    return st;
}

static void draw_panel(tw_canvas *c, const route *r, const double *density, double left,
                       double range, const char *title)
{
    const tw_panel p = {.left = left,
                        .top = 46,
                        .width = PANEL,
                        .height = PANEL,
                        .x = {-range, range},
                        .y = {-range, range}};
    if (density) tw_panel_image(c, &p, BACKGROUND, BACKGROUND, density, 0, tw_colour_paper);
    for (int64_t i = 0; i < r->count; i++) {
        const float *x = r->x + 2 * i;
        for (int64_t k = 0; k < r->steps; k++, x += 2 * r->count) {
            tw_colour colour = tw_colour_warm((double)k / (double)r->steps);
            colour.a = 0.75;
            tw_panel_line(c, &p, (double)x[0], (double)x[1], (double)x[2 * r->count],
                          (double)x[2 * r->count + 1], 1.2, colour);
        }
        tw_panel_disc(c, &p, (double)r->x[2 * i], (double)r->x[2 * i + 1], 3, TW_PLOT_GREY);
        tw_panel_disc(c, &p, (double)x[0], (double)x[1], 4, TW_PLOT_BLACK);
    }
    tw_panel_frame(c, &p, title, "x", left < 100 ? "y" : NULL);
}

/* The mean length of a path over the straight way to its end. */
static double length_of(const route *r)
{
    double sum = 0;
    for (int64_t i = 0; i < r->count; i++) {
        const float *x = r->x + 2 * i;
        double length = 0;
        for (int64_t k = 0; k < r->steps; k++, x += 2 * r->count)
            length += hypot((double)(x[2 * r->count] - x[0]), (double)(x[2 * r->count + 1] - x[1]));
        sum += length / (double)r->count;
    }
    return sum;
}

static tw_status draw(const route *sde, const route *ode, const figure_run *d,
                      const tw_plot_options *o)
{
    tw_status st = TW_OK;
    tw_canvas *c = NULL;
    float *x = NULL;
    double *density = NULL;
    const int64_t n = BACKGROUND * BACKGROUND;
    if (d->density) {
        TW_TRY(tw_alloc(&x, 2 * n, sizeof *x, "points"));
        TW_TRY(tw_alloc(&density, n, sizeof *density, "a density"));
        figure_grid(x, BACKGROUND, o->range);
        figure_run_exact(d, tw_process_is_discrete(d->process) ? 0 : d->process->epsilon, n, x,
                         density, NULL);
    }
    TW_TRY(tw_canvas_create_for(&c, o->out, 2 * PANEL + 160, PANEL + 106));
    draw_panel(c, sde, density, 78, o->range, o->title[0] ? o->title : "stochastic: the SDE");
    draw_panel(c, ode, density, 78 + PANEL + 60, o->range, "deterministic: the ODE");
    TW_TRY(tw_canvas_write(c, o->out, o->mode));
done:
    tw_canvas_destroy(&c);
    tw_free(&x);
    tw_free(&density);
    return st;
}

static tw_status run(const tw_plot_options *o, tw_plot_numbers *numbers)
{
    tw_status st = TW_OK;
    figure_run by_sde = {0}, by_ode = {0};
    route sde = {.count = o->count}, ode = {.count = o->count};
    char steps[32];
    double apart;
    tw_plot_options plain = *o;
    const int64_t samples = o->samples > o->count ? o->samples : o->count;
    TW_TRY(figure_run_open(&by_sde, o, 0, NULL));
    TW_TRY(follow(&sde, &by_sde, samples));
    snprintf(steps, sizeof steps, "sample.steps=%d", ODE_STEPS);
    plain.assignment_count = 0;
    TW_TRY(figure_run_open(&by_ode, &plain, 2, (const char *const[]){"sample.kind=heun", steps}));
    TW_TRY(follow(&ode, &by_ode, samples));
    TW_TRY(tw_sliced_wasserstein(&apart, NULL, sde.end, samples, ode.end, samples, 2,
                                 &TW_SLICED_DEFAULTS));
    tw_plot_add(numbers, apart, "sliced_wasserstein_of_ends");
    tw_plot_add(numbers, sde.evaluations, "sde_evaluations");
    tw_plot_add(numbers, ode.evaluations, "ode_evaluations");
    tw_plot_add(numbers, length_of(&sde), "sde_path_length");
    tw_plot_add(numbers, length_of(&ode), "ode_path_length");
    TW_TRY(draw(&sde, &ode, &by_sde, o));
done:
    figure_run_close(&by_sde);
    figure_run_close(&by_ode);
    tw_free(&sde.x);
    tw_free(&sde.end);
    tw_free(&ode.x);
    tw_free(&ode.end);
    return st;
}

const tw_plot tw_plot_paths = {.name = "paths",
                               .usage = "RUN [--count N] [--density NAME]",
                               .summary = "samples on their way by the SDE and by the ODE",
                               .most = 1,
                               .run = run};
