/* CIFAR binaries: the first byte chooses the name, by which CIFAR-10 and CIFAR-100 differ. */
#include <stdlib.h>
#include <string.h>

#include "harness.h"

enum { RECORD = 3073 };

static void run(const char *path, const uint8_t *bytes, size_t size)
{
    static const char *const names[] = {"data_batch_1.bin", "train.bin", "test.bin", "other.bin"};
    static const char *const lists[] = {"batches.meta.txt", "fine_label_names.txt"};
    const uint8_t *part;
    size_t n;
    (void)path;
    if (size == 0) return;
    fuzz_part(bytes + 1, size - 1, 0, &part, &n);
    const char *file = fuzz_path(names[bytes[0] % 4]);
    fuzz_write(file, part, n);
    fuzz_part(bytes + 1, size - 1, 1, &part, &n);
    for (int i = 0; i < 2; i++) fuzz_write(fuzz_path(lists[i]), part, n);
    fuzz_import("cifar", file, NULL, 0);
}

static void seeds(void)
{
    static uint8_t bytes[1 + 2 * (RECORD + 1) + 64];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i % 10);
    fuzz_seed("ten", bytes, 1 + 2 * RECORD);
    bytes[0] = 1;
    fuzz_seed("hundred", bytes, 1 + RECORD + 1);
    bytes[0] = 0;
    strcpy((char *)bytes + 1 + RECORD, FUZZ_SEPARATOR "cat\ndog\n");
    fuzz_seed("names", bytes, 1 + RECORD + strlen((char *)bytes + 1 + RECORD));
    /* a Python pickle of the same data, as its archive has it: the beginning tells */
    fuzz_seed("pickle",
              "\x80\x02}q\x01(U\x05"
              "batch",
              12);
}

const fuzz_target fuzz_here = {.file = "input", .seeds = seeds, .run = run};
