/* A configuration as rank zero sees it, on all ranks. */
#ifndef RUN_SHARE_TEXT_H
#define RUN_SHARE_TEXT_H

#include <stdbool.h>

#include "tweedie/comm.h"

/* Rank zero reads, all receive. Collective: all ranks get the same status. NULL for comm: this
 * process alone.
 * @param[out] out  released with tw_free; NULL for a missing file where it is `optional`
 * @return TW_ENOINPUT where it is missing or cannot be read; TW_ECONFIG where it is no text, or
 * longer than 1 MiB; TW_EIO */
tw_status tw_share_text(const tw_comm *comm, char **out, const char *path, bool optional);

/* The text of rank zero, NULL or not, on all ranks. Collective: all ranks get the same status.
 * @param[in,out] text  NULL elsewhere; released with tw_free, also after failure */
tw_status tw_share_string(const tw_comm *comm, char **text);

#endif
