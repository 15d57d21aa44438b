/* Speed and error of convolutions: Winograd's, the direct ones that a plan takes, those by tiles,
 * and oneDNN's in the layout that it likes best. Not a test: its numbers are for tuning.
 *
 *     bench_conv [f32|bf16 [repetitions [first shape [last shape [images]]]]]
 *
 * With $COLD what lies in caches is pushed out before each repetition, but for the images: as in a
 * network, whose weights are read once.
 *
 * Columns: the least time of all repetitions in ms, which are made in turn, and the GFLOP/s of the
 * definition; then the relative errors (root mean square) of Winograd's, of the direct one and of
 * the tiles' against the definition in double, of some random outputs. */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ops/conv.h"
#include "ops/element.h"
#include "ops/reference.h"
#include "ops/tile_gradient.h"
#include "tweedie/clock.h"

typedef struct shape {
    int64_t n, side, in, out, kernel, stride;
} shape;

enum { WINOGRAD, DIRECT, TILES, FREE, WAYS };

typedef struct contest {
    single winograd, direct;
    tw_task tiles;
    tw_tile_gradient gradient;
    tw_primitive free;
    void *data[3], *scratch;
    double best[WAYS];
    bool there[WAYS];
} contest;

static tw_dtype act;

static void ok(tw_status st)
{
    if (st != TW_OK) {
        fprintf(stderr, "%s\n", tw_error_message());
        exit(1);
    }
}

