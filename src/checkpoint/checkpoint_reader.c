/* Reading a file: the hash first, then its structure, then its arrays.
 *
 * Nothing in the file is believed because the library could read it: links must be hard ones,
 * datasets plain f32 in the layout that the writer gives them, and what a caller asks for must be
 * there exactly. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/checkpoint_format.h"
#include "checkpoint/checkpoint_index.h"
#include "checkpoint/hdf5_try.h"
#include "tweedie/memory.h"

static tw_status read_attribute(const tw_checkpoint *c, const char *name, hid_t memory_type,
                                H5T_class_t class, size_t size, void *value)
{
    tw_status st = TW_OK;
    hid_t attribute = -1, type = -1, space = -1;
    htri_t there;
    TRY_H5(TW_EDATA, c->path, there = H5Aexists(c->file, name));
    TW_CHECK(there > 0, TW_EDATA, "%s: the attribute %s is missing", c->path, name);
    TRY_H5(TW_EDATA, c->path, attribute = H5Aopen(c->file, name, H5P_DEFAULT));
    TRY_H5(TW_EDATA, c->path, type = H5Aget_type(attribute));
    TRY_H5(TW_EDATA, c->path, space = H5Aget_space(attribute));
    TW_CHECK(H5Tget_class(type) == class && H5Sget_simple_extent_npoints(space) == 1, TW_EDATA,
             "%s: the attribute %s is of another type", c->path, name);
    if (class == H5T_STRING) {
        const size_t length = H5Tget_size(
            type); /* 0 where the call fails: what is read would be longer than its room */
        TW_CHECK(H5Tis_variable_str(type) == 0 && length > 0 && length < size, TW_EDATA,
                 "%s: the attribute %s is longer than %zu bytes, or of variable length", c->path,
                 name, size - 1);
        memset(value, 0, size);
        TRY_H5(TW_EDATA, c->path, H5Aread(attribute, type, value));
    } else {
        TW_CHECK(H5Tget_size(type) == size, TW_EDATA,
                 "%s: the attribute %s has %zu bytes, expected %zu", c->path, name,
                 H5Tget_size(type), size);
        TRY_H5(TW_EDATA, c->path, H5Aread(attribute, memory_type, value));
    }
done:
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    if (attribute >= 0) H5Aclose(attribute);
    return st;
}

static tw_status read_format(tw_checkpoint *c)
{
    tw_status st = TW_OK;
    char format[64] = "";
    int version = 0;
    TW_TRY(read_attribute(c, "format", -1, H5T_STRING, sizeof format, format));
    c->weights = strcmp(format, FORMAT_WEIGHTS) == 0;
    TW_CHECK(c->weights || strcmp(format, FORMAT_CHECKPOINT) == 0, TW_EDATA,
             "%s: its format is '%s', expected '%s' or '%s'", c->path, format, FORMAT_CHECKPOINT,
             FORMAT_WEIGHTS);
    TW_TRY(
        read_attribute(c, "format_version", H5T_NATIVE_INT, H5T_INTEGER, sizeof version, &version));
    TW_CHECK(version == TW_CHECKPOINT_VERSION, TW_EDATA,
             "%s: has version %d of '%s', this program knows %d", c->path, version, format,
             TW_CHECKPOINT_VERSION);
done:
    return st;
}

static tw_status read_config(tw_checkpoint *c)
{
    tw_status st = TW_OK;
    hid_t set = -1, type = -1;
    char *config = NULL;
    TRY_H5(TW_EDATA, c->path, set = H5Dopen2(c->file, "config", H5P_DEFAULT));
    TRY_H5(TW_EDATA, c->path, type = H5Dget_type(set));
    TW_CHECK(H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0, TW_EDATA,
             "%s: /config is not a text of fixed length", c->path);
    size_t size = H5Tget_size(type);
    TW_CHECK(size > 0 && (int64_t)size <= c->bytes, TW_EDATA,
             "%s: /config has %zu bytes, of %lld in the file", c->path, size, (long long)c->bytes);
    TW_TRY(tw_alloc(&config, (int64_t)size + 1, 1, "a configuration"));
    TRY_H5(TW_EDATA, c->path, H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, config));
    c->meta.config = config;
    config = NULL;
