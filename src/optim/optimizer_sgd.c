/* Stochastic gradient descent with momentum μ (Sutskever et al. 2013, as PyTorch writes it):
 *
 *   g = scale · gradient + λ θ       b = μ b + g
 *   θ = θ − lr b                     with Nesterov's momentum θ − lr (g + μ b)
 *
 * λ is an L2 penalty in the gradient, which clipping does not see. */
#include "optim/kern_optim.h"
#include "optim/pass.h"

typedef struct sgd {
    double momentum, weight_decay;
    bool nesterov;
} sgd;

static const tw_config_field fields[] = {
    {NULL, "momentum", TW_CONFIG_DOUBLE, offsetof(sgd, momentum), "0.9", 0, 0.999999, .fixed = true,
     .help = "momentum μ; 0: none"},
    {NULL, "nesterov", TW_CONFIG_BOOL, offsetof(sgd, nesterov), "no", .fixed = true,
     .help = "Nesterov's momentum"},
    {NULL, "weight_decay", TW_CONFIG_DOUBLE, offsetof(sgd, weight_decay), "0", 0, 10, .fixed = true,
     .help = "L2 penalty λ: λ θ is added to the gradient"},
};

static tw_status check(const void *config)
{
    const sgd *c = config;
    if (!c->nesterov || c->momentum > 0) return TW_OK;
    return tw_error_set(TW_ECONFIG, "sgd with nesterov = yes needs a momentum above 0");
}

static void block(const void *constants, const tw_update *u, int64_t at, int64_t count)
{
    optim_kernels_find()->sgd(constants, count, u->theta + at, u->array[0] + at, u->gradient + at);
}

static void update(const void *config, const tw_update *u)
{
    const sgd *c = config;
    const sgd_constants k = {.scale = (float)u->gradient_scale,
                             .penalty = (float)c->weight_decay,
                             .momentum = (float)c->momentum,
                             .direct = c->nesterov ? 1.0f : 0.0f,
                             .buffered = c->nesterov ? (float)c->momentum : 1.0f,
                             .step = (float)u->learning_rate};
    optim_pass(u, block, &k);
}

const tw_optimizer tw_optimizer_sgd = {
    .kind = {"sgd", "stochastic gradient descent with momentum", fields,
             sizeof fields / sizeof *fields, sizeof(sgd)},
    .arrays = (const char *const[]){"sgd/momentum", NULL},
    .largest = 1e32, /* the momentum sums up to a million gradients */
    .limits = "the momentum of SGD holds sums of gradients",
    .check = check,
    .update = update,
};
