/* The stack machine's parts: bytes to come, stack and memo. What the opcodes do is in pickle.c. */
#ifndef WEIGHTS_PICKLE_MACHINE_H
#define WEIGHTS_PICKLE_MACHINE_H

#include "weights/pickle.h"

typedef struct tw_pile {
    tw_item **items;
    int64_t count, room;
} tw_pile;

struct tw_pickle {
    tw_archive *a;
    const tw_pickle_host *host;
    const uint8_t *bytes;
    int64_t size, at; /* `at` is behind what was read */
    tw_pile stack, memo;
    int64_t memoized;
    bool stopped;
};

/* What MARK pushes; no item of a file. */
extern tw_item tw_pickle_mark;

/* ---- bytes ---- */

tw_status tw_pickle_take(tw_pickle *p, const uint8_t **out, uint64_t n);
/* Little-endian. */
tw_status tw_pickle_take_number(tw_pickle *p, uint64_t *out, int bytes);
/* A line of text without its newline. */
tw_status tw_pickle_take_line(tw_pickle *p, const char **out, int64_t *length);

/* ---- stack ---- */

tw_status tw_pickle_push(tw_pickle *p, tw_item *item);
tw_status tw_pickle_pop(tw_pickle *p, tw_item **out);
/* The value on top stays there. */
tw_status tw_pickle_top(tw_pickle *p, tw_item **out);
/* The items above the newest mark, which go with it; they stay readable until the next push. */
tw_status tw_pickle_pop_mark(tw_pickle *p, tw_item ***items, int64_t *count);

/* ---- memo ---- */

/* Remembers the value on top. */
tw_status tw_pickle_put(tw_pickle *p, uint64_t index);
/* Pushes what was remembered. */
tw_status tw_pickle_get(tw_pickle *p, uint64_t index);

#endif
