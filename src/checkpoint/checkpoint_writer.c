/* Writing a file so that no moment of it can cost an older one, or leave a bad one under a final
 * name.
 *
 *     create temporary file → arrays → close → hash → user block, fsync → hash again from the disk
 * → read back and compare → rename, fsync
 *
 * HDF5 leaves nothing usable when a write fails or the process dies in between, and repairs
 * nothing; an update in place leaves files that open, read without any error and mix two steps. So
 * a file is always written anew, under a name that no reader looks for. Each stage works in pieces;
 * everything is compared with the caller's memory at the end, since a hash of what was written
 * wrongly verifies too. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "checkpoint/checkpoint_encode.h"
#include "checkpoint/checkpoint_index.h"
#include "checkpoint/container.h"
#include "tweedie/file.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"

enum { MESSAGE_BYTES = 2048 };

typedef struct entry {
    char group[NAME_BYTES], name[NAME_BYTES];
    int64_t dims[TW_CHECKPOINT_DIMS], elements;
} entry;

struct tw_checkpoint_writer {
    char path[TW_CHECKPOINT_PATH], part[TW_CHECKPOINT_PATH];
    char latest[TW_CHECKPOINT_PATH]; /* "" for a weights file */
    bool weights;
    int stage;
    int64_t count, next;
    entry *entries;
    tw_checkpoint_array *arrays; /* pointing into entries, and to the caller's data */
    tw_checkpoint_meta meta;
    float *buffer; /* for reading back: as large as the largest array */
    int64_t largest;
    hid_t file;             /* being written */
    tw_checkpoint *written; /* being read back */
    container_pass pass;
    unsigned char hash[CONTAINER_HASH_BYTES];
    tw_status status; /* of the first failure, with its message */
    char message[MESSAGE_BYTES];
};

/* ---- preparing
 * --------------------------------------------------------------------------------------------------------------------
 */

static tw_status copy_arrays(tw_checkpoint_writer *w, const tw_checkpoint_array *arrays,
                             int64_t count)
{
    tw_status st = TW_OK;
    TW_TRY(tw_alloc(&w->entries, count, sizeof *w->entries, "names of a checkpoint"));
    TW_TRY(tw_alloc(&w->arrays, count, sizeof *w->arrays, "arrays of a checkpoint"));
    w->count = count;
    for (int64_t i = 0; i < count; i++) {
        entry *e = &w->entries[i];
        const tw_checkpoint_array *a = &arrays[i];
        TW_TRY(count_elements(&e->elements, a, TW_EINTERNAL));
        TW_CHECK(a->data, TW_EINTERNAL, "%s/%s has no data", a->group, a->name);
        strcpy(e->group, a->group); /* count_elements has checked the lengths */
        strcpy(e->name, a->name);
        memcpy(e->dims, a->dims, (size_t)a->rank * sizeof *e->dims);
        w->arrays[i] = (tw_checkpoint_array){e->group, e->name, a->rank, e->dims, a->data};
        if (e->elements > w->largest) w->largest = e->elements;
    }
done:
    return st;
}

static tw_status copy_meta(tw_checkpoint_writer *w, const tw_checkpoint_meta *meta)
{
    tw_status st = TW_OK;
    char *config = NULL;
    double *losses = NULL;
    w->meta = *meta;
    w->meta.config = NULL;
    w->meta.losses = NULL;
    forget_units(&w->meta);
    TW_TRY(tw_strdup(&config, meta->config ? meta->config : ""));
    w->meta.config = config;
    TW_TRY(tw_alloc(&losses, 2 * meta->loss_count, sizeof *losses, "the loss history"));
    if (meta->loss_count > 0)
        memcpy(losses, meta->losses, 2 * (size_t)meta->loss_count * sizeof *losses);
    w->meta.losses = losses;
    for (int k = 0; k < UNITS_COUNT; k++) {
        float *units = NULL;
        TW_TRY(copy_units(&units, meta, k));
        set_units(&w->meta, k, units);
    }
    /* what readers take by default: the first EMA in the caller's order */
    if (!w->meta.weights[0]) strcpy(w->meta.weights, "raw");
    for (int64_t i = 0; !meta->weights[0] && i < w->count; i++)
        if (strncmp(w->arrays[i].group, "ema/", 4) == 0) {
            TW_CHECK(weights_of_group(w->meta.weights, sizeof w->meta.weights, w->arrays[i].group),
                     TW_EINTERNAL, "the name of the group %s is too long", w->arrays[i].group);
            break;
        }
done:
    return st;
}

