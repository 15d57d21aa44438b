/* Configurations: read, bound to every table, checked; one that is accepted is frozen, and the
 * frozen text reads back as the same. Behind a separator: assignments of the command line. */
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "tweedie/memory.h"
#include "tweedie/setup.h"

enum { ASSIGNMENTS = 8 };

/* Lines, in place. */
static int split_lines(char *text, char **lines)
{
    int count = 0;
    for (char *line = strtok(text, "\n"); line && count < ASSIGNMENTS; line = strtok(NULL, "\n"))
        lines[count++] = line;
    return count;
}

static char *freeze(const char *path, int count, char *const *assignments)
{
    tw_setup setup;
    char *text = NULL;
    if (tw_setup_read(&setup, path, count, assignments) == TW_OK)
        FUZZ_OK(tw_config_text(setup.config, &text));
    tw_setup_close(&setup);
    return text;
}

static void run(const char *path, const uint8_t *bytes, size_t size)
{
    char words[1024], *lines[ASSIGNMENTS];
    const uint8_t *part;
    size_t n;
    fuzz_part(bytes, size, 0, &part, &n);
    fuzz_write(path, part, n);
    fuzz_part(bytes, size, 1, &part, &n);
    if (n >= sizeof words) n = sizeof words - 1;
    memcpy(words, part, n);
    words[n] = '\0';
    char *frozen = freeze(path, split_lines(words, lines), lines);
    if (!frozen) return;
    const char *again = fuzz_path("frozen.ini");
    fuzz_write(again, frozen, strlen(frozen));
    char *twice = freeze(again, 0, NULL);
    FUZZ_CLAIM(twice && strcmp(frozen, twice) == 0);
    tw_free(&frozen);
    tw_free(&twice);
}

static void seeds(void)
{
    static const char *const names[] = {"circles-ddpm", "cifar10-ddpm", "mnist-quick",
                                        "circles-onestep"};
    char path[512];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/jobs/config/%s.ini", TWEEDIE_SOURCE_DIR, names[i]);
        fuzz_seed_copy(names[i], path);
    }
    fuzz_seed_text("small", "[run]\nseed = 1\n[network]\nkind = mlp\n" FUZZ_SEPARATOR
                            "train.steps=5\ndata.path=x.h5\n");
}

const fuzz_target fuzz_here = {.file = "a.ini", .seeds = seeds, .run = run};
