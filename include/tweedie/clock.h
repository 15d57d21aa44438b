/* Time that only goes forward. */
#ifndef TWEEDIE_CLOCK_H
#define TWEEDIE_CLOCK_H

#ifdef __cplusplus
extern "C" {
#endif

/* Seconds since an arbitrary moment, monotonic. */
double tw_clock_seconds(void);

/* Seconds since 1970, for stamps in logs alone: no result depends on it. */
double tw_clock_wall_seconds(void);

#ifdef __cplusplus
}
#endif

#endif
