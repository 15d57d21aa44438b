/* tweedie schedule: noise levels that suit a dataset, as a configuration. */
#include <math.h>
#include <stdio.h>

#include "cli/command.h"
#include "tweedie/comm.h"
#include "tweedie/data.h"
#include "tweedie/json.h"
#include "tweedie/memory.h"
#include "tweedie/noise_scales.h"

typedef struct options {
    const char *split;
    int64_t sample, steps, evaluations;
    double sigma_min, sigma_max, overlap;
    int kind;
    bool json;
} options;

enum { FOR_LADDER, FOR_EDM };

extern const tw_command tw_cmd_schedule;

static const tw_option table[] = {
    {"split", TW_CONFIG_STRING, offsetof(options, split), "", .value = "NAME",
     .help = "which of the data (default: train where there is one; \"all\")"},
    {"sample", TW_CONFIG_INT64, offsetof(options, sample), "0", .min = 0, .max = 1e9, .value = "N",
     .help = "compare only the N samples that are farthest from the mean; 0: all"},
    {"process", TW_CONFIG_CHOICE, offsetof(options, kind), "ladder", .choices = "ladder|edm",
     .value = "KIND", .help = "whose configuration is printed"},
    {"sigma-min", TW_CONFIG_DOUBLE, offsetof(options, sigma_min), "0", .min = 0, .max = 1e6,
     .value = "S",
     .help = "smallest level of the ladder, model units; 0: 0.01 of what the published "
             "configurations have, images in [0, 1] (0.02 for uint8 images, which are in [-1, 1])"},
    {"sigma-max", TW_CONFIG_DOUBLE, offsetof(options, sigma_max), "0", .min = 0, .max = 1e6,
     .value = "S", .help = "largest level, in place of the largest distance"},
    {"overlap", TW_CONFIG_DOUBLE, offsetof(options, overlap), "0.567", .min = 0.001, .max = 0.99,
     .value = "P",
     .help = "of neighbouring levels; the paper says about 0.5, its configurations have 0.567"},
    {"steps", TW_CONFIG_INT64, offsetof(options, steps), "5", .min = 1, .max = 1e6, .value = "T",
     .help = "Langevin steps at each level"},
    {"evaluations", TW_CONFIG_INT64, offsetof(options, evaluations), "0", .min = 0, .max = 1e9,
     .value = "N", .help = "of the network, for a sample: --steps is chosen to need no more"},
    {"json", TW_CONFIG_BOOL, offsetof(options, json), "false", .help = "print one JSON object"},
};

typedef struct answer {
    tw_data_scale data;
    double sigma_min, sigma_max, ratio, step, variance;
    int64_t levels, steps;
    double log_mean, log_std, edm_min, edm_max; /* of EDM, whose own are for sigma_data = 0.5 */
} answer;

static tw_status read_samples(void *self, int64_t first, int64_t count, float *x)
{
    return tw_dataset_read(self, first, count, x, NULL);
}

/* Technique 2 is about many dimensions: below 5 levels overlap at any ratio, and a little above at
 * ratios that no network bridges. NCSN's own ladder has 1.67. */
enum { RATIO_MOST = 2 };

static double ratio_of(int64_t dims, double overlap)
{
    return fmin(tw_noise_ratio(dims, overlap), RATIO_MOST);
}

