/* guided-diffusion (Dhariwal and Nichol 2021): as improved-diffusion's, with residual blocks that
 * change the resolution. Heads of 64 channels in the legacy order are those of its released models
 * of 128 to 512 pixels; that of 64 pixels has attention_order = new, and a cosine schedule. */
#include "weights/adm_shapes.h"

extern const tw_system tw_system_guided_diffusion;

static tw_claim claims(const tw_source *s)
{
    const adm_looks l = adm_look(s);
    return !l.network ? TW_CLAIM_NO : l.blocks_resize ? TW_CLAIM_SURE : TW_CLAIM_MAYBE;
}

static tw_status read(tw_found *out, const tw_source *s, bool ema)
{
    return adm_read(out, s, ema, "head_channels = 64\nattention_order = legacy\n",
                    "schedule = linear\ntimesteps = 1000\n");
}

const tw_system tw_system_guided_diffusion = {
    .name = "guided-diffusion",
    .summary = "guided-diffusion (ADM)",
    .claims = claims,
    .read = read,
};
