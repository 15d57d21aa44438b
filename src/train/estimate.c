/* What a run would need, for `train --dry-run`: memory as planned, disk for the checkpoints, and the time of a step as measured by taking a
 * few, after which nothing is kept. */
#include "train/state.h"
#include "train/trainer.h"
#include "tweedie/clock.h"
#include "tweedie/log.h"

enum { STEPS = 3 }; /* the first warms up, the shortest of the others counts */

static double mega(double bytes)
{
    return bytes / 1e6;
}

static void tell_memory(const tw_trainer *t)
{
    const tw_plan_memory m = tw_plan_memory_use(tw_loss_plan(t->loss));
    const double params = 4.0 * (double)t->model->params->size, averages = params * (double)t->c.ema_rates.count;
    const double checkpoint = 3 * params + averages;
    const double plan = (double)(m.arena + m.scratch + m.packed + m.inputs);
    tw_log_info("memory of a rank: %.0f MB of gradients, %.0f MB of values and packed weights, %.0f MB of samples; of a node: %.0f MB of "
                "parameters "
                "and moments, on the first %.0f MB of averages and %.0f MB for the copy that is saved",
                mega(params), mega(plan), mega((double)tw_loader_bytes(t->loader)), mega(3 * params), mega(averages), mega(checkpoint));
    tw_log_info("a checkpoint is %.0f MB; %lld are kept", mega(checkpoint), (long long)t->c.keep);
}

tw_status tw_trainer_estimate(tw_trainer *t)
{
    tw_status st = TW_OK;
    double best = 1e300;
    tw_step_result r;
    const double steps = (double)(t->c.steps - t->step);
    tell_memory(t);
    TW_TRY(tw_comm_agree(t->comm, tw_saver_check_disk(t)));
    for (int k = 0; k < STEPS; k++) {
        TW_TRY(tw_trainer_step(t, &r));
        if (k > 0 && r.seconds < best) best = r.seconds;
    }
    TW_TRY(tw_comm_max(t->comm, &best, 1));
    tw_log_info("a step takes %.3f s here; the %.0f steps that are left, %.1f hours or %.0f core-hours", best, steps, best * steps / 3600,
                best * steps / 3600 * t->threads * tw_comm_size(t->comm));
    tw_log_info("nothing was written");
done:
    return st;
}
