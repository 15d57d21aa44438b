/* The HDF5 part of writing a file. `part` is its temporary name, `path` the one that messages tell.
 * All failures are TW_EIO. */
#ifndef TWEEDIE_CHECKPOINT_ENCODE_H
#define TWEEDIE_CHECKPOINT_ENCODE_H

#include <hdf5.h>

#include "checkpoint/checkpoint_format.h"

/* Creates the file with its attributes and texts. */
tw_status encode_create(hid_t *out, const char *part, const char *path,
                        const tw_checkpoint_meta *meta, bool weights);

/* Adds an array; its names were checked. */
tw_status encode_array(hid_t file, const char *path, const tw_checkpoint_array *a);

/* Closes the file with whatever is open in it. Accepts -1. */
tw_status encode_close(hid_t *file, const char *path);

#endif
