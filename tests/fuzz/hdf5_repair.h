/* HDF5 files whose metadata checksums are right again after a mutation. Without this nearly every
 * mutant ends at a checksum, which whoever means harm would recompute. */
#ifndef TWEEDIE_TESTS_FUZZ_HDF5_REPAIR_H
#define TWEEDIE_TESTS_FUZZ_HDF5_REPAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Recomputes the checksums of the superblock, of object headers with their continuations, of
 * fractal heaps, version 2 B-trees and fixed arrays, as far as their sizes can be told. */
void hdf5_repair(uint8_t *bytes, size_t size);

/* A piece of metadata to mutate by itself: a block that begins with a signature.
 * @return false where there is none */
bool hdf5_find_block(const uint8_t *bytes, size_t size, unsigned choice, size_t *at,
                     size_t *length);

#endif
