/* A benchmark of `tweedie bench`: src/cli/bench_NAME.c defines `const tw_bench tw_bench_NAME` and
 * is found by the build. */
#ifndef TWEEDIE_CLI_BENCH_H
#define TWEEDIE_CLI_BENCH_H

#include "tweedie/comm.h"
#include "tweedie/config.h"

typedef struct tw_bench_options {
    const char *config; /* NULL where none was given */
    int assignment_count;
    char *const *assignments;
    int64_t repetitions;
    int64_t nodes;     /* node: that share the batch */
    bool alone;        /* step, sample: without the convolutions that they are held against */
    double compute_ms; /* reduce: timed waits in the place of a backward pass */
    int64_t megabytes; /* reduce: of the gradient */
    int communication; /* reduce: a tw_reducer_mode */
    bool json;
} tw_bench_options;

typedef struct tw_bench {
    const char *name, *summary;
    int64_t repetitions; /* as usual; 0: 10 */
    /* Measures and prints on rank zero's standard output. Collective. */
    tw_status (*run)(const tw_comm *comm, const tw_bench_options *options);
} tw_bench;

extern const tw_bench *const tw_bench_table[];
extern const int tw_bench_count;

#endif
