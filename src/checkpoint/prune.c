/* Which checkpoints of a run may go. They are read in pieces, since the thread that does it also
 * reads batches; and nothing goes before every line of the file that protects some is understood.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint/checkpoint_format.h"
#include "checkpoint/container.h"
#include "tweedie/checkpoint.h"
#include "tweedie/file.h"
#include "tweedie/memory.h"
#include "tweedie/rundir.h"
#include "tweedie/text.h"

struct tw_checkpoint_pruner {
    char run[TW_CHECKPOINT_PATH], path[TW_CHECKPOINT_PATH];
    int64_t keep, every;
    bool dry_run;
    int64_t *steps, count, next; /* newest first */
    int64_t *held, held_count;
    int64_t *gone, gone_count;
    int verified;        /* of the newest */
    container_pass pass; /* over the file of step `next` */
};

/* ---- the hold file ---- */

/* The step of one line, without what surrounds it: a number, or a file name, perhaps with a path.
 */
static bool step_of_line(const char *line, size_t length, int64_t *step)
{
    char word[TW_CHECKPOINT_PATH];
    if (length >= sizeof word) return false;
    memcpy(word, line, length);
    word[length] = '\0';
    const char *slash = strrchr(word, '/');
    if (step_of_name(slash ? slash + 1 : word, step)) return true;
    return !slash && isdigit((unsigned char)word[0]) && tw_text_to_int64(word, step);
}

static tw_status parse_hold(tw_checkpoint_pruner *p, const char *text, const char *path)
{
    tw_status st = TW_OK;
    int64_t lines = 1, line = 0;
    for (const char *c = text; *c; c++) lines += *c == '\n';
    TW_TRY(tw_alloc(&p->held, lines, sizeof *p->held, "the steps to hold"));
    while (*text) {
        const size_t whole = strcspn(text, "\n");
        size_t begin = strspn(text, " \t\r"), end = strcspn(text, "#\n");
        line++;
        while (end > begin && strchr(" \t\r", text[end - 1])) end--;
        if (end > begin) {
            TW_CHECK(
                step_of_line(text + begin, end - begin, &p->held[p->held_count]), TW_EDATA,
                "%s, line %lld: '%.*s' is neither a step nor the name of a checkpoint; nothing "
                "is removed",
                path, (long long)line, (int)(end - begin < 80 ? end - begin : 80), text + begin);
            p->held_count++;
        }
        text += whole + (text[whole] == '\n');
    }
done:
    return st;
}

static tw_status read_hold(tw_checkpoint_pruner *p)
{
    tw_status st = TW_OK;
    char path[TW_CHECKPOINT_PATH], *text = NULL;
    TW_TRY(tw_format(path, sizeof path, "%s/checkpoints/hold", p->run));
    errno = 0;
    if (!tw_file_exists(path) && errno == ENOENT) goto done;
    TW_TRY(tw_rundir_read_text(&text, path)); /* one that cannot be read holds everything */
    TW_TRY(parse_hold(p, text, path));
done:
    tw_free(&text);
    return st;
}

static bool is_held(const tw_checkpoint_pruner *p, int64_t step)
{
    for (int64_t i = 0; i < p->held_count; i++)
        if (p->held[i] == step) return true;
    return false;
}

/* ---- one checkpoint after the other ---- */

tw_status tw_checkpoint_pruner_create(tw_checkpoint_pruner **out, const char *run, int64_t keep,
                                      int64_t every, bool dry_run)
{
    tw_status st = TW_OK;
    tw_checkpoint_pruner *p = NULL;
    TW_TRY(tw_alloc(&p, 1, sizeof *p, "the pruning of checkpoints"));
    p->pass.file = -1;
    p->keep = keep;
    p->every = every;
    p->dry_run = dry_run;
    TW_TRY(tw_format(p->run, sizeof p->run, "%s", run));
    TW_TRY(tw_checkpoint_list(run, &p->steps, &p->count));
    TW_TRY(read_hold(p));
    TW_TRY(tw_alloc(&p->gone, p->count, sizeof *p->gone, "a list of checkpoints"));
    *out = p;
    p = NULL;
done:
    tw_checkpoint_pruner_destroy(&p);
    return st;
}

void tw_checkpoint_pruner_destroy(tw_checkpoint_pruner **pruner)
{
    tw_checkpoint_pruner *p = *pruner;
    if (!p) return;
    container_pass_close(&p->pass);
    tw_free(&p->steps);
    tw_free(&p->held);
    tw_free(&p->gone);
    tw_free(pruner);
}

/* Hashes one piece of the file. @param[out] over  whether that was the last */
static tw_status verify_piece(tw_checkpoint_pruner *p, bool *over)
{
    tw_status st = TW_OK;
    if (p->pass.file < 0) TW_TRY(container_pass_open(&p->pass, p->path));
    TW_TRY(container_pass_step(&p->pass, p->path, PIECE, over));
    if (*over) TW_TRY(container_pass_judge(&p->pass, p->path, NULL));
done:
    if (st != TW_OK || *over) container_pass_close(&p->pass);
    return st;
}

static tw_status remove_one(tw_checkpoint_pruner *p, int64_t step)
{
    tw_status st = TW_OK;
    /* ENOENT: another pruner was faster */
    if (!p->dry_run)
        TW_CHECK(unlink(p->path) == 0 || errno == ENOENT, TW_EIO, "%s: cannot be removed: %s",
                 p->path, strerror(errno));
    p->gone[p->gone_count++] = step;
done:
    return st;
}

tw_status tw_checkpoint_pruner_step(tw_checkpoint_pruner *p, bool *finished)
{
    tw_status st = TW_OK;
    *finished = p->next == p->count;
    if (*finished) return TW_OK;
    const int64_t step = p->steps[p->next];
    bool protect = p->next < p->keep || (p->every > 0 && step % p->every == 0) || is_held(p, step);
    TW_TRY(tw_checkpoint_name(p->path, sizeof p->path, p->run, step));
    /* from the newest down, so the first two that verify are the newest two; where nothing could
     * go, nothing is read */
    if (p->verified < 2 && p->count > p->keep) {
        bool over = false;
        const tw_status readable = verify_piece(p, &over);
        if (readable == TW_OK && !over) return TW_OK;
        if (readable == TW_OK) p->verified++;
        if (readable != TW_EDATA) protect = true; /* what cannot be read now may be good */
    }
    if (!protect) TW_TRY(remove_one(p, step));
    p->next++;
    *finished = p->next == p->count;
done:
    return st;
}

tw_status tw_checkpoint_prune(const char *run, int64_t keep, int64_t every, bool dry_run,
                              int64_t **removed, int64_t *removed_count)
{
    tw_status st = TW_OK;
    tw_checkpoint_pruner *p = NULL;
    bool finished = false;
    TW_TRY(tw_checkpoint_pruner_create(&p, run, keep, every, dry_run));
    while (!finished) TW_TRY(tw_checkpoint_pruner_step(p, &finished));
    if (removed_count) *removed_count = p->gone_count;
    if (removed) {
        *removed = p->gone;
        p->gone = NULL;
    }
done:
    tw_checkpoint_pruner_destroy(&p);
    return st;
}
