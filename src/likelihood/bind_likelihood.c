/* [likelihood]: its keys. */
#include <stddef.h>

#include "tweedie/likelihood.h"

#define FIELD(key, type, member) NULL, key, type, offsetof(tw_likelihood_config, member)

static const tw_config_field fields[] = {
    {FIELD("kind", TW_CONFIG_CHOICE, kind), "auto", .choices = "auto|ode|bound",
     .help = "ode: exact, of continuous processes; bound: the variational bound of discrete ones"},
    {FIELD("variance", TW_CONFIG_CHOICE, variance), "auto",
     .choices = "auto|fixedlarge|fixedsmall|learned",
     .help =
         "bound: variance of a step; auto: learned where the network learns it, else fixedlarge"},
    {FIELD("clip", TW_CONFIG_CHOICE, clip), "auto", .choices = "auto|yes|no",
     .help = "bound: clip the estimate of x0 to [-1, 1]; auto: where the data are bytes"},
    {FIELD("cdf", TW_CONFIG_CHOICE, cdf), "exact", .choices = "exact|published",
     .help =
         "bound: of the last step's bins, exact, or the published approximation with its floor"},
    {FIELD("timesteps", TW_CONFIG_STRING, which), "",
     .help = "bound, DDIM codes: which steps are kept, as \"250\", \"ddim50\"; empty: all"},
    {FIELD("inversions", TW_CONFIG_INT64, inversions), "0", 0, 1000,
     .help = "DDIM codes: fixed-point iterations of each inverted step; 0: as published"},
    {FIELD("trace", TW_CONFIG_CHOICE, trace), "auto", .choices = "auto|exact|hutchinson",
     .help =
         "divergence of the flow: by D products, or estimated; auto: exact up to 16 dimensions"},
    {FIELD("probe", TW_CONFIG_CHOICE, probe), "rademacher", .choices = "rademacher|gaussian",
     .help = "probe vectors of Hutchinson's estimate"},
    {FIELD("probes", TW_CONFIG_INT64, probes), "1", 1, TW_LIKELIHOOD_PROBES,
     .help = "probe vectors of a sample; several give a standard error"},
    {FIELD("repeats", TW_CONFIG_INT64, repeats), "1", 1, 1000,
     .help = "bytes: repeats with other dequantisation noise and probes"},
    {FIELD("epsilon", TW_CONFIG_DOUBLE, epsilon), "0", 0, 1e6,
     .help = "the time at which the data are taken to be; 0: as the process says"},
    {FIELD("batch", TW_CONFIG_INT64, batch), "32", 1, 1048576,
     .help = "samples that a rank computes at once"},
    {FIELD("seed", TW_CONFIG_INT64, seed), "0", 0, 9e18, .help = "of probes and dequantisation"},
};

tw_status tw_likelihood_bind(tw_likelihood_config *out, tw_config *config)
{
    tw_status st = TW_OK;
    const tw_choice_rule solver = {.section = "likelihood",
                                   .key = "solver",
                                   .default_name = "dopri5",
                                   .help = "solver of the ODE",
                                   .kinds = tw_solver_kinds,
                                   .shared = true};
    tw_likelihood_config_free(out);
    TW_TRY(tw_config_bind_in(config, "likelihood", fields, sizeof fields / sizeof *fields, out));
    TW_TRY(tw_choice_bind(&out->solver, config, &solver));
done:
    return st;
}

void tw_likelihood_config_free(tw_likelihood_config *config)
{
    tw_choice_free(&config->solver);
}
