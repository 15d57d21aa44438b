/* A file read from its beginning to its end, unpacked on the way if it is gzip. */
#ifndef TWEEDIE_DATA_INPUT_H
#define TWEEDIE_DATA_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tweedie/status.h"

typedef struct tw_input tw_input;

/* @return TW_ENOINPUT if the file is missing or unreadable; TW_EDATA if it is a tar archive */
tw_status tw_input_open(tw_input **out, const char *path);
void tw_input_close(tw_input **input);

/* Reads exactly `size` bytes of what `what` names ("image 17"). @return TW_EDATA if the file ends
 * before, or the gzip data are damaged */
tw_status tw_input_read(tw_input *input, void *out, size_t size, const char *what);

/* Whether nothing is left. @return TW_EDATA if the gzip data are damaged */
tw_status tw_input_at_end(tw_input *input, bool *out);

/* A line without its end (LF, CR LF or CR), of at most `size` − 1 bytes; false in *more at the end
 * of the file. A byte order mark of UTF-8 is left out.
 * @return TW_EDATA, naming the line, for a longer line and for what is no text: a NUL byte, UTF-16
 */
tw_status tw_input_line(tw_input *input, char *out, size_t size, bool *more);

/* The most bytes that can still come: of a plain file what is left of it, else what gzip could make
 * of it. */
int64_t tw_input_bound(const tw_input *input);

/* What the file is by its first bytes where that is well known and no format of ours, in words ("a
 * Python pickle"); NULL: unknown. */
const char *tw_input_kind(const tw_input *input);

/* Whether the file is gzip, so that tw_input_bound is far from exact. */
bool tw_input_is_packed(const tw_input *input);

#endif
