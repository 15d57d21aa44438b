/* Attributes of HDF5 objects: text, integers, vectors of float32. */
#include <math.h>
#include <string.h>

#include "h5/h5.h"
#include "tweedie/memory.h"

tw_status tw_h5_has_attribute(bool *out, hid_t id, const char *path, const char *object,
                              const char *name)
{
    tw_status st = TW_OK;
    htri_t exists = H5Aexists(id, name);
    TRY_H5(exists, TW_EDATA, "%s: attributes of %s cannot be read", path, object);
    *out = exists > 0;
done:
    return st;
}

/* Opens an attribute that must have `count` elements of the class. */
static tw_status open_attribute(hid_t *attribute, hid_t *type, hid_t id, const char *path,
                                const char *object, const char *name, H5T_class_t class,
                                int64_t count)
{
    tw_status st = TW_OK;
    bool exists = false;
    hid_t space = H5I_INVALID_HID;
    TW_TRY(tw_h5_has_attribute(&exists, id, path, object, name));
    TW_CHECK(exists, TW_EDATA, "%s: %s has no attribute \"%s\"", path, object, name);
    TRY_H5(*attribute = H5Aopen(id, name, H5P_DEFAULT), TW_EDATA,
           "%s: attribute \"%s\" of %s cannot be opened", path, name, object);
    TRY_H5(*type = H5Aget_type(*attribute), TW_EDATA, "%s: attribute \"%s\" of %s cannot be read",
           path, name, object);
    TRY_H5(space = H5Aget_space(*attribute), TW_EDATA, "%s: attribute \"%s\" of %s cannot be read",
           path, name, object);
    TW_CHECK(H5Tget_class(*type) == class, TW_EDATA, "%s: attribute \"%s\" of %s is not %s", path,
             name, object,
             class == H5T_STRING    ? "text"
             : class == H5T_INTEGER ? "an integer"
                                    : "a list of floats");
    TW_CHECK(class == H5T_STRING || H5Tget_size(*type) <= 16, TW_EDATA,
             "%s: attribute \"%s\" of %s has numbers of %zu bytes", path, name, object,
             H5Tget_size(*type));
    TW_CHECK(H5Sget_simple_extent_npoints(space) == count, TW_EDATA,
             "%s: attribute \"%s\" of %s has %lld values, %lld were expected", path, name, object,
             (long long)H5Sget_simple_extent_npoints(space), (long long)count);
done:
    tw_h5_close(&space);
    return st;
}

/* Text of variable length, as h5py writes it, and as this program does so that h5py gives `str`. It
 * lives in a global heap; the library gives it as memory of its own. */
static tw_status read_variable(hid_t attribute, hid_t type, int64_t count, char **texts,
                               const char *path, const char *object, const char *name)
{
    tw_status st = TW_OK;
    hid_t memory = H5I_INVALID_HID;
    TRY_H5(memory = H5Tcopy(H5T_C_S1), TW_ENOMEM, "%s: out of memory", path);
    TRY_H5(H5Tset_size(memory, H5T_VARIABLE), TW_ENOMEM, "%s: out of memory", path);
    TRY_H5(H5Tset_cset(memory, H5Tget_cset(type)), TW_EDATA,
           "%s: attribute \"%s\" of %s cannot be read", path, name, object);
    TRY_H5(H5Aread(attribute, memory, texts), TW_EDATA, "%s: attribute \"%s\" of %s cannot be read",
           path, name, object);
    for (int64_t i = 0; i < count; i++)
        TW_CHECK(texts[i], TW_EDATA, "%s: attribute \"%s\" of %s holds no text", path, name,
                 object);
done:
    tw_h5_close(&memory);
    return st;
}

static void free_variable(char **texts, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (texts[i]) H5free_memory(texts[i]);
}

