/* tweedie import-weights: a weights file of ours from a published checkpoint. */
#include <stdio.h>

#include "cli/command.h"
#include "tweedie/json.h"
#include "tweedie/log.h"
#include "tweedie/weights.h"
#include "weights/system.h"

typedef struct options {
    const char *out, *from, *config;
    bool ema, force, json;
} options;

extern const tw_command tw_cmd_import_weights;

static const tw_option table[] = {
    {"out", TW_CONFIG_STRING, offsetof(options, out), NULL, .value = "W.h5",
     .help = "the weights file to be made"},
    {"from", TW_CONFIG_STRING, offsetof(options, from), "", .value = "SYSTEM",
     .help = "which of those above wrote it, where its names do not say"},
    {"ema", TW_CONFIG_BOOL, offsetof(options, ema), "false",
     .help = "take the EMA weights, of files that hold both"},
    {"config", TW_CONFIG_STRING, offsetof(options, config), "", .value = "CONFIG.ini",
     .help = "the network's configuration (default: found in the file or from its shapes)"},
    {"force", TW_CONFIG_BOOL, offsetof(options, force), "false",
     .help = "replace W.h5 if it exists"},
    {"json", TW_CONFIG_BOOL, offsetof(options, json), "false", .help = "print one JSON object"},
};

static bool kind(int i, tw_command_kind *out)
{
    if (i >= tw_system_count) return false;
    *out =
        (tw_command_kind){.name = tw_system_table[i]->name, .summary = tw_system_table[i]->summary};
    return true;
}

static tw_status print_json(const char *path, const tw_weights_import_result *r)
{
    tw_status st = TW_OK;
    tw_json j = {0};
    tw_json_object(&j, NULL);
    tw_json_string(&j, "path", path);
    tw_json_string(&j, "container", r->container);
    tw_json_string(&j, "system", r->system);
    tw_json_string(&j, "network", r->network.data);
    tw_json_string(&j, "weights", r->weights);
    tw_json_int64(&j, "tensors", r->tensors);
    tw_json_int64(&j, "parameters", r->parameters);
    tw_json_string(&j, "unused", r->unused.data);
    tw_json_list(&j, "shape");
    tw_json_int64(&j, NULL, r->height);
    tw_json_int64(&j, NULL, r->width);
    tw_json_int64(&j, NULL, r->channels);
    tw_json_end(&j);
    tw_json_int64(&j, "num_classes", r->classes);
    tw_json_string(&j, "assumed", r->assumed.data);
    tw_json_end(&j);
    TW_TRY(tw_json_finish(&j));
    printf("%s\n", j.text.data);
done:
    tw_text_free(&j.text);
    return st;
}

static void print(const char *path, const tw_weights_import_result *r)
{
    printf("recognised  %s (%s, %s)\n", r->network.data ? r->network.data : "as configured",
           r->system, r->container);
    printf("samples     %lld x %lld x %lld", (long long)r->height, (long long)r->width,
           (long long)r->channels);
    if (r->classes) printf(" of %lld classes", (long long)r->classes);
    printf("\nused        %lld tensors of %lld values, %s\n", (long long)r->tensors,
           (long long)r->parameters, r->weights);
    if (r->unused.data) printf("not needed  %s\n", r->unused.data);
    printf("%s\n", path);
}

static tw_status run(struct tw_comm *comm, int argc, char **argv)
{
    tw_status st = TW_OK;
    options o;
    tw_arguments a;
    tw_weights_import_result r = {.system = ""};
    (void)comm;
    TW_TRY(tw_options_parse(&tw_cmd_import_weights, argc, argv, &o, &a));
    const tw_weights_import_options import = {.path = a.values[0],
                                              .out = o.out,
                                              .replace = o.force,
                                              .from = o.from,
                                              .ema = o.ema,
                                              .config = o.config,
                                              .assignment_count = a.assignment_count,
                                              .assignments = a.assignments};
    TW_TRY(tw_weights_import(&r, &import));
    if (o.json)
        TW_TRY(print_json(o.out, &r));
    else
        print(o.out, &r);
    if (r.assumed.data)
        tw_log_warn("%s does not say, and what is published is assumed: %s; section.key=value says "
                    "other",
                    a.values[0], r.assumed.data);
    if (r.has_ema)
        tw_log_warn("%s also holds EMA weights, which samples are usually made with: --ema takes "
                    "them",
                    a.values[0]);
done:
    tw_weights_import_free(&r);
    return st;
}

const tw_command tw_cmd_import_weights = {
    .name = "import-weights",
    .summary = "make a weights file from a published checkpoint",
    .usage = "FILE_OR_FOLDER --out W.h5 [section.key=value ...]",
    .help = "Reads what these systems wrote, in torch's zip and legacy files, safetensors, flax "
            "msgpack and EDM's pickles. Pickles are read,\n"
            "never run: what names anything but tensors and plain values is refused. sample, "
            "likelihood and train --init take the weights file.\n"
            "Assignments go over the configuration that was found: data.shape=64,64,3 ...",
    .options = table,
    .option_count = sizeof table / sizeof *table,
    .kind = kind,
    .kinds_listed = true,
    .kind_option = "from",
    .least = 1,
    .most = 1,
    .takes_assignments = true,
    .run = run,
};
