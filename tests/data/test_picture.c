/* Image files of each format: orientations, inks, bits, palettes and alpha come out right, and
 * files that cost much more than they weigh are refused. */
#include <math.h>
#include <png.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <zlib.h>

/* libjpeg's header wants stdio.h before it */
#include "data/fixture.h"

#include <jpeglib.h>
#ifdef TWEEDIE_WEBP
#include <webp/encode.h>
#endif
#ifdef TWEEDIE_TIFF
#include <tiffio.h>
#endif

#include "data/picture.h"

enum { CELL = 16 };

/* ---- writers ---- */

typedef struct chunk {
    const char *name;
    const void *data;
    size_t size;
    bool last; /* behind the pixels */
    int times;
} chunk;

static void put_chunk(png_structp png, const chunk *c, bool last)
{
    for (int i = 0; c && c->last == last && i < (c->times ? c->times : 1); i++)
        png_write_chunk(png, (png_const_bytep)c->name, c->data, c->size);
}

/* A PNG file of bytes as the file holds them (16 bits: the high byte first). */
static void write_png(const char *path, int height, int width, int type, int bits,
                      const uint8_t *bytes, const chunk *extra)
{
    FILE *file = fopen(path, "wb");
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    const png_color palette[] = {{10, 20, 30}, {40, 50, 60}, {70, 80, 90}, {100, 110, 120}};
    png_init_io(png, file);
    png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, bits, type, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_BASE, PNG_FILTER_TYPE_BASE);
    if (type == PNG_COLOR_TYPE_PALETTE) png_set_PLTE(png, info, palette, 4);
    png_write_info(png, info);
    put_chunk(png, extra, false);
    const size_t row = png_get_rowbytes(png, info);
    for (int y = 0; y < height; y++) png_write_row(png, bytes + (size_t)y * row);
    put_chunk(png, extra, true);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    fclose(file);
}

typedef struct jpeg_how {
    J_COLOR_SPACE in, out;
    const uint8_t *exif;
    unsigned exif_size;
    const jpeg_scan_info *scans;
    int scan_count;
    int adobe; /* 1: no marker of Adobe */
} jpeg_how;

