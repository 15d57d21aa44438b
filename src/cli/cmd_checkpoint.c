/* tweedie checkpoint: looks at checkpoints, and does the work of the checkpoint job. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/checkpoint_diff.h"
#include "cli/command.h"
#include "tweedie/checkpoint.h"
#include "tweedie/clock.h"
#include "tweedie/file.h"
#include "tweedie/json.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"
#include "tweedie/text.h"

typedef struct options {
    bool json, dry_run, force;
    const char *weights, *out, *to;
    int64_t keep, every;
} options;

extern const tw_command tw_cmd_checkpoint;

static const tw_option table[] = {
    {"json", TW_CONFIG_BOOL, offsetof(options, json), "false", .help = "print one JSON object"},
    {"weights", TW_CONFIG_STRING, offsetof(options, weights), "", .value = "raw|ema:RATE",
     .kinds = "export", .help = "which ones (default: the run's first EMA, else raw)"},
    {"out", TW_CONFIG_STRING, offsetof(options, out), "", .value = "FILE", .kinds = "export",
     .help = "the new file (default: RUN/weights/step-STEP-WEIGHTS.h5)"},
    {"force", TW_CONFIG_BOOL, offsetof(options, force), "false", .kinds = "export",
     .help = "replace the --out FILE if it exists"},
    {"keep", TW_CONFIG_INT64, offsetof(options, keep), "3", .min = 0, .max = 1e9, .value = "K",
     .kinds = "prune", .help = "keep the newest K"},
    {"every", TW_CONFIG_INT64, offsetof(options, every), "0", .min = 0, .max = 1e12, .value = "M",
     .kinds = "prune", .help = "keep those whose step is a multiple of M for ever (0: none)"},
    {"dry-run", TW_CONFIG_BOOL, offsetof(options, dry_run), "false", .kinds = "prune",
     .help = "only say what would go"},
    {"to", TW_CONFIG_STRING, offsetof(options, to), "", .value = "DIR", .kinds = "drain",
     .help = "where the copies go"},
};

/* What a subcommand works with. It adds to `json`, whose outermost object is open, and prints text
 * itself where JSON is not asked for. */
typedef struct call {
    options o;
    int count;
    char **paths;
    tw_json json;
} call;

