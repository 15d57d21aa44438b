/* The 512 bytes before the HDF5 file, and the hash in them.
 *
 *     offset  bytes
 *          0      8   "TWEEDIE\n"
 *          8      4   version of this block, 1 (integers are little-endian)
 *         12      4   its size, 512
 *         16      8   bytes after it
 *         24     16   XXH3-128 of all bytes after it, in canonical (big-endian) form
 *         40    472   zero
 *
 * HDF5 calls this a user block and finds its own superblock behind it, so h5py and h5dump read the
 * file as any other. The hash comes first, since libraries of the 1.10 line crash on damaged files:
 * no byte reaches them before all bytes are known to be the written ones. */
#ifndef TWEEDIE_CHECKPOINT_CONTAINER_H
#define TWEEDIE_CHECKPOINT_CONTAINER_H

#include <stdbool.h>
#include <stdint.h>

#include "tweedie/checkpoint.h"
#include "tweedie/status.h"

enum { CONTAINER_BLOCK = 512, CONTAINER_HASH_BYTES = 16 };

/* A pass over the bytes after the block, in pieces. */
typedef struct container_pass {
    int file;
    int64_t at, end; /* of the whole file */
    void *state;     /* XXH3_state_t */
    unsigned char *buffer;
} container_pass;

/* Opens `path` for a pass. @return TW_ENOINPUT, or TW_EDATA for less than a block */
tw_status container_pass_open(container_pass *pass, const char *path);

/* Hashes the next `bytes` at most. */
tw_status container_pass_step(container_pass *pass, const char *path, int64_t bytes,
                              bool *finished);

/* The hash of what was passed over. */
void container_pass_hash(const container_pass *pass, unsigned char hash[CONTAINER_HASH_BYTES]);

/* Accepts a closed or zeroed pass whose file is -1. */
void container_pass_close(container_pass *pass);

/* Writes the block of a file whose hash and length a pass has found; fsyncs the file and asks the
 * kernel to forget its pages, so that reading it back reads the disk. */
tw_status container_seal(const char *path, const container_pass *pass);

/* The block's claims, checked against the size of the file. */
tw_status container_read_block(const container_pass *pass, const char *path,
                               unsigned char hash[CONTAINER_HASH_BYTES]);

/* Whether what was passed over has the hash that the block claims. @param[out] digest  may be NULL
 * @return TW_EDATA where it has not */
tw_status container_pass_judge(const container_pass *pass, const char *path,
                               char digest[TW_CHECKPOINT_DIGEST]);

/* 32 hexadecimal digits. */
void container_hex(char digest[TW_CHECKPOINT_DIGEST],
                   const unsigned char hash[CONTAINER_HASH_BYTES]);

#endif
