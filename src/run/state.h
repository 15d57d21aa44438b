/* Between the flat arrays of training and the named arrays of a file: parameters, EMA and
 * the arrays of the optimiser.
 *
 * In memory everything is flat, in the parameter store's layout; a file holds plain arrays under
 * the names of the views. A tw_state owns plain buffers for all of them, so that what is written is
 * a snapshot and training can go on:
 *
 *     const tw_state_group groups[] = {
 *         {"params", params->value}, {"ema/0.9999", ema}, {"adam/m", m}, {"adam/v", v}};
 *     TW_TRY(tw_state_create(&state, params, groups, 4));
 *     tw_state_snapshot(state); // flat → plain
 *     TW_TRY(tw_checkpoint_writer_create(&writer, run, state->arrays, state->count, &meta));
 *     …
 *     TW_TRY(tw_checkpoint_read(file, state->arrays, state->count));
 *     tw_state_restore(state); // plain → flat
 *
 * "params" and EMA hold every view, so that each of them is a network that can be run; what is
 * not trained, which EMA do not have in memory, is the parameters' own. The optimiser's arrays hold
 * what is trained. Nothing here is collective. */
#ifndef RUN_STATE_H
#define RUN_STATE_H

#include "tweedie/checkpoint.h"
#include "tweedie/data.h"
#include "tweedie/params.h"

typedef struct tw_state_group {
    const char *name; /* "params", "ema/RATE", or an optimiser's array: "adam/m" */
    float *flat; /* borrowed: params->size floats for "params" (its values), params->trainable for
                    the others */
} tw_state_group;

typedef struct tw_state {
    int64_t count;
    tw_checkpoint_array *arrays; /* all groups one after the other, views in order; data point into
                                    the plain buffers */
    size_t bytes;                /* of the plain buffers */

    const tw_params *params; /* private from here on */
    tw_state_group *groups;
    char (*names)[64]; /* of the groups */
    int group_count;
    const tw_param_view **views; /* [count] */
    float **flats;               /* [count], the group's */
    int64_t (*dims)[TW_RANK_MAX];
    float *plain;
    double *numbers; /* of tw_state_add_numbers: the last array */
    float *numbers_plain;
    int64_t number_count;
} tw_state;

/* @param params  borrowed, with every `flat` */
tw_status tw_state_create(tw_state **out, const tw_params *params, const tw_state_group *groups,
                          int group_count);
void tw_state_destroy(tw_state **state); /* accepts NULL inside */

/* Adds one array GROUP/NAME of `count` numbers that are exact in f32, once, before the first
 * snapshot. @param values  borrowed; group and name too */
tw_status tw_state_add_numbers(tw_state *s, const char *group, const char *name, double *values,
                               int64_t count);

/* Copies the flat arrays into the plain ones. Allocates nothing. */
void tw_state_snapshot(tw_state *state);

/* The way back. Constants come from "params" alone; with "ema/RATE" alone in the state, from it. */
void tw_state_restore(tw_state *state);

/* Weights that were loaded, all of them, into the parameters, of which those that the objective has
 * of its own stay as they are. @return as tw_weights_copy */
tw_status tw_state_load_weights(tw_params *params, const tw_weights *weights);

/* The text "ema/RATE" for a rate, as in files and options: the shortest decimal that reads back the
 * same. */
tw_status tw_state_ema_name(char *out, size_t size, double rate);

/* What samples are, with the conditions that the spec has, into the meta of a checkpoint and out of
 * it. The arrays of offsets and scales are lent, not copied. */
tw_status tw_state_describe_samples(tw_checkpoint_meta *meta, const tw_dataset_spec *spec);
tw_status tw_state_sample_spec(tw_dataset_spec *out, const tw_checkpoint_meta *meta);

/* What the network is given beside each of such samples, out of the meta of a conditional model:
 * its channels are 0 where there is nothing. */
tw_status tw_state_condition_spec(tw_dataset_spec *out, const tw_checkpoint_meta *meta,
                                  const tw_dataset_spec *samples);

/* The shape of one sample as a network sees it: [H, W, C], of points [D]. */
tw_shape tw_state_sample_shape(const tw_dataset_spec *spec);

#endif
