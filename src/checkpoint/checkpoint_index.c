/* Listing the arrays of a file, with every object held against what the writer makes: groups of
 * groups of f32 datasets, reached by hard links alone, stored in the file itself, chunked with no
 * filter but fletcher32. So a file that somebody made cannot have the library read other files, run
 * a filter from a plugin, or unpack more than is there. */
#include "checkpoint/checkpoint_index.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/hdf5_try.h"
#include "tweedie/memory.h"

enum { DEPTH_MAX = 4, ARRAYS_MAX = 1 << 20 };

static tw_status check_storage(const tw_checkpoint *c, hid_t set, const char *name)
{
    tw_status st = TW_OK;
    hid_t list = -1;
    TRY_H5(TW_EDATA, c->path, list = H5Dget_create_plist(set));
    TW_CHECK(H5Pget_layout(list) == H5D_CHUNKED && H5Pget_external_count(list) == 0, TW_EDATA,
             "%s: /%s is not stored in chunks in the file", c->path, name);
    int filters = H5Pget_nfilters(list);
    for (int i = 0; i < filters; i++) {
        unsigned flags, config;
        size_t values = 0;
        H5Z_filter_t filter =
            H5Pget_filter2(list, (unsigned)i, &flags, &values, NULL, 0, NULL, &config);
        TW_CHECK(filter == H5Z_FILTER_FLETCHER32, TW_EDATA,
                 "%s: /%s is stored with filter %d, expected fletcher32 alone", c->path, name,
                 (int)filter);
    }
done:
    if (list >= 0) H5Pclose(list);
    return st;
}

static tw_status check_type(const tw_checkpoint *c, hid_t set, const char *name)
{
    tw_status st = TW_OK;
    hid_t type = -1;
    TRY_H5(TW_EDATA, c->path, type = H5Dget_type(set));
    TW_CHECK(H5Tequal(type, H5T_IEEE_F32LE) > 0, TW_EDATA, "%s: /%s is not of type float32",
             c->path, name);
done:
    if (type >= 0) H5Tclose(type);
    return st;
}

static tw_status read_dims(const tw_checkpoint *c, hid_t set, const char *name, index_entry *e)
{
    tw_status st = TW_OK;
    hsize_t dims[TW_CHECKPOINT_DIMS];
    hid_t space = -1;
    TRY_H5(TW_EDATA, c->path, space = H5Dget_space(set));
    e->rank = H5Sget_simple_extent_ndims(space);
    TW_CHECK(e->rank >= 1 && e->rank <= TW_CHECKPOINT_DIMS, TW_EDATA,
             "%s: /%s has %d dimensions, expected 1 to %d", c->path, name, e->rank,
             TW_CHECKPOINT_DIMS);
    TRY_H5(TW_EDATA, c->path, H5Sget_simple_extent_dims(space, dims, NULL));
    for (int i = 0; i < e->rank; i++) {
        TW_CHECK(dims[i] <= INT64_MAX, TW_EDATA, "%s: /%s is too large", c->path, name);
        e->dims[i] = (int64_t)dims[i];
    }
    int64_t n;
    const tw_checkpoint_array a = {e->group, e->name, e->rank, e->dims, NULL};
    st = count_elements(&n, &a, TW_EDATA);
    if (st != TW_OK) tw_error_prefix("%s: ", c->path);
    if (st != TW_OK) goto done;
    TW_CHECK(n <= c->bytes / (int64_t)sizeof(float), TW_EDATA,
             "%s: /%s claims %lld values, more than the file can hold", c->path, name,
             (long long)n);
done:
    if (space >= 0) H5Sclose(space);
    return st;
}

static tw_status make_room(tw_checkpoint *c)
{
    tw_status st = TW_OK;
    if (c->count < c->room) return TW_OK;
    int64_t room = c->room ? 2 * c->room : 256;
    TW_CHECK(room <= ARRAYS_MAX, TW_EDATA, "%s: holds more than %d arrays", c->path, ARRAYS_MAX);
    index_entry *more = realloc(c->entries, (size_t)room * sizeof *more);
    TW_CHECK(more, TW_ENOMEM, "out of memory: the list of the arrays of %s", c->path);
    c->entries = more;
    c->room = room;
done:
    return st;
}

