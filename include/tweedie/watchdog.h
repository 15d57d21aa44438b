/* Ends a run that hangs, and says where.
 *
 * Nothing in MPI, srun or mpirun notices a rank that stopped, a network that is gone, or a disk
 * that does not answer. Each rank therefore tells its watchdog what it is about to do and how long
 * that may take at most; a thread compares that with the clock, and where the time has run out
 * writes to standard error who is where, and ends the process with exit code 70, so that the
 * launcher ends all ranks and the job requeues. The ranks of a node see each other's last
 * heartbeat, so the message names the one that is behind. Where MPI is threaded node 0 also hears
 * about once a second from the others: its message names ranks everywhere that do not wait, and
 * nodes that fell silent. Ranks of other nodes give it two seconds beyond their limit to speak
 * first, and then say what is known of node 0.
 *
 * The thread gives a sign of life besides, whatever the rank does. A rank without one - stopped,
 * dead, cut off - ends the run after the shortest limit that this rank has had, also in a section
 * that may take much longer: limits of sections are for work, which has signs of life. Time in
 * which the thread itself did not run (a suspended job) does not count. */
#ifndef TWEEDIE_WATCHDOG_H
#define TWEEDIE_WATCHDOG_H

#include <stdint.h>

#include "tweedie/comm.h"
#include "tweedie/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tw_watchdog tw_watchdog;

enum { TW_WATCHDOG_SECTION_MAX = 31 }; /* characters of a section's name that are shown */

/* Starts the thread. No limit holds until the first heartbeat. One watchdog at a time for a `comm`,
 * which outlives it. Collective on `comm`; `comm` may be NULL, then this process is alone.
 * @param[out] out  owned by the caller; tw_watchdog_destroy */
tw_status tw_watchdog_create(tw_watchdog **out, const tw_comm *comm);

/* The seconds of silence of a rank that a command bears whose configuration does not say: 600, or
 * what the environment variable TWEEDIE_WATCHDOG says; 0: any. @return TW_EUSAGE */
tw_status tw_watchdog_silence(double *out);

/* This rank now does `section`, for as long as it takes; but where another rank gives no sign of
 * life for `seconds` the run ends (0: it does not). For commands whose work has no steps that could
 * have a limit. Until the next heartbeat. Accepts NULL. */
void tw_watchdog_listen(tw_watchdog *watchdog, const char *section, double seconds);

/* The watchdog that was created for `comm`, or NULL. Borrowed. */
tw_watchdog *tw_watchdog_find(const tw_comm *comm);

/* Stops the thread. Collective where tw_watchdog_create was. Accepts NULL inside. */
void tw_watchdog_destroy(tw_watchdog **watchdog);

/* This rank is alive and now does `section` of `step`, which may take `limit` seconds at most (0 or
 * less: no limit) until the next heartbeat. Costs some tens of nanoseconds; never fails. Accepts
 * NULL, which does nothing. From one thread.
 * @param section  "forward", "reduction", "save": copied */
void tw_watchdog_heartbeat(tw_watchdog *watchdog, const char *section, int64_t step, double limit);

/* From here until the next heartbeat this rank only waits for others: where the time runs out, it
 * is not the one that is missing. The gradient reduction says so by itself (tw_reducer_watch), and
 * the collectives of "tweedie/comm.h" do while they last. Accepts NULL. */
void tw_watchdog_wait(tw_watchdog *watchdog);

#ifdef __cplusplus
}
#endif

#endif
