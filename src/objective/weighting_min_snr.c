/* min(SNR, γ) ‖x̂_0 − x_0‖², SNR = α² / σ² (Hang et al. 2023): steps of little noise do not outweigh
 * the rest. */
#include <math.h>
#include <stddef.h>

#include "tweedie/objective.h"

typedef struct min_snr_config {
    double gamma;
} min_snr_config;

static const tw_config_field fields[] = {
    {NULL, "gamma", TW_CONFIG_DOUBLE, offsetof(min_snr_config, gamma), "5", TW_CONFIG_ABOVE_ZERO,
     1e6, .fixed = true, .help = "the largest weight of the denoiser's squared error"},
};

static double weight(const void *config, const tw_model *m, double t, const tw_model_view *view)
{
    const double r = tw_process_alpha(m->process, t) / tw_process_sigma(m->process, t);
    return fmin(r * r, ((const min_snr_config *)config)->gamma) * view->x0_f * view->x0_f;
}

const tw_weighting tw_weighting_min_snr = {
    .kind = {"min_snr", "min(SNR, gamma) times the denoiser's squared error", fields,
             sizeof fields / sizeof *fields, sizeof(min_snr_config)},
    .weight = weight,
};
