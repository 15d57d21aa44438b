/* Size and error of the score by noise level, over x = α x_0 + σ z with the run's own kind of data.
 *
 * Of data on a manifold of k dimensions less than the space, E‖s‖² goes to k / σ²: the score
 * explodes, and the slope of log ‖s‖ against log σ goes to −1. Of data with a density the size
 * goes to a constant, and the slope to 0. The slope is that of the line through the levels within a
 * factor of four of the smallest. */
#include <math.h>
#include <stdio.h>

#include "cli/figure_run.h"
#include "tweedie/memory.h"
#include "tweedie/rng.h"

enum { LEVELS = 24, WIDTH = 520, HEIGHT = 400 };

typedef struct levels {
    int count;
    double t[LEVELS], sigma[LEVELS], learned[LEVELS], exact[LEVELS], error[LEVELS];
} levels;

/* Evenly in log σ, each once. */
static void choose(levels *l, const tw_process *p)
{
    const double first = tw_process_is_discrete(p) ? 0 : p->epsilon,
                 low = log(tw_process_sigma(p, first) / tw_process_alpha(p, first)),
                 high = log(tw_process_sigma(p, p->end) / tw_process_alpha(p, p->end));
    for (int k = 0; k < LEVELS; k++) {
        const double t = tw_process_time_at(p, exp(low + (high - low) * k / (LEVELS - 1)));
        if (l->count > 0 && t <= l->t[l->count - 1]) continue;
        l->t[l->count] = t;
        l->sigma[l->count++] = tw_process_sigma(p, t);
    }
}

static void perturb(const figure_run *r, double t, int64_t n, float *x)
{
    const tw_rng_stream stream = {.seed = 0, .purpose = TW_RNG_METRIC, .position = 0};
    const float alpha = (float)tw_process_alpha(r->process, t),
                sigma = (float)tw_process_sigma(r->process, t);
    tw_rng_normal_rows(x, &stream, NULL, n, 2);
    for (int64_t i = 0; i < n; i++) {
        float p[2];
        tw_density_sample(r->density, 1, i, p);
        for (int k = 0; k < 2; k++) x[2 * i + k] = alpha * p[k] + sigma * x[2 * i + k];
    }
}

static tw_status measure(levels *l, const figure_run *r, int64_t n)
{
    tw_status st = TW_OK;
    float *x = NULL, *s = NULL, *e = NULL;
    double *density = NULL;
    TW_TRY(tw_alloc(&x, 2 * n, sizeof *x, "points"));
    TW_TRY(tw_alloc(&s, 2 * n, sizeof *s, "scores"));
    TW_TRY(tw_alloc(&e, 2 * n, sizeof *e, "scores"));
    TW_TRY(tw_alloc(&density, n, sizeof *density, "a density"));
    for (int k = 0; k < l->count; k++) {
        double learned = 0, exact = 0, error = 0;
        perturb(r, l->t[k], n, x);
        TW_TRY(figure_run_score(r, l->t[k], n, x, s, NULL));
        figure_run_exact(r, l->t[k], n, x, density, e);
        for (int64_t i = 0; i < 2 * n; i++) {
            learned += (double)s[i] * (double)s[i] / (double)n;
            exact += (double)e[i] * (double)e[i] / (double)n;
            error += pow((double)s[i] - (double)e[i], 2) / (double)n;
        }
        l->learned[k] = sqrt(learned);
        l->exact[k] = sqrt(exact);
        l->error[k] = sqrt(error / exact);
    }
done:
    tw_free(&x);
    tw_free(&s);
    tw_free(&e);
    tw_free(&density);
    return st;
}

/* By least squares. */
static double slope(const levels *l, const double *size)
{
    double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
    for (int k = 0; k < l->count && (k < 2 || l->sigma[k] <= 4 * l->sigma[0]); k++) {
        const double x = log(l->sigma[k]), y = log(size[k]);
        n++, sx += x, sy += y, sxx += x * x, sxy += x * y;
    }
    return (n * sxy - sx * sy) / (n * sxx - sx * sx);
}