static tw_status read_fixed(hid_t attribute, hid_t type, char *text, size_t size, const char *path,
                            const char *object, const char *name)
{
    tw_status st = TW_OK;
    hid_t memory = H5I_INVALID_HID;
    TW_CHECK(H5Tget_size(type) > 0 && H5Tget_size(type) < size, TW_EDATA,
             "%s: attribute \"%s\" of %s is longer than %zu bytes", path, name, object, size - 1);
    TRY_H5(memory = H5Tcopy(H5T_C_S1), TW_EIO, "%s: attribute \"%s\" of %s cannot be read", path,
           name, object);
    TRY_H5(H5Tset_size(memory, size), TW_EIO, "%s: attribute \"%s\" of %s cannot be read", path,
           name, object);
    TRY_H5(H5Tset_cset(memory, H5Tget_cset(type)), TW_EDATA,
           "%s: attribute \"%s\" of %s cannot be read", path, name, object);
    TRY_H5(H5Aread(attribute, memory, text), TW_EDATA, "%s: attribute \"%s\" of %s cannot be read",
           path, name, object);
    text[size - 1] = '\0';
done:
    tw_h5_close(&memory);
    return st;
}

static tw_status read_text(hid_t id, const char *path, const char *object, const char *name,
                           bool fixed, char *out, size_t size)
{
    tw_status st = TW_OK;
    char text[4096] = "", *variable = NULL;
    const char *found = text;
    hid_t attribute = H5I_INVALID_HID, type = H5I_INVALID_HID;
    TW_TRY(open_attribute(&attribute, &type, id, path, object, name, H5T_STRING, 1));
    const bool varies = H5Tis_variable_str(type) > 0;
    TW_CHECK(!varies || !fixed, TW_EDATA,
             "%s: attribute \"%s\" of %s is a variable-length string; fixed length was expected",
             path, name, object);
    if (varies) {
        TW_TRY(read_variable(attribute, type, 1, &variable, path, object, name));
        found = variable;
    } else {
        TW_TRY(read_fixed(attribute, type, text, sizeof text, path, object, name));
    }
    TW_CHECK(strlen(found) < size, TW_EDATA, "%s: attribute \"%s\" of %s is longer than %zu bytes",
             path, name, object, size - 1);
    memcpy(out, found, strlen(found) + 1);
done:
    free_variable(&variable, 1);
    tw_h5_close(&type);
    tw_h5_close(&attribute);
    return st;
}

tw_status tw_h5_read_text(hid_t id, const char *path, const char *object, const char *name,
                          char *out, size_t size)
{
    return read_text(id, path, object, name, false, out, size);
}

tw_status tw_h5_read_fixed_text(hid_t id, const char *path, const char *object, const char *name,
                                char *out, size_t size)
{
    return read_text(id, path, object, name, true, out, size);
}

/* H5Aiterate2's; other kinds than one text of variable length have nothing in a heap that is read
 * here. */
static herr_t try_text(hid_t id, const char *name, const H5A_info_t *info, void *self)
{
    const char *const *words = self;
    hid_t attribute = H5Aopen(id, name, H5P_DEFAULT), type = H5Aget_type(attribute),
          space = H5Aget_space(attribute);
    char *text = NULL;
    tw_status st = TW_OK;
    (void)info;
    if (type >= 0 && space >= 0 && H5Tis_variable_str(type) > 0 &&
        H5Sget_simple_extent_npoints(space) == 1)
        st = read_variable(attribute, type, 1, &text, words[0], words[1], name);
    free_variable(&text, 1);
    tw_h5_close(&space);
    tw_h5_close(&type);
    tw_h5_close(&attribute);
    return st == TW_OK ? 0 : -1;
}

tw_status tw_h5_try_texts(hid_t id, const char *path, const char *object)
{
    tw_status st = TW_OK;
    const char *words[] = {path, object};
    hsize_t at = 0;
    TW_CHECK(H5Aiterate2(id, H5_INDEX_NAME, H5_ITER_INC, &at, try_text, words) >= 0, TW_EDATA,
             "%s: an attribute of %s cannot be read", path, object);
done:
    return st;
}

