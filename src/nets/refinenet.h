/* What the RefineNets of NCSN and NCSNv2 consist of: net_refinenet.c builds from it, and
 * refinenet_names.c tells the published names. */
#ifndef TW_NETS_REFINENET_H
#define TW_NETS_REFINENET_H

#include "tweedie/net.h"

enum { REFINENET_STAGES_MAX = 6, REFINENET_POOLS = 2, REFINENET_STEPS = 2 };

typedef char refinenet_name[TW_NAME_MAX];

/* A path in the module tree. */
__attribute__((format(printf, 2, 3))) void refinenet_join(refinenet_name out, const char *format,
                                                          ...);

/* A stage of the way down, two residual blocks of which the first changes channels and extent, and
 * the block of the way up that takes what it gives. */
typedef struct refinenet_stage {
    const char *down, *up; /* published names */
    int64_t channels;      /* in units of base; of the stage */
    int64_t refined;       /* of the block of the way up */
    bool halve;
    int64_t dilation; /* of both blocks; 0: plain convolutions */
    bool resample;    /* the first block is published as resampling: it has a shortcut always */
} refinenet_stage;

typedef struct refinenet_plan {
    bool conditional; /* scales and shifts for each noise level, also in the blocks of the way up */
    int count;
    refinenet_stage stages[REFINENET_STAGES_MAX]; /* in the order of the way down */
    const char *order[REFINENET_STAGES_MAX];      /* published, of the blocks of the way up */
} refinenet_plan;

/* Channels between the two convolutions of a stage's block k, and whether it has a shortcut. */
static inline int64_t refinenet_middle(const refinenet_stage *s, int k, int64_t in, int64_t out)
{
    return k == 0 && s->resample ? in : out;
}

/* Residual units in the chain that ends a block of the way up. */
static inline int refinenet_units(int stage)
{
    return stage == 0 ? 3 : 1;
}

/* Lists the parameters in the published order. */
void refinenet_publish(tw_reference_names *names, tw_graph *g, const refinenet_plan *plan,
                       int64_t base, int64_t levels, int64_t in, int64_t out);

#endif
