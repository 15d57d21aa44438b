/* The optimiser's inner loops, one set per instruction set: the same numbers, bitwise, from each.
 */
#ifndef OPTIM_KERN_OPTIM_H
#define OPTIM_KERN_OPTIM_H

#include <stdint.h>

/* What an update of Adam's is made of, rounded to float once. */
typedef struct adam_constants {
    float scale; /* of the gradient */
    float beta2; /* and what is added with the gradient's square: */
    float one_minus_beta1, one_minus_beta2;
    float keep; /* 1 − lr λ */
    float step; /* lr / (1 − β1^k) */
    float root; /* 1 / √(1 − β2^k) */
    float epsilon;
} adam_constants;

/* Of optimizer_sgd.c. */
typedef struct sgd_constants {
    float scale;            /* of the gradient */
    float penalty;          /* λ */
    float momentum;         /* μ */
    float direct, buffered; /* the direction is direct · g + buffered · b */
    float step;             /* lr */
} sgd_constants;

typedef struct optim_kernels {
    void (*adam)(const adam_constants *c, int64_t n, float *theta, float *m, float *v,
                 const float *gradient);
    void (*sgd)(const sgd_constants *c, int64_t n, float *theta, float *b, const float *gradient);
    void (*ema)(float rate, int64_t n, float *ema, const float *theta); /* rate = 1 − decay */
    double (*sum_squares)(const float *x, int64_t n);
} optim_kernels;

extern const optim_kernels optim_kernels_baseline, optim_kernels_avx2, optim_kernels_avx512;

/* Those of the processor that we run on. */
const optim_kernels *optim_kernels_find(void);

#endif
