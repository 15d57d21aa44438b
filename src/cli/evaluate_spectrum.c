/* Power and cross spectra of samples and data, and their coherence. */
#include "cli/evaluate_spectrum.h"

#include <stdio.h>
#include <string.h>

#include "tweedie/memory.h"

/* A list for each channel, or pair of channels. */
static void put_power(tw_json *j, const char *key, const tw_spectrum *s)
{
    tw_json_list(j, key);
    for (int64_t c = 0; c < s->channels; c++)
        tw_json_doubles(j, NULL, tw_spectrum_of(s, c, c), s->rings);
    tw_json_end(j);
}

static void put_cross(tw_json *j, const char *key, const tw_spectrum *s)
{
    tw_json_list(j, key);
    for (int64_t a = 0; a < s->channels; a++)
        for (int64_t b = a + 1; b < s->channels; b++)
            tw_json_doubles(j, NULL, tw_spectrum_of(s, a, b), s->rings);
    tw_json_end(j);
}

static void put_coherence(tw_json *j, const tw_spectrum *both)
{
    const int64_t channels = both->channels / 2;
    tw_json_list(j, "coherence");
    for (int64_t c = 0; c < channels; c++) {
        tw_json_list(j, NULL);
        for (int64_t k = 0; k < both->rings; k++)
            tw_json_double(j, NULL, tw_spectrum_coherence(both, c, channels + c, k));
        tw_json_end(j);
    }
    tw_json_end(j);
}

void evaluate_spectra_json(tw_json *j, const evaluate_spectra *s)
{
    if (!s->data.channels) return;
    tw_json_double(j, "spectrum_distance", tw_spectrum_distance(&s->samples, &s->data));
    tw_json_doubles(j, "frequency", s->data.frequency, s->data.rings);
    put_power(j, "power", &s->samples);
    put_power(j, "power_reference", &s->data);
    if (s->data.channels > 1) put_cross(j, "cross", &s->samples);
    if (s->data.channels > 1) put_cross(j, "cross_reference", &s->data);
    if (s->both.channels) put_coherence(j, &s->both);
}

/* A line for each ring and channel. */
void evaluate_spectra_print(const evaluate_spectra *s)
{
    if (!s->data.channels) return;
    printf("distance of power spectra    %.5f (root mean square of ln of their ratio)\n",
           tw_spectrum_distance(&s->samples, &s->data));
    printf("channel  cycles/pixel  power        of the data%s\n",
           s->both.channels ? "  coherence" : "");
    for (int64_t c = 0; c < s->data.channels; c++)
        for (int64_t k = 0; k < s->data.rings; k++) {
            printf("%7lld  %12.5f  %-11.5g  %-11.5g", (long long)c, s->data.frequency[k],
                   tw_spectrum_of(&s->samples, c, c)[k], tw_spectrum_of(&s->data, c, c)[k]);
            if (s->both.channels)
                printf("  %.5f", tw_spectrum_coherence(&s->both, c, s->data.channels + c, k));
            printf("\n");
        }
}

/* The channels of sample i, then those of sample i of the data. */
static tw_status join(float **out, const evaluate_set *samples, const evaluate_set *data,
                      int64_t channels)
{
    tw_status st = TW_OK;
    const int64_t pixels = samples->count * (samples->dims / channels);
    TW_TRY(tw_alloc(out, 2 * pixels * channels, sizeof **out, "pairs of samples"));
    for (int64_t p = 0; p < pixels; p++) {
        memcpy(*out + 2 * p * channels, samples->x + p * channels, (size_t)channels * sizeof **out);
        memcpy(*out + (2 * p + 1) * channels, data->x + p * channels,
               (size_t)channels * sizeof **out);
    }
done:
    return st;
}

static tw_status check_spectra(const tw_dataset_spec *spec, const evaluate_set *samples,
                               const evaluate_set *data, bool paired)
{
    tw_status st = TW_OK;
    TW_CHECK(spec->kind != TW_DATASET_POINTS, TW_EUSAGE,
             "--spectrum: points have none; images were expected");
    TW_CHECK(!paired || samples->count == data->count, TW_EUSAGE,
             "--paired: %lld samples and %lld of the data; as many of both were expected (--limit "
             "N reads the first N)",
             (long long)samples->count, (long long)data->count);
done:
    return st;
}

tw_status evaluate_spectra_compute(evaluate_spectra *out, const evaluate_set *samples,
                                   const evaluate_set *data, bool paired)
{
    tw_status st = TW_OK;
    float *pairs = NULL;
    const tw_dataset_spec *s = tw_dataset_get_spec(data->file);
    TW_TRY(check_spectra(s, samples, data, paired));
    TW_TRY(tw_spectrum_compute(&out->samples, samples->x, samples->count, s->height, s->width,
                               s->channels));
    TW_TRY(tw_spectrum_compute(&out->data, data->x, data->count, s->height, s->width, s->channels));
    if (!paired) goto done;
    TW_TRY(join(&pairs, samples, data, s->channels));
    TW_TRY(
        tw_spectrum_compute(&out->both, pairs, data->count, s->height, s->width, 2 * s->channels));
done:
    tw_free(&pairs);
    return st;
}

void evaluate_spectra_free(evaluate_spectra *s)
{
    tw_spectrum_free(&s->samples);
    tw_spectrum_free(&s->data);
    tw_spectrum_free(&s->both);
}
