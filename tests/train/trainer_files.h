/* A dataset and a configuration in a folder of their own, which rank zero makes and removes: for
 * tests that open a trainer. All but the text is collective. */
#ifndef TWEEDIE_TEST_TRAINER_FILES_H
#define TWEEDIE_TEST_TRAINER_FILES_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tweedie/comm.h"
#include "tweedie/data.h"
#include "tweedie/log.h"

typedef struct trainer_files {
    char directory[256], data[512], config[512];
} trainer_files;

static inline void trainer_files_name(trainer_files *f)
{
    snprintf(f->data, sizeof f->data, "%s/points.h5", f->directory);
    snprintf(f->config, sizeof f->config, "%s/points.ini", f->directory);
}

/* @param format  of the built-in points: 200 of them, in points.h5 beside points.ini */
static inline tw_status trainer_files_write(trainer_files *f, const char *format, const char *text)
{
    tw_status st = TW_OK;
    const char *base = getenv("TMPDIR");
    const tw_import_options import = {.format = format, .path = f->data, .count = 200, .seed = 4};
    snprintf(f->directory, sizeof f->directory, "%s/tweedie-test-XXXXXX", base ? base : "/tmp");
    TW_CHECK(mkdtemp(f->directory), TW_EIO, "%s: cannot be made", f->directory);
    trainer_files_name(f);
    TW_TRY(tw_dataset_import(&import, NULL));
    FILE *file = fopen(f->config, "w");
    TW_CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0, TW_EIO, "%s: cannot be written",
             f->config);
done:
    return st;
}

/* For a group's set-up: 0 or −1. */
static inline int trainer_files_make(trainer_files *f, const tw_comm *comm, const char *format,
                                     const char *text)
{
    tw_log_quiet(true);
    const tw_status st = tw_comm_rank(comm) == 0 ? trainer_files_write(f, format, text) : TW_OK;
    if (tw_comm_agree(comm, st) != TW_OK ||
        tw_comm_broadcast(comm, f->directory, sizeof f->directory, 0) != TW_OK) {
        fprintf(stderr, "%s\n", tw_error_message());
        return -1;
    }
    trainer_files_name(f);
    return 0;
}

static inline int trainer_files_remove_one(const char *path, const struct stat *info, int type,
                                           struct FTW *where)
{
    (void)info, (void)type, (void)where;
    return remove(path);
}

static inline int trainer_files_remove(trainer_files *f, const tw_comm *comm)
{
    tw_log_close();
    if (tw_comm_barrier(comm) != TW_OK) return -1;
    if (tw_comm_rank(comm) > 0) return 0;
    return nftw(f->directory, trainer_files_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
