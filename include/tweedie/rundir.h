/* The directory of one run, and the lock that keeps a second trainer out.
 *
 *     config.ini  checkpoints/step-000001000.h5  latest  weights/  samples/  metrics.jsonl
 *     report.svg  report.png  train.log  lock
 *
 * `lock` is held by an open-file-description lock of fcntl, which the kernel drops when its holder
 * dies, and says in its text who holds it. HDF5's own locks do not help: sites switch them off.
 * Only rank zero of a trainer opens the directory; nothing here is collective. */
#ifndef TWEEDIE_RUNDIR_H
#define TWEEDIE_RUNDIR_H

#include <stdbool.h>
#include <stddef.h>

#include "tweedie/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tw_rundir tw_rundir;

/* Makes the directory with its parts where they are missing and takes the lock. A lock whose holder
 * is dead is taken over, with a note.
 * @param[out] out  tw_rundir_destroy, which gives the lock back
 * @return TW_ELOCKED naming host, process, job and start of the holder; TW_EIO naming the directory
 * where it cannot be made or written */
tw_status tw_rundir_create(tw_rundir **out, const char *path);

/* Accepts NULL inside. */
void tw_rundir_destroy(tw_rundir **run);

/* PATH/NAME in `out`. */
tw_status tw_rundir_file(char *out, size_t size, const tw_rundir *run, const char *name);

/* Whether the lock is still this process's: asked before a checkpoint is published, since a node
 * that was cut off may come back to life beside its successor. @return TW_ELOCKED naming the new
 * holder */
tw_status tw_rundir_check(const tw_rundir *run);

/* Who holds the run's lock at this moment, as the file says ("host n1, process 7, job 12, since
 * …");
 * "" where nobody does. Looks, and changes nothing. @return TW_EIO where that cannot be known */
tw_status tw_rundir_holder(char *out, size_t size, const char *run);

/* Whether the file NAME is there; if so removes it (the request file `checkpoint-now`). */
bool tw_rundir_take_request(const tw_rundir *run, const char *name);

/* The same for a loop that asks often: looks at most every TW_RUNDIR_REQUEST_SECONDS, and says no
 * between. A shared file system answers slowly. */
enum { TW_RUNDIR_REQUEST_SECONDS = 2 };
bool tw_rundir_poll_request(tw_rundir *run, const char *name);

/* Reads a text file whole. @param[out] text  tw_free. @return TW_ENOINPUT where it is missing;
 * TW_EDATA where it holds a NUL, behind which nothing would be seen */
tw_status tw_rundir_read_text(char **text, const char *path);

#ifdef __cplusplus
}
#endif

#endif
