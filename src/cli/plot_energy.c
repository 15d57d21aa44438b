/* The density exp(−E) / Z of a learned energy, and the exact one. Z is the sum over the picture's
 * square, so both are compared as densities there. The number is the total variation ½ ∫ |p − q|.
 */
#include <math.h>
#include <stdio.h>

#include "cli/figure_run.h"
#include "tweedie/memory.h"

enum { SIDE = 200, PANEL = 440 };

static void normalise(double *p, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += p[i];
    for (int64_t i = 0; i < n; i++) p[i] /= sum;
}

/* In place. */
static void density_of(double *energy, int64_t n)
{
    double least = INFINITY;
    for (int64_t i = 0; i < n; i++) least = fmin(least, energy[i]);
    for (int64_t i = 0; i < n; i++) energy[i] = exp(least - energy[i]);
    normalise(energy, n);
}

static void draw_panel(tw_canvas *c, double left, double range, const double *p, double most,
                       const char *title)
{
    const tw_panel panel = {.left = left,
                            .top = 46,
                            .width = PANEL,
                            .height = PANEL,
                            .x = {-range, range},
                            .y = {-range, range}};
    tw_panel_image(c, &panel, SIDE, SIDE, p, most, tw_colour_viridis);
    tw_panel_frame(c, &panel, title, "x", left < 100 ? "y" : NULL);
}

static tw_status draw(const tw_plot_options *o, const double *learned, const double *exact)
{
    tw_status st = TW_OK;
    tw_canvas *c = NULL;
    double most = 0;
    for (int64_t i = 0; exact && i < SIDE * SIDE; i++) most = fmax(most, exact[i]);
    TW_TRY(tw_canvas_create_for(&c, o->out, exact ? 2 * PANEL + 160 : PANEL + 100, PANEL + 106));
    draw_panel(c, 78, o->range, learned, most, o->title[0] ? o->title : "learned: exp(-E) / Z");
    if (exact) draw_panel(c, 78 + PANEL + 60, o->range, exact, most, "exact");
    TW_TRY(tw_canvas_write(c, o->out, o->mode));
done:
    tw_canvas_destroy(&c);
    return st;
}

static tw_status run(const tw_plot_options *o, tw_plot_numbers *numbers)
{
    tw_status st = TW_OK;
    figure_run r = {0};
    double t, *learned = NULL, *exact = NULL, apart = 0;
    float *x = NULL, *s = NULL;
    const int64_t n = SIDE * SIDE;
    TW_TRY(figure_run_open(&r, o, 0, NULL));
    TW_TRY(figure_run_time(&t, &r, o->time));
    TW_CHECK(tw_model_score_view(r.score)->eval_energy, TW_EUSAGE,
             "%s: this model has no energy (prediction.kind = energy has); plot score draws its "
             "score",
             o->inputs[0]);
    TW_TRY(tw_alloc(&x, 2 * n, sizeof *x, "points"));
    TW_TRY(tw_alloc(&s, 2 * n, sizeof *s, "scores"));
    TW_TRY(tw_alloc(&learned, n, sizeof *learned, "a density"));
    figure_grid(x, SIDE, o->range);
    TW_TRY(figure_run_score(&r, t, n, x, s, learned));
    density_of(learned, n);
    if (r.density) {
        TW_TRY(tw_alloc(&exact, n, sizeof *exact, "a density"));
        figure_run_exact(&r, t, n, x, exact, NULL);
        normalise(exact, n);
        for (int64_t i = 0; i < n; i++) apart += 0.5 * fabs(learned[i] - exact[i]);
        tw_plot_add(numbers, apart, "total_variation");
    }
    TW_TRY(draw(o, learned, exact));
done:
    figure_run_close(&r);
    tw_free(&x);
    tw_free(&s);
    tw_free(&learned);
    tw_free(&exact);
    return st;
}

const tw_plot tw_plot_energy = {.name = "energy",
                                .usage = "RUN [--time T] [--density NAME]",
                                .summary = "the density of a learned energy",
                                .most = 1,
                                .run = run};
