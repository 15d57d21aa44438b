/* Charts: from data to pixels, thinning, bands, pictures. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tweedie/chart.h"

enum { WIDTH = 400, HEIGHT = 300, MANY = 100000 };

static tw_canvas *make(void)
{
    tw_canvas *c = NULL;
    assert_int_equal(tw_canvas_create(&c, WIDTH, HEIGHT), TW_OK);
    return c;
}

static bool is_blue(const tw_canvas *c, double x, double y)
{
    uint8_t p[3];
    tw_canvas_pixel(c, (int64_t)x, (int64_t)y, p);
    return p[2] > p[0] + 60;
}

/* A straight line from (0, 2) to (10, 4): the axis goes from 0 to 10, and from 2 to 4 with 6 % of
 * the span at both ends, so the point at x = 5 stands in the very middle of the panel. */
static void curves_are_drawn_where_their_data_are(void **state)
{
    (void)state;
    const double x[] = {0, 10}, y[] = {2, 4};
    const tw_curve line = {.count = 2, .x = x, .y = y, .colour = TW_PLOT_BLUE};
    const tw_chart chart = {.curves = &line, .count = 1};
    const tw_panel p = tw_chart_panel(&chart, 0, 0, WIDTH, HEIGHT);
    tw_canvas *c = make();
    assert_true(p.x[0] == 0 && p.x[1] == 10 && !p.log_y);
    assert_true(fabs(p.y[0] - 1.88) < 1e-12 && fabs(p.y[1] - 4.12) < 1e-12);
    tw_chart_draw(c, &chart, 0, 0, WIDTH, HEIGHT);
    for (int k = 1; k < 10; k++) {
        const double share = k / 10.0, value = 2 + 2 * share;
        const double px = p.left + share * p.width,
                     py = p.top + (4.12 - value) / (4.12 - 1.88) * p.height;
        assert_true(is_blue(c, px, py));
        assert_false(is_blue(c, px, py - 5));
        assert_false(is_blue(c, px, py + 5));
    }
    tw_canvas_destroy(&c);
}

/* y = 10^(−k): a straight line on an axis of decades. */
static void curves_over_decades_are_drawn_by_decades(void **state)
{
    (void)state;
    const double x[] = {0, 1, 2, 3}, y[] = {1, 0.1, 0.01, 0.001};
    const tw_curve line = {.count = 4, .x = x, .y = y, .colour = TW_PLOT_BLUE};
    const tw_chart chart = {.curves = &line, .count = 1};
    const tw_panel p = tw_chart_panel(&chart, 0, 0, WIDTH, HEIGHT);
    assert_true(p.log_y);
    for (int k = 1; k < 3; k++)
        assert_true(
            fabs(tw_panel_y(&p, y[k]) -
                 (tw_panel_y(&p, 1) + k * (tw_panel_y(&p, 0.001) - tw_panel_y(&p, 1)) / 3)) < 1e-9);
    const tw_chart zero = {.curves = &line, .count = 1, .zero = true};
    assert_false(tw_chart_panel(&zero, 0, 0, WIDTH, HEIGHT).log_y);
}

static void an_empty_chart_has_axes(void **state)
{
    (void)state;
    const tw_curve none = {.count = 0};
    const tw_chart chart = {.title = "loss", .curves = &none, .count = 1, .last_x = 7};
    const tw_panel p = tw_chart_panel(&chart, 0, 0, WIDTH, HEIGHT);
    tw_canvas *c = make();
    assert_true(p.x[1] == 7 && p.y[0] < p.y[1]);
    tw_chart_draw(c, &chart, 0, 0, WIDTH, HEIGHT);
    tw_canvas_destroy(&c);
}

/* One spike among a hundred thousand points stays, and so do the ends. */
static void thinning_keeps_extremes_and_order(void **state)
{
    (void)state;
    enum { COLUMNS = 200 };
    double *x = calloc(MANY, sizeof *x), *y = calloc(MANY, sizeof *y), tx[4 * COLUMNS],
           ty[4 * COLUMNS], least = 0, most = 0;
    for (int i = 0; i < MANY; i++) {
        x[i] = i;
        y[i] = sin(0.01 * i);
    }
    y[54321] = 9;
    y[12345] = -7;
    const int64_t n = tw_curve_thin(tx, ty, x, y, MANY, COLUMNS);
    assert_true(n > COLUMNS && n <= 4 * COLUMNS);
    for (int64_t i = 0; i < n; i++) {
        assert_true(i == 0 || tx[i] > tx[i - 1]);
        assert_true(ty[i] == y[(int)tx[i]]);
        least = fmin(least, ty[i]);
        most = fmax(most, ty[i]);
    }
    assert_true(most == 9 && least == -7);
    assert_true(tx[0] == 0 && tx[n - 1] == MANY - 1);
    assert_int_equal(tw_curve_thin(tx, ty, x, y, 4 * COLUMNS, COLUMNS), 4 * COLUMNS);
    free(x);
    free(y);
}

/* A trapezium over x = 10.5 … 90.25 of height 20 … 40 has 30 · 79.75 pixels; a piece of it drawn in
 * many parts is no darker where they meet. */
static void bands_cover_their_areas_once(void **state)
{
    (void)state;
    enum { PARTS = 200 };
    const tw_colour half = {0, 0, 0, 0.5};
    double x[PARTS], top[PARTS], bottom[PARTS], sum = 0;
    for (int i = 0; i < PARTS; i++) {
        const double f = i / (PARTS - 1.0);
        x[i] = 10.5 + 79.75 * f;
        top[i] = 120 - 20 * f;
        bottom[i] = 140;
    }
    tw_canvas *c = make();
    tw_canvas_band(c, PARTS, x, top, bottom, half);
    for (int64_t v = 0; v < HEIGHT; v++)
        for (int64_t u = 0; u < WIDTH; u++) {
            uint8_t p[3];
            tw_canvas_pixel(c, u, v, p);
            assert_true(p[0] >= 127);
            sum += 1 - p[0] / 255.0;
        }
    assert_true(fabs(sum - 0.5 * 30 * 79.75) < 10);
    tw_canvas_destroy(&c);
}

static void pictures_are_enlarged_by_pixels_and_averaged_when_shrunk(void **state)
{
    (void)state;
    const uint8_t rgb[2 * 2 * 3] = {255, 0, 0, 0, 255, 0, 0, 0, 255, 200, 200, 200};
    uint8_t p[3];
    tw_canvas *c = make();
    tw_canvas_image(c, 20, 30, 5, rgb, 2, 2);
    for (int v = 0; v < 10; v++)
        for (int u = 0; u < 10; u++) {
            tw_canvas_pixel(c, 20 + u, 30 + v, p);
            assert_memory_equal(p, rgb + 3 * (2 * (v / 5) + u / 5), 3);
        }
    tw_canvas_pixel(c, 30, 30, p);
    assert_int_equal(p[0] + p[1] + p[2], 765);
    tw_canvas_image(c, 100, 100, 0.5, rgb, 2, 2);
    tw_canvas_pixel(c, 100, 100, p);
    assert_int_equal(p[0], 114); /* 455 / 4 */
    tw_canvas_destroy(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(curves_are_drawn_where_their_data_are),
        cmocka_unit_test(curves_over_decades_are_drawn_by_decades),
        cmocka_unit_test(an_empty_chart_has_axes),
        cmocka_unit_test(thinning_keeps_extremes_and_order),
        cmocka_unit_test(bands_cover_their_areas_once),
        cmocka_unit_test(pictures_are_enlarged_by_pixels_and_averaged_when_shrunk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
