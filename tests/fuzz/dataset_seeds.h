/* Dataset files of every kind as the library writes them: seeds of several targets. */
#ifndef TWEEDIE_TESTS_FUZZ_DATASET_SEEDS_H
#define TWEEDIE_TESTS_FUZZ_DATASET_SEEDS_H

void dataset_seeds(void);

/* Parts of a sample set are datasets that say what they were made with. */
void part_seeds(void);

#endif
