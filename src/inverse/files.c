/* Arrays that operators are made of: of somebody's HDF5 file, so judged and read in a child. */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "data/foreign.h"
#include "h5/isolate.h"
#include "inverse/operator.h"
#include "tweedie/memory.h"

typedef struct request {
    char argument[TW_PATH_MAX + 256], key[64];
    int64_t most;
} request;

/* What the child writes before the numbers. */
typedef struct head {
    int64_t rank, dims[2];
} head;

static tw_status put(int file, const void *data, size_t bytes)
{
    tw_status st = TW_OK;
    for (size_t done = 0; done < bytes;) {
        const ssize_t n = write(file, (const char *)data + done, bytes - done);
        TW_CHECK(n > 0 || errno == EINTR, TW_EIO, "an array cannot be handed over");
        if (n > 0) done += (size_t)n;
    }
done:
    return st;
}

static tw_status get(int file, void *data, size_t bytes)
{
    tw_status st = TW_OK;
    for (size_t done = 0; done < bytes;) {
        const ssize_t n = pread(file, (char *)data + done, bytes - done, (off_t)done);
        TW_CHECK(n > 0, TW_EINTERNAL, "an array that was handed over is short");
        done += (size_t)n;
    }
done:
    return st;
}

static tw_status look(const void *argument, int result)
{
    tw_status st = TW_OK;
    const request *r = argument;
    tw_foreign a = {.file = H5I_INVALID_HID, .dataset = H5I_INVALID_HID};
    head h = {0};
    double *x = NULL;
    TW_TRY(tw_h5_start());
    TW_TRY(tw_foreign_open(&a, r->argument, r->key));
    TW_CHECK(a.shape.rank >= 1 && a.shape.rank <= 2, TW_EDATA,
             "%s: %s has %d axes; 1 or 2 were expected", a.path, a.object, a.shape.rank);
    TW_CHECK(a.shape.elements >= 1 && a.shape.elements <= r->most, TW_EDATA,
             "%s: %s has %lld numbers; 1 to %lld were expected", a.path, a.object,
             (long long)a.shape.elements, (long long)r->most);
    h.rank = a.shape.rank;
    for (int i = 0; i < a.shape.rank; i++) h.dims[i] = a.shape.dims[i];
    TW_TRY(tw_alloc(&x, a.shape.elements, sizeof *x, "an array"));
    TW_TRY(tw_h5_read_rows(a.dataset, H5P_DEFAULT, H5T_NATIVE_DOUBLE, 0, h.dims[0], x, a.path,
                           a.object));
    for (int64_t i = 0; i < a.shape.elements; i++)
        TW_CHECK(isfinite(x[i]), TW_EDATA, "%s: %s: number %lld is not finite", a.path, a.object,
                 (long long)i);
    TW_TRY(put(result, &h, sizeof h));
    TW_TRY(put(result, x, (size_t)a.shape.elements * sizeof *x));
done:
    tw_free(&x);
    tw_foreign_close(&a);
    return st;
}

tw_status operator_read_array(double **values, int *rank, int64_t dims[2], const char *key,
                              const char *argument, int64_t most)
{
    tw_status st = TW_OK;
    request r = {.most = most};
    head h;
    int file = -1;
    char *bytes = NULL;
    double *x = NULL;
    TW_TRY(tw_format(r.argument, sizeof r.argument, "%s", argument));
    TW_TRY(tw_format(r.key, sizeof r.key, "%s: ", key));
    TW_TRY(tw_isolate_call(look, &r, sizeof r, &file, argument));
    TW_TRY(get(file, &h, sizeof h));
    const int64_t n = h.dims[0] * (h.rank == 2 ? h.dims[1] : 1);
    const size_t all = sizeof h + (size_t)n * sizeof *x;
    TW_TRY(tw_alloc(&bytes, (int64_t)all, 1, "an array"));
    TW_TRY(tw_alloc(&x, n, sizeof *x, "an array"));
    TW_TRY(get(file, bytes, all));
    memcpy(x, bytes + sizeof h, (size_t)n * sizeof *x);
    *values = x;
    *rank = (int)h.rank;
    dims[0] = h.dims[0];
    dims[1] = h.rank == 2 ? h.dims[1] : 1;
    x = NULL;
done:
    if (file >= 0) close(file);
    tw_free(&bytes);
    tw_free(&x);
    return st;
}

tw_status operator_add_digest(tw_operator *a, const char *key, const void *data, size_t bytes)
{
    const XXH128_hash_t h = XXH3_128bits(data, bytes);
    return tw_text_add(&a->files, " %s=%016llx%016llx", key, (unsigned long long)h.high64,
                       (unsigned long long)h.low64);
}

tw_status operator_alloc_singular(tw_operator *a)
{
    return tw_alloc(&a->singular, a->dims, sizeof *a->singular, "singular values");
}