done:
    tw_free(&config);
    if (type >= 0) H5Tclose(type);
    if (set >= 0) H5Dclose(set);
    return st;
}

static tw_status read_losses(tw_checkpoint *c)
{
    tw_status st = TW_OK;
    hid_t set = -1, space = -1;
    hsize_t dims[2] = {0, 0};
    double *losses = NULL;
    htri_t there;
    TRY_H5(TW_EDATA, c->path, there = H5Lexists(c->file, "loss_history", H5P_DEFAULT));
    if (there == 0) goto done;
    TRY_H5(TW_EDATA, c->path, set = H5Dopen2(c->file, "loss_history", H5P_DEFAULT));
    TRY_H5(TW_EDATA, c->path, space = H5Dget_space(set));
    TW_CHECK(H5Sget_simple_extent_ndims(space) == 2 &&
                 H5Sget_simple_extent_dims(space, dims, NULL) == 2 && dims[1] == 2 &&
                 dims[0] <= (hsize_t)c->bytes,
             TW_EDATA, "%s: /loss_history is not a table of steps and losses", c->path);
    TW_TRY(tw_alloc(&losses, 2 * (int64_t)dims[0], sizeof *losses, "a loss history"));
    TRY_H5(TW_EDATA, c->path,
           H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, losses));
    c->meta.losses = losses;
    c->meta.loss_count = (int64_t)dims[0];
    losses = NULL;
done:
    tw_free(&losses);
    if (space >= 0) H5Sclose(space);
    if (set >= 0) H5Dclose(set);
    return st;
}

/* One number of each channel, finite. */
static tw_status read_channels(const tw_checkpoint *c, const char *name, float *out)
{
    tw_status st = TW_OK;
    hid_t set = -1, space = -1;
    hsize_t dims = 0;
    TRY_H5(TW_EDATA, c->path, set = H5Dopen2(c->file, name, H5P_DEFAULT));
    TRY_H5(TW_EDATA, c->path, space = H5Dget_space(set));
    TW_CHECK(H5Sget_simple_extent_ndims(space) == 1 &&
                 H5Sget_simple_extent_dims(space, &dims, NULL) == 1 &&
                 dims == (hsize_t)c->meta.channels,
             TW_EDATA, "%s: /%s does not have one number for each of %lld channels", c->path, name,
             (long long)c->meta.channels);
    TRY_H5(TW_EDATA, c->path, H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, out));
    for (int64_t i = 0; i < c->meta.channels; i++)
        TW_CHECK(isfinite(out[i]), TW_EDATA, "%s: /%s holds %g for channel %lld", c->path, name,
                 (double)out[i], (long long)i);
done:
    if (space >= 0) H5Sclose(space);
    if (set >= 0) H5Dclose(set);
    return st;
}

static tw_status read_units(tw_checkpoint *c)
{
    tw_status st = TW_OK;
    float *units = NULL;
    htri_t there;
    TRY_H5(TW_EDATA, c->path, there = H5Lexists(c->file, "sample_offset", H5P_DEFAULT));
    if (there == 0) goto done;
    TW_CHECK(c->meta.channels >= 1 && c->meta.channels <= CHANNELS_MAX, TW_EDATA,
             "%s: samples of %lld channels", c->path, (long long)c->meta.channels);
    TW_TRY(tw_alloc(&units, 2 * c->meta.channels, sizeof *units, "channel offsets and scales"));
    TW_TRY(read_channels(c, "sample_offset", units));
    TW_TRY(read_channels(c, "sample_scale", units + c->meta.channels));
    set_units(&c->meta, units);
    units = NULL;
done:
    tw_free(&units);
    return st;
}

