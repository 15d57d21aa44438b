/* The B-tree of a chunked dataset (HDF5 file format 3.0, III.A.1, IV.A.1 and IV.A.2.i).
 *
 * The header of the dataset's object is searched for its layout message, which says where the tree
 * begins; its leaves hold offset, size and filter mask of each chunk. Every number is checked: a
 * node is read inside the file, levels fall by one from parent to child, each chunk is met once.
 * What does not fit ends the walk, and the library, which knows all there is, goes on. */
#include "h5/h5_index.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tweedie/memory.h"

enum {
    NODE_HEAD = 24,  /* "TREE", type, level, entries, two siblings */
    LEVELS_MAX = 16, /* 2 to the power of it: more chunks than any file has */
    HEADER_MAX = 1 << 16,
    HEADERS_MAX = 64, /* continuations of an object's header */
    LAYOUT = 0x08,
    CONTINUATION = 0x10
};

static uint64_t number(const unsigned char *p, int bytes)
{
    uint64_t v = 0;
    for (int i = bytes - 1; i >= 0; i--) v = v << 8 | p[i];
    return v;
}

static bool read_at(const tw_h5_index *x, void *out, uint64_t bytes, uint64_t address)
{
    const uint64_t end = (uint64_t)(x->size - x->base);
    if (address > end || bytes > end - address) return false;
    return pread(x->file, out, bytes, (off_t)(address + (uint64_t)x->base)) == (ssize_t)bytes;
}

/* ---- the object's header ---- */

/* Looks through the messages of one block of a header.
 * @param[out] next, length  of the last continuation that it names */
static void scan_block(tw_h5_index *x, const unsigned char *p, size_t size, int version,
                       bool ordered, uint64_t *next, uint64_t *length)
{
    const size_t head = version == 1 ? 8 : ordered ? 6 : 4;
    while (size >= head) {
        const unsigned type = (unsigned)number(p, version == 1 ? 2 : 1);
        const size_t bytes = (size_t)number(p + (version == 1 ? 2 : 1), 2);
        const unsigned flags = p[version == 1 ? 4 : 3];
        const unsigned char *data = p + head;
        if (bytes > size - head) return;
        if (type == CONTINUATION && bytes >= 16) {
            *next = number(data, 8);
            *length = number(data + 8, 8);
        }
        if (type == LAYOUT && !(flags & 2) && bytes >= 16) {
            /* versions 1 and 2: dimensions, class; version 3: class, dimensions */
            const bool new = data[0] == 3, old = data[0] == 1 || data[0] == 2;
            if ((new &&data[1] == 2 && data[2] == x->rank + 1) ||
                (old && data[2] == 2 && data[1] == x->rank + 1))
                x->root = (int64_t)(number(data + (new ? 3 : 8), 8) & INT64_MAX);
        }
        p += head + bytes;
        size -= head + bytes;
    }
}

/* The prefix of version 2: where its messages begin and how many bytes they take. */
static bool second_prefix(const unsigned char *p, size_t *head, uint64_t *size, bool *ordered)
{
    const unsigned flags = p[5];
    *head = 6 + (flags & 0x20 ? 16 : 0) + (flags & 0x10 ? 4 : 0);
    *size = number(p + *head, 1 << (flags & 3));
    *head += (size_t)1 << (flags & 3);
    *ordered = flags & 4;
    return p[4] == 2;
}

static void find_root(tw_h5_index *x, uint64_t address, unsigned char *buffer)
{
    unsigned char prefix[64] = {0};
    size_t head = 16;
    uint64_t size, next = 0;
    bool ordered = false;
    const uint64_t left = (uint64_t)(x->size - x->base);
    if (address > left) return;
    if (!read_at(x, prefix, left - address < sizeof prefix ? left - address : sizeof prefix,
                 address))
        return;
    const int version = memcmp(prefix, "OHDR", 4) == 0 ? 2 : 1;
    size = number(prefix + 8, 4);
    if (version == 1 ? prefix[0] != 1 : !second_prefix(prefix, &head, &size, &ordered)) return;
    address += head;
    for (int i = 0; i < HEADERS_MAX && x->root < 0 && size > 0 && size <= HEADER_MAX; i++) {
        if (!read_at(x, buffer, size, address)) return;
        /* continuations of version 2 begin with "OCHK" and end with a checksum */
        const size_t skip = version == 2 && i > 0 ? 4 : 0;
        if (size < 2 * skip) return;
        next = 0;
        scan_block(x, buffer + skip, size - 2 * skip, version, ordered, &next, &size);
        if (next == 0) return;
        address = next;
    }
}

