/* A plain pickle whose tensors are streams inside of it: EDM's network snapshots. */
#include "weights/container.h"
#include "weights/pickle.h"

extern const tw_container tw_container_pickle;

static tw_claim claims(const uint8_t *bytes, int64_t size)
{
    return size >= 2 && bytes[0] == 0x80 && bytes[1] >= 2 && bytes[1] <= 5 ? TW_CLAIM_MAYBE
                                                                           : TW_CLAIM_NO;
}

static tw_status read_pickle(tw_archive *a)
{
    return tw_pickle_read(a, &a->root, NULL, a->bytes, a->size, NULL);
}

const tw_container tw_container_pickle = {
    .name = "pickle",
    .summary = "EDM's network snapshots",
    .claims = claims,
    .read = read_pickle,
};
