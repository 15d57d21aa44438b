/* Euler's method, of first order. Equal steps of time. */
#include <stddef.h>

#include "tweedie/solver.h"

typedef struct euler_config {
    int64_t steps;
} euler_config;

static const tw_config_field fields[] = {
    {NULL, "ode_steps", TW_CONFIG_INT64, offsetof(euler_config, steps), "100", 1, 10000000,
     .help = "equal steps of time of a solver that does not adapt"},
};

static const tw_tableau tableau = {
    .stages = 1,
    .order = 1,
    .c = {0},
    .a = {{0}},
    .b = {1},
};

static void settings(const void *config, double *rtol, double *atol, int64_t *steps)
{
    *rtol = *atol = 0;
    *steps = ((const euler_config *)config)->steps;
}

const tw_solver_kind tw_solver_euler = {
    .kind = {"euler", "Euler's method", fields, sizeof fields / sizeof *fields,
             sizeof(euler_config)},
    .tableau = &tableau,
    .settings = settings,
};