static void make_free(contest *c, tw_conv_direction direction, const tw_conv_shapes *s,
                      const tw_attr *a)
{
    static const tw_pd_what what[3][3] = {{TW_PD_SRC, TW_PD_WEIGHTS, TW_PD_DST},
                                          {TW_PD_DIFF_SRC, TW_PD_WEIGHTS, TW_PD_DIFF_DST},
                                          {TW_PD_SRC, TW_PD_DIFF_WEIGHTS, TW_PD_DIFF_DST}};
    static const int arg[3][3] = {{DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
                                  {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST},
                                  {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST}};
    tw_conv_problem p;
    dnnl_primitive_desc_t pd;
    tw_md md[3];
    tw_primitive_arg args[4] = {{0}};
    ok(tw_conv_describe(&p, direction, s, a, act, false));
    ok(tw_conv_free_layout(&p, s, act));
    ok(tw_pd_conv(&pd, &p));
    for (int k = 0; k < 3; k++) {
        ok(tw_pd_md(&md[k], pd, what[direction][k]));
        args[k] = (tw_primitive_arg){arg[direction][k], &md[k]};
        ok(tw_alloc(&c->data[k], (int64_t)tw_md_size(&md[k]), 1, "a tensor"));
        for (size_t j = 0; j < tw_md_size(&md[k]) / tw_dtype_size(act); j++)
            tw_store(c->data[k], (int64_t)j, act, noise(1, (int64_t)j % 997));
    }
    ok(tw_primitive_create(&c->free, pd, args));
    ok(tw_alloc(&c->scratch, (int64_t)c->free.scratch_bytes + 1, 1, "scratch"));
    c->there[FREE] = true;
    for (int k = 0; k < 3; k++) tw_md_destroy(&md[k]);
    tw_conv_problem_destroy(&p);
}

/* The tiles of this processor, on the operands of `direct`. */
static void make_tiles(contest *c, tw_conv_direction direction, const tw_conv_shapes *s)
{
    const tw_tile_form *form = tw_tile_form_amx() ? tw_tile_form_amx() : tw_tile_form_dots();
    if (direction != TW_CONV_BACKWARD_WEIGHTS || act != TW_DTYPE_BF16 || !form) return;
    c->tiles = c->direct.task;
    ok(tw_tile_gradient_create(&c->gradient, &c->tiles, s, &c->tiles.node->attr, form));
    ok(tw_alloc_arena(&c->tiles.scratch, c->tiles.scratch_bytes, "scratch"));
    ok(tw_alloc(&c->tiles.out[0], tw_shape_count(s->w), sizeof(float), "a gradient"));
    c->there[TILES] = true;
}

static void destroy(contest *c)
{
    if (c->there[TILES]) {
        tw_tile_gradient_destroy(&c->gradient);
        tw_free(&c->tiles.scratch);
        tw_free(&c->tiles.out[0]);
    }
    if (c->there[WINOGRAD]) single_destroy(&c->winograd);
    single_destroy(&c->direct);
    tw_primitive_destroy(&c->free);
    for (int k = 0; k < 3; k++) tw_free(&c->data[k]);
    tw_free(&c->scratch);
}

/* One thread is timed by the processor time that it gets, whatever else runs. */
static double now(void)
{
    struct timespec t;
    if (omp_get_max_threads() > 1) return tw_clock_seconds();
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* More than a last-level cache of 32 MiB. */
static void push_out(const single *s, tw_conv_direction direction)
{
    enum { BYTES = 96 << 20 };
    static volatile char *rest;
    char *memory = NULL;
    if (!rest) {
        ok(tw_alloc_arena(&memory, BYTES, "what fills caches"));
        rest = memory;
    }
    for (size_t i = 0; i < BYTES; i += 64) rest[i]++;
    for (int k = 0; k < (direction == TW_CONV_BACKWARD_WEIGHTS ? 2 : 1); k++) {
        const volatile char *x = s->task.in[k];
        for (size_t i = 0; i < single_bytes(s, s->task.node->in[k]); i += 64) (void)x[i];
    }
}

static double seconds_of(contest *c, tw_conv_direction direction, int which)
{
    static const tw_run run = {0};
    single *s = which == WINOGRAD ? &c->winograd : &c->direct;
    if (getenv("COLD")) push_out(s, direction);
    const double start = now();
    if (which == FREE)
        tw_primitive_run(&c->free, c->data, c->scratch);
    else if (which == TILES)
        tw_tile_gradient_run(&c->gradient, &c->tiles);
    else
        s->task.op->run(&s->task, &run);
    return now() - start;
}

/* One output in double; x and y of the task's inputs as they lie. */
static double exact(const single *s, tw_conv_direction direction, const shape *k, int64_t j)
{
    const void *a = s->task.in[0], *b = s->task.in[1];
    const int64_t side = k->side, from = direction == TW_CONV_BACKWARD_DATA ? k->out : k->in;
    double sum = 0;
    if (direction == TW_CONV_BACKWARD_WEIGHTS) {
        const int64_t tap = j / 256 % 9, o = j / (256 * 9) / (k->in / 16) * 16 + j % 16,
                      i = j / (256 * 9) % (k->in / 16) * 16 + j / 16 % 16;
        for (int64_t q = 0; q < k->n * side * side; q++) {
            const int64_t r = q / side % side + tap / 3 - 1, c = q % side + tap % 3 - 1;
            if (r < 0 || c < 0 || r >= side || c >= side) continue;
            sum += (double)tw_load(a, (q / (side * side) * side * side + r * side + c) * k->in + i,
                                   act) *
                   (double)tw_load(b, q * k->out + o, act);
        }
        return sum;
    }
    const int64_t to = k->in + k->out - from, q = j / to;
    for (int64_t tap = 0; tap < 9; tap++) {
        const int64_t r = q / side % side + tap / 3 - 1, c = q % side + tap % 3 - 1;
        if (r < 0 || c < 0 || r >= side || c >= side) continue;
        for (int64_t t = 0; t < from; t++) {
            const bool back = direction == TW_CONV_BACKWARD_DATA;
            const int64_t o = back ? t : j % to, i = back ? j % to : t, w = back ? 8 - tap : tap;
            const float weight =
                ((const float *)
                     b)[((o / 16 * (k->in / 16) + i / 16) * 9 + w) * 256 + i % 16 * 16 + o % 16];
            sum += (double)tw_load(a, (q / (side * side) * side * side + r * side + c) * from + t,
                                   act) *
                   (double)weight;
        }
    }
    return sum;
}

static void errors(const contest *c, tw_conv_direction direction, const shape *k, double error[3])
{
    double size = 0, square[3] = {0};
    const tw_value *v = &c->direct.task.node->out[0];
    const tw_dtype type = tw_task_dtype(&c->direct.task, v);
    const void *const out[] = {c->there[WINOGRAD] ? c->winograd.task.out[0] : NULL,
                               c->direct.task.out[0], c->there[TILES] ? c->tiles.out[0] : NULL};
    const int64_t n = tw_shape_count(v->shape);
    for (int i = 0; i < 3; i++) error[i] = NAN;
    if (k->kernel != 3 || k->stride != 1 || v->shape.dims[0] % 16 || k->in % 16 || k->out % 16)
        return;
    for (int64_t t = 0; t < 300; t++) {
        const int64_t j = t * 2654435761 % n;
        const double want = exact(&c->direct, direction, k, j);
        size += want * want;
        for (int i = 0; i < 3; i++) {
            const double e = out[i] ? (double)tw_load(out[i], j, type) - want : NAN;
            square[i] += e * e;
        }
    }
    for (int i = 0; i < 3; i++) error[i] = sqrt(square[i] / size);
}

static void measure(const shape *k, tw_conv_direction direction, tw_value *v,
                    const tw_conv_shapes *s, const tw_attr *a, int repetitions)
{
    static const char *const name[] = {"forward", "backward-data", "backward-weights"},
                             *const way[] = {"winograd", "direct", "tiles", "own layout"};
    const tw_run run = {0};
    contest c = {.there = {[WINOGRAD] = k->kernel == 3 && k->stride == 1, [DIRECT] = true}};
    double error[3];
    for (int w = 0; w < 2; w++) {
        single *o = w ? &c.winograd : &c.direct;
        if (w && !c.there[WINOGRAD]) continue;
        single_convolution = w ? TW_CONVOLUTION_WINOGRAD : TW_CONVOLUTION_DIRECT;
        single_create(o, v, act, 0);
        fill_inputs(o, 1);
        single_run(o, &run);
    }
    make_free(&c, direction, s, a);
    make_tiles(&c, direction, s);
    for (int w = 0; w < WAYS; w++) c.best[w] = 1e9;
    for (int i = 0; i < repetitions; i++)
        for (int w = 0; w < WAYS; w++) {
            const double t = c.there[w] ? seconds_of(&c, direction, w) : 1e9;
            c.best[w] = t < c.best[w] ? t : c.best[w];
        }
    errors(&c, direction, k, error);
    const double gf = tw_conv_flops(s) * 1e-9;
    printf("N=%-2lld %2lldx%-2lld %3lld->%-3lld k%lld s%lld %-16s", (long long)k->n,
           (long long)k->side, (long long)k->side, (long long)k->in, (long long)k->out,
           (long long)k->kernel, (long long)k->stride, name[direction]);
    for (int w = 0; w < WAYS; w++)
        if (c.there[w]) printf("  %s %7.2f ms %4.0f", way[w], c.best[w] * 1e3, gf / c.best[w]);
    printf("  error %.1e %.1e %.1e  (direct: %s)\n", error[0], error[1], error[2],
           c.direct.task.implementation);
    fflush(stdout);
    destroy(&c);
}

static void bench(const shape *k, int repetitions)
{
    tw_graph *g = NULL;
    const int64_t pad = k->kernel / 2;
    const tw_conv_geometry same = tw_conv_square(k->stride, k->stride == 1 ? pad : 0, pad);
    ok(tw_graph_create(&g));
    tw_value *x = tw_input(g, "x", TW_ACT, TW_SHAPE(k->n, k->side, k->side, k->in)),
             *w = tw_param(g, "w", TW_SHAPE(k->out, k->in, k->kernel, k->kernel), tw_init_ones),
             *y = tw_conv(g, x, w, NULL, &same), *wrt[2] = {x, w}, *grad[2];
    tw_graph_gradient(g, y, tw_input(g, "gy", TW_ACT, y->shape), wrt, 2, grad);
    ok(tw_graph_status(g));
    const tw_conv_shapes s = {x->shape, w->shape, y->shape};
    measure(k, TW_CONV_FORWARD, y, &s, &y->node->attr, repetitions);
    measure(k, TW_CONV_BACKWARD_DATA, grad[0], &s, &y->node->attr, repetitions);
    measure(k, TW_CONV_BACKWARD_WEIGHTS, grad[1], &s, &y->node->attr, repetitions);
    tw_graph_destroy(&g);
}

int main(int argc, char **argv)
{
    static const shape shapes[] = {
        {16, 32, 128, 128, 3, 1}, {16, 16, 256, 256, 3, 1}, {16, 8, 256, 256, 3, 1},
        {16, 4, 256, 256, 3, 1},  {16, 32, 256, 128, 3, 1}, {16, 16, 512, 256, 3, 1},
        {16, 8, 512, 256, 3, 1},  {16, 4, 512, 256, 3, 1},  {64, 28, 32, 32, 3, 1},
        {64, 14, 64, 64, 3, 1},   {64, 7, 64, 64, 3, 1},    {64, 28, 64, 32, 3, 1},
        {16, 16, 128, 256, 3, 1}, {64, 7, 128, 128, 3, 1},  {16, 32, 128, 128, 3, 2},
        {16, 16, 256, 256, 3, 2}, {16, 8, 256, 256, 3, 2},  {64, 28, 32, 32, 3, 2},
        {16, 16, 256, 768, 1, 1}, {16, 32, 256, 128, 1, 1}, {16, 16, 512, 256, 1, 1},
        {16, 8, 512, 256, 1, 1},  {16, 4, 512, 256, 1, 1},  {64, 14, 64, 192, 1, 1},
        {16, 32, 3, 128, 3, 1},   {16, 32, 128, 3, 3, 1},   {64, 28, 1, 32, 3, 1},
        {64, 28, 32, 1, 3, 1},    {16, 16, 256, 256, 1, 1}, {16, 32, 128, 256, 1, 1},
        {16, 32, 128, 384, 1, 1}, {16, 32, 384, 128, 1, 1}, {16, 4, 256, 256, 1, 1},
        {64, 14, 64, 64, 1, 1},   {64, 28, 32, 64, 1, 1},   {16, 16, 384, 256, 1, 1}};
    const int count = sizeof shapes / sizeof *shapes, repetitions = argc > 2 ? atoi(argv[2]) : 10,
              first = argc > 3 ? atoi(argv[3]) : 0, last = argc > 4 ? atoi(argv[4]) : count - 1;
    act = argc > 1 && strcmp(argv[1], "bf16") == 0 ? TW_DTYPE_BF16 : TW_DTYPE_F32;
    for (int i = first; i <= last && i < count; i++) {
        shape k = shapes[i];
        if (argc > 5) k.n = atoi(argv[5]);
        bench(&k, repetitions);
    }
    return 0;
}
