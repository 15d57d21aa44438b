/* The classical Runge–Kutta method, of order 4. Equal steps of time. */
#include <stddef.h>

#include "tweedie/solver.h"

typedef struct rk4_config {
    int64_t steps;
} rk4_config;

static const tw_config_field fields[] = {
    {NULL, "ode_steps", TW_CONFIG_INT64, offsetof(rk4_config, steps), "100", 1, 10000000,
     .help = "equal steps of time of a solver that does not adapt"},
};

static const tw_tableau tableau = {
    .stages = 4,
    .order = 4,
    .c = {0, 0.5, 0.5, 1},
    .a = {{0}, {0.5}, {0, 0.5}, {0, 0, 1}},
    .b = {1.0 / 6, 1.0 / 3, 1.0 / 3, 1.0 / 6},
};

static void settings(const void *config, double *rtol, double *atol, int64_t *steps)
{
    *rtol = *atol = 0;
    *steps = ((const rk4_config *)config)->steps;
}

const tw_solver_kind tw_solver_rk4 = {
    .kind = {"rk4", "the classical method of order 4", fields, sizeof fields / sizeof *fields,
             sizeof(rk4_config)},
    .tableau = &tableau,
    .settings = settings,
};
