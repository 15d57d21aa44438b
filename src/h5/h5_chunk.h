/* Chunks of a dataset, unpacked here and not by the library.
 *
 * HDF5 unpacks a chunk into as much memory as the stream asks for and hands out the memory behind
 * one that ends early. Here the raw bytes of a chunk are taken from the library, and every filter
 * must give exactly the bytes that the shape says, or the chunk is refused. */
#ifndef TWEEDIE_H5_CHUNK_H
#define TWEEDIE_H5_CHUNK_H

#include "h5/h5.h"

enum {
    TW_H5_FILTERS_MAX = 8,
    TW_H5_CHUNK_MAX = 1 << 30 /* bytes of a chunk that is still unpacked in memory */
};

typedef struct tw_h5_filter {
    H5Z_filter_t id;
    size_t element; /* of shuffle */
} tw_h5_filter;

/* A dataset whose chunks are read. Names and dataset are borrowed. */
typedef struct tw_h5_chunks {
    hid_t dataset, transfer;
    const char *path, *object;
    int rank;
    int64_t dims[8], chunk[8];
    size_t bytes; /* of a chunk, unpacked */
    int filter_count;
    tw_h5_filter filters[TW_H5_FILTERS_MAX];
    unsigned char *buffers[2];
    size_t capacity[2];
    int64_t count; /* of chunks that were read: each should be read once */
} tw_h5_chunks;

/* Prepares reading from a chunked dataset that tw_h5_describe has accepted as `a`. Allocates
 * nothing yet. Close also after failure. */
tw_status tw_h5_chunks_open(tw_h5_chunks *c, hid_t dataset, hid_t transfer, const tw_h5_array *a,
                            const char *path, const char *object);
void tw_h5_chunks_close(tw_h5_chunks *c);

/* Reads the chunk that begins at element `offset` ([rank], multiples of the chunk's shape).
 * @param[out] out  [chunk], elements as in the file; borrowed until the next call
 * @return TW_EDATA if it was never written, is damaged, or unpacks to more or less than its shape
 * says; TW_EIO if the file cannot be read */
tw_status tw_h5_chunks_read(tw_h5_chunks *c, const int64_t *offset, const void **out);

/* A box of elements: start and extent along each axis. */
typedef struct tw_h5_box {
    int64_t start[8], extent[8];
} tw_h5_box;

/* Reads a box, each chunk that it meets once.
 * @param[out] out     elements as in the file
 * @param out_strides  bytes from one element to the next along each axis of the file */
tw_status tw_h5_chunks_read_box(tw_h5_chunks *c, const tw_h5_box *box, void *out,
                                const int64_t *out_strides);

/* The library reads a box as `type`: for what is not chunked. @param[out] out  [extent], dense */
tw_status tw_h5_read_box(hid_t dataset, hid_t transfer, hid_t type, int rank, const tw_h5_box *box,
                         void *out, const char *path, const char *object);

/* Copies a box of `extent` elements of `element` bytes. Strides are in bytes, one for each axis. */
void tw_h5_copy_box(int rank, const int64_t *extent, size_t element, void *out,
                    const int64_t *out_strides, const void *in, const int64_t *in_strides);

/* Strides of a dense array in row-major order. */
void tw_h5_dense_strides(int rank, const int64_t *extent, size_t element, int64_t *strides_out);

#endif