static tw_status prepare(tw_checkpoint_writer **out, const char *path, const char *latest,
                         const tw_checkpoint_array *arrays, int64_t count,
                         const tw_checkpoint_meta *meta)
{
    tw_status st = TW_OK;
    tw_checkpoint_writer *w = NULL;
    TW_TRY(tw_alloc(&w, 1, sizeof *w, "a checkpoint writer"));
    w->file = -1;
    w->pass.file = -1;
    TW_TRY(tw_format(w->path, sizeof w->path, "%s", path));
    TW_TRY(tw_format(w->latest, sizeof w->latest, "%s", latest));
    TW_TRY(copy_arrays(w, arrays, count));
    TW_TRY(copy_meta(w, meta));
    TW_TRY(tw_alloc_arena(&w->buffer, (size_t)w->largest * sizeof *w->buffer,
                          "reading a checkpoint back"));
    *out = w;
    w = NULL;
done:
    tw_checkpoint_writer_destroy(&w);
    return st;
}

tw_status tw_checkpoint_writer_create(tw_checkpoint_writer **out, const char *run,
                                      const tw_checkpoint_array *arrays, int64_t count,
                                      const tw_checkpoint_meta *meta)
{
    tw_status st = TW_OK;
    char path[TW_CHECKPOINT_PATH], latest[TW_CHECKPOINT_PATH];
    TW_TRY(tw_checkpoint_name(path, sizeof path, run, meta->step));
    TW_TRY(tw_format(latest, sizeof latest, "%s/latest", run));
    TW_TRY(prepare(out, path, latest, arrays, count, meta));
done:
    return st;
}

/* As tw_checkpoint_writer_create for a weights file at `path`: arrays of the one group "params". */
static tw_status create_weights(tw_checkpoint_writer **out, const char *path,
                                const tw_checkpoint_array *arrays, int64_t count,
                                const tw_checkpoint_meta *meta)
{
    tw_status st = TW_OK;
    for (int64_t i = 0; i < count; i++)
        TW_CHECK(strcmp(arrays[i].group, "params") == 0, TW_EINTERNAL,
                 "%s: weights are of the group params, not %s", path, arrays[i].group);
    TW_TRY(prepare(out, path, "", arrays, count, meta));
    (*out)->weights = true;
done:
    return st;
}

/* ---- writing
 * ----------------------------------------------------------------------------------------------------------------------
 */

static tw_status create_file(tw_checkpoint_writer *w, bool *done_out)
{
    tw_status st = TW_OK;
    TW_TRY(tw_file_temporary(w->part, sizeof w->part, w->path));
    TW_TRY(encode_create(&w->file, w->part, w->path, &w->meta, w->weights));
    *done_out = true;
done:
    return st;
}

static tw_status check_finite(const tw_checkpoint_writer *w, int64_t index)
{
    tw_status st = TW_OK;
    const tw_checkpoint_array *a = &w->arrays[index];
    for (int64_t i = 0; i < w->entries[index].elements; i++)
        TW_CHECK(isfinite(a->data[i]), TW_EDIVERGED,
                 "%s: not written: /%s/%s holds %g at element %lld", w->path, a->group, a->name,
                 (double)a->data[i], (long long)i);
done:
    return st;
}

static tw_status write_array(tw_checkpoint_writer *w, int64_t index)
{
    tw_status st = TW_OK;
    TW_TRY(check_finite(w, index));
    TW_TRY(encode_array(w->file, w->path, &w->arrays[index]));
done:
    return st;
}