tw_status tw_h5_read_int(hid_t id, const char *path, const char *object, const char *name,
                         int64_t *out)
{
    tw_status st = TW_OK;
    int64_t value;
    hid_t attribute = H5I_INVALID_HID, type = H5I_INVALID_HID;
    TW_TRY(open_attribute(&attribute, &type, id, path, object, name, H5T_INTEGER, 1));
    TRY_H5(H5Aread(attribute, H5T_NATIVE_INT64, &value), TW_EDATA,
           "%s: attribute \"%s\" of %s cannot be read", path, name, object);
    *out = value;
done:
    tw_h5_close(&type);
    tw_h5_close(&attribute);
    return st;
}

tw_status tw_h5_read_exact(hid_t id, const char *path, const char *object, const char *name,
                           hid_t stored, hid_t memory, void *out)
{
    tw_status st = TW_OK;
    hid_t attribute = H5I_INVALID_HID, type = H5I_INVALID_HID;
    TW_TRY(open_attribute(&attribute, &type, id, path, object, name, H5Tget_class(stored), 1));
    TW_CHECK(H5Tequal(type, stored) > 0, TW_EDATA,
             "%s: attribute \"%s\" of %s has %zu bytes, or is of another type; %zu were expected",
             path, name, object, H5Tget_size(type), H5Tget_size(stored));
    TRY_H5(H5Aread(attribute, memory, out), TW_EDATA, "%s: attribute \"%s\" of %s cannot be read",
           path, name, object);
done:
    tw_h5_close(&type);
    tw_h5_close(&attribute);
    return st;
}

tw_status tw_h5_read_floats(hid_t id, const char *path, const char *object, const char *name,
                            int64_t count, float *out)
{
    tw_status st = TW_OK;
    hid_t attribute = H5I_INVALID_HID, type = H5I_INVALID_HID;
    TW_TRY(open_attribute(&attribute, &type, id, path, object, name, H5T_FLOAT, count));
    TRY_H5(H5Aread(attribute, H5T_NATIVE_FLOAT, out), TW_EDATA,
           "%s: attribute \"%s\" of %s cannot be read", path, name, object);
    for (int64_t i = 0; i < count; i++)
        TW_CHECK(isfinite(out[i]), TW_EDATA, "%s: attribute \"%s\" of %s is not finite", path, name,
                 object);
done:
    tw_h5_close(&type);
    tw_h5_close(&attribute);
    return st;
}

static tw_status write_attribute(hid_t id, const char *path, const char *name, hid_t type,
                                 hid_t memory, int64_t count, const void *values)
{
    tw_status st = TW_OK;
    hsize_t n = (hsize_t)count;
    hid_t space = H5I_INVALID_HID, attribute = H5I_INVALID_HID;
    TRY_H5(space = count > 0 ? H5Screate_simple(1, &n, NULL) : H5Screate(H5S_SCALAR), TW_EIO,
           "%s: attribute \"%s\" cannot be made", path, name);
    TRY_H5(attribute = H5Acreate2(id, name, type, space, H5P_DEFAULT, H5P_DEFAULT), TW_EIO,
           "%s: attribute \"%s\" cannot be made", path, name);
    TRY_H5(H5Awrite(attribute, memory, values), TW_EIO, "%s: attribute \"%s\" cannot be written",
           path, name);
done:
    tw_h5_close(&attribute);
    tw_h5_close(&space);
    return st;
}

/* Variable-length UTF-8: fixed text is bytes to h5py, this is a str. @param count  0: a scalar */
static tw_status write_variable(hid_t id, const char *path, const char *name, int64_t count,
                                const char *const *texts)
{
    tw_status st = TW_OK;
    hid_t type = H5I_INVALID_HID;
    TRY_H5(type = H5Tcopy(H5T_C_S1), TW_ENOMEM, "%s: out of memory", path);
    TRY_H5(H5Tset_size(type, H5T_VARIABLE), TW_ENOMEM, "%s: out of memory", path);
    TRY_H5(H5Tset_cset(type, H5T_CSET_UTF8), TW_ENOMEM, "%s: out of memory", path);
    TW_TRY(write_attribute(id, path, name, type, type, count, texts));
done:
    tw_h5_close(&type);
    return st;
}

