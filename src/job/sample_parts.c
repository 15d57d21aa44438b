/* Parts as files: each a dataset of one block, with the line of text that says what it was sampled
 * with. */
#include "job/sample_parts.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "job/parts.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"
#include "tweedie/text.h"

/* Text attributes of parts and of the joined file. */
static const char key_sampling[] = "sampling", key_first[] = "first", key_reported[] = "reported";

enum { JOIN_BYTES = 1 << 22 };

tw_status sample_parts_name(sample_parts *p, const char *out)
{
    p->out = out;
    return parts_directory(p->directory, out);
}

static tw_status name_part(char *path, const sample_parts *p, int64_t k)
{
    return parts_path(path, p->directory, k * p->batch);
}

/* ---- what a file says ---- */

/* Opens a file of this process's own; `verify` reads all of it. */
static tw_status open_file(tw_dataset **out, const char *path, bool verify)
{
    const tw_dataset_options options = {.path = path, .split = "all", .verify = verify};
    return tw_dataset_open(out, NULL, &options);
}

static tw_status read_first(tw_dataset *file, int64_t *first)
{
    tw_status st = TW_OK;
    char text[64];
    TW_TRY(tw_dataset_get_text(file, key_first, text, sizeof text));
    TW_CHECK(tw_text_to_int64(text, first), TW_EDATA,
             "is no sample set: its attribute \"%s\" is '%s'", key_first, text);
done:
    return st;
}

static tw_status differ(const sample_parts *p, const char *path, const char *there)
{
    return tw_error_set(
        TW_EUSAGE,
        p->adopted ? "%s: was sampled with other weights or settings than the other parts\n"
                     "  it:     %s\n  others: %s"
                   : "%s: exists already, and was sampled with other weights or settings; "
                     "use another --out, or --force replaces it\n"
                     "  there: %s\n  here:  %s",
        path, there, p->sampling);
}

tw_status sample_parts_adopt(sample_parts *p)
{
    tw_status st = TW_OK;
    char path[TW_PATH_MAX];
    DIR *directory = opendir(p->directory);
    TW_CHECK(directory, TW_ENOINPUT, "%s: cannot be read: %s", p->directory, strerror(errno));
    for (const struct dirent *e; !p->adopted && (e = readdir(directory)) != NULL;) {
        if (!parts_is_part(e->d_name)) continue;
        TW_TRY(tw_format(path, sizeof path, "%s/%s", p->directory, e->d_name));
        if (open_file(&p->adopted, path, true) != TW_OK) tw_log_warn("%s", tw_error_message());
    }
    TW_CHECK(p->adopted, TW_ENOINPUT, "%s: holds no part of a sample set", p->directory);
    p->spec = *tw_dataset_get_spec(p->adopted);
    p->batch = p->spec.count;
    TW_TRY(tw_format(p->source, sizeof p->source, "%s", p->spec.source));
    TW_TRY(tw_dataset_get_text(p->adopted, key_sampling, p->sampling, sizeof p->sampling));
done:
    if (directory) closedir(directory);
    return st;
}

void sample_parts_close(sample_parts *p)
{
    tw_dataset_destroy(&p->adopted);
}

/* Opens block k where it is there and whole; a damaged one is as good as missing. */
static tw_status open_part(tw_dataset **out, const sample_parts *p, int64_t k, bool verify)
{
    tw_status st = TW_OK;
    tw_dataset *file = NULL;
    char path[TW_PATH_MAX], sampling[TW_DATASET_TEXT_MAX];
    int64_t first;
    TW_TRY(name_part(path, p, k));
    if (!tw_file_exists(path)) goto done;
    st = open_file(&file, path, verify);
    if (st == TW_OK) st = tw_dataset_get_text(file, key_sampling, sampling, sizeof sampling);
    if (st == TW_OK) st = read_first(file, &first);
    if (st != TW_OK) {
        tw_log_warn("%s; it is sampled again", tw_error_message());
        st = TW_OK;
        goto done;
    }
    if (strcmp(sampling, p->sampling) != 0 || first != k * p->batch ||
        tw_dataset_count(file) != p->batch) {
        st = differ(p, path, sampling);
        goto done;
    }
    *out = file;
    file = NULL;
done:
    tw_dataset_destroy(&file);
    return st;
}

tw_status sample_parts_check(bool *there, const sample_parts *p, int64_t k)
{
    tw_dataset *file = NULL;
    tw_status st = open_part(&file, p, k, true);
    *there = file != NULL;
    tw_dataset_destroy(&file);
    return st;
}

