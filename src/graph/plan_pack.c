/* Packing of parameters, cut into parts: a parameter that several operations pack (a convolution
 * and its backward-data) is read once for all of them. */
#include <stdlib.h>

#include "graph/plan_internal.h"
#include "ops/task.h"

/* Small ones are not worth a parallel region. */
enum { LEAST_BYTES = 64 << 10 };

/* A number is packed in the time of some 100 operations of a convolution (CIFAR-10's network, 16
 * images, two cores of Zen 4: 45 ms for 237 million, against 1.1 s for 580 thousand million): so
 * packing where these are 2000 is at most a twentieth of the operation, and 2 % of that step. */
enum { CHEAP_FLOPS = 2000 };

bool tw_plan_packs_each_run(const tw_plan *p, const tw_task *t)
{
    if (p->options.packing == TW_PACKING_KEPT || !t->packs_whole || t->packed_bytes < LEAST_BYTES)
        return false;
    return p->options.packing == TW_PACKING_EACH_RUN ||
           t->flops * sizeof(float) >= CHEAP_FLOPS * (double)t->packed_bytes;
}

void tw_plan_pack_task(const tw_task *t)
{
    for (int k = 0; k < 2; k++) {
        const int64_t units = tw_task_pack_units(t, k);
        if (units ==
            1) { /* not in a region, even of one thread: those of its own would be nested */
            t->op->pack(t, k, 0);
            continue;
        }
#pragma omp parallel for schedule(static)
        for (int64_t u = 0; u < units; u++) t->op->pack(t, k, u);
    }
}

static int by_offset(const void *a, const void *b)
{
    const tw_packer *x = a, *y = b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static tw_status list_packers(tw_plan *p)
{
    tw_status st = TW_OK;
    TW_TRY(
        tw_alloc(&p->packers, 2 * (int64_t)p->step_count, sizeof *p->packers, "what a plan packs"));
    for (int k = 0; k < p->step_count; k++) {
        const tw_task *t = &p->steps[k].task;
        for (int i = 0; i < 2; i++) {
            if (!t->pack_unit[i] || t->packs_each_run) continue;
            const tw_leaf *leaf = tw_leaf_of(t->node->in[i]);
            const tw_param_view *v = tw_params_find(p->params, leaf->name);
            p->packers[p->packer_count++] = (tw_packer){v->offset, v->count, t->pack_unit[i], t, i};
        }
    }
    qsort(p->packers, (size_t)p->packer_count, sizeof *p->packers, by_offset);
done:
    return st;
}

/* Packers [first, end) are those of one parameter; packers of the same unit share its parts. */
static int64_t add_parts(tw_pack_part *parts, const tw_plan *p, int first, int end)
{
    const tw_packer *k = &p->packers[first];
    int64_t unit = k->unit, n = 0;
    for (int i = first; i < end; i++)
        if (p->packers[i].unit != k->unit) unit = k->count;
    for (int64_t at = 0; at < k->count; at += unit, n++)
        if (parts)
            parts[n] = (tw_pack_part){
                .range = {k->offset + at, k->count - at < unit ? k->count - at : unit},
                .unit = unit == k->unit ? n : -1,
                .first_packer = first,
                .packer_count = end - first};
    return n;
}

static int64_t for_each_parameter(tw_pack_part *parts, const tw_plan *p)
{
    int64_t n = 0;
    for (int first = 0, end; first < p->packer_count; first = end) {
        end = first + 1;
        while (end < p->packer_count && p->packers[end].offset == p->packers[first].offset) end++;
        n += add_parts(parts ? parts + n : NULL, p, first, end);
    }
    return n;
}

tw_status tw_plan_list_parts(tw_plan *p)
{
    tw_status st = TW_OK;
    TW_TRY(list_packers(p));
    p->part_count = for_each_parameter(NULL, p);
    TW_TRY(tw_alloc(&p->parts, p->part_count, sizeof *p->parts, "what a plan packs"));
    for_each_parameter(p->parts, p);
done:
    return st;
}

int64_t tw_plan_part_count(const tw_plan *p)
{
    return p->part_count;
}

tw_plan_part tw_plan_part_get(const tw_plan *p, int64_t i)
{
    return p->parts[i].range;
}

void tw_plan_pack(const tw_plan *p, int64_t i)
{
    const tw_pack_part *part = &p->parts[i];
    for (int k = part->first_packer; k < part->first_packer + part->packer_count; k++) {
        const tw_packer *w = &p->packers[k];
        const int64_t first = part->unit < 0 ? 0 : part->unit,
                      end = part->unit < 0 ? tw_task_pack_units(w->task, w->input) : first + 1;
        for (int64_t u = first; u < end; u++) w->task->op->pack(w->task, w->input, u);
    }
}

void tw_plan_refresh(tw_plan *p)
{
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < p->part_count; i++) tw_plan_pack(p, i);
}