tw_status tw_h5_write_text(hid_t id, const char *path, const char *name, const char *text)
{
    return write_variable(id, path, name, 0, &text);
}

tw_status tw_h5_write_int(hid_t id, const char *path, const char *name, int64_t value)
{
    return write_attribute(id, path, name, H5T_STD_I64LE, H5T_NATIVE_INT64, 0, &value);
}

tw_status tw_h5_write_floats(hid_t id, const char *path, const char *name, int64_t count,
                             const float *values)
{
    return write_attribute(id, path, name, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, count, values);
}

tw_status tw_h5_write_texts(hid_t id, const char *path, const char *name, int64_t count,
                            size_t width, const char *texts)
{
    tw_status st = TW_OK;
    char *all = NULL;
    const char **each = NULL;
    TW_TRY(tw_alloc(&all, count, width + 1, "an attribute"));
    TW_TRY(tw_alloc(&each, count, sizeof *each, "an attribute"));
    for (int64_t i = 0; i < count; i++) {
        char *one = all + (size_t)i * (width + 1);
        memcpy(one, texts + (size_t)i * width, width);
        one[width] = '\0';
        each[i] = one;
    }
    TW_TRY(write_variable(id, path, name, count, each));
done:
    tw_free(&each);
    tw_free(&all);
    return st;
}

/* Texts of variable length, padded to the longest. */
static tw_status pad_variable(hid_t attribute, hid_t type, int64_t count, size_t most,
                              size_t *width, char **out, const char *path, const char *object,
                              const char *name)
{
    tw_status st = TW_OK;
    char **each = NULL;
    size_t longest = 1;
    TW_TRY(tw_alloc(&each, count, sizeof *each, "an attribute"));
    TW_TRY(read_variable(attribute, type, count, each, path, object, name));
    for (int64_t i = 0; i < count; i++)
        if (strlen(each[i]) > longest) longest = strlen(each[i]);
    TW_CHECK(longest <= most / (size_t)count, TW_EDATA,
             "%s: attribute \"%s\" of %s holds texts of more than %zu bytes", path, name, object,
             most / (size_t)count);
    TW_TRY(tw_alloc(out, count, longest, "an attribute"));
    for (int64_t i = 0; i < count; i++)
        memcpy(*out + (size_t)i * longest, each[i], strlen(each[i]));
    *width = longest;
done:
    if (each) free_variable(each, count);
    tw_free(&each);
    return st;
}

tw_status tw_h5_read_texts(hid_t id, const char *path, const char *object, const char *name,
                           int64_t count, size_t most, size_t *width, char **out)
{
    tw_status st = TW_OK;
    bool exists = false;
    char *texts = NULL;
    hid_t attribute = H5I_INVALID_HID, type = H5I_INVALID_HID;
    TW_TRY(tw_h5_has_attribute(&exists, id, path, object, name));
    *out = NULL;
    if (!exists) goto done;
    TW_TRY(open_attribute(&attribute, &type, id, path, object, name, H5T_STRING, count));
    const size_t size = H5Tget_size(type);
    if (H5Tis_variable_str(type) > 0) {
        TW_TRY(pad_variable(attribute, type, count, most, width, &texts, path, object, name));
    } else {
        TW_CHECK(size >= 1 && size <= most / (size_t)count, TW_EDATA,
                 "%s: attribute \"%s\" of %s holds texts of more than %zu bytes", path, name,
                 object, most / (size_t)count);
        TW_TRY(tw_alloc(&texts, count, size, "an attribute"));
        TRY_H5(H5Aread(attribute, type, texts), TW_EDATA,
               "%s: attribute \"%s\" of %s cannot be read", path, name, object);
        *width = size;
    }
    *out = texts;
    texts = NULL;
done:
    tw_free(&texts);
    tw_h5_close(&type);
    tw_h5_close(&attribute);
    return st;
}
