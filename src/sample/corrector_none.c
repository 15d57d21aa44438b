/* No corrector: a predictor alone. */
#include "sample/sampler.h"

static tw_status correct(const void *config, const tw_rule *rule, const void *rule_config,
                         const tw_point *at, tw_batch *b)
{
    (void)config, (void)rule, (void)rule_config, (void)at, (void)b;
    return TW_OK;
}

const tw_corrector tw_corrector_none = {.kind = {"none", "none"}, .correct = correct};
