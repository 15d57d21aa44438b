/* A container: one file src/weights/container_NAME.c that defines `const tw_container
 * tw_container_NAME` and is found by the build. It says whether a file looks like one of its own,
 * and reads the structure into an archive's tree. */
#ifndef WEIGHTS_CONTAINER_H
#define WEIGHTS_CONTAINER_H

#include "weights/item.h"

typedef enum tw_claim { TW_CLAIM_NO, TW_CLAIM_MAYBE, TW_CLAIM_SURE } tw_claim;

struct tw_container {
    const char *name;    /* "torch zip" */
    const char *summary; /* one line: what writes it */

    /* By the first bytes. The surest claim reads the file. */
    tw_claim (*claims)(const uint8_t *bytes, int64_t size);

    /* Sets a->root. Messages name what is wrong, not the file. @return TW_EDATA */
    tw_status (*read)(tw_archive *a);
};

extern const tw_container *const tw_container_table[];
extern const int tw_container_count;

/* Little-endian numbers at any address. */
uint16_t tw_bytes_u16(const uint8_t *p);
uint32_t tw_bytes_u32(const uint8_t *p);
uint64_t tw_bytes_u64(const uint8_t *p);

/* Strict JSON (RFC 8259) as a tree: no duplicate keys, no invalid UTF-8, at most 64 levels.
 * @return TW_EDATA with the byte */
tw_status tw_json_read(tw_arena *arena, tw_item **out, const char *text, int64_t length);

/* A short printable copy of somebody's bytes, for messages. */
const char *tw_bytes_shown(char out[100], const char *data, int64_t length);

#endif
