/* Pictures: what is written is read back, and what is damaged is refused. */
#include <png.h>

/* libjpeg's header wants stdio.h before it */
#include "data/fixture.h"

#include <jpeglib.h>

#include "data/picture.h"
#include "tweedie/png.h"

static void a_written_image_is_read_back(void **state)
{
    (void)state;
    for (int channels = 1; channels <= 3; channels += 2) {
        uint8_t pixels[7 * 5 * 3];
        picture p = {0};
        for (int i = 0; i < 7 * 5 * channels; i++) pixels[i] = (uint8_t)(i * 11);
        assert_ok(tw_png_write(in("one.png"), pixels, 7, 5, channels));
        assert_ok(tw_picture_read(&p, in("one.png")));
        assert_int_equal(p.height, 7);
        assert_int_equal(p.width, 5);
        assert_int_equal(p.channels, channels);
        assert_memory_equal(p.pixels, pixels, (size_t)(35 * channels));
        tw_picture_free(&p);
    }
    assert_int_equal(count_files(".one"), 0);
}

static void a_grid_has_each_image_in_its_place(void **state)
{
    (void)state;
    enum { COUNT = 5, H = 3, W = 4, COLUMNS = 2 };
    uint8_t pixels[COUNT * H * W * 2];
    picture p = {0};
    for (int i = 0; i < COUNT * H * W * 2; i++) pixels[i] = (uint8_t)(i + 100);
    assert_ok(tw_png_write_grid(in("grid.png"), pixels, COUNT, H, W, 2,
                                COLUMNS)); /* of 2 channels the first is drawn */
    assert_ok(tw_picture_read(&p, in("grid.png")));
    assert_int_equal(p.height, 3 * (H + 1) - 1);
    assert_int_equal(p.width, 2 * (W + 1) - 1);
    for (int i = 0; i < COUNT; i++)
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++)
                assert_int_equal(p.pixels[(i / 2 * (H + 1) + y) * p.width + i % 2 * (W + 1) + x],
                                 pixels[((i * H + y) * W + x) * 2]);
    assert_int_equal(p.pixels[W], 32); /* between two images */
    tw_picture_free(&p);
    assert_ok(tw_png_write_grid(in("grid.png"), pixels, 4, H, H, 1, 0)); /* as wide as high */
    assert_ok(tw_picture_read(&p, in("grid.png")));
    assert_int_equal(p.height, p.width);
    tw_picture_free(&p);
}

static void a_heat_map_is_brightest_where_the_points_are(void **state)
{
    (void)state;
    const float points[] = {0.9f, 0.9f, 0.9f, 0.9f, -0.9f, -0.9f, 5, 5, 1.0f / 0.0f, 0};
    const double bounds[] = {-1, 1, -1, 1};
    picture p = {0};
    assert_ok(tw_png_write_heatmap(in("heat.png"), points, 5, bounds, 16, 0));
    assert_ok(tw_picture_read(&p, in("heat.png")));
    assert_int_equal(p.width, 16);
    assert_int_equal(p.height, 16);
    assert_int_equal(p.pixels[15 * 3], 253); /* upper right: two points, the brightest yellow */
    const uint8_t *lower_left = p.pixels + 15 * 16 * 3, *empty = p.pixels;
    assert_true(lower_left[1] > empty[1]);
    assert_int_equal(empty[0], 68);
    tw_picture_free(&p);
}

static void a_blurred_point_is_round_and_brightest_in_its_middle(void **state)
{
    (void)state;
    const float point[] = {0.01f, -0.01f};
    const double bounds[] = {-1, 1, -1, 1};
    picture p = {0};
    assert_ok(tw_png_write_heatmap(in("blur.png"), point, 1, bounds, 32, 2));
    assert_ok(tw_picture_read(&p, in("blur.png")));
    const uint8_t *at = p.pixels + (16 * 32 + 16) * 3;
    assert_int_equal(at[0], 253);
    for (int d = 1; d <= 6; d++) {
        assert_true(at[3 * d + 1] < at[3 * d - 2]); /* green falls outwards … */
        assert_memory_equal(at + 3 * d, at - 3 * d, 3);
        assert_memory_equal(at + 3 * d, at + 32 * 3 * d, 3); /* … alike in each direction */
    }
    assert_int_equal(p.pixels[0], 68);
    tw_picture_free(&p);
}

static void pictures_that_cannot_be_written_say_why(void **state)
{
    (void)state;
    const uint8_t pixel[3] = {0};
    const double bounds[] = {1, -1, 0, 1};
    assert_fails(tw_png_write(in("no/folder.png"), pixel, 1, 1, 1), TW_EIO, "no/folder.png");
    assert_fails(tw_png_write(in("wide.png"), pixel, 1, 70000, 1), TW_ESHAPE, "wide.png", "70000");
    assert_fails(tw_png_write_grid(in("none.png"), pixel, 0, 1, 1, 1, 0), TW_ESHAPE, "none.png");
    assert_fails(tw_png_write_heatmap(in("heat.png"), NULL, 0, bounds, 100, 0), TW_ESHAPE,
                 "heat.png");
    assert_int_equal(count_files("wide"), 0);
}

