/* Writing PNG: images, grids, heat maps. */
#include "tweedie/png.h"

#include <errno.h>
#include <math.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "tweedie/memory.h"
#include "tweedie/output.h"
#include "tweedie/version.h"

enum { GRID_GREY = 32, SIDE_MAX = 65535, BLUR_MAX = 32 };

/* ---- notes ---- */

/* Behind the signature and the header, whose sizes are fixed. */
enum { BEFORE_NOTES = 8 + 25 };

static struct {
    int count;
    tw_png_note note[TW_PNG_NOTES];
} notes;

void tw_png_set_notes(const tw_png_note *from, int count)
{
    notes.count = count < TW_PNG_NOTES ? count : TW_PNG_NOTES;
    if (notes.count) memcpy(notes.note, from, (size_t)notes.count * sizeof *from);
}

static bool write_number(FILE *file, unsigned long value)
{
    const unsigned char big[] = {(unsigned char)(value >> 24 & 0xff),
                                 (unsigned char)(value >> 16 & 0xff),
                                 (unsigned char)(value >> 8 & 0xff), (unsigned char)(value & 0xff)};
    return fwrite(big, 1, sizeof big, file) == sizeof big;
}

/* A chunk is its length, its type, its bytes, and a checksum of the latter two. */
static bool write_note(FILE *file, const char *key, const char *text)
{
    char chunk[4 + 24 + 8 + sizeof notes.note[0].text];
    bool ascii = true;
    for (const char *c = text; *c; c++) ascii = ascii && (signed char)*c >= 0;
    /* of iTXt: not compressed, no language, no translated key */
    const int head = snprintf(chunk, sizeof chunk, "%s%s", ascii ? "tEXt" : "iTXt", key);
    const int zeros = ascii ? 1 : 5;
    memset(chunk + head, 0, (size_t)zeros);
    const int n = head + zeros +
                  snprintf(chunk + head + zeros, sizeof chunk - (size_t)(head + zeros), "%s", text);
    return write_number(file, (unsigned long)n - 4) &&
           fwrite(chunk, 1, (size_t)n, file) == (size_t)n &&
           write_number(file, crc32(0, (const Bytef *)chunk, (uInt)n));
}

static bool write_notes(FILE *file)
{
    char software[64];
    snprintf(software, sizeof software, "tweedie %s", tw_version());
    bool good = write_note(file, "Software", software);
    for (int i = 0; i < notes.count && good; i++)
        good = write_note(file, notes.note[i].key, notes.note[i].text);
    return good;
}

static tw_status write_part(const char *part, const char *path, const uint8_t *pixels,
                            int64_t height, int64_t width, bool colour)
{
    tw_status st = TW_OK;
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)width,
                       .height = (png_uint_32)height,
                       .format = colour ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY};
    char *bytes = NULL;
    size_t size = 0;
    FILE *file = fopen(part, "wbe"), *memory = open_memstream(&bytes, &size);
    TW_CHECK(file, TW_EIO, "%s: cannot be created: %s", path, strerror(errno));
    TW_CHECK(memory, TW_ENOMEM, "%s: out of memory", path);
    TW_CHECK(png_image_write_to_stdio(&image, memory, 0, pixels, 0, NULL), TW_EIO,
             "%s: cannot be written: %s", path, image.message);
    TW_CHECK(fflush(memory) == 0 && size > BEFORE_NOTES, TW_ENOMEM, "%s: out of memory", path);
    bool good = fwrite(bytes, 1, BEFORE_NOTES, file) == BEFORE_NOTES && write_notes(file);
    good =
        good && fwrite(bytes + BEFORE_NOTES, 1, size - BEFORE_NOTES, file) == size - BEFORE_NOTES;
    const int closed = fclose(file);
    file = NULL;
    TW_CHECK(good && closed == 0, TW_EIO, "%s: cannot be written: %s", path, strerror(errno));
done:
    if (file) fclose(file);
    if (memory) fclose(memory);
    free(bytes);
    return st;
}

tw_status tw_png_add_url(tw_text *text, const uint8_t *pixels, int64_t height, int64_t width,
                         int64_t channels)
{
    tw_status st = TW_OK;
    uint8_t *bytes = NULL;
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)width,
                       .height = (png_uint_32)height,
                       .format = channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY};
    png_alloc_size_t size = 0;
    TW_CHECK(height > 0 && width > 0 && height <= SIDE_MAX && width <= SIDE_MAX &&
                 (channels == 1 || channels == 3),
             TW_ESHAPE, "a picture of %lld x %lld pixels in %lld channels", (long long)height,
             (long long)width, (long long)channels);
    size = PNG_IMAGE_PNG_SIZE_MAX(image);
    TW_TRY(tw_alloc(&bytes, (int64_t)size, 1, "a picture"));
    TW_CHECK(png_image_write_to_memory(&image, bytes, &size, 0, pixels, 0, NULL), TW_EIO,
             "a picture cannot be packed: %s", image.message);
    TW_TRY(tw_text_add(text, "data:image/png;base64,"));
    TW_TRY(tw_text_add_base64(text, bytes, (int64_t)size));
