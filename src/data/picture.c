/* Pictures: alpha, colour, cutting and resizing. */
#include "data/picture.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "tweedie/file.h"
#include "tweedie/memory.h"

void tw_picture_free(picture *p)
{
    tw_free(&p->pixels);
}

tw_status tw_picture_allocate(picture *p, int64_t height, int64_t width, int channels,
                              const char *path)
{
    tw_status st = TW_OK;
    TW_CHECK(height > 0 && width > 0 && height <= PICTURE_SIDE_MAX && width <= PICTURE_SIDE_MAX &&
                 height * width <= PICTURE_PIXELS_MAX,
             TW_EDATA, "%s: an image of %lld x %lld pixels; at most %d pixels were expected", path,
             (long long)height, (long long)width, PICTURE_PIXELS_MAX);
    TW_TRY(tw_alloc(&p->pixels, height * width * channels, 1, "an image"));
    p->height = height;
    p->width = width;
    p->channels = channels;
done:
    return st;
}

tw_status tw_picture_read(picture *out, const char *path)
{
    static const unsigned char png[] = {0x89, 'P', 'N', 'G', 0x0d, 0x0a, 0x1a, 0x0a},
                               jpeg[] = {0xff, 0xd8, 0xff};
    tw_status st = TW_OK;
    unsigned char head[sizeof png] = {0};
    FILE *file = NULL;
    TW_TRY(tw_file_size(NULL, path));
    file = fopen(path, "rbe");
    TW_CHECK(file, TW_ENOINPUT, "%s: cannot be read: %s", path, strerror(errno));
    const size_t n = fread(head, 1, sizeof head, file);
    TW_CHECK(n > 0, TW_EDATA, "%s: is empty; a PNG or JPEG image was expected", path);
    rewind(file);
    if (memcmp(head, png, sizeof png) == 0)
        TW_TRY(tw_picture_read_png(out, file, path));
    else if (memcmp(head, jpeg, sizeof jpeg) == 0)
        TW_TRY(tw_picture_read_jpeg(out, file, path));
    else
        TW_FAIL(TW_EDATA, "%s: neither a PNG nor a JPEG image: begins with %02x %02x %02x %02x",
                path, head[0], head[1], head[2], head[3]);
done:
    if (file) fclose(file);
    return st;
}

/* v over the background b at opacity a, rounded. */
static uint8_t over(int v, int a, int b)
{
    return (uint8_t)((v * a + b * (255 - a) + 127) / 255);
}

tw_status tw_picture_flatten(picture *p, int channels, const uint8_t background[3])
{
    tw_status st = TW_OK;
    picture flat = {0};
    if (p->channels == channels) return TW_OK;
    TW_TRY(tw_picture_allocate(&flat, p->height, p->width, channels, "image"));
    for (int64_t i = 0; i < p->height * p->width; i++) {
        const uint8_t *v = p->pixels + i * p->channels;
        const bool colour = p->channels >= 3;
        const int alpha = p->channels % 2 == 0 ? v[p->channels - 1] : 255;
        uint8_t rgb[3];
        for (int c = 0; c < 3; c++) rgb[c] = over(v[colour ? c : 0], alpha, background[c]);
        if (channels == 3)
            memcpy(flat.pixels + 3 * i, rgb, 3);
        else
            flat.pixels[i] = (uint8_t)((299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2] + 500) / 1000);
    }
    tw_picture_free(p);
    *p = flat;
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
    TW_TRY(tw_picture_allocate(&cut, h, w, p->channels, "image"));
    for (int64_t y = 0; y < h; y++)
        memcpy(cut.pixels + y * w * p->channels,
               p->pixels + ((top + y) * p->width + left) * p->channels, (size_t)(w * p->channels));
    tw_picture_free(p);
    *p = cut;
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

/* Along the middle axis: [outer][in][inner] to [outer][out][inner]. */
static void resample(const float *from, float *to, int64_t outer, int64_t in, int64_t out,
                     int64_t inner, taps *t)
{
    for (int64_t i = 0; i < out; i++) {
        find_taps(t, i, in, out);
        for (int64_t o = 0; o < outer; o++)
            for (int64_t c = 0; c < inner; c++) {
                double sum = 0;
                for (int64_t k = 0; k < t->count; k++)
                    sum += t->weights[k] * from[(o * in + t->first + k) * inner + c];
                to[(o * out + i) * inner + c] = (float)sum;
            }
    }
}

tw_status tw_picture_resize(picture *p, int64_t height, int64_t width)
{
    tw_status st = TW_OK;
    picture small = {0};
    float *from = NULL, *middle = NULL, *to = NULL;
    taps t = {0};
    const int64_t c = p->channels, n = p->height * p->width * c;
    if (p->height == height && p->width == width) return TW_OK;
    TW_TRY(tw_picture_allocate(&small, height, width, p->channels, "image"));
    TW_TRY(tw_alloc(&from, n, sizeof *from, "an image"));
    TW_TRY(tw_alloc(&middle, p->height * width * c, sizeof *middle, "an image"));
    TW_TRY(tw_alloc(&to, height * width * c, sizeof *to, "an image"));
    TW_TRY(tw_alloc(&t.weights, (p->height > p->width ? p->height : p->width) + 2,
                    sizeof *t.weights, "filter weights"));
    for (int64_t i = 0; i < n; i++) from[i] = p->pixels[i];
    resample(from, middle, p->height, p->width, width, c, &t);
    resample(middle, to, 1, p->height, height, width * c, &t);
    for (int64_t i = 0; i < height * width * c; i++) {
        const float v = nearbyintf(to[i]);
        small.pixels[i] = v >= 255 ? 255 : v > 0 ? (uint8_t)v : 0;
    }
    tw_picture_free(p);
    *p = small;
    small = (picture){0};
done:
    tw_picture_free(&small);
    tw_free(&from);
    tw_free(&middle);
    tw_free(&to);
    tw_free(&t.weights);
    return st;
}
