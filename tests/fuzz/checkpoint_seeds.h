/* Checkpoints and weights files: seeds, and the seal that is made right after a mutation. */
#ifndef TWEEDIE_TESTS_FUZZ_CHECKPOINT_SEEDS_H
#define TWEEDIE_TESTS_FUZZ_CHECKPOINT_SEEDS_H

#include <stddef.h>
#include <stdint.h>

void checkpoint_seeds(void);
void weights_seeds(void);

/* Recomputes length and hash in the file's head, as whoever changes a file on purpose would. */
void checkpoint_repair(uint8_t *bytes, size_t size);

#endif
