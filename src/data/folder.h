/* Folders of users: their entries in the order of their names, without what systems put there; and
 * what was left out of an import, by reason. */
#ifndef TWEEDIE_DATA_FOLDER_H
#define TWEEDIE_DATA_FOLDER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tweedie/status.h"

/* ---- what is left out ---- */

enum { TALLY_REASONS = 64, TALLY_EXAMPLES = 10, TALLY_WORDS = 80 };

/* Things counted by reason, with the first few of each by name. Zero is empty. */
typedef struct tw_tally {
    struct {
        char reason[TALLY_WORDS];
        int64_t count;
        char *examples[TALLY_EXAMPLES];
    } rows[TALLY_REASONS];
    int count;
    bool closed; /* nothing is counted any more: the same folders are gone through again */
} tw_tally;

__attribute__((format(printf, 3, 4))) tw_status tw_tally_add(tw_tally *t, const char *example,
                                                             const char *reason, ...);

/* A line for each reason: "PREFIX REASON: COUNT (EXAMPLE, EXAMPLE, …)". */
void tw_tally_log(const tw_tally *t, const char *prefix);
void tw_tally_free(tw_tally *t);

/* ---- folders ---- */

typedef struct tw_folder_entry {
    char *name;
    bool is_folder; /* or a link to one */
} tw_folder_entry;

typedef struct tw_folder {
    tw_folder_entry *entries;
    int64_t count;
} tw_folder;

/* Whether it is the name of what systems put beside users' files: "@eaDir", "__MACOSX",
 * "Thumbs.db", and all hidden ones. */
bool tw_folder_is_system(const char *name);

/* Lists a folder in the byte order of names, without system entries, which are counted.
 * @param tally  may be NULL
 * @return TW_ENOINPUT if it cannot be listed */
tw_status tw_folder_open(tw_folder *out, const char *path, tw_tally *tally);
void tw_folder_close(tw_folder *f);

/* PATH/NAME in TW_PATH_MAX bytes. */
tw_status tw_folder_join(char *out, const char *path, const char *name);

bool tw_folder_exists(const char *path);

/* The folders that a walk is inside of: links may lead back. */
typedef struct tw_folder_trail {
    dev_t device;
    ino_t inode;
    int depth;
    const struct tw_folder_trail *up;
} tw_folder_trail;

/* @param up  NULL at the top. @return TW_EDATA where the walk is inside this folder already, or too
 * deep */
tw_status tw_folder_enter(tw_folder_trail *trail, const char *path, const tw_folder_trail *up);

#endif
