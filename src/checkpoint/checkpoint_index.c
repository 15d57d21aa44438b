/* Reading the structure of a file, with every object held against what the writer makes: attributes
 * and datasets of the root by name, and groups of groups of f32 arrays, each reached by one hard
 * link alone, stored in the file itself, and all of them together no longer than the file. */
#include "checkpoint/checkpoint_index.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "h5/h5.h"
#include "tweedie/memory.h"

enum { DEPTH_MAX = 4, ARRAYS_MAX = 1 << 20, CONFIG_MAX = 1 << 26 };

typedef struct builder {
    file_index *x;
    const char *path;
    hid_t file;
    int64_t left; /* bytes of the file that no object has claimed */
    int depth;
} builder;

/* ---- facts ---- */

static tw_status read_format(builder *b)
{
    tw_status st = TW_OK;
    char format[64] = "";
    int64_t version;
    TW_TRY(tw_h5_read_fixed_text(b->file, b->path, "/", "format", format, sizeof format));
    b->x->weights = strcmp(format, FORMAT_WEIGHTS) == 0;
    TW_CHECK(b->x->weights || strcmp(format, FORMAT_CHECKPOINT) == 0, TW_EDATA,
             "%s: its format is '%s', expected '%s' or '%s'", b->path, format, FORMAT_CHECKPOINT,
             FORMAT_WEIGHTS);
    TW_TRY(tw_h5_read_int(b->file, b->path, "/", "format_version", &version));
    TW_CHECK(version == TW_CHECKPOINT_VERSION, TW_EDATA,
             "%s: has version %lld of '%s', this program knows %d", b->path, (long long)version,
             format, TW_CHECKPOINT_VERSION);
done:
    return st;
}

static tw_status read_fields(builder *b)
{
    tw_status st = TW_OK;
    for (int i = 0; i < meta_field_count; i++) {
        const meta_field *f = &meta_fields[i];
        char *member = (char *)&b->x->meta + f->offset;
        bool there = true;
        if (is_optional(f)) TW_TRY(tw_h5_has_attribute(&there, b->file, b->path, "/", f->name));
        if (!there) continue;
        switch (f->type) {
        case META_TEXT:
            TW_TRY(tw_h5_read_fixed_text(b->file, b->path, "/", f->name, member, f->size));
            break;
        case META_INT:
            TW_TRY(tw_h5_read_exact(b->file, b->path, "/", f->name, H5T_STD_I32LE, H5T_NATIVE_INT,
                                    member));
            break;
        case META_INT64:
            TW_TRY(tw_h5_read_exact(b->file, b->path, "/", f->name, H5T_STD_I64LE, H5T_NATIVE_INT64,
                                    member));
            break;
        case META_UINT64:
            TW_TRY(tw_h5_read_exact(b->file, b->path, "/", f->name, H5T_STD_U64LE,
                                    H5T_NATIVE_UINT64, member));
            break;
        }
    }
done:
    return st;
}

/* Takes bytes from what the file can hold. */
static tw_status claim(builder *b, const char *name, int64_t bytes)
{
    tw_status st = TW_OK;
    TW_CHECK(bytes <= b->left, TW_EDATA,
             "%s: with %s its objects claim more bytes than the file has", b->path, name);
    b->left -= bytes;
done:
    return st;
}

/* Opens a dataset of the root where it is there. */
static tw_status open_fact(hid_t *out, const builder *b, const char *name)
{
    tw_status st = TW_OK;
    bool there;
    TW_TRY(tw_h5_has(&there, b->file, b->path, name));
    if (there) TW_TRY(tw_h5_open_dataset(out, b->file, b->path, name));
done:
    return st;
}

