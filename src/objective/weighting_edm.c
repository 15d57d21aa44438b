/* (r² + s²) / (r s)² ‖D − x_0‖², r = σ / α, s the standard deviation of the data (Karras et al.
 * 2022, table 1). Of the prediction edm with the same s it is 1. */
#include <stddef.h>

#include "tweedie/objective.h"

typedef struct edm_config {
    double sigma_data;
} edm_config;

static const tw_config_field fields[] = {
    {NULL, "sigma_data", TW_CONFIG_DOUBLE, offsetof(edm_config, sigma_data), "0.5",
     TW_CONFIG_ABOVE_ZERO, 1e6, .fixed = true,
     .help = "standard deviation of the data, in model units"},
};

static double weight(const void *config, const tw_model *m, double t, const tw_model_view *view)
{
    const double s = ((const edm_config *)config)->sigma_data,
                 r = tw_process_sigma(m->process, t) / tw_process_alpha(m->process, t);
    return (r * r + s * s) / (r * r * s * s) * view->x0_f * view->x0_f;
}

const tw_weighting tw_weighting_edm = {
    .kind = {"edm", "EDM's, of the denoiser's squared error", fields,
             sizeof fields / sizeof *fields, sizeof(edm_config)},
    .weight = weight,
};
