/* A form that weights are written in: one file src/weights/export_NAME.c that defines `const
 * tw_exporter tw_export_NAME` and is found by the build. */
#ifndef WEIGHTS_EXPORTER_H
#define WEIGHTS_EXPORTER_H

#include <stdio.h>

#include "tweedie/checkpoint.h"
#include "tweedie/json.h"
#include "tweedie/output.h"
#include "tweedie/restore.h"

typedef struct tw_exporting {
    const tw_restored *r;
    const char *folder; /* is there */
    bool replace;
    tw_text *files; /* the paths written, a line each */
} tw_exporting;

typedef struct tw_exporter {
    const char *name, *summary;
    bool conditional; /* conditional models too: what reads it gives the network conditions */
    /* @return TW_ECONFIG for a network that the form cannot hold */
    tw_status (*write)(tw_exporting *e);
} tw_exporter;

extern const tw_exporter *const tw_export_table[];
extern const int tw_export_count;

/* ---- what they share ---- */

/* A model's parameters by their published names; tw_named_arrays_free. */
typedef struct tw_named_arrays {
    tw_checkpoint_array *arrays; /* groups are "" */
    bool *trained;               /* [count] */
    int64_t count;
    tw_reference_names names; /* that the arrays' names and dims are borrowed from */
    int64_t (*dims)[TW_RANK_MAX];
    float *storage;
} tw_named_arrays;
tw_status tw_named_arrays_create(tw_named_arrays *out, const tw_model *m);
void tw_named_arrays_free(tw_named_arrays *a);

/* A file FOLDER/NAME, whole or not at all: begun, written to, and ended with the status so far,
 * which publishes it where all went well. @param path  TW_PATH_MAX bytes */
tw_status tw_export_begin(tw_output *out, FILE **file, char *path, const tw_exporting *e,
                          const char *name);
tw_status tw_export_end(tw_output *out, FILE **file, const char *path, tw_exporting *e,
                        tw_status st);
/* One file of text. */
tw_status tw_export_text(tw_exporting *e, const char *name, const tw_text *text);
/* Ends and releases an object that was begun, and writes it as a file. */
tw_status tw_export_json(tw_exporting *e, const char *name, tw_json *j);
/* Arrays as safetensors, in the order of their names. @param format  what the
 * metadata says of it */
tw_status tw_export_arrays(tw_exporting *e, const char *name, const tw_checkpoint_array *arrays,
                           int64_t count, const char *format);

/* The value of a key in what tw_choice_describe says, "kind key=value key=value". */
const char *tw_described(const tw_text *description, const char *key, char value[256]);
/* The same as a value of a type. */
tw_status tw_described_value(void *out, const tw_text *description, const char *key,
                             tw_config_type type, const char *choices);

#endif