static tw_status read_config(builder *b)
{
    tw_status st = TW_OK;
    hid_t set = H5I_INVALID_HID, type = H5I_INVALID_HID;
    char *config = NULL;
    int rank;
    TW_TRY(tw_h5_open_dataset(&set, b->file, b->path, "/config"));
    TW_TRY(tw_h5_check_storage(set, b->path, "/config", false));
    TW_TRY(tw_h5_read_dims(&rank, NULL, set, b->path, "/config", 0));
    TRY_H5(type = H5Dget_type(set), TW_EDATA, "%s: the type of /config cannot be read", b->path);
    TW_CHECK(H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0 &&
                 H5Tcommitted(type) == 0,
             TW_EDATA, "%s: /config is not a text of fixed length", b->path);
    const size_t size = H5Tget_size(type);
    TW_CHECK(size > 0 && size <= CONFIG_MAX, TW_EDATA, "%s: /config has %zu bytes", b->path, size);
    TW_TRY(claim(b, "/config", (int64_t)size));
    TW_TRY(tw_h5_check_stored(set, b->path, "/config", (int64_t)size));
    TW_TRY(tw_alloc(&config, (int64_t)size + 1, 1, "a configuration"));
    TRY_H5(H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, config), TW_EDATA,
           "%s: /config cannot be read", b->path);
    b->x->config_bytes = (int64_t)strlen(config) + 1;
    b->x->meta.config = config;
    config = NULL;
done:
    tw_free(&config);
    tw_h5_close(&type);
    tw_h5_close(&set);
    return st;
}

static tw_status read_losses(builder *b)
{
    tw_status st = TW_OK;
    hid_t set = H5I_INVALID_HID;
    double *losses = NULL;
    int64_t dims[2];
    int rank;
    TW_TRY(open_fact(&set, b, "/loss_history"));
    if (set < 0) goto done;
    TW_TRY(
        tw_h5_check_numbers(&rank, dims, set, b->path, "/loss_history", H5T_IEEE_F64LE, 2, false));
    TW_CHECK(rank == 2 && dims[1] == 2, TW_EDATA,
             "%s: /loss_history is not a table of steps and losses", b->path);
    TW_TRY(claim(b, "/loss_history", 2 * dims[0] * (int64_t)sizeof *losses));
    TW_TRY(tw_alloc(&losses, 2 * dims[0], sizeof *losses, "a loss history"));
    TRY_H5(H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, losses), TW_EDATA,
           "%s: /loss_history cannot be read", b->path);
    b->x->meta.losses = losses;
    b->x->meta.loss_count = dims[0];
    losses = NULL;
done:
    tw_free(&losses);
    tw_h5_close(&set);
    return st;
}

/* One number of each channel. */
static tw_status read_channels(builder *b, const char *name, int64_t channels, float *out)
{
    tw_status st = TW_OK;
    hid_t set = H5I_INVALID_HID;
    int64_t dims[1];
    int rank;
    TW_TRY(tw_h5_open_dataset(&set, b->file, b->path, name));
    TW_TRY(tw_h5_check_numbers(&rank, dims, set, b->path, name, H5T_IEEE_F32LE, 1, false));
    TW_CHECK(rank == 1 && dims[0] == channels, TW_EDATA,
             "%s: %s does not have one number for each of %lld channels", b->path, name,
             (long long)channels);
    TW_TRY(claim(b, name, dims[0] * (int64_t)sizeof *out));
    TRY_H5(H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, out), TW_EDATA,
           "%s: %s cannot be read", b->path, name);
done:
    tw_h5_close(&set);
    return st;
}

static tw_status read_units(builder *b, int which)
{
    tw_status st = TW_OK;
    float *units = NULL;
    char of_offset[64], of_scale[64];
    bool offset, scale;
    const int64_t channels = unit_channels(&b->x->meta, which);
    TW_TRY(tw_format(of_offset, sizeof of_offset, "/%s", unit_offset_names[which]));
    TW_TRY(tw_format(of_scale, sizeof of_scale, "/%s", unit_scale_names[which]));
    TW_TRY(tw_h5_has(&offset, b->file, b->path, of_offset));
    TW_TRY(tw_h5_has(&scale, b->file, b->path, of_scale));
    if (!offset && !scale) goto done;
    TW_CHECK(channels >= 1 && channels <= CHANNELS_MAX, TW_EDATA, "%s: %s of %lld channels",
             b->path, which == UNITS_SAMPLE ? "samples" : "conditions", (long long)channels);
    TW_TRY(tw_alloc(&units, 2 * channels, sizeof *units, "channel offsets and scales"));
    TW_TRY(read_channels(b, of_offset, channels, units));
    TW_TRY(read_channels(b, of_scale, channels, units + channels));
    b->x->unit_count[which] = 2 * channels;
    set_units(&b->x->meta, which, units);
    units = NULL;
done:
    tw_free(&units);
    return st;
}

