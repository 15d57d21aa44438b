/* The update of the parameters: one pass that clips gradients, updates parameters, arrays of the
 * optimiser and EMA, and packs the new parameters for the plan while they are in cache.
 *
 * The plan says which stretches of a parameter are packed together. Those that lie wholly within
 * this rank's slices are pieces of the pass; what the other ranks of the node have updated, in part
 * or wholly, is packed when all are done. */
#include <string.h>

#include "train/stepper.h"
#include "tweedie/clock.h"
#include "tweedie/memory.h"
#include "tweedie/optim.h"

enum { PIECE = 8192 }; /* parameters of a piece that nothing packs, at most */

struct tw_stepper_pieces {
    const tw_plan *plan;
    tw_update_piece *update; /* [count], in the order of slices */
    int64_t *part;           /* [count]: the plan's part that a piece is, or -1 */
    int64_t count;
    int64_t *rest; /* [rest_count]: parts that change and are no pieces */
    int64_t rest_count;
};

static void add(tw_stepper_pieces *p, bool store, int64_t at, int64_t count, int64_t part)
{
    if (store) {
        p->update[p->count] = (tw_update_piece){at, count};
        p->part[p->count] = part;
    }
    p->count++;
}

static void add_unpacked(tw_stepper_pieces *p, bool store, int64_t at, int64_t end)
{
    for (; at < end; at += PIECE) add(p, store, at, end - at < PIECE ? end - at : PIECE, -1);
}

/* The first part that ends behind `at`. */
static int64_t find_part(const tw_plan *plan, int64_t at)
{
    int64_t low = 0, high = tw_plan_part_count(plan);
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        const tw_plan_part part = tw_plan_part_get(plan, middle);
        if (part.offset + part.count > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void cut_slice(tw_stepper_pieces *p, bool store, const tw_reducer_slice *slice)
{
    const int64_t parts = tw_plan_part_count(p->plan), end = slice->offset + slice->count;
    int64_t at = slice->offset;
    for (int64_t i = find_part(p->plan, at); i < parts; i++) {
        const tw_plan_part part = tw_plan_part_get(p->plan, i);
        if (part.offset + part.count > end) break;
        if (part.offset < at) continue; /* begins in another slice */
        add_unpacked(p, store, at, part.offset);
        add(p, store, part.offset, part.count, i);
        at = part.offset + part.count;
    }
    add_unpacked(p, store, at, end);
}

static void cut(tw_stepper_pieces *p, bool store, const tw_stepper *s)
{
    const tw_reducer_slice *slices;
    const int n = tw_reducer_slices(s->reducer, &slices);
    p->count = 0;
    for (int k = 0; k < n; k++)
        if (slices[k].offset < s->model->params->trainable) cut_slice(p, store, &slices[k]);
}

static tw_status list_rest(tw_stepper_pieces *p, int64_t summed)
{
    tw_status st = TW_OK;
    const int64_t parts = tw_plan_part_count(p->plan);
    bool *done = NULL;
    TW_TRY(tw_alloc(&done, parts, sizeof *done, "the parts of an update"));
    TW_TRY(tw_alloc(&p->rest, parts, sizeof *p->rest, "the parts of an update"));
    for (int64_t k = 0; k < p->count; k++)
        if (p->part[k] >= 0) done[p->part[k]] = true;
    for (int64_t i = 0; i < parts; i++)
        if (!done[i] && tw_plan_part_get(p->plan, i).offset < summed) p->rest[p->rest_count++] = i;
done:
    tw_free(&done);
    return st;
}

tw_status tw_stepper_make_pieces(tw_stepper *s)
{
    tw_status st = TW_OK;
    tw_stepper_pieces *p = NULL;
    TW_TRY(tw_alloc(&p, 1, sizeof *p, "the pieces of an update"));
    s->pieces = p;
    p->plan = tw_objective_plan(s->objective);
    cut(p, false, s);
    TW_TRY(tw_alloc(&p->update, p->count, sizeof *p->update, "the pieces of an update"));
    TW_TRY(tw_alloc(&p->part, p->count, sizeof *p->part, "the pieces of an update"));
    cut(p, true, s);
    TW_TRY(list_rest(p, s->model->params->summed));
done:
    return st;
}

void tw_stepper_free_pieces(tw_stepper *s)
{
    if (!s->pieces) return;
    tw_free(&s->pieces->update);
    tw_free(&s->pieces->part);
    tw_free(&s->pieces->rest);
    tw_free(&s->pieces);
}

/* Called by the thread that has updated the piece: nobody else reads or writes it. */
static void pack_piece(void *self, int64_t piece)
{
    const tw_stepper_pieces *p = self;
    if (p->part[piece] >= 0) tw_plan_pack(p->plan, p->part[piece]);
}

static void pack_rest(const tw_stepper_pieces *p)
{
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < p->rest_count; i++) tw_plan_pack(p->plan, p->rest[i]);
}

/* This rank's slices of what was summed beside the gradient. */
static void share_sums(const tw_stepper *s)
{
    const tw_params *p = s->model->params;
    const tw_reducer_slice *slices;
    const int n = tw_reducer_slices(s->reducer, &slices);
    for (int k = 0; s->sums && k < n; k++)
        if (slices[k].offset >= p->trainable)
            memcpy(s->sums + (slices[k].offset - p->trainable), p->gradient + slices[k].offset,
                   (size_t)slices[k].count * sizeof *s->sums);
}

/* By one rank of the node, while all sums are there and nobody reads the state. */
static void advance_state(tw_stepper *s)
{
    if (!s->sums) return;
    if (tw_reducer_leads(s->reducer)) tw_objective_advance_run(&s->advance);
    tw_reducer_barrier(s->reducer);
}

/* The barrier of the gradient's norm lies before it: nobody reads parameters any more. The one
 * within stands between the updates of all ranks of the node and the next reading of them. */
void tw_stepper_update(tw_stepper *s, tw_step_result *r)
{
    const double start = tw_clock_seconds();
    const tw_params *p = s->model->params;
    tw_update u = {.k = s->step + 1,
                   .learning_rate = r->learning_rate,
                   .gradient_scale = tw_optim_clip_scale(r->gradient_norm, s->c->clip),
                   .n = p->trainable,
                   .theta = p->value,
                   .gradient = p->gradient,
                   .rates = s->ema[0] ? (int)s->c->ema_rates.count : 0,
                   .pieces = s->pieces->update,
                   .piece_count = s->pieces->count,
                   .updated = pack_piece,
                   .self = s->pieces};
    for (int i = 0; i < TW_OPTIMIZER_ARRAYS; i++) u.array[i] = s->array[i];
    for (int i = 0; i < u.rates; i++) {
        u.decay[i] = tw_ema_decay(s->c->ema_rates.values[i], s->c->ema_warmup, u.k);
        u.ema[i] = s->ema[i];
    }
    share_sums(s);
    s->optimizer->update(s->optimizer_config, &u);
    tw_reducer_barrier(s->reducer);
    advance_state(s);
    const double updated = tw_clock_seconds();
    pack_rest(s->pieces);
    r->update_seconds = updated - start;
    r->pack_seconds = tw_clock_seconds() - updated;
}
