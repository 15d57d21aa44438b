/* tweedie evaluate: how near a sample set is to data. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "tweedie/comm.h"
#include "tweedie/data.h"
#include "tweedie/json.h"
#include "tweedie/memory.h"
#include "tweedie/metrics.h"
#include "tweedie/spectrum.h"

typedef struct options {
    const char *reference, *split;
    int64_t limit, directions, seed;
    bool spectrum, paired, json;
} options;

extern const tw_command tw_cmd_evaluate;

static const tw_option table[] = {
    {"reference", TW_CONFIG_STRING, offsetof(options, reference), NULL, .value = "DATA.h5",
     .help = "the data that the samples are held against"},
    {"split", TW_CONFIG_STRING, offsetof(options, split), "", .value = "NAME",
     .help = "which of the data (default: test where there is one, else train; \"all\")"},
    {"limit", TW_CONFIG_INT64, offsetof(options, limit), "10000", .min = 2, .max = 1e9,
     .value = "N", .help = "samples read of each set, the first ones"},
    {"directions", TW_CONFIG_INT64, offsetof(options, directions), "256", .min = 1, .max = 1e6,
     .value = "L", .help = "of the sliced Wasserstein distance"},
    {"seed", TW_CONFIG_INT64, offsetof(options, seed), "0", .min = 0, .max = 9e18, .value = "S",
     .help = "of the directions"},
    {"spectrum", TW_CONFIG_BOOL, offsetof(options, spectrum), "false",
     .help =
         "of images also isotropic power spectra of each channel, and cross spectra of pairs of "
         "channels, of both sets"},
    {"paired", TW_CONFIG_BOOL, offsetof(options, paired), "false",
     .help = "with --spectrum: sample i is held against sample i of the data (downscaling): "
             "coherence of the two at each scale"},
    {"json", TW_CONFIG_BOOL, offsetof(options, json), "false", .help = "print one JSON object"},
};

/* Of images; their channels are 0 where none are asked for. */
typedef struct spectra {
    tw_spectrum samples, data;
    tw_spectrum both; /* paired: channels of a sample, then those of its reference */
} spectra;

typedef struct set {
    tw_dataset *file;
    int64_t count, dims;
    float *x; /* [count][dims], in the model units of the reference */
    double *mean, *std;
} set;

typedef struct answer {
    double distance, halves; /* of samples and data; of one half of the data and the other */
    double mean, std;        /* root mean square over the dimensions of the differences */
} answer;

static bool has_split(tw_dataset *file, const char *name)
{
    const tw_dataset_spec *spec = tw_dataset_get_spec(file);
    for (int i = 0; i < spec->split_count; i++)
        if (strcmp(spec->splits[i].name, name) == 0) return true;
    return false;
}

/* Opens a dataset; without a name of a split, its test split where it has one. */
static tw_status open_set(set *s, const tw_comm *comm, const char *path, const char *split)
{
    tw_status st = TW_OK;
    tw_dataset_options o = {.path = path, .split = split};
    TW_TRY(tw_dataset_open(&s->file, comm, &o));
    if (split[0] || !has_split(s->file, "test")) goto done;
    tw_dataset_destroy(&s->file);
    o.split = "test";
    TW_TRY(tw_dataset_open(&s->file, comm, &o));
done:
    return st;
}

static tw_status check_alike(const set *samples, const set *data, const char *samples_path,
                             const char *data_path)
{
    tw_status st = TW_OK;
    const tw_dataset_spec *a = tw_dataset_get_spec(samples->file),
                          *b = tw_dataset_get_spec(data->file);
    TW_CHECK(
        a->kind == b->kind && a->height == b->height && a->width == b->width &&
            a->channels == b->channels,
        TW_EDATA,
        "%s holds %s of %lld x %lld x %lld, %s %s of %lld x %lld x %lld: they cannot be compared",
        samples_path, tw_dataset_kind_name(a->kind), (long long)a->height, (long long)a->width,
        (long long)a->channels, data_path, tw_dataset_kind_name(b->kind), (long long)b->height,
        (long long)b->width, (long long)b->channels);
    TW_CHECK(tw_dataset_count(data->file) >= 2, TW_EDATA,
             "%s: one sample is too few to compare with", data_path);
done:
    return st;
}

