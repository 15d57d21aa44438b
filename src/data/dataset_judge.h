/* A dataset, judged in a child process before this one opens it, and what of it is read without the
 * library. */
#ifndef TWEEDIE_DATA_DATASET_JUDGE_H
#define TWEEDIE_DATA_DATASET_JUDGE_H

#include <hdf5.h>
#include <stdbool.h>
#include <stdint.h>

#include "tweedie/file.h"

enum {
    TW_JUDGED_SAMPLES,
    TW_JUDGED_LABELS,
    TW_JUDGED_CONDITIONS,
    TW_JUDGED_LOG_VARIANCES,
    TW_JUDGED_ARRAYS
};

/* The file that was judged, held open: whatever happens to its name, this is what is read. */
typedef struct tw_judged {
    int file; /* -1: none */
    tw_file_version version;
    /* of each array that lies in one piece: its bytes in the file, within it; 0 bytes for another
     */
    struct {
        int64_t offset, bytes;
    } pieces[TW_JUDGED_ARRAYS];
} tw_judged;

/* Opens the file, and has a child process open it, look where its arrays lie and read their chunks,
 * first and last rows: libhdf5 1.10 crashes on one damaged file in fifty whose checksums somebody
 * made right again, and on some of the older format, which has none. Not collective; on the thread
 * that makes HDF5 calls. Close also after failure.
 * @return TW_EDATA where the child crashed; TW_EIO where the file changed meanwhile; else what
 * opening and reading return */
tw_status tw_dataset_judge(tw_judged *out, const char *path);
void tw_judged_close(tw_judged *judged);

/* The name by which a library opens exactly this file: of its descriptor, or where the system has
 * none (no /proc) the path, which has to be checked after opening. @param[out] out  32 bytes */
const char *tw_judged_name(const tw_judged *judged, char out[32], const char *path);

/* That nobody wrote to the file since; with `named` also that the path still means it. TW_EIO */
tw_status tw_judged_check(const tw_judged *judged, bool named, const char *path);

/* Rows first … first + count − 1 of `bytes` each, from where the child said that they lie. They are
 * those of the file, in its byte order. @return TW_EDATA where they end outside; TW_EIO */
tw_status tw_judged_read(const tw_judged *judged, int array, int64_t first, int64_t count,
                         size_t bytes, void *out, const char *path);

#endif
