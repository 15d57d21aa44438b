/* Which kind of likelihood a process has, and what is said where it has not. */
#include "likelihood/method.h"

#include "tweedie/likelihood.h"

tw_status tw_likelihood_check_bound(const tw_process *p)
{
    tw_status st = TW_OK;
    const char *name = p->kind->kind.name;
    TW_CHECK(tw_process_is_discrete(p), TW_ECONFIG,
             "likelihood.kind: the variational bound is of discrete processes (ddpm); %s is "
             "continuous: likelihood.kind = ode",
             name);
    TW_CHECK(p->steps >= 2, TW_ECONFIG,
             "process.kind: %s has one noise level and no likelihood; continuous processes have an "
             "exact one (vp, subvp, ve, edm, flow), ddpm a variational bound",
             name);
    TW_CHECK(p->prior_low >= p->prior_high, TW_ECONFIG,
             "process.kind: %s with a uniform prior has no likelihood; continuous processes have "
             "an exact one (vp, subvp, ve, edm, flow), discrete ones with a Gaussian prior (ddpm, "
             "ladder with process.prior = gaussian) a variational bound",
             name);
done:
    return st;
}

int tw_likelihood_kind_for(const tw_likelihood_config *config, const tw_process *p)
{
    if (config->kind != TW_LIKELIHOOD_AUTO) return config->kind;
    return tw_process_is_discrete(p) ? TW_LIKELIHOOD_BOUND : TW_LIKELIHOOD_ODE;
}
