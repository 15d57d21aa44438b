/* EDM's pickles, with streams inside. */
#include "archive_run.h"

static void seeds(void)
{
    archive_seed("hostile", "good_edm_like.pkl");
    archive_seed("hostile", "edm_nested_truncated.pkl");
    archive_seed("hostile", "edm_outer_os_system.pkl");
}

const fuzz_target fuzz_here = {.file = "network-snapshot.pkl", .seeds = seeds, .run = archive_run};
