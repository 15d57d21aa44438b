/* Chunks of a dataset, unpacked here and not by the library.
 *
 * HDF5 unpacks a chunk into as much memory as the stream asks for and hands out the memory behind
 * one that ends early. Here the raw bytes of a chunk are taken from the library, and every filter
 * must give exactly the bytes that the shape says, or the chunk is refused. */
#ifndef TWEEDIE_H5_CHUNK_H
#define TWEEDIE_H5_CHUNK_H

#include "h5/h5_index.h"

enum {
    TW_H5_FILTERS_MAX = 8,
    TW_H5_CHUNK_MAX = 1 << 30 /* bytes of a chunk that is still unpacked in memory */
};

typedef struct tw_h5_filter {
    H5Z_filter_t id;
    size_t element; /* of shuffle */
} tw_h5_filter;

/* A box of elements: start and extent along each axis. */
typedef struct tw_h5_box {
    int64_t start[8], extent[8];
} tw_h5_box;

/* A dataset whose chunks are read. Names and dataset are borrowed. */
typedef struct tw_h5_chunks {
    hid_t dataset, transfer;
    const char *path, *object;
    int rank;
    int64_t dims[8], chunk[8], grid[8]; /* grid: number of chunks along each axis */
    size_t element, bytes;              /* of an element, and of a chunk, unpacked */
    int filter_count;
    tw_h5_filter filters[TW_H5_FILTERS_MAX];
    tw_h5_index index;
    struct z_stream_s *inflater; /* of deflated chunks, once there was one */
    unsigned char *buffers[2];   /* what filters make */
    size_t capacity[2];
    unsigned char *window; /* the file from window_from to window_end, where it is known */
    size_t window_capacity;
    int64_t window_from, window_end;
    /* the chunks that are wanted: those of a box of chunks, some of them listed ahead */
    int64_t low[8], high[8], at[8];
    bool any_order, all_listed, indexed;
    int64_t *list;
    int64_t listed, next;
    int64_t count; /* of chunks that were read: each should be read once */
} tw_h5_chunks;

/* Prepares reading from a chunked dataset that tw_h5_look has accepted as `a`.
 * @param file  a descriptor of its file: the index of chunks is read once (h5_index.h), and chunks
 * from where it says that they lie; −1: the library looks up each, which is less for a few.
 * Borrowed. Close also after failure. */
tw_status tw_h5_chunks_open(tw_h5_chunks *c, hid_t dataset, hid_t transfer, const tw_h5_array *a,
                            int file, const char *path, const char *object);
void tw_h5_chunks_close(tw_h5_chunks *c);

/* Whether storage was allocated for every chunk, and as much as the shape needs: what
 * tw_h5_describe and tw_h5_check_written find by two walks over the index, by the one that was
 * read. *known is false where there is none. @return TW_EDATA with the number of chunks that are
 * missing */
tw_status tw_h5_chunks_check(bool *known, tw_h5_chunks *c, const tw_h5_array *a);

/* Begins reading the chunks that meet `box`: in row-major order, or in whatever order is fast. */
tw_status tw_h5_chunks_begin(tw_h5_chunks *c, const tw_h5_box *box, bool any_order);

/* Reads the next of them.
 * @param[out] offset  [rank], the element that it begins at; not written after the last
 * @param[out] out     [chunk], elements as in the file; borrowed until the next call; NULL after
 * the last
 * @return TW_EDATA if it was never written, is damaged, or unpacks to more or less than its shape
 * says; TW_EIO if the file cannot be read */
tw_status tw_h5_chunks_next(tw_h5_chunks *c, int64_t *offset, const void **out);

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

/* The same for several boxes that lie one after the other on both sides. */
typedef struct tw_h5_row {
    int64_t count, out_stride, in_stride;
} tw_h5_row;
void tw_h5_copy_boxes(const tw_h5_row *row, int rank, const int64_t *extent, size_t element,
                      void *out, const int64_t *out_strides, const void *in,
                      const int64_t *in_strides);

/* Strides of a dense array in row-major order. */
void tw_h5_dense_strides(int rank, const int64_t *extent, size_t element, int64_t *strides_out);

#endif
