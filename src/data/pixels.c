/* What is done to the pixels of a picture: alpha, colour, bits, orientation, cutting and resizing.
 */
#include <math.h>
#include <string.h>

#include "data/picture.h"
#include "tweedie/memory.h"

/* An empty picture of another shape and the same bits. */
static tw_status allocate_like(picture *out, const picture *p, int64_t height, int64_t width,
                               int channels)
{
    return p->values ? tw_picture_allocate_values(out, height, width, channels, p->bits, "an image")
                     : tw_picture_allocate(out, height, width, channels, "an image");
}

static void replace(picture *p, picture *by)
{
    by->flaw = p->flaw;
    tw_picture_free(p);
    *p = *by;
    *by = (picture){0};
}

/* Bytes of one pixel, and the pixels whatever their type. */
static size_t pixel_bytes(const picture *p)
{
    return (size_t)p->channels * (p->values ? sizeof *p->values : sizeof *p->pixels);
}

static char *bytes_of(const picture *p)
{
    return p->values ? (char *)p->values : (char *)p->pixels;
}

/* v over the background b at opacity a, rounded. */
static uint8_t over(int v, int a, int b)
{
    return (uint8_t)((v * a + b * (255 - a) + 127) / 255);
}

static void flatten_pixels(const picture *p, picture *flat, const uint8_t background[3])
{
    for (int64_t i = 0; i < p->height * p->width; i++) {
        const uint8_t *v = p->pixels + i * p->channels;
        const bool colour = p->channels >= 3;
        const int alpha = p->channels % 2 == 0 ? v[p->channels - 1] : 255;
        uint8_t rgb[3];
        for (int c = 0; c < 3; c++) rgb[c] = over(v[colour ? c : 0], alpha, background[c]);
        if (flat->channels == 3)
            memcpy(flat->pixels + 3 * i, rgb, 3);
        else
            flat->pixels[i] = (uint8_t)((299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2] + 500) / 1000);
    }
}

static void flatten_values(const picture *p, picture *flat, const uint8_t background[3])
{
    const double white = p->bits <= 16 ? (double)((1 << p->bits) - 1) : 1;
    for (int64_t i = 0; i < p->height * p->width; i++) {
        const float *v = p->values + i * p->channels;
        const bool colour = p->channels >= 3;
        const double alpha = p->channels % 2 == 0 ? v[p->channels - 1] / white : 1;
        double rgb[3];
        for (int c = 0; c < 3; c++) {
            rgb[c] = v[colour ? c : 0] * alpha + background[c] / 255.0 * white * (1 - alpha);
            if (p->bits <= 16) rgb[c] = nearbyint(rgb[c]);
        }
        if (flat->channels == 3)
            for (int c = 0; c < 3; c++) flat->values[3 * i + c] = (float)rgb[c];
        else if (colour)
            flat->values[i] = (float)(0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]);
        else /* the three are alike unless the background is coloured */
            flat->values[i] =
                alpha < 1 ? (float)(0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]) : v[0];
    }
}

tw_status tw_picture_flatten(picture *p, int channels, const uint8_t background[3])
{
    tw_status st = TW_OK;
    picture flat = {0};
    if (p->channels == channels) return TW_OK;
    TW_TRY(allocate_like(&flat, p, p->height, p->width, channels));
    (p->values ? flatten_values : flatten_pixels)(p, &flat, background);
    replace(p, &flat);
done:
    return st;
}

double tw_picture_most(const picture *p)
{
    const int colours = p->channels % 2 == 0 ? p->channels - 1 : p->channels;
    double most = 0;
    for (int64_t i = 0; i < p->height * p->width; i++)
        for (int c = 0; c < colours; c++) {
            const int64_t k = i * p->channels + c;
            const double v = p->values ? p->values[k] : p->pixels[k];
            if (v > most) most = v;
        }
    return most;
}

tw_status tw_picture_to_8_bits(picture *p, double white)
{
    tw_status st = TW_OK;
    picture byte = {0};
    if (!p->values) return TW_OK;
    TW_TRY(tw_picture_allocate(&byte, p->height, p->width, p->channels, "an image"));
    const double alpha_white = p->bits <= 16 ? (double)((1 << p->bits) - 1) : white;
    for (int64_t i = 0; i < p->height * p->width * p->channels; i++) {
        const bool alpha = p->channels % 2 == 0 && i % p->channels == p->channels - 1;
        const double v = nearbyint(p->values[i] * 255.0 / (alpha ? alpha_white : white));
        byte.pixels[i] = v >= 255 ? 255 : v > 0 ? (uint8_t)v : 0;
    }
    replace(p, &byte);
done:
    return st;
}

