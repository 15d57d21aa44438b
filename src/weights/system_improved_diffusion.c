/* improved-diffusion (Nichol and Dhariwal 2021): model*.pt and ema_RATE_*.pt, bare state
 * dictionaries. Four heads and the schedules are the defaults of its scripts; no shape tells them.
 */
#include "weights/adm_shapes.h"

extern const tw_system tw_system_improved_diffusion;

static tw_claim claims(const tw_source *s)
{
    const adm_looks l = adm_look(s);
    return !l.network ? TW_CLAIM_NO : l.blocks_resize ? TW_CLAIM_NO : TW_CLAIM_SURE;
}

static tw_status read(tw_found *out, const tw_source *s, bool ema)
{
    return adm_read(out, s, ema, "heads = 4\nattention_order = legacy\n",
                    "schedule = linear\ntimesteps = 1000\nrescale_timesteps = yes\n");
}

const tw_system tw_system_improved_diffusion = {
    .name = "improved-diffusion",
    .summary = "improved-diffusion",
    .claims = claims,
    .read = read,
};
