/* Python's pickles, read and never run.
 *
 * A pickle is a program for a stack machine, which can call any function by its name. This reads
 * the opcodes that weights need (see the table in pickle.c), and of names only those of an
 * allow-list (pickle_names.c), each of which makes an inert value. Everything else is refused by
 * its name. */
#ifndef WEIGHTS_PICKLE_H
#define WEIGHTS_PICKLE_H

#include "weights/item.h"

/* One stream being read. */
typedef struct tw_pickle tw_pickle;

/* Where a pickle's persistent ids lead. */
typedef struct tw_pickle_host {
    void *self;
    /* The storage that an id means. @param[out] out  a TW_ITEM_STORAGE. NULL: there are no ids */
    tw_status (*persistent)(void *self, tw_item **out, const tw_item *id);
} tw_pickle_host;

/* Reads one pickle, from its first byte to STOP.
 * @param[out] length  bytes of it, STOP included; NULL: it must fill all `size`
 * @return TW_EDATA with the offset of what is wrong */
tw_status tw_pickle_read(tw_archive *a, tw_item **out, int64_t *length, const uint8_t *bytes,
                         int64_t size, const tw_pickle_host *host);

/* A name of the allow-list: what it makes of its arguments. */
typedef struct tw_pickle_name {
    const char *module, *name;
    /* A call, REDUCE or NEWOBJ. @param args  a list. NULL: a name alone, as a value */
    tw_status (*call)(tw_archive *a, tw_item **out, const tw_item *args);
} tw_pickle_name;

/* A name as a value. @return TW_EDATA where it is not on the list */
tw_status tw_pickle_name_find(tw_archive *a, tw_item **out, const char *module,
                              int64_t module_length, const char *name, int64_t name_length);
/* What BUILD makes of a value and its state. May replace *value. */
tw_status tw_pickle_build(tw_archive *a, tw_item **value, tw_item *state);

/* ("storage", class, key, location, count[, view]) of torch.
 * @param[out] dtype  NULL: counted in bytes */
tw_status tw_torch_storage_id(const tw_item *id, const tw_dtype **dtype, const tw_item **key,
                              int64_t *count, const tw_item **view);
/* A complete legacy stream whose object is one storage. */
tw_status tw_torch_legacy_storage(tw_archive *a, tw_item **out, const uint8_t *bytes, int64_t size);

#endif
