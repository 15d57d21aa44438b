/* What the program tells its user while it works. Lines go to standard error whole, at once; and to
 * a log file where one is open. Errors are not logged here: they travel as tw_status and main()
 * prints them. */
#ifndef TWEEDIE_LOG_H
#define TWEEDIE_LOG_H

#include <stdbool.h>

#include "tweedie/status.h"

/* Says who speaks: with rank > 0 tw_log_info is silent and warnings carry "[rank host]". Not
 * collective; called once after MPI_Init. */
void tw_log_identify(int rank, const char *host);

/* Appends all further lines of this process to a file as well (rank zero's train.log), each behind
 * the time in UTC, "2026-11-26T19:23:45Z ". @return TW_EIO with the file's name */
tw_status tw_log_open(const char *path);
void tw_log_close(void);

/* A line for the user. Rank zero only. */
__attribute__((format(printf, 1, 2))) void tw_log_info(const char *format, ...);

/* A line that any rank may write. */
__attribute__((format(printf, 1, 2))) void tw_log_warn(const char *format, ...);

/* Keeps tw_log_info from standard error (tests, --quiet); a log file has it all the same. */
void tw_log_quiet(bool quiet);

#endif
