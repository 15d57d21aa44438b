/* The program's reduction of gradients on a simulated cluster: one rank a node, the reducer of
 * src/comm as it is, and waits where the program computes.
 *
 *     smpirun … simulate ready=FILE compute=SECONDS [key=value …]
 *
 * Rank zero prints: nodes, ms of a step, and ms of it that waited for the reduction. A step is the
 * pass (its parts become final as FILE says, tests/bench/bench_ready.c), the reduction, the norm
 * and the update. */
#include "simulate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tweedie/clock.h"
#include "tweedie/comm.h"
#include "tweedie/memory.h"
#include "tweedie/reducer.h"

typedef struct part {
    double share; /* of the pass, when it is final */
    int64_t offset, count;
} part;

typedef struct simulation {
    double compute;  /* seconds of forward and backward pass */
    double update;   /* and of what follows the reduction */
    double jitter;   /* standard deviation of the compute time, a share of it */
    double slow;     /* nodes that always take … */
    double slowness; /* … so many times as long */
    double steps, thread, tree;
    double halves; /* halves of each float that are sent: 1 stands for bf16 */
    const char *file;
    int64_t floats, operations;
    part *parts;
    int64_t count;
    tw_reducer *reducer;
    int rank, ranks;
} simulation;

static tw_status read_settings(simulation *s, int argc, char **argv)
{
    tw_status st = TW_OK;
    const struct {
        const char *name;
        double *value;
    } keys[] = {{"compute", &s->compute},     {"update", &s->update},       {"jitter", &s->jitter},
                {"slow", &s->slow},           {"slowness", &s->slowness},   {"steps", &s->steps},
                {"thread", &s->thread},       {"tree", &s->tree},           {"halves", &s->halves},
                {"memory", &simulate_memory}, {"core", &simulate_bandwidth}};
    for (int a = 1; a < argc; a++) {
        const size_t n = strcspn(argv[a], "=");
        bool known = strncmp(argv[a], "ready=", 6) == 0;
        if (known) s->file = argv[a] + 6;
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
            if (strlen(keys[k].name) != n || strncmp(keys[k].name, argv[a], n) != 0) continue;
            *keys[k].value = atof(argv[a] + n + 1);
            known = true;
        }
        TW_CHECK(known, TW_EUSAGE, "unknown setting %s", argv[a]);
    }
    TW_CHECK(s->file && s->compute > 0, TW_EUSAGE, "ready= and compute= are needed");
done:
    return st;
}

static tw_status read_parts(simulation *s)
{
    enum { PARTS_MAX = 16384 };
    tw_status st = TW_OK;
    FILE *file = fopen(s->file, "r");
    long long floats, operations, offset, count;
    double share;
    TW_CHECK(file && fscanf(file, "%lld %lld", &floats, &operations) == 2, TW_ENOINPUT,
             "%s cannot be read", s->file);
    s->floats = (int64_t)((double)floats * s->halves / 2);
    s->operations = operations;
    TW_TRY(tw_alloc(&s->parts, PARTS_MAX, sizeof *s->parts, "parts of the gradient"));
    while (s->count < PARTS_MAX && fscanf(file, "%lf %lld %lld", &share, &offset, &count) == 3)
        s->parts[s->count++] = (part){share, (int64_t)((double)offset * s->halves / 2),
                                      (int64_t)((double)count * s->halves / 2)};
done:
    if (file) fclose(file);
    return st;
}

static int by_offset(const void *a, const void *b)
{
    const part *x = a, *y = b;
    return (x->offset < y->offset) - (x->offset > y->offset);
}

/* Squares of the gradient's blocks, for its norm: read once, by one core, or by the node where
 * nothing else is to be done. */
static void of_blocks(const float *x, int64_t n, double *sums)
{
    (void)x, (void)sums;
    if (n > TW_REDUCER_BLOCK)
        simulate_sleep(4 * (double)n / simulate_memory);
    else
        simulate_add((double)n / 3);
}

