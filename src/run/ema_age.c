/* The share of the initial weights in an average: after k updates with decays d_1 … d_k it is the
 * product of them. */
#include "run/ema_age.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tweedie/config.h"
#include "tweedie/log.h"
#include "tweedie/optim.h"

double tw_ema_initial_share(double rate, bool warmup, int64_t updates)
{
    double share = 1;
    int64_t k = 1;
    /* (1 + k) / (10 + k) rises to the rate; the product falls as k^-9, so this ends soon */
    for (; warmup && k <= updates && share > 1e-12; k++) {
        const double decay = tw_ema_decay(rate, true, k);
        if (decay >= rate) break;
        share *= decay;
    }
    if (share <= 1e-12) return share;
    return share * pow(rate, (double)(updates - k + 1));
}

/* [ema] warmup of the configuration that the file holds; what cannot be read counts as the default.
 */
static bool read_warmup(const char *config)
{
    static const tw_config_field field = {"ema", "warmup",      TW_CONFIG_BOOL, 0,
                                          "no",  .fixed = true, .help = ""};
    bool warmup = false;
    tw_config *c = NULL;
    if (!config || tw_config_create(&c) != TW_OK) return false;
    if (tw_config_parse(c, config, (int64_t)strlen(config), "config") != TW_OK ||
        tw_config_bind(c, &field, 1, &warmup) != TW_OK)
        warmup = false;
    tw_config_destroy(&c);
    return warmup;
}

void tw_ema_warn(const tw_checkpoint_meta *meta)
{
    char *end;
    if (strncmp(meta->weights, "ema:", 4) != 0) return;
    const double rate = strtod(meta->weights + 4, &end);
    if (*end || !(rate >= 0 && rate < 1)) return;
    const bool warmup = read_warmup(meta->config);
    const double share = tw_ema_initial_share(rate, warmup, meta->step);
    if (share < TW_EMA_YOUNG) return;
    tw_log_warn("the weights %s still hold %.3g %% of the weights that the run began with (%s^%lld "
                "= %.3g): samples look like those of an untrained network; use --weights raw, or "
                "train on (a new run: ema.warmup=yes, or a smaller rate in ema.rates)",
                meta->weights, 100 * share, meta->weights + 4, (long long)meta->step, share);
}
