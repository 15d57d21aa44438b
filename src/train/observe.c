/* The losses of a step by time, for objectives whose times depend on them.
 *
 * Every rank has the times and losses of its own positions. Summed over the ranks into one array by
 * position, with zeros elsewhere, they are the same bits on all, in an order that does not depend
 * on how many ranks there are. */
#include <string.h>

#include "train/trainer.h"
#include "tweedie/memory.h"

tw_status tw_trainer_make_observed(tw_trainer *t)
{
    int64_t count;
    if (!tw_objective_history(t->objective, &count)) return TW_OK;
    return tw_alloc(&t->observed, 2 * t->c.batch, sizeof *t->observed, "the losses of a step");
}

void tw_trainer_note(tw_trainer *t, int64_t position, int64_t count)
{
    const double *time, *loss;
    if (!t->observed) return;
    tw_objective_last(t->objective, &time, &loss);
    memcpy(t->observed + position, time, (size_t)count * sizeof *time);
    memcpy(t->observed + t->c.batch + position, loss, (size_t)count * sizeof *loss);
}

tw_status tw_trainer_observe(tw_trainer *t)
{
    tw_status st = TW_OK;
    if (!t->observed) return TW_OK;
    TW_TRY(tw_comm_sum(t->comm, t->observed, 2 * t->c.batch));
    tw_objective_observe(t->objective, t->c.batch, t->observed, t->observed + t->c.batch);
    memset(t->observed, 0, 2 * (size_t)t->c.batch * sizeof *t->observed);
done:
    return st;
}

tw_status tw_trainer_share_history(tw_trainer *t)
{
    tw_status st = TW_OK;
    int64_t count;
    double *history = tw_objective_history(t->objective, &count);
    if (!history) return TW_OK;
    TW_TRY(tw_comm_broadcast(t->comm, history, (size_t)count * sizeof *history, 0));
    tw_objective_observe(t->objective, 0, NULL, NULL);
done:
    return st;
}
