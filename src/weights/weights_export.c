/* What the exporters share, and the choice among them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tweedie/json.h"
#include "tweedie/memory.h"
#include "tweedie/output.h"
#include "tweedie/weights.h"
#include "weights/exporter.h"
#include "weights/names.h"

/* ---- parameters by their published names ---- */

tw_status tw_named_arrays_create(tw_named_arrays *out, const tw_model *m)
{
    tw_status st = TW_OK;
    float *plain = NULL;
    int64_t at = 0;
    TW_TRY(tw_model_reference_names(&out->names, m));
    TW_CHECK(out->names.count > 0, TW_ECONFIG, "the network %s has no published parameter names",
             m->net->kind.name);
    out->count = out->names.count;
    TW_TRY(tw_alloc(&out->arrays, out->count, sizeof *out->arrays, "a list of weights"));
    TW_TRY(tw_alloc(&out->trained, out->count, sizeof *out->trained, "a list of weights"));
    TW_TRY(tw_alloc(&out->dims, out->count, sizeof *out->dims, "a list of weights"));
    for (int64_t i = 0; i < out->count; i++) at += tw_shape_count(out->names.items[i].shape);
    TW_TRY(tw_alloc_arena(&out->storage, (size_t)at * sizeof *out->storage, "weights"));
    TW_TRY(tw_alloc(&plain, m->params->size, sizeof *plain, "a parameter"));
    at = 0;
    for (int64_t i = 0; i < out->count; i++) {
        const tw_published *e = &out->names.items[i];
        memcpy(out->dims[i], e->shape.dims, sizeof out->dims[i]);
        out->arrays[i] =
            (tw_checkpoint_array){"", e->name, e->shape.rank, out->dims[i], out->storage + at};
        out->trained[i] = tw_params_find(m->params, e->param)->trainable;
        tw_names_give(m, e, plain, out->storage + at);
        at += tw_shape_count(e->shape);
    }
done:
    tw_free(&plain);
    return st;
}

void tw_named_arrays_free(tw_named_arrays *a)
{
    tw_free(&a->arrays);
    tw_free(&a->trained);
    tw_free(&a->dims);
    tw_free(&a->storage);
    tw_reference_names_free(&a->names);
}

/* ---- files ---- */

tw_status tw_export_begin(tw_output *out, FILE **file, char *path, const tw_exporting *e,
                          const char *name)
{
    tw_status st = TW_OK;
    const tw_output_mode mode = e->replace ? TW_OUTPUT_REPLACE : TW_OUTPUT_NEW;
    TW_TRY(tw_format(path, TW_PATH_MAX, "%s/%s", e->folder, name));
    TW_TRY(tw_output_check(path, mode, NULL, 0));
    TW_TRY(tw_output_begin(out, path, mode));
    *file = fopen(out->part, "wbx");
    TW_CHECK(*file, TW_EIO, "%s: cannot be made: %s", path, strerror(errno));
done:
    return st;
}

tw_status tw_export_end(tw_output *out, FILE **file, const char *path, tw_exporting *e,
                        tw_status st)
{
    if (*file && fclose(*file) != 0 && st == TW_OK)
        st = tw_error_set(TW_EIO, "%s: cannot be written: %s", path, strerror(errno));
    *file = NULL;
    if (st == TW_OK) st = tw_output_publish(out);
    if (st == TW_OK) st = tw_text_add(e->files, "%s\n", path);
    tw_output_discard(out);
    return st;
}

tw_status tw_export_text(tw_exporting *e, const char *name, const tw_text *text)
{
    tw_output out = {.part = ""};
    FILE *file = NULL;
    char path[TW_PATH_MAX];
    tw_status st = tw_export_begin(&out, &file, path, e, name);
    if (st == TW_OK && fwrite(text->data, 1, (size_t)text->length, file) != (size_t)text->length)
        st = tw_error_set(TW_EIO, "%s: cannot be written: %s", path, strerror(errno));
    return tw_export_end(&out, &file, path, e, st);
}

