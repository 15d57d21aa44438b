/* What the targets of weights share: a file is opened, every tensor read, and every system asked
 * what it finds. */
#ifndef TWEEDIE_TESTS_FUZZ_ARCHIVE_RUN_H
#define TWEEDIE_TESTS_FUZZ_ARCHIVE_RUN_H

#include <string.h>

#include "harness.h"
#include "tweedie/memory.h"
#include "weights/system.h"

enum { ARCHIVE_VISITS = 4096, ARCHIVE_DEPTH = 12 };

static inline void archive_visit(const tw_item *item, int depth, int *visits)
{
    float *values = NULL;
    double number;
    if (!item || depth > ARCHIVE_DEPTH || ++*visits > ARCHIVE_VISITS) return;
    (void)tw_item_number(item, &number);
    if (item->type == TW_ITEM_OBJECT) archive_visit(item->as.object.state, depth + 1, visits);
    if (item->type == TW_ITEM_TENSOR) {
        const tw_tensor *t = item->as.tensor;
        FUZZ_OK(tw_alloc(&values, t->count + 1, sizeof *values, "values"));
        fuzz_judge(tw_tensor_read(t, values));
        tw_free(&values);
    }
    if (item->type != TW_ITEM_LIST && item->type != TW_ITEM_DICT) return;
    for (const tw_link *l = item->as.list.first; l; l = l->next) {
        archive_visit(l->key, depth + 1, visits);
        archive_visit(l->value, depth + 1, visits);
    }
}

static inline void archive_run(const char *path, const uint8_t *bytes, size_t size)
{
    tw_source source = {.path = path};
    int visits = 0;
    (void)bytes, (void)size;
    const tw_status st = tw_archive_open(&source.archive, path);
    if (st == TW_ENOINPUT) return; /* an index names a file that is not there */
    fuzz_judge(st);
    if (st != TW_OK) return;
    archive_visit(source.archive->root, 0, &visits);
    snprintf(source.file, sizeof source.file, "%s", path);
    for (int i = 0; i < tw_system_count; i++)
        for (int ema = 0; ema < 2; ema++) {
            tw_found found = {.height = 0};
            (void)tw_system_table[i]->claims(&source);
            fuzz_judge(tw_system_table[i]->read(&found, &source, ema != 0));
            tw_state_dict_free(&found.state);
            tw_text_free(&found.config);
            tw_text_free(&found.network);
            tw_text_free(&found.weights);
            tw_text_free(&found.assumed);
        }
    tw_archive_close(&source.archive);
}

/* Files beside the tests. */
static inline void archive_seed(const char *folder, const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/tests/weights/%s/%s", TWEEDIE_SOURCE_DIR, folder, name);
    fuzz_seed_copy(name, path);
}

#endif
