/* Arrows of the learned score, and of the exact one.
 *
 * The number is the relative error over p_t, √(E‖s − s*‖² / E‖s*‖²), by the midpoint rule on the
 * picture's square. */
#include <math.h>
#include <stdio.h>

#include "cli/figure_run.h"
#include "tweedie/memory.h"

enum { SIDE = 160, ARROWS = 22, PANEL = 440 };

typedef struct field {
    double t, range, longest; /* score that is drawn at full length */
    float *x, *s, *exact;     /* [SIDE²][2] */
    double *density;          /* [SIDE²] */
} field;

/* The root mean square over p_t: what arrows are measured by. Without a density, over the square.
 */
static void judge(field *f, bool known, tw_plot_numbers *n)
{
    double wrong = 0, square = 0, learned = 0, mass = 0;
    for (int64_t i = 0; i < SIDE * SIDE; i++) {
        const float *s = f->s + 2 * i, *e = f->exact + 2 * i;
        const double p = known ? f->density[i] : 1;
        wrong += p * (pow((double)(s[0] - e[0]), 2) + pow((double)(s[1] - e[1]), 2));
        square += p * (pow((double)e[0], 2) + pow((double)e[1], 2));
        learned += p * (pow((double)s[0], 2) + pow((double)s[1], 2));
        mass += p;
    }
    f->longest = 2 * sqrt((known ? square : learned) / mass);
    if (known) tw_plot_add(n, sqrt(wrong / square), "relative_error");
    tw_plot_add(n, sqrt(learned / mass), "score_rms");
    if (known) tw_plot_add(n, sqrt(square / mass), "exact_score_rms");
}

/* Length grows like the square root: arrows in the tails are many times longer than in the modes.
 */
static void draw_panel(tw_canvas *c, const field *f, const float *s, double left, const char *title,
                       bool known, tw_colour colour)
{
    const tw_panel p = {.left = left,
                        .top = 46,
                        .width = PANEL,
                        .height = PANEL,
                        .x = {-f->range, f->range},
                        .y = {-f->range, f->range}};
    const double cell = (double)PANEL / ARROWS;
    if (known) tw_panel_image(c, &p, SIDE, SIDE, f->density, 0, tw_colour_paper);
    for (int i = 0; i < ARROWS * ARROWS; i++) {
        const int64_t column = (int64_t)((i % ARROWS + 0.5) * SIDE / ARROWS),
                      row = (int64_t)((i / ARROWS + 0.5) * SIDE / ARROWS), at = row * SIDE + column;
        const double sx = (double)s[2 * at], sy = (double)s[2 * at + 1], size = hypot(sx, sy),
                     length = cell * fmin(1.15, 0.25 + 0.75 * sqrt(size / f->longest));
        if (!(size > 0)) continue;
        tw_panel_arrow(c, &p,
                       (double)f->x[2 * at] - 0.5 * length * sx / size * 2 * f->range / PANEL,
                       (double)f->x[2 * at + 1] - 0.5 * length * sy / size * 2 * f->range / PANEL,
                       length * sx / size, length * sy / size, 1.5, colour);
    }
    tw_panel_frame(c, &p, title, "x", left < 100 ? "y" : NULL);
}

static tw_status draw(const field *f, const figure_run *r, const tw_plot_options *o)
{
    tw_status st = TW_OK;
    tw_canvas *c = NULL;
    char title[96];
    const bool known = r->density != NULL;
    snprintf(title, sizeof title, "learned score, sigma = %.3g",
             tw_process_sigma(r->process, f->t));
    TW_TRY(tw_canvas_create_for(&c, o->out, known ? 2 * PANEL + 160 : PANEL + 100, PANEL + 106));
    draw_panel(c, f, f->s, 78, o->title[0] ? o->title : title, known, TW_PLOT_ORANGE);
    if (known) draw_panel(c, f, f->exact, 78 + PANEL + 60, "exact score", known, TW_PLOT_BLACK);
    TW_TRY(tw_canvas_write(c, o->out, o->mode));
done:
    tw_canvas_destroy(&c);
    return st;
}

static tw_status run(const tw_plot_options *o, tw_plot_numbers *numbers)
{
    tw_status st = TW_OK;
    figure_run r = {0};
    field f = {.range = o->range};
    const int64_t n = SIDE * SIDE;
    TW_TRY(figure_run_open(&r, o, 0, NULL));
    TW_TRY(figure_run_time(&f.t, &r, o->time));
    TW_TRY(tw_alloc(&f.x, 2 * n, sizeof *f.x, "points"));
    TW_TRY(tw_alloc(&f.s, 2 * n, sizeof *f.s, "scores"));
    TW_TRY(tw_alloc(&f.exact, 2 * n, sizeof *f.exact, "scores"));
    TW_TRY(tw_alloc(&f.density, n, sizeof *f.density, "a density"));
    figure_grid(f.x, SIDE, f.range);
    TW_TRY(figure_run_score(&r, f.t, n, f.x, f.s, NULL));
    if (r.density) figure_run_exact(&r, f.t, n, f.x, f.density, f.exact);
    judge(&f, r.density != NULL, numbers);
    TW_TRY(draw(&f, &r, o));
done:
    figure_run_close(&r);
    tw_free(&f.x);
    tw_free(&f.s);
    tw_free(&f.exact);
    tw_free(&f.density);
    return st;
}

const tw_plot tw_plot_score = {.name = "score",
                               .usage = "RUN [--time T] [--density NAME]",
                               .summary = "arrows of the learned score beside the exact ones",
                               .most = 1,
                               .run = run};