/* ---- arrays ---- */

/* A list that grows by doubling. */
static tw_status make_room(void *list, int64_t *room, int64_t wanted, size_t size, const builder *b)
{
    tw_status st = TW_OK;
    void *old, *more;
    int64_t n = *room ? *room : 256;
    if (wanted <= *room) return TW_OK;
    while (n < wanted) n *= 2;
    memcpy(&old, list, sizeof old);
    more = realloc(old, (size_t)n * size);
    TW_CHECK(more, TW_ENOMEM, "out of memory: the list of the arrays of %s", b->path);
    memcpy(list, &more, sizeof more);
    *room = n;
done:
    return st;
}

/* That the chunks are of the shape that the writer chooses. */
static tw_status check_chunk(const builder *b, hid_t set, const char *name, const index_entry *e)
{
    tw_status st = TW_OK;
    hid_t list = H5I_INVALID_HID;
    hsize_t chunk[H5S_MAX_RANK];
    int64_t wanted[TW_CHECKPOINT_DIMS];
    TRY_H5(list = H5Dget_create_plist(set), TW_EDATA, "%s: the storage of %s cannot be read",
           b->path, name);
    TW_CHECK(H5Pget_chunk(list, H5S_MAX_RANK, chunk) == e->rank, TW_EDATA,
             "%s: the chunks of %s cannot be read", b->path, name);
    choose_chunk(wanted, e->rank, e->dims);
    for (int i = 0; i < e->rank; i++)
        TW_CHECK(chunk[i] == (hsize_t)wanted[i], TW_EDATA,
                 "%s: %s has chunks of another shape than this program writes", b->path, name);
done:
    tw_h5_close(&list);
    return st;
}

/* Where each chunk lies, in the order of the array. */
static tw_status list_chunks(builder *b, hid_t set, const char *name, const index_entry *e)
{
    tw_status st = TW_OK;
    const chunk_grid g = grid_of(e->rank, e->dims);
    int64_t *list = b->x->chunks + e->first_chunk;
    hsize_t count = 0, at[H5S_MAX_RANK], bytes;
    hid_t space = H5I_INVALID_HID;
    haddr_t address;
    unsigned mask;
    TRY_H5(space = H5Dget_space(set), TW_EDATA, "%s: the shape of %s cannot be read", b->path,
           name);
    TRY_H5(H5Dget_num_chunks(set, space, &count), TW_EDATA, "%s: the chunks of %s cannot be read",
           b->path, name);
    TW_CHECK(count == (hsize_t)g.count, TW_EDATA, "%s: %s has %llu chunks, expected %lld", b->path,
             name, (unsigned long long)count, (long long)g.count);
    for (int64_t i = 0; i < g.count; i++) list[i] = -1;
    for (int64_t i = 0; i < g.count; i++) {
        TRY_H5(H5Dget_chunk_info(set, space, (hsize_t)i, at, &mask, &address, &bytes), TW_EDATA,
               "%s: the chunks of %s cannot be read", b->path, name);
        const int64_t k = grid_index(&g, e->rank, e->dims, at);
        TW_CHECK(k >= 0 && list[k] < 0 && mask == 0 && bytes == (hsize_t)g.bytes &&
                     address <= INT64_MAX,
                 TW_EDATA, "%s: chunk %lld of %s is not as this program writes it", b->path,
                 (long long)i, name);
        list[k] = (int64_t)address;
    }
done:
    tw_h5_close(&space);
    return st;
}

