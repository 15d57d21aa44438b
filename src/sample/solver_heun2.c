/* Heun's method, of second order. Equal steps of time. */
#include <stddef.h>

#include "tweedie/solver.h"

typedef struct heun2_config {
    int64_t steps;
} heun2_config;

static const tw_config_field fields[] = {
    {NULL, "ode_steps", TW_CONFIG_INT64, offsetof(heun2_config, steps), "100", 1, 10000000,
     .help = "equal steps of time of a solver that does not adapt"},
};

static const tw_tableau tableau = {
    .stages = 2,
    .order = 2,
    .c = {0, 1},
    .a = {{0}, {1}},
    .b = {0.5, 0.5},
};

static void settings(const void *config, double *rtol, double *atol, int64_t *steps)
{
    *rtol = *atol = 0;
    *steps = ((const heun2_config *)config)->steps;
}

const tw_solver_kind tw_solver_heun2 = {
    .kind = {"heun2", "Heun's method", fields, sizeof fields / sizeof *fields,
             sizeof(heun2_config)},
    .tableau = &tableau,
    .settings = settings,
};