static tw_panel panel_of(const levels *l, double left, double low, double high)
{
    return (tw_panel){.left = left,
                      .top = 46,
                      .width = WIDTH,
                      .height = HEIGHT,
                      .x = {l->sigma[0] / 1.15, l->sigma[l->count - 1] * 1.15},
                      .y = {low, high},
                      .log_x = true,
                      .log_y = true};
}

static void bounds(const levels *l, const double *v, double *low, double *high)
{
    for (int k = 0; k < l->count; k++) {
        *low = fmin(*low, v[k] / 1.3);
        *high = fmax(*high, v[k] * 1.3);
    }
}

static void draw_points(tw_canvas *c, const tw_panel *p, const levels *l, const double *v,
                        tw_colour colour)
{
    tw_panel_curve(c, p, l->count, l->sigma, v, 2, colour);
    for (int k = 0; k < l->count; k++) tw_panel_disc(c, p, l->sigma[k], v[k], 4, colour);
}

static tw_status draw(const levels *l, const tw_plot_options *o)
{
    tw_status st = TW_OK;
    tw_canvas *c = NULL;
    double low = INFINITY, high = 0, inverse[LEVELS];
    TW_TRY(tw_canvas_create_for(&c, o->out, 2 * WIDTH + 230, HEIGHT + 106));
    bounds(l, l->learned, &low, &high);
    bounds(l, l->exact, &low, &high);
    tw_panel p = panel_of(l, 92, low, high);
    for (int k = 0; k < l->count; k++) inverse[k] = 1 / l->sigma[k];
    tw_panel_curve(c, &p, l->count, l->sigma, inverse, 1.5, TW_PLOT_GREY);
    tw_panel_curve(c, &p, l->count, l->sigma, l->exact, 5, TW_PLOT_BLUE);
    draw_points(c, &p, l, l->learned, TW_PLOT_ORANGE);
    tw_panel_legend(c, &p, 0, false, "learned", TW_PLOT_ORANGE);
    tw_panel_legend(c, &p, 1, false, "exact", TW_PLOT_BLUE);
    tw_panel_legend(c, &p, 2, false, "1 / sigma", TW_PLOT_GREY);
    tw_panel_frame(c, &p, o->title[0] ? o->title : "size of the score, rms", "sigma", "|s|");
    low = INFINITY, high = 0;
    bounds(l, l->error, &low, &high);
    p = panel_of(l, 92 + WIDTH + 110, low, high);
    draw_points(c, &p, l, l->error, TW_PLOT_ORANGE);
    tw_panel_frame(c, &p, "relative error of the learned score", "sigma", NULL);
    TW_TRY(tw_canvas_write(c, o->out, o->mode));
done:
    tw_canvas_destroy(&c);
    return st;
}

static tw_status run(const tw_plot_options *o, tw_plot_numbers *numbers)
{
    tw_status st = TW_OK;
    figure_run r = {0};
    levels l = {0};
    TW_CHECK(o->density[0], TW_EUSAGE, "plot noise: --density says which data the run is of");
    TW_TRY(figure_run_open(&r, o, 0, NULL));
    choose(&l, r.process);
    TW_CHECK(l.count >= 2, TW_EUSAGE,
             "%s: a model of one noise level has no curve; plot score "
             "draws its score",
             o->inputs[0]);
    TW_TRY(measure(&l, &r, o->samples));
    tw_plot_add(numbers, slope(&l, l.learned), "slope");
    tw_plot_add(numbers, slope(&l, l.exact), "exact_slope");
    for (int k = 0; k < l.count; k += (l.count + 5) / 6)
        tw_plot_add(numbers, l.error[k], "relative_error_at_%.3g", l.sigma[k]);
    TW_TRY(draw(&l, o));
done:
    figure_run_close(&r);
    return st;
}

const tw_plot tw_plot_noise = {.name = "noise",
                               .usage = "RUN --density NAME",
                               .summary = "size and error of the score by noise level",
                               .most = 1,
                               .run = run};
