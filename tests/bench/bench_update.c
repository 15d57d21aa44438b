/* Speed of the update of a network's parameters beside a copy of as many bytes: of Adam with one
 * EMA alone, of packing alone, and of both in one pass. Not a test: its numbers are for tuning.
 *
 *     bench_update [repetitions [side]]
 *
 * The parameters are those of a stack of 3 x 3 and 1 x 1 convolutions of the size of the CIFAR-10
 * network's, in bf16, of images of side x side: 4 x 4 (the default) are computed directly, 8 x 8
 * by Winograd's algorithm where that is faster than the processor's bf16 unit. The bytes are those
 * that the one pass must read and write: gradients once; parameters, both moments and EMA twice;
 * packed weights once. Half of them are copied. Columns: the least time of all repetitions, which
 * are made in turn (of the CPU with one thread, so that others may run beside it), and its ratio to
 * the copy. */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tweedie/memory.h"
#include "tweedie/optim.h"
#include "tweedie/plan.h"

enum { LAYERS = 14, WIDTH = 512, COPIED = 256 << 20 };

typedef struct bench {
    tw_graph *g;
    tw_params *params;
    tw_plan *plan;
    float *gradient, *array[3];
    tw_update_piece *pieces;
    int64_t *part, count;
    int64_t side;
    char *from, *to;
    size_t bytes;
} bench;

static void ok(tw_status st)
{
    if (st == TW_OK) return;
    fprintf(stderr, "%s\n", tw_error_message());
    exit(1);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(omp_get_max_threads() > 1 ? CLOCK_MONOTONIC : CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void build(bench *b)
{
    const tw_plan_options options = {.precision = TW_PRECISION_BF16,
                                     .convolution = TW_CONVOLUTION_AUTO};
    const tw_conv_geometry same = tw_conv_square(1, 1, 1), point = tw_conv_square(1, 0, 0);
    char name[32];
    ok(tw_graph_create(&b->g));
    tw_value *x =
        tw_cast(b->g, tw_input(b->g, "x", TW_F32, TW_SHAPE(1, b->side, b->side, WIDTH)), TW_ACT);
    tw_value *h = x, *gx;
    for (int l = 0; l < LAYERS; l++) {
        snprintf(name, sizeof name, "w%d", l);
        const bool wide = l % 7 != 6;
        h = tw_conv(
            b->g, h,
            tw_param(b->g, name, TW_SHAPE(WIDTH, WIDTH, wide ? 3 : 1, wide ? 3 : 1), tw_init_ones),
            NULL, wide ? &same : &point);
    }
    tw_graph_gradient(b->g, h, h, &x, 1, &gx);
    tw_graph_output(b->g, "gx", tw_cast(b->g, gx, TW_F32));
    ok(tw_params_create(&b->params, b->g));
    ok(tw_plan_create(&b->plan, b->g, b->params, &options));
}

static void make(bench *b)
{
    build(b);
    const int64_t n = b->params->trainable;
    float *all;
    ok(tw_alloc_arena(&all, (size_t)(5 * n) * sizeof(float), "arrays"));
    memset(all, 0, (size_t)(5 * n) * sizeof(float));
    tw_params_use_value(b->params, all);
    tw_plan_destroy(&b->plan);
    ok(tw_plan_create(
        &b->plan, b->g, b->params,
        &(tw_plan_options){.precision = TW_PRECISION_BF16, .convolution = TW_CONVOLUTION_AUTO}));
    b->gradient = all + n;
    for (int k = 0; k < 3; k++) b->array[k] = all + (2 + k) * n;
    b->count = tw_plan_part_count(b->plan);
    ok(tw_alloc(&b->pieces, b->count, sizeof *b->pieces, "pieces"));
    for (int64_t i = 0; i < b->count; i++) {
        const tw_plan_part p = tw_plan_part_get(b->plan, i);
        b->pieces[i] = (tw_update_piece){p.offset, p.count};
    }
    b->bytes = ((size_t)n * 36 + tw_plan_memory_use(b->plan).packed) / 2;
    ok(tw_alloc_arena(&b->from, COPIED, "copy"));
    ok(tw_alloc_arena(&b->to, COPIED, "copy"));
    memset(b->from, 1, COPIED);
    memset(b->to, 1, COPIED);
}

static void pack(void *self, int64_t i)
{
    tw_plan_pack(((bench *)self)->plan, i);
}

static void update(bench *b, bool packs)
{
    const tw_adam adam = TW_ADAM_DEFAULTS;
    const tw_update u = {.k = 1,
                         .learning_rate = 1e-4,
                         .gradient_scale = 1,
                         .n = b->params->trainable,
                         .theta = b->params->value,
                         .gradient = b->gradient,
                         .array = {b->array[0], b->array[1]},
                         .rates = 1,
                         .decay = {0.999},
                         .ema = {b->array[2]},
                         .pieces = b->pieces,
                         .piece_count = b->count,
                         .updated = packs ? pack : NULL,
                         .self = b};
    tw_adam_update(&adam, &u);
}

static void copy(bench *b)
{
#pragma omp parallel
    {
        const size_t threads = (size_t)omp_get_num_threads(), part = COPIED / threads,
                     at = (size_t)omp_get_thread_num() * part;
        for (size_t left = b->bytes / threads, n; left > 0; left -= n) {
            n = left < part ? left : part;
            memcpy(b->to + at, b->from + at, n);
        }
    }
}

static void run(bench *b, int what)
{
    switch (what) {
    case 0:
        copy(b);
        break;
    case 1:
        update(b, false);
        break;
    case 2:
        tw_plan_refresh(b->plan);
        break;
    case 3:
        update(b, true);
        break;
    }
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"copy", "adam and EMA", "packing", "all in one pass"};
    const int repetitions = argc > 1 ? atoi(argv[1]) : 20;
    double best[4] = {1e9, 1e9, 1e9, 1e9};
    bench b = {.side = argc > 2 ? atoi(argv[2]) : 4};
    make(&b);
    for (int k = 0; k < repetitions; k++)
        for (int w = 0; w < 4; w++) {
            const double start = seconds();
            run(&b, w);
            const double t = seconds() - start;
            best[w] = t < best[w] ? t : best[w];
        }
    printf("%.1f M parameters, %.0f MB, %.0f of them packed, %d threads\n",
           1e-6 * (double)b.params->trainable, 2e-6 * (double)b.bytes,
           1e-6 * (double)tw_plan_memory_use(b.plan).packed, omp_get_max_threads());
    for (int w = 0; w < 4; w++)
        printf("%-18s %8.2f ms  %.2f\n", names[w], 1e3 * best[w], best[w] / best[0]);
    return 0;
}