/* The buckets of the trainer (train_memory.c): the same cut. */
static tw_status make_reducer(simulation *s, const tw_comm *comm)
{
    enum { BUCKET = 2 << 20 };
    tw_status st = TW_OK;
    part *sorted = NULL;
    int64_t *offsets = NULL, *sizes = NULL;
    tw_reducer_bucket *buckets = NULL;
    int count;
    const tw_reducer_options options = {.mode = s->thread ? TW_REDUCER_THREAD : TW_REDUCER_INLINE,
                                        .exchange = s->tree ? TW_REDUCER_TREE : TW_REDUCER_FASTEST,
                                        .threads = 1,
                                        .slices = true,
                                        .of_blocks = of_blocks};
    TW_TRY(tw_alloc(&sorted, s->count, sizeof *sorted, "parts"));
    TW_TRY(tw_alloc(&offsets, s->count, sizeof *offsets, "parts"));
    TW_TRY(tw_alloc(&sizes, s->count, sizeof *sizes, "parts"));
    TW_TRY(tw_alloc(&buckets, s->count, sizeof *buckets, "parts"));
    memcpy(sorted, s->parts, (size_t)s->count * sizeof *sorted);
    qsort(sorted, (size_t)s->count, sizeof *sorted, by_offset);
    for (int64_t i = 0; i < s->count; i++) {
        offsets[i] = sorted[i].offset;
        sizes[i] = sorted[i].count;
    }
    TW_TRY(tw_reducer_cut(offsets, sizes, s->count, (int64_t)(BUCKET * s->halves / 2), buckets,
                          &count));
    TW_TRY(tw_reducer_create(&s->reducer, comm, s->floats, buckets, count, &options));
done:
    tw_free(&sorted);
    tw_free(&offsets);
    tw_free(&sizes);
    tw_free(&buckets);
    return st;
}

/* Compute time goes on only while nothing else is done on this core: between operations the
 * reduction moves. */
static void compute(simulation *s, double seconds)
{
    const double operation = s->compute / (double)s->operations;
    if (s->thread || s->ranks == 1) {
        simulate_sleep(seconds);
        return;
    }
    while (seconds > 0) {
        simulate_sleep(fmin(seconds, operation));
        tw_reducer_poll(s->reducer);
        seconds -= operation;
    }
}

/* A standard normal number of (rank, step), by splitmix64 and Box and Muller. */
static double uniform(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return ((double)((z ^ (z >> 31)) >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(int rank, int64_t step)
{
    uint64_t state = ((uint64_t)rank << 32) + (uint64_t)step;
    const double radius = sqrt(-2 * log(uniform(&state)));
    return radius * cos(2 * M_PI * uniform(&state));
}

static tw_status step(simulation *s, int64_t k, double *exposed)
{
    tw_status st = TW_OK;
    double pass = s->compute * fmax(0.5, 1 + s->jitter * normal(s->rank, k)), at = 0;
    if (s->rank < s->slow) pass *= s->slowness;
    tw_reducer_begin(s->reducer, k);
    for (int64_t i = 0; i < s->count; i++) {
        compute(s, pass * (s->parts[i].share - at));
        at = s->parts[i].share;
        tw_reducer_ready(s->reducer, s->parts[i].offset, s->parts[i].count);
    }
    compute(s, pass * (1 - at));
    TW_TRY(tw_reducer_finish(s->reducer, TW_OK, NULL, 0));
    *exposed += tw_reducer_exposed(s->reducer);
    simulate_sleep(s->update);
done:
    return st;
}

static tw_status run(simulation *s, const tw_comm *comm)
{
    tw_status st = TW_OK;
    double start = 0, exposed = 0;
    s->rank = tw_comm_rank(comm);
    s->ranks = tw_comm_size(comm);
    TW_TRY(read_parts(s));
    TW_TRY(make_reducer(s, comm));
    TW_TRY(tw_comm_barrier(comm));
    start = tw_clock_seconds();
    for (int64_t k = 0; k < (int64_t)s->steps; k++) TW_TRY(step(s, k, &exposed));
    if (s->rank == 0)
        printf("%d %.4f %.4f %s\n", s->ranks, 1e3 * (tw_clock_seconds() - start) / s->steps,
               1e3 * exposed / s->steps, tw_reducer_description(s->reducer));
done:
    tw_reducer_destroy(&s->reducer);
    tw_free(&s->parts);
    return st;
}

int main(int argc, char **argv)
{
    tw_comm *comm = NULL;
    simulation s = {.steps = 3, .halves = 2, .slowness = 1};
    tw_status st = read_settings(&s, argc, argv);
    if (st == TW_OK) st = tw_comm_create(&comm);
    if (st == TW_OK) st = run(&s, comm);
    if (st != TW_OK) fprintf(stderr, "simulate: %s\n", tw_error_message());
    tw_comm_destroy(&comm);
    return st != TW_OK;
}
