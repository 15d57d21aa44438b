/* The losses of a step by time, for objectives whose times depend on them.
 *
 * Every rank has the times and losses of its own positions. Summed over the ranks into one array by
 * position, with zeros elsewhere, they are the same bits on all, in an order that does not depend
 * on how many ranks there are. */
#include <string.h>

#include "train/stepper.h"
#include "tweedie/memory.h"

tw_status tw_stepper_make_observed(tw_stepper *s)
{
    int64_t count;
    if (!tw_objective_history(s->objective, &count)) return TW_OK;
    return tw_alloc(&s->observed, 2 * s->c->batch, sizeof *s->observed, "the losses of a step");
}

void tw_stepper_note(tw_stepper *s, int64_t position, int64_t count)
{
    const double *time, *loss;
    if (!s->observed) return;
    tw_objective_last(s->objective, &time, &loss);
    memcpy(s->observed + position, time, (size_t)count * sizeof *time);
    memcpy(s->observed + s->c->batch + position, loss, (size_t)count * sizeof *loss);
}

tw_status tw_stepper_observe(tw_stepper *s)
{
    tw_status st = TW_OK;
    if (!s->observed) return TW_OK;
    TW_TRY(tw_comm_sum(s->comm, s->observed, 2 * s->c->batch));
    tw_objective_observe(s->objective, s->c->batch, s->observed, s->observed + s->c->batch);
    memset(s->observed, 0, 2 * (size_t)s->c->batch * sizeof *s->observed);
done:
    return st;
}

tw_status tw_stepper_share_history(tw_stepper *s)
{
    tw_status st = TW_OK;
    int64_t count;
    double *history = tw_objective_history(s->objective, &count);
    if (!history) return TW_OK;
    TW_TRY(tw_comm_broadcast(s->comm, history, (size_t)count * sizeof *history, 0));
    tw_objective_observe(s->objective, 0, NULL, NULL);
done:
    return st;
}
