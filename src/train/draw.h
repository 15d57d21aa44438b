/* What the files of drawing share. */
#ifndef TWEEDIE_TRAIN_DRAW_H
#define TWEEDIE_TRAIN_DRAW_H

#include "train/draw_parts.h"
#include "tweedie/draw.h"
#include "tweedie/restore.h"
#include "tweedie/sample.h"

typedef struct draw_job {
    const tw_comm *comm; /* or NULL */
    int rank, ranks;
    const tw_draw_options *options;
    draw_parts parts;
    draw_existing existing;
    tw_draw_result result;

    /* what is needed to draw; NULL where there are no weights */
    tw_restored *restored;
    tw_config *config;
    tw_model_score *score;
    tw_sampler *sampler;
    float *x; /* one block, model units */
    void *stored;
    int64_t *missing; /* blocks */
    int64_t missing_count;

    /* what is shown while drawing */
    int64_t blocks_before; /* done before this round, on all ranks */
    int64_t blocks_active; /* of this round */
    double start, last;    /* tw_clock_seconds of the beginning and of the last line */
} draw_job;

tw_status draw_agree(const draw_job *d, tw_status st);

/* draw_blocks.c: what the sampler calls after each step; self is the job. */
tw_status draw_watch(void *self, int64_t step, int64_t steps, int64_t first, int64_t n,
                     const float *x);
/* Draws the missing blocks, each rank one at a time. Collective. */
tw_status draw_blocks(draw_job *d);

/* draw_pictures.c: grid and single images. Collective. */
tw_status draw_pictures(draw_job *d);

#endif
