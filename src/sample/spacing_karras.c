/* Karras et al. 2022, equation 5: r = σ / α falls so that r^{1/ρ} is linear; small steps where
 * there is little noise. */
#include <math.h>
#include <stddef.h>

#include "sample/sampler.h"

typedef struct karras_config {
    double rho;
} karras_config;

static const tw_config_field fields[] = {
    {NULL, "rho", TW_CONFIG_DOUBLE, offsetof(karras_config, rho), "7", 0.1, 100,
     .help = "how much shorter steps are at small noise"},
};

static double ratio(const tw_process *p, double t)
{
    return tw_process_sigma(p, t) / tw_process_alpha(p, t);
}

static tw_status fill(const void *config, const tw_process *p, double epsilon, int64_t n, double *t)
{
    const double rho = ((const karras_config *)config)->rho;
    const double first = pow(ratio(p, p->end), 1 / rho), last = pow(ratio(p, epsilon), 1 / rho);
    for (int64_t k = 0; k < n; k++) {
        const double u = n > 1 ? (double)k / (double)(n - 1) : 0;
        t[k] = k == 0       ? p->end
               : k == n - 1 ? epsilon
                            : tw_process_time_at(p, pow(first + u * (last - first), rho));
    }
    return TW_OK;
}

const tw_spacing tw_spacing_karras = {
    .kind = {"karras", "sigma^(1/rho) falls linearly (EDM)", fields, sizeof fields / sizeof *fields,
             sizeof(karras_config)},
    .fill = fill,
};
