/* tweedie evaluate: how near a sample set is to data. */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/evaluate_metrics.h"
#include "cli/evaluate_posterior.h"
#include "tweedie/comm.h"
#include "tweedie/data.h"
#include "tweedie/json.h"
#include "tweedie/memory.h"
#include "tweedie/metrics.h"
#include "tweedie/output.h"

typedef struct options {
    const char *reference, *split, *samples_split, *truth, *classifier;
    const char *features, *metrics, *cache, *neighbours;
    int64_t limit, directions, seed, first;
    bool json, force, by_class, posterior, spectrum, paired;
} options;

extern const tw_command tw_cmd_evaluate;

static const tw_option table[] = {
    {"reference", TW_CONFIG_STRING, offsetof(options, reference), "", .value = "DATA.h5",
     .help = "the data that the samples are held against"},
    {"split", TW_CONFIG_STRING, offsetof(options, split), "", .value = "NAME",
     .help = "which of the data (default: test where there is one, else train; \"all\")"},
    {"samples-split", TW_CONFIG_STRING, offsetof(options, samples_split), "all", .value = "NAME",
     .help = "which of the samples, where the file has splits"},
    {"limit", TW_CONFIG_INT64, offsetof(options, limit), "10000", .min = 2, .max = 1e9,
     .value = "N", .help = "samples read of each set, the first ones"},
    {"features", TW_CONFIG_STRING, offsetof(options, features), "", .value = "RUN",
     .help = "metrics in features of this classifier (a RUN, or weights: also Inception's); "
             "\"samples\": in the numbers themselves; \"arrays\": SAMPLES and DATA are arrays "
             "FILE:/path of features; \"none\" (default: the shipped network for images like "
             "MNIST's, else none)"},
    {"metrics", TW_CONFIG_STRING, offsetof(options, metrics), "", .value = "A,B",
     .help = "which metrics of features: frechet, kid, manifold (default: all)"},
    {"cache", TW_CONFIG_STRING, offsetof(options, cache), "", .value = "FILE",
     .help = "keeps the features of DATA, and takes them from there the next time"},
    {"neighbours", TW_CONFIG_STRING, offsetof(options, neighbours), "", .value = "PNG",
     .help = "a picture of the samples that lie nearest to training images with their neighbours, "
             "and whether they lie nearer than held-out images do"},
    {"force", TW_CONFIG_BOOL, offsetof(options, force), "false",
     .help = "replace PNG if it exists"},
    {"directions", TW_CONFIG_INT64, offsetof(options, directions), "256", .min = 1, .max = 1e6,
     .value = "L", .help = "of the sliced Wasserstein distance"},
    {"seed", TW_CONFIG_INT64, offsetof(options, seed), "0", .min = 0, .max = 9e18, .value = "S",
     .help = "of the directions"},
    {"by-class", TW_CONFIG_BOOL, offsetof(options, by_class), "false",
     .help = "the distance of each class, by the labels of both"},
    {"classifier", TW_CONFIG_STRING, offsetof(options, classifier), "", .value = "RUN",
     .help = "how many samples this run (objective.kind = classify) takes for what their labels "
             "say"},
    {"posterior", TW_CONFIG_BOOL, offsetof(options, posterior), "false",
     .help = "the file is what tweedie restore made: coverage of its intervals, CRPS, ranks, PSNR, "
             "SSIM; needs --truth"},
    {"truth", TW_CONFIG_STRING, offsetof(options, truth), "", .value = "T.h5",
     .help = "of a posterior: the true samples, of all splits where none is named"},
    {"first", TW_CONFIG_INT64, offsetof(options, first), "0", .max = 8e12, .value = "I",
     .help = "of a posterior: the row of the truth that belongs to measurement 0"},
    {"spectrum", TW_CONFIG_BOOL, offsetof(options, spectrum), "false",
     .help =
         "of images also isotropic power spectra of each channel, and cross spectra of pairs of "
         "channels, of both sets"},
    {"paired", TW_CONFIG_BOOL, offsetof(options, paired), "false",
     .help = "of the spectra: sample i is held against sample i of the data (downscaling): "
             "coherence of the two at each scale"},
    {"json", TW_CONFIG_BOOL, offsetof(options, json), "false", .help = "print one JSON object"},
};

typedef evaluate_set set;

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
    s->path = path;
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
    if (tw_dataset_get_spec(s->file)->num_classes)
        TW_TRY(tw_alloc(&s->label, s->count, sizeof *s->label, "labels"));
    TW_TRY(tw_dataset_read_stored(s->file, 0, s->count, stored, s->label));
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
    tw_free(&s->label);
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

