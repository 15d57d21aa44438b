/* One optimiser step, read as five calls: load, differentiate, reduce, judge, update. */
#include <math.h>

#include "train/stepper.h"
#include "tweedie/clock.h"
#include "tweedie/optim.h"

enum { VALUE_LOSS, VALUE_STOP, VALUE_SAVE, VALUE_COUNT };

/* Called by the plan, on the thread that runs it, while the backward pass goes on: what is ready is
 * sent under what is still computed. Only in the last microbatch, when the sums are final. */
static void ready(void *self, int64_t offset, int64_t count)
{
    tw_stepper *s = self;
    if (s->tree) tw_gradient_tree_complete(s->tree, offset, count);
    tw_reducer_ready(s->reducer, offset, count);
}

/* After every operation: where the reduction has no thread of its own it moves on here. */
static void between(void *self)
{
    const tw_stepper *s = self;
    tw_reducer_poll(s->reducer);
}

/* Loads and differentiates the microbatches of this rank. A failure to read is carried into the
 * reduction, so nothing is skipped. */
static tw_status differentiate(tw_stepper *s, double *loss, tw_step_result *r)
{
    tw_status st = TW_OK;
    for (int64_t k = 0; k < s->micro_count; k++) {
        const int64_t first = k * s->micro, rest = s->positions - first,
                      count = rest < s->micro ? rest : s->micro;
        const bool last = k == s->micro_count - 1;
        const tw_objective_step step = {.seed = (uint64_t)s->c->seed,
                                        .step = s->step,
                                        .position = s->first_position + first,
                                        .count = count,
                                        .weight = 1.0 / (double)s->c->batch,
                                        .label = s->label,
                                        .condition = s->condition,
                                        .augment = s->augment,
                                        .add_gradients = k > 0 && !s->tree,
                                        .ready = last ? ready : NULL,
                                        .between = last ? between : NULL,
                                        .self = s};
        const double start = tw_clock_seconds();
        TW_TRY(s->hooks.read(s->hooks.self, s->step, first, count, s->x0, s->label, s->condition));
        if (s->augment && s->hooks.augment)
            s->hooks.augment(s->hooks.self, s->step, first, count, s->augment);
        r->read_seconds += tw_clock_seconds() - start;
        *loss += tw_objective_run(s->objective, &step, s->x0);
        tw_stepper_note(s, step.position, count);
        if (s->tree && !last) tw_gradient_tree_keep(s->tree, k);
    }
done:
    return st;
}

static void ask(const tw_stepper *s, double *values)
{
    bool stop = false, save = false;
    if (s->hooks.requests) s->hooks.requests(s->hooks.self, &stop, &save);
    values[VALUE_STOP] = stop;
    values[VALUE_SAVE] = save;
}

/* A loss or gradient that is not finite must not reach the parameters, nor one that the optimiser's
 * arrays cannot hold: with Adam's v infinite its parameters would stand still for ever, and only
 * the next checkpoint would notice. All ranks hold the same numbers and judge alike. */
static tw_status judge(const tw_stepper *s, const tw_step_result *r)
{
    static const char advice[] =
        "the last checkpoint stands; a new run with a lower optimizer.learning_rate or "
        "optimizer.clip may help (--init starts it from these weights)";
    const tw_optimizer *o = s->optimizer;
    if (!isfinite(r->loss) || !isfinite(r->gradient_norm))
        return tw_error_set(TW_EDIVERGED, "step %lld: the loss is %g and the gradient norm %g; %s",
                            (long long)s->step + 1, r->loss, r->gradient_norm, advice);
    if (r->gradient_norm * tw_optim_clip_scale(r->gradient_norm, s->c->clip) > o->largest)
        return tw_error_set(TW_EDIVERGED,
                            "step %lld: the gradient norm is %g, and %s up to %.2g (the loss is "
                            "%g); %s",
                            (long long)s->step + 1, r->gradient_norm, o->limits, o->largest,
                            r->loss, advice);
    return TW_OK;
}

/* Of the whole gradient, from what the reduction has taken of each block; the same bits on all
 * ranks. The last blocks are of what is summed beside it. */
static double gradient_norm(tw_stepper *s)
{
    int64_t blocks;
    const tw_params *p = s->model->params;
    const int64_t beside = (p->summed - p->trainable + TW_REDUCER_BLOCK - 1) / TW_REDUCER_BLOCK;
    const double *sums = tw_reducer_block_sums(s->reducer, &blocks);
    double sum = 0;
    tw_reducer_barrier(s->reducer);
    for (int64_t b = 0; b < blocks - beside; b++) sum += sums[b];
    return sqrt(sum);
}

tw_status tw_stepper_step(tw_stepper *s, tw_step_result *out)
{
    tw_status st = TW_OK;
    tw_step_result r = {0};
    double values[VALUE_COUNT] = {0};
    const tw_learning_rate rate = {s->c->learning_rate, s->c->warmup, (tw_decay)s->c->decay,
                                   s->c->steps};
    const double start = tw_clock_seconds();
    tw_watchdog_heartbeat(s->watchdog, "step", s->step + 1, s->c->watchdog);
    tw_reducer_begin(s->reducer, s->step);
    st = differentiate(s, &values[VALUE_LOSS], &r);
    ask(s, values);
    TW_TRY(tw_reducer_finish(s->reducer, st, values, VALUE_COUNT));
    r.loss = values[VALUE_LOSS];
    r.stop = values[VALUE_STOP] > 0;
    r.save = values[VALUE_SAVE] > 0;
    tw_watchdog_heartbeat(s->watchdog, "norm", s->step + 1, s->c->watchdog);
    const double reduced = tw_clock_seconds();
    r.gradient_norm = gradient_norm(s);
    r.norm_seconds = tw_clock_seconds() - reduced + tw_reducer_blocks_seconds(s->reducer);
    r.learning_rate = tw_learning_rate_at(&rate, s->step);
    TW_TRY(judge(s, &r)); /* alike on all ranks: they may leave here without an agreement */
    TW_TRY(tw_stepper_observe(s));
    tw_watchdog_heartbeat(s->watchdog, "update", s->step + 1, s->c->watchdog);
    tw_stepper_update(s, &r);
    s->step++;
    r.seconds = tw_clock_seconds() - start;
    r.communication_seconds = tw_reducer_exposed(s->reducer);
    r.compute_seconds = r.seconds - r.read_seconds - r.communication_seconds;
    *out = r;
done:
    return st;
}
