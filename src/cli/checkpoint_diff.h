/* Comparing the state that two checkpoints hold. */
#ifndef TWEEDIE_CLI_CHECKPOINT_DIFF_H
#define TWEEDIE_CLI_CHECKPOINT_DIFF_H

#include <stdbool.h>
#include <stddef.h>

#include "tweedie/status.h"

/* Compares step, every array and the loss history of two files or runs (their newest), bit for bit,
 * and prints the answer. What says who made them, and how, is no part of it. @return TW_DIFFERENT
 * where they differ */
tw_status checkpoint_diff(const char *a, const char *b, bool as_json);

/* The file that a user means: itself, or a run's newest checkpoint. */
tw_status checkpoint_resolve(char *out, size_t size, const char *path);

#endif
