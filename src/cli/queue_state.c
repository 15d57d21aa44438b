#include "cli/queue_state.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "tweedie/memory.h"

/* Asks for one job, whose number is digits alone. */
static bool ask(char *out, size_t size, const char *id)
{
    char command[160], state[96] = "";
    if (tw_format(command, sizeof command,
                  "timeout 10 squeue --noheader --jobs=%s --format='%%T (%%r)' 2>/dev/null",
                  id) != TW_OK)
        return false;
    FILE *answer = popen(command, "re");
    if (!answer) return false;
    const bool got = fgets(state, sizeof state, answer) != NULL;
    (void)pclose(answer);
    state[strcspn(state, "\n")] = '\0';
    if (!got || !state[0]) return false;
    char *none = strstr(state, " (None)");
    if (none) *none = '\0';
    return tw_format(out, size, "job %s %s", id, state) == TW_OK;
}

void queue_state(char *out, size_t size, const char *run)
{
    char path[4096], line[64];
    out[0] = '\0';
    if (tw_format(path, sizeof path, "%s/.train-jobs", run) != TW_OK) return;
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        const size_t digits = strspn(line, "0123456789");
        line[digits] = '\0';
        if (digits && digits < 16 && ask(out, size, line)) break;
    }
    if (file) fclose(file);
}
