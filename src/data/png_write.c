/* Writing PNG: images, grids, heat maps. */
#include "tweedie/png.h"

#include <errno.h>
#include <math.h>
#include <png.h>
#include <stdio.h>
#include <string.h>

#include "tweedie/file.h"
#include "tweedie/memory.h"

enum { GRID_GREY = 32, SIDE_MAX = 65535 };

static tw_status write_part(const char *part, const char *path, const uint8_t *pixels, int64_t height, int64_t width, bool colour)
{
    tw_status st = TW_OK;
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)width,
                       .height = (png_uint_32)height,
                       .format = colour ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY};
    FILE *file = fopen(part, "wbe");
    TW_CHECK(file, TW_EIO, "%s: cannot be created: %s", path, strerror(errno));
    TW_CHECK(png_image_write_to_stdio(&image, file, 0, pixels, 0, NULL), TW_EIO, "%s: cannot be written: %s", path, image.message);
    int closed = fclose(file);
    file = NULL;
    TW_CHECK(closed == 0, TW_EIO, "%s: cannot be written: %s", path, strerror(errno));
done:
    if (file) fclose(file);
    return st;
}

/* Grey or RGB pixels as a file. */
static tw_status write_file(const char *path, const uint8_t *pixels, int64_t height, int64_t width, bool colour)
{
    tw_status st = TW_OK;
    char part[TW_PATH_MAX] = "";
    TW_CHECK(height > 0 && width > 0 && height <= SIDE_MAX && width <= SIDE_MAX, TW_ESHAPE,
             "%s: a picture of %lld x %lld pixels; sides of 1 to %d were expected", path, (long long)height, (long long)width, SIDE_MAX);
    TW_TRY(tw_file_temporary(part, sizeof part, path));
    TW_TRY(write_part(part, path, pixels, height, width, colour));
    TW_TRY(tw_file_publish(part, path));
done:
    if (st != TW_OK) tw_file_discard(part);
    return st;
}

tw_status tw_png_write(const char *path, const uint8_t *pixels, int64_t height, int64_t width, int64_t channels)
{
    return tw_png_write_grid(path, pixels, 1, height, width, channels, 1);
}

tw_status tw_png_write_grid(const char *path, const uint8_t *pixels, int64_t count, int64_t height, int64_t width, int64_t channels,
                            int64_t columns)
{
    tw_status st = TW_OK;
    uint8_t *picture = NULL;
    const int64_t drawn = channels == 3 ? 3 : 1;
    TW_CHECK(count > 0 && channels > 0 && columns >= 0, TW_ESHAPE, "%s: %lld images of %lld channels in %lld columns", path,
             (long long)count, (long long)channels, (long long)columns);
    TW_CHECK(height > 0 && width > 0 && height <= SIDE_MAX && width <= SIDE_MAX && count <= SIDE_MAX, TW_ESHAPE,
             "%s: %lld images of %lld x %lld pixels; sides and number of 1 to %d were expected", path, (long long)count, (long long)height,
             (long long)width, SIDE_MAX);
    if (columns == 0) columns = (int64_t)ceil(sqrt((double)count * (double)height / (double)width));
    if (columns < 1) columns = 1;
    if (columns > count) columns = count;
    const int64_t rows = (count + columns - 1) / columns, h = rows * (height + 1) - 1, w = columns * (width + 1) - 1;
    TW_CHECK(h <= SIDE_MAX && w <= SIDE_MAX, TW_ESHAPE, "%s: a picture of %lld x %lld pixels; sides of 1 to %d were expected", path,
             (long long)h, (long long)w, SIDE_MAX);
    TW_TRY(tw_alloc(&picture, h * w * drawn, 1, "a picture"));
    memset(picture, GRID_GREY, (size_t)(h * w * drawn));
    for (int64_t i = 0; i < count; i++)
        for (int64_t y = 0; y < height; y++) {
            const uint8_t *from = pixels + (i * height + y) * width * channels;
            uint8_t *to = picture + ((i / columns * (height + 1) + y) * w + i % columns * (width + 1)) * drawn;
            for (int64_t x = 0; x < width; x++) memcpy(to + x * drawn, from + x * channels, (size_t)drawn);
        }
    TW_TRY(write_file(path, picture, h, w, drawn == 3));
done:
    tw_free(&picture);
    return st;
}

/* viridis (S. van der Walt, N. Smith, 2015) at ten places, linear between them; t in [0, 1]. */
static void viridis(double t, uint8_t *rgb)
{
    static const uint8_t stops[10][3] = {{68, 1, 84},    {72, 40, 120},  {62, 73, 137},  {49, 104, 142}, {38, 130, 142},
                                         {31, 158, 137}, {53, 183, 121}, {110, 206, 88}, {181, 222, 43}, {253, 231, 37}};
    const double place = t * 9;
    const int i = place >= 8 ? 8 : (int)place;
    for (int c = 0; c < 3; c++) rgb[c] = (uint8_t)lrint(stops[i][c] + (place - i) * (stops[i + 1][c] - stops[i][c]));
}

tw_status tw_png_write_heatmap(const char *path, const float *points, int64_t count, const double bounds[4], int64_t resolution)
{
    tw_status st = TW_OK;
    int64_t *counts = NULL, most = 1;
    uint8_t *picture = NULL;
    const double x_range = bounds[1] - bounds[0], y_range = bounds[3] - bounds[2];
    TW_CHECK(x_range > 0 && y_range > 0 && isfinite(x_range) && isfinite(y_range) && resolution >= 16 && resolution <= 8192, TW_ESHAPE,
             "%s: a heat map of %lld pixels over %g … %g by %g … %g", path, (long long)resolution, bounds[0], bounds[1], bounds[2],
             bounds[3]);
    const double pixel = fmax(x_range, y_range) / (double)resolution;
    const int64_t w = (int64_t)fmax(1, floor(x_range / pixel + 0.5)), h = (int64_t)fmax(1, floor(y_range / pixel + 0.5));
    TW_TRY(tw_alloc(&counts, h * w, sizeof *counts, "a heat map"));
    TW_TRY(tw_alloc(&picture, h * w * 3, 1, "a heat map"));
    for (int64_t i = 0; i < count; i++) {
        const double x = floor((points[2 * i] - bounds[0]) / pixel), y = floor((bounds[3] - points[2 * i + 1]) / pixel);
        if (!(x >= 0 && x < (double)w && y >= 0 && y < (double)h)) continue; /* NaN too */
        const int64_t n = ++counts[(int64_t)y * w + (int64_t)x];
        if (n > most) most = n;
    }
    for (int64_t i = 0; i < h * w; i++) viridis(sqrt((double)counts[i] / (double)most), picture + 3 * i);
    TW_TRY(write_file(path, picture, h, w, true));
done:
    tw_free(&counts);
    tw_free(&picture);
    return st;
}
