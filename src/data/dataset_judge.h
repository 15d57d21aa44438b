/* A dataset in HDF5's older format, judged in a child process before this one opens it. */
#ifndef TWEEDIE_DATA_DATASET_JUDGE_H
#define TWEEDIE_DATA_DATASET_JUDGE_H

#include "tweedie/status.h"

/* Files of superblock 2 and later carry checksums in every header, and are judged by these. The
 * headers of older ones carry none, and libhdf5 crashed on 12 of 4000 damaged ones: such a
 * file is opened, and its chunks, first and last samples are read, in a child process first. Not
 * collective; on the thread that makes HDF5 calls. @return TW_EDATA where the child crashed or
 * found a fault; TW_OK also for what is no HDF5 file */
tw_status tw_dataset_judge(const char *path);

#endif
