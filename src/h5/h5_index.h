/* Where the chunks of a dataset lie in its file, read without the library.
 *
 * HDF5 1.10 looks up one chunk at a time, in microseconds each, or walks over the whole index to
 * find one (H5Dget_chunk_info, also _by_coord). Chunks of 64 bytes cost twelve times what they hold
 * so. Here the index is walked once; what this reader does not know or does not believe is left to
 * the library. */
#ifndef TWEEDIE_H5_INDEX_H
#define TWEEDIE_H5_INDEX_H

#include "h5/h5.h"

/* A chunk of the file. */
typedef struct tw_h5_place {
    int64_t offset; /* of its first byte in the file */
    uint32_t bytes; /* as stored; 0: never written */
    uint32_t mask;  /* filters that were left out */
} tw_h5_place;

typedef struct tw_h5_index {
    int file;           /* descriptor; borrowed */
    int64_t root;       /* of the tree in the file; −1: not known, the library has to be asked */
    int64_t base, size; /* of what addresses count from, and of the file */
    int rank;
    int64_t chunk[8], grid[8]; /* shape of a chunk; number of chunks along each axis */
    int64_t chunks;            /* in all */
    int64_t first, count;      /* which of them are in memory: row-major in the grid */
    int64_t written, stored;   /* of these: chunks, and bytes of the file */
    tw_h5_place *places;       /* [count] */
    unsigned char *nodes;      /* room for a node of each level */
    size_t node_bytes;
} tw_h5_index;

/* Chunks that are in memory at most: 64 MiB. */
enum { TW_H5_INDEX_MAX = 1 << 22 };

/* The descriptor by which the library reads a dataset; −1 where it reads in another way. */
int tw_h5_descriptor(hid_t dataset);

/* Finds the index of a chunked dataset that tw_h5_look has accepted as `a`, in its file. Knows
 * B-trees of version 1, which is what HDF5 writes unless it is told to use the newest format; of
 * others root is −1. Free also after failure. @return TW_ENOMEM */
tw_status tw_h5_index_open(tw_h5_index *out, hid_t dataset, int descriptor, const tw_h5_array *a);
void tw_h5_index_free(tw_h5_index *x);

/* Has chunks first … last in memory: all chunks where they are few enough.
 * @param[out] known  false where there are too many, or the index is damaged or not known
 * @return TW_ENOMEM */
tw_status tw_h5_index_load(bool *known, tw_h5_index *x, int64_t first, int64_t last);

/* Where a chunk that is in memory lies. */
static inline const tw_h5_place *tw_h5_index_get(const tw_h5_index *x, int64_t chunk)
{
    return &x->places[chunk - x->first];
}

#endif
