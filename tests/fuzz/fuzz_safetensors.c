/* safetensors, and their indices, which name no file that is there. */
#include "archive_run.h"

static void seeds(void)
{
    archive_seed("zoo", "zoo.safetensors");
    archive_seed("hostile", "good.safetensors");
    archive_seed("hostile", "st_escaped_key.safetensors");
    fuzz_seed_text("index", "{\"metadata\": {\"total_size\": 24}, \"weight_map\": {\"w\": "
                            "\"model-00001-of-00002.safetensors\"}}");
}

const fuzz_target fuzz_here = {.file = "model.safetensors", .seeds = seeds, .run = archive_run};
