/* Drawing: coverage, clipping, letters, axes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tweedie/plot.h"

static const tw_colour black = {0, 0, 0, 1};

static tw_canvas *make(int64_t width, int64_t height)
{
    tw_canvas *c = NULL;
    assert_int_equal(tw_canvas_create(&c, width, height), TW_OK);
    return c;
}

/* How much of the canvas is covered with black, in pixels. */
static double ink(const tw_canvas *c, int64_t width, int64_t height)
{
    double sum = 0;
    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < width; x++) {
            uint8_t p[3];
            tw_canvas_pixel(c, x, y, p);
            sum += 1 - p[0] / 255.0;
        }
    return sum;
}

static void shapes_cover_their_areas(void **state)
{
    tw_canvas *c = make(100, 100);
    (void)state;
    tw_canvas_disc(c, 50.3, 49.6, 20, black);
    assert_true(fabs(ink(c, 100, 100) - M_PI * 400) < 5);
    tw_canvas_destroy(&c);
    c = make(100, 100);
    tw_canvas_line(c, 20, 30, 80, 75, 3, black); /* with round ends */
    assert_true(fabs(ink(c, 100, 100) - 75 * 3 - M_PI * 2.25) < 6);
    tw_canvas_destroy(&c);
    c = make(100, 100);
    tw_canvas_fill(c, 10.25, 10.5, 30.5, 20, black);
    assert_true(fabs(ink(c, 100, 100) - 610) < 3);
    tw_canvas_destroy(&c);
}

static void nothing_is_drawn_outside_or_of_what_is_not_finite(void **state)
{
    tw_canvas *c = make(50, 50);
    const tw_panel p = {.left = 10, .top = 10, .width = 20, .height = 20, .x = {0, 1}, .y = {0, 1}};
    uint8_t rgb[3];
    (void)state;
    tw_canvas_line(c, -1e12, 5, 1e12, 5, 2, black);
    tw_canvas_line(c, NAN, 5, 20, 20, 2, black);
    tw_canvas_arrow(c, 25, 25, INFINITY, 25, 2, black);
    tw_canvas_disc(c, -100, -100, 20, black);
    tw_panel_disc(c, &p, 0, 0, 8, black);
    tw_canvas_pixel(c, 5, 29, rgb); /* in the disc, left of the panel */
    assert_int_equal(rgb[0], 255);
    tw_canvas_pixel(c, 12, 28, rgb);
    assert_int_equal(rgb[0], 0);
    tw_canvas_pixel(c, 25, 25, rgb);
    assert_int_equal(rgb[0], 255);
    tw_canvas_destroy(&c);
}

/* Every printable character leaves ink, each its own, and within its width. */
static void every_character_has_a_glyph(void **state)
{
    static double seen[96][40 * 40];
    (void)state;
    for (int k = '!'; k <= '~'; k++) {
        const char text[2] = {(char)k, 0};
        tw_canvas *c = make(40, 40);
        tw_canvas_text(c, 10, 20, -1, 3, text, black);
        double total = 0;
        for (int i = 0; i < 40 * 40; i++) {
            uint8_t rgb[3];
            tw_canvas_pixel(c, i % 40, i / 40, rgb);
            seen[k - '!'][i] = 1 - rgb[0] / 255.0;
            total += seen[k - '!'][i];
            if (i % 40 < 7 || i % 40 > 10 + 12 + 3) assert_int_equal(rgb[0], 255);
        }
        assert_true(total > 4);
        for (int j = 0; j < k - '!'; j++)
            assert_memory_not_equal(seen[j], seen[k - '!'], sizeof seen[j]);
        tw_canvas_destroy(&c);
    }
}

static void panels_map_data_to_pixels(void **state)
{
    const tw_panel p = {.left = 100,
                        .top = 50,
                        .width = 200,
                        .height = 100,
                        .x = {-1, 1},
                        .y = {0.01, 100},
                        .log_y = true};
    (void)state;
    assert_true(fabs(tw_panel_x(&p, 0) - 200) < 1e-9);
    assert_true(fabs(tw_panel_y(&p, 1) - 100) < 1e-9);
    assert_true(fabs(tw_panel_y(&p, 100) - 50) < 1e-9);
}

/* The largest value has the map's last colour, wherever it is. */
static void images_are_scaled_by_their_largest_value(void **state)
{
    const tw_panel p = {.left = 10, .top = 10, .width = 30, .height = 30, .x = {0, 1}, .y = {0, 1}};
    const double value[9] = {0.1, 0, 0, 0, 4, 0, 0, 0, 0};
    tw_canvas *c = make(50, 50);
    uint8_t rgb[3];
    (void)state;
    tw_panel_image(c, &p, 3, 3, value, 0, tw_colour_viridis);
    tw_canvas_pixel(c, 25, 25, rgb); /* almost the middle of the middle cell */
    assert_true(rgb[0] > 210 && rgb[1] > 215);
    tw_canvas_pixel(c, 12, 37, rgb);
    assert_true(rgb[0] == 68 && rgb[1] == 1);
    tw_canvas_pixel(c, 9, 25, rgb);
    assert_int_equal(rgb[2], 255);
    tw_canvas_destroy(&c);
}

static void sides_are_bounded(void **state)
{
    tw_canvas *c = NULL;
    (void)state;
    assert_int_equal(tw_canvas_create(&c, 1, 100), TW_ESHAPE);
    assert_int_equal(tw_canvas_create(&c, 100, 1 << 20), TW_ESHAPE);
    assert_null(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_cover_their_areas),
        cmocka_unit_test(nothing_is_drawn_outside_or_of_what_is_not_finite),
        cmocka_unit_test(every_character_has_a_glyph),
        cmocka_unit_test(panels_map_data_to_pixels),
        cmocka_unit_test(images_are_scaled_by_their_largest_value),
        cmocka_unit_test(sides_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
