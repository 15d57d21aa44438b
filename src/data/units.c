/* Stored values and model units (tweedie/data.h has the formulas). */
#include <math.h>
#include <string.h>

#include "tweedie/data.h"
#include "tweedie/rng.h"

void tw_dataset_normalise(const tw_dataset_spec *spec, int64_t count, const void *stored, float *x)
{
    const int64_t n = count * tw_dataset_elements(spec), channels = spec->channels;
    if (spec->kind == TW_DATASET_UINT8) {
        const uint8_t *v = stored;
        /* v / 127.5 - 1 with one rounding */
        for (int64_t i = 0; i < n; i++) x[i] = (float)(2 * v[i] - 255) / 255.0f;
        return;
    }
    const float *v = stored;
    if (!spec->scale) {
        memcpy(x, v, (size_t)n * sizeof *x);
        return;
    }
    for (int64_t i = 0; i < n; i += channels)
        for (int64_t c = 0; c < channels; c++)
            x[i + c] = (v[i + c] - spec->offset[c]) / spec->scale[c];
}

void tw_dataset_sample_latent(const tw_dataset_spec *units, uint64_t seed, int64_t position,
                              int64_t step, const float *mean, const float *log_variance, float *x)
{
    const tw_rng_stream stream = {
        .seed = seed, .purpose = TW_RNG_LATENT, .position = position, .step = step};
    const int64_t n = tw_dataset_elements(units), channels = units->channels;
    tw_rng_normal(x, &stream, 0, n);
    for (int64_t i = 0; i < n; i++) {
        const double v = fmin(fmax((double)log_variance[i], -30), 20);
        const float z = (float)((double)mean[i] + exp(0.5 * v) * (double)x[i]);
        x[i] = units->scale ? (z - units->offset[i % channels]) / units->scale[i % channels] : z;
    }
}

static uint8_t to_uint8(float x)
{
    double v = nearbyint(((double)x + 1) * 127.5);
    return v >= 255 ? 255 : v > 0 ? (uint8_t)v : 0; /* NaN becomes 0 */
}

void tw_dataset_pixels(const tw_dataset_spec *spec, int64_t count, const float *x, uint8_t *pixels)
{
    const int64_t n = count * tw_dataset_elements(spec);
    for (int64_t i = 0; i < n; i++) pixels[i] = to_uint8(x[i]);
}

void tw_dataset_denormalise(const tw_dataset_spec *spec, int64_t count, const float *x,
                            void *stored)
{
    const int64_t n = count * tw_dataset_elements(spec), channels = spec->channels;
    if (spec->kind == TW_DATASET_UINT8) {
        tw_dataset_pixels(spec, count, x, stored);
        return;
    }
    float *v = stored;
    if (!spec->scale) {
        memcpy(v, x, (size_t)n * sizeof *v);
        return;
    }
    for (int64_t i = 0; i < n; i += channels)
        for (int64_t c = 0; c < channels; c++)
            v[i + c] = (float)((double)x[i + c] * spec->scale[c] + spec->offset[c]);
}
