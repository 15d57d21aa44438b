/* Opening "FILE:/path", and telling what a file holds where that path is not in it. */
#include <hdf5_hl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "data/foreign.h"
#include "tweedie/memory.h"

enum { LISTED = 24, LIST_BYTES = 1200 };

/* What H5Ovisit tells the callback. */
typedef struct listing {
    char text[LIST_BYTES];
    size_t used;
    int count;
} listing;

static void clean(char *text)
{
    for (unsigned char *c = (unsigned char *)text; *c; c++)
        if (*c < 0x20 || *c == 0x7f) *c = '?';
}

/* Whether it is nothing but the name of a dimension (data/dimensions.c, and netCDF's own files). */
static bool is_bare_dimension(hid_t dataset)
{
    static const char title[] = "This is a netCDF dimension but not a netCDF variable";
    char name[sizeof title] = "";
    if (dataset < 0 || H5Aexists(dataset, "NAME") <= 0) return false;
    return H5DSis_scale(dataset) > 0 && H5DSget_scale_name(dataset, name, sizeof name) > 0 &&
           strncmp(name, title, sizeof title - 1) == 0;
}

static herr_t list_one(hid_t root, const char *name, const H5O_info_t *info, void *out)
{
    listing *l = out;
    hsize_t dims[H5S_MAX_RANK];
    char line[256], shape[128] = "";
    size_t n = 0;
    if (info->type != H5O_TYPE_DATASET) return 0;
    hid_t dataset = H5Dopen2(root, name, H5P_DEFAULT);
    if (is_bare_dimension(dataset) || ++l->count > LISTED) {
        tw_h5_close(&dataset);
        return 0;
    }
    hid_t space = dataset >= 0 ? H5Dget_space(dataset) : H5I_INVALID_HID;
    const int rank = space >= 0 ? H5Sget_simple_extent_dims(space, dims, NULL) : 0;
    for (int i = 0; i < rank && n < sizeof shape; i++)
        n += (size_t)snprintf(shape + n, sizeof shape - n, "%s%llu", i ? ", " : "",
                              (unsigned long long)dims[i]);
    tw_h5_close(&space);
    tw_h5_close(&dataset);
    n = (size_t)snprintf(line, sizeof line, "%s/%.120s [%.100s]", l->used ? ", " : "", name, shape);
    clean(line);
    if (l->used + n < sizeof l->text) {
        memcpy(l->text + l->used, line, n + 1);
        l->used += n;
    }
    return 0;
}

/* "; it holds /x [5, 8, 8], /y [5]". */
static void list_arrays(char *out, size_t size, hid_t file)
{
    listing l = {.text = ""};
    (void)H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_INC, list_one, &l, H5O_INFO_BASIC);
    if (l.count == 0)
        snprintf(out, size, "; it holds no arrays");
    else if (l.count > LISTED)
        snprintf(out, size, "; it holds %s and %d more", l.text, l.count - LISTED);
    else
        snprintf(out, size, "; it holds %s", l.text);
}

/* Follows a path step by step; a link to elsewhere is told with its target. */
static tw_status check_path(const tw_foreign *a)
{
    tw_status st = TW_OK;
    char step[1024], list[LIST_BYTES + 64], target[512] = "";
    H5L_info_t info;
    TW_TRY(tw_format(step, sizeof step, "%s", a->object));
    for (char *slash = step + 1;; slash++) {
        const char end = *slash;
        if (end && end != '/') continue;
        *slash = '\0';
        if (H5Lexists(a->file, step, H5P_DEFAULT) <= 0 ||
            H5Lget_info(a->file, step, &info, H5P_DEFAULT) < 0) {
            list_arrays(list, sizeof list, a->file);
            TW_FAIL(TW_EDATA, "%s: there is no object %s%s", a->path, step, list);
        }
        if (info.type != H5L_TYPE_HARD && info.u.val_size < sizeof target &&
            H5Lget_val(a->file, step, target, sizeof target, H5P_DEFAULT) >= 0) {
            const char *file = NULL, *object = target;
            if (info.type == H5L_TYPE_EXTERNAL)
                (void)H5Lunpack_elink_val(target, info.u.val_size, NULL, &file, &object);
            TW_FAIL(TW_EDATA, "%s: %s is a link to %s%s%s, and links are not followed; name that",
                    a->path, step, file ? file : "", file ? ":" : "", object);
        }
        *slash = end;
        if (!end) break;
    }
    H5O_info_t object;
    if (H5Oget_info_by_name2(a->file, a->object, &object, H5O_INFO_BASIC, H5P_DEFAULT) >= 0 &&
        object.type == H5O_TYPE_GROUP) {
        list_arrays(list, sizeof list, a->file);
        TW_FAIL(TW_EDATA, "%s: %s is not a dataset but a group%s", a->path, a->object, list);
    }
done:
    return st;
}

/* MATLAB keeps its arrays column by column, and its files begin with its name. */
static bool is_matlab(const tw_foreign *a)
{
    char head[20] = "";
    const size_t length = strlen(a->path);
    FILE *file = fopen(a->path, "rb");
    if (file) {
        (void)!fread(head, 1, sizeof head - 1, file);
        fclose(file);
    }
    return strncmp(head, "MATLAB 7.3 MAT-file", 10) == 0 ||
           (length > 4 && strcasecmp(a->path + length - 4, ".mat") == 0) ||
           H5Aexists(a->dataset, "MATLAB_class") > 0;
}

