/* A dataset, judged in a child process before this one opens it. */
#ifndef TWEEDIE_DATA_DATASET_JUDGE_H
#define TWEEDIE_DATA_DATASET_JUDGE_H

#include "tweedie/status.h"

/* The file is opened, and its chunks, first and last samples are read, in a child process first:
 * libhdf5 1.10 crashes on one damaged file in fifty whose checksums somebody made right again, and
 * on some of the older format, which has none. Not collective; on the thread that makes HDF5 calls.
 * @return TW_EDATA where the child crashed, else what opening and reading return */
tw_status tw_dataset_judge(const char *path);

#endif