static tw_status read_set(set *s, const tw_dataset_spec *units, int64_t limit)
{
    tw_status st = TW_OK;
    void *stored = NULL;
    s->dims = tw_dataset_elements(units);
    s->count = tw_dataset_count(s->file) < limit ? tw_dataset_count(s->file) : limit;
    TW_TRY(tw_alloc(&stored, s->count, tw_dataset_sample_bytes(units), "samples"));
    TW_TRY(tw_alloc(&s->x, s->count * s->dims, sizeof *s->x, "samples"));
    TW_TRY(tw_alloc(&s->mean, s->dims, sizeof *s->mean, "means"));
    TW_TRY(tw_alloc(&s->std, s->dims, sizeof *s->std, "deviations"));
    TW_TRY(tw_dataset_read_stored(s->file, 0, s->count, stored, NULL));
    tw_dataset_normalise(units, s->count, stored, s->x);
    tw_moments(s->mean, s->std, s->x, s->count, s->dims);
done:
    tw_free(&stored);
    return st;
}

static void close_set(set *s)
{
    tw_dataset_destroy(&s->file);
    tw_free(&s->x);
    tw_free(&s->mean);
    tw_free(&s->std);
}

static tw_status compare(answer *out, const tw_comm *comm, const set *samples, const set *data,
                         const options *o)
{
    tw_status st = TW_OK;
    const tw_sliced_options sliced = {.directions = o->directions, .seed = (uint64_t)o->seed};
    const int64_t half = data->count / 2, dims = data->dims;
    answer a = {0};
    TW_TRY(tw_sliced_wasserstein(&a.distance, comm, samples->x, samples->count, data->x,
                                 data->count, dims, &sliced));
    TW_TRY(tw_sliced_wasserstein(&a.halves, comm, data->x, half, data->x + half * dims,
                                 data->count - half, dims, &sliced));
    for (int64_t d = 0; d < dims; d++) {
        a.mean +=
            (samples->mean[d] - data->mean[d]) * (samples->mean[d] - data->mean[d]) / (double)dims;
        a.std += (samples->std[d] - data->std[d]) * (samples->std[d] - data->std[d]) / (double)dims;
    }
    a.mean = sqrt(a.mean);
    a.std = sqrt(a.std);
    *out = a;
done:
    return st;
}

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

static void put_spectra(tw_json *j, const spectra *s)
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

static tw_status print_json(const answer *a, const set *samples, const set *data,
                            const spectra *of_both)
{
    tw_status st = TW_OK;
    tw_json json = {0};
    tw_json_object(&json, NULL);
    tw_json_int64(&json, "samples", samples->count);
    tw_json_int64(&json, "reference", data->count);
    tw_json_int64(&json, "dimensions", data->dims);
    tw_json_double(&json, "sliced_wasserstein", a->distance);
    tw_json_double(&json, "sliced_wasserstein_reference", a->halves);
    tw_json_double(&json, "mean_difference", a->mean);
    tw_json_double(&json, "std_difference", a->std);
    if (data->dims <= 16) {
        tw_json_doubles(&json, "mean", samples->mean, data->dims);
        tw_json_doubles(&json, "mean_reference", data->mean, data->dims);
        tw_json_doubles(&json, "std", samples->std, data->dims);
        tw_json_doubles(&json, "std_reference", data->std, data->dims);
    }
    put_spectra(&json, of_both);
    tw_json_end(&json);
    TW_TRY(tw_json_finish(&json));
    printf("%s\n", json.text.data);
done:
    tw_text_free(&json.text);
    return st;
}

/* A line for each ring and channel. */
static void print_spectra(const spectra *s)
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
static tw_status join(float **out, const set *samples, const set *data, int64_t channels)
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

