/* HDF5 calls as this module makes them: silent, with the library's own words in our messages, and
 * without its plugins. */
#ifndef TWEEDIE_CHECKPOINT_HDF5_TRY_H
#define TWEEDIE_CHECKPOINT_HDF5_TRY_H

#include <hdf5.h>

#include "tweedie/status.h"

/* `call` is an HDF5 call, or an assignment of one's identifier; a negative value becomes `code`, or
 * TW_EIO for TW_EDATA where a system call failed. For functions as TW_TRY. */
#define TRY_H5(code, path, call)                                                                   \
    do {                                                                                           \
        if ((call) < 0) {                                                                          \
            st = h5_error((code), (path), #call);                                                  \
            goto done;                                                                             \
        }                                                                                          \
    } while (0)

tw_status h5_error(tw_status code, const char *path, const char *call);

/* Before the first call of every file: errors do not print, and a file cannot make the library load
 * code. */
void h5_prepare(void);

#endif