/* ---- the tree ---- */

typedef struct wanted {
    int64_t low[8], high[8]; /* the first and last chunk, in the grid */
} wanted;

/* Chunk coordinates of a key. False where they are no multiples of the chunk's shape. */
static bool key_at(const tw_h5_index *x, const unsigned char *key, int64_t *at)
{
    for (int i = 0; i < x->rank; i++) {
        const uint64_t offset = number(key + 8 + 8 * i, 8);
        if (offset > INT64_MAX || offset % (uint64_t)x->chunk[i] != 0) return false;
        at[i] = (int64_t)offset / x->chunk[i];
    }
    return true;
}

static int compare(int rank, const int64_t *a, const int64_t *b)
{
    for (int i = 0; i < rank; i++)
        if (a[i] != b[i]) return a[i] < b[i] ? -1 : 1;
    return 0;
}

static bool add_chunk(tw_h5_index *x, const int64_t *at, const unsigned char *key, uint64_t address)
{
    int64_t chunk = 0;
    for (int i = 0; i < x->rank; i++) {
        if (at[i] >= x->grid[i]) return true; /* of an array that was made smaller */
        chunk = chunk * x->grid[i] + at[i];
    }
    if (chunk < x->first || chunk >= x->first + x->count) return true;
    tw_h5_place *p = &x->places[chunk - x->first];
    const uint64_t bytes = number(key, 4), end = (uint64_t)(x->size - x->base);
    if (p->bytes > 0 || bytes == 0 || address > end || bytes > end - address) return false;
    *p = (tw_h5_place){.offset = (int64_t)address + x->base,
                       .bytes = (uint32_t)bytes,
                       .mask = (uint32_t)number(key + 4, 4)};
    x->written++;
    x->stored += (int64_t)bytes;
    return true;
}

/* A node and what is below it; `level` −1 for the root, which says its own. */
static bool walk(tw_h5_index *x, const wanted *w, uint64_t address, int level)
{
    const size_t key_bytes = 8 + 8 * ((size_t)x->rank + 1), step = key_bytes + 8;
    const int room = level < 0 ? LEVELS_MAX : level;
    unsigned char *head = x->nodes + (size_t)room * x->node_bytes, *node = head + NODE_HEAD;
    int64_t at[8], end[8];
    if (!read_at(x, head, x->node_bytes, address)) return false;
    const size_t entries = (size_t)number(head + 6, 2);
    if (memcmp(head, "TREE", 4) != 0 || head[4] != 1 || entries == 0) return false;
    if (level < 0 ? head[5] >= LEVELS_MAX : head[5] != level) return false;
    if (NODE_HEAD + entries * step + key_bytes > x->node_bytes) return false;
    level = head[5];
    if (!key_at(x, node, at)) return false;
    for (size_t i = 0; i < entries; i++, memcpy(at, end, sizeof at)) {
        const unsigned char *key = node + i * step;
        const uint64_t child = number(key + key_bytes, 8);
        if (!key_at(x, key + step, end)) return false;
        if (compare(x->rank, at, w->high) > 0) return true;
        if (level == 0) {
            if (!add_chunk(x, at, key, child)) return false;
        } else if (compare(x->rank, end, w->low) > 0 && !walk(x, w, child, level - 1)) {
            return false;
        }
    }
    return true;
}

/* ---- opening and loading ---- */

static void locate(const tw_h5_index *x, int64_t chunk, int64_t *at)
{
    for (int i = x->rank - 1; i >= 0; i--) {
        at[i] = chunk % x->grid[i];
        chunk /= x->grid[i];
    }
}