static tw_status check_spectra(const tw_dataset_spec *spec, const set *samples, const set *data,
                               const options *o)
{
    tw_status st = TW_OK;
    TW_CHECK(spec->kind != TW_DATASET_POINTS, TW_EUSAGE,
             "--spectrum: points have none; images were expected");
    TW_CHECK(!o->paired || samples->count == data->count, TW_EUSAGE,
             "--paired: %lld samples and %lld of the data; as many of both were expected (--limit "
             "N reads the first N)",
             (long long)samples->count, (long long)data->count);
done:
    return st;
}

static tw_status compute_spectra(spectra *out, const set *samples, const set *data,
                                 const options *o)
{
    tw_status st = TW_OK;
    float *pairs = NULL;
    const tw_dataset_spec *s = tw_dataset_get_spec(data->file);
    if (!o->spectrum) return TW_OK;
    TW_TRY(check_spectra(s, samples, data, o));
    TW_TRY(tw_spectrum_compute(&out->samples, samples->x, samples->count, s->height, s->width,
                               s->channels));
    TW_TRY(tw_spectrum_compute(&out->data, data->x, data->count, s->height, s->width, s->channels));
    if (!o->paired) goto done;
    TW_TRY(join(&pairs, samples, data, s->channels));
    TW_TRY(
        tw_spectrum_compute(&out->both, pairs, data->count, s->height, s->width, 2 * s->channels));
done:
    tw_free(&pairs);
    return st;
}

static void print_lines(const answer *a, const set *samples, const set *data)
{
    printf("%lld samples against %lld of the data, %lld dimensions, in model units\n",
           (long long)samples->count, (long long)data->count, (long long)data->dims);
    printf("sliced Wasserstein distance  %.5f\n", a->distance);
    printf("  of the data's two halves   %.5f\n", a->halves);
    printf("difference of means          %.5f (root mean square over dimensions)\n", a->mean);
    printf("difference of deviations     %.5f\n", a->std);
}

static tw_status run(struct tw_comm *comm, int argc, char **argv)
{
    tw_status st = TW_OK;
    options o;
    tw_arguments arguments;
    set samples = {0}, data = {0};
    spectra all = {0};
    answer a;
    TW_TRY(tw_options_parse(&tw_cmd_evaluate, argc, argv, &o, &arguments));
    TW_CHECK(o.spectrum || !o.paired, TW_EUSAGE, "--paired: needs --spectrum");
    TW_TRY(open_set(&samples, comm, arguments.values[0], "all"));
    TW_TRY(open_set(&data, comm, o.reference, o.split));
    TW_TRY(check_alike(&samples, &data, arguments.values[0], o.reference));
    TW_TRY(tw_comm_agree(comm, read_set(&samples, tw_dataset_get_spec(data.file), o.limit)));
    TW_TRY(tw_comm_agree(comm, read_set(&data, tw_dataset_get_spec(data.file), o.limit)));
    TW_TRY(compare(&a, comm, &samples, &data, &o));
    if (tw_comm_rank(comm) == 0) st = compute_spectra(&all, &samples, &data, &o);
    TW_TRY(tw_comm_agree(comm, st));
    if (tw_comm_rank(comm) > 0) goto done;
    if (o.json) {
        TW_TRY(print_json(&a, &samples, &data, &all));
    } else {
        print_lines(&a, &samples, &data);
        print_spectra(&all);
    }
done:
    tw_spectrum_free(&all.samples);
    tw_spectrum_free(&all.data);
    tw_spectrum_free(&all.both);
    close_set(&samples);
    close_set(&data);
    return st;
}

const tw_command tw_cmd_evaluate = {
    .name = "evaluate",
    .summary = "hold a sample set against data",
    .usage = "SAMPLES.h5 --reference DATA.h5",
    .help = "Prints the sliced Wasserstein distance of the two sets (0: the same distribution), "
            "beside that of one half of the data to the\n"
            "other, which is what perfect samples would get at half the number; and how means and "
            "deviations differ. --spectrum adds\n"
            "power by scale: rings of Fourier modes, |X|^2 / (H W), in model units.",
    .options = table,
    .option_count = sizeof table / sizeof *table,
    .least = 1,
    .most = 1,
    .parallel = true,
    .run = run,
};
