/* A system whose checkpoints are read: one file src/weights/system_NAME.c that defines `const
 * tw_system tw_system_NAME` and is found by the build. It says where the weights are in a file's
 * tree, which network they are of, and which of its tensors are none. */
#ifndef WEIGHTS_SYSTEM_H
#define WEIGHTS_SYSTEM_H

#include "tweedie/net.h"
#include "tweedie/text.h"
#include "weights/container.h"

/* What is imported: one file, or a folder with configurations beside it. */
typedef struct tw_source {
    const char *path;    /* as the user said */
    char file[4096];     /* the weights themselves */
    tw_archive *archive; /* opened */
    tw_arena arena;      /* of the configurations */
    char *text[2];       /* what they are read from */
    tw_item *config;     /* diffusers: unet/config.json; else NULL */
    tw_item *scheduler;  /* diffusers: scheduler/scheduler_config.json; may be NULL */
} tw_source;

/* Tensors by their published names. */
typedef struct tw_named_tensor {
    char name[TW_NAME_MAX];
    const tw_tensor *tensor;
    bool used;
} tw_named_tensor;

typedef struct tw_state_dict {
    tw_named_tensor *items;
    int64_t count, capacity;
} tw_state_dict;

/* @return TW_EDATA for a name that is too long or there already */
tw_status tw_state_dict_add(tw_state_dict *d, const char *name, const tw_tensor *tensor);
/* Every tensor of a dictionary whose key begins with `prefix`, without it; other entries are
 * skipped. */
tw_status tw_state_dict_add_all(tw_state_dict *d, const tw_item *dict, const char *prefix);
tw_named_tensor *tw_state_dict_find(const tw_state_dict *d, const char *name);
/* The size of dimension k of a tensor, or -1 where there is none. */
int64_t tw_state_dict_size(const tw_state_dict *d, const char *name, int k);
/* printf's name. */
__attribute__((format(printf, 2, 3))) tw_named_tensor *tw_state_dict_findf(const tw_state_dict *d,
                                                                           const char *format, ...);
void tw_state_dict_free(tw_state_dict *d);

/* What a system has found; zero-initialised but for what it is asked. */
typedef struct tw_found {
    bool configured; /* asked: the user gives the configuration, only tensors are wanted */
    int64_t height;  /* asked: of the samples, where the user says it; 0: guess */
    tw_state_dict state;
    const tw_item *ordered; /* values without names for the trained parameters, in the published
                               order; NULL: all are in `state` */
    bool has_ema;           /* EMA weights that were not asked for */
    const tw_item *flax;    /* a tree of modules that `arrange` takes the state from, or NULL */
    tw_text weights;        /* "raw", "ema:0.9999", "ema:unknown" */
    int64_t step;           /* of its training; 0: not said */
    tw_text config;         /* INI; data.shape in it says what samples are */
    tw_text assumed;        /* what nothing says and is taken as published, for people; with the
                               keys that say other */
    tw_text network;        /* one line for people */
} tw_found;

typedef struct tw_system {
    const char *name, *summary;

    /* By the tree of a file. The surest claim takes it. */
    tw_claim (*claims)(const tw_source *s);

    /* @param ema  the EMA weights are asked for, where a file has both
     * @return TW_EDATA where the file is none of its own, or has no EMA */
    tw_status (*read)(tw_found *out, const tw_source *s, bool ema);

    /* Completes found->state when the network is known: for files whose names follow another order
     * than ours. NULL: nothing to do. */
    tw_status (*arrange)(tw_found *found, const tw_source *s, const tw_reference_names *names);

    /* Tensors that are no parameters of ours: buffers, tables that follow from the configuration.
     * NULL: there are none. */
    bool (*ignores)(const char *name);
} tw_system;

extern const tw_system *const tw_system_table[];
extern const int tw_system_count;

#endif
