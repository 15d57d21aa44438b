/* Isotropic power spectra of image sets, and of the data behind them. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/plot.h"
#include "tweedie/data.h"
#include "tweedie/memory.h"
#include "tweedie/spectrum.h"

enum { WIDTH = 640, HEIGHT = 420, SETS = 4, SAMPLES_MOST = 2000 };

typedef struct set {
    char name[40];
    tw_dataset_spec spec; /* pointers of a closed file: shapes alone */
    tw_spectrum s;
} set;

/* "plain" of "runs/plain.h5". */
static void name_of(char out[40], const char *path)
{
    const char *slash = strrchr(path, '/');
    snprintf(out, 40, "%.39s", slash ? slash + 1 : path);
    char *end = strrchr(out, '.');
    if (end && end != out) *end = '\0';
}

/* Samples as they are stored, in the units of the data. */
static tw_status read_values(float *x, tw_dataset *data, int64_t count)
{
    tw_status st = TW_OK;
    uint8_t *bytes = NULL;
    const tw_dataset_spec *spec = tw_dataset_get_spec(data);
    if (spec->kind != TW_DATASET_UINT8) return tw_dataset_read_stored(data, 0, count, x, NULL);
    TW_TRY(tw_alloc(&bytes, count, tw_dataset_sample_bytes(spec), "samples"));
    TW_TRY(tw_dataset_read_stored(data, 0, count, bytes, NULL));
    for (int64_t i = 0; i < count * tw_dataset_elements(spec); i++) x[i] = bytes[i];
done:
    tw_free(&bytes);
    return st;
}

static tw_status read_set(set *out, const char *path, const char *split, int64_t channel)
{
    tw_status st = TW_OK;
    tw_dataset *data = NULL;
    float *x = NULL;
    const tw_dataset_options opening = {.path = path, .split = split};
    TW_TRY(tw_dataset_open(&data, NULL, &opening));
    const tw_dataset_spec *spec = tw_dataset_get_spec(data);
    TW_CHECK(spec->kind != TW_DATASET_POINTS, TW_EUSAGE,
             "%s: holds points, which have no spectrum; images were expected", path);
    TW_CHECK(channel < spec->channels, TW_EUSAGE, "--channel %lld: %s has channels 0 to %lld",
             (long long)channel, path, (long long)spec->channels - 1);
    const int64_t there = tw_dataset_count(data), n = there < SAMPLES_MOST ? there : SAMPLES_MOST;
    TW_TRY(tw_alloc(&x, n * tw_dataset_elements(spec), sizeof *x, "samples"));
    TW_TRY(read_values(x, data, n));
    TW_TRY(tw_spectrum_compute(&out->s, x, n, spec->height, spec->width, spec->channels));
    out->spec = *spec;
    name_of(out->name, path);
done:
    tw_free(&x);
    tw_dataset_destroy(&data);
    return st;
}

/* The split that samples are held against: test where there is one. */
static tw_status read_reference(set *out, const char *path, int64_t channel)
{
    return read_set(out, path, "test", channel) == TW_OK ? TW_OK
                                                         : read_set(out, path, "all", channel);
}

static tw_status check_alike(const set *sets, int count, const tw_plot_options *o)
{
    tw_status st = TW_OK;
    for (int k = 1; k < count; k++)
        TW_CHECK(sets[k].spec.height == sets[0].spec.height &&
                     sets[k].spec.width == sets[0].spec.width &&
                     sets[k].spec.channels == sets[0].spec.channels,
                 TW_EDATA, "%s: holds images of %lld x %lld x %lld, %s of %lld x %lld x %lld",
                 k < o->input_count ? o->inputs[k] : o->reference, (long long)sets[k].spec.height,
                 (long long)sets[k].spec.width, (long long)sets[k].spec.channels, o->inputs[0],
                 (long long)sets[0].spec.height, (long long)sets[0].spec.width,
                 (long long)sets[0].spec.channels);
done:
    return st;
}

/* By decades in both; the mean, ring 0, is not drawn. */
static tw_panel panel_of(const set *sets, int count, int64_t channel)
{
    const int64_t rings = sets[0].s.rings;
    tw_panel p = {.left = 96,
                  .top = 46,
                  .width = WIDTH,
                  .height = HEIGHT,
                  .x = {sets[0].s.frequency[rings > 1], sets[0].s.frequency[rings - 1]},
                  .y = {INFINITY, 0},
                  .log_x = rings > 2,
                  .log_y = true};
    for (int k = 0; k < count; k++)
        for (int64_t j = 1; j < rings; j++) {
            const double v = tw_spectrum_of(&sets[k].s, channel, channel)[j];
            if (v > 0) p.y[0] = fmin(p.y[0], v);
            p.y[1] = fmax(p.y[1], v);
        }
    p.y[0] /= 1.5;
    p.y[1] *= 1.5;
    return p;
}

static tw_status draw(const tw_plot_options *o, const set *sets, int count)
{
    static const tw_colour colours[] = {
        {0.12, 0.35, 0.75, 1}, {0.90, 0.42, 0.05, 1}, {0.13, 0.55, 0.28, 1}, {0.78, 0.13, 0.20, 1}};
    tw_status st = TW_OK;
    tw_canvas *c = NULL;
    const tw_panel p = panel_of(sets, count, o->channel);
    TW_TRY(tw_canvas_create_for(&c, o->out, WIDTH + 130, HEIGHT + 106));
    for (int k = count - 1; k >= 0; k--) {
        const tw_spectrum *s = &sets[k].s;
        const bool reference = k == o->input_count;
        const tw_colour colour = reference ? TW_PLOT_BLACK : colours[k];
        tw_panel_curve(c, &p, s->rings - 1, s->frequency + 1,
                       tw_spectrum_of(s, o->channel, o->channel) + 1, 1.8, colour);
        tw_panel_legend(c, &p, k, false, sets[k].name, colour);
    }
    tw_panel_frame(c, &p, o->title[0] ? o->title : "power spectrum", "cycles per pixel", NULL);
    TW_TRY(tw_canvas_write(c, o->out, o->mode));
done:
    tw_canvas_destroy(&c);
    return st;
}

static tw_status run(const tw_plot_options *o, tw_plot_numbers *numbers)
{
    tw_status st = TW_OK;
    set sets[SETS + 1] = {0};
    int count = 0;
    for (; count < o->input_count; count++)
        TW_TRY(read_set(&sets[count], o->inputs[count], "all", o->channel));
    if (o->reference[0]) TW_TRY(read_reference(&sets[count++], o->reference, o->channel));
    TW_TRY(check_alike(sets, count, o));
    TW_CHECK(sets[0].s.rings > 1, TW_EUSAGE, "%s: images of one pixel have no spectrum",
             o->inputs[0]);
    for (int k = 0; k < o->input_count && count > o->input_count; k++)
        tw_plot_add(numbers, tw_spectrum_distance(&sets[k].s, &sets[count - 1].s), "distance of %s",
                    sets[k].name);
    TW_TRY(draw(o, sets, count));
done:
    for (int k = 0; k <= SETS; k++) tw_spectrum_free(&sets[k].s);
    return st;
}

const tw_plot tw_plot_spectrum = {.name = "spectrum",
                                  .usage = "A.h5 [B.h5 ...] [--reference DATA.h5] [--channel C]",
                                  .summary = "isotropic power of images by scale",
                                  .most = SETS,
                                  .run = run};
