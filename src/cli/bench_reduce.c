/* tweedie bench reduce: the gradient reduction against a plain MPI_Allreduce of the same floats on the same ranks, in turn; and how much of
 * it a backward pass hides, where timed waits stand for one: a machine whose cores the ranks share would otherwise measure itself. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/bench.h"
#include "tweedie/clock.h"
#include "tweedie/json.h"
#include "tweedie/memory.h"
#include "tweedie/reducer.h"

enum { BUCKETS = 16 };

typedef struct bench {
    const tw_comm *comm;
    int64_t count; /* floats */
    tw_reducer *reducer;
    tw_reducer_bucket buckets[BUCKETS];
    float *plain;
    double plain_ms, reduce_ms; /* fastest of all repetitions, slowest rank */
    double step_ms, exposed_ms; /* with waits for compute: of the repetition that exposed least */
    char description[128];
} bench;

static tw_status slowest(const tw_comm *comm, double *seconds)
{
    return tw_comm_max(comm, seconds, 1);
}

static void wait_for(double seconds)
{
    const struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&t, NULL);
}

/* One reduction; with compute_ms > 0 the buckets become ready one after the other over that time. */
static tw_status reduce(bench *b, int64_t step, double compute_ms, double *seconds)
{
    tw_status st = TW_OK;
    TW_TRY(tw_comm_barrier(b->comm));
    const double start = tw_clock_seconds();
    tw_reducer_begin(b->reducer, step);
    for (int k = 0; k < BUCKETS; k++) {
        if (compute_ms > 0) wait_for(1e-3 * compute_ms / BUCKETS);
        tw_reducer_ready(b->reducer, b->buckets[k].offset, b->buckets[k].count);
    }
    TW_TRY(tw_reducer_finish(b->reducer, TW_OK, NULL, 0));
    *seconds = tw_clock_seconds() - start;
    TW_TRY(slowest(b->comm, seconds));
done:
    return st;
}

static tw_status plain(bench *b, double *seconds)
{
    tw_status st = TW_OK;
    TW_TRY(tw_comm_barrier(b->comm));
    const double start = tw_clock_seconds();
    TW_TRY(tw_reduce_plain(b->comm, b->plain, b->count));
    *seconds = tw_clock_seconds() - start;
    TW_TRY(slowest(b->comm, seconds));
done:
    return st;
}

static tw_status overlapped(bench *b, int64_t step, double compute_ms)
{
    tw_status st = TW_OK;
    double seconds, exposed;
    TW_TRY(reduce(b, step, compute_ms, &seconds));
    exposed = tw_reducer_last_times(b->reducer).exposed;
    TW_TRY(slowest(b->comm, &exposed));
    if (1e3 * exposed >= b->exposed_ms) return TW_OK;
    b->exposed_ms = 1e3 * exposed;
    b->step_ms = 1e3 * seconds;
done:
    return st;
}

static tw_status measure(bench *b, const tw_bench_options *o)
{
    tw_status st = TW_OK;
    double seconds;
    b->plain_ms = b->reduce_ms = b->exposed_ms = 1e300;
    b->count = o->megabytes * 250000;
    for (int k = 0; k < BUCKETS; k++) {
        const int64_t first = b->count * k / BUCKETS;
        b->buckets[k] = (tw_reducer_bucket){first, b->count * (k + 1) / BUCKETS - first};
    }
    const tw_reducer_options options = {.mode = o->compute_ms > 0 ? TW_REDUCER_THREAD : TW_REDUCER_AUTO};
    TW_TRY(tw_reducer_create(&b->reducer, b->comm, b->count, b->buckets, BUCKETS, &options));
    TW_TRY(tw_comm_agree(b->comm, tw_alloc(&b->plain, b->count, sizeof *b->plain, "a gradient")));
    for (int64_t k = 0; k < o->repetitions; k++) {
        TW_TRY(plain(b, &seconds));
        if (1e3 * seconds < b->plain_ms) b->plain_ms = 1e3 * seconds;
        TW_TRY(reduce(b, 2 * k, 0, &seconds));
        if (1e3 * seconds < b->reduce_ms) b->reduce_ms = 1e3 * seconds;
        if (o->compute_ms > 0) TW_TRY(overlapped(b, 2 * k + 1, o->compute_ms));
    }
    TW_TRY(tw_format(b->description, sizeof b->description, "%s", tw_reducer_description(b->reducer)));
done:
    return st;
}

static tw_status print(const bench *b, const tw_bench_options *o)
{
    tw_status st = TW_OK;
    tw_json json = {0};
    tw_json_object(&json, NULL);
    tw_json_double(&json, "allreduce_ms", b->plain_ms);
    tw_json_double(&json, "reduction_ms", b->reduce_ms);
    tw_json_double(&json, "speedup", b->plain_ms / b->reduce_ms);
    tw_json_int64(&json, "ranks", tw_comm_size(b->comm));
    tw_json_int64(&json, "bytes", 4 * b->count);
    tw_json_string(&json, "reduction", b->description);
    if (o->compute_ms > 0) {
        tw_json_double(&json, "step_ms", b->step_ms);
        tw_json_double(&json, "exposed_ms", b->exposed_ms);
        tw_json_double(&json, "exposed_share", b->exposed_ms / b->step_ms);
    }
    tw_json_end(&json);
    TW_TRY(tw_json_finish(&json));
    if (o->json) {
        printf("%s\n", json.text.data);
    } else {
        printf("MPI_Allreduce %9.2f ms\nreduction     %9.2f ms   %s, %lld MB\nspeed-up      %9.2f\n", b->plain_ms, b->reduce_ms,
               b->description, (long long)o->megabytes, b->plain_ms / b->reduce_ms);
        if (o->compute_ms > 0)
            printf("step          %9.2f ms   of which %.2f ms (%.1f %%) wait for the reduction\n", b->step_ms, b->exposed_ms,
                   100 * b->exposed_ms / b->step_ms);
    }
done:
    tw_text_free(&json.text);
    return st;
}

static tw_status run(const tw_comm *comm, const tw_bench_options *o)
{
    tw_status st = TW_OK;
    bench b = {.comm = comm};
    TW_TRY(measure(&b, o));
    if (tw_comm_rank(comm) == 0) TW_TRY(print(&b, o));
done:
    tw_free(&b.plain);
    tw_reducer_destroy(&b.reducer);
    return st;
}

const tw_bench tw_bench_reduce = {
    .name = "reduce",
    .summary = "the gradient reduction against MPI_Allreduce",
    .run = run,
};
