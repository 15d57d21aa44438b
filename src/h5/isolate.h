/* Work in a child process, for what a library may not survive. */
#ifndef TWEEDIE_H5_ISOLATE_H
#define TWEEDIE_H5_ISOLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "tweedie/status.h"

/* Calls `run(self)` in a child process of this one. Of what it does only its status, its message
 * and the first `size` bytes of `result`, which is written there, come back; files that it wrote
 * stay. Not for processes that have started MPI or threads.
 * @param[in,out] result  plain data; on success what the child left in it
 * @param what            names in the message what the child was reading
 * @return what `run` returned, or TW_EDATA if the child crashed */
tw_status tw_isolate(tw_status (*run)(void *self), void *self, void *result, size_t size,
                     const char *what);

/* For `run`, before and after each thing that it reads: names it for the message of a crash, and
 * ends the child, as a crash would, when it takes so many seconds of processor time. NULL and 0 end
 * the watch. Does nothing outside of such a child. */
void tw_isolate_watch(const char *what, int seconds);

/* ---- the same for processes that run MPI or threads ---- */

enum { TW_ISOLATE_ARGUMENT = 8192 };

/* The work: plain data in, bytes written to the descriptor out. */
typedef tw_status (*tw_isolated)(const void *argument, int result);

/* Starts the helper process whose children do the work: before MPI and threads. Without it the
 * calling process is forked itself. @return TW_ENOMEM */
tw_status tw_isolate_start(void);

/* Calls `run` in a child process with limits of memory and time. One thread at a time.
 * @param size         of the argument, at most TW_ISOLATE_ARGUMENT
 * @param[out] result  on success a file in memory with what the child wrote: the caller closes it
 * @return what `run` returned, or TW_EDATA if the child crashed or took too long */
tw_status tw_isolate_call(tw_isolated run, const void *argument, size_t size, int *result,
                          const char *what);

#endif
