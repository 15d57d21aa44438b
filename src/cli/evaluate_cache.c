/* The reference's features and their mean and covariance, kept in HDF5: /features float32
 * [count][dims], /mean and /covariance float64, and in attributes of the root what they were made
 * of and a digest of the numbers. */
#include <string.h>

#include "cli/evaluate_metrics.h"
#include "data/digest.h"
#include "h5/h5.h"
#include "tweedie/file.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"
#include "tweedie/output.h"

enum { VERSION = 1 };
static const char format[] = "tweedie-features";

typedef struct numbers {
    float *features;
    tw_gaussian gaussian;
} numbers;

static tw_status digest_of(char *out, const evaluate_cache *c, const float *features,
                           const tw_gaussian *g)
{
    tw_status st = TW_OK;
    tw_digest *digest = NULL;
    const size_t row = (size_t)c->dims;
    TW_TRY(tw_digest_create(&digest));
    tw_digest_add(digest, features, (size_t)c->count * row * sizeof *features);
    tw_digest_add(digest, g->mean, row * sizeof *g->mean);
    tw_digest_add(digest, g->covariance, row * row * sizeof *g->covariance);
    tw_digest_text(digest, out);
done:
    tw_digest_destroy(&digest);
    return st;
}

/* ---- reading ---- */

/* A dataset of exactly these extents. */
static tw_status read_one(hid_t file, const char *path, const char *name, hid_t stored,
                          hid_t memory, int rank, const int64_t *want, void *out)
{
    tw_status st = TW_OK;
    hid_t dataset = H5I_INVALID_HID;
    int met;
    int64_t dims[8];
    TW_TRY(tw_h5_open_dataset(&dataset, file, path, name));
    TW_TRY(tw_h5_check_numbers(&met, dims, dataset, path, name, stored, 2, false));
    TW_CHECK(met == rank && dims[0] == want[0] && (rank < 2 || dims[1] == want[1]), TW_EDATA,
             "%s: %s has another extent than its key says", path, name);
    TRY_H5(H5Dread(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, out), TW_EDATA,
           "%s: %s cannot be read", path, name);
done:
    tw_h5_close(&dataset);
    return st;
}

static tw_status read_numbers(numbers *n, hid_t file, const evaluate_cache *c)
{
    tw_status st = TW_OK;
    char want[TW_DATASET_DIGEST_MAX], met[TW_DATASET_DIGEST_MAX];
    const int64_t count = c->count, d = c->dims;
    TW_TRY(tw_alloc(&n->features, count * d, sizeof *n->features, "features"));
    TW_TRY(tw_alloc(&n->gaussian.mean, d, sizeof *n->gaussian.mean, "a mean"));
    TW_TRY(tw_alloc(&n->gaussian.covariance, d * d, sizeof *n->gaussian.covariance, "covariance"));
    n->gaussian.count = count;
    n->gaussian.dims = d;
    TW_TRY(read_one(file, c->path, "/features", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 2,
                    (const int64_t[]){count, d}, n->features));
    TW_TRY(read_one(file, c->path, "/mean", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 1, &d,
                    n->gaussian.mean));
    TW_TRY(read_one(file, c->path, "/covariance", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 2,
                    (const int64_t[]){d, d}, n->gaussian.covariance));
    TW_TRY(tw_h5_read_text(file, c->path, "/", "digest", want, sizeof want));
    TW_TRY(digest_of(met, c, n->features, &n->gaussian));
    TW_CHECK(strcmp(met, want) == 0, TW_EDATA, "%s: its numbers are not those that were written",
             c->path);
done:
    return st;
}

/* Whose file it is. @return TW_EUSAGE for somebody else's */
static tw_status judge(hid_t *file, bool *same, const evaluate_cache *c)
{
    char met[32] = "", key[sizeof c->key] = "";
    int64_t version = 0;
    *same = false;
    tw_status st = tw_h5_open(file, c->path);
    if (st == TW_OK) st = tw_h5_read_text(*file, c->path, "/", "format", met, sizeof met);
    if (st != TW_OK || strcmp(met, format) != 0)
        return tw_error_set(TW_EUSAGE,
                            "--cache %s: exists, and is no cache of features: another name was "
                            "expected (or the file removed)",
                            c->path);
    st = tw_h5_read_int(*file, c->path, "/", "format_version", &version);
    if (st == TW_OK && version == VERSION)
        st = tw_h5_read_text(*file, c->path, "/", "key", key, sizeof key);
    *same = st == TW_OK && strcmp(key, c->key) == 0;
    if (!*same)
        tw_log_info("%s: holds features of other data or of another network; they are computed "
                    "and take their place",
                    c->path);
    return TW_OK;
}

