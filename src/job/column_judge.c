/* Reading tables that others may have made: where their columns lie is found in a child process,
 * which the HDF5 library may crash; the numbers are then read from the file directly. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "h5/h5.h"
#include "h5/isolate.h"
#include "job/columns.h"
#include "tweedie/file.h"
#include "tweedie/memory.h"
#include "tweedie/text.h"

typedef struct request {
    tw_file_version version;
    int count;
    struct {
        char name[TW_DATASET_NAME_MAX];
        column_type type;
        int64_t width;
    } column[COLUMNS_MAX];
    char path[TW_PATH_MAX];
} request;

_Static_assert(sizeof(request) <= TW_ISOLATE_ARGUMENT, "a request fits");

/* ---- the child ---- */

static hid_t file_type(column_type type)
{
    return type == COLUMN_F64   ? H5T_IEEE_F64LE
           : type == COLUMN_I64 ? H5T_STD_I64LE
                                : H5T_IEEE_F32LE;
}

static tw_status read_head(column_head *h, hid_t file, const char *path)
{
    tw_status st = TW_OK;
    char text[64];
    char *end = text;
    TW_TRY(tw_h5_read_text(file, path, "the file", "settings", h->settings, sizeof h->settings));
    TW_TRY(tw_h5_read_text(file, path, "the file", "range", text, sizeof text));
    end = strchr(text, ' ');
    TW_CHECK(end, TW_EDATA, "%s: attribute \"range\" is '%s'", path, text);
    *end++ = '\0';
    TW_CHECK(tw_text_to_int64(text, &h->first) && tw_text_to_int64(end, &h->count), TW_EDATA,
             "%s: attribute \"range\" is '%s %s'", path, text, end);
done:
    return st;
}

static tw_status find_column(column_head *h, hid_t file, const request *r, int i)
{
    tw_status st = TW_OK;
    char object[TW_DATASET_NAME_MAX + 1];
    int rank;
    int64_t dims[2];
    const int64_t width = r->column[i].width;
    hid_t array = H5I_INVALID_HID;
    TW_TRY(tw_format(object, sizeof object, "/%s", r->column[i].name));
    TW_TRY(tw_h5_open_dataset(&array, file, r->path, object));
    TW_TRY(tw_h5_check_numbers(&rank, dims, array, r->path, object, file_type(r->column[i].type), 2,
                               false));
    TW_CHECK(rank == (width > 0 ? 2 : 1) && (width == 0 || dims[1] == width) &&
                 (i == 0 || dims[0] == h->rows),
             TW_EDATA, "%s: %s has another shape than was expected", r->path, object);
    const haddr_t offset = H5Dget_offset(array);
    TW_CHECK(offset <= (haddr_t)INT64_MAX, TW_EDATA, "%s: %s is not stored in one piece", r->path,
             object);
    TW_TRY(tw_h5_read_text(array, r->path, object, "digest", h->column[i].digest,
                           sizeof h->column[i].digest));
    h->rows = dims[0];
    h->column[i].offset = (int64_t)offset;
done:
    tw_h5_close(&array);
    return st;
}

static tw_status look(const void *argument, int result)
{
    tw_status st = TW_OK;
    const request *r = argument;
    column_head h = {.first = -1, .count = -1, .columns = TW_OK};
    hid_t file = H5I_INVALID_HID;
    TW_TRY(tw_h5_check_heaps(r->path));
    TW_TRY(tw_h5_open(&file, r->path));
    TW_TRY(tw_h5_check_version(file, &r->version, r->path));
    TW_TRY(read_head(&h, file, r->path));
    for (int i = 0; i < r->count && h.columns == TW_OK; i++)
        h.columns = find_column(&h, file, r, i);
    if (h.columns != TW_OK) snprintf(h.why, sizeof h.why, "%s", tw_error_message());
    TW_CHECK(write(result, &h, sizeof h) == (ssize_t)sizeof h, TW_ENOMEM,
             "%s: out of memory for where its columns lie", r->path);
done:
    tw_h5_close(&file);
    return st;
}

