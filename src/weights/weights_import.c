/* From a published file to one of ours: open it, ask the systems whose it is, build the network of
 * the configuration that they find, fill it by the published names, write it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "run/run_config.h"
#include "run/state.h"
#include "tweedie/checkpoint.h"
#include "tweedie/file.h"
#include "tweedie/memory.h"
#include "tweedie/output.h"
#include "tweedie/version.h"
#include "tweedie/weights.h"
#include "weights/names.h"

/* ---- the source ---- */

enum { CONFIG_MAX = 1 << 20 };

static bool is_directory(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* One JSON file beside the weights. @param[out] out  stays NULL where there is none */
static tw_status read_json(tw_source *s, int slot, tw_item **out, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static tw_status read_json(tw_source *s, int slot, tw_item **out, const char *format, ...)
{
    tw_status st = TW_OK;
    char path[4200];
    int64_t bytes = 0;
    FILE *f = NULL;
    va_list arguments;
    va_start(arguments, format);
    const int n = vsnprintf(path, sizeof path, format, arguments);
    va_end(arguments);
    if (n >= (int)sizeof path || !tw_file_exists(path)) return TW_OK;
    TW_TRY(tw_file_size(&bytes, path));
    TW_CHECK(bytes < CONFIG_MAX, TW_EDATA, "%s: %lld bytes are no configuration", path,
             (long long)bytes);
    TW_TRY(tw_alloc(&s->text[slot], bytes + 1, 1, "a configuration"));
    f = fopen(path, "rb");
    TW_CHECK(f && fread(s->text[slot], 1, (size_t)bytes, f) == (size_t)bytes, TW_ENOINPUT,
             "%s: cannot be read", path);
    st = tw_json_read(&s->arena, out, s->text[slot], bytes);
    if (st != TW_OK) tw_error_prefix("%s: ", path);
done:
    if (f) fclose(f);
    return st;
}

/* The weights in a folder as diffusers writes: of a pipeline, or of a network alone. */
static tw_status find_file(tw_source *s)
{
    static const char *const names[] = {"diffusion_pytorch_model.safetensors",
                                        "diffusion_pytorch_model.safetensors.index.json",
                                        "diffusion_pytorch_model.bin"};
    tw_status st = TW_OK;
    char net[4096];
    const bool pipeline =
        snprintf(net, sizeof net, "%s/unet", s->path) < (int)sizeof net && is_directory(net);
    if (!pipeline) TW_TRY(tw_format(net, sizeof net, "%s", s->path));
    TW_TRY(read_json(s, 0, &s->config, "%s/config.json", net));
    TW_TRY(read_json(s, 1, &s->scheduler, "%s/scheduler/scheduler_config.json", s->path));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        TW_TRY(tw_format(s->file, sizeof s->file, "%s/%s", net, names[i]));
        if (tw_file_exists(s->file)) goto done;
    }
    TW_FAIL(TW_ENOINPUT, "%s: is a folder without %s, %s or %s", s->path, names[0], names[1],
            names[2]);
done:
    return st;
}

static tw_status open_source(tw_source *s, const char *path)
{
    tw_status st = TW_OK;
    s->path = path;
    s->arena.left = 64 * CONFIG_MAX;
    if (is_directory(path)) {
        TW_TRY(find_file(s));
    } else {
        const char *slash = strrchr(path, '/');
        const int n = slash ? (int)(slash - path) : 1;
        TW_TRY(tw_format(s->file, sizeof s->file, "%s", path));
        if (strstr(slash ? slash : path, "diffusion_pytorch_model"))
            TW_TRY(read_json(s, 0, &s->config, "%.*s/config.json", n, slash ? path : "."));
    }
    TW_TRY(tw_archive_open(&s->archive, s->file));
done:
    return st;
}

static void close_source(tw_source *s)
{
    tw_archive_close(&s->archive);
    tw_arena_free(&s->arena);
    tw_free(&s->text[0]);
    tw_free(&s->text[1]);
}

/* ---- the system ---- */

static tw_status system_names(tw_text *out)
{
    tw_status st = TW_OK;
    for (int i = 0; i < tw_system_count; i++)
        TW_TRY(tw_text_add(out, "%s%s", i ? ", " : "", tw_system_table[i]->name));
done:
    return st;
}

static tw_status add_nearest_system(tw_text *out, const char *wanted)
{
    const char *names[64];
    const int count = tw_system_count < 64 ? tw_system_count : 64;
    for (int i = 0; i < count; i++) names[i] = tw_system_table[i]->name;
    return tw_text_add_nearest(out, wanted, names, count);
}

static tw_status choose_system(const tw_system **out, const tw_source *s, const char *from)
{
    tw_status st = TW_OK;
    tw_text names = {0};
    tw_claim best = TW_CLAIM_NO;
    for (int i = 0; i < tw_system_count; i++) {
        const tw_system *one = tw_system_table[i];
        const bool named = from && *from;
        const tw_claim claim = !named                         ? one->claims(s)
                               : strcmp(from, one->name) == 0 ? TW_CLAIM_SURE
                                                              : TW_CLAIM_NO;
        if (claim <= best) continue;
        best = claim;
        *out = one;
    }
    TW_TRY(system_names(&names));
    if (!best && from && *from) TW_TRY(add_nearest_system(&names, from));
    TW_CHECK(best || !from || !*from, TW_EUSAGE, "--from %s: no such system (%s)", from,
             names.data);
    TW_CHECK(best, TW_EDATA,
             "%s: its tensors are named like those of no known system; --from says whose they are "
             "(%s)",
             s->file, names.data);
done:
    tw_text_free(&names);
    return st;
}

/* ---- the network ---- */

typedef struct importing {
    const tw_weights_import_options *o;
    tw_source source;
    const tw_system *system;
    tw_found found;
    tw_config *config;
    char *config_text;
    tw_run_config run;
    tw_taken taken;
} importing;

static tw_status bind(importing *k)
{
    tw_status st = TW_OK;
    const tw_weights_import_options *o = k->o;
    TW_TRY(tw_config_create(&k->config));
    if (o->config && *o->config)
        TW_TRY(tw_config_read(k->config, o->config));
    else if (k->found.config.data)
        TW_TRY(tw_config_parse(k->config, k->found.config.data, k->found.config.length,
                               k->source.file));
    TW_TRY(tw_config_override(k->config, o->assignment_count, o->assignments));
    TW_TRY(tw_run_config_bind(&k->run, k->config, TW_RUN_ALL, NULL));
    TW_TRY(tw_config_finish(k->config));
    TW_CHECK(k->run.train.shape.count == 3, TW_ECONFIG,
             "data.shape: height, width and channels of the samples must be given");
    TW_TRY(tw_config_text(k->config, &k->config_text));
done:
    return st;
}

/* The height that an assignment gives, which heights of attention follow from; 0: none does. */
static int64_t asked_height(const tw_weights_import_options *o)
{
    int64_t height = 0;
    for (int i = 0; i < o->assignment_count; i++)
        if (strncmp(o->assignments[i], "data.shape=", 11) == 0)
            height = strtoll(o->assignments[i] + 11, NULL, 10);
    return height > 0 && height < 1 << 20 ? height : 0;
}

static tw_status make_model(importing *k)
{
    tw_status st = TW_OK;
    const tw_config_ints *shape = &k->run.train.shape;
    TW_CHECK(!k->run.train.condition, TW_ECONFIG,
             "data.condition: weights that are imported are those of unconditional models");
    TW_TRY(tw_model_create(k->run.model, tw_shape_make(shape->values, (int)shape->count), 0));
    st = tw_names_take(&k->taken, k->run.model, &k->found, &k->source, k->system);
    if (st != TW_OK) tw_error_prefix("%s: ", k->source.file);
done:
    return st;
}

/* ---- the file ---- */

static tw_status describe(tw_checkpoint_meta *meta, const importing *k)
{
    tw_status st = TW_OK;
    const int64_t *shape = k->run.train.shape.values;
    const tw_dataset_spec samples = {.kind = TW_DATASET_UINT8,
                                     .height = shape[0],
                                     .width = shape[1],
                                     .channels = shape[2],
                                     .num_classes = k->run.model->classes};
    *meta = (tw_checkpoint_meta){.step = k->found.step,
                                 .ranks = 1,
                                 .threads = 1,
                                 .precision = "f32",
                                 .config = k->config_text};
    TW_TRY(tw_format(meta->versions, sizeof meta->versions, "tweedie %s", tw_version()));
    TW_TRY(tw_format(meta->weights, sizeof meta->weights, "%s", k->found.weights.data));
    TW_TRY(tw_format(meta->source, sizeof meta->source, "%.500s", k->source.file));
    TW_TRY(tw_state_describe_samples(meta, &samples));
done:
    return st;
}

static tw_status write_file(const importing *k)
{
    tw_status st = TW_OK;
    tw_state *state = NULL;
    tw_checkpoint_meta meta;
    tw_output out = {.part = ""};
    const tw_output_mode mode = k->o->replace ? TW_OUTPUT_REPLACE : TW_OUTPUT_NEW;
    const tw_state_group group = {"params", k->run.model->params->value};
    TW_TRY(describe(&meta, k));
    TW_TRY(tw_state_create(&state, k->run.model->params, &group, 1));
    tw_state_snapshot(state);
    TW_TRY(tw_output_begin(&out, k->o->out, mode));
    st = tw_weights_write(out.part, state->arrays, state->count, &meta);
    if (st == TW_EDIVERGED) st = TW_EDATA; /* a value that is not finite is the file's */
    if (st != TW_OK) tw_error_prefix("%s: ", k->source.file);
    if (st != TW_OK) goto done;
    TW_TRY(tw_output_publish(&out));
done:
    tw_output_discard(&out);
    tw_state_destroy(&state);
    return st;
}

static tw_status report(tw_weights_import_result *out, importing *k)
{
    tw_status st = TW_OK;
    const int64_t *shape = k->run.train.shape.values;
    TW_TRY(
        tw_format(out->container, sizeof out->container, "%s", k->source.archive->container->name));
    TW_TRY(tw_format(out->system, sizeof out->system, "%s", k->system->name));
    TW_TRY(tw_format(out->weights, sizeof out->weights, "%s", k->found.weights.data));
    out->network = k->found.network;
    k->found.network = (tw_text){0};
    out->unused = k->taken.unused;
    k->taken.unused = (tw_text){0};
    out->tensors = k->taken.tensors;
    out->parameters = k->taken.values;
    out->height = shape[0];
    out->width = shape[1];
    out->channels = shape[2];
    out->classes = k->run.model->classes;
    out->assumed = k->found.assumed;
    k->found.assumed = (tw_text){0};
    out->has_ema = k->found.has_ema;
done:
    return st;
}

tw_status tw_weights_import(tw_weights_import_result *out, const tw_weights_import_options *o)
{
    tw_status st = TW_OK;
    importing k = {
        .o = o, .found.configured = o->config && *o->config, .found.height = asked_height(o)};
    const tw_output_mode mode = o->replace ? TW_OUTPUT_REPLACE : TW_OUTPUT_NEW;
    TW_TRY(tw_output_check(o->out, mode, &o->path, 1));
    TW_TRY(open_source(&k.source, o->path));
    TW_TRY(choose_system(&k.system, &k.source, o->from));
    st = k.system->read(&k.found, &k.source, o->ema);
    if (st != TW_OK) tw_error_prefix("%s: %s: ", k.source.file, k.system->name);
    if (st != TW_OK) goto done;
    TW_TRY(bind(&k));
    TW_TRY(make_model(&k));
    TW_TRY(write_file(&k));
    TW_TRY(report(out, &k));
done:
    tw_run_config_free(&k.run);
    tw_config_destroy(&k.config);
    tw_free(&k.config_text);
    tw_text_free(&k.taken.unused);
    tw_text_free(&k.found.config);
    tw_text_free(&k.found.network);
    tw_text_free(&k.found.weights);
    tw_text_free(&k.found.assumed);
    tw_state_dict_free(&k.found.state);
    close_source(&k.source);
    return st;
}

void tw_weights_import_free(tw_weights_import_result *result)
{
    tw_text_free(&result->network);
    tw_text_free(&result->unused);
    tw_text_free(&result->assumed);
}
