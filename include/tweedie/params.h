/* The parameters of a network: one flat f32 buffer with named views, and one of the same layout for
 * their gradients.
 *
 * An optimiser's arrays and EMA are as long as what is trained, and owned by others. A view's
 * storage layout is tw_layout's; files hold the plain one. Padding between views is zero and stays
 * so. Nothing here is collective: every rank holds the same store. */
#ifndef TWEEDIE_PARAMS_H
#define TWEEDIE_PARAMS_H

#include "tweedie/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TW_PARAM_ALIGNMENT = 16 }; /* floats: a view begins on a cache line */

typedef struct tw_param_view {
    char name[TW_NAME_MAX];
    tw_shape shape; /* plain: [out, in, kernel…] */
    tw_layout layout;
    tw_init init;
    int64_t offset, count; /* in floats; offset is a multiple of TW_PARAM_ALIGNMENT */
    tw_role role;          /* TW_ROLE_PARAM, TW_ROLE_CONSTANT or TW_ROLE_STATE */
    bool trainable;        /* the first of these */
} tw_param_view;

typedef struct tw_params {
    int view_count;
    tw_param_view *views; /* in order of declaration, of all roles */
    int64_t size;         /* floats in `value`, padding included */
    int64_t trainable; /* floats in front that are trained: the length of the arrays of an optimiser
                          and of EMA */
    int64_t summed;    /* floats in front that a step sums over its batch: behind the gradients the
                          statistics of the running ones (state); the frozen ones are the rest */
    float *value;      /* [size], owned, or borrowed from the moment of tw_params_use_value */
    bool owns_value;
    float *gradient; /* [summed], borrowed or owned, NULL until asked for */
    bool owns_gradient;
} tw_params;

/* Collects the parameters of all roles that a graph declares. */
tw_status tw_params_create(tw_params **out, const tw_graph *g);
/* Adds those of another graph that the store has not, behind its own, so that its own views keep
 * their numbers; values are zeros until they are initialised again. Before a plan is made or a
 * buffer is used. */
tw_status tw_params_extend(tw_params *p, const tw_graph *g);
void tw_params_destroy(tw_params **params);

/* Fills the values as their tw_init says, from `seed`. */
tw_status tw_params_initialise(tw_params *p, uint64_t seed);

/* Gives the store a gradient buffer: the caller's, of p->summed floats, 64-byte aligned, which
 * must outlive the store (a reducer's shared memory); or with NULL one of its own. */
tw_status tw_params_use_gradient(tw_params *p, float *buffer);

/* Moves the values to the caller's buffer of p->size floats, 64-byte aligned, which must outlive
 * the store and holds them already (memory that the ranks of a node share). Before a plan is made.
 */
void tw_params_use_value(tw_params *p, float *buffer);

/* The view of a name, or NULL. */
const tw_param_view *tw_params_find(const tw_params *p, const char *name);

/* Number of trainable scalars, padding not counted (what papers print). */
int64_t tw_params_count(const tw_params *p);

/* Copies view i of a flat array (values, an optimiser's array, EMA) from its storage layout to the
 * plain one, and back. */
void tw_params_to_plain(const tw_param_view *view, const float *flat, float *plain);
void tw_params_from_plain(const tw_param_view *view, const float *plain, float *flat);

#ifdef __cplusplus
}
#endif

#endif
