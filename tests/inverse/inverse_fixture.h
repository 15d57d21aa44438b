/* Operators and numbers for the tests of inverse problems. Include after cmocka.h. */
#ifndef TESTS_INVERSE_FIXTURE_H
#define TESTS_INVERSE_FIXTURE_H

#include <math.h>
#include <stdlib.h>

#include "tweedie/inverse.h"

/* n numbers of about 1 that a seed above 0 gives, else zeros; free() them. */
static inline double *numbers(int64_t n, uint64_t seed)
{
    double *x = calloc((size_t)n, sizeof *x);
    uint64_t state = seed * 0x9e3779b97f4a7c15u;
    if (!x) abort();
    for (int64_t i = 0; seed && i < n; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        x[i] = (double)(int64_t)(state >> 11) / 0x1p52 - 1;
    }
    return x;
}

static inline void near_to(double met, double wanted, double tolerance, const char *what)
{
    if (!(fabs(met - wanted) <= tolerance))
        fail_msg("%s: met %.12g, wanted %.12g within %g", what, met, wanted, tolerance);
}

static inline tw_operator *make_operator(tw_extent in, const char *name, int count,
                                         const char *const *keys)
{
    tw_operator *a = NULL;
    if (tw_operator_make(&a, &in, name, count, keys) != TW_OK)
        fail_msg("%s: %s", name, tw_error_message());
    return a;
}

#endif