tw_status tw_picture_orient(picture *p, int orientation)
{
    tw_status st = TW_OK;
    picture turned = {0};
    if (orientation <= 1 || orientation > 8) return TW_OK;
    const bool swap = orientation >= 5; /* columns become rows */
    const bool from_right =
        orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    const bool from_below =
        orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    const int64_t h = swap ? p->width : p->height, w = swap ? p->height : p->width;
    const size_t n = pixel_bytes(p);
    TW_TRY(allocate_like(&turned, p, h, w, p->channels));
    for (int64_t y = 0; y < h; y++)
        for (int64_t x = 0; x < w; x++) {
            int64_t sy = swap ? x : y, sx = swap ? y : x;
            if (from_below) sy = p->height - 1 - sy;
            if (from_right) sx = p->width - 1 - sx;
            memcpy(bytes_of(&turned) + (size_t)(y * w + x) * n,
                   bytes_of(p) + (size_t)(sy * p->width + sx) * n, n);
        }
    replace(p, &turned);
done:
    return st;
}

tw_status tw_picture_crop(picture *p, int64_t height, int64_t width)
{
    tw_status st = TW_OK;
    picture cut = {0};
    int64_t h = p->height, w = p->width;
    if (w * height > h * width)
        w = (h * width + height / 2) / height;
    else
        h = (w * height + width / 2) / width;
    if (h < 1) h = 1;
    if (w < 1) w = 1;
    if (h == p->height && w == p->width) return TW_OK;
    const int64_t top = (p->height - h) / 2, left = (p->width - w) / 2;
    const size_t n = pixel_bytes(p);
    TW_TRY(allocate_like(&cut, p, h, w, p->channels));
    for (int64_t y = 0; y < h; y++)
        memcpy(bytes_of(&cut) + (size_t)(y * w) * n,
               bytes_of(p) + (size_t)((top + y) * p->width + left) * n, (size_t)w * n);
    replace(p, &cut);
done:
    return st;
}

/* The weights of input pixels for one output pixel along one axis. */
typedef struct taps {
    int64_t first, count;
    double *weights; /* room for all */
} taps;

static void find_taps(taps *t, int64_t i, int64_t in, int64_t out)
{
    const double scale = (double)in / (double)out, support = scale > 1 ? scale : 1,
                 centre = ((double)i + 0.5) * scale;
    double total = 0;
    int64_t first = (int64_t)floor(centre - support + 0.5),
            last = (int64_t)floor(centre + support + 0.5);
    if (first < 0) first = 0;
    if (last > in) last = in;
    t->first = first;
    t->count = last - first;
    for (int64_t k = 0; k < t->count; k++) {
        const double distance = fabs(((double)(first + k) + 0.5 - centre) / support);
        t->weights[k] = distance < 1 ? 1 - distance : 0;
        total += t->weights[k];
    }
    for (int64_t k = 0; k < t->count; k++) t->weights[k] /= total;
}

/* row[j] = the weighted sum of the rows that output row i is made of, for all columns. */
static void combine_rows(double *row, const picture *p, const taps *t)
{
    const int64_t n = p->width * p->channels;
    memset(row, 0, (size_t)n * sizeof *row);
    for (int64_t k = 0; k < t->count; k++) {
        const int64_t at = (t->first + k) * n;
        if (p->values)
            for (int64_t j = 0; j < n; j++) row[j] += t->weights[k] * p->values[at + j];
        else
            for (int64_t j = 0; j < n; j++) row[j] += t->weights[k] * p->pixels[at + j];
    }
}

static void put_value(picture *p, int64_t i, double v)
{
    if (p->values) {
        p->values[i] = (float)v;
        return;
    }
    v = nearbyint(v);
    p->pixels[i] = v >= 255 ? 255 : v > 0 ? (uint8_t)v : 0;
}

/* Row by row, down and then across, so that besides the two pictures there is one row of doubles
 * and not a picture of floats, which would be four times as large as the input. */
tw_status tw_picture_resize(picture *p, int64_t height, int64_t width)
{
    tw_status st = TW_OK;
    picture small = {0};
    double *row = NULL;
    taps down = {0}, across = {0};
    const int c = p->channels;
    if (p->height == height && p->width == width) return TW_OK;
    TW_TRY(allocate_like(&small, p, height, width, c));
    TW_TRY(tw_alloc(&row, p->width * c, sizeof *row, "a row of an image"));
    TW_TRY(tw_alloc(&down.weights, p->height + 2, sizeof *down.weights, "filter weights"));
    TW_TRY(tw_alloc(&across.weights, p->width + 2, sizeof *across.weights, "filter weights"));
    for (int64_t y = 0; y < height; y++) {
        find_taps(&down, y, p->height, height);
        combine_rows(row, p, &down);
        for (int64_t x = 0; x < width; x++) {
            find_taps(&across, x, p->width, width);
            for (int k = 0; k < c; k++) {
                double sum = 0;
                for (int64_t i = 0; i < across.count; i++)
                    sum += across.weights[i] * row[(across.first + i) * c + k];
                put_value(&small, (y * width + x) * c + k, sum);
            }
        }
    }
    replace(p, &small);
done:
    tw_picture_free(&small);
    tw_free(&row);
    tw_free(&down.weights);
    tw_free(&across.weights);
    return st;
}
