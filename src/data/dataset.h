/* An open dataset, as the loader sees it. */
#ifndef TWEEDIE_DATA_DATASET_H
#define TWEEDIE_DATA_DATASET_H

#include "data/dataset_judge.h"
#include "data/format.h"
#include "h5/h5_chunk.h"
#include "tweedie/comm.h"

struct tw_dataset {
    tw_dataset_file format;
    tw_dataset_split split;
    const tw_comm *comm; /* borrowed; NULL: alone */
    tw_io *io;           /* borrowed; NULL: the caller makes the HDF5 calls */
    tw_judged judged;
    tw_h5_chunks *chunks[TW_JUDGED_ARRAYS]; /* of arrays that are in no one piece */
    hid_t transfer;
    bool parallel; /* opened with MPI-IO */
    char *path;
};

/* tw_dataset_read_stored on the calling thread, which must be the one that makes HDF5 calls. */
tw_status tw_dataset_read_here(tw_dataset *d, int64_t first, int64_t count, void *stored,
                               int32_t *labels);
/* The same of conditions, which the dataset may lack. */
tw_status tw_dataset_read_condition_here(tw_dataset *d, int64_t first, int64_t count, void *stored);
/* And of log variances. */
tw_status tw_dataset_read_log_variance_here(tw_dataset *d, int64_t first, int64_t count,
                                            float *values);

#endif