done:
    tw_free(&bytes);
    return st;
}

/* Grey or RGB pixels as a file. */
static tw_status write_file(const char *path, tw_output_mode mode, const uint8_t *pixels,
                            int64_t height, int64_t width, bool colour)
{
    tw_status st = TW_OK;
    tw_output out = {.part = ""};
    TW_CHECK(height > 0 && width > 0 && height <= SIDE_MAX && width <= SIDE_MAX, TW_ESHAPE,
             "%s: a picture of %lld x %lld pixels; sides of 1 to %d were expected", path,
             (long long)height, (long long)width, SIDE_MAX);
    TW_TRY(tw_output_begin(&out, path, mode));
    TW_TRY(write_part(out.part, path, pixels, height, width, colour));
    TW_TRY(tw_output_publish(&out));
done:
    tw_output_discard(&out);
    return st;
}

static tw_status write_grid(const char *path, tw_output_mode mode, const uint8_t *pixels,
                            int64_t count, int64_t height, int64_t width, int64_t channels,
                            int64_t columns)
{
    tw_status st = TW_OK;
    uint8_t *picture = NULL;
    const int64_t drawn = channels == 3 ? 3 : 1;
    TW_CHECK(count > 0 && channels > 0 && columns >= 0, TW_ESHAPE,
             "%s: %lld images of %lld channels in %lld columns", path, (long long)count,
             (long long)channels, (long long)columns);
    TW_CHECK(height > 0 && width > 0 && height <= SIDE_MAX && width <= SIDE_MAX &&
                 count <= SIDE_MAX,
             TW_ESHAPE,
             "%s: %lld images of %lld x %lld pixels; sides and number of 1 to %d were expected",
             path, (long long)count, (long long)height, (long long)width, SIDE_MAX);
    if (columns == 0) columns = (int64_t)ceil(sqrt((double)count * (double)height / (double)width));
    if (columns < 1) columns = 1;
    if (columns > count) columns = count;
    const int64_t rows = (count + columns - 1) / columns, h = rows * (height + 1) - 1,
                  w = columns * (width + 1) - 1;
    TW_CHECK(h <= SIDE_MAX && w <= SIDE_MAX, TW_ESHAPE,
             "%s: a picture of %lld x %lld pixels; sides of 1 to %d were expected", path,
             (long long)h, (long long)w, SIDE_MAX);
    TW_TRY(tw_alloc(&picture, h * w * drawn, 1, "a picture"));
    memset(picture, GRID_GREY, (size_t)(h * w * drawn));
    for (int64_t i = 0; i < count; i++)
        for (int64_t y = 0; y < height; y++) {
            const uint8_t *from = pixels + (i * height + y) * width * channels;
            uint8_t *to =
                picture +
                ((i / columns * (height + 1) + y) * w + i % columns * (width + 1)) * drawn;
            for (int64_t x = 0; x < width; x++)
                memcpy(to + x * drawn, from + x * channels, (size_t)drawn);
        }
    TW_TRY(write_file(path, mode, picture, h, w, drawn == 3));
done:
    tw_free(&picture);
    return st;
}

tw_status tw_png_write(const char *path, const uint8_t *pixels, int64_t height, int64_t width,
                       int64_t channels)
{
    return write_grid(path, TW_OUTPUT_OWN, pixels, 1, height, width, channels, 1);
}

tw_status tw_png_write_same(const char *path, const uint8_t *pixels, int64_t height, int64_t width,
                            int64_t channels)
{
    return write_grid(path, TW_OUTPUT_SAME, pixels, 1, height, width, channels, 1);
}

tw_status tw_png_write_as(const char *path, tw_output_mode mode, const uint8_t *pixels,
                          int64_t height, int64_t width, int64_t channels)
{
    return write_grid(path, mode, pixels, 1, height, width, channels, 1);
}

tw_status tw_png_write_grid(const char *path, const uint8_t *pixels, int64_t count, int64_t height,
                            int64_t width, int64_t channels, int64_t columns)
{
    return write_grid(path, TW_OUTPUT_OWN, pixels, count, height, width, channels, columns);
}