static int compare(const void *a, const void *b)
{
    const tw_checkpoint_array *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int64_t count_of(const tw_checkpoint_array *a)
{
    int64_t n = 1;
    for (int k = 0; k < a->rank; k++) n *= a->dims[k];
    return n;
}

static tw_status make_header(tw_text *out, const tw_checkpoint_array *arrays, int64_t count,
                             const char *format)
{
    tw_status st = TW_OK;
    tw_json j = {0};
    int64_t at = 0;
    tw_json_object(&j, NULL);
    if (format) {
        tw_json_object(&j, "__metadata__");
        tw_json_string(&j, "format", format);
        tw_json_end(&j);
    }
    for (int64_t i = 0; i < count; i++) {
        tw_json_object(&j, arrays[i].name);
        tw_json_string(&j, "dtype", "F32");
        tw_json_list(&j, "shape");
        for (int k = 0; k < arrays[i].rank; k++) tw_json_int64(&j, NULL, arrays[i].dims[k]);
        tw_json_end(&j);
        tw_json_list(&j, "data_offsets");
        tw_json_int64(&j, NULL, at);
        at += count_of(&arrays[i]) * (int64_t)sizeof(float);
        tw_json_int64(&j, NULL, at);
        tw_json_end(&j);
        tw_json_end(&j);
    }
    tw_json_end(&j);
    TW_TRY(tw_json_finish(&j));
    *out = j.text;
    j.text = (tw_text){0};
    while (out->length % 8) TW_TRY(tw_text_add(out, " "));
done:
    tw_text_free(&j.text);
    return st;
}

tw_status tw_export_arrays(tw_exporting *e, const char *name, const tw_checkpoint_array *arrays,
                           int64_t count, const char *format)
{
    tw_status st = TW_OK;
    tw_output out = {.part = ""};
    tw_text header = {0};
    tw_checkpoint_array *sorted = NULL;
    FILE *file = NULL;
    char path[TW_PATH_MAX] = "";
    TW_TRY(tw_alloc(&sorted, count, sizeof *sorted, "a list of weights"));
    memcpy(sorted, arrays, (size_t)count * sizeof *sorted);
    qsort(sorted, (size_t)count, sizeof *sorted, compare);
    TW_TRY(make_header(&header, sorted, count, format));
    const uint64_t length = (uint64_t)header.length;
    TW_TRY(tw_export_begin(&out, &file, path, e, name));
    bool good = fwrite(&length, sizeof length, 1, file) == 1 &&
                fwrite(header.data, 1, (size_t)length, file) == (size_t)length;
    for (int64_t i = 0; i < count && good; i++) {
        const size_t n = (size_t)count_of(&sorted[i]);
        good = fwrite(sorted[i].data, sizeof(float), n, file) == n;
    }
    TW_CHECK(good, TW_EIO, "%s: cannot be written: %s", path, strerror(errno));
done:
    st = tw_export_end(&out, &file, path, e, st);
    tw_text_free(&header);
    tw_free(&sorted);
    return st;
}

/* ---- the configuration ---- */

/* The length of the value at `text`: lists hold spaces, so up to the next word with a '='. */
static int value_length(const char *text)
{
    size_t n = 0;
    for (;;) {
        n += strcspn(text + n, " ");
        if (!text[n]) break;
        const size_t word = strcspn(text + n + 1, " ");
        if (memchr(text + n + 1, '=', word)) break;
        n++;
    }
    return (int)n;
}

const char *tw_described(const tw_text *description, const char *key, char value[256])
{
    const size_t n = strlen(key);
    value[0] = '\0';
    for (const char *at = description->data; (at = strchr(at, ' ')); at++)
        if (strncmp(at + 1, key, n) == 0 && at[1 + n] == '=') {
            const char *from = at + 2 + n;
            snprintf(value, 256, "%.*s", value_length(from), from);
            break;
        }
    return value;
}

/* ---- the choice ---- */

static tw_status find_exporter(const tw_exporter **out, const char *name)
{
    tw_status st = TW_OK;
    tw_text names = {0};
    const char *list[64];
    *out = NULL;
    for (int i = 0; i < tw_export_count; i++) {
        if (i < 64) list[i] = tw_export_table[i]->name;
        TW_TRY(tw_text_add(&names, "%s%s", i ? ", " : "", tw_export_table[i]->name));
        if (strcmp(tw_export_table[i]->name, name) == 0) *out = tw_export_table[i];
    }
    TW_TRY(tw_text_add_nearest(&names, name, list, tw_export_count < 64 ? tw_export_count : 64));
    TW_CHECK(*out, TW_EUSAGE, "--format %s: no such format (%s)", name, names.data);
done:
    tw_text_free(&names);
    return st;
}

tw_status tw_weights_export_as(tw_text *files, const tw_weights_export_options *o)
{
    tw_status st = TW_OK;
    const tw_exporter *exporter;
    tw_restored *r = NULL;
    TW_TRY(find_exporter(&exporter, o->format));
    TW_TRY(tw_restore(&r, NULL, o->path, o->which));
    TW_CHECK(exporter->conditional || !r->samples.condition, TW_ECONFIG,
             "--format %s: holds unconditional models, and %s is given conditions; safetensors "
             "holds both",
             o->format, o->path);
    TW_TRY(tw_output_check_folder(o->folder));
    tw_exporting e = {.r = r, .folder = o->folder, .replace = o->replace, .files = files};
    TW_TRY(exporter->write(&e));
done:
    tw_restore_destroy(&r);
    return st;
}

tw_status tw_export_json(tw_exporting *e, const char *name, tw_json *j)
{
    tw_status st = TW_OK;
    tw_json_end(j);
    TW_TRY(tw_json_finish(j));
    TW_TRY(tw_text_add(&j->text, "\n"));
    TW_TRY(tw_export_text(e, name, &j->text));
done:
    tw_text_free(&j->text);
    return st;
}

tw_status tw_described_value(void *out, const tw_text *description, const char *key,
                             tw_config_type type, const char *choices)
{
    char value[256];
    const tw_config_field field = {NULL, key, type, 0, "", .choices = choices, .help = ""};
    const tw_status st = tw_config_value(&field, tw_described(description, key, value), out);
    if (st != TW_OK) tw_error_prefix("network.%s: ", key);
    return st;
}
