/* Inert values: what a file of weights holds, whatever its container. A tree of numbers, texts,
 * lists and dictionaries, with tensors that are views of the file's bytes. Nothing in it acts, and
 * nothing of it is copied that the file holds already.
 *
 * A tree comes from a file that anybody may have made: it may share nodes, or contain itself. Who
 * walks it bounds the walk (tw_item_walk does). Not collective; one archive belongs to one thread.
 */
#ifndef WEIGHTS_ITEM_H
#define WEIGHTS_ITEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tweedie/status.h"

/* ---- memory of a tree ---- */

/* Blocks that are freed together, up to a number of bytes: a file that asks for more is refused. */
typedef struct tw_arena {
    struct tw_arena_block *blocks;
    size_t room;  /* left in the newest block */
    int64_t left; /* bytes that may still be taken */
} tw_arena;

/* @param[out] out  zeroed, aligned for any type @return TW_EDATA where the limit is reached */
tw_status tw_arena_take(tw_arena *arena, void *out, int64_t count, size_t size);
/* Counts memory that somebody else holds for the same tree. */
tw_status tw_arena_count(tw_arena *arena, int64_t bytes);
void tw_arena_free(tw_arena *arena);

/* ---- tensors ---- */

enum { TW_TENSOR_RANK_MAX = 8 };

/* An element type; rows of one table. */
typedef struct tw_dtype {
    const char *name;               /* numpy's and torch's: "float32" */
    const char *storage;            /* of torch's storage class: "Float"; NULL: it has none */
    const char *safetensors;        /* "F32" */
    const char *code;               /* numpy's short code: "f4"; NULL: it has none */
    int size;                       /* bytes */
    double (*value)(uint64_t bits); /* NULL: cannot be a weight (complex, 8-bit floats) */
} tw_dtype;

/* The row whose `name`, `storage`, `safetensors` or `code` is this word, or NULL. */
typedef enum tw_dtype_word {
    TW_DTYPE_NAME,
    TW_DTYPE_STORAGE,
    TW_DTYPE_SAFETENSORS,
    TW_DTYPE_CODE
} tw_dtype_word;
const tw_dtype *tw_dtype_find(tw_dtype_word which, const char *word, int64_t length);

/* Elements in the file. */
typedef struct tw_storage {
    const tw_dtype *dtype; /* NULL: counted in bytes */
    int64_t count;         /* elements; bytes without a dtype */
    const uint8_t *bytes;  /* in the file; NULL until they are found */
    bool big_endian;
    bool has_crc, checked; /* CRC-32 of the bytes, compared when they are first read */
    uint32_t crc;
} tw_storage;

/* A view of a storage, in elements. */
typedef struct tw_tensor {
    const tw_dtype *dtype;
    int rank;
    int64_t shape[TW_TENSOR_RANK_MAX], stride[TW_TENSOR_RANK_MAX], offset;
    int64_t count; /* the product of shape */
    tw_storage *storage;
} tw_tensor;

/* ---- values ---- */

typedef enum tw_item_type {
    TW_ITEM_NONE,
    TW_ITEM_BOOL,
    TW_ITEM_INTEGER,
    TW_ITEM_NUMBER,
    TW_ITEM_TEXT, /* UTF-8; may hold NUL */
    TW_ITEM_BYTES,
    TW_ITEM_LIST, /* lists, tuples and sets */
    TW_ITEM_DICT,
    TW_ITEM_TENSOR,
    TW_ITEM_OBJECT, /* of a class that a container knows: its name and its attributes */
    TW_ITEM_STORAGE,
    TW_ITEM_NAME /* a class or function by its name, as a value */
} tw_item_type;

typedef struct tw_item tw_item;

/* An entry of a list (key NULL) or dictionary. */
typedef struct tw_link {
    struct tw_link *next;
    tw_item *key, *value;
} tw_link;

struct tw_item {
    tw_item_type type;
    union {
        bool yes;
        int64_t integer;
        double number;
        struct {
            const char *data; /* not ended by a NUL */
            int64_t length;
        } text; /* and bytes */
        struct {
            tw_link *first, *last;
            int64_t count;
        } list; /* and dict */
        struct {
            const char *data; /* of the class */
            int64_t length;
            tw_item *state; /* its attributes; NULL until they are known */
        } object;
        tw_tensor *tensor;
        tw_storage *storage;
        struct {
            const struct tw_pickle_name *row;
            const tw_dtype *dtype;
        } name;
    } as;
};

const char *tw_item_type_name(const tw_item *item); /* "a list" */

tw_status tw_item_new(tw_arena *arena, tw_item **out, tw_item_type type);
tw_status tw_item_append(tw_arena *arena, tw_item *list, tw_item *key, tw_item *value);
tw_status tw_item_new_text(tw_arena *arena, tw_item **out, const char *data, int64_t length);

/* Whether a text is this word. NULL is none. */
bool tw_item_is(const tw_item *item, const char *word);

/* The value of a key of a dictionary, or of an object's attributes; the last where it is there
 * twice. NULL where there is none, or `item` is NULL or no dictionary. */
const tw_item *tw_item_find(const tw_item *item, const char *key);
/* The same along "a/b/c". */
const tw_item *tw_item_find_path(const tw_item *item, const char *path);
/* Entry `i` of a list, or NULL. */
const tw_item *tw_item_at(const tw_item *item, int64_t i);

bool tw_item_integer(const tw_item *item, int64_t *out); /* also numbers without a fraction */
bool tw_item_number(const tw_item *item, double *out);   /* also integers and 0-d tensors */
/* A copy of a text; "" and false where it is none, does not fit, or holds a NUL. */
bool tw_item_text(const tw_item *item, char *out, size_t size);

/* ---- an open file ---- */

typedef struct tw_container tw_container;

typedef struct tw_archive {
    char *path;
    const uint8_t *bytes; /* the file, mapped */
    int64_t size;
    const tw_container *container;
    tw_arena arena;
    tw_item *root;
    int64_t tensors, elements; /* views made, and elements in them */
    int depth;                 /* streams inside streams */
    struct tw_archive **parts; /* owned: the files of a sharded set */
    int part_count;
} tw_archive;

/* Opens a file whatever its container, reads its structure, and checks every length, offset and
 * shape. Values of tensors are read when they are asked for.
 * @param[out] out  tw_archive_close; items and tensors live as long
 * @return TW_ENOINPUT; TW_EDATA naming the file and what is wrong, also where it holds no tensor */
tw_status tw_archive_open(tw_archive **out, const char *path);
void tw_archive_close(tw_archive **archive); /* accepts NULL inside */

/* A view. Checks rank, sizes, strides and offset against the storage; counts the elements, which
 * all views together may not have much more of than the file has bytes.
 * @param stride  NULL: row by row */
tw_status tw_archive_view(tw_archive *a, tw_item **out, tw_storage *storage, const tw_dtype *dtype,
                          int rank, const int64_t *shape, const int64_t *stride, int64_t offset);

/* The values of a tensor as f32, row by row. @param[out] out  tensor->count floats */
tw_status tw_tensor_read(const tw_tensor *tensor, float *out);
/* "[2, 3]" */
const char *tw_tensor_shape_text(const tw_tensor *tensor, char out[128]);

#endif
