/* The inside of a plan, for its makers, its runner and its printer. */
#ifndef TW_GRAPH_PLAN_INTERNAL_H
#define TW_GRAPH_PLAN_INTERNAL_H

#include "graph/memory_plan.h"
#include "graph/program.h"
#include "tweedie/plan.h"

/* A stretch of the gradient buffer that one task makes final. */
typedef struct tw_gradient_sink {
    int64_t offset, count;
    const float *from; /* arena memory that is copied or added; NULL where the task writes to the
                          gradient buffer itself */
} tw_gradient_sink;

typedef struct tw_step {
    tw_task task;
    int first_sink, sink_count; /* in plan->sinks */
    int first_dead, dead_count; /* in plan->dead: buffers whose life ends here */
    double seconds;
} tw_step;

/* What memory a value has. */
typedef enum tw_place {
    TW_PLACE_NONE,
    TW_PLACE_ARENA,
    TW_PLACE_INPUT,
    TW_PLACE_PARAM,
    TW_PLACE_GRADIENT
} tw_place;

typedef struct tw_slot {
    tw_place place;
    int buffer;    /* of TW_PLACE_ARENA */
    size_t offset; /* of TW_PLACE_INPUT */
    void *data;
} tw_slot;

/* One task that packs units of a parameter. */
typedef struct tw_packer {
    int64_t offset, count, unit; /* of the parameter in the store */
    const tw_task *task;
    int input;
} tw_packer;

/* A stretch of a parameter, and who packs it. */
typedef struct tw_pack_part {
    tw_plan_part range;
    int64_t unit; /* -1: all units, of packers that cut the parameter differently */
    int first_packer, packer_count;
} tw_pack_part;

struct tw_plan {
    tw_plan_options options;
    tw_program *program;
    tw_params *params;
    tw_step *steps;
    int step_count;
    tw_slot *slots; /* by value id */
    tw_buffer *buffers;
    int buffer_count;
    tw_gradient_sink *sinks;
    int sink_count, orphan_count; /* orphans, without a task, lie behind the sinks */
    int *dead;                    /* buffer numbers, ordered by the step at which they die */
    size_t lent; /* offsets of buffers below it are in the gradient buffer, others, less it, in the
                    arena */
    char *arena, *inputs, *scratch, *packed;
    tw_packer *packers; /* by the offsets of their parameters */
    int packer_count;
    tw_pack_part *parts; /* by offset */
    int64_t part_count;
    tw_plan_memory memory;
};

/* Floats of a view with the zeros up to the next one. */
static inline int64_t tw_plan_padded(int64_t count)
{
    return (count + TW_PARAM_ALIGNMENT - 1) / TW_PARAM_ALIGNMENT * TW_PARAM_ALIGNMENT;
}

static inline char *tw_plan_buffer(const tw_plan *p, int buffer)
{
    const size_t at = p->buffers[buffer].offset;
    return at < p->lent ? (char *)p->params->gradient + at : p->arena + (at - p->lent);
}

/* Ranges of the gradient buffer and the steps at which they are gradients' own, in the order of
 * offsets; none where it is not lent. Sets p->lent.
 * @param[out] taken  the caller's to free */
tw_status tw_plan_lend(tw_plan *p, tw_buffer **taken, int *count);

/* Decides where every value lies, allocates, and gives the tasks their pointers. */
tw_status tw_plan_place(tw_plan *p);

/* Whether a planned task is to be packed by each run. */
bool tw_plan_packs_each_run(const tw_plan *p, const tw_task *t);
/* Packs one that is. */
void tw_plan_pack_task(const tw_task *t);

/* Lists what is packed and kept, once tasks are planned. */
tw_status tw_plan_list_parts(tw_plan *p);

#endif