static void write_jpeg(const char *path, int height, int width, int components,
                       const uint8_t *pixels, jpeg_how how)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    FILE *file = fopen(path, "wb");
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_stdio_dest(&jpeg, file);
    jpeg.image_width = (JDIMENSION)width;
    jpeg.image_height = (JDIMENSION)height;
    jpeg.input_components = components;
    jpeg.in_color_space = how.in;
    jpeg_set_defaults(&jpeg);
    jpeg_set_colorspace(&jpeg, how.out);
    jpeg_set_quality(&jpeg, 100, TRUE);
    for (int i = 0; i < jpeg.num_components; i++)
        jpeg.comp_info[i].h_samp_factor = jpeg.comp_info[i].v_samp_factor = 1;
    jpeg.scan_info = how.scans;
    jpeg.num_scans = how.scan_count;
    if (how.adobe == 1) jpeg.write_Adobe_marker = FALSE;
    jpeg_start_compress(&jpeg, TRUE);
    if (how.exif) jpeg_write_marker(&jpeg, JPEG_APP0 + 1, how.exif, how.exif_size);
    for (int y = 0; y < height; y++) {
        JSAMPROW rows[] = {(JSAMPROW)(uintptr_t)(pixels + y * width * components)};
        jpeg_write_scanlines(&jpeg, rows, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    fclose(file);
}

/* ---- orientation ---- */

/* How the picture 0 1 2 / 3 4 5 is stored in each orientation. */
static const struct {
    int height, width;
    uint8_t cells[6];
} stored[9] = {
    {0, 0, {0}},
    {2, 3, {0, 1, 2, 3, 4, 5}}, /* as it is */
    {2, 3, {2, 1, 0, 5, 4, 3}}, /* mirrored */
    {2, 3, {5, 4, 3, 2, 1, 0}}, /* upside down */
    {2, 3, {3, 4, 5, 0, 1, 2}}, /* that, mirrored */
    {3, 2, {0, 3, 1, 4, 2, 5}}, /* row 0 is at the left, column 0 at the top */
    {3, 2, {2, 5, 1, 4, 0, 3}}, /* right, top */
    {3, 2, {5, 2, 4, 1, 3, 0}}, /* right, bottom */
    {3, 2, {3, 0, 4, 1, 5, 2}}, /* left, bottom */
};

/* The stored picture in grey cells. @return its pixels, to be freed */
static uint8_t *cells_of(int orientation, int channels)
{
    const int h = stored[orientation].height * CELL, w = stored[orientation].width * CELL;
    uint8_t *pixels = malloc((size_t)(h * w * channels));
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            for (int c = 0; c < channels; c++)
                pixels[(y * w + x) * channels + c] =
                    (uint8_t)(40 * stored[orientation]
                                       .cells[y / CELL * stored[orientation].width + x / CELL] +
                              20);
    return pixels;
}

static void assert_upright(const char *path)
{
    picture p = {0};
    assert_ok(tw_picture_read(&p, path));
    assert_int_equal(p.height, 2 * CELL);
    assert_int_equal(p.width, 3 * CELL);
    for (int i = 0; i < 6; i++) {
        const int64_t y = i / 3 * CELL + CELL / 2, x = i % 3 * CELL + CELL / 2;
        assert_in_range(p.pixels[(y * p.width + x) * p.channels], 40 * i + 18, 40 * i + 22);
    }
    tw_picture_free(&p);
}

/* EXIF data with the orientation behind another entry. */
static size_t make_exif(uint8_t out[64], int orientation, bool big, bool head)
{
    const uint8_t little_one[] = {'I', 'I', 42, 0, 8, 0,   0, 0, 2, 0,    0x0f, 1, 2,
                                  0,   1,   0,  0, 0, 'x', 0, 0, 0, 0x12, 1,    3, 0,
                                  1,   0,   0,  0, 0, 0,   0, 0, 0, 0,    0,    0};
    const uint8_t big_one[] = {'M', 'M', 0, 42, 0,    0, 0, 8, 0, 2, 1, 0x0f, 0, 2, 0, 0, 0, 1, 'x',
                               0,   0,   0, 1,  0x12, 0, 3, 0, 0, 0, 1, 0,    0, 0, 0, 0, 0, 0, 0};
    const size_t n = head ? 6 : 0;
    memcpy(out, "Exif\0\0", n);
    memcpy(out + n, big ? big_one : little_one, sizeof big_one);
    out[n + (big ? 31 : 30)] = (uint8_t)orientation;
    return n + sizeof big_one;
}

static void all_orientations_of_exif_are_applied(void **state)
{
    (void)state;
    uint8_t exif[64];
    for (int o = 1; o <= 8; o++)
        for (int big = 0; big < 2; big++) {
            const int h = stored[o].height * CELL, w = stored[o].width * CELL;
            uint8_t *pixels = cells_of(o, 1);
            size_t n = make_exif(exif, o, big, true);
            write_jpeg(in("turned.jpg"), h, w, 1, pixels,
                       (jpeg_how){.in = JCS_GRAYSCALE,
                                  .out = JCS_GRAYSCALE,
                                  .exif = exif,
                                  .exif_size = (unsigned)n});
            assert_upright(in("turned.jpg"));
            n = make_exif(exif, o, big, false);
            for (int last = 0; last < 2; last++) {
                const chunk c = {.name = "eXIf", .data = exif, .size = n, .last = last};
                write_png(in("turned.png"), h, w, PNG_COLOR_TYPE_GRAY, 8, pixels, &c);
                assert_upright(in("turned.png"));
            }
            free(pixels);
        }
}

static void damaged_exif_is_no_orientation(void **state)
{
    (void)state;
    uint8_t exif[64];
    const size_t n = make_exif(exif, 6, true, false);
    assert_int_equal(tw_exif_orientation(exif, n), 6);
    for (size_t keep = 0; keep < 34; keep++) assert_int_equal(tw_exif_orientation(exif, keep), 1);
    for (size_t i = 0; i < n; i++)
        for (int bit = 0; bit < 8; bit++) { /* whatever it says, it ends */
            exif[i] ^= (uint8_t)(1 << bit);
            assert_in_range(tw_exif_orientation(exif, n), 1, 8);
            exif[i] ^= (uint8_t)(1 << bit);
        }
    make_exif(exif, 9, true, false);
    assert_int_equal(tw_exif_orientation(exif, n), 1);
    make_exif(exif, 0, false, false);
    assert_int_equal(tw_exif_orientation(exif, n), 1);
}

/* ---- PNG ---- */

/* A row of 16-bit values as PNG stores them. */
static void write_png16(const char *path, int width, int type, const uint16_t *values, int count,
                        const chunk *extra)
{
    uint8_t bytes[256];
    for (int i = 0; i < count; i++) {
        bytes[2 * i] = (uint8_t)(values[i] >> 8);
        bytes[2 * i + 1] = (uint8_t)values[i];
    }
    write_png(path, 1, width, type, 16, bytes, extra);
}

static void assert_values(const char *path, int bits, const float *values, int count)
{
    picture p = {0};
    assert_ok(tw_picture_read(&p, path));
    assert_null(p.pixels);
    assert_int_equal(p.bits, bits);
    assert_int_equal(p.height * p.width * p.channels, count);
    for (int i = 0; i < count; i++) assert_true(p.values[i] == values[i]);
    tw_picture_free(&p);
}

static void sixteen_bits_stay_sixteen_bits(void **state)
{
    (void)state;
    const uint16_t v[] = {0, 1, 255, 256, 4095, 65534, 65535, 1000, 40000};
    const float f[] = {0, 1, 255, 256, 4095, 65534, 65535, 1000, 40000};
    write_png16(in("16.png"), 9, PNG_COLOR_TYPE_GRAY, v, 9, NULL);
    assert_values(in("16.png"), 16, f, 9);
    write_png16(in("16.png"), 3, PNG_COLOR_TYPE_RGB, v, 9, NULL);
    assert_values(in("16.png"), 16, f, 9);
    picture p = {0};
    assert_ok(tw_picture_read(&p, in("16.png")));
    assert_ok(tw_picture_to_8_bits(&p, 65535));
    const uint8_t byte[] = {0, 0, 1, 1, 16, 255, 255, 4, 156};
    assert_memory_equal(p.pixels, byte, 9);
    tw_picture_free(&p);
}

static void twelve_bits_in_sixteen_are_known_by_the_sbit_chunk(void **state)
{
    (void)state;
    const uint16_t repeated[] = {0, 0x1001, 0x8008, 0xffff}, padded[] = {0, 0x1000, 0x8000, 0xfff0},
                   plain[] = {0, 0x100, 0x801, 0xfff}, neither[] = {0, 0x1001, 0x8003, 0xffff};
    const float twelve[] = {0, 0x100, 0x800, 0xfff}, as_is[] = {0, 0x100, 0x801, 0xfff},
                sixteen[] = {0, 0x1001, 0x8003, 0xffff};
    const chunk c = {.name = "sBIT", .data = "\x0c", .size = 1};
    write_png16(in("12.png"), 4, PNG_COLOR_TYPE_GRAY, repeated, 4, &c);
    assert_values(in("12.png"), 12, twelve, 4);
    write_png16(in("12.png"), 4, PNG_COLOR_TYPE_GRAY, padded, 4, &c);
    assert_values(in("12.png"), 12, twelve, 4);
    write_png16(in("12.png"), 4, PNG_COLOR_TYPE_GRAY, plain, 4, &c);
    assert_values(in("12.png"), 12, as_is, 4);
    write_png16(in("12.png"), 4, PNG_COLOR_TYPE_GRAY, neither, 4, &c);
    assert_values(in("12.png"), 16, sixteen, 4);
}

static void palettes_few_bits_and_transparent_colours_are_expanded(void **state)
{
    (void)state;
    const uint8_t white[3] = {255, 255, 255}, indices[] = {0x1b}, /* 0 1 2 3 */
        bits[] = {0xa0};                                          /* 1 0 1 */
    picture p = {0};
    write_png(in("p.png"), 1, 4, PNG_COLOR_TYPE_PALETTE, 2, indices, NULL);
    assert_ok(tw_picture_read(&p, in("p.png")));
    const uint8_t colours[] = {10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120};
    assert_int_equal(p.channels, 3);
    assert_memory_equal(p.pixels, colours, 12);
    tw_picture_free(&p);
    const chunk alpha = {.name = "tRNS", .data = "\0\xff\x80", .size = 3};
    write_png(in("p.png"), 1, 4, PNG_COLOR_TYPE_PALETTE, 2, indices, &alpha);
    assert_ok(tw_picture_read(&p, in("p.png")));
    assert_ok(tw_picture_flatten(&p, 3, white));
    const uint8_t over[] = {255, 255, 255, 40, 50, 60, 162, 167, 172, 100, 110, 120};
    assert_memory_equal(p.pixels, over, 12);
    tw_picture_free(&p);
    write_png(in("p.png"), 1, 3, PNG_COLOR_TYPE_GRAY, 1, bits, NULL);
    assert_ok(tw_picture_read(&p, in("p.png")));
    assert_int_equal(p.channels, 1);
    assert_true(p.pixels[0] == 255 && p.pixels[1] == 0 && p.pixels[2] == 255);
    tw_picture_free(&p);
    const uint16_t deep[] = {5, 700, 65535};
    const chunk key = {.name = "tRNS", .data = "\x02\xbc", .size = 2}; /* 700 */
    write_png16(in("p.png"), 3, PNG_COLOR_TYPE_GRAY, deep, 3, &key);
    assert_ok(tw_picture_read(&p, in("p.png")));
    assert_ok(tw_picture_flatten(&p, 1, white));
    assert_true(p.values[0] == 5 && p.values[1] == 65535 && p.values[2] == 65535);
    tw_picture_free(&p);
}

/* What reading a file costs: seconds of processor time and KiB. */
static void cost_of(const char *path, tw_status expected, double *seconds, long *peak)
{
    struct rusage used;
    int code;
    const pid_t child = fork();
    if (child == 0) {
        picture p = {0};
        _exit(tw_picture_read(&p, path) == expected ? 0 : 1);
    }
    assert_int_equal(wait4(child, &code, 0, &used), child);
    assert_int_equal(code, 0);
    *seconds = (double)used.ru_utime.tv_sec + (double)used.ru_utime.tv_usec * 1e-6;
    *peak = used.ru_maxrss;
}

static void chunks_beside_the_pixels_cost_no_more_than_their_bytes(void **state)
{
    (void)state;
    enum { ZEROS = 7 << 20 };
    const uint8_t grey = 7;
    double seconds, plain_seconds;
    long peak, plain_peak;
    uLongf size = ZEROS / 500;
    uint8_t *text = malloc(size + 6), *zeros = calloc(ZEROS, 1);
    memcpy(text, "note\0", 6);
    assert_int_equal(compress2(text + 6, &size, zeros, ZEROS, 9), Z_OK);
    const chunk c = {.name = "zTXt", .data = text, .size = size + 6, .times = 60};
    write_png(in("plain.png"), 1, 1, PNG_COLOR_TYPE_GRAY, 8, &grey, NULL);
    write_png(in("bomb.png"), 1, 1, PNG_COLOR_TYPE_GRAY, 8, &grey, &c); /* 420 MB of text */
    cost_of(in("plain.png"), TW_OK, &plain_seconds, &plain_peak);
    cost_of(in("bomb.png"), TW_OK, &seconds, &peak);
    assert_true(seconds < plain_seconds + 0.3);
    assert_true(peak < plain_peak + (8 << 10));
    free(text);
    free(zeros);
    /* a private chunk of 9 MB is nobody's business */
    uint8_t *big = calloc(9 << 20, 1);
    const chunk private = {.name = "prVt", .data = big, .size = 9 << 20};
    write_png(in("big.png"), 1, 1, PNG_COLOR_TYPE_GRAY, 8, &grey, &private);
    cost_of(in("big.png"), TW_OK, &seconds, &peak);
    free(big);
}

/* ---- JPEG ---- */

static void a_jpeg_of_hundreds_of_scans_is_refused(void **state)
{
    (void)state;
    jpeg_scan_info scans[40 * 11];
    uint8_t pixels[64 * 64];
    picture p = {0};
    int n = 0;
    for (int k = 0; k < 40; k++)
        for (int bit = 10; bit >= 0; bit--)
            scans[n++] = (jpeg_scan_info){
                .comps_in_scan = 1, .Ss = k, .Se = k, .Ah = bit == 10 ? 0 : bit + 1, .Al = bit};
    memset(pixels, 90, sizeof pixels);
    write_jpeg(
        in("scans.jpg"), 64, 64, 1, pixels,
        (jpeg_how){.in = JCS_GRAYSCALE, .out = JCS_GRAYSCALE, .scans = scans, .scan_count = n});
    assert_fails(tw_picture_read(&p, in("scans.jpg")), TW_EDATA, "scans.jpg",
                 "more than 100 scans");
    write_jpeg(
        in("scans.jpg"), 64, 64, 1, pixels,
        (jpeg_how){.in = JCS_GRAYSCALE, .out = JCS_GRAYSCALE, .scans = scans, .scan_count = 99});
    assert_ok(tw_picture_read(&p, in("scans.jpg")));
    tw_picture_free(&p);
}

static void inks_become_colours_with_and_without_adobes_marker(void **state)
{
    (void)state;
    static const uint8_t inks[4][4] = {
        {255, 255, 255, 255}, {30, 200, 100, 255}, {255, 128, 0, 100}, {10, 20, 30, 0}};
    uint8_t pixels[16 * 64 * 4];
    for (int y = 0; y < 16; y++)
        for (int x = 0; x < 64; x++) memcpy(pixels + (y * 64 + x) * 4, inks[x / 16], 4);
    for (int i = 0; i < 3; i++) {
        picture p = {0};
        write_jpeg(
            in("inks.jpg"), 16, 64, 4, pixels,
            (jpeg_how){.in = JCS_CMYK, .out = i == 1 ? JCS_YCCK : JCS_CMYK, .adobe = i == 2});
        assert_ok(tw_picture_read(&p, in("inks.jpg")));
        assert_int_equal(p.channels, 3);
        for (int k = 0; k < 4; k++)
            for (int c = 0; c < 3; c++) {
                const double wanted = inks[k][c] * inks[k][3] / 255.0;
                assert_true(fabs(p.pixels[(8 * 64 + 16 * k + 8) * 3 + c] - wanted) <= 2);
            }
        tw_picture_free(&p);
    }
}

/* ---- BMP ---- */

static void put_number(uint8_t *at, int64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++) at[i] = (uint8_t)(v >> 8 * i);
}

