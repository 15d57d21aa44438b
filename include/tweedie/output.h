/* Files that a command makes. One mechanism for all of them: judged before anything is computed,
 * written under a temporary name beside the final one, and published without a moment in which
 * somebody else's file could be lost.
 *
 *     TW_TRY(tw_output_check(path, mode, inputs, count));      … before the work …
 *     TW_TRY(tw_output_begin(&out, path, mode));
 *     … write and close out.part …
 *     TW_TRY(tw_output_publish(&out));
 *     done: tw_output_discard(&out);
 *
 * What exists is refused with TW_EUSAGE unless the mode says otherwise; what is no regular file is
 * refused always, and so is an input of the same command. Nothing here is collective. */
#ifndef TWEEDIE_OUTPUT_H
#define TWEEDIE_OUTPUT_H

#include "tweedie/file.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tw_output_mode {
    TW_OUTPUT_NEW,  /* named by a user: a link leads where it points, what exists stays */
    TW_OUTPUT_SAME, /* the same, but a file of the very bytes may be there: what a command that is
                       repeated makes again */
    TW_OUTPUT_REPLACE, /* named by a user who allowed it (--force): what exists is replaced */
    TW_OUTPUT_OWN      /* named by the program: takes its name, whatever has it; no link is
                          followed */
} tw_output_mode;

/* A file being made. All zero: none. */
typedef struct tw_output {
    tw_output_mode mode;
    char path[TW_PATH_MAX]; /* the final name, links followed */
    char part[TW_PATH_MAX]; /* the name until then; "" when there is nothing to discard */
} tw_output;

/* Judges an output before the work: its directory is there and can be written, what has its name
 * may be replaced and is none of the inputs. Removes what killed commands left under its temporary
 * names.
 * @param inputs  files and folders that the command reads, NULL among them is none. An existing
 * output is compared by device and inode; it may also not lie in a folder among them, but of a run
 * (a folder with "checkpoints") only its own files and its checkpoints count
 * @return TW_EUSAGE where it exists, is an input or no regular file; TW_EIO where it cannot be
 * made */
tw_status tw_output_check(const char *path, tw_output_mode mode, const char *const *inputs,
                          int count);

/* The same for a folder, which is made where it is missing; its parent is not. */
tw_status tw_output_check_folder(const char *path);

/* Names the parts of `out`; `part` is to be created with O_EXCL. @return as tw_output_check */
tw_status tw_output_begin(tw_output *out, const char *path, tw_output_mode mode);

/* Flushes the closed file `part` and gives it its name. A TW_OUTPUT_NEW that has come into being
 * meanwhile stays; where it holds the same bytes, all is well.
 * @return TW_EUSAGE where it exists; TW_EIO */
tw_status tw_output_publish(tw_output *out);

/* All of it for bytes that are in memory. @return as the three */
tw_status tw_output_write(const char *path, tw_output_mode mode, const void *bytes, int64_t size);

/* Removes what was not published. */
void tw_output_discard(tw_output *out);

#ifdef __cplusplus
}
#endif

#endif
