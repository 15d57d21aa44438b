/* A configuration that suits a dataset. Sizes follow the shipped configurations: 28 x 28 grey
 * digits have 1 million parameters and 3 levels, 32 x 32 photographs the published 4 levels. */
#include "cli/init_config.h"

#include <string.h>

static const init_preset presets[] = {
    {"ddpm", "DDPM: 1000 noise levels, the noise is predicted",
     "[process]\nkind = ddpm\nschedule = linear\ntimesteps = 1000\n\n"
     "[objective]\nkind = denoising\n\n",
     1000},
    {"vp", "variance-preserving SDE, v is predicted: samples by SDE or ODE, exact likelihoods",
     "[process]\nkind = vp\nbeta_min = 0.1\nbeta_max = 20\n\n[prediction]\nkind = v\n\n"
     "[objective]\nkind = denoising\nstratified = yes\n\n",
     0},
    {"edm", "EDM: the preconditioned denoiser, 18 steps of Heun's method",
     "[process]\nkind = edm\n\n"
     "# tweedie schedule measures the data's own sigma_data, and log_mean and log_std beside it\n"
     "[prediction]\nkind = edm\nsigma_data = 0.5\n\n"
     "[objective]\nkind = denoising\nweighting = edm\nsigma_data = 0.5\ntimes = lognormal\n"
     "log_mean = -1.2\nlog_std = 1.2\nstratified = yes\n\n",
     0},
    {"flow", "flow matching: straight paths, the velocity is predicted",
     "[process]\nkind = flow\n\n[prediction]\nkind = velocity\n\n"
     "[objective]\nkind = denoising\nstratified = yes\n\n",
     0},
};
enum { PRESETS = sizeof presets / sizeof *presets };

const init_preset *init_preset_get(int i)
{
    return i < PRESETS ? &presets[i] : NULL;
}

tw_status init_preset_find(const init_preset **out, const char *name)
{
    tw_status st = TW_OK;
    const char *names[PRESETS];
    tw_text all = {0};
    for (int i = 0; i < PRESETS; i++) {
        names[i] = presets[i].name;
        TW_TRY(tw_text_add(&all, "%s%s", i ? ", " : "", names[i]));
        if (strcmp(names[i], name) != 0) continue;
        *out = &presets[i];
        goto done;
    }
    TW_TRY(tw_text_add_nearest(&all, name, names, PRESETS));
    TW_FAIL(TW_EUSAGE, "--preset: there is no \"%s\"; there are %s", name, all.data);
done:
    tw_text_free(&all);
    return st;
}

/* The first level is as high as the samples, the last some 4 to 8 pixels. */
static void fit_levels(init_plan *p)
{
    const int64_t side = p->height < p->width ? p->height : p->width;
    const int64_t most = side > 64 ? 6 : 4;
    p->levels = 1;
    for (int64_t s = side; s >= 8 && p->levels < most; s /= 2) p->levels++;
    const int64_t most_attention = p->base > 32 ? 16 : 8;
    const int64_t multiple = (int64_t)1 << (p->levels - 1);
    p->reduced = p->height % multiple != 0 || p->width % multiple != 0;
    p->attention = (p->height + multiple - 1) / multiple * multiple;
    while (p->attention > most_attention && p->attention % 2 == 0) p->attention /= 2;
}

static void fit_images(init_plan *p)
{
    const int64_t numbers = p->height * p->width * p->channels;
    p->base = numbers <= 1024 ? 32 : numbers <= 64 * 64 * 4 ? 64 : 128;
    fit_levels(p);
    p->groups = p->base / 4;
    p->batch = numbers <= 64 * 64 * 4 ? 64 : 16;
    p->steps = numbers <= 1024 ? 20000 : 200000;
}

void init_plan_fit(init_plan *p, const tw_dataset_spec *spec)
{
    p->kind = spec->kind;
    p->height = spec->height;
    p->width = spec->width;
    p->channels = spec->channels;
    p->classes = spec->num_classes;
    p->conditional = spec->condition != NULL;
    p->samples = spec->count;
    p->split = "all";
    for (int i = 0; i < spec->split_count; i++) {
        const tw_dataset_split *s = &spec->splits[i];
        const bool test = strcmp(s->name, "test") == 0;
        if (test || strncmp(s->name, "val", 3) == 0) {
            if (!p->validation || test) p->validation = s->name;
        } else if (strcmp(p->split, "all") == 0 || strcmp(s->name, "train") == 0) {
            p->split = s->name;
            p->samples = s->last - s->first;
        }
    }
    if (p->kind == TW_DATASET_POINTS) {
        p->base = p->channels <= 32 ? 128 : p->channels <= 256 ? 512 : 1024;
        p->batch = 512;
        p->steps = 15000;
    } else {
        fit_images(p);
    }
    while (p->batch > p->samples)
        p->batch /= 2; /* a power of two: many numbers of ranks divide it */
    if (p->batch < 1) p->batch = 1;
}

