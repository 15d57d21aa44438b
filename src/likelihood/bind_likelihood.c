/* [likelihood]: its keys. */
#include <stddef.h>

#include "tweedie/likelihood.h"

#define FIELD(key, type, member) NULL, key, type, offsetof(tw_likelihood_config, member)

static const tw_config_field fields[] = {
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
                                   .kinds = tw_solver_kinds};
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