/* Calls `work` on some PIECE of bytes of arrays; done when all were seen. */
static tw_status some_arrays(tw_checkpoint_writer *w,
                             tw_status (*work)(tw_checkpoint_writer *, int64_t), bool *done_out)
{
    tw_status st = TW_OK;
    for (int64_t bytes = 0; w->next < w->count && bytes < PIECE; w->next++) {
        TW_TRY(work(w, w->next));
        bytes += w->entries[w->next].elements * (int64_t)sizeof(float);
    }
    *done_out = w->next == w->count;
done:
    return st;
}

static tw_status write_arrays(tw_checkpoint_writer *w, bool *done_out)
{
    return some_arrays(w, write_array, done_out);
}

static tw_status close_file(tw_checkpoint_writer *w, bool *done_out)
{
    tw_status st = TW_OK;
    TW_TRY(encode_close(&w->file, w->path));
    *done_out = true;
done:
    return st;
}

/* ---- judging what was written
 * -----------------------------------------------------------------------------------------------------
 */

/* One piece of a pass over the file; at its end the hash is in `hash`, and the pass still open. */
static tw_status pass_over(tw_checkpoint_writer *w, bool *done_out)
{
    tw_status st = TW_OK;
    if (w->pass.file < 0) TW_TRY(container_pass_open(&w->pass, w->part));
    TW_TRY(container_pass_step(&w->pass, w->part, PIECE, done_out));
done:
    return st;
}

static tw_status hash_and_seal(tw_checkpoint_writer *w, bool *done_out)
{
    tw_status st = TW_OK;
    bool over = false;
    TW_TRY(pass_over(w, &over));
    if (!over) goto done;
    container_pass_hash(&w->pass, w->hash);
    TW_TRY(container_seal(w->part, &w->pass));
    container_pass_close(&w->pass);
    *done_out = true;
done:
    return st;
}

static tw_status hash_again(tw_checkpoint_writer *w, bool *done_out)
{
    tw_status st = TW_OK;
    unsigned char claimed[CONTAINER_HASH_BYTES], found[CONTAINER_HASH_BYTES];
    bool over = false;
    TW_TRY(pass_over(w, &over));
    if (!over) goto done;
    TW_TRY(container_read_block(&w->pass, w->part, claimed));
    container_pass_hash(&w->pass, found);
    TW_CHECK(
        memcmp(found, w->hash, sizeof found) == 0 && memcmp(claimed, w->hash, sizeof found) == 0,
        TW_EIO, "%s: reads back differently than it was written: the storage is at fault", w->path);
    container_pass_close(&w->pass);
    *done_out = true;
done:
    return st;
}

static tw_status compare_array(tw_checkpoint_writer *w, int64_t index)
{
    tw_status st = TW_OK;
    const tw_checkpoint_array *a = &w->arrays[index];
    int64_t k = tw_checkpoint_find(w->written, a->group, a->name);
    TW_CHECK(k >= 0, TW_EIO, "%s: /%s/%s was written and is not there", w->path, a->group, a->name);
    const tw_checkpoint_array *f = tw_checkpoint_array_view(w->written, k);
    TW_CHECK(f->rank == a->rank && memcmp(f->dims, a->dims, (size_t)a->rank * sizeof *a->dims) == 0,
             TW_EIO, "%s: /%s/%s reads back with another shape than it was written", w->path,
             a->group, a->name);
    TW_TRY(tw_checkpoint_read_array(w->written, k, w->buffer));
    TW_CHECK(memcmp(w->buffer, a->data, (size_t)w->entries[index].elements * sizeof(float)) == 0,
             TW_EIO, "%s: /%s/%s reads back differently than it was written", w->path, a->group,
             a->name);
done:
    return st;
}

/* Through the reader that everybody uses, so that it is known to understand the file. */
static tw_status open_written(tw_checkpoint_writer *w)
{
    tw_status st = TW_OK;
    char digest[TW_CHECKPOINT_DIGEST];
    container_hex(digest, w->hash);
    TW_TRY(checkpoint_open_checked(&w->written, w->part, digest, true));
    const char *differing = compare_meta(&w->meta, tw_checkpoint_meta_view(w->written));
    TW_CHECK(!differing, TW_EIO, "%s: %s reads back differently than it was written", w->path,
             differing);
    TW_CHECK(tw_checkpoint_count(w->written) == w->count &&
                 tw_checkpoint_is_weights(w->written) == w->weights,
             TW_EIO, "%s: reads back differently than it was written", w->path);
    w->next = 0;
done:
    return st;
}

