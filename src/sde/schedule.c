/* Discrete schedules and their coefficients (Ho, Jain, Abbeel 2020, equations 4, 6 and 7; Nichol
 * and Dhariwal 2021 for spaced steps). */
#include <math.h>
#include <string.h>

#include "tweedie/memory.h"
#include "tweedie/sde.h"

static const tw_beta *find_beta(const char *name)
{
    for (int i = 0; i < tw_beta_count; i++)
        if (strcmp(tw_beta_table[i]->name, name) == 0) return tw_beta_table[i];
    return NULL;
}

enum { ARRAYS = 11 };

/* One allocation holds the struct's arrays; `beta` is its beginning. */
static tw_status allocate(tw_schedule **out, int64_t steps)
{
    tw_status st = TW_OK;
    tw_schedule *s = NULL;
    double *memory = NULL;
    int64_t numbers;
    TW_TRY(tw_multiply(&numbers, steps, ARRAYS, "schedule coefficients"));
    TW_TRY(tw_alloc(&s, 1, sizeof *s, "schedule"));
    TW_TRY(tw_alloc(&s->timestep, steps, sizeof *s->timestep, "schedule time steps"));
    TW_TRY(tw_alloc(&memory, numbers, sizeof *memory, "schedule coefficients"));
    double **const arrays[ARRAYS] = {&s->beta,
                                     &s->alpha,
                                     &s->alphabar,
                                     &s->alphabar_previous,
                                     &s->sqrt_alphabar,
                                     &s->sqrt_one_minus_alphabar,
                                     &s->posterior_mean_x0,
                                     &s->posterior_mean_xt,
                                     &s->posterior_variance,
                                     &s->log_variance_large,
                                     &s->log_variance_small};
    for (int i = 0; i < ARRAYS; i++) *arrays[i] = memory + i * steps;
    s->steps = steps;
    *out = s;
    s = NULL;
done:
    tw_schedule_destroy(&s);
    return st;
}

/* Everything that follows from β. */
static tw_status derive(tw_schedule *s)
{
    tw_status st = TW_OK;
    double alphabar = 1;
    for (int64_t t = 0; t < s->steps; t++) {
        const double beta = s->beta[t], alpha = 1 - beta, previous = alphabar;
        TW_CHECK(beta > 0 && beta < 1, TW_ECONFIG,
                 "beta[%lld] of the schedule is %g: it must lie between 0 and 1", (long long)t,
                 beta);
        alphabar *= alpha;
        s->alpha[t] = alpha;
        s->alphabar[t] = alphabar;
        s->alphabar_previous[t] = previous;
        s->sqrt_alphabar[t] = sqrt(alphabar);
        s->sqrt_one_minus_alphabar[t] = sqrt(1 - alphabar);
        s->posterior_mean_x0[t] = beta * sqrt(previous) / (1 - alphabar);
        s->posterior_mean_xt[t] = (1 - previous) * sqrt(alpha) / (1 - alphabar);
        s->posterior_variance[t] = beta * (1 - previous) / (1 - alphabar);
        s->log_variance_large[t] = log(beta);
        s->log_variance_small[t] = log(s->posterior_variance[t]); /* −∞ at t = 0, replaced below */
    }
    /* The last step's variance is zero and its logarithm unusable: published code takes the next
     * entry's, or Ho's bound 1e-20 where a schedule has but one step. No noise is added there, so
     * only likelihoods see it. */
    s->log_variance_small[0] = s->steps > 1 ? s->log_variance_small[1] : log(1e-20);
    s->log_variance_large[0] = s->log_variance_small[0];
done:
    return st;
}

tw_status tw_schedule_create(tw_schedule **out, const char *kind, int64_t steps, double beta_min,
                             double beta_max)
{
    tw_status st = TW_OK;
    tw_schedule *s = NULL;
    const tw_beta *beta = find_beta(kind);
    char known[128] = "";
    for (int i = 0; i < tw_beta_count && !beta; i++) {
        const size_t length = strlen(known);
        TW_TRY(tw_format(known + length, sizeof known - length, "%s%s", i ? ", " : "",
                         tw_beta_table[i]->name));
    }
    TW_CHECK(beta, TW_ECONFIG, "unknown schedule \"%s\": it is one of %s", kind, known);
    TW_CHECK(steps >= 1, TW_ECONFIG, "a schedule of %lld steps: there must be at least one",
             (long long)steps);
    TW_TRY(allocate(&s, steps));
    beta->fill(s->beta, steps, beta_min, beta_max);
    for (int64_t t = 0; t < steps; t++) s->timestep[t] = t;
    TW_TRY(derive(s));
    *out = s;
    s = NULL;
done:
    tw_schedule_destroy(&s);
    return st;
}

tw_status tw_schedule_space(tw_schedule **out, const tw_schedule *full, const int64_t *timesteps,
                            int64_t count)
{
    tw_status st = TW_OK;
    tw_schedule *s = NULL;
    TW_CHECK(count >= 1 && count <= full->steps, TW_ECONFIG,
             "%lld steps kept of a schedule of %lld", (long long)count, (long long)full->steps);
    TW_TRY(allocate(&s, count));
    double previous = 1;
    for (int64_t k = 0; k < count; k++) {
        const int64_t t = timesteps[k];
        TW_CHECK(t >= 0 && t < full->steps && (k == 0 || t > timesteps[k - 1]), TW_ECONFIG,
                 "kept step %lld of the schedule is %lld: they must ascend within 0 … %lld",
                 (long long)k, (long long)t, (long long)full->steps - 1);
        s->timestep[k] = full->timestep[t];
        s->beta[k] = 1 - full->alphabar[t] / previous;
        previous = full->alphabar[t];
    }
    TW_TRY(derive(s));
    *out = s;
    s = NULL;
done:
    tw_schedule_destroy(&s);
    return st;
}

void tw_schedule_destroy(tw_schedule **schedule)
{
    if (!*schedule) return;
    tw_free(&(*schedule)->timestep);
    tw_free(&(*schedule)->beta);
    tw_free(schedule);
}
