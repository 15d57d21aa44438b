/* Sorting of floats. */
#ifndef METRICS_SORT_H
#define METRICS_SORT_H

#include <stdint.h>

/* Ascending, in place; −0 comes before 0. @param spare  [count] */
void metrics_sort(float *x, float *spare, int64_t count);

#endif
