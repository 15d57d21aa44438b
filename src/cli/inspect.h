/* The parts of `tweedie inspect`. None is collective; answers go to standard output. */
#ifndef TWEEDIE_CLI_INSPECT_H
#define TWEEDIE_CLI_INSPECT_H

#include "tweedie/config.h"
#include "tweedie/data.h"
#include "tweedie/json.h"

/* Where a picture of a dataset goes. */
typedef struct tw_inspect_picture {
    const char *out;
    tw_output_mode mode;
} tw_inspect_picture;

typedef struct tw_inspect_network {
    const char *config;
    int assignment_count;
    char *const *assignments;
    tw_config_doubles times;
    tw_config_ints labels;
    bool json;
} tw_inspect_network;

/* Prints what any implementation of the configured network must give. */
tw_status tw_inspect_fingerprint(const tw_inspect_network *network);

/* Prints the largest number of ranks, at most `most`, that can train the configuration together. */
tw_status tw_inspect_ranks(const tw_inspect_network *network, int64_t most);

/* Prints every key of the configuration with its value and what it is. */
tw_status tw_inspect_keys(const tw_inspect_network *network);

/* Prints the plan of a training step. */
tw_status tw_inspect_plan(const tw_inspect_network *network);

/* Prints what a dataset, checkpoint, weights file or run directory is.
 * @param picture  of a dataset, or NULL */
tw_status tw_inspect_file(const char *path, const tw_inspect_picture *picture, bool json);

/* inspect_grid.c: writes the picture, and adds what it measured to an open object.
 * @return TW_EDATA where there are no samples, and as tw_output */
tw_status tw_inspect_grid(tw_json *j, tw_dataset *d, const tw_inspect_picture *picture);

#endif
