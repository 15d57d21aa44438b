/* What the machine allows. */
#ifndef TWEEDIE_LIMITS_H
#define TWEEDIE_LIMITS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of memory that all processes of this node which belong to the same job may use together:
 * what the machine has, or less where a control group or Slurm says so. Not collective.
 * @param[out] who  who says so: "the machine", "its control group", "Slurm (--mem)"
 * @return INT64_MAX where nobody says */
int64_t tw_memory_limit(const char **who);

#ifdef __cplusplus
}
#endif

#endif