/* "/ema/0.9999/conv.weight" into group and name. */
static tw_status split_name(index_entry *e, const builder *b, const char *name)
{
    tw_status st = TW_OK;
    const char *slash = strrchr(name, '/');
    const size_t group = slash > name ? (size_t)(slash - name) - 1 : 0;
    TW_CHECK(group > 0, TW_EDATA, "%s: %s is unknown", b->path, name);
    TW_CHECK(group < sizeof e->group && strlen(slash + 1) < sizeof e->name, TW_EDATA,
             "%s: the name %s is too long", b->path, name);
    memcpy(e->group, name + 1, group);
    memcpy(e->name, slash + 1, strlen(slash + 1));
done:
    return st;
}

static tw_status add_array(builder *b, hid_t set, const char *name)
{
    tw_status st = TW_OK;
    file_index *x = b->x;
    index_entry e = {.first_chunk = x->chunk_count};
    int64_t n;
    TW_CHECK(x->count < ARRAYS_MAX, TW_EDATA, "%s: holds more than %d arrays", b->path, ARRAYS_MAX);
    TW_TRY(split_name(&e, b, name));
    TW_TRY(tw_h5_check_numbers(&e.rank, e.dims, set, b->path, name, H5T_IEEE_F32LE,
                               TW_CHECKPOINT_DIMS, true));
    const tw_checkpoint_array a = {e.group, e.name, e.rank, e.dims, NULL};
    st = count_elements(&n, &a, TW_EDATA);
    if (st != TW_OK) tw_error_prefix("%s: ", b->path);
    if (st != TW_OK) goto done;
    TW_TRY(claim(b, name, n * (int64_t)sizeof(float)));
    TW_TRY(check_chunk(b, set, name, &e));
    const chunk_grid g = grid_of(e.rank, e.dims);
    TW_TRY(make_room(&x->chunks, &x->chunk_room, x->chunk_count + g.count, sizeof *x->chunks, b));
    TW_TRY(list_chunks(b, set, name, &e));
    TW_TRY(make_room(&x->entries, &x->room, x->count + 1, sizeof *x->entries, b));
    x->entries[x->count++] = e;
    x->chunk_count += g.count;
done:
    return st;
}

static tw_status visit(void *self, hid_t object, const char *name)
{
    tw_status st = TW_OK;
    builder *b = self;
    const H5I_type_t type = H5Iget_type(object);
    if (is_meta_dataset(name + 1)) {
        TW_CHECK(type == H5I_DATASET, TW_EDATA, "%s: %s is not a dataset", b->path, name);
        goto done;
    }
    if (type == H5I_DATASET) {
        TW_TRY(add_array(b, object, name));
        goto done;
    }
    TW_CHECK(type == H5I_GROUP && b->depth < DEPTH_MAX, TW_EDATA,
             "%s: %s is neither a group nor an array", b->path, name);
    b->depth++;
    st = tw_h5_walk(object, b->path, name, visit, b);
    b->depth--;
done:
    return st;
}

static int by_name(const void *a, const void *b)
{
    const index_entry *x = a, *y = b;
    int order = strcmp(x->group, y->group);
    return order ? order : strcmp(x->name, y->name);
}

tw_status index_build(file_index *out, const char *path, int64_t bytes)
{
    tw_status st = TW_OK;
    file_index x = {0};
    builder b = {.x = &x, .path = path, .file = H5I_INVALID_HID, .left = bytes};
    TW_TRY(tw_h5_open(&b.file, path));
    TW_TRY(read_format(&b));
    TW_TRY(read_fields(&b));
    TW_TRY(tw_h5_walk(b.file, path, "", visit, &b)); /* no link of the root is followed after it */
    TW_TRY(read_config(&b));
    TW_TRY(read_losses(&b));
    for (int k = 0; k < UNITS_COUNT; k++) TW_TRY(read_units(&b, k));
    if (x.count > 0) qsort(x.entries, (size_t)x.count, sizeof *x.entries, by_name);
    *out = x;
    memset(&x, 0, sizeof x);
done:
    tw_h5_close(&b.file);
    index_clear(&x);
    return st;
}

void index_clear(file_index *x)
{
    tw_checkpoint_meta_clear(&x->meta);
    free(x->entries);
    free(x->chunks);
    memset(x, 0, sizeof *x);
}
