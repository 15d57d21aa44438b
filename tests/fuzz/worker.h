/* A child process that runs the inputs of a library which may crash.
 *
 * HDF5 1.10 crashes on some damaged files, and the program reads foreign files in a child for that
 * reason: such a crash is counted, kept as library-N beside the other findings, and fuzzing goes
 * on, if it is where the program has a child (tw_isolate, tw_isolate_call, an isolated importer).
 * What our own code does wrong, including a buffer of ours that the library overruns, ends the
 * fuzzer with the input, as does a child that grows beyond WORKER_MIB. Coverage goes to libFuzzer
 * through its extra counters, which parent and child share. */
#ifndef TWEEDIE_TESTS_FUZZ_WORKER_H
#define TWEEDIE_TESTS_FUZZ_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WORKER_MIB = 1536, WORKER_INPUT_MAX = 1 << 20 };

/* Whether what follows is what the program does in a child process of its own. */
void worker_isolated(bool isolated);

void worker_run(const char *path, const uint8_t *bytes, size_t size);

#endif