static void every_truncated_or_flipped_png_is_refused_or_whole(void **state)
{
    (void)state;
    uint8_t pixels[20 * 20 * 3];
    size_t size;
    picture p = {0};
    for (int i = 0; i < 1200; i++) pixels[i] = (uint8_t)(i * i);
    assert_ok(tw_png_write(in("p.png"), pixels, 20, 20, 3));
    unsigned char *bytes = take(in("p.png"), &size);
    for (size_t keep = 1; keep < size; keep += 7) {
        if (keep >= size - 12) break; /* only the end chunk is cut */
        put(in("cut.png"), bytes, keep);
        assert_fails(tw_picture_read(&p, in("cut.png")), TW_EDATA, "cut.png");
    }
    for (size_t keep = size - 12; keep < size;
         keep++) { /* the pixels are whole: told, not refused */
        put(in("cut.png"), bytes, keep);
        assert_ok(tw_picture_read(&p, in("cut.png")));
        assert_non_null(strstr(p.flaw, "IEND"));
        assert_memory_equal(p.pixels, pixels, 1200);
        tw_picture_free(&p);
    }
    for (size_t i = 0; i < size;
         i++) { /* every chunk has a checksum; a flip in one that matters is found */
        bytes[i] ^= 0x10;
        put(in("flip.png"), bytes, size);
        if (tw_picture_read(&p, in("flip.png")) == TW_OK) {
            assert_int_equal(p.height * p.width * p.channels, 1200);
            assert_memory_equal(p.pixels, pixels, 1200);
            tw_picture_free(&p);
        }
        bytes[i] ^= 0x10;
    }
    free(bytes);
}

