/* Elementwise operations of two values, one of which may repeat. */
#include "ops/binary.h"

#include "ops/repeat.h"
#include "ops/task.h"

tw_status tw_binary_infer(tw_node *n)
{
    tw_status st = TW_OK;
    const tw_value *a = n->in[0], *b = n->in[1];
    TW_TRY(tw_infer_floating(n));
    if (!tw_shape_repeats_to(b->shape, a->shape))
        return tw_op_shape_error(n, "the second does not repeat up to the first");
    if (a->layout != b->layout || (a->layout != TW_PLAIN && !tw_shape_equal(a->shape, b->shape)))
        return tw_op_shape_error(n, "the two lie differently in memory");
    tw_set_output(n, 0, a->type, a->shape);
    n->out[0].layout = a->layout;
done:
    return st;
}

tw_status tw_binary_plan(tw_task *t)
{
    tw_status st = TW_OK;
    tw_repeat *m = NULL;
    const tw_node *n = t->node;
    TW_TRY(tw_task_plan_c(t, (double)tw_task_out_count(t)));
    TW_TRY(tw_alloc(&m, 1, sizeof *m, "a broadcast"));
    tw_repeat_make(m, n->out[0].shape, n->in[n->nin - 1]->shape);
    t->state = m;
done:
    return st;
}

void tw_binary_destroy(tw_task *t)
{
    tw_task_free_state(t);
}

typedef struct work {
    const tw_repeat *m;
    tw_binary_loop *loop;
    tw_dtype ta, tb;
    char *out;
    const void *a, *b;
} work;

/* Rows [r, end), in stretches that share one step through b. */
static void run_rows(const work *w, int64_t r, int64_t end)
{
    const tw_repeat *m = w->m;
    for (int64_t same; r < end; r += same) {
        const int64_t from = tw_repeat_offset(m, r, &same), at = r * m->n;
        if (same > end - r) same = end - r;
        w->loop(tw_at(w->out, at, w->ta), w->a ? tw_at_const(w->a, at, w->ta) : NULL,
                tw_at_const(w->b, from, w->tb), same, m->n, m->step[0]);
    }
}

/* Columns [i, i + count) of row r. */
static void run_part(const work *w, int64_t r, int64_t i, int64_t count)
{
    int64_t same;
    const int64_t from = tw_repeat_offset(w->m, r, &same) + (w->m->constant ? 0 : i),
                  at = r * w->m->n + i;
    w->loop(tw_at(w->out, at, w->ta), w->a ? tw_at_const(w->a, at, w->ta) : NULL,
            tw_at_const(w->b, from, w->tb), 1, count, 0);
}

void tw_binary_run(const tw_task *t, tw_binary op)
{
    const tw_repeat *m = t->state;
    const int last = t->node->nin - 1;
    work w = {.m = m,
              .ta = tw_task_out_dtype(t),
              .tb = tw_task_in_dtype(t, last),
              .out = t->out[0],
              .b = t->in[last]};
    if (op != TW_BINARY_SECOND) w.a = t->in[0];
    w.loop = TW_KERNEL_SELECT(tw_kern_binary)->loop[op][w.ta][w.tb][m->constant];
    if (m->n > 2 * TW_CUT_ELEMENTS) {
        const tw_cut cut = tw_cut_of(m->n, 1);
#pragma omp parallel for schedule(static)
        for (int64_t j = 0; j < m->rows * cut.jobs; j++)
            run_part(&w, j / cut.jobs, tw_cut_first(&cut, j % cut.jobs),
                     tw_cut_count(&cut, j % cut.jobs));
    } else {
        const tw_cut cut = tw_cut_of(m->rows, m->n);
#pragma omp parallel for schedule(static) if (cut.jobs > 1)
        for (int64_t j = 0; j < cut.jobs; j++)
            run_rows(&w, tw_cut_first(&cut, j), tw_cut_first(&cut, j) + tw_cut_count(&cut, j));
    }
}

tw_value *tw_binary_example(tw_graph *g, const tw_op *op, int variant)
{
    static const struct {
        tw_shape a, b;
        tw_type ta, tb;
    } cases[] = {
        {{4, {2, 3, 5, 7}}, {4, {2, 3, 5, 7}}, TW_ACT, TW_ACT},
        {{4, {3, 2, 3, 5}}, {4, {3, 1, 1, 5}}, TW_ACT, TW_ACT},
        {{4, {2, 9, 10, 3}}, {1, {3}}, TW_ACT, TW_F32},
        {{4, {2, 3, 3, 7}}, {4, {2, 1, 1, 1}}, TW_ACT, TW_F32},
        {{2, {3, 7}}, {0, {0}}, TW_ACT, TW_F32},
        {{4, {1, 3, 1, 1}}, {4, {1, 1, 1, 1}}, TW_F32, TW_ACT},
        {{4, {2, 3, 2, 5}}, {4, {2, 3, 2, 1}}, TW_ACT, TW_ACT},
        {{5, {2, 3, 2, 3, 2}}, {5, {2, 1, 2, 1, 2}}, TW_ACT, TW_ACT},
        {{0, {0}}, {0, {0}}, TW_F32, TW_F32},
        {{4, {2, 3, 2, 3}}, {3, {3, 1, 3}}, TW_F32, TW_F32},
    };
    if (variant >= (int)(sizeof cases / sizeof *cases)) return NULL;
    tw_value *in[] = {tw_input(g, "a", cases[variant].ta, cases[variant].a),
                      tw_input(g, "b", cases[variant].tb, cases[variant].b)};
    return tw_emit(g, op, in, 2, NULL);
}