static tw_status compare(tw_checkpoint_writer *w, bool *done_out)
{
    tw_status st = TW_OK;
    if (!w->written) TW_TRY(open_written(w));
    TW_TRY(some_arrays(w, compare_array, done_out));
    if (*done_out) tw_checkpoint_close(&w->written);
done:
    return st;
}

static tw_status publish(tw_checkpoint_writer *w, bool *done_out)
{
    tw_status st = TW_OK;
    char text[TW_CHECKPOINT_PATH];
    TW_TRY(tw_file_publish(w->part, w->path));
    w->part[0] = '\0';
    *done_out = true;
    if (!w->latest[0]) goto done;
    /* only for people: the checkpoint is there whether this succeeds or not */
    const char *name = strrchr(w->path, '/');
    TW_TRY(tw_format(text, sizeof text, "checkpoints%s\n", name));
    if (tw_file_write(w->latest, text, strlen(text)) != TW_OK)
        tw_log_warn("%s", tw_error_message());
done:
    return st;
}

/* ---- the sequence
 * -----------------------------------------------------------------------------------------------------------------
 */

static tw_status (*const stages[])(tw_checkpoint_writer *, bool *) = {
    create_file, write_arrays, close_file, hash_and_seal, hash_again, compare, publish,
};

static void abandon(tw_checkpoint_writer *w)
{
    (void)encode_close(&w->file, w->path);
    tw_checkpoint_close(&w->written);
    container_pass_close(&w->pass);
    tw_file_discard(w->part);
    w->part[0] = '\0';
}

tw_status tw_checkpoint_writer_step(tw_checkpoint_writer *w, bool *finished)
{
    const int last = (int)(sizeof stages / sizeof *stages);
    if (w->status != TW_OK) return tw_error_set(w->status, "%s", w->message);
    if (w->stage < last) {
        bool stage_done = false;
        tw_status st = stages[w->stage](w, &stage_done);
        if (st != TW_OK) {
            w->status = st == TW_EDATA || st == TW_ENOINPUT
                            ? TW_EIO
                            : st; /* bad bytes in our own file: the storage is at fault */
            snprintf(w->message, sizeof w->message, "%s", tw_error_message());
            abandon(w);
            return tw_error_set(w->status, "%s", w->message);
        }
        if (stage_done) w->stage++;
    }
    *finished = w->stage == last;
    return TW_OK;
}

void tw_checkpoint_writer_destroy(tw_checkpoint_writer **writer)
{
    tw_checkpoint_writer *w = *writer;
    if (!w) return;
    abandon(w);
    tw_free(&w->entries);
    tw_free(&w->arrays);
    tw_free(&w->buffer);
    tw_checkpoint_meta_clear(&w->meta);
    tw_free(writer);
}

static tw_status run_writer(tw_checkpoint_writer *w)
{
    tw_status st = TW_OK;
    bool finished = false;
    while (!finished) TW_TRY(tw_checkpoint_writer_step(w, &finished));
done:
    tw_checkpoint_writer_destroy(&w);
    return st;
}

tw_status tw_checkpoint_write(const char *run, const tw_checkpoint_array *arrays, int64_t count,
                              const tw_checkpoint_meta *meta)
{
    tw_checkpoint_writer *w = NULL;
    tw_status st = tw_checkpoint_writer_create(&w, run, arrays, count, meta);
    return st == TW_OK ? run_writer(w) : st;
}

tw_status tw_weights_write(const char *path, const tw_checkpoint_array *arrays, int64_t count,
                           const tw_checkpoint_meta *meta)
{
    tw_checkpoint_writer *w = NULL;
    tw_status st = create_weights(&w, path, arrays, count, meta);
    return st == TW_OK ? run_writer(w) : st;
}