/* A JPEG file of a grey ramp. */
static void write_jpeg(const char *path, int side, J_COLOR_SPACE space, int components)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    FILE *file = fopen(path, "wb");
    unsigned char row[64 * 4];
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_stdio_dest(&jpeg, file);
    jpeg.image_width = jpeg.image_height = (JDIMENSION)side;
    jpeg.input_components = components;
    jpeg.in_color_space = space;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 95, TRUE);
    jpeg_start_compress(&jpeg, TRUE);
    for (int y = 0; y < side; y++) {
        JSAMPROW rows[] = {row};
        for (int i = 0; i < side * components; i++) row[i] = (unsigned char)(4 * (i / components));
        jpeg_write_scanlines(&jpeg, rows, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    fclose(file);
}

static void a_jpeg_is_read_near_enough_and_a_truncated_one_refused(void **state)
{
    (void)state;
    picture p = {0};
    size_t size;
    for (int channels = 1; channels <= 3; channels += 2) {
        write_jpeg(in("ramp.jpg"), 40, channels == 1 ? JCS_GRAYSCALE : JCS_RGB, channels);
        assert_ok(tw_picture_read(&p, in("ramp.jpg")));
        assert_int_equal(p.channels, channels);
        assert_int_equal(p.width, 40);
        for (int x = 0; x < 40; x++)
            assert_in_range(p.pixels[(20 * 40 + x) * channels] + 6, 4 * x, 4 * x + 12);
        tw_picture_free(&p);
    }
    unsigned char *bytes = take(in("ramp.jpg"), &size);
    for (size_t keep = 4; keep + 4 < size; keep += 31) {
        put(in("cut.jpg"), bytes, keep);
        assert_fails(tw_picture_read(&p, in("cut.jpg")), TW_EDATA, "cut.jpg", "damaged JPEG");
    }
    free(bytes);
}

static void sizes_that_a_header_only_claims_are_not_allocated(void **state)
{
    (void)state;
    /* an IHDR of 60000 x 60000 with its right checksum, then nothing */
    unsigned char bytes[] = {0x89, 'P', 'N', 'G', 13,  10,   26,   10,   0,   0, 0,    13,
                             'I',  'H', 'D', 'R', 0,   0,    0xea, 0x60, 0,   0, 0xea, 0x60,
                             8,    6,   0,   0,   0,   0,    0,    0,    0,   0, 0,    0,
                             0,    'I', 'D', 'A', 'T', 0x35, 0xaf, 0x06, 0x1e};
    picture p = {0};
    uint32_t crc = 0xffffffffu;
    for (int i = 12; i < 29; i++) {
        crc ^= bytes[i];
        for (int k = 0; k < 8; k++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    crc = ~crc;
    for (int i = 0; i < 4; i++) bytes[29 + i] = (unsigned char)(crc >> (24 - 8 * i));
    put(in("bomb.png"), bytes, sizeof bytes);
    assert_fails(tw_picture_read(&p, in("bomb.png")), TW_EDATA, "bomb.png", "60000 x 60000");
}

static void alpha_lies_on_the_background_and_grey_is_luma(void **state)
{
    (void)state;
    const uint8_t blue[3] = {0, 0, 255}, rgba[] = {255, 0, 0, 255, 255, 0, 0, 0, 200, 100, 50, 128};
    picture p = {0};
    assert_ok(tw_picture_allocate(&p, 1, 3, 4, "test"));
    memcpy(p.pixels, rgba, sizeof rgba);
    assert_ok(tw_picture_flatten(&p, 3, blue));
    const uint8_t expected[] = {255, 0, 0, 0, 0, 255, 100, 50, 152};
    assert_memory_equal(p.pixels, expected, sizeof expected);
    assert_ok(tw_picture_flatten(&p, 1, blue));
    assert_int_equal(p.pixels[0], 76); /* 0.299 * 255 */
    assert_int_equal(p.pixels[1], 29); /* 0.114 * 255 */
    tw_picture_free(&p);
}

static void resizing_keeps_constants_means_and_ramps(void **state)
{
    (void)state;
    picture p = {0};
    assert_ok(tw_picture_allocate(&p, 8, 12, 1, "test"));
    memset(p.pixels, 77, 96);
    assert_ok(tw_picture_resize(&p, 5, 3));
    for (int i = 0; i < 15; i++) assert_int_equal(p.pixels[i], 77);
    tw_picture_free(&p);

    /* stripes of one pixel vanish when halved: no aliasing */
    assert_ok(tw_picture_allocate(&p, 2, 64, 1, "test"));
    for (int i = 0; i < 128; i++) p.pixels[i] = i % 2 ? 200 : 100;
    assert_ok(tw_picture_resize(&p, 1, 32));
    for (int i = 1; i < 31; i++) assert_int_equal(p.pixels[i], 150);
    tw_picture_free(&p);

    /* twice as large is linear interpolation at the quarter points */
    assert_ok(tw_picture_allocate(&p, 1, 2, 1, "test"));
    p.pixels[0] = 0;
    p.pixels[1] = 100;
    assert_ok(tw_picture_resize(&p, 1, 4));
    const uint8_t ramp[] = {0, 25, 75, 100};
    assert_memory_equal(p.pixels, ramp, 4);
    tw_picture_free(&p);
}

static void the_centre_is_cut_to_the_aspect(void **state)
{
    (void)state;
    picture p = {0};
    assert_ok(tw_picture_allocate(&p, 4, 8, 1, "test"));
    for (int i = 0; i < 32; i++) p.pixels[i] = (uint8_t)i;
    assert_ok(tw_picture_crop(&p, 32, 32));
    assert_int_equal(p.height, 4);
    assert_int_equal(p.width, 4);
    for (int y = 0; y < 4; y++)
        for (int x = 0; x < 4; x++) assert_int_equal(p.pixels[4 * y + x], 8 * y + x + 2);
    tw_picture_free(&p);
}

/* As libpng reads them: keys and texts, ASCII and UTF-8, and the checksums of their chunks. */
static void notes_are_text_chunks(void **state)
{
    static const uint8_t pixels[4] = {0, 1, 2, 3};
    const tw_png_note notes[] = {{"Run", "runs/birds"}, {"Sampler", "\xce\xb7=0.5"}};
    png_text *text;
    (void)state;
    tw_png_set_notes(notes, 2);
    assert_ok(tw_png_write(in("notes.png"), pixels, 2, 2, 1));
    tw_png_set_notes(NULL, 0);
    FILE *file = fopen(in("notes.png"), "rb");
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    if (setjmp(png_jmpbuf(png))) fail_msg("libpng refuses the file");
    png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_init_io(png, file);
    png_read_info(png, info);
    assert_int_equal(png_get_text(png, info, &text, NULL), 3);
    assert_string_equal(text[0].key, "Software");
    assert_memory_equal(text[0].text, "tweedie ", 8);
    assert_string_equal(text[1].key, "Run");
    assert_string_equal(text[1].text, "runs/birds");
    assert_int_equal(text[1].compression, PNG_TEXT_COMPRESSION_NONE);
    assert_string_equal(text[2].key, "Sampler");
    assert_string_equal(text[2].text, "\xce\xb7=0.5");
    assert_int_equal(text[2].compression, PNG_ITXT_COMPRESSION_NONE);
    png_destroy_read_struct(&png, &info, NULL);
    fclose(file);
    assert_ok(tw_png_write(in("plain.png"), pixels, 2, 2, 1));
    size_t size;
    unsigned char *bytes = take(in("plain.png"), &size);
    assert_null(memmem(bytes, size, "runs/birds", 10));
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notes_are_text_chunks),
        cmocka_unit_test(a_written_image_is_read_back),
        cmocka_unit_test(a_grid_has_each_image_in_its_place),
        cmocka_unit_test(a_heat_map_is_brightest_where_the_points_are),
        cmocka_unit_test(a_blurred_point_is_round_and_brightest_in_its_middle),
        cmocka_unit_test(pictures_that_cannot_be_written_say_why),
        cmocka_unit_test(every_truncated_or_flipped_png_is_refused_or_whole),
        cmocka_unit_test(a_jpeg_is_read_near_enough_and_a_truncated_one_refused),
        cmocka_unit_test(sizes_that_a_header_only_claims_are_not_allocated),
        cmocka_unit_test(alpha_lies_on_the_background_and_grey_is_luma),
        cmocka_unit_test(resizing_keeps_constants_means_and_ramps),
        cmocka_unit_test(the_centre_is_cut_to_the_aspect),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
