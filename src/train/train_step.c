/* One optimiser step, read as five calls: draw, differentiate, reduce, judge, update. */
#include <math.h>

#include "train/trainer.h"
#include "tweedie/clock.h"
#include "tweedie/optim.h"
#include "tweedie/signals.h"

enum { VALUE_LOSS, VALUE_STOP, VALUE_SAVE, VALUE_COUNT };

static void ready(void *self, int64_t offset, int64_t count)
{
    tw_trainer *t = self;
    if (t->tree) tw_gradient_tree_complete(t->tree, offset, count);
    tw_reducer_ready(t->reducer, offset, count);
}

static void between(void *self)
{
    const tw_trainer *t = self;
    tw_reducer_poll(t->reducer);
}

/* Draws and differentiates the microbatches of this rank. A failure to read is carried into the
 * reduction, so nothing is skipped. */
static tw_status differentiate(tw_trainer *t, double *loss, tw_step_result *r)
{
    tw_status st = TW_OK;
    const int64_t positions = tw_loader_positions(t->loader);
    for (int64_t k = 0; k < t->micro_count; k++) {
        const int64_t first = k * t->micro, rest = positions - first,
                      count = rest < t->micro ? rest : t->micro;
        const bool last = k == t->micro_count - 1;
        const tw_objective_step step = {.seed = (uint64_t)t->c.seed,
                                        .step = t->step,
                                        .position = tw_loader_first_position(t->loader) + first,
                                        .count = count,
                                        .weight = 1.0 / (double)t->c.batch,
                                        .add_gradients = k > 0 && !t->tree,
                                        .ready = last ? ready : NULL,
                                        .between = last ? between : NULL,
                                        .self = t};
        const double start = tw_clock_seconds();
        TW_TRY(tw_loader_next(t->loader, t->step, first, count, t->x0, NULL));
        r->read_seconds += tw_clock_seconds() - start;
        *loss += tw_objective_run(t->objective, &step, t->x0);
        if (t->tree && !last) tw_gradient_tree_keep(t->tree, k);
    }
done:
    return st;
}

/* Asked by a signal, a file, the clock or the step number to stop or save? */
static void requests(const tw_trainer *t, double *values)
{
    const tw_train_options *o = t->options;
    const bool hours = o->max_hours > 0 && tw_clock_seconds() - t->start > o->max_hours * 3600;
    const bool step = o->stop_at_step > 0 && t->step + 1 >= o->stop_at_step;
    values[VALUE_STOP] = tw_signals_stop() || hours || step;
    values[VALUE_SAVE] = tw_signals_take_save() ||
                         (t->rundir && tw_rundir_poll_request(t->rundir, "checkpoint-now"));
}

/* A loss or gradient that is not finite must not reach the parameters, nor one that the optimiser's
 * arrays cannot hold: with Adam's v infinite its parameters would stand still for ever, and only
 * the next checkpoint would notice. All ranks hold the same numbers and judge alike. */
static tw_status judge(const tw_trainer *t, const tw_step_result *r)
{
    static const char advice[] =
        "the last checkpoint stands; a new run with a lower optimizer.learning_rate or "
        "optimizer.clip may help (--init starts it from these weights)";
    const tw_optimizer *o = t->optimizer;
    if (!isfinite(r->loss) || !isfinite(r->gradient_norm))
        return tw_error_set(TW_EDIVERGED, "step %lld: the loss is %g and the gradient norm %g; %s",
                            (long long)t->step + 1, r->loss, r->gradient_norm, advice);
    if (r->gradient_norm * tw_optim_clip_scale(r->gradient_norm, t->c.clip) > o->largest)
        return tw_error_set(TW_EDIVERGED,
                            "step %lld: the gradient norm is %g, and %s up to %.2g (the loss is "
                            "%g); %s",
                            (long long)t->step + 1, r->gradient_norm, o->limits, o->largest,
                            r->loss, advice);
    return TW_OK;
}

/* Of the whole gradient, from the parts that the ranks of a node hold; the same bits on all ranks.
 */
static double gradient_norm(tw_trainer *t)
{
    const tw_reducer_slice *slices;
    const int count = tw_reducer_slices(t->reducer, &slices);
    int64_t blocks;
    double *sums = tw_reducer_block_sums(t->reducer, &blocks), sum = 0;
    for (int i = 0; i < count; i++)
        tw_optim_block_squares(t->model->params->gradient + slices[i].offset, slices[i].count,
                               TW_REDUCER_BLOCK, sums + slices[i].block);
    tw_reducer_barrier(t->reducer);
    for (int64_t b = 0; b < blocks; b++) sum += sums[b];
    return sqrt(sum);
}

/* Each rank updates its slices of what the node shares. */
static void update(tw_trainer *t, const tw_step_result *r)
{
    const tw_params *p = t->model->params;
    const tw_reducer_slice *slices;
    const int count = tw_reducer_slices(t->reducer, &slices);
    tw_update u = {.k = t->step + 1,
                   .learning_rate = r->learning_rate,
                   .gradient_scale = tw_optim_clip_scale(r->gradient_norm, t->c.clip),
                   .rates = t->ema[0] ? (int)t->c.ema_rates.count : 0};
    for (int i = 0; i < u.rates; i++)
        u.decay[i] = tw_ema_decay(t->c.ema_rates.values[i], t->c.ema_warmup, u.k);
    for (int s = 0; s < count; s++) {
        const int64_t at = slices[s].offset;
        u.n = slices[s].count;
        u.theta = p->value + at;
        u.gradient = p->gradient + at;
        for (int i = 0; i < TW_OPTIMIZER_ARRAYS && t->array[i]; i++) u.array[i] = t->array[i] + at;
        for (int i = 0; i < u.rates; i++) u.ema[i] = t->ema[i] + at;
        t->optimizer->update(t->run.optimizer.config, &u);
    }
    tw_reducer_barrier(t->reducer);
    tw_objective_refresh(t->objective);
}

tw_status tw_trainer_step(tw_trainer *t, tw_step_result *out)
{
    tw_status st = TW_OK;
    tw_step_result r = {0};
    double values[VALUE_COUNT] = {0};
    const tw_learning_rate rate = {t->c.learning_rate, t->c.warmup, (tw_decay)t->c.decay,
                                   t->c.steps};
    const double start = tw_clock_seconds();
    tw_watchdog_heartbeat(t->watchdog, "step", t->step + 1, t->c.watchdog);
    tw_reducer_begin(t->reducer, t->step);
    st = t->saver ? tw_saver_poll(t->saver)
                  : TW_OK; /* a failure of rank zero's is learnt by all in the reduction */
    if (st == TW_OK) st = differentiate(t, &values[VALUE_LOSS], &r);
    requests(t, values);
    TW_TRY(tw_reducer_finish(t->reducer, st, values, VALUE_COUNT));
    r.loss = values[VALUE_LOSS];
    r.stop = values[VALUE_STOP] > 0;
    r.save = values[VALUE_SAVE] > 0;
    tw_watchdog_heartbeat(t->watchdog, "norm", t->step + 1, t->c.watchdog);
    r.gradient_norm = gradient_norm(t);
    r.learning_rate = tw_learning_rate_at(&rate, t->step);
    TW_TRY(judge(t, &r));
    tw_watchdog_heartbeat(t->watchdog, "update", t->step + 1, t->c.watchdog);
    update(t, &r);
    t->step++;
    r.seconds = tw_clock_seconds() - start;
    r.communication_seconds = tw_reducer_exposed(t->reducer);
    r.compute_seconds = r.seconds - r.read_seconds - r.communication_seconds;
    *out = r;
done:
    return st;
}