static tw_status read_meta(tw_checkpoint *c)
{
    tw_status st = TW_OK;
    for (int i = 0; i < meta_field_count; i++) {
        const meta_field *f = &meta_fields[i];
        char *member = (char *)&c->meta + f->offset;
        hid_t type = f->type == META_INT     ? H5T_NATIVE_INT
                     : f->type == META_INT64 ? H5T_NATIVE_INT64
                                             : H5T_NATIVE_UINT64;
        TW_TRY(read_attribute(c, f->name, type, f->type == META_TEXT ? H5T_STRING : H5T_INTEGER,
                              f->size, member));
    }
    TW_TRY(read_config(c));
    TW_TRY(read_losses(c));
    TW_TRY(read_units(c));
done:
    return st;
}

tw_status checkpoint_open_checked(tw_checkpoint **out, const char *path,
                                  const char digest[TW_CHECKPOINT_DIGEST])
{
    tw_status st = TW_OK;
    tw_checkpoint *c = NULL;
    hid_t access = -1;

    h5_prepare();
    TW_TRY(tw_alloc(&c, 1, sizeof *c, "an open checkpoint"));
    c->file = -1;
    strcpy(c->digest, digest);
    TW_TRY(tw_format(c->path, sizeof c->path, "%s", path));
    TRY_H5(TW_EDATA, path, access = H5Pcreate(H5P_FILE_ACCESS));
    TRY_H5(TW_EDATA, path, H5Pset_fclose_degree(access, H5F_CLOSE_STRONG));
    TRY_H5(TW_EDATA, path, c->file = H5Fopen(path, H5F_ACC_RDONLY, access));
    hsize_t size;
    TRY_H5(TW_EDATA, path, H5Fget_filesize(c->file, &size)); /* with the user block */
    c->bytes = (int64_t)size;
    TW_TRY(read_format(c));
    TW_TRY(read_meta(c));
    TW_TRY(checkpoint_index(c));
    *out = c;
    c = NULL;
done:
    if (access >= 0) H5Pclose(access);
    tw_checkpoint_close(&c);
    return st;
}

tw_status tw_checkpoint_open(tw_checkpoint **out, const char *path)
{
    tw_status st = TW_OK;
    char digest[TW_CHECKPOINT_DIGEST];
    TW_TRY(tw_checkpoint_check(path, digest));
    TW_TRY(checkpoint_open_checked(out, path, digest));
done:
    return st;
}

void tw_checkpoint_close(tw_checkpoint **file)
{
    tw_checkpoint *c = *file;
    if (!c) return;
    if (c->file >= 0) H5Fclose(c->file);
    tw_checkpoint_meta_clear(&c->meta);
    free(c->entries);
    tw_free(&c->arrays);
    tw_free(file);
}

const char *tw_checkpoint_path(const tw_checkpoint *c)
{
    return c->path;
}

const char *tw_checkpoint_digest(const tw_checkpoint *c)
{
    return c->digest;
}

int64_t tw_checkpoint_bytes(const tw_checkpoint *c)
{
    return c->bytes;
}

bool tw_checkpoint_is_weights(const tw_checkpoint *c)
{
    return c->weights;
}

const tw_checkpoint_meta *tw_checkpoint_meta_view(const tw_checkpoint *c)
{
    return &c->meta;
}

int64_t tw_checkpoint_count(const tw_checkpoint *c)
{
    return c->count;
}

const tw_checkpoint_array *tw_checkpoint_array_view(const tw_checkpoint *c, int64_t index)
{
    return &c->arrays[index];
}

bool tw_checkpoint_has_group(const tw_checkpoint *c, const char *group)
{
    for (int64_t i = 0; i < c->count; i++)
        if (strcmp(c->arrays[i].group, group) == 0) return true;
    return false;
}