/* A BMP file of 40 header bytes; `colours` and `data` as the file holds them. @return its size */
static size_t write_bmp(const char *path, int width, int height, int bits, int compression,
                        const void *colours, size_t colour_bytes, const void *data, size_t size)
{
    uint8_t bytes[2048] = "BM";
    put_number(bytes + 10, 54 + (int64_t)colour_bytes, 4);
    put_number(bytes + 14, 40, 4);
    put_number(bytes + 18, width, 4);
    put_number(bytes + 22, height, 4);
    put_number(bytes + 26, 1, 2);
    put_number(bytes + 28, bits, 2);
    put_number(bytes + 30, compression, 4);
    put_number(bytes + 46, bits <= 8 ? (int64_t)colour_bytes / 4 : 0, 4);
    if (colour_bytes) memcpy(bytes + 54, colours, colour_bytes);
    memcpy(bytes + 54 + colour_bytes, data, size);
    put(path, bytes, 54 + colour_bytes + size);
    return 54 + colour_bytes + size;
}

static void assert_pixels(const char *path, int height, int width, int channels,
                          const uint8_t *pixels)
{
    picture p = {0};
    assert_ok(tw_picture_read(&p, path));
    assert_int_equal(p.height, height);
    assert_int_equal(p.width, width);
    assert_int_equal(p.channels, channels);
    assert_memory_equal(p.pixels, pixels, (size_t)(height * width * channels));
    tw_picture_free(&p);
}

