/* Dormand and Prince's method of order 5(4) (1980), with local extrapolation and the first stage
 * the same as the last: scipy's RK45. The tolerance is the dial. */
#include <stddef.h>

#include "tweedie/solver.h"

typedef struct dopri5_config {
    double rtol, atol;
} dopri5_config;

static const tw_config_field fields[] = {
    {NULL, "rtol", TW_CONFIG_DOUBLE, offsetof(dopri5_config, rtol), "1e-5", 1e-13, 1,
     .help = "relative tolerance of a step"},
    {NULL, "atol", TW_CONFIG_DOUBLE, offsetof(dopri5_config, atol), "1e-5", 1e-13, 1e6,
     .help = "absolute tolerance of a step, in model units"},
};

/* The seventh stage, at y', is the error's last term. */
static const tw_tableau tableau = {
    .stages = 6,
    .order = 5,
    .c = {0, 1.0 / 5, 3.0 / 10, 4.0 / 5, 8.0 / 9, 1},
    .a = {{0},
          {1.0 / 5},
          {3.0 / 40, 9.0 / 40},
          {44.0 / 45, -56.0 / 15, 32.0 / 9},
          {19372.0 / 6561, -25360.0 / 2187, 64448.0 / 6561, -212.0 / 729},
          {9017.0 / 3168, -355.0 / 33, 46732.0 / 5247, 49.0 / 176, -5103.0 / 18656}},
    .b = {35.0 / 384, 0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784, 11.0 / 84},
    .adaptive = true,
    .e = {-71.0 / 57600, 0, 71.0 / 16695, -71.0 / 1920, 17253.0 / 339200, -22.0 / 525, 1.0 / 40},
};

static void settings(const void *config, double *rtol, double *atol, int64_t *steps)
{
    const dopri5_config *c = config;
    *rtol = c->rtol;
    *atol = c->atol;
    *steps = 1;
}

const tw_solver_kind tw_solver_dopri5 = {
    .kind = {"dopri5", "Dormand-Prince 5(4), adaptive", fields, sizeof fields / sizeof *fields,
             sizeof(dopri5_config)},
    .tableau = &tableau,
    .settings = settings,
};
