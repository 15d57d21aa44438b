/* Forward processes: what all of them share. */
#include "tweedie/process.h"

#include <math.h>
#include <string.h>

#include "tweedie/memory.h"

/* DDPM is what configurations without a [process] meant. */
static tw_choice_rule rule(const char *section)
{
    return (tw_choice_rule){.section = section,
                            .key = "kind",
                            .default_name = "ddpm",
                            .help = "the forward process",
                            .kinds = tw_process_kinds,
                            .fixed = true};
}

tw_status tw_process_bind(tw_process **out, tw_config *config)
{
    return tw_process_bind_in(out, config, "process");
}

tw_status tw_process_bind_in(tw_process **out, tw_config *config, const char *section)
{
    tw_status st = TW_OK;
    tw_process *p = NULL;
    const tw_choice_rule r = rule(section);
    TW_TRY(tw_alloc(&p, 1, sizeof *p, "a forward process"));
    TW_TRY(tw_choice_bind(&p->choice, config, &r));
    p->kind = (const tw_process_kind *)p->choice.kind;
    p->config = p->choice.config;
    *out = p;
    p = NULL;
done:
    tw_process_destroy(&p);
    return st;
}

tw_status tw_process_prepare(tw_process *p)
{
    tw_status st = TW_OK;
    tw_free(&p->table);
    TW_TRY(p->kind->setup(p));
    if (p->steps > 0) p->end = (double)(p->steps - 1);
    if (p->limit == 0) p->limit = p->end;
done:
    return st;
}

tw_status tw_process_make(tw_process **out, const char *name, int count,
                          const char *const *assignments)
{
    tw_status st = TW_OK;
    tw_process *p = NULL;
    const tw_choice_rule r = rule("process");
    TW_TRY(tw_alloc(&p, 1, sizeof *p, "a forward process"));
    TW_TRY(tw_choice_make(&p->choice, &r, name, count, assignments, &p->own));
    p->kind = (const tw_process_kind *)p->choice.kind;
    p->config = p->choice.config;
    TW_TRY(tw_process_prepare(p));
    *out = p;
    p = NULL;
done:
    tw_process_destroy(&p);
    return st;
}

void tw_process_destroy(tw_process **process)
{
    if (!*process) return;
    tw_free(&(*process)->table);
    tw_choice_free(&(*process)->choice);
    tw_config_destroy(&(*process)->own);
    tw_free(process);
}

bool tw_process_has_time(const tw_process *p, double t)
{
    if (p->steps > 0) return t >= 0 && t <= p->end && floor(t) == t;
    return t > 0 && t <= p->limit;
}

double tw_process_condition(const tw_process *p, double t)
{
    return p->kind->condition ? p->kind->condition(p, t) : t;
}

static double log_ratio(const tw_process *p, double t)
{
    return log(p->kind->sigma(p, t)) - log(p->kind->alpha(p, t));
}

/* The index whose ratio is nearest in the logarithm; σ / α grows with it. */
static double nearest_index(const tw_process *p, double wanted)
{
    int64_t low = 0, high = p->steps - 1;
    while (high - low > 1) {
        const int64_t middle = low + (high - low) / 2;
        if (log_ratio(p, (double)middle) <= wanted)
            low = middle;
        else
            high = middle;
    }
    const double below = wanted - log_ratio(p, (double)low),
                 above = log_ratio(p, (double)high) - wanted;
    return (double)(below <= above ? low : high);
}

double tw_process_time_at(const tw_process *p, double ratio)
{
    const double wanted = log(ratio);
    double low = p->start, high = p->limit;
    if (p->steps > 0) return nearest_index(p, wanted);
    if (wanted <= log_ratio(p, low)) return low;
    if (wanted >= log_ratio(p, high)) return high;
    for (int i = 0; i < 200; i++) {
        const double middle = low + 0.5 * (high - low);
        if (middle <= low || middle >= high) break;
        if (log_ratio(p, middle) <= wanted)
            low = middle;
        else
            high = middle;
    }
    return low;
}

void tw_process_slope(const tw_process *p, double t, double *alpha, double *sigma)
{
    const double f = p->kind->drift(p, t), g = p->kind->diffusion(p, t), s = p->kind->sigma(p, t);
    *alpha = f * p->kind->alpha(p, t);
    *sigma = (g * g + 2 * f * s * s) / (2 * s);
}

tw_bridge tw_bridge_between(double alpha_s, double sigma_s, double alpha_t, double sigma_t)
{
    const double a = alpha_t / alpha_s, v = sigma_t * sigma_t - a * a * sigma_s * sigma_s;
    const double s2 = sigma_t * sigma_t, sigma = v > 0 ? sqrt(v) : 0;
    return (tw_bridge){.alpha = a,
                       .sigma = sigma,
                       .x0 = alpha_s * v / s2,
                       .xt = a * sigma_s * sigma_s / s2,
                       .std = sigma * sigma_s / sigma_t};
}