static tw_status split_argument(tw_foreign *a, const char *argument, const char *option)
{
    tw_status st = TW_OK;
    const char *colon = NULL;
    for (const char *c = strstr(argument, ":/"); c; c = strstr(c + 1, ":/"))
        colon = c; /* the last: a file's name may hold one */
    if (colon && colon > argument && colon[2]) {
        TW_TRY(tw_format(a->path, sizeof a->path, "%.*s", (int)(colon - argument), argument));
        a->object = colon + 1;
        return TW_OK;
    }
    char list[LIST_BYTES + 64] = "";
    if (H5Fis_hdf5(argument) > 0 && (a->file = H5Fopen(argument, H5F_ACC_RDONLY, H5P_DEFAULT)) >= 0)
        list_arrays(list, sizeof list, a->file);
    TW_FAIL(TW_EUSAGE, "%s\"%s\": FILE:/path of an array was expected%s", option, argument, list);
done:
    return st;
}

/* What is stored, and whether all of it was written. The index of chunks is walked over once for
 * this and for reading. */
static tw_status check_stored(tw_foreign *a)
{
    tw_status st = TW_OK;
    bool known = false;
    TW_TRY(tw_h5_look(&a->shape, a->dataset, a->path, a->object));
    if (a->shape.chunk_rows > 0) {
        TW_TRY(tw_alloc(&a->chunks, 1, sizeof *a->chunks, "chunks"));
        TW_TRY(tw_h5_chunks_open(a->chunks, a->dataset, H5P_DEFAULT, &a->shape,
                                 tw_h5_descriptor(a->dataset), a->path, a->object));
        TW_TRY(tw_h5_chunks_check(&known, a->chunks, &a->shape));
    }
    if (known) goto done;
    TW_TRY(tw_h5_describe(&a->shape, a->dataset, a->path, a->object));
    TW_TRY(tw_h5_check_written(&a->shape, a->dataset, a->path, a->object));
done:
    return st;
}

tw_status tw_foreign_open(tw_foreign *out, const char *argument, const char *option)
{
    tw_status st = TW_OK;
    tw_foreign a = {.file = H5I_INVALID_HID, .dataset = H5I_INVALID_HID};
    TW_TRY(split_argument(&a, argument, option));
    TW_TRY(tw_file_size(NULL, a.path));
    const htri_t is = H5Fis_hdf5(a.path);
    TW_CHECK(is != 0, TW_EDATA, "%s: not an HDF5 file", a.path);
    TRY_H5(a.file = H5Fopen(a.path, H5F_ACC_RDONLY, H5P_DEFAULT), TW_EDATA,
           "%s: cannot be opened as an HDF5 file", a.path);
    TW_TRY(check_path(&a));
    TW_TRY(tw_h5_open_dataset(&a.dataset, a.file, a.path, a.object));
    TW_TRY(check_stored(&a));
    a.column_major = is_matlab(&a);
    *out = a;
    if (out->chunks) out->chunks->path = out->path;
done:
    if (st != TW_OK) tw_foreign_close(&a);
    return st;
}

void tw_foreign_close(tw_foreign *a)
{
    if (a->chunks) tw_h5_chunks_close(a->chunks);
    tw_free(&a->chunks);
    tw_h5_close(&a->dataset);
    tw_h5_close(&a->file);
}

/* Text of variable length is the library's memory. */
static void read_variable(hid_t attribute, hid_t type, char *out, size_t size)
{
    char *text = NULL;
    hid_t memory = H5Tcopy(type);
    if (memory >= 0 && H5Aread(attribute, memory, &text) >= 0 && text)
        snprintf(out, size, "%s", text);
    (void)H5free_memory(text);
    tw_h5_close(&memory);
}

tw_status tw_foreign_text(bool *found, hid_t id, const char *name, char *out, size_t size)
{
    tw_status st = TW_OK;
    hid_t attribute = H5I_INVALID_HID, type = H5I_INVALID_HID, space = H5I_INVALID_HID;
    char *text = NULL;
    *found = false;
    out[0] = '\0';
    if (H5Aexists(id, name) <= 0) goto done;
    if ((attribute = H5Aopen(id, name, H5P_DEFAULT)) < 0 || (type = H5Aget_type(attribute)) < 0 ||
        (space = H5Aget_space(attribute)) < 0 || H5Tget_class(type) != H5T_STRING ||
        H5Sget_simple_extent_npoints(space) != 1)
        goto done;
    if (H5Tis_variable_str(type) > 0) {
        read_variable(attribute, type, out, size);
    } else if (H5Tget_size(type) <= 1 << 16) {
        const size_t length = H5Tget_size(type);
        TW_TRY(tw_alloc(&text, (int64_t)length + 1, 1, "an attribute"));
        if (H5Aread(attribute, type, text) < 0) goto done;
        if (H5Tget_strpad(type) == H5T_STR_SPACEPAD)
            for (size_t n = length; n > 0 && text[n - 1] == ' '; n--) text[n - 1] = '\0';
        snprintf(out, size, "%s", text);
    }
    clean(out);
    *found = true;
done:
    tw_free(&text);
    tw_h5_close(&space);
    tw_h5_close(&type);
    tw_h5_close(&attribute);
    return st;
}
