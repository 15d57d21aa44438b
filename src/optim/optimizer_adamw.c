/* Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2): the parameters shrink
 * by 1 − lr λ at each update, whatever the gradient. Its arrays are Adam's. */
#include "tweedie/optim.h"

static const tw_config_field fields[] = {
    {NULL, "beta1", TW_CONFIG_DOUBLE, offsetof(tw_adam, beta1), "0.9", 0, 0.999999, .fixed = true,
     .help = "Adam β₁ (decay of the first moment)"},
    {NULL, "beta2", TW_CONFIG_DOUBLE, offsetof(tw_adam, beta2), "0.999", 0, 0.99999999,
     .fixed = true, .help = "Adam β₂ (decay of the second moment)"},
    {NULL, "epsilon", TW_CONFIG_DOUBLE, offsetof(tw_adam, epsilon), "1e-8", TW_CONFIG_ABOVE_ZERO, 1,
     .fixed = true, .help = "Adam ε (added to the root of the second moment)"},
    {NULL, "weight_decay", TW_CONFIG_DOUBLE, offsetof(tw_adam, weight_decay), "0.01", 0, 10,
     .fixed = true, .help = "decoupled weight decay λ: θ shrinks by 1 - learning rate · λ"},
};

static void update(const void *config, const tw_update *u)
{
    tw_adam_update(config, u);
}

const tw_optimizer tw_optimizer_adamw = {
    .kind = {"adamw", "Adam with decoupled weight decay", fields, sizeof fields / sizeof *fields,
             sizeof(tw_adam)},
    .arrays = (const char *const[]){"adam/m", "adam/v", NULL},
    .largest = 1.8446743e19, /* sqrt(FLT_MAX) */
    .limits = "Adam's second moment holds the squares of numbers",
    .update = update,
};