/* viridis (S. van der Walt, N. Smith, 2015) at ten places, linear between them; t in [0, 1]. */
static void viridis(double t, uint8_t *rgb)
{
    static const uint8_t stops[10][3] = {
        {68, 1, 84},    {72, 40, 120},  {62, 73, 137},  {49, 104, 142}, {38, 130, 142},
        {31, 158, 137}, {53, 183, 121}, {110, 206, 88}, {181, 222, 43}, {253, 231, 37}};
    const double place = t * 9;
    const int i = place >= 8 ? 8 : (int)place;
    for (int c = 0; c < 3; c++)
        rgb[c] = (uint8_t)lrint(stops[i][c] + (place - i) * (stops[i + 1][c] - stops[i][c]));
}

/* Gaussian weights of a blur of deviation `blur` out to 3 of them, together 1; returns the reach.
 */
static int64_t blur_weights(double *weights, double blur)
{
    const int64_t reach = (int64_t)ceil(3 * blur);
    double sum = 0;
    for (int64_t k = 0; k <= 2 * reach; k++)
        sum += weights[k] = exp(-0.5 * (double)((k - reach) * (k - reach)) / (blur * blur));
    for (int64_t k = 0; k <= 2 * reach; k++) weights[k] /= sum;
    return reach;
}

/* Blurs lines of `length` values, `step` apart; beyond the ends there is nothing. */
static void blur_lines(double *to, const double *from, int64_t lines, int64_t line_step,
                       int64_t length, int64_t step, const double *weights, int64_t reach)
{
    for (int64_t line = 0; line < lines; line++)
        for (int64_t i = 0; i < length; i++) {
            const int64_t first = i < reach ? 0 : i - reach,
                          last = i + reach < length ? i + reach : length - 1;
            double s = 0;
            for (int64_t k = first; k <= last; k++)
                s += weights[k - i + reach] * from[line * line_step + k * step];
            to[line * line_step + i * step] = s;
        }
}

static tw_status blur_density(double *density, int64_t h, int64_t w, double blur)
{
    tw_status st = TW_OK;
    double weights[2 * 3 * BLUR_MAX + 1], *between = NULL;
    if (blur <= 0) return TW_OK;
    const int64_t reach = blur_weights(weights, blur);
    TW_TRY(tw_alloc(&between, h * w, sizeof *between, "a heat map"));
    blur_lines(between, density, h, w, w, 1, weights, reach);
    blur_lines(density, between, w, 1, h, w, weights, reach);
done:
    tw_free(&between);
    return st;
}

tw_status tw_png_write_heatmap(const char *path, const float *points, int64_t count,
                               const double bounds[4], int64_t resolution, double blur)
{
    tw_status st = TW_OK;
    double *density = NULL, most = 0;
    uint8_t *picture = NULL;
    const double x_range = bounds[1] - bounds[0], y_range = bounds[3] - bounds[2];
    TW_CHECK(x_range > 0 && y_range > 0 && isfinite(x_range) && isfinite(y_range) &&
                 resolution >= 16 && resolution <= 8192 && blur >= 0 && blur <= BLUR_MAX,
             TW_ESHAPE, "%s: a heat map of %lld pixels over %g … %g by %g … %g", path,
             (long long)resolution, bounds[0], bounds[1], bounds[2], bounds[3]);
    const double pixel = fmax(x_range, y_range) / (double)resolution;
    const int64_t w = (int64_t)fmax(1, floor(x_range / pixel + 0.5)),
                  h = (int64_t)fmax(1, floor(y_range / pixel + 0.5));
    TW_TRY(tw_alloc(&density, h * w, sizeof *density, "a heat map"));
    TW_TRY(tw_alloc(&picture, h * w * 3, 1, "a heat map"));
    for (int64_t i = 0; i < count; i++) {
        const double x = floor((points[2 * i] - bounds[0]) / pixel),
                     y = floor((bounds[3] - points[2 * i + 1]) / pixel);
        if (x >= 0 && x < (double)w && y >= 0 && y < (double)h)
            density[(int64_t)y * w + (int64_t)x]++; /* NaN is nowhere */
    }
    TW_TRY(blur_density(density, h, w, blur));
    for (int64_t i = 0; i < h * w; i++) most = fmax(most, density[i]);
    for (int64_t i = 0; i < h * w; i++)
        viridis(most > 0 ? sqrt(density[i] / most) : 0, picture + 3 * i);
    TW_TRY(write_file(path, TW_OUTPUT_OWN, picture, h, w, true));
done:
    tw_free(&density);
    tw_free(&picture);
    return st;
}
