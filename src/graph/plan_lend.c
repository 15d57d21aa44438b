/* The gradient buffer as memory of values.
 *
 * When a step is deepest in activations no gradient is written yet, and as gradients come,
 * activations die. So the plan places values in the buffer of gradients and behind it in the arena,
 * as one memory: the gradient of a parameter takes its range from the step that writes it to the
 * end of the run, and before it the range is free. A value that lies there is dead before the first
 * gradient of its range is written; so a reader of gradients, who waits for them to be final, never
 * meets one. */
#include <string.h>

#include "graph/plan_internal.h"

/* Where the gradient of a view is written: step_count where none is, since it is cleared then; 0,
 * always, where the view is none of the plan's. */
static int written_at(const tw_plan *p, const tw_param_view *v)
{
    const tw_leaf *l = p->program->g->leaves;
    while (l && strcmp(l->name, v->name) != 0) l = l->next;
    if (!l) return 0;
    for (int k = 0; k < p->step_count && l->gradient; k++)
        if (p->steps[k].task.node == l->gradient->node) return k;
    return p->step_count;
}

/* No value lies across the border of the two memories: a line between them is nobody's. */
tw_status tw_plan_lend(tw_plan *p, tw_buffer **taken, int *count)
{
    tw_status st = TW_OK;
    int n = 0;
    if (!p->options.lend_gradients || p->options.accumulate || !p->params->gradient) return TW_OK;
    TW_TRY(tw_alloc(taken, p->params->view_count + 1, sizeof **taken, "the memory of gradients"));
    for (int i = 0; i < p->params->view_count; i++) {
        const tw_param_view *v = &p->params->views[i];
        if (!v->trainable) continue;
        (*taken)[n++] = (tw_buffer){.offset = (size_t)v->offset * sizeof(float),
                                    .bytes = (size_t)tw_plan_padded(v->count) * sizeof(float),
                                    .first = written_at(p, v),
                                    .last = p->step_count};
    }
    const size_t end = (size_t)p->params->trainable * sizeof(float);
    (*taken)[n++] = (tw_buffer){.offset = end, .bytes = TW_ALIGNMENT, .last = p->step_count};
    p->lent = end + TW_ALIGNMENT;
    *count = n;
done:
    return st;
}
