/* Points as text. */
#include "harness.h"

static void run(const char *path, const uint8_t *bytes, size_t size)
{
    (void)bytes;
    (void)size;
    fuzz_import("points", path, NULL, 0);
}

static void seeds(void)
{
    fuzz_seed_text("blanks", "# x y\n1 2.5\n-3e-5\t4\n\n  5 6  \n");
    fuzz_seed_text("commas", "1,2.5,3\n4,5,6\r\n");
    fuzz_seed_text("semicolons", "1;2\n3;4");
    fuzz_seed_text("odd", "nan inf\n0x1p3 1e400\n1,5;2,5\n1,,2\n");
    fuzz_seed_text("header", "x,y\n1,2\n");
}

const fuzz_target fuzz_here = {.file = "points.csv", .seeds = seeds, .run = run};