static tw_status choose(answer *a, const options *o, const tw_dataset_spec *spec)
{
    tw_status st = TW_OK;
    const double unit = a->data.std / 0.5;
    TW_CHECK(a->data.distance > 0 || o->sigma_max > 0, TW_EDATA,
             "all samples are equal: no noise level follows from them (--sigma-max gives one)");
    a->sigma_min = o->sigma_min > 0 ? o->sigma_min : spec->kind == TW_DATASET_UINT8 ? 0.02 : 0.01;
    a->sigma_max = o->sigma_max > 0 ? o->sigma_max : a->data.distance;
    TW_CHECK(a->sigma_min < a->sigma_max, TW_EUSAGE,
             "the smallest level, %g, is not below the largest, %g; --sigma-min gives another",
             a->sigma_min, a->sigma_max);
    a->levels = tw_noise_levels(a->sigma_max, a->sigma_min, ratio_of(a->data.dims, o->overlap));
    a->ratio = pow(a->sigma_max / a->sigma_min, 1 / (double)(a->levels - 1));
    a->steps = o->evaluations > 0 ? o->evaluations / a->levels : o->steps;
    TW_CHECK(a->steps >= 1, TW_EUSAGE,
             "--evaluations %lld: the ladder has %lld levels, and each needs a step",
             (long long)o->evaluations, (long long)a->levels);
    a->step = tw_noise_step(a->steps, a->sigma_min, a->ratio);
    a->variance = tw_noise_variance(a->step, a->steps, a->sigma_min, a->ratio);
    a->log_mean = -1.2 + log(unit);
    a->log_std = 1.2;
    a->edm_min = 0.002 * unit;
    a->edm_max = 80 * unit;
done:
    return st;
}

static tw_status print_json(const answer *a)
{
    tw_status st = TW_OK;
    tw_json json = {0};
    tw_json_object(&json, NULL);
    tw_json_int64(&json, "samples", a->data.count);
    tw_json_int64(&json, "dimensions", a->data.dims);
    tw_json_int64(&json, "compared", a->data.compared);
    tw_json_double(&json, "largest_distance", a->data.distance);
    tw_json_double(&json, "largest_distance_at_most", a->data.most);
    tw_json_double(&json, "sigma_max", a->sigma_max);
    tw_json_double(&json, "sigma_min", a->sigma_min);
    tw_json_int64(&json, "levels", a->levels);
    tw_json_double(&json, "ratio", a->ratio);
    tw_json_int64(&json, "corrector_steps", a->steps);
    tw_json_double(&json, "step_size", a->step);
    tw_json_double(&json, "variance", a->variance);
    tw_json_double(&json, "sigma_data", a->data.std);
    tw_json_double(&json, "log_mean", a->log_mean);
    tw_json_double(&json, "log_std", a->log_std);
    tw_json_double(&json, "edm_sigma_min", a->edm_min);
    tw_json_double(&json, "edm_sigma_max", a->edm_max);
    tw_json_end(&json);
    TW_TRY(tw_json_finish(&json));
    printf("%s\n", json.text.data);
done:
    tw_text_free(&json.text);
    return st;
}

static void print_findings(const answer *a, const options *o, const char *path)
{
    printf("# Noise levels for %s: %lld samples of %lld numbers, in model units.\n#\n", path,
           (long long)a->data.count, (long long)a->data.dims);
    printf("# largest distance of two samples  %.6g", a->data.distance);
    if (a->data.most > a->data.distance)
        printf(" among %lld, the farthest from the mean; at most %.6g (+%.2g %%)",
               (long long)a->data.compared, a->data.most,
               100 * (a->data.most / a->data.distance - 1));
    printf("\n# deviation of all numbers         %.6g\n#\n", a->data.std);
    printf("# NCSNv2 (Song and Ermon 2020): sigma_max is the largest distance (technique 1); "
           "%lld levels of ratio\n# %.6g are the fewest whose neighbours overlap by %g (technique "
           "2; the paper says about 0.5, which would\n# be %lld levels, and its configurations "
           "follow from 0.567); step_size brings the noise after %lld steps\n# nearest to the "
           "level's own: its variance is %.4f of it (technique 4).\n",
           (long long)a->levels, a->ratio, o->overlap,
           (long long)tw_noise_levels(a->sigma_max, a->sigma_min, ratio_of(a->data.dims, 0.5)),
           (long long)a->steps, a->variance);
    if (tw_noise_ratio(a->data.dims, o->overlap) > RATIO_MOST)
        printf("# Technique 2 is for many dimensions: in %lld the ratio is %d, not what it says.\n",
               (long long)a->data.dims, RATIO_MOST);
    printf("# EDM (Karras et al. 2022): ln sigma ~ N(%.4g, %.2g^2), sigma from %.4g to %.4g: the "
           "published\n# -1.2, 1.2, 0.002 and 80 are for sigma_data = 0.5.\n\n",
           a->log_mean, a->log_std, a->edm_min, a->edm_max);
}