tw_status existing_set_look(existing_set *out, const sample_parts *p)
{
    tw_status st = TW_OK;
    tw_dataset *file = NULL;
    *out = (existing_set){.there = access(p->out, F_OK) == 0};
    if (!out->there || open_file(&file, p->out, false) != TW_OK)
        goto done; /* whatever it is, it is not ours */
    TW_TRY(tw_dataset_get_text(file, key_sampling, out->sampling, sizeof out->sampling));
    if (!out->sampling[0] || read_first(file, &out->first) != TW_OK) goto done;
    out->count = tw_dataset_count(file);
    out->ours = strcmp(out->sampling, p->sampling) == 0;
    memcpy(out->digest, tw_dataset_get_spec(file)->digest, sizeof out->digest);
done:
    tw_dataset_destroy(&file);
    return st;
}

/* ---- writing ---- */

/* Begins a file of `count` samples from index `first`. Nothing in it depends on its path. */
static tw_status begin(tw_dataset_writer **out, const sample_parts *p, const char *path,
                       tw_output_mode mode, int64_t first, int64_t count)
{
    tw_status st = TW_OK;
    tw_dataset_writer *w = NULL;
    const tw_dataset_writer_options options = {.path = path, .mode = mode};
    tw_dataset_spec spec = {.kind = p->spec.kind,
                            .count = count,
                            .height = p->spec.height,
                            .width = p->spec.width,
                            .channels = p->spec.channels,
                            .offset = p->spec.offset,
                            .scale = p->spec.scale,
                            .channel_text = p->spec.channel_text,
                            .num_classes = p->spec.num_classes,
                            .name = "samples"};
    char text[64];
    tw_dataset_spec condition;
    if (p->spec.condition) {
        condition = *p->spec.condition;
        condition.count = count;
        spec.condition = &condition;
    }
    TW_TRY(tw_format(spec.source, sizeof spec.source, "%s", p->source));
    memcpy(spec.encoder, p->spec.encoder, sizeof spec.encoder);
    TW_TRY(tw_dataset_writer_create(&w, &spec, &options));
    TW_TRY(tw_dataset_writer_set_text(w, key_sampling, p->sampling));
    TW_TRY(tw_format(text, sizeof text, "%lld", (long long)first));
    TW_TRY(tw_dataset_writer_set_text(w, key_first, text));
    *out = w;
    w = NULL;
done:
    tw_dataset_writer_abort(&w);
    return st;
}

static tw_status tell(tw_dataset_writer *w, const sample_report *report)
{
    tw_status st = TW_OK;
    char text[SAMPLE_REPORT_TEXT];
    TW_TRY(sample_report_write(text, report));
    if (text[0]) TW_TRY(tw_dataset_writer_set_text(w, key_reported, text));
done:
    return st;
}

tw_status sample_parts_write(const sample_parts *p, int64_t k, const void *stored,
                             const int32_t *label, const void *condition,
                             const sample_report *report)
{
    tw_status st = TW_OK;
    tw_dataset_writer *w = NULL;
    char path[TW_PATH_MAX];
    TW_TRY(name_part(path, p, k));
    TW_TRY(begin(&w, p, path, TW_OUTPUT_OWN, k * p->batch, p->batch));
    TW_TRY(tw_dataset_writer_append(w, p->batch, stored, label));
    if (p->spec.condition) TW_TRY(tw_dataset_writer_append_condition(w, p->batch, condition));
    TW_TRY(tell(w, report));
    TW_TRY(tw_dataset_writer_finish(&w, NULL));
done:
    tw_dataset_writer_abort(&w);
    return st;
}

/* ---- ranges over parts ---- */

typedef struct range {
    int64_t block, first, count; /* samples first … first + count − 1 of a part */
} range;

/* The piece of [at, end) that lies in one part, at most `most` samples. */
static range next_range(const sample_parts *p, int64_t at, int64_t end, int64_t most)
{
    range r = {.block = at / p->batch, .first = at % p->batch};
    r.count = p->batch - r.first;
    if (r.count > end - at) r.count = end - at;
    if (r.count > most) r.count = most;
    return r;
}

static tw_status need_part(tw_dataset **out, const sample_parts *p, int64_t k, bool verify)
{
    tw_status st = TW_OK;
    tw_dataset_destroy(out);
    TW_TRY(open_part(out, p, k, verify));
    TW_CHECK(*out, TW_ENOINPUT,
             "%s: the samples %lld to %lld are missing: they have not been sampled yet",
             p->directory, (long long)(k * p->batch), (long long)((k + 1) * p->batch - 1));
done:
    return st;
}

tw_status sample_parts_read(const sample_parts *p, int64_t first, int64_t count, float *x)
{
    tw_status st = TW_OK;
    tw_dataset *file = NULL;
    const int64_t end = first + count, dims = tw_dataset_elements(&p->spec);
    for (int64_t at = first; at < end;) {
        const range r = next_range(p, at, end, p->batch);
        TW_TRY(need_part(&file, p, r.block, false));
        TW_TRY(tw_dataset_read(file, r.first, r.count, x + (at - first) * dims, NULL));
        at += r.count;
    }
done:
    tw_dataset_destroy(&file);
    return st;
}

