/* flax's msgpack. */
#include "archive_run.h"

static void seeds(void)
{
    archive_seed("zoo", "zoo_flax_chunked.msgpack");
    archive_seed("hostile", "good_flax");
    archive_seed("hostile", "flax_short_buffer");
}

const fuzz_target fuzz_here = {.file = "checkpoint_1", .seeds = seeds, .run = archive_run};