int64_t tw_checkpoint_find(const tw_checkpoint *c, const char *group, const char *name)
{
    int64_t low = 0, high = c->count; /* sorted by group and name */
    while (low < high) {
        int64_t middle = (low + high) / 2;
        int order = strcmp(c->arrays[middle].group, group);
        if (order == 0) order = strcmp(c->arrays[middle].name, name);
        if (order == 0) return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

tw_status tw_checkpoint_read_array(const tw_checkpoint *c, int64_t index, float *data)
{
    tw_status st = TW_OK;
    char name[2 * NAME_BYTES];
    hid_t set = -1;
    TW_CHECK(index >= 0 && index < c->count, TW_EINTERNAL, "%s: no array %lld", c->path,
             (long long)index);
    TW_TRY(tw_format(name, sizeof name, "%s/%s", c->arrays[index].group, c->arrays[index].name));
    TRY_H5(TW_EDATA, c->path, set = H5Dopen2(c->file, name, H5P_DEFAULT));
    TRY_H5(TW_EDATA, c->path, H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, data));
done:
    if (set >= 0) H5Dclose(set);
    return st;
}

static tw_status read_one(const tw_checkpoint *c, const tw_checkpoint_array *a)
{
    tw_status st = TW_OK;
    char met[128], wanted[128];
    int64_t index = tw_checkpoint_find(c, a->group, a->name);
    TW_CHECK(index >= 0, TW_EDATA, "%s: /%s/%s is missing", c->path, a->group, a->name);
    const tw_checkpoint_array *f = &c->arrays[index];
    bool same =
        f->rank == a->rank && memcmp(f->dims, a->dims, (size_t)a->rank * sizeof *a->dims) == 0;
    describe_dims(met, sizeof met, f->rank, f->dims);
    describe_dims(wanted, sizeof wanted, a->rank, a->dims);
    TW_CHECK(same, TW_EDATA, "%s: /%s/%s has the shape %s, expected %s", c->path, a->group, a->name,
             met, wanted);
    TW_TRY(tw_checkpoint_read_array(c, index, a->data));
done:
    return st;
}

static int compare_names(const void *a, const void *b)
{
    const tw_checkpoint_array *x = *(const tw_checkpoint_array *const *)a,
                              *y = *(const tw_checkpoint_array *const *)b;
    int order = strcmp(x->group, y->group);
    return order ? order : strcmp(x->name, y->name);
}

/* Each array of the groups that the caller names must be one of the caller's. */
static tw_status refuse_surplus(const tw_checkpoint *c, const tw_checkpoint_array *arrays,
                                int64_t count)
{
    tw_status st = TW_OK;
    const tw_checkpoint_array **sorted = NULL;
    TW_TRY(tw_alloc(&sorted, count, sizeof *sorted, "names of arrays"));
    for (int64_t i = 0; i < count; i++) sorted[i] = &arrays[i];
    if (count > 0) qsort(sorted, (size_t)count, sizeof *sorted, compare_names);
    for (int64_t i = 0; i < c->count; i++) {
        const tw_checkpoint_array *a = &c->arrays[i];
        bool named = false;
        for (int64_t k = 0; k < count && !named; k++)
            named = strcmp(arrays[k].group, a->group) == 0;
        if (!named || bsearch(&a, sorted, (size_t)count, sizeof *sorted, compare_names)) continue;
        TW_FAIL(TW_EDATA, "%s: holds /%s/%s, which this network does not have", c->path, a->group,
                a->name);
    }
done:
    tw_free(&sorted);
    return st;
}

tw_status tw_checkpoint_read(const tw_checkpoint *c, const tw_checkpoint_array *arrays,
                             int64_t count)
{
    tw_status st = TW_OK;
    TW_TRY(refuse_surplus(c, arrays, count));
    for (int64_t i = 0; i < count; i++) TW_TRY(read_one(c, &arrays[i]));
done:
    return st;
}

tw_status tw_checkpoint_verify(const tw_checkpoint *c)
{
    tw_status st = TW_OK;
    float *data = NULL;
    int64_t room = 0, n;
    for (int64_t i = 0; i < c->count; i++) {
        const tw_checkpoint_array *a = &c->arrays[i];
        TW_TRY(count_elements(&n, a, TW_EDATA));
        if (n > room) {
            tw_free(&data);
            TW_TRY(tw_alloc_arena(&data, (size_t)n * sizeof *data, "an array of a checkpoint"));
            room = n;
        }
        TW_TRY(tw_checkpoint_read_array(c, i, data));
        for (int64_t k = 0; k < n; k++)
            TW_CHECK(isfinite(data[k]), TW_EDATA, "%s: /%s/%s holds %g at element %lld", c->path,
                     a->group, a->name, (double)data[k], (long long)k);
    }
done:
    tw_free(&data);
    return st;
}
