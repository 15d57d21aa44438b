/* Work in blocks of indices: block k is k b … (k + 1) b − 1, each a file of the directory
 * OUT.parts, whole or not at all, so that a job that was killed goes on with what is missing and
 * jobs may share the work in any way. What a file holds is the caller's. */
#ifndef JOB_PARTS_H
#define JOB_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "tweedie/comm.h"
#include "tweedie/file.h"

/* ---- names: not collective ---- */

/* OUT.parts, and DIRECTORY/part-FIRST.h5. @param[out] out  TW_PATH_MAX */
tw_status parts_directory(char *out, const char *of);
tw_status parts_path(char *out, const char *directory, int64_t first);

/* Whether a file of the directory has a part's name. */
bool parts_is_part(const char *name);

/* Removes parts, what a killed job left under temporary names, and the directory. */
tw_status parts_remove(const char *directory);

/* TW_EUSAGE with both lines of settings. @param how  "was drawn with other weights or settings" */
tw_status parts_differ(const char *path, const char *how, const char *there, const char *here);

/* ---- blocks over ranks: collective ---- */

typedef struct block_work {
    const tw_comm *comm; /* NULL: this process alone */
    int rank, ranks;
    void *self;
    /* Whether block k is there, whole. Not collective. */
    tw_status (*check)(void *self, int64_t k, bool *there);
    /* Makes block k. Not collective. */
    tw_status (*make)(void *self, int64_t k);
    int64_t first, count; /* blocks */

    int64_t *missing; /* owned */
    int64_t missing_count;
    int64_t before, active; /* blocks done before this round, and of this round, on all ranks */
} block_work;

/* Of a task of a Slurm array: its range must begin with a block, or its neighbour makes the same
 * one.
 * @param what  "samples" @return TW_EUSAGE saying which BLOCK the job wants */
tw_status block_work_check_array(int64_t first, int64_t block, const char *what);

tw_status block_work_agree(const block_work *w, tw_status st);

/* Lists the missing blocks; each rank looks at every ranks-th. */
tw_status block_work_list(block_work *w);

/* Makes the missing ones. The ranks take them in turns and agree after each, so that the failure or
 * the signal of one ends all within a block; blocks take the same time on alike ranks, so little is
 * waited for. */
tw_status block_work_run(block_work *w);

void block_work_free(block_work *w);

#endif
