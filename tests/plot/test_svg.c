/* The SVG of a canvas, element by element. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tweedie/chart.h"

static tw_canvas *make(void)
{
    tw_canvas *c = NULL;
    assert_int_equal(tw_canvas_create_as(&c, 100, 50, TW_CANVAS_SVG), TW_OK);
    return c;
}

static int count(const char *text, const char *what)
{
    int n = 0;
    for (; (text = strstr(text, what)); text += strlen(what)) n++;
    return n;
}

static void shapes_are_elements(void **state)
{
    (void)state;
    const double x[] = {1, 2, NAN, 4, 5}, y[] = {1, 2, 3, 4, 5.125};
    const uint8_t pixel[3] = {0, 0, 0};
    tw_canvas *c = make();
    tw_text out = {0};
    tw_canvas_line(c, 1, 2, 3, 4.5, 2, (tw_colour){1, 0, 0, 0.5});
    tw_canvas_polyline(c, 5, x, y, 1, TW_PLOT_BLACK);
    tw_canvas_disc(c, 10, 10, 3, TW_PLOT_BLACK);
    tw_canvas_line(c, NAN, 0, 1, 1, 1, TW_PLOT_BLACK);
    tw_canvas_image(c, 5, 6, 2, pixel, 1, 1);
    assert_int_equal(tw_canvas_add_svg(c, &out), TW_OK);
    const char *wanted =
        "<rect x=\"0\" y=\"0\" width=\"100\" height=\"50\" fill=\"#ffffff\"/>\n"
        "<line x1=\"1\" y1=\"2\" x2=\"3\" y2=\"4.5\" stroke=\"#ff0000\" stroke-opacity=\"0.5\" "
        "stroke-width=\"2\" stroke-linecap=\"round\"/>\n"
        "<polyline points=\"1,1 2,2 \" fill=\"none\" stroke=\"#1a1a1f\" stroke-width=\"1\" "
        "stroke-linejoin=\"round\" stroke-linecap=\"round\"/>\n"
        "<polyline points=\"4,4 5,5.12 \" fill=\"none\" stroke=\"#1a1a1f\" stroke-width=\"1\" "
        "stroke-linejoin=\"round\" stroke-linecap=\"round\"/>\n"
        "<circle cx=\"10\" cy=\"10\" r=\"3\" fill=\"#1a1a1f\"/>\n"
        "<image x=\"5\" y=\"6\" width=\"2\" height=\"2\" style=\"image-rendering:pixelated\" "
        "preserveAspectRatio=\"none\" href=\"data:image/png;base64,iVBOR";
    const char *at = strchr(out.data, '\n') + 1;
    const char *head = "<svg viewBox=\"0 0 100 50\" role=\"img\"";
    assert_true(strncmp(out.data, head, strlen(head)) == 0);
    assert_memory_equal(at, wanted, strlen(wanted));
    assert_string_equal(out.data + out.length - 10, "/>\n</svg>\n");
    tw_text_free(&out);
    tw_canvas_destroy(&c);
}

static void texts_are_escaped(void **state)
{
    (void)state;
    tw_canvas *c = make();
    tw_text out = {0};
    tw_canvas_text(c, 10, 20, 0, 1.5, "</svg><script>a & b \"\x01", TW_PLOT_BLACK);
    assert_int_equal(tw_canvas_add_svg(c, &out), TW_OK);
    assert_non_null(
        strstr(out.data, ">&lt;/svg&gt;&lt;script&gt;a &amp; b &quot;\xef\xbf\xbd</text>"));
    assert_null(strstr(out.data, "<script"));
    tw_text_free(&out);
    tw_canvas_destroy(&c);
}

/* Clips are nested elements, opened once for what follows each other, and closed at the end. */
static void clips_are_nested_elements(void **state)
{
    (void)state;
    const tw_panel p = {.left = 10, .top = 5, .width = 80, .height = 40, .x = {0, 1}, .y = {0, 1}};
    tw_canvas *c = make();
    tw_text out = {0};
    tw_panel_line(c, &p, 0, 0, 1, 1, 1, TW_PLOT_BLACK);
    tw_panel_line(c, &p, 0, 1, 1, 0, 1, TW_PLOT_BLACK);
    assert_int_equal(tw_canvas_add_svg(c, &out), TW_OK);
    assert_non_null(strstr(out.data, "<svg x=\"10\" y=\"5\" width=\"80\" height=\"40\" "
                                     "viewBox=\"10 5 80 40\">\n<line"));
    assert_int_equal(count(out.data, "<svg"), 2);
    assert_int_equal(count(out.data, "</svg>"), 2);
    assert_null(strstr(out.data, "id="));
    tw_text_free(&out);
    tw_canvas_destroy(&c);
}

