/* Datasets, checkpoints, weights and runs, as `tweedie inspect` shows them. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/inspect.h"
#include "tweedie/checkpoint.h"
#include "tweedie/data.h"
#include "tweedie/json.h"

static bool is_directory(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

static void put_samples(tw_json *j, const char *kind, int64_t h, int64_t w, int64_t c,
                        int64_t classes)
{
    tw_json_string(j, "samples_kind", kind);
    tw_json_int64(j, "height", h);
    tw_json_int64(j, "width", w);
    tw_json_int64(j, "channels", c);
    tw_json_int64(j, "num_classes", classes);
}

static void put_condition(tw_json *j, const char *kind, int64_t channels)
{
    tw_json_string(j, "condition_kind", kind);
    tw_json_int64(j, "condition_channels", channels);
}

static tw_status describe_dataset(tw_json *j, const char *path, const tw_inspect_picture *picture)
{
    tw_status st = TW_OK;
    tw_dataset *d = NULL;
    const tw_dataset_options options = {.path = path, .split = "all"};
    TW_TRY(tw_dataset_open(&d, NULL, &options));
    const tw_dataset_spec *s = tw_dataset_get_spec(d);
    tw_json_object(j, NULL);
    tw_json_string(j, "format", "tweedie-dataset");
    tw_json_string(j, "name", s->name);
    tw_json_string(j, "path", path);
    tw_json_int64(j, "samples", s->count);
    put_samples(j, tw_dataset_kind_name(s->kind), s->height, s->width, s->channels, s->num_classes);
    if (s->condition)
        put_condition(j, tw_dataset_kind_name(s->condition->kind), s->condition->channels);
    if (s->encoder[0]) {
        tw_json_string(j, "encoder", s->encoder);
        tw_json_bool(j, "log_variance", s->log_variance != NULL);
    }
    tw_json_object(j, "splits");
    for (int i = 0; i < s->split_count; i++)
        tw_json_int64(j, s->splits[i].name, s->splits[i].last - s->splits[i].first);
    tw_json_end(j);
    tw_json_string(j, "source", s->source);
    tw_json_string(j, "license", s->license);
    tw_json_string(j, "digest", s->digest);
    if (picture) TW_TRY(tw_inspect_grid(j, d, picture));
    tw_json_end(j);
done:
    tw_dataset_destroy(&d);
    return st;
}

static tw_status describe_checkpoint(tw_json *j, const char *path)
{
    tw_status st = TW_OK;
    tw_checkpoint *f = NULL;
    TW_TRY(tw_checkpoint_open(&f, path));
    const tw_checkpoint_meta *m = tw_checkpoint_meta_view(f);
    int64_t numbers = 0;
    for (int64_t i = 0; i < tw_checkpoint_count(f); i++) {
        const tw_checkpoint_array *a = tw_checkpoint_array_view(f, i);
        int64_t n = 1;
        for (int d = 0; d < a->rank; d++) n *= a->dims[d];
        numbers += strcmp(a->group, "params") == 0 ? n : 0;
    }
    tw_json_object(j, NULL);
    tw_json_string(j, "format",
                   tw_checkpoint_is_weights(f) ? "tweedie-weights" : "tweedie-checkpoint");
    tw_json_string(j, "path", path);
    tw_json_int64(j, "step", m->step);
    tw_json_int64(j, "samples", m->samples);
    tw_json_int64(j, "parameters", numbers);
    tw_json_string(j, "precision", m->precision);
    if (m->condition_kind[0]) put_condition(j, m->condition_kind, m->condition_channels);
    if (m->encoder[0]) tw_json_string(j, "encoder", m->encoder);
    tw_json_string(j, "weights", m->weights);
    tw_json_string(j, "dataset_digest", m->dataset_digest);
    tw_json_string(j, "versions", m->versions);
    tw_json_int64(j, "bytes", tw_checkpoint_bytes(f));
    tw_json_string(j, "digest", tw_checkpoint_digest(f));
    tw_json_string(j, "config", m->config);
    tw_json_end(j);
done:
    tw_checkpoint_close(&f);
    return st;
}

/* A run is its newest checkpoint that verifies. */
static tw_status describe_run(tw_json *j, const char *run)
{
    tw_status st = TW_OK;
    char path[TW_CHECKPOINT_PATH];
    int64_t step;
    TW_TRY(tw_checkpoint_find_newest(run, path, sizeof path, &step));
    TW_CHECK(step >= 0, TW_ENOINPUT, "%s: a directory without checkpoints", run);
    TW_TRY(describe_checkpoint(j, path));
done:
    return st;
}

/* The flat object as lines "key: value": its own JSON, a line for each comma outside of strings and
 * inner objects. */
static void print_lines(const char *json)
{
    bool quoted = false;
    int depth = 0;
    for (const char *c = json; *c; c++) {
        if (*c == '"' && (c == json || c[-1] != '\\')) quoted = !quoted;
        if (!quoted) depth += (*c == '{') - (*c == '}');
        if (!quoted && depth == 2 && *c == '{' && c[-1] == '[') printf("\n  ");
        if (!quoted && depth == 2 && *c == '{' && c[-2] == ',') printf("  ");
        if (!quoted && depth == 1 && *c == ',')
            putchar('\n');
        else if (quoted && strncmp(c, "\\u000a", 6) == 0) {
            printf("\n  ");
            c += 5;
        } else if (*c != '"' && !(depth <= 1 && (*c == '{' || *c == '}')) &&
                   !(!quoted && *c == ' ' && c[-1] == ',' && depth == 1))
            putchar(*c);
    }
    putchar('\n');
}

/* Only datasets have pictures. */
static tw_status describe_samples(tw_json *j, const char *path, const tw_inspect_picture *picture)
{
    tw_status st = TW_OK;
    TW_TRY(tw_output_check(picture->out, picture->mode, &path, 1));
    TW_TRY(describe_dataset(j, path, picture));
done:
    return st;
}

tw_status tw_inspect_file(const char *path, const tw_inspect_picture *picture, bool json)
{
    tw_status st = TW_OK;
    tw_json j = {0};
    if (picture) {
        TW_TRY(describe_samples(&j, path, picture));
    } else if (is_directory(path)) {
        TW_TRY(describe_run(&j, path));
    } else if (tw_checkpoint_check(path, NULL) == TW_OK) {
        TW_TRY(describe_checkpoint(&j, path));
    } else {
        TW_TRY(describe_dataset(&j, path, NULL));
    }
    TW_TRY(tw_json_finish(&j));
    if (json)
        printf("%s\n", j.text.data);
    else
        print_lines(j.text.data);
done:
    tw_text_free(&j.text);
    return st;
}