static bool is_directory(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* ---- list
 * -------------------------------------------------------------------------------------------------------------------------
 */

/* The last loss of its history, a number of one step; NaN where there is none. */
static double last_loss(const tw_checkpoint *file)
{
    const tw_checkpoint_meta *m = tw_checkpoint_meta_view(file);
    return m->loss_count > 0 ? m->losses[2 * m->loss_count - 1] : NAN;
}

static void print_header(void)
{
    printf("%12s  %10s  %10s  %10s  %-8s %s\n", "step", "MB", "age", "loss", "state", "file");
}

static void print_row(int64_t step, int64_t bytes, double age, double loss, bool valid,
                      const char *path)
{
    char number[32] = "-", old[TW_DURATION] = "-";
    if (isfinite(loss)) snprintf(number, sizeof number, "%.4g", loss);
    if (isfinite(age)) tw_text_duration(old, age);
    printf("%12lld  %10.1f  %10s  %10s  %-8s %s\n", (long long)step, (double)bytes / 1e6, old,
           number, valid ? "valid" : "DAMAGED", path);
}

/* Whatever bears the name of a checkpoint, a pipe too; but nothing of what was pruned meanwhile. */
static void list_one(call *c, const char *path, int64_t step, int64_t *bad)
{
    int64_t bytes = 0;
    double loss = NAN;
    char digest[TW_CHECKPOINT_DIGEST];
    tw_checkpoint *file = NULL;
    const bool valid = tw_checkpoint_open(&file, path) == TW_OK;
    const char *message = valid ? "" : tw_error_message();
    if (valid) bytes = tw_checkpoint_bytes(file);
    if (valid) loss = last_loss(file);
    if (valid) memcpy(digest, tw_checkpoint_digest(file), sizeof digest);
    tw_checkpoint_close(&file);
    struct stat info;
    const bool there = lstat(path, &info) == 0;
    if (!valid && !there) return;
    if (!valid) bytes = (int64_t)info.st_size;
    const double age = there ? fmax(tw_clock_wall_seconds() - (double)info.st_mtime, 0) : NAN;
    *bad += !valid;
    tw_json_object(&c->json, NULL);
    tw_json_string(&c->json, "path", path);
    tw_json_int64(&c->json, "step", step);
    tw_json_int64(&c->json, "bytes", bytes);
    tw_json_double(&c->json, "age", age);
    tw_json_double(&c->json, "loss", loss);
    tw_json_bool(&c->json, "valid", valid);
    if (valid) tw_json_string(&c->json, "digest", digest);
    if (!valid) tw_json_string(&c->json, "message", message);
    tw_json_end(&c->json);
    if (!c->o.json) print_row(step, bytes, age, loss, valid, path);
}

static tw_status list_run(call *c, const char *run, int64_t *bad)
{
    tw_status st = TW_OK;
    int64_t *steps = NULL, count = 0;
    char path[TW_CHECKPOINT_PATH];
    TW_TRY(tw_checkpoint_list(run, &steps, &count));
    if (count == 0 && !c->o.json) printf("%s: no checkpoints yet\n", run);
    if (count > 0 && !c->o.json) print_header();
    for (int64_t i = 0; i < count; i++) {
        TW_TRY(tw_checkpoint_name(path, sizeof path, run, steps[i]));
        list_one(c, path, steps[i], bad);
    }
done:
    tw_free(&steps);
    return st;
}

static tw_status list(call *c)
{
    tw_status st = TW_OK;
    int64_t bad = 0;
    tw_json_list(&c->json, "checkpoints");
    for (int i = 0; i < c->count; i++) TW_TRY(list_run(c, c->paths[i], &bad));
    tw_json_end(&c->json);
    if (bad > 0)
        st = tw_error_set(TW_EDATA,
                          "%lld checkpoint%s cannot be used (tweedie checkpoint verify "
                          "says why)",
                          (long long)bad, bad == 1 ? "" : "s");
done:
    return st;
}

/* ---- verify
 * -----------------------------------------------------------------------------------------------------------------------
 */

/* @param of_run  one that the trainer may prune meanwhile, which is no damage */
static void verify_file(call *c, const char *path, bool of_run, int64_t *bad, int64_t *good)
{
    tw_checkpoint *file = NULL;
    tw_status st = tw_checkpoint_open(&file, path);
    if (st == TW_OK) st = tw_checkpoint_verify(file);
    if (st != TW_OK && of_run && !tw_file_exists(path)) return; /* nothing was opened */
    tw_json_object(&c->json, NULL);
    tw_json_string(&c->json, "path", path);
    tw_json_bool(&c->json, "valid", st == TW_OK);
    if (st == TW_OK) {
        ++*good;
        tw_json_string(&c->json, "digest", tw_checkpoint_digest(file));
        tw_json_int64(&c->json, "arrays", tw_checkpoint_count(file));
        if (!c->o.json)
            printf("%s: good: %lld arrays, digest %s\n", path, (long long)tw_checkpoint_count(file),
                   tw_checkpoint_digest(file));
    } else {
        ++*bad;
        tw_json_string(&c->json, "message", tw_error_message());
        if (!c->o.json) printf("%s\n", tw_error_message());
    }
    tw_json_end(&c->json);
    tw_checkpoint_close(&file);
}

static tw_status verify_run(call *c, const char *run, int64_t *bad, int64_t *good)
{
    tw_status st = TW_OK;
    int64_t *steps = NULL, count = 0;
    char path[TW_CHECKPOINT_PATH];
    TW_TRY(tw_checkpoint_list(run, &steps, &count));
    TW_CHECK(count > 0, TW_ENOINPUT, "%s: the run has no checkpoint yet", run);
    for (int64_t i = 0; i < count; i++) {
        TW_TRY(tw_checkpoint_name(path, sizeof path, run, steps[i]));
        verify_file(c, path, true, bad, good);
    }
done:
    tw_free(&steps);
    return st;
}

static tw_status verify(call *c)
{
    tw_status st = TW_OK;
    int64_t bad = 0, good = 0;
    tw_json_list(&c->json, "files");
    for (int i = 0; i < c->count; i++) {
        if (is_directory(c->paths[i]))
            TW_TRY(verify_run(c, c->paths[i], &bad, &good));
        else if (tw_file_exists(c->paths[i]))
            verify_file(c, c->paths[i], false, &bad, &good);
        else
            TW_FAIL(TW_ENOINPUT, "%s: there is no such file or run", c->paths[i]);
    }
    tw_json_end(&c->json);
    if (bad > 0)
        st = tw_error_set(TW_EDATA, "%lld of %lld files do not verify", (long long)bad,
                          (long long)(bad + good));
done:
    return st;
}

/* ---- show
 * -------------------------------------------------------------------------------------------------------------------------
 */

static void show_groups(call *c, const tw_checkpoint *file)
{
    int64_t count = tw_checkpoint_count(file);
    tw_json_list(&c->json, "groups");
    for (int64_t i = 0, next; i < count; i = next) {
        const char *group = tw_checkpoint_array_view(file, i)->group;
        int64_t values = 0;
        for (next = i;
             next < count && strcmp(tw_checkpoint_array_view(file, next)->group, group) == 0;
             next++) {
            const tw_checkpoint_array *a = tw_checkpoint_array_view(file, next);
            int64_t n = 1;
            for (int k = 0; k < a->rank; k++) n *= a->dims[k];
            values += n;
        }
        tw_json_object(&c->json, NULL);
        tw_json_string(&c->json, "group", group);
        tw_json_int64(&c->json, "arrays", next - i);
        tw_json_int64(&c->json, "values", values);
        tw_json_end(&c->json);
        if (!c->o.json)
            printf("/%-18s %6lld arrays %14lld values\n", group, (long long)(next - i),
                   (long long)values);
    }
    tw_json_end(&c->json);
}

/* Text of the file, whoever wrote it. */
static void show_text(const char *title, const char *text)
{
    char shown[4 * 1024 + 1];
    (void)tw_text_printable(shown, sizeof shown, text, "");
    printf("%s%s\n", title, shown);
}

static void show_meta_text(const tw_checkpoint *file)
{
    const tw_checkpoint_meta *m = tw_checkpoint_meta_view(file);
    printf("%s: a %s file\n", tw_checkpoint_path(file),
           tw_checkpoint_is_weights(file) ? "weights" : "checkpoint");
    printf("step             %lld\nsamples seen     %lld\nseed             %llu\n",
           (long long)m->step, (long long)m->samples, (unsigned long long)m->seed);
    printf("ranks x threads  %d x %d\n", m->ranks, m->threads);
    show_text("precision        ", m->precision);
    printf("restarts         %d\n", m->restarts);
    show_text("dataset digest   ", m->dataset_digest);
    show_text("versions         ", m->versions);
    show_text("weights          ", m->weights);
    if (m->source[0]) show_text("made from        ", m->source);
    if (m->loss_count > 0) printf("last loss        %g\n", m->losses[2 * m->loss_count - 1]);
    printf("bytes            %lld\ndigest           %s\n", (long long)tw_checkpoint_bytes(file),
           tw_checkpoint_digest(file));
}

static void show_meta_json(call *c, const tw_checkpoint *file)
{
    const tw_checkpoint_meta *m = tw_checkpoint_meta_view(file);
    tw_json *j = &c->json;
    tw_json_string(j, "path", tw_checkpoint_path(file));
    tw_json_string(j, "format",
                   tw_checkpoint_is_weights(file) ? "tweedie-weights" : "tweedie-checkpoint");
    tw_json_int64(j, "format_version", TW_CHECKPOINT_VERSION);
    tw_json_int64(j, "step", m->step);
    tw_json_int64(j, "samples", m->samples);
    tw_json_int64(j, "seed", (int64_t)m->seed);
    tw_json_int64(j, "ranks", m->ranks);
    tw_json_int64(j, "threads", m->threads);
    tw_json_int64(j, "restarts", m->restarts);
    tw_json_string(j, "precision", m->precision);
    tw_json_string(j, "dataset_digest", m->dataset_digest);
    tw_json_string(j, "versions", m->versions);
    tw_json_string(j, "weights", m->weights);
    tw_json_string(j, "source", m->source);
    tw_json_int64(j, "bytes", tw_checkpoint_bytes(file));
    tw_json_string(j, "digest", tw_checkpoint_digest(file));
    tw_json_string(j, "config", m->config);
    tw_json_list(j, "losses");
    for (int64_t i = 0; i < m->loss_count; i++) tw_json_doubles(j, NULL, m->losses + 2 * i, 2);
    tw_json_end(j);
}

static tw_status show(call *c)
{
    tw_status st = TW_OK;
    tw_checkpoint *file = NULL;
    char path[TW_CHECKPOINT_PATH];
    TW_TRY(checkpoint_resolve(path, sizeof path, c->paths[0]));
    TW_TRY(tw_checkpoint_open(&file, path));
    if (c->o.json)
        show_meta_json(c, file);
    else
        show_meta_text(file);
    show_groups(c, file);
    if (!c->o.json) printf("\n%s", tw_checkpoint_meta_view(file)->config);
done:
    tw_checkpoint_close(&file);
    return st;
}

/* ---- the checkpoint job
 * -----------------------------------------------------------------------------------------------------------
 */

static tw_status export(call *c)
{
    tw_status st = TW_OK;
    char made[TW_CHECKPOINT_PATH];
    TW_CHECK(c->o.out[0] || !c->o.force, TW_EUSAGE,
             "--force: is for --out FILE; the run's own export is made anew without it");
    TW_TRY(tw_weights_export(c->paths[0], c->o.weights[0] ? c->o.weights : NULL,
                             c->o.out[0] ? c->o.out : NULL, c->o.force, made));
    tw_json_string(&c->json, "path", made);
    if (!c->o.json) printf("%s\n", made);
done:
    return st;
}

static tw_status prune(call *c)
{
    tw_status st = TW_OK;
    int64_t *removed = NULL, count = 0;
    TW_TRY(tw_checkpoint_prune(c->paths[0], c->o.keep, c->o.every, c->o.dry_run, &removed, &count));
    tw_json_bool(&c->json, "dry_run", c->o.dry_run);
    tw_json_list(&c->json, "removed");
    for (int64_t i = 0; i < count; i++) {
        tw_json_int64(&c->json, NULL, removed[i]);
        if (!c->o.json)
            printf("%s step %lld\n", c->o.dry_run ? "would remove" : "removed",
                   (long long)removed[i]);
    }
    tw_json_end(&c->json);
    if (count == 0 && !c->o.json) printf("nothing to remove\n");
done:
    tw_free(&removed);
    return st;
}

static tw_status drain(call *c)
{
    tw_status st = TW_OK;
    int64_t copied, skipped;
    TW_CHECK(c->o.to[0], TW_EUSAGE, "drain needs --to DIR");
    TW_TRY(tw_checkpoint_drain(c->paths[0], c->o.to, &copied, &skipped));
    tw_json_int64(&c->json, "copied", copied);
    tw_json_int64(&c->json, "there_already", skipped);
    if (!c->o.json)
        printf("%lld files copied to %s, %lld were there already\n", (long long)copied, c->o.to,
               (long long)skipped);
done:
    return st;
}

static tw_status diff(call *c)
{
    return checkpoint_diff(c->paths[0], c->paths[1], c->o.json);
}

static const struct {
    const char *name, *usage, *summary;
    tw_status (*run)(call *c);
    int least, most; /* paths */
    bool prints_itself;
} subcommands[] = {
    {"list", "RUN...",
     "steps, sizes, ages, losses, and whether each is undamaged; 65 where one is not", list, 1,
     1 << 20, false},
    {"verify", "RUN|FILE...",
     "reads everything: hash, checksums, finite values; 65 where one is bad", verify, 1, 1 << 20,
     false},
    {"show", "RUN|FILE", "what it holds and where it comes from", show, 1, 1, false},
    {"diff", "A B",
     "compares step, parameters, EMA, optimiser and losses bit for bit; 1 where they differ", diff,
     2, 2, true},
    {"export", "RUN|FILE", "writes one set of weights as a file for sampling", export, 1, 1, false},
    {"prune", "RUN",
     "deletes old ones; never the two newest that verify, nor what RUN/checkpoints/hold names",
     prune, 1, 1, false},
    {"drain", "RUN --to DIR",
     "copies what is sound and not there yet to durable storage; may be killed and repeated", drain,
     1, 1, false},
};
enum { SUBCOMMANDS = sizeof subcommands / sizeof *subcommands };

static bool kind(int i, tw_command_kind *out)
{
    if (i >= SUBCOMMANDS) return false;
    *out = (tw_command_kind){.name = subcommands[i].name,
                             .usage = subcommands[i].usage,
                             .summary = subcommands[i].summary};
    return true;
}

static tw_status find_subcommand(int *out, const char *name, int paths)
{
    tw_status st = TW_OK;
    tw_command_kind none;
    for (int i = 0; i < SUBCOMMANDS; i++) {
        if (strcmp(name, subcommands[i].name) != 0) continue;
        TW_CHECK(paths >= subcommands[i].least && paths <= subcommands[i].most, TW_EUSAGE,
                 "checkpoint %s takes %d%s paths, not %d; usage: tweedie checkpoint %s %s", name,
                 subcommands[i].least, subcommands[i].most > subcommands[i].least ? " or more" : "",
                 paths, name, subcommands[i].usage);
        *out = i;
        goto done;
    }
    TW_TRY(tw_command_kind_find(&none, &tw_cmd_checkpoint, name));
done:
    return st;
}

static tw_status run(struct tw_comm *comm, int argc, char **argv)
{
    tw_status st = TW_OK, answer = TW_OK;
    call c = {.count = 0};
    tw_arguments arguments;
    int k = 0;

    (void)comm;
    TW_TRY(tw_options_parse(&tw_cmd_checkpoint, argc, argv, &c.o, &arguments));
    TW_TRY(find_subcommand(&k, arguments.values[0], arguments.count - 1));
    TW_TRY(tw_options_check_kind(&tw_cmd_checkpoint, &arguments, "checkpoint",
                                 (const char *const[]){subcommands[k].name, NULL}));
    c.count = arguments.count - 1;
    c.paths = arguments.values + 1;
    if (c.o.json) tw_log_quiet(true);
    tw_json_object(&c.json, NULL);
    answer = subcommands[k].run(&c);
    /* files that do not verify are an answer; other failures have none */
    if (subcommands[k].prints_itself || (answer != TW_OK && answer != TW_EDATA) || !c.o.json)
        goto done;
    tw_json_end(&c.json);
    if (tw_json_finish(&c.json) == TW_OK) printf("%s\n", c.json.text.data);
done:
    tw_text_free(&c.json.text);
    return st != TW_OK ? st : answer;
}

const tw_command tw_cmd_checkpoint = {
    .name = "checkpoint",
    .summary = "List, verify, show, compare, export, prune and drain checkpoints",
    .usage = "list|verify|show|diff|export|prune|drain RUN|FILE...",
    .help = "A RUN stands for all of its checkpoints (list, verify, prune, drain) or for its "
            "newest valid one (show, diff, export).",
    .options = table,
    .option_count = (int)(sizeof table / sizeof *table),
    .kind = kind,
    .kinds_listed = true,
    .least = 2,
    .most = -1,
    .run = run,
};
