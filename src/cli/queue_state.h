/* What Slurm says of a run's training jobs. */
#ifndef TWEEDIE_CLI_QUEUE_STATE_H
#define TWEEDIE_CLI_QUEUE_STATE_H

#include <stddef.h>

/* "job 17 PENDING (Priority)", of the first job in RUN/.train-jobs (jobs/submit writes it) that the
 * queue still has; "" where there is none, or no Slurm answers within seconds. */
void queue_state(char *out, size_t size, const char *run);

#endif
