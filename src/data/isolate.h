/* Work in a child process, for what a library may not survive. */
#ifndef TWEEDIE_DATA_ISOLATE_H
#define TWEEDIE_DATA_ISOLATE_H

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

#endif