static void bitmaps_of_all_kinds_are_read(void **state)
{
    (void)state;
    const uint8_t rgb[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}; /* 2 x 2 */
    const uint8_t b24[] = {9, 8, 7, 12, 11, 10, 0, 0, 3, 2, 1, 6, 5, 4, 0, 0},
                  t24[] = {3, 2, 1, 6, 5, 4, 0, 0, 9, 8, 7, 12, 11, 10, 0, 0};
    write_bmp(in("a.bmp"), 2, 2, 24, 0, NULL, 0, b24, sizeof b24);
    assert_pixels(in("a.bmp"), 2, 2, 3, rgb);
    write_bmp(in("a.bmp"), 2, -2, 24, 0, NULL, 0, t24, sizeof t24); /* from the top */
    assert_pixels(in("a.bmp"), 2, 2, 3, rgb);
    const uint8_t palette[] = {3, 2, 1, 0, 6, 5, 4, 0, 9, 8, 7, 0, 12, 11, 10, 0};
    const uint8_t b8[] = {2, 3, 0, 0, 0, 1, 0, 0}, b4[] = {0x23, 0, 0, 0, 0x01, 0, 0, 0};
    write_bmp(in("a.bmp"), 2, 2, 8, 0, palette, 16, b8, sizeof b8);
    assert_pixels(in("a.bmp"), 2, 2, 3, rgb);
    write_bmp(in("a.bmp"), 2, 2, 4, 0, palette, 16, b4, sizeof b4);
    assert_pixels(in("a.bmp"), 2, 2, 3, rgb);
    /* runs: a literal of three needs four pixels a row */
    const uint8_t wide[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
                  runs8[] = {0, 3, 0, 1, 2, 0, 1, 3, 0, 0, 0, 1},
                  runs4[] = {0, 4, 0x01, 0x23, 0, 1};
    write_bmp(in("a.bmp"), 4, 1, 8, 1, palette, 16, runs8, sizeof runs8);
    assert_pixels(in("a.bmp"), 1, 4, 3, wide);
    write_bmp(in("a.bmp"), 4, 1, 4, 2, palette, 16, runs4, sizeof runs4);
    assert_pixels(in("a.bmp"), 1, 4, 3, wide);
    const uint8_t beyond[] = {5, 1, 0, 1};
    picture p = {0};
    write_bmp(in("a.bmp"), 4, 1, 8, 1, palette, 16, beyond, sizeof beyond);
    assert_fails(tw_picture_read(&p, in("a.bmp")), TW_EDATA, "a.bmp", "leaves its row");
    /* bits, with a grey palette: 1 0 */
    const uint8_t black_white[] = {0, 0, 0, 0, 255, 255, 255, 0}, b1[] = {0x80, 0, 0, 0},
                  grey[] = {255, 0};
    write_bmp(in("a.bmp"), 2, 1, 1, 0, black_white, 8, b1, sizeof b1);
    assert_pixels(in("a.bmp"), 1, 2, 1, grey);
    /* 5 6 5 bits by masks, and 5 5 5 without */
    uint8_t masks[12] = {0}, b16[4] = {0};
    const uint8_t red_green[] = {255, 0, 0, 0, 255, 0};
    put_number(masks, 0xf800, 4);
    put_number(masks + 4, 0x7e0, 4);
    put_number(masks + 8, 0x1f, 4);
    put_number(b16, 0xf800, 2);
    put_number(b16 + 2, 0x7e0, 2);
    write_bmp(in("a.bmp"), 2, 1, 16, 3, masks, 12, b16, sizeof b16);
    assert_pixels(in("a.bmp"), 1, 2, 3, red_green);
    put_number(b16, 0x7c00, 2);
    put_number(b16 + 2, 0x3e0, 2);
    write_bmp(in("a.bmp"), 2, 1, 16, 0, NULL, 0, b16, sizeof b16);
    assert_pixels(in("a.bmp"), 1, 2, 3, red_green);
}

/* ---- WebP and TIFF ---- */

static void webp_is_read_upright(void **state)
{
    (void)state;
#ifdef TWEEDIE_WEBP
    for (int o = 1; o <= 8; o++) {
        uint8_t *pixels = cells_of(o, 3), *coded = NULL, exif[64], file[4096] = "RIFF";
        const int h = stored[o].height * CELL, w = stored[o].width * CELL;
        const size_t size = WebPEncodeLosslessRGB(pixels, w, h, 3 * w, &coded),
                     n = make_exif(exif, o, o % 2, o > 4);
        /* extended format: flags, size, the picture's chunk, EXIF */
        size_t at = 12;
        memcpy(file + 8, "WEBPVP8X\x0a\0\0\0\x08", 13);
        put_number(file + 24, w - 1, 3);
        put_number(file + 27, h - 1, 3);
        at += 18;
        memcpy(file + at, coded + 12, size - 12);
        at += size - 12;
        memcpy(file + at, "EXIF", 4);
        put_number(file + at + 4, (int64_t)n, 4);
        memcpy(file + at + 8, exif, n);
        at += 8 + n + n % 2;
        put_number(file + 4, (int64_t)at - 8, 4);
        put(in("turned.webp"), file, at);
        assert_upright(in("turned.webp"));
        picture p = {0};
        put(in("cut.webp"), coded, size - 8);
        assert_fails(tw_picture_read(&p, in("cut.webp")), TW_EDATA, "cut.webp", "damaged WebP");
        WebPFree(coded);
        free(pixels);
    }
#else
    picture p = {0};
    put(in("x.webp"), "RIFF\1\0\0\0WEBPVP8 ", 16);
    assert_fails(tw_picture_read(&p, in("x.webp")), TW_EDATA, "x.webp", "a WebP image", "libwebp");
#endif
}

#ifdef TWEEDIE_TIFF
typedef struct tiff_how {
    int height, width, samples, bits, photometric, orientation, format, tile, planar, compression;
} tiff_how;

static void write_tiff(const char *path, const void *data, tiff_how how)
{
    TIFF *t = TIFFOpen(path, "w");
    assert_non_null(t);
    const int planes = how.planar == PLANARCONFIG_SEPARATE ? how.samples : 1;
    const size_t row = (size_t)how.width * (size_t)(how.samples / planes) * (size_t)how.bits / 8;
    TIFFSetField(t, TIFFTAG_IMAGEWIDTH, how.width);
    TIFFSetField(t, TIFFTAG_IMAGELENGTH, how.height);
    TIFFSetField(t, TIFFTAG_SAMPLESPERPIXEL, how.samples);
    TIFFSetField(t, TIFFTAG_BITSPERSAMPLE, how.bits);
    TIFFSetField(t, TIFFTAG_PHOTOMETRIC, how.photometric);
    TIFFSetField(t, TIFFTAG_PLANARCONFIG, planes > 1 ? PLANARCONFIG_SEPARATE : PLANARCONFIG_CONTIG);
    TIFFSetField(t, TIFFTAG_COMPRESSION, how.compression ? how.compression : COMPRESSION_NONE);
    if (how.orientation) TIFFSetField(t, TIFFTAG_ORIENTATION, how.orientation);
    if (how.format) TIFFSetField(t, TIFFTAG_SAMPLEFORMAT, how.format);
    if (how.tile) { /* one tile, larger than the image */
        uint8_t *tile = calloc((size_t)how.tile * (size_t)how.tile, 8);
        TIFFSetField(t, TIFFTAG_TILEWIDTH, how.tile);
        TIFFSetField(t, TIFFTAG_TILELENGTH, how.tile);
        for (int y = 0; y < how.height; y++)
            memcpy(tile + (size_t)y * (size_t)(how.tile * how.samples * how.bits / 8),
                   (const uint8_t *)data + (size_t)y * row, row);
        TIFFWriteTile(t, tile, 0, 0, 0, 0);
        free(tile);
    }
    for (int p = 0; p < planes && !how.tile; p++)
        for (int y = 0; y < how.height; y++)
            TIFFWriteScanline(t, (uint8_t *)(uintptr_t)data + (size_t)(p * how.height + y) * row,
                              (uint32_t)y, (uint16_t)p);
    TIFFClose(t);
}
#endif

static void tiff_is_read_upright_and_with_its_bits(void **state)
{
    (void)state;
#ifdef TWEEDIE_TIFF
    for (int o = 1; o <= 8; o++) {
        uint8_t *pixels = cells_of(o, 3);
        write_tiff(in("t.tif"), pixels,
                   (tiff_how){stored[o].height * CELL, stored[o].width * CELL, 3, 8,
                              PHOTOMETRIC_RGB, o, 0, 0, 0, o % 2 ? COMPRESSION_LZW : 0});
        assert_upright(in("t.tif"));
        free(pixels);
    }
    const uint8_t planes[] = {1, 4, 7, 10, 2, 5, 8, 11, 3, 6, 9, 12},
                  rgb[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, bits[] = {0xa0},
                  inverted[] = {0, 255, 0}, greys[] = {1, 2, 3, 4};
    write_tiff(in("t.tif"), planes,
               (tiff_how){2, 2, 3, 8, PHOTOMETRIC_RGB, .planar = PLANARCONFIG_SEPARATE});
    assert_pixels(in("t.tif"), 2, 2, 3, rgb);
    write_tiff(in("t.tif"), rgb, (tiff_how){2, 2, 3, 8, PHOTOMETRIC_RGB, .tile = 16});
    assert_pixels(in("t.tif"), 2, 2, 3, rgb);
    write_tiff(in("t.tif"), greys, (tiff_how){2, 2, 1, 8, PHOTOMETRIC_MINISBLACK, .tile = 0});
    assert_pixels(in("t.tif"), 2, 2, 1, greys);
    write_tiff(in("t.tif"), bits, (tiff_how){1, 3, 1, 1, PHOTOMETRIC_MINISWHITE, .tile = 0});
    assert_pixels(in("t.tif"), 1, 3, 1, inverted);
    const uint16_t deep[] = {0, 700, 65535, 4095};
    const float values[] = {0, 700, 65535, 4095}, floats[] = {-1.5f, 0, 2.25f, 1e9f};
    write_tiff(in("t.tif"), deep, (tiff_how){2, 2, 1, 16, PHOTOMETRIC_MINISBLACK, .tile = 0});
    assert_values(in("t.tif"), 16, values, 4);
    write_tiff(in("t.tif"), floats,
               (tiff_how){2, 2, 1, 32, PHOTOMETRIC_MINISBLACK, .format = SAMPLEFORMAT_IEEEFP});
    assert_values(in("t.tif"), 32, floats, 4);
    picture p = {0};
    write_tiff(in("t.tif"), deep,
               (tiff_how){2, 2, 1, 16, PHOTOMETRIC_MINISBLACK, .format = SAMPLEFORMAT_INT});
    assert_fails(tw_picture_read(&p, in("t.tif")), TW_EDATA, "t.tif", "16 bits", "not read");
#else
    picture p = {0};
    put(in("x.tif"), "II*\0\0\0\0\0", 8);
    assert_fails(tw_picture_read(&p, in("x.tif")), TW_EDATA, "x.tif", "a TIFF image", "libtiff");
#endif
}

/* ---- damage ---- */

static void mutate(const char *name)
{
    size_t size;
    picture p = {0};
    unsigned char *bytes = take(in(name), &size);
    for (size_t keep = 1; keep < size; keep += 1 + size / 150) {
        put(in("mutant"), bytes, keep);
        if (tw_picture_read(&p, in("mutant")) == TW_OK) tw_picture_free(&p);
    }
    for (unsigned i = 0; i < 1500; i++) {
        const size_t at =
            i < 600 ? i % size : (size_t)i * 7919 % size; /* the head, then anywhere */
        const unsigned char old = bytes[at];
        bytes[at] = (unsigned char)(i % 3 ? old ^ 1u << i % 8 : i % 2 ? 0xff : 0);
        put(in("mutant"), bytes, size);
        const tw_status st = tw_picture_read(&p, in("mutant"));
        if (st == TW_OK)
            tw_picture_free(&p);
        else if (st != TW_EDATA)
            fail_msg("%s, byte %zu: %s: %s", name, at, tw_status_name(st), tw_error_message());
        bytes[at] = old;
    }
    free(bytes);
}

static void damaged_files_of_each_format_are_refused_or_read(void **state)
{
    (void)state;
    const uint8_t palette[16] = {1, 2, 3}, runs[] = {0, 3, 0, 1, 2, 0, 1, 3, 0, 0, 0, 1};
    write_bmp(in("m.bmp"), 4, 1, 8, 1, palette, 16, runs, sizeof runs);
    mutate("m.bmp");
    uint8_t *pixels = cells_of(1, 3);
    uint8_t exif[64];
    const size_t n = make_exif(exif, 3, true, true);
    write_jpeg(in("m.jpg"), 2 * CELL, 3 * CELL, 3, pixels,
               (jpeg_how){JCS_RGB, JCS_YCbCr, .exif = exif, .exif_size = (unsigned)n});
    mutate("m.jpg");
    const chunk c = {.name = "eXIf", .data = exif + 6, .size = n - 6};
    write_png(in("m.png"), 2 * CELL, 3 * CELL, PNG_COLOR_TYPE_RGB, 8, pixels, &c);
    mutate("m.png");
#ifdef TWEEDIE_TIFF
    write_tiff(
        in("m.tif"), pixels,
        (tiff_how){2 * CELL, 3 * CELL, 3, 8, PHOTOMETRIC_RGB, 3, .compression = COMPRESSION_LZW});
    mutate("m.tif");
#endif
#ifdef TWEEDIE_WEBP
    uint8_t *coded = NULL;
    const size_t size = WebPEncodeRGB(pixels, 3 * CELL, 2 * CELL, 9 * CELL, 80, &coded);
    put(in("m.webp"), coded, size);
    WebPFree(coded);
    mutate("m.webp");
#endif
    free(pixels);
}

static void other_files_are_named(void **state)
{
    (void)state;
    picture p = {0};
    put(in("x"), "PK\3\4aaaaaaaaaaaa", 16);
    assert_fails(tw_picture_read(&p, in("x")), TW_EDATA, "zip archive", "unpack");
    put(in("x"),
        "\0\0\0\x18"
        "ftypheic",
        12);
    assert_fails(tw_picture_read(&p, in("x")), TW_EDATA, "HEIC", "convert");
    put(in("x"), "<html>", 6);
    assert_fails(tw_picture_read(&p, in("x")), TW_EDATA, "text");
    assert_true(tw_picture_has_suffix("a/B.JPeG") && tw_picture_has_suffix("x.Tif"));
    assert_false(tw_picture_has_suffix("jpeg") || tw_picture_has_suffix("a.jpgs"));
}

/* 16-bit values go the same ways as bytes. */
static void values_are_flattened_cut_and_resized(void **state)
{
    (void)state;
    const uint8_t grey[3] = {51, 51, 51};
    picture p = {0};
    assert_ok(tw_picture_allocate_values(&p, 1, 2, 4, 12, "test"));
    const float rgba[] = {4095, 0, 0, 4095, 100, 200, 300, 0};
    memcpy(p.values, rgba, sizeof rgba);
    assert_true(tw_picture_most(&p) == 4095);
    assert_ok(tw_picture_flatten(&p, 3, grey));
    const float flat[] = {4095, 0, 0, 819, 819, 819};
    for (int i = 0; i < 6; i++) assert_true(p.values[i] == flat[i]);
    assert_ok(tw_picture_resize(&p, 1, 1));
    assert_true(fabs(p.values[0] - 2457) < 1e-3 && fabs(p.values[1] - 409.5) < 1e-3);
    tw_picture_free(&p);
    assert_ok(tw_picture_allocate_values(&p, 1, 4, 1, 16, "test"));
    for (int i = 0; i < 4; i++) p.values[i] = (float)(1000 * i);
    assert_ok(tw_picture_crop(&p, 1, 2));
    assert_int_equal(p.width, 2);
    assert_true(p.values[0] == 1000 && p.values[1] == 2000);
    tw_picture_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_orientations_of_exif_are_applied),
        cmocka_unit_test(damaged_exif_is_no_orientation),
        cmocka_unit_test(sixteen_bits_stay_sixteen_bits),
        cmocka_unit_test(twelve_bits_in_sixteen_are_known_by_the_sbit_chunk),
        cmocka_unit_test(palettes_few_bits_and_transparent_colours_are_expanded),
        cmocka_unit_test(chunks_beside_the_pixels_cost_no_more_than_their_bytes),
        cmocka_unit_test(a_jpeg_of_hundreds_of_scans_is_refused),
        cmocka_unit_test(inks_become_colours_with_and_without_adobes_marker),
        cmocka_unit_test(bitmaps_of_all_kinds_are_read),
        cmocka_unit_test(webp_is_read_upright),
        cmocka_unit_test(tiff_is_read_upright_and_with_its_bits),
        cmocka_unit_test(damaged_files_of_each_format_are_refused_or_read),
        cmocka_unit_test(other_files_are_named),
        cmocka_unit_test(values_are_flattened_cut_and_resized),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
