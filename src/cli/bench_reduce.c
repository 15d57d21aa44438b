/* tweedie bench reduce: the gradient reduction against a plain MPI_Allreduce of the same floats on the same ranks, in turn. */
#include <stdio.h>
#include <string.h>

#include "cli/bench.h"
#include "tweedie/clock.h"
#include "tweedie/json.h"
#include "tweedie/memory.h"
#include "tweedie/reducer.h"

enum { FLOATS = 35750000, BUCKETS = 16 }; /* the gradient of the CIFAR-10 network: 143 MB */

typedef struct result {
    double plain_ms, reduce_ms;
} result;

static tw_status all_seconds(const tw_comm *comm, double start, double *best)
{
    tw_status st = TW_OK;
    double seconds = tw_clock_seconds() - start;
    TW_TRY(tw_comm_max(comm, &seconds, 1));
    if (1e3 * seconds < *best) *best = 1e3 * seconds;
done:
    return st;
}

static tw_status once(result *r, const tw_comm *comm, tw_reducer *reducer, float *plain, int64_t step)
{
    tw_status st = TW_OK;
    TW_TRY(tw_comm_barrier(comm));
    double start = tw_clock_seconds();
    TW_TRY(tw_reduce_plain(comm, plain, FLOATS));
    TW_TRY(all_seconds(comm, start, &r->plain_ms));
    TW_TRY(tw_comm_barrier(comm));
    start = tw_clock_seconds();
    tw_reducer_begin(reducer, step);
    tw_reducer_ready(reducer, 0, FLOATS);
    TW_TRY(tw_reducer_finish(reducer, TW_OK, NULL, 0));
    TW_TRY(all_seconds(comm, start, &r->reduce_ms));
done:
    return st;
}

static tw_status measure(result *out, const tw_comm *comm, int64_t repetitions, char *description, size_t size)
{
    tw_status st = TW_OK;
    tw_reducer *reducer = NULL;
    tw_reducer_bucket buckets[BUCKETS];
    float *plain = NULL;
    result r = {1e300, 1e300};
    for (int b = 0; b < BUCKETS; b++) {
        const int64_t first = (int64_t)FLOATS * b / BUCKETS;
        buckets[b] = (tw_reducer_bucket){first, (int64_t)FLOATS * (b + 1) / BUCKETS - first};
    }
    TW_TRY(tw_reducer_create(&reducer, comm, FLOATS, buckets, BUCKETS, NULL));
    TW_TRY(tw_comm_agree(comm, tw_alloc(&plain, FLOATS, sizeof *plain, "a gradient")));
    for (int64_t k = 0; k < repetitions; k++) TW_TRY(once(&r, comm, reducer, plain, k));
    TW_TRY(tw_format(description, size, "%s", tw_reducer_description(reducer)));
    *out = r;
done:
    tw_free(&plain);
    tw_reducer_destroy(&reducer);
    return st;
}

static tw_status run(const tw_comm *comm, const tw_bench_options *o)
{
    tw_status st = TW_OK;
    result r;
    char description[128];
    tw_json json = {0};
    TW_TRY(measure(&r, comm, o->repetitions, description, sizeof description));
    if (tw_comm_rank(comm) != 0) goto done;
    tw_json_object(&json, NULL);
    tw_json_double(&json, "allreduce_ms", r.plain_ms);
    tw_json_double(&json, "reduction_ms", r.reduce_ms);
    tw_json_double(&json, "speedup", r.plain_ms / r.reduce_ms);
    tw_json_int64(&json, "ranks", tw_comm_size(comm));
    tw_json_int64(&json, "bytes", 4 * (int64_t)FLOATS);
    tw_json_string(&json, "reduction", description);
    tw_json_end(&json);
    TW_TRY(tw_json_finish(&json));
    if (o->json)
        printf("%s\n", json.text.data);
    else
        printf("MPI_Allreduce %9.2f ms\nreduction     %9.2f ms   %s, %d MB\nspeed-up      %9.2f\n", r.plain_ms, r.reduce_ms, description,
               4 * FLOATS / 1000000, r.plain_ms / r.reduce_ms);
done:
    tw_text_free(&json.text);
    return st;
}

const tw_bench tw_bench_reduce = {
    .name = "reduce",
    .summary = "the gradient reduction against MPI_Allreduce",
    .run = run,
};
