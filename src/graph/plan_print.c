/* What a plan is, for people and reports. */
#include <inttypes.h>

#include "graph/plan_internal.h"

tw_plan_memory tw_plan_memory_use(const tw_plan *p)
{
    return p->memory;
}

int tw_plan_task_count(const tw_plan *p)
{
    return p->step_count;
}

tw_plan_task_info tw_plan_task(const tw_plan *p, int i)
{
    const tw_step *s = &p->steps[i];
    return (tw_plan_task_info){s->task.op->name,
                               s->task.op->alias ? "alias" : s->task.implementation, s->seconds,
                               s->task.flops};
}

void tw_plan_profile_reset(tw_plan *p)
{
    for (int k = 0; k < p->step_count; k++) p->steps[k].seconds = 0;
}

static void print_value(const tw_plan *p, const tw_value *v, FILE *out)
{
    char shape[64];
    if (!v) {
        fprintf(out, " -");
        return;
    }
    const tw_slot *s = &p->slots[v->id];
    fprintf(out, " %s", tw_shape_text(v->shape, shape));
    switch (s->place) {
    case TW_PLACE_NONE:
        fprintf(out, "(unread)");
        break;
    case TW_PLACE_ARENA:
        if (p->buffers[s->buffer].offset < p->lent)
            fprintf(out, "@gradient+%zu", p->buffers[s->buffer].offset);
        else
            fprintf(out, "@%zu", p->buffers[s->buffer].offset - p->lent);
        break;
    case TW_PLACE_GRADIENT:
        fprintf(out, "@gradient");
        break;
    default:
        fprintf(out, ":%s%s", v->name, v->layout == TW_BLOCKED ? "(blocked)" : "");
        break;
    }
}

void tw_plan_print(const tw_plan *p, FILE *out)
{
    size_t live = 0;
    fprintf(out, "# step | op | implementation | outputs <- inputs | scratch, packed bytes | ms\n");
    for (int k = 0; k < p->step_count; k++) {
        const tw_step *s = &p->steps[k];
        const tw_plan_task_info info = tw_plan_task(p, k);
        fprintf(out, "%4d %-22s %-34s", k, info.op, info.implementation);
        for (int o = 0; o < s->task.node->nout; o++) print_value(p, &s->task.node->out[o], out);
        fprintf(out, " <-");
        for (int i = 0; i < s->task.node->nin; i++) print_value(p, s->task.node->in[i], out);
        fprintf(out, " | %zu %zu", s->task.scratch_bytes, s->task.packed_bytes);
        if (p->options.profile) fprintf(out, " | %.3f", 1e3 * s->seconds);
        fprintf(out, "\n");
    }
    for (int b = 0; b < p->buffer_count; b++) live += p->buffers[b].bytes;
    fprintf(out,
            "# %d steps, %s, %d buffers of %.1f MB in an arena of %.1f MB, scratch %.1f MB, packed "
            "weights %.1f MB, inputs %.1f MB\n",
            p->step_count, tw_precision_name(p->options.precision), p->buffer_count,
            (double)live / 1e6, (double)p->memory.arena / 1e6, (double)p->memory.scratch / 1e6,
            (double)p->memory.packed / 1e6, (double)p->memory.inputs / 1e6);
}
