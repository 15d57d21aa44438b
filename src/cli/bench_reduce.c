/* tweedie bench reduce: the gradient reduction against a plain MPI_Allreduce of the same floats on
 * the same ranks, in turn; the same with the update that follows it, of everything by every rank
 * and of each rank's slices; and how much of the reduction a backward pass hides, where timed waits
 * stand for one: a machine whose cores the ranks share would otherwise measure itself. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/bench.h"
#include "tweedie/clock.h"
#include "tweedie/json.h"
#include "tweedie/memory.h"
#include "tweedie/optim.h"
#include "tweedie/reducer.h"

enum { BUCKETS = 16, ARRAYS = 4 }; /* parameters, two moments, an average */

typedef struct bench {
    const tw_comm *comm;
    int64_t count;                /* floats */
    tw_reducer *reducer, *sliced; /* sums with all ranks; with the rank whose slice they are, and
                                     the arrays that it updates */
    tw_reducer_bucket buckets[BUCKETS];
    float *plain, *arrays;      /* arrays: a rank's own */
    double squares;             /* of the gradient, once it is summed */
    double plain_ms, reduce_ms; /* fastest of all repetitions, slowest rank */
    double everything_ms, slices_ms;
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

/* As a backward pass would: with moments between operations, every two milliseconds. */
static void pass_time(tw_reducer *reducer, double seconds)
{
    const double operation = 2e-3, end = tw_clock_seconds() + seconds;
    while (tw_clock_seconds() < end) {
        wait_for(fmin(end - tw_clock_seconds(), operation));
        tw_reducer_poll(reducer);
    }
}

/* One reduction; with compute_ms > 0 the buckets become ready one after the other over that time.
 */
static tw_status run_step(bench *b, tw_reducer *reducer, int64_t step, double compute_ms)
{
    tw_reducer_begin(reducer, step);
    for (int k = 0; k < BUCKETS; k++) {
        if (compute_ms > 0) pass_time(reducer, 1e-3 * compute_ms / BUCKETS);
        tw_reducer_ready(reducer, b->buckets[k].offset, b->buckets[k].count);
    }
    return tw_reducer_finish(reducer, TW_OK, NULL, 0);
}

static tw_status reduce(bench *b, int64_t step, double compute_ms, double *seconds)
{
    tw_status st = TW_OK;
    TW_TRY(tw_comm_barrier(b->comm));
    const double start = tw_clock_seconds();
    TW_TRY(run_step(b, b->reducer, step, compute_ms));
    *seconds = tw_clock_seconds() - start;
    TW_TRY(slowest(b->comm, seconds));
done:
    return st;
}

/* Norm and update of what `reducer` leaves with this rank. */
static void update(bench *b, tw_reducer *reducer, float *arrays)
{
    const tw_adam adam = TW_ADAM_DEFAULTS;
    const tw_reducer_slice *slices;
    const int count = tw_reducer_slices(reducer, &slices);
    const float *gradient = tw_reducer_gradient(reducer);
    int64_t blocks;
    const double *sums = tw_reducer_block_sums(reducer, &blocks);
    b->squares = reducer == b->reducer ? tw_optim_sum_squares(gradient, b->count) : 0;
    tw_reducer_barrier(reducer);
    for (int64_t k = 0; k < blocks && reducer == b->sliced; k++) b->squares += sums[k];
    for (int k = 0; k < count; k++) {
        float *a = arrays + slices[k].offset;
        const tw_update u = {.k = 1,
                             .learning_rate = 1e-4,
                             .gradient_scale = 1,
                             .n = slices[k].count,
                             .theta = a,
                             .gradient = gradient + slices[k].offset,
                             .array = {a + b->count, a + 2 * b->count},
                             .rates = 1,
                             .decay = {0.999},
                             .ema = {a + 3 * b->count}};
        tw_adam_update(&adam, &u);
    }
    tw_reducer_barrier(reducer);
}

static tw_status reduce_and_update(bench *b, tw_reducer *reducer, float *arrays, int64_t step,
                                   double *best_ms)
{
    tw_status st = TW_OK;
    TW_TRY(tw_comm_barrier(b->comm));
    const double start = tw_clock_seconds();
    TW_TRY(run_step(b, reducer, step, 0));
    update(b, reducer, arrays);
    double seconds = tw_clock_seconds() - start;
    TW_TRY(slowest(b->comm, &seconds));
    if (1e3 * seconds < *best_ms) *best_ms = 1e3 * seconds;
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
    exposed = tw_reducer_exposed(b->reducer);
    TW_TRY(slowest(b->comm, &exposed));
    if (1e3 * exposed >= b->exposed_ms) return TW_OK;
    b->exposed_ms = 1e3 * exposed;
    b->step_ms = 1e3 * seconds;
done:
    return st;
}

static void squares(const float *x, int64_t n, double *sums)
{
    tw_optim_block_squares(x, n, TW_REDUCER_BLOCK, sums);
}

static tw_status make_reducers(bench *b, const tw_bench_options *o)
{
    tw_status st = TW_OK;
    int threads;
    TW_TRY(tw_comm_default_threads(b->comm, &threads));
    tw_reducer_options options = {.mode = (tw_reducer_mode)o->communication, .threads = threads};
    const tw_reducer_slice *slices;
    TW_TRY(tw_reducer_create(&b->reducer, b->comm, b->count, b->buckets, BUCKETS, &options));
    options.slices = true;
    options.of_blocks = squares;
    options.shared = ARRAYS * b->count;
    TW_TRY(tw_reducer_create(&b->sliced, b->comm, b->count, b->buckets, BUCKETS, &options));
    st = tw_alloc(&b->plain, b->count, sizeof *b->plain, "a gradient");
    if (st == TW_OK)
        st = tw_alloc(&b->arrays, ARRAYS * b->count, sizeof *b->arrays, "what is updated");
    TW_TRY(tw_comm_agree(b->comm, st));
    for (int k = 0, n = tw_reducer_slices(b->sliced, &slices); k < n; k++)
        for (int a = 0; a < ARRAYS; a++)
            memset(tw_reducer_shared(b->sliced) + a * b->count + slices[k].offset, 0,
                   (size_t)slices[k].count * sizeof(float));
    tw_reducer_barrier(b->sliced);
done:
    return st;
}

static tw_status measure(bench *b, const tw_bench_options *o)
{
    tw_status st = TW_OK;
    double seconds;
    b->plain_ms = b->reduce_ms = b->exposed_ms = b->everything_ms = b->slices_ms = 1e300;
    b->count = o->megabytes * 250000;
    for (int k = 0; k < BUCKETS; k++) {
        const int64_t first = b->count * k / BUCKETS;
        b->buckets[k] = (tw_reducer_bucket){first, b->count * (k + 1) / BUCKETS - first};
    }
    TW_TRY(make_reducers(b, o));
    for (int64_t k = 0; k < o->repetitions; k++) {
        TW_TRY(plain(b, &seconds));
        if (1e3 * seconds < b->plain_ms) b->plain_ms = 1e3 * seconds;
        TW_TRY(reduce(b, 2 * k, 0, &seconds));
        if (1e3 * seconds < b->reduce_ms) b->reduce_ms = 1e3 * seconds;
        TW_TRY(reduce_and_update(b, b->reducer, b->arrays, 2 * k + 1, &b->everything_ms));
        TW_TRY(reduce_and_update(b, b->sliced, tw_reducer_shared(b->sliced), k, &b->slices_ms));
        if (o->compute_ms > 0) TW_TRY(overlapped(b, 2 * k + 1, o->compute_ms));
    }
    TW_TRY(
        tw_format(b->description, sizeof b->description, "%s", tw_reducer_description(b->reducer)));
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
    tw_json_double(&json, "update_everything_ms", b->everything_ms);
    tw_json_double(&json, "update_slices_ms", b->slices_ms);
    tw_json_double(&json, "update_speedup", b->everything_ms / b->slices_ms);
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
        printf("MPI_Allreduce          %9.2f ms\nreduction              %9.2f ms   %.2f times as "
               "fast; %s, %lld MB\n",
               b->plain_ms, b->reduce_ms, b->plain_ms / b->reduce_ms, b->description,
               (long long)o->megabytes);
        printf("update of everything   %9.2f ms   by every rank, with the reduction\nupdate of "
               "slices       %9.2f ms   %.2f times as fast\n",
               b->everything_ms, b->slices_ms, b->everything_ms / b->slices_ms);
        if (o->compute_ms > 0)
            printf("step                   %9.2f ms   of which %.2f ms (%.1f %%) wait for the "
                   "reduction\n",
                   b->step_ms, b->exposed_ms, 100 * b->exposed_ms / b->step_ms);
    }
done:
    tw_text_free(&json.text);
    return st;
}

static tw_status run(const tw_comm *comm, const tw_bench_options *o)
{
    tw_status st = TW_OK;
    bench b = {.comm = comm};
    TW_CHECK(!o->config && o->assignment_count == 0, TW_EUSAGE,
             "bench reduce takes no configuration and no settings");
    TW_TRY(measure(&b, o));
    if (tw_comm_rank(comm) == 0) TW_TRY(print(&b, o));
done:
    tw_free(&b.plain);
    tw_free(&b.arrays);
    tw_reducer_destroy(&b.sliced);
    tw_reducer_destroy(&b.reducer);
    return st;
}

const tw_bench tw_bench_reduce = {
    .name = "reduce",
    .summary = "the gradient reduction against MPI_Allreduce",
    .run = run,
};
