/* The small text files of a run: the first byte chooses. `hold`, which decides over deletion, the
 * manifest of a copy, and the text of a lock. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint/manifest.h"
#include "harness.h"
#include "tweedie/checkpoint.h"
#include "tweedie/memory.h"
#include "tweedie/rundir.h"

enum { STEPS = 5 };

static void start(void)
{
    static const int64_t dims[] = {1};
    float one = 1;
    const tw_checkpoint_array array = {"params", "a", 1, dims, &one};
    tw_checkpoint_meta meta = {.config = ""};
    FUZZ_CLAIM(mkdir(fuzz_path("run"), 0777) == 0);
    FUZZ_CLAIM(mkdir(fuzz_path("run/checkpoints"), 0777) == 0);
    for (meta.step = 1; meta.step <= STEPS; meta.step++)
        FUZZ_OK(tw_checkpoint_write(fuzz_path("run"), &array, 1, &meta));
}

/* Whether the text has a line that is this number alone. */
static bool has_line(const char *text, int64_t step)
{
    char number[32];
    const int n = snprintf(number, sizeof number, "%lld", (long long)step);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, number, (size_t)n) == 0 && (line[n] == '\n' || line[n] == '\0'))
            return true;
    }
    return false;
}

/* What `hold` names stays. */
static void prune(const uint8_t *bytes, size_t size)
{
    int64_t *gone = NULL, count = 0;
    char *text = malloc(size + 1);
    FUZZ_CLAIM(text != NULL);
    memcpy(text, bytes, size);
    text[size] = '\0';
    fuzz_write(fuzz_path("run/checkpoints/hold"), bytes, size);
    if (tw_checkpoint_prune(fuzz_path("run"), 2, 0, true, &gone, &count) == TW_OK) {
        FUZZ_CLAIM(count <= STEPS - 2);
        for (int64_t i = 0; i < count; i++) FUZZ_CLAIM(!has_line(text, gone[i]));
    }
    tw_free(&gone);
    free(text);
}

static void look_up(const uint8_t *bytes, size_t size)
{
    manifest_entry entry;
    fuzz_write(fuzz_path("manifest.jsonl"), bytes, size);
    (void)manifest_find(&entry, fuzz_directory(), "step-000000001.h5", "/run/step-000000001.h5",
                        "0123456789abcdef0123456789abcdef");
}

static void lock(const uint8_t *bytes, size_t size)
{
    tw_rundir *run = NULL;
    fuzz_write(fuzz_path("run/lock"), bytes, size);
    if (tw_rundir_create(&run, fuzz_path("run")) == TW_OK) (void)tw_rundir_check(run);
    tw_rundir_destroy(&run);
}

static void run(const char *path, const uint8_t *bytes, size_t size)
{
    (void)path;
    if (size == 0) return;
    switch (bytes[0] % 3) {
    case 0:
        prune(bytes + 1, size - 1);
        break;
    case 1:
        look_up(bytes + 1, size - 1);
        break;
    default:
        lock(bytes + 1, size - 1);
        break;
    }
}

static void seeds(void)
{
    fuzz_seed_text("hold", "01\n# kept for the paper\nstep-000000002.h5 # and this\n 3 \n");
    fuzz_seed_text("hold-path", "0checkpoints/step-000000001.h5\r\n");
    fuzz_seed_text("manifest",
                   "1{\"file\": \"step-000000001.h5\", \"source\": \"/run/step-000000001.h5\", "
                   "\"bytes\": 5, \"xxh3_128\": \"0123456789abcdef0123456789abcdef\", "
                   "\"host\": \"a\", \"time\": 1}\n");
    fuzz_seed_text("lock", "2host a, process 17, job 5, since 2026-01-01 00:00:00\n");
}

const fuzz_target fuzz_here = {.file = "input", .seeds = seeds, .start = start, .run = run};