/* A chart: one frame of four lines, its title, a mark, a polyline for each curve. */
static void a_chart_has_the_structure_of_its_parts(void **state)
{
    (void)state;
    const double x[] = {0, 1, 2}, y[] = {1, 2, 3};
    const tw_curve curves[2] = {
        {.name = "training", .count = 3, .x = x, .y = y, .colour = TW_PLOT_BLUE},
        {.name = "validation", .count = 3, .x = x, .y = y, .colour = TW_PLOT_RED, .discs = true}};
    const tw_chart chart = {.title = "loss", .x_label = "step", .curves = curves, .count = 2};
    tw_canvas *c = NULL;
    tw_text out = {0};
    assert_int_equal(tw_canvas_create_as(&c, 400, 300, TW_CANVAS_SVG | TW_CANVAS_PIXELS), TW_OK);
    tw_chart_draw(c, &chart, 0, 0, 400, 300);
    assert_int_equal(tw_canvas_add_svg(c, &out), TW_OK);
    assert_int_equal(count(out.data, "<polyline"), 2);
    assert_int_equal(count(out.data, "<circle"), 3);
    assert_int_equal(count(out.data, ">loss</text>"), 1);
    assert_int_equal(count(out.data, ">step</text>"), 1);
    assert_int_equal(count(out.data, ">training</text>"), 1);
    assert_int_equal(count(out.data, ">validation</text>"), 1);
    tw_text_free(&out);
    tw_canvas_destroy(&c);
}

/* Of a hundred thousand points no more is written than the panel has columns. */
static void long_runs_are_drawn_as_short_ones(void **state)
{
    (void)state;
    enum { MANY = 100000 };
    static double x[MANY], y[MANY];
    for (int i = 0; i < MANY; i++) {
        x[i] = i + 1;
        y[i] = 0.25 + 0.2 * (i % 2);
    }
    const tw_curve curves[2] = {{.count = MANY, .x = x, .y = y, .colour = TW_PLOT_BLUE},
                                {.count = MANY, .x = x, .y = y, .colour = TW_PLOT_RED}};
    for (int stacked = 0; stacked < 2; stacked++) {
        const tw_chart chart = {.curves = curves, .count = 2, .stacked = stacked};
        tw_canvas *c = NULL;
        tw_text out = {0};
        assert_int_equal(tw_canvas_create_as(&c, 400, 300, TW_CANVAS_SVG), TW_OK);
        tw_chart_draw(c, &chart, 0, 0, 400, 300);
        assert_int_equal(tw_canvas_add_svg(c, &out), TW_OK);
        assert_true(out.length < 80000);
        tw_text_free(&out);
        tw_canvas_destroy(&c);
    }
}

static void a_canvas_of_pixels_has_no_svg(void **state)
{
    (void)state;
    tw_canvas *c = NULL;
    tw_text out = {0};
    assert_int_equal(tw_canvas_create(&c, 100, 50), TW_OK);
    assert_int_not_equal(tw_canvas_add_svg(c, &out), TW_OK);
    tw_text_free(&out);
    tw_canvas_destroy(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_are_elements),
        cmocka_unit_test(texts_are_escaped),
        cmocka_unit_test(clips_are_nested_elements),
        cmocka_unit_test(a_chart_has_the_structure_of_its_parts),
        cmocka_unit_test(long_runs_are_drawn_as_short_ones),
        cmocka_unit_test(a_canvas_of_pixels_has_no_svg),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