tw_status evaluate_cache_read(bool *found, float **features, tw_gaussian *gaussian,
                              const evaluate_cache *c)
{
    tw_status st = TW_OK;
    hid_t file = H5I_INVALID_HID;
    numbers n = {0};
    bool same;
    *found = false;
    if (!tw_file_exists(c->path)) return TW_OK;
    TW_TRY(tw_h5_start());
    TW_TRY(judge(&file, &same, c));
    if (!same) goto done;
    if (read_numbers(&n, file, c) != TW_OK) {
        tw_log_warn("%s; the features are computed anew", tw_error_message());
        goto done;
    }
    *features = n.features;
    *gaussian = n.gaussian;
    n = (numbers){0};
    *found = true;
done:
    tw_h5_close(&file);
    tw_free(&n.features);
    tw_gaussian_free(&n.gaussian);
    return st;
}

/* ---- writing ---- */

static tw_status write_one(hid_t file, const char *path, const char *name, hid_t stored,
                           hid_t memory, int rank, const int64_t *dims, const void *values)
{
    tw_status st = TW_OK;
    hid_t space = H5I_INVALID_HID, list = H5I_INVALID_HID, dataset = H5I_INVALID_HID;
    const hsize_t extent[2] = {(hsize_t)dims[0], rank > 1 ? (hsize_t)dims[1] : 1};
    TRY_H5(space = H5Screate_simple(rank, extent, NULL), TW_EIO, "%s: cannot be written", path);
    TRY_H5(list = H5Pcreate(H5P_DATASET_CREATE), TW_EIO, "%s: cannot be written", path);
    TRY_H5(H5Pset_obj_track_times(list, false), TW_EIO, "%s: cannot be written", path);
    TRY_H5(dataset = H5Dcreate2(file, name, stored, space, H5P_DEFAULT, list, H5P_DEFAULT), TW_EIO,
           "%s: %s cannot be made", path, name);
    TRY_H5(H5Dwrite(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), TW_EIO,
           "%s: %s cannot be written", path, name);
done:
    tw_h5_close(&dataset);
    tw_h5_close(&list);
    tw_h5_close(&space);
    return st;
}

static tw_status write_file(hid_t file, const evaluate_cache *c, const float *features,
                            const tw_gaussian *g)
{
    tw_status st = TW_OK;
    char digest[TW_DATASET_DIGEST_MAX];
    TW_TRY(digest_of(digest, c, features, g));
    TW_TRY(tw_h5_write_text(file, c->path, "format", format));
    TW_TRY(tw_h5_write_int(file, c->path, "format_version", VERSION));
    TW_TRY(tw_h5_write_text(file, c->path, "key", c->key));
    TW_TRY(tw_h5_write_text(file, c->path, "digest", digest));
    TW_TRY(write_one(file, c->path, "features", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 2,
                     (const int64_t[]){c->count, c->dims}, features));
    TW_TRY(
        write_one(file, c->path, "mean", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 1, &c->dims, g->mean));
    TW_TRY(write_one(file, c->path, "covariance", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 2,
                     (const int64_t[]){c->dims, c->dims}, g->covariance));
done:
    return st;
}

tw_status evaluate_cache_write(const evaluate_cache *c, const float *features, const tw_gaussian *g)
{
    tw_status st = TW_OK;
    tw_output out = {.part = ""};
    hid_t file = H5I_INVALID_HID;
    TW_TRY(tw_h5_start());
    TW_TRY(tw_output_begin(&out, c->path, TW_OUTPUT_REPLACE));
    TRY_H5(file = H5Fcreate(out.part, H5F_ACC_EXCL, H5P_DEFAULT, H5P_DEFAULT), TW_EIO,
           "%s: cannot be created", c->path);
    st = write_file(file, c, features, g);
    if (st != TW_OK) {
        tw_h5_divert(file);
        goto done;
    }
    const hid_t closing = file;
    file = H5I_INVALID_HID;
    TRY_H5(H5Fclose(closing), TW_EIO, "%s: cannot be written", c->path);
    TW_TRY(tw_output_publish(&out));
done:
    tw_h5_close(&file);
    tw_output_discard(&out);
    return st;
}
