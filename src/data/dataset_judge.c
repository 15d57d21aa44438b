/* Walking through a dataset file where a crash does no harm. */
#include "data/dataset_judge.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "data/format.h"
#include "h5/h5.h"
#include "h5/isolate.h"
#include "tweedie/memory.h"

typedef struct request {
    tw_file_version version;
    char path[TW_PATH_MAX];
} request;

_Static_assert(sizeof(request) <= TW_ISOLATE_ARGUMENT, "a request fits");

/* ---- the child ---- */

/* Where an array lies, if in one piece of the file. */
static void find_piece(tw_judged *j, int array, const tw_h5_array *a, hid_t dataset)
{
    const haddr_t offset = a->chunk_rows == 0 ? H5Dget_offset(dataset) : HADDR_UNDEF;
    const int64_t bytes = a->elements * (int64_t)a->size; /* described: no overflow */
    if (offset == HADDR_UNDEF || offset > (haddr_t)INT64_MAX) return;
    if (bytes > j->version.size || (int64_t)offset > j->version.size - bytes) return;
    j->pieces[array].offset = (int64_t)offset;
    j->pieces[array].bytes = bytes;
}

/* The whole index of chunks, and a row at each end. */
static tw_status walk(tw_judged *j, int array, hid_t dataset, hid_t type, int64_t rows,
                      size_t bytes, const char *path, const char *object)
{
    tw_status st = TW_OK;
    tw_h5_array a;
    void *row = NULL;
    if (dataset < 0) return TW_OK;
    TW_TRY(tw_h5_describe(&a, dataset, path, object));
    TW_TRY(tw_h5_check_written(&a, dataset, path, object));
    TW_TRY(tw_alloc_arena(&row, bytes, "a sample"));
    TW_TRY(tw_h5_read_rows(dataset, H5P_DEFAULT, type, 0, 1, row, path, object));
    TW_TRY(tw_h5_read_rows(dataset, H5P_DEFAULT, type, rows - 1, 1, row, path, object));
    find_piece(j, array, &a, dataset);
done:
    tw_free(&row);
    return st;
}

static tw_status walk_array(tw_judged *j, int array, const tw_format_array *a,
                            const tw_dataset_spec *spec, const char *path)
{
    return walk(j, array, a->set, tw_format_memory_type(spec->kind), spec->count,
                tw_dataset_sample_bytes(spec), path, tw_format_object(spec));
}

static tw_status look(const void *argument, int result)
{
    tw_status st = TW_OK;
    const request *r = argument;
    tw_judged j = {.file = -1, .version = r->version};
    tw_dataset_file f = TW_DATASET_FILE_CLOSED;
    (void)mallopt(M_PERTURB, 0x5a); /* what is read before it is written shall show */
    TW_TRY(tw_h5_check_heaps(r->path));
    TW_TRY(tw_dataset_file_open(&f, r->path, r->path, H5P_DEFAULT));
    TW_TRY(tw_h5_try_texts(f.file, r->path, "/"));
    TW_TRY(walk_array(&j, TW_JUDGED_SAMPLES, &f.samples, &f.spec, r->path));
    if (f.condition)
        TW_TRY(walk_array(&j, TW_JUDGED_CONDITIONS, &f.conditions, f.condition, r->path));
    if (f.log_variance)
        TW_TRY(walk_array(&j, TW_JUDGED_LOG_VARIANCES, &f.log_variances, f.log_variance, r->path));
    TW_TRY(walk(&j, TW_JUDGED_LABELS, f.labels, H5T_NATIVE_INT32, f.spec.count, sizeof(int32_t),
                r->path, "/labels"));
    TW_TRY(tw_h5_check_version(f.file, &r->version, r->path));
    TW_CHECK(write(result, j.pieces, sizeof j.pieces) == (ssize_t)sizeof j.pieces, TW_ENOMEM,
             "%s: out of memory for where its arrays lie", r->path);
done:
    tw_dataset_file_close(&f);
    return st;
}

/* ---- the parent ---- */

tw_status tw_dataset_judge(tw_judged *out, const char *path)
{
    tw_status st = TW_OK;
    request r = {.path = ""};
    int result = -1;
    *out = (tw_judged){.file = -1};
    TW_TRY(tw_format(r.path, sizeof r.path, "%s", path));
    out->file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    TW_CHECK(out->file >= 0, errno == EIO ? TW_EIO : TW_ENOINPUT, "%s: cannot be read: %s", path,
             strerror(errno));
    TW_TRY(tw_file_read_version(&r.version, out->file, path));
    out->version = r.version;
    TW_TRY(tw_isolate_call(look, &r, sizeof r, &result, path));
    TW_TRY(tw_file_read_at(result, out->pieces, sizeof out->pieces, 0, path));
done:
    if (result >= 0) close(result);
    return st;
}

void tw_judged_close(tw_judged *judged)
{
    if (judged->file >= 0) close(judged->file);
    judged->file = -1;
}

const char *tw_judged_name(const tw_judged *judged, char out[32], const char *path)
{
    snprintf(out, 32, "/proc/self/fd/%d", judged->file);
    return access(out, R_OK) == 0 ? out : path;
}

tw_status tw_judged_check(const tw_judged *judged, bool named, const char *path)
{
    tw_status st = TW_OK;
    TW_TRY(tw_file_check_version(&judged->version, judged->file, path));
    if (named) TW_TRY(tw_file_check_named_version(&judged->version, path));
done:
    return st;
}

tw_status tw_judged_read(const tw_judged *judged, int array, int64_t first, int64_t count,
                         size_t bytes, void *out, const char *path)
{
    tw_status st = TW_OK;
    const int64_t rows = judged->pieces[array].bytes / (int64_t)bytes;
    TW_CHECK(first >= 0 && count >= 0 && first <= rows - count, TW_EDATA,
             "%s: rows %lld to %lld were asked for of %lld that were judged", path,
             (long long)first, (long long)(first + count - 1), (long long)rows);
    TW_TRY(tw_file_read_at(judged->file, out, count * (int64_t)bytes,
                           judged->pieces[array].offset + first * (int64_t)bytes, path));
done:
    return st;
}
