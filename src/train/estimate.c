/* What a run needs: memory as planned against what each node has, which every start checks; and for
 * `train --dry-run` disk for the checkpoints, and the time of a step as measured by taking a few,
 * after which nothing is kept. */
#include <stdio.h>
#include <string.h>

#include "run/state.h"
#include "train/trainer.h"
#include "tweedie/clock.h"
#include "tweedie/limits.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"
#include "tweedie/text.h"

/* The first step warms up, the shortest of the others counts: two, and more while they take less
 * than a second together. */
enum { STEPS_LEAST = 2, STEPS_MOST = 20, SECONDS = 1 };

static double mega(double bytes)
{
    return bytes / 1e6;
}

/* What one rank reports of itself. */
typedef struct need {
    char host[128], who[32];
    int node;
    double bytes, limit;
} need;

/* Bytes of this rank, as planned, with what its node shares where it is the first there, and the
 * part of it that is copied while a checkpoint is written. */
static double planned(const tw_trainer *t, double *state_out, double *plan_out, double *copy_out)
{
    const tw_plan_memory m = tw_plan_memory_use(tw_objective_plan(t->stepper.objective));
    const double params = 4.0 * (double)t->stepper.model->params->size, gradients = params;
    const double ema =
        tw_reducer_first(t->stepper.reducer) ? params * (double)t->c->ema_rates.count : 0;
    const double arrays = params * tw_optimizer_array_count(t->stepper.optimizer);
    *state_out = tw_reducer_leads(t->stepper.reducer) ? params + arrays + ema : 0;
    *plan_out = (double)(m.arena + m.scratch + m.packed + m.inputs);
    *copy_out = tw_comm_rank(t->comm) == 0 ? params + arrays + ema : 0;
    return gradients + *state_out + *plan_out + *copy_out + tw_preview_bytes(t->preview) +
           tw_encoding_bytes(t->encoding) + (double)tw_loader_bytes(t->loader);
}

/* Rank zero's judgement over the nodes, each of which has one limit for all of its ranks. */
static tw_status judge_nodes(const need *all, int ranks, int nodes)
{
    tw_status st = TW_OK;
    for (int node = 0; node < nodes; node++) {
        const need *one = NULL;
        double bytes = 0;
        int count = 0;
        for (int r = 0; r < ranks; r++) {
            if (all[r].node != node) continue;
            one = &all[r];
            bytes += one->bytes;
            count++;
        }
        if (!one) continue;
        TW_CHECK(bytes <= one->limit, TW_ENOMEM,
                 "%s: %d rank%s need%s %.1f MB of memory, the node has %.1f MB (%s): use a smaller "
                 "train.microbatch or data.memory, or fewer ranks on a node",
                 one->host, count, count == 1 ? "" : "s", count == 1 ? "s" : "", mega(bytes),
                 mega(one->limit), one->who);
    }
done:
    return st;
}

/* "25 MB", "0.3 MB" */
static const char *amount(char out[32], double bytes)
{
    snprintf(out, 32, mega(bytes) < 1 ? "%.1g MB" : "%.0f MB", mega(bytes));
    return out;
}

static void tell_memory(const tw_trainer *t, double state, double plan, double copy)
{
    char a[32], b[32], c[32], d[32], e[32];
    tw_log_info("memory of a rank: %s of gradients, %s of values and packed weights, %s of "
                "samples; of a node: %s of parameters, moments and, "
                "on the first, EMA; rank zero copies %s more while it saves",
                amount(a, 4.0 * (double)t->stepper.model->params->size), amount(b, plan),
                amount(c, (double)tw_loader_bytes(t->loader)), amount(d, state), amount(e, copy));
    if (t->encoding)
        tw_log_info("the frozen encoder of data.encoder: %s of a rank; the scale of latents is %s",
                    amount(a, tw_encoding_bytes(t->encoding)),
                    t->c->latent_scale > 0 ? "given"
                                           : "measured over the data when the run begins");
    tw_log_info("a checkpoint is %s; %lld are kept", amount(a, copy), (long long)t->c->keep);
}

tw_status tw_trainer_check_memory(const tw_trainer *t)
{
    tw_status st = TW_OK;
    need mine = {.node = tw_comm_node(t->comm)}, *all = NULL;
    double state, plan, copy;
    const char *who;
    mine.bytes = planned(t, &state, &plan, &copy);
    mine.limit = (double)tw_memory_limit(&who);
    snprintf(mine.host, sizeof mine.host, "%.*s", (int)sizeof mine.host - 1, tw_comm_host(t->comm));
    snprintf(mine.who, sizeof mine.who, "%s", who);
    if (t->options->dry_run) tell_memory(t, state, plan, copy);
    if (tw_comm_rank(t->comm) == 0)
        st = tw_alloc(&all, tw_comm_size(t->comm), sizeof *all, "the needs of all ranks");
    TW_TRY(tw_comm_agree(t->comm, st));
    TW_TRY(tw_comm_gather(t->comm, &mine, sizeof mine, all));
    if (tw_comm_rank(t->comm) == 0)
        st = judge_nodes(all, tw_comm_size(t->comm), tw_comm_nodes(t->comm));
    TW_TRY(tw_comm_agree(t->comm, st));
done:
    tw_free(&all);
    return st;
}

static tw_status measure_time(tw_trainer *t)
{
    tw_status st = TW_OK;
    double best = 1e300, spent = 0;
    char time[TW_DURATION], wall[TW_DURATION], cores[TW_DURATION];
    tw_step_result r;
    const double steps = (double)(t->c->steps - t->stepper.step);
    if (steps <= 0) {
        tw_log_info("step %lld of %lld: nothing is left to do", (long long)t->stepper.step,
                    (long long)t->c->steps);
        goto done;
    }
    TW_TRY(tw_trainer_step(t, &r));
    for (int k = 0; k < STEPS_LEAST || (k < STEPS_MOST && spent < SECONDS); k++) {
        TW_TRY(tw_trainer_step(t, &r));
        if (r.seconds < best) best = r.seconds;
        spent += r.seconds;
        TW_TRY(tw_comm_max(t->comm, &spent, 1)); /* all ranks take as many */
    }
    TW_TRY(tw_comm_max(t->comm, &best, 1));
    const double hours = best * steps / 3600;
    tw_text_duration(time, best * steps);
    tw_text_amount(wall, hours);
    tw_text_amount(cores, hours * t->stepper.threads * tw_comm_size(t->comm));
    tw_log_info("a step takes %.3g s here; the %.0f steps that are left, %s (%s hours) or %s "
                "core-hours",
                best, steps, time, wall, cores);
done:
    return st;
}

tw_status tw_trainer_estimate(tw_trainer *t)
{
    tw_status st = TW_OK;
    TW_TRY(tw_comm_agree(t->comm, tw_saver_check_disk(t)));
    TW_TRY(measure_time(t));
    if (!t->c->verify)
        tw_log_info("the samples were not compared with the dataset's digest: data.verify=yes "
                    "does, and reads them all");
    tw_log_info("nothing was written");
done:
    return st;
}