static void print_network(const tw_dataset_spec *spec, const char *path)
{
    printf("[data]\npath = %s\n\n[network]\n", path);
    if (spec->kind == TW_DATASET_POINTS)
        printf("kind = mlp\n\n");
    else
        printf("kind = unet\nbase = 32\nmult = 1, 2, 2\nblocks = 1\n\n");
    printf("[train]\nsteps = 20000\nbatch = %d\n\n[optimizer]\nlearning_rate = 0.0005\nwarmup = "
           "200\n\n[ema]\nrates = 0.999\n\n",
           spec->kind == TW_DATASET_POINTS ? 512 : 64);
}

static void print_ladder(const answer *a)
{
    printf("[process]\nkind = ladder\nsigma_min = %.6g\nsigma_max = %.6g\nlevels = %lld\n\n",
           a->sigma_min, a->sigma_max, (long long)a->levels);
    printf("[prediction]\nkind = score_sigma\n\n[objective]\nkind = denoising\nweighting = "
           "ncsn\nreduce = half_sum\n\n");
    printf("[sample]\nkind = annealed_langevin\ncorrector = langevin\nstep_rule = ncsn\n"
           "corrector_steps = %lld\nstep_size = %.6g\ndenoise = yes\n",
           (long long)a->steps, a->step);
}

static void print_edm(const answer *a)
{
    printf("[process]\nkind = edm\nsigma_min = %.6g\nsigma_max = %.6g\n\n", a->edm_min, a->edm_max);
    printf("[prediction]\nkind = edm\nsigma_data = %.6g\n\n[objective]\nkind = denoising\n"
           "weighting = edm\nreduce = sum\ntimes = lognormal\nlog_mean = %.6g\nlog_std = %.6g\n\n",
           a->data.std, a->log_mean, a->log_std);
    printf("[sample]\nkind = heun\nsteps = 18\n");
}

static tw_status run(struct tw_comm *comm, int argc, char **argv)
{
    tw_status st = TW_OK;
    options o;
    tw_arguments arguments;
    tw_dataset *data = NULL;
    answer a = {0};
    TW_TRY(tw_options_parse(&tw_cmd_schedule, argc, argv, &o, &arguments));
    const char *path = arguments.values[0];
    const tw_dataset_options opening = {.path = path, .split = o.split};
    TW_TRY(tw_dataset_open(&data, comm, &opening));
    const tw_dataset_spec *spec = tw_dataset_get_spec(data);
    st = tw_data_scale_measure(&a.data, comm, read_samples, data, tw_dataset_count(data),
                               tw_dataset_elements(spec), o.sample);
    if (st != TW_OK) tw_error_prefix("%s: ", path);
    TW_TRY(st);
    TW_TRY(choose(&a, &o, spec));
    if (tw_comm_rank(comm) > 0) goto done;
    if (o.json) {
        TW_TRY(print_json(&a));
        goto done;
    }
    print_findings(&a, &o, path);
    print_network(spec, path);
    if (o.kind == FOR_EDM)
        print_edm(&a);
    else
        print_ladder(&a);
done:
    tw_dataset_destroy(&data);
    return st;
}

const tw_command tw_cmd_schedule = {
    .name = "schedule",
    .summary = "measure data, and choose noise levels for them",
    .usage = "DATA.h5 [--process ladder|edm]",
    .help =
        "Measures the largest distance of two samples and the deviation, and prints a "
        "configuration for `tweedie train` with the noise levels that\n"
        "follow: NCSNv2's techniques 1, 2 and 4, or EDM's scales. The largest distance is exact "
        "unless --sample leaves some out, and then comes\n"
        "with a bound. Ranks share the work.",
    .options = table,
    .option_count = sizeof table / sizeof *table,
    .least = 1,
    .most = 1,
    .parallel = true,
    .run = run,
};