static void add_answer(tw_json *json, const answer *a, const set *samples, const set *data)
{
    tw_json_int64(json, "samples", samples->count);
    tw_json_int64(json, "reference", data->count);
    tw_json_int64(json, "dimensions", data->dims);
    tw_json_double(json, "sliced_wasserstein", a->distance);
    tw_json_double(json, "sliced_wasserstein_reference", a->halves);
    tw_json_double(json, "mean_difference", a->mean);
    tw_json_double(json, "std_difference", a->std);
    if (data->dims > 16) return;
    tw_json_doubles(json, "mean", samples->mean, data->dims);
    tw_json_doubles(json, "mean_reference", data->mean, data->dims);
    tw_json_doubles(json, "std", samples->std, data->dims);
    tw_json_doubles(json, "std_reference", data->std, data->dims);
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

static tw_status check_options(const options *o)
{
    tw_status st = TW_OK;
    TW_CHECK(o->spectrum || !o->paired, TW_EUSAGE, "--paired: needs --spectrum");
    TW_CHECK(!o->posterior || o->truth[0], TW_EUSAGE, "--posterior: --truth T.h5 must be given");
    TW_CHECK(o->posterior || (!o->truth[0] && o->first == 0), TW_EUSAGE,
             "--truth and --first are for --posterior; --reference names data to compare with");
    TW_CHECK(!o->posterior || !o->reference[0], TW_EUSAGE,
             "--reference: with --posterior it is --truth");
    TW_CHECK(o->posterior || o->reference[0], TW_EUSAGE, "--reference DATA.h5 must be given");
done:
    return st;
}

/* What a run reads and finds. */
typedef struct evaluation {
    tw_comm *comm;
    options o;
    set samples, data;
    answer a;
    evaluate_classes classes;
    evaluate_spectra spectra;
    evaluate_metrics metrics;
    evaluate_features features;
    evaluate_neighbours neighbours;
} evaluation;

static void free_evaluation(evaluation *e)
{
    evaluate_classes_free(&e->classes);
    evaluate_spectra_free(&e->spectra);
    evaluate_metrics_free(&e->metrics);
    evaluate_features_free(&e->features);
    close_set(&e->samples);
    close_set(&e->data);
}

static tw_status print_json(const evaluation *e)
{
    tw_status st = TW_OK;
    tw_json json = {0};
    tw_json_object(&json, NULL);
    if (e->data.file)
        add_answer(&json, &e->a, &e->samples, &e->data);
    else {
        tw_json_int64(&json, "samples", e->features.sample_count);
        tw_json_int64(&json, "reference", e->features.reference_count);
    }
    evaluate_metrics_json(&json, &e->metrics, &e->features);
    evaluate_neighbours_json(&json, &e->neighbours);
    evaluate_classes_json(&json, &e->classes);
    evaluate_spectra_json(&json, &e->spectra);
    tw_json_end(&json);
    TW_TRY(tw_json_finish(&json));
    printf("%s\n", json.text.data);
done:
    tw_text_free(&json.text);
    return st;
}

static tw_status print(const evaluation *e)
{
    if (tw_comm_rank(e->comm) > 0) return TW_OK;
    if (e->o.json) return print_json(e);
    if (e->data.file)
        print_lines(&e->a, &e->samples, &e->data);
    else
        printf("%lld samples against %lld of the data\n", (long long)e->features.sample_count,
               (long long)e->features.reference_count);
    evaluate_metrics_print(&e->metrics, &e->features);
    evaluate_neighbours_print(&e->neighbours);
    evaluate_classes_print(&e->classes);
    evaluate_spectra_print(&e->spectra);
    return TW_OK;
}

static tw_status read_sets(evaluation *e, const char *path)
{
    tw_status st = TW_OK;
    const options *o = &e->o;
    TW_TRY(open_set(&e->samples, e->comm, path, o->samples_split));
    TW_TRY(open_set(&e->data, e->comm, o->reference, o->split));
    TW_TRY(check_alike(&e->samples, &e->data, path, o->reference));
    const tw_dataset_spec *units = tw_dataset_get_spec(e->data.file);
    TW_TRY(tw_comm_agree(e->comm, read_set(&e->samples, units, o->limit)));
    TW_TRY(tw_comm_agree(e->comm, read_set(&e->data, units, o->limit)));
done:
    return st;
}

/* Before the work. Rank zero writes. */
static tw_status check_output(const evaluation *e, const char *path)
{
    tw_status st = TW_OK;
    const options *o = &e->o;
    const char *const inputs[] = {path, o->reference, o->features};
    if (o->neighbours[0] && tw_comm_rank(e->comm) == 0)
        st =
            tw_output_check(o->neighbours, o->force ? TW_OUTPUT_REPLACE : TW_OUTPUT_NEW, inputs, 3);
    return tw_comm_agree(e->comm, st);
}

static tw_status measure_features(evaluation *e)
{
    tw_status st = TW_OK;
    const options *o = &e->o;
    TW_TRY(evaluate_features_compute(&e->features, e->comm, o->features, o->cache, &e->samples,
                                     &e->data));
    if (o->neighbours[0])
        TW_TRY(evaluate_neighbours_find(&e->neighbours, e->comm, o->neighbours, &e->features,
                                        &e->samples, &e->data));
    if (e->features.dims) TW_TRY(evaluate_metrics_measure(&e->metrics, e->comm, &e->features));
done:
    return st;
}

static tw_status evaluate_samples(evaluation *e, const char *path)
{
    tw_status st = TW_OK;
    const options *o = &e->o;
    TW_TRY(check_output(e, path));
    TW_TRY(read_sets(e, path));
    TW_TRY(compare(&e->a, e->comm, &e->samples, &e->data, o));
    TW_TRY(measure_features(e));
    const tw_sliced_options sliced = {.directions = o->directions, .seed = (uint64_t)o->seed};
    if (o->by_class)
        TW_TRY(evaluate_by_class(&e->classes, e->comm, &e->samples, &e->data, &sliced));
    if (o->classifier[0])
        TW_TRY(evaluate_classifier(&e->classes, e->comm, &e->samples, &e->data, o->classifier));
    if (o->spectrum && tw_comm_rank(e->comm) == 0)
        st = evaluate_spectra_compute(&e->spectra, &e->samples, &e->data, o->paired);
    TW_TRY(tw_comm_agree(e->comm, st));
done:
    return st;
}

static tw_status evaluate_arrays(evaluation *e, const char *path)
{
    tw_status st = TW_OK;
    TW_TRY(evaluate_features_read(&e->features, e->comm, path, e->o.reference));
    TW_TRY(evaluate_metrics_measure(&e->metrics, e->comm, &e->features));
done:
    return st;
}

static tw_status set_threads(const tw_comm *comm, int64_t wish)
{
    tw_status st = TW_OK;
    int threads = (int)wish;
    if (threads == 0) TW_TRY(tw_comm_default_threads(comm, &threads));
    omp_set_num_threads(threads);
done:
    return st;
}

static tw_status run(struct tw_comm *comm, int argc, char **argv)
{
    tw_status st = TW_OK;
    tw_arguments arguments;
    evaluation e = {.comm = comm};
    const options *o = &e.o;
    TW_TRY(tw_options_parse(&tw_cmd_evaluate, argc, argv, &e.o, &arguments));
    TW_TRY(check_options(o));
    TW_TRY(evaluate_metrics_bind(&e.metrics, o->metrics, arguments.assignment_count,
                                 arguments.assignments));
    TW_TRY(set_threads(comm, e.metrics.threads));
    if (o->posterior) {
        const posterior_evaluation p = {.restored = arguments.values[0],
                                        .truth = o->truth,
                                        .split = o->split,
                                        .first = o->first,
                                        .json = o->json};
        TW_TRY(evaluate_posterior(comm, &p));
        goto done;
    }
    if (strcmp(o->features, "arrays") == 0)
        TW_TRY(evaluate_arrays(&e, arguments.values[0]));
    else
        TW_TRY(evaluate_samples(&e, arguments.values[0]));
    TW_TRY(print(&e));
done:
    free_evaluation(&e);
    return st;
}

const tw_command tw_cmd_evaluate = {
    .name = "evaluate",
    .summary = "hold a sample set, or posterior samples, against data",
    .usage =
        "SAMPLES.h5 --reference DATA.h5 [compute.threads=N kid.block=N manifold.key=value ...] "
        "| X.h5 --posterior --truth T.h5",
    .help = "Prints the sliced Wasserstein distance of the two sets (0: the same distribution), "
            "beside that of one half of the data to the\n"
            "other, which is what perfect samples would get at half the number; and how means and "
            "deviations differ.",
    .options = table,
    .option_count = sizeof table / sizeof *table,
    .least = 1,
    .most = 1,
    .takes_assignments = true,
    .parallel = true,
    .run = run,
};
