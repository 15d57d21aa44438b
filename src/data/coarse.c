/* Averages over blocks of pixels, and repeating pixels. */
#include "data/coarse.h"

#include <string.h>

/* Bytes are rounded to the nearest: sums of at most 8192² of them are exact. */
static void average_bytes(const tw_dataset_spec *s, int64_t k, const uint8_t *v, int64_t at,
                          uint8_t *out)
{
    const int64_t row = s->width * s->channels;
    int64_t sum = 0;
    for (int64_t y = 0; y < k; y++)
        for (int64_t x = 0; x < k; x++) sum += v[at + y * row + x * s->channels];
    const uint8_t mean = (uint8_t)((2 * sum + k * k) / (2 * k * k));
    for (int64_t y = 0; y < k; y++)
        for (int64_t x = 0; x < k; x++) out[at + y * row + x * s->channels] = mean;
}

static void average_floats(const tw_dataset_spec *s, int64_t k, const float *v, int64_t at,
                           float *out)
{
    const int64_t row = s->width * s->channels;
    double sum = 0;
    for (int64_t y = 0; y < k; y++)
        for (int64_t x = 0; x < k; x++) sum += (double)v[at + y * row + x * s->channels];
    const float mean = (float)(sum / (double)(k * k));
    for (int64_t y = 0; y < k; y++)
        for (int64_t x = 0; x < k; x++) out[at + y * row + x * s->channels] = mean;
}

void tw_coarse_average(const tw_dataset_spec *s, int64_t k, const void *stored, void *out)
{
    for (int64_t y = 0; y < s->height; y += k)
        for (int64_t x = 0; x < s->width; x += k)
            for (int64_t c = 0; c < s->channels; c++) {
                const int64_t at = (y * s->width + x) * s->channels + c;
                if (s->kind == TW_DATASET_UINT8)
                    average_bytes(s, k, stored, at, out);
                else
                    average_floats(s, k, stored, at, out);
            }
}

void tw_coarse_repeat(const tw_dataset_spec *from, const tw_dataset_spec *to, const void *stored,
                      void *out)
{
    const int64_t down = to->height / from->height, right = to->width / from->width;
    const size_t pixel = tw_dataset_sample_bytes(from) / (size_t)from->height / (size_t)from->width;
    for (int64_t y = 0; y < to->height; y++)
        for (int64_t x = 0; x < to->width; x++)
            memcpy((char *)out + (size_t)(y * to->width + x) * pixel,
                   (const char *)stored + (size_t)(y / down * from->width + x / right) * pixel,
                   pixel);
}

bool tw_coarse_divides(const tw_dataset_spec *from, const tw_dataset_spec *to)
{
    return to->height % from->height == 0 && to->width % from->width == 0;
}