/* ---- the parent ---- */

/* What came back is believed no more than the file. */
static tw_status check_head(column_reader *r)
{
    tw_status st = TW_OK;
    column_head *h = &r->head;
    h->settings[sizeof h->settings - 1] = h->why[sizeof h->why - 1] = '\0';
    for (int i = 0; i < r->set->count && h->columns == TW_OK; i++) {
        const int64_t row = (int64_t)column_row_bytes(&r->set->column[i]);
        h->column[i].digest[COLUMN_DIGEST_MAX - 1] = '\0';
        TW_CHECK(h->rows >= 1 && h->rows <= r->version.size / row && h->column[i].offset >= 0 &&
                     h->column[i].offset <= r->version.size - h->rows * row,
                 TW_EDATA, "%s: damaged: %s ends behind the end of the file", r->path,
                 r->set->column[i].name);
    }
done:
    return st;
}

tw_status column_reader_open(column_reader *out, const char *path, const column_set *set)
{
    tw_status st = TW_OK;
    column_reader r = {.path = path, .set = set, .file = -1};
    request q = {.count = set->count};
    int result = -1;
    TW_TRY(tw_format(q.path, sizeof q.path, "%s", path));
    for (int i = 0; i < set->count; i++) {
        TW_TRY(tw_format(q.column[i].name, sizeof q.column[i].name, "%s", set->column[i].name));
        q.column[i].type = set->column[i].type;
        q.column[i].width = set->column[i].width;
    }
    TW_TRY(tw_file_size(NULL, path)); /* a regular one: the library would wait at a pipe */
    r.file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    TW_CHECK(r.file >= 0, errno == EIO ? TW_EIO : TW_ENOINPUT, "%s: cannot be read: %s", path,
             strerror(errno));
    TW_TRY(tw_file_read_version(&r.version, r.file, path));
    q.version = r.version;
    TW_TRY(tw_isolate_call(look, &q, sizeof q, &result, path));
    TW_TRY(tw_file_read_at(result, &r.head, sizeof r.head, 0, path));
    TW_TRY(check_head(&r));
    *out = r;
    r.file = -1;
done:
    if (result >= 0) close(result);
    column_reader_close(&r);
    return st;
}

tw_status column_reader_check(const column_reader *r)
{
    return r->head.columns == TW_OK ? TW_OK : tw_error_set(TW_EDATA, "%s", r->head.why);
}

tw_status column_reader_read(column_reader *r, int64_t first, int64_t n, void *const *values)
{
    tw_status st = TW_OK;
    TW_TRY(column_reader_check(r));
    TW_CHECK(first >= 0 && n >= 0 && first <= r->head.rows - n, TW_EDATA,
             "%s: rows %lld to %lld were asked for of %lld", r->path, (long long)first,
             (long long)(first + n - 1), (long long)r->head.rows);
    for (int i = 0; i < r->set->count; i++) {
        const int64_t row = (int64_t)column_row_bytes(&r->set->column[i]);
        if (values[i])
            TW_TRY(tw_file_read_at(r->file, values[i], n * row,
                                   r->head.column[i].offset + first * row, r->path));
    }
    TW_TRY(tw_file_check_version(&r->version, r->file, r->path));
done:
    return st;
}

tw_status column_reader_verify(column_reader *r, void *const *values)
{
    tw_status st = TW_OK;
    char met[COLUMN_DIGEST_MAX];
    TW_TRY(column_reader_read(r, 0, r->head.rows, values));
    for (int i = 0; i < r->set->count; i++) {
        const column *c = &r->set->column[i];
        column_print_digest(met,
                            XXH3_128bits(values[i], (size_t)r->head.rows * column_row_bytes(c)));
        TW_CHECK(strcmp(met, r->head.column[i].digest) == 0, TW_EDATA,
                 "%s: damaged: %s does not have its digest", r->path, c->name);
    }
done:
    return st;
}

void column_reader_close(column_reader *r)
{
    if (r->file >= 0) close(r->file);
    r->file = -1;
}