static tw_status add_head(tw_text *out, const init_plan *p)
{
    tw_status st = TW_OK;
    char time[TW_DURATION], hours[TW_DURATION];
    TW_TRY(tw_text_add(out,
                       "# %s.\n#\n#   tweedie inspect --keys THIS.ini       all keys there are\n"
                       "#   tweedie train THIS.ini --run RUN\n",
                       p->preset->summary));
    if (p->step_seconds > 0) {
        const double seconds = p->step_seconds * (double)p->steps;
        tw_text_duration(time, seconds);
        tw_text_amount(hours, seconds / 3600);
        TW_TRY(tw_text_add(out,
                           "#\n# A step takes %.3g s on %d core%s of this machine: %lld steps, %s "
                           "(%s hours).\n",
                           p->step_seconds, p->cores, p->cores == 1 ? "" : "s", (long long)p->steps,
                           time, hours));
    }
    TW_TRY(tw_text_add(out, "\n[run]\nseed = 0\n\n[data]\npath = %s\nsplit = %s\n", p->path,
                       p->split));
    if (p->validation) TW_TRY(tw_text_add(out, "validation_split = %s\n", p->validation));
    if (p->conditional) TW_TRY(tw_text_add(out, "condition = yes\n"));
    if (p->kind != TW_DATASET_POINTS)
        TW_TRY(
            tw_text_add(out, "# yes: images are mirrored at random, left to right\nflip = no\n"));
done:
    return st;
}

static tw_status add_network(tw_text *out, const init_plan *p)
{
    tw_status st = TW_OK;
    if (p->kind == TW_DATASET_POINTS) {
        TW_TRY(tw_text_add(out, "\n[network]\nkind = mlp\nwidth = %lld\ndepth = 3\n",
                           (long long)p->base));
    } else {
        TW_TRY(tw_text_add(out, "\n[network]\nkind = unet\nbase = %lld\nmult = 1",
                           (long long)p->base));
        for (int64_t i = 1; i < p->levels; i++) TW_TRY(tw_text_add(out, ", %d", i < 4 ? 2 : 4));
        TW_TRY(tw_text_add(out, "\nblocks = %d\ngroups = %lld\nattention = %lld\ndropout = 0.1\n",
                           p->base > 32 ? 2 : 1, (long long)p->groups, (long long)p->attention));
        if (p->reduced)
            TW_TRY(tw_text_add(out, "# %lld x %lld cannot be halved %lld times\npad = reflect\n",
                               (long long)p->height, (long long)p->width,
                               (long long)p->levels - 1));
    }
    if (p->classes > 1)
        TW_TRY(tw_text_add(out,
                           "# for samples of a class that is asked for:\n# classes = %lld\n"
                           "# label_dropout = 0.1\n",
                           (long long)p->classes));
    TW_TRY(tw_text_add(out, "\n%s", p->preset->sections));
done:
    return st;
}

static int64_t at_least(int64_t value, int64_t least)
{
    return value < least ? least : value;
}

static tw_status add_training(tw_text *out, const init_plan *p)
{
    tw_status st = TW_OK;
    const bool points = p->kind == TW_DATASET_POINTS;
    const long long steps = (long long)p->steps;
    const long long save = (long long)at_least(p->steps / 20, 1);
    TW_TRY(tw_text_add(out, "[train]\nsteps = %lld\nbatch = %lld\n\n", steps, (long long)p->batch));
    TW_TRY(tw_text_add(out,
                       "[optimizer]\nlearning_rate = %s\nwarmup = %lld\ndecay = %s\nclip = 1\n\n",
                       points          ? "0.005"
                       : p->base <= 32 ? "0.0005"
                                       : "0.0002",
                       (long long)(p->steps < 100000 ? p->steps / 100 : 1000),
                       steps < 100000 ? "cosine" : "constant"));
    TW_TRY(tw_text_add(out, "[ema]\nrates = %s\nwarmup = yes\n\n",
                       steps < 5000     ? "0.995"
                       : steps < 100000 ? "0.999"
                                        : "0.9999"));
    TW_TRY(tw_text_add(out, "[checkpoint]\nevery = %lld\nkeep = 3\n\n", save));
    TW_TRY(tw_text_add(out, "[log]\nevery = 50\ngrid_every = %lld\n",
                       points && p->channels != 2 ? 0 : (long long)at_least(p->steps / 10, 1)));
    TW_TRY(tw_text_add(out, "validate_every = %lld\n\n", p->validation ? save : 0));
done:
    return st;
}

static tw_status add_sampler(tw_text *out, const init_plan *p)
{
    tw_status st = TW_OK;
    if (p->preset->timesteps)
        TW_TRY(tw_text_add(out, "[sample]\nkind = ancestral\nvariance = fixedlarge\n"));
    else if (strcmp(p->preset->name, "edm") == 0)
        TW_TRY(tw_text_add(out, "[sample]\nkind = heun\nsteps = 18\n"));
    else
        TW_TRY(tw_text_add(out, "[sample]\nkind = ode\n"));
    if (p->kind == TW_DATASET_POINTS) TW_TRY(tw_text_add(out, "batch = 512\n"));
done:
    return st;
}

tw_status init_plan_write(tw_text *out, const init_plan *p)
{
    tw_status st = TW_OK;
    TW_TRY(add_head(out, p));
    TW_TRY(add_network(out, p));
    TW_TRY(add_training(out, p));
    TW_TRY(add_sampler(out, p));
done:
    return st;
}
