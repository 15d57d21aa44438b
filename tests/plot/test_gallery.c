/* Galleries: where samples stand, and in which colours. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tweedie/gallery.h"

static void pixel(uint8_t rgb[3], const tw_gallery *g, int64_t x, int64_t y)
{
    tw_canvas *c = NULL;
    int64_t width, height;
    assert_int_equal(tw_gallery_size(g, &width, &height), TW_OK);
    assert_int_equal(tw_canvas_create(&c, width, height), TW_OK);
    assert_int_equal(tw_gallery_draw(c, g, 0, 0), TW_OK);
    tw_canvas_pixel(c, x, y, rgb);
    tw_canvas_destroy(&c);
}

/* Four images of 2 x 3 at zoom 4, 2 columns: each takes 12 x 8 pixels and 2 between. */
static void images_stand_in_rows_at_their_zoom(void **state)
{
    (void)state;
    const tw_dataset_spec spec = {.kind = TW_DATASET_UINT8, .height = 3, .width = 2, .channels = 3};
    float x[4 * 18];
    for (int i = 0; i < 4 * 18; i++)
        x[i] = i / 18 == 3 && i % 3 == 1 ? 1 : -1; /* the last: green */
    const tw_gallery g = {.spec = &spec, .count = 4, .x = x, .zoom = 4};
    uint8_t rgb[3];
    int64_t width, height;
    assert_false(tw_gallery_is_field(&spec));
    assert_int_equal(tw_gallery_size(&g, &width, &height), TW_OK);
    assert_int_equal(width, 2 * 8 + 3 * 10); /* ceil(sqrt(4 3 / 2)) = 3 columns */
    assert_int_equal(height, 2 * 8 + 2 * 14);
    pixel(rgb, &g, 8 + 4, 8 + 14 + 6); /* second row, first column */
    assert_int_equal(rgb[0], 0);
    assert_int_equal(rgb[1], 255);
    pixel(rgb, &g, 8 + 4, 8 + 6);
    assert_int_equal(rgb[0] + rgb[1] + rgb[2], 0);
}

/* Zero is white where values have both signs; the largest is red, the least blue. */
static void signed_fields_have_white_at_zero(void **state)
{
    (void)state;
    const float scale[] = {3}, offset[] = {0};
    const tw_dataset_spec spec = {.kind = TW_DATASET_FLOAT32,
                                  .height = 16,
                                  .width = 16,
                                  .channels = 1,
                                  .scale = scale,
                                  .offset = offset};
    float x[3 * 256];
    for (int i = 0; i < 3 * 256; i++) x[i] = (float)(i / 256) - 1; /* −1, 0, 1 */
    const tw_gallery g = {.spec = &spec, .count = 3, .x = x, .zoom = 1};
    uint8_t rgb[3];
    assert_true(tw_gallery_is_field(&spec));
    pixel(rgb, &g, 8 + 8, 8 + 24 + 8);
    assert_true(rgb[2] > rgb[0] + 80);
    pixel(rgb, &g, 8 + 17 + 8, 8 + 24 + 8);
    assert_true(rgb[0] == 247 && rgb[1] == 247 && rgb[2] == 247);
    pixel(rgb, &g, 8 + 8, 8 + 24 + 17 + 8); /* two columns: the third is below */
    assert_true(rgb[0] > rgb[2] + 60);
}

/* Of values of one sign the least is viridis's first colour, the largest its last. */
static void fields_of_one_sign_go_from_dark_to_bright(void **state)
{
    (void)state;
    const float offset[] = {280, 0}, scale[] = {8, 1};
    const tw_dataset_spec spec = {.kind = TW_DATASET_FLOAT32,
                                  .height = 16,
                                  .width = 32,
                                  .channels = 2,
                                  .offset = offset,
                                  .scale = scale,
                                  .channel_text = "t\tK\nu\tm/s\n"};
    float *x = calloc(16 * 32 * 2, sizeof *x);
    for (int i = 0; i < 16 * 32; i++) x[2 * i] = i % 32 < 16 ? -1 : 1;
    const tw_gallery g = {.spec = &spec, .count = 1, .x = x, .zoom = 2};
    uint8_t rgb[3];
    int64_t width, height;
    assert_int_equal(tw_gallery_size(&g, &width, &height), TW_OK);
    assert_int_equal(height, 2 * 8 + 2 * (24 + 34) + 18); /* each channel has a block */
    pixel(rgb, &g, 8 + 3, 8 + 24 + 3);
    assert_true(rgb[0] == 68 && rgb[1] == 1 && rgb[2] == 84);
    pixel(rgb, &g, 8 + 63, 8 + 24 + 3);
    assert_true(rgb[0] == 253 && rgb[1] == 231 && rgb[2] == 37);
    free(x);
}

static void data_stand_beside_and_captions_below(void **state)
{
    (void)state;
    const tw_dataset_spec spec = {
        .kind = TW_DATASET_UINT8, .height = 10, .width = 10, .channels = 1};
    float x[9 * 100], real[3 * 100];
    for (int i = 0; i < 900; i++) x[i] = -1;
    for (int i = 0; i < 300; i++) real[i] = 1;
    tw_gallery g = {.spec = &spec, .count = 9, .x = x, .real = real, .real_count = 3, .zoom = 1};
    uint8_t rgb[3];
    int64_t width, height, more;
    assert_int_equal(tw_gallery_size(&g, &width, &height), TW_OK);
    assert_int_equal(width, 2 * 8 + 3 * 11 + 18 + 11);
    pixel(rgb, &g, 8 + 5, 8 + 24 + 5);
    assert_int_equal(rgb[0], 0);
    pixel(rgb, &g, 8 + 33 + 18 + 5, 8 + 24 + 5);
    assert_int_equal(rgb[0], 255);
    g.caption =
        "a run, sampled from raw after 10 steps; kind=heun steps=18 and many words more of it";
    assert_int_equal(tw_gallery_size(&g, &width, &more), TW_OK);
    assert_int_equal(more, height + 3 * 19); /* of 43 letters at most */
}

static void what_cannot_be_drawn_is_refused(void **state)
{
    (void)state;
    const tw_dataset_spec
        points = {.kind = TW_DATASET_POINTS, .height = 1, .width = 1, .channels = 2},
        large = {.kind = TW_DATASET_UINT8, .height = 1024, .width = 1024, .channels = 1};
    int64_t width = -1, height = -1;
    assert_int_equal(
        tw_gallery_size(&(tw_gallery){.spec = &points, .count = 1, .zoom = 1}, &width, &height),
        TW_EUSAGE);
    assert_int_equal(
        tw_gallery_size(&(tw_gallery){.spec = &large, .count = 64, .zoom = 1}, &width, &height),
        TW_EUSAGE);
    assert_int_equal(
        tw_gallery_size(&(tw_gallery){.spec = &large, .count = 1, .zoom = 65}, &width, &height),
        TW_EUSAGE);
    assert_true(width == -1 && height == -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_stand_in_rows_at_their_zoom),
        cmocka_unit_test(signed_fields_have_white_at_zero),
        cmocka_unit_test(fields_of_one_sign_go_from_dark_to_bright),
        cmocka_unit_test(data_stand_beside_and_captions_below),
        cmocka_unit_test(what_cannot_be_drawn_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