/* Room for samples on their way from a part. */
typedef struct copied {
    char *stored;
    int32_t *label;  /* NULL where the samples have no classes */
    char *condition; /* NULL where they have none */
    int64_t room;
} copied;

static tw_status copy_part(const sample_parts *p, tw_dataset_writer *w, int64_t at, int64_t end,
                           const copied *to, sample_report *report)
{
    tw_status st = TW_OK;
    tw_dataset *file = NULL;
    char text[TW_DATASET_TEXT_MAX];
    const int64_t k = at / p->batch;
    TW_TRY(need_part(&file, p, k, true));
    TW_TRY(tw_dataset_get_text(file, key_reported, text, sizeof text));
    sample_report_add(report, text);
    while (at < end && at / p->batch == k) {
        const range r = next_range(p, at, end, to->room);
        TW_TRY(tw_dataset_read_stored(file, r.first, r.count, to->stored, to->label));
        TW_TRY(tw_dataset_writer_append(w, r.count, to->stored, to->label));
        if (to->condition) {
            TW_TRY(tw_dataset_read_condition_stored(file, r.first, r.count, to->condition));
            TW_TRY(tw_dataset_writer_append_condition(w, r.count, to->condition));
        }
        at += r.count;
    }
done:
    tw_dataset_destroy(&file);
    return st;
}

tw_status sample_parts_merge(const sample_parts *p, tw_output_mode mode, int64_t first,
                             int64_t count, char *digest)
{
    tw_status st = TW_OK;
    tw_dataset_writer *w = NULL;
    char text[SAMPLE_REPORT_TEXT];
    sample_report report = {0};
    const size_t bytes = tw_dataset_sample_bytes(&p->spec);
    const int64_t end = first + count;
    copied to = {.room = bytes < JOIN_BYTES ? JOIN_BYTES / (int64_t)bytes : 1};
    for (int64_t k = first / p->batch; k * p->batch < end; k++) { /* before anything is written */
        char path[TW_PATH_MAX];
        TW_TRY(name_part(path, p, k));
        TW_CHECK(tw_file_exists(path), TW_ENOINPUT,
                 "%s: is missing: the samples %lld to %lld have not been sampled yet", path,
                 (long long)(k * p->batch), (long long)((k + 1) * p->batch - 1));
    }
    TW_TRY(tw_alloc(&to.stored, to.room, bytes, "samples to be joined"));
    if (p->spec.num_classes > 0)
        TW_TRY(tw_alloc(&to.label, to.room, sizeof *to.label, "labels to be joined"));
    if (p->spec.condition)
        TW_TRY(tw_alloc(&to.condition, to.room, tw_dataset_sample_bytes(p->spec.condition),
                        "conditions to be joined"));
    TW_TRY(begin(&w, p, p->out, mode, first, count));
    for (int64_t at = first; at < end; at = (at / p->batch + 1) * p->batch)
        TW_TRY(copy_part(p, w, at, end, &to, &report));
    TW_TRY(tell(w, &report));
    TW_TRY(tw_dataset_writer_finish(&w, digest));
    TW_TRY(sample_report_write(text, &report));
    if (text[0]) tw_log_info("the sampler reports %s", text);
done:
    tw_dataset_writer_abort(&w);
    tw_free(&to.stored);
    tw_free(&to.label);
    tw_free(&to.condition);
    return st;
}

static bool is_other(const sample_parts *p, const char *path)
{
    tw_dataset *file = NULL;
    char sampling[TW_DATASET_TEXT_MAX] = "";
    const bool other =
        open_file(&file, path, false) != TW_OK ||
        tw_dataset_get_text(file, key_sampling, sampling, sizeof sampling) != TW_OK ||
        strcmp(sampling, p->sampling) != 0;
    tw_dataset_destroy(&file);
    return other;
}

tw_status sample_parts_remove_others(const sample_parts *p)
{
    tw_status st = TW_OK;
    char path[TW_PATH_MAX];
    DIR *directory = opendir(p->directory);
    for (const struct dirent *e; directory && (e = readdir(directory)) != NULL;) {
        if (!parts_is_part(e->d_name)) continue;
        TW_TRY(tw_format(path, sizeof path, "%s/%s", p->directory, e->d_name));
        if (!is_other(p, path)) continue;
        TW_CHECK(unlink(path) == 0 || errno == ENOENT, TW_EIO, "%s: cannot be removed: %s", path,
                 strerror(errno));
    }
done:
    if (directory) closedir(directory);
    return st;
}

tw_status sample_parts_remove(const sample_parts *p)
{
    return parts_remove(p->directory);
}
