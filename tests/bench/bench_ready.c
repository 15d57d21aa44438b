/* When the backward pass finishes the gradient of each parameter: what scripts/simulate plays.
 *
 *     bench_ready CONFIG.ini [section.key=value …] > NAME.ready
 *
 * The first line holds the floats of the gradient and the operations of the pass; each further one
 * a part of the gradient: the share of the pass that is over when it is final, its first float, and
 * its floats. One rank, one microbatch; each time between two parts is the least of several passes.
 * Not a test: its times are this machine's. */
#include <inttypes.h>
#include <stdio.h>

#include "tweedie/clock.h"
#include "tweedie/comm.h"
#include "tweedie/memory.h"
#include "tweedie/setup.h"

enum { PASSES = 12 };

typedef struct part {
    double seconds; /* since the part before it */
    int64_t offset, count;
} part;

typedef struct bench {
    part *parts; /* the last one is what remains of the pass */
    int64_t count, most, operations;
    double last;
} bench;

static void ready(void *self, int64_t offset, int64_t count)
{
    bench *b = self;
    const double now = tw_clock_seconds(), seconds = now - b->last;
    part *p = &b->parts[b->count];
    if (b->count == b->most) return;
    *p = (part){p->seconds == 0 || seconds < p->seconds ? seconds : p->seconds, offset, count};
    b->count++;
    b->last = now;
}

static void between(void *self)
{
    ((bench *)self)->operations++;
}

static tw_status make(const tw_setup *s, tw_objective **objective, float **x0)
{
    tw_status st = TW_OK;
    const tw_objective_options options = {.batch = s->batch,
                                          .global_batch = s->batch,
                                          .precision = s->precision,
                                          .convolution = s->convolution,
                                          .gradients = true,
                                          .recompute = s->recompute};
    TW_TRY(tw_objective_add_params(s->objective, s->model, 0));
    TW_TRY(tw_params_use_gradient(s->model->params, NULL));
    TW_TRY(tw_objective_create(objective, s->model, s->objective, &options));
    TW_TRY(tw_alloc(x0, s->batch * s->model->dims, sizeof **x0, "a microbatch"));
    tw_objective_refresh(*objective);
done:
    return st;
}

static void print(const bench *b, const tw_setup *s)
{
    double seconds = 0, sum = 0;
    for (int64_t i = 0; i < b->count; i++) seconds += b->parts[i].seconds;
    printf("%" PRId64 " %" PRId64 "\n", s->model->params->trainable, b->operations);
    for (int64_t i = 0; i < b->count - 1; i++) {
        sum += b->parts[i].seconds;
        printf("%.4f %" PRId64 " %" PRId64 "\n", sum / seconds, b->parts[i].offset,
               b->parts[i].count);
    }
    fprintf(stderr, "%" PRId64 " samples in %.3f s\n", s->batch, seconds);
}

static tw_status run(const tw_comm *comm, int argc, char **argv)
{
    tw_status st = TW_OK;
    tw_setup setup = {0};
    tw_objective *objective = NULL;
    float *x0 = NULL;
    bench b = {0};
    TW_CHECK(argc > 1, TW_EUSAGE, "a configuration is needed");
    TW_TRY(tw_setup_open(&setup, comm, argv[1], argc - 2, argv + 2));
    TW_TRY(make(&setup, &objective, &x0));
    b.most = setup.model->params->view_count * 2;
    TW_TRY(tw_alloc(&b.parts, b.most, sizeof *b.parts, "parts of the gradient"));
    for (int k = 0; k < PASSES; k++) {
        b.count = b.operations = 0;
        b.last = tw_clock_seconds();
        tw_objective_run(
            objective,
            &(tw_objective_step){
                .count = setup.batch, .weight = 1, .ready = ready, .between = between, .self = &b},
            x0);
        ready(&b, 0, 0);
    }
    print(&b, &setup);
done:
    tw_free(&b.parts);
    tw_free(&x0);
    tw_objective_destroy(&objective);
    tw_setup_close(&setup);
    return st;
}

int main(int argc, char **argv)
{
    tw_comm *comm = NULL;
    tw_status st = tw_comm_create(&comm);
    if (st == TW_OK) st = run(comm, argc, argv);
    if (st != TW_OK) fprintf(stderr, "bench_ready: %s\n", tw_error_message());
    tw_comm_destroy(&comm);
    return st != TW_OK;
}