tw_status tw_h5_index_load(bool *known, tw_h5_index *x, int64_t first, int64_t last)
{
    tw_status st = TW_OK;
    wanted w;
    *known = x->root >= 0;
    if (!*known || (x->count > 0 && first >= x->first && last < x->first + x->count)) goto done;
    if (x->chunks <= TW_H5_INDEX_MAX) {
        first = 0;
        last = x->chunks - 1;
    }
    *known = last - first < TW_H5_INDEX_MAX;
    if (!*known) goto done;
    x->count = 0;
    tw_free(&x->places);
    TW_TRY(tw_alloc(&x->places, last - first + 1, sizeof *x->places, "an index of chunks"));
    x->first = first;
    x->count = last - first + 1;
    x->written = x->stored = 0;
    locate(x, first, w.low);
    locate(x, last, w.high);
    *known = walk(x, &w, (uint64_t)x->root, -1);
    if (!*known) x->root = -1;
done:
    return st;
}

int tw_h5_descriptor(hid_t dataset)
{
    int *descriptor = NULL, found = -1;
    hid_t file = H5Iget_file_id(dataset);
    hid_t access = file >= 0 ? H5Fget_access_plist(file) : H5I_INVALID_HID;
    if (access >= 0 && H5Pget_driver(access) == H5FD_SEC2 &&
        H5Fget_vfd_handle(file, H5P_DEFAULT, (void **)&descriptor) >= 0)
        found = *descriptor;
    tw_h5_close(&access);
    tw_h5_close(&file);
    return found;
}

/* What addresses of the file mean, and how large its nodes are. */
static bool take_file(tw_h5_index *x, hid_t file)
{
    bool good = false;
    size_t address_bytes = 0, size_bytes = 0;
    hsize_t block = 0;
    unsigned chunks = 0;
    struct stat info;
    hid_t create = H5Fget_create_plist(file);
    if (create < 0 || H5Pget_userblock(create, &block) < 0 || block > (hsize_t)INT64_MAX ||
        H5Pget_sizes(create, &address_bytes, &size_bytes) < 0 || address_bytes != 8 ||
        size_bytes != 8 || H5Pget_istore_k(create, &chunks) < 0 || chunks == 0 ||
        chunks > 1 << 15 || fstat(x->file, &info) != 0)
        goto done;
    x->size = (int64_t)info.st_size;
    x->base = (int64_t)block;
    x->node_bytes = NODE_HEAD + 2 * (size_t)chunks * (16 + 8 * ((size_t)x->rank + 1)) +
                    8 * ((size_t)x->rank + 2);
    good = x->size > x->base;
done:
    tw_h5_close(&create);
    return good;
}

tw_status tw_h5_index_open(tw_h5_index *out, hid_t dataset, int descriptor, const tw_h5_array *a)
{
    tw_status st = TW_OK;
    tw_h5_index x = {.file = descriptor, .root = -1, .rank = a->rank, .chunks = 1};
    unsigned char *buffer = NULL;
    H5O_info_t info;
    hid_t file = H5Iget_file_id(dataset);
    memcpy(x.chunk, a->chunk, sizeof x.chunk);
    for (int i = 0; i < a->rank; i++) {
        x.grid[i] = (a->dims[i] - 1) / a->chunk[i] + 1;
        x.chunks *= x.grid[i]; /* no more than there are elements */
    }
    if (file >= 0 && H5Oget_info2(dataset, &info, H5O_INFO_BASIC) >= 0 && take_file(&x, file)) {
        TW_TRY(tw_alloc(&buffer, HEADER_MAX, 1, "an object's header"));
        TW_TRY(tw_alloc(&x.nodes, LEVELS_MAX + 1, x.node_bytes, "nodes of an index of chunks"));
        find_root(&x, info.addr, buffer);
    }
done:
    *out = x; /* also after failure: to be freed */
    tw_free(&buffer);
    tw_h5_close(&file);
    return st;
}

void tw_h5_index_free(tw_h5_index *x)
{
    tw_free(&x->places);
    tw_free(&x->nodes);
}
