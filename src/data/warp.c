/* Images seen through an affine map, by cubic convolution (Keys 1981: "Cubic convolution
 * interpolation for digital image processing", equation 4 with a = −1/2). */
#include "data/warp.h"

#include <math.h>

tw_affine_map tw_affine_map_then(const tw_affine_map *first, const tw_affine_map *second)
{
    const tw_affine_map *p = first, *q = second;
    return (tw_affine_map){.a = q->a * p->a + q->b * p->d,
                           .b = q->a * p->b + q->b * p->e,
                           .c = q->a * p->c + q->b * p->f + q->c,
                           .d = q->d * p->a + q->e * p->d,
                           .e = q->d * p->b + q->e * p->e,
                           .f = q->d * p->c + q->e * p->f + q->f};
}

/* The pixel that stands for pixel i: 2 1 0 1 2 … n−2 n−1 n−2 … */
static int64_t mirrored(int64_t i, int64_t n)
{
    if (n == 1) return 0;
    const int64_t period = 2 * (n - 1);
    i %= period;
    if (i < 0) i += period;
    return i < n ? i : period - i;
}

/* The four pixels around a coordinate and their weights. */
typedef struct taps {
    int64_t at[4];
    double weight[4];
} taps;

static taps around(double x, int64_t n)
{
    const double first = floor(x), t = x - first;
    taps k = {.weight = {((-0.5 * t + 1) * t - 0.5) * t, (1.5 * t - 2.5) * t * t + 1,
                         ((-1.5 * t + 2) * t + 0.5) * t, (0.5 * t - 0.5) * t * t}};
    for (int i = 0; i < 4; i++) k.at[i] = mirrored((int64_t)first - 1 + i, n);
    return k;
}

void tw_warp(float *out, const float *x, int64_t height, int64_t width, int64_t channels,
             const tw_affine_map *map)
{
    const double cx = 0.5 * (double)(width - 1), cy = 0.5 * (double)(height - 1);
    for (int64_t i = 0; i < height; i++)
        for (int64_t j = 0; j < width; j++, out += channels) {
            const double u = (double)j - cx, v = (double)i - cy;
            const taps h = around(map->a * u + map->b * v + map->c + cx, width),
                       r = around(map->d * u + map->e * v + map->f + cy, height);
            for (int64_t c = 0; c < channels; c++) {
                double sum = 0;
                for (int k = 0; k < 4; k++) {
                    const float *row = x + r.at[k] * width * channels + c;
                    double line = 0;
                    for (int l = 0; l < 4; l++)
                        line += h.weight[l] * (double)row[h.at[l] * channels];
                    sum += r.weight[k] * line;
                }
                out[c] = (float)sum;
            }
        }
}
