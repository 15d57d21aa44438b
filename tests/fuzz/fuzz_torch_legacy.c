/* torch's legacy streams. */
#include "archive_run.h"

static void seeds(void)
{
    archive_seed("zoo", "zoo_legacy.pth");
    archive_seed("hostile", "good_legacy.pth");
    archive_seed("hostile", "legacy_huge_numel.pth");
}

const fuzz_target fuzz_here = {.file = "legacy.pth", .seeds = seeds, .run = archive_run};