static tw_status add_array(tw_checkpoint *c, hid_t set, const char *path)
{
    tw_status st = TW_OK;
    const char *slash = strrchr(path, '/');
    TW_CHECK(slash, TW_EDATA, "%s: /%s is unknown", c->path,
             path); /* what belongs to the meta never comes here */
    TW_TRY(make_room(c));
    index_entry *e = &c->entries[c->count];
    TW_CHECK(snprintf(e->group, sizeof e->group, "%.*s", (int)(slash - path), path) < NAME_BYTES &&
                 snprintf(e->name, sizeof e->name, "%s", slash + 1) < NAME_BYTES,
             TW_EDATA, "%s: the name /%s is too long", c->path, path);
    TW_TRY(check_type(c, set, path));
    TW_TRY(check_storage(c, set, path));
    TW_TRY(read_dims(c, set, path, e));
    c->count++;
done:
    return st;
}

static tw_status walk(tw_checkpoint *c, hid_t group, const char *prefix, int depth);

static tw_status visit(tw_checkpoint *c, hid_t group, const char *prefix, int depth,
                       const char *name)
{
    tw_status st = TW_OK;
    char path[2 * NAME_BYTES];
    hid_t object = -1;
    H5L_info_t link;

    TW_TRY(tw_format(path, sizeof path, "%s%s%s", prefix, prefix[0] ? "/" : "", name));
    if (is_meta_dataset(path)) goto done;
    TRY_H5(TW_EDATA, c->path, H5Lget_info(group, name, &link, H5P_DEFAULT));
    TW_CHECK(link.type == H5L_TYPE_HARD, TW_EDATA, "%s: /%s is a link, which is not followed",
             c->path, path);
    TRY_H5(TW_EDATA, c->path, object = H5Oopen(group, name, H5P_DEFAULT));
    H5I_type_t type = H5Iget_type(object);
    if (type == H5I_DATASET) {
        TW_TRY(add_array(c, object, path));
    } else {
        TW_CHECK(type == H5I_GROUP && depth < DEPTH_MAX, TW_EDATA,
                 "%s: /%s is neither a group nor an array", c->path, path);
        TW_TRY(walk(c, object, path, depth + 1));
    }
done:
    if (object >= 0) H5Oclose(object);
    return st;
}

typedef struct walker {
    tw_checkpoint *c;
    const char *prefix;
    int depth;
    tw_status st;
} walker;

static herr_t visit_link(hid_t group, const char *name, const H5L_info_t *info, void *self)
{
    walker *w = self;
    (void)info;
    w->st = visit(w->c, group, w->prefix, w->depth, name);
    return w->st == TW_OK ? 0 : 1; /* 1 ends the walk without a complaint of the library */
}

static tw_status walk(tw_checkpoint *c, hid_t group, const char *prefix, int depth)
{
    tw_status st = TW_OK;
    walker w = {c, prefix, depth, TW_OK};
    TRY_H5(TW_EDATA, c->path, H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, visit_link, &w));
    st = w.st;
done:
    return st;
}

static int by_name(const void *a, const void *b)
{
    const index_entry *x = a, *y = b;
    int order = strcmp(x->group, y->group);
    return order ? order : strcmp(x->name, y->name);
}

tw_status checkpoint_index(tw_checkpoint *c)
{
    tw_status st = TW_OK;
    TW_TRY(walk(c, c->file, "", 0));
    if (c->count > 0) qsort(c->entries, (size_t)c->count, sizeof *c->entries, by_name);
    TW_TRY(tw_alloc(&c->arrays, c->count, sizeof *c->arrays, "the list of arrays"));
    for (int64_t i = 0; i < c->count; i++) {
        index_entry *e = &c->entries[i];
        c->arrays[i] = (tw_checkpoint_array){e->group, e->name, e->rank, e->dims, NULL};
    }
done:
    return st;
}
