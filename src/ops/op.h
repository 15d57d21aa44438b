/* What one operation says about itself: shape rule, gradient rule, plan and run. One file op_NAME.c
 * per operation (with its gradient operations beside it), defining `const tw_op tw_op_NAME`; the
 * build finds it.
 *
 * Graph time: infer() and gradient() work on nodes; gradient() adds operations to the graph.
 * Plan time: plan() decides everything that depends on shapes, creates primitives, and says what
 * memory it wants. Run time: pack() prepares parameters, run() computes. It cannot fail, allocates
 * nothing, and writes outputs whole (their memory holds garbage before). */
#ifndef TW_OPS_OP_H
#define TW_OPS_OP_H

#include <stddef.h>
#include <stdint.h>

#include "tweedie/graph.h"
#include "tweedie/memory.h"
#include "tweedie/status.h"

enum { TW_OP_IN_MAX = 9, TW_OP_OUT_MAX = 5, TW_IMPLEMENTATION_MAX = 96 };

/* Element type in memory. */
typedef enum tw_dtype { TW_DTYPE_F32, TW_DTYPE_BF16, TW_DTYPE_I32 } tw_dtype;
static inline size_t tw_dtype_size(tw_dtype t)
{
    return t == TW_DTYPE_BF16 ? 2 : 4;
}

/* Numbers that belong to a node; each op's file says which is which. */
typedef struct tw_attr {
    int64_t i[16];
    double f[4];
} tw_attr;

typedef struct tw_op tw_op;

struct tw_node {
    const tw_op *op;
    int nin, nout;
    tw_value *in[TW_OP_IN_MAX]; /* NULL: an optional input that is absent */
    tw_value out[TW_OP_OUT_MAX];
    tw_attr attr;
    int id;    /* in order of creation */
    int order; /* of execution: the id, or the place of what a pass has replaced */
    tw_node *next;
};

/* What a run knows beyond its inputs. */
typedef struct tw_run {
    uint64_t seed;
    int64_t step;     /* optimiser step: of dropout masks */
    int64_t position; /* of the batch's first sample in the global batch */
    bool training;    /* dropout acts */
} tw_run;

/* One step of a plan. plan() fills implementation, state, scratch_bytes, packed_bytes, flops; the
 * plan then gives the pointers. */
typedef struct tw_task {
    const tw_node *node;
    const tw_op *op;
    tw_dtype act; /* what TW_ACT is in this plan */
    tw_convolution convolution;
    void *in[TW_OP_IN_MAX];
    void *out[TW_OP_OUT_MAX]; /* NULL where nobody reads the output */
    size_t scratch_bytes;     /* memory for the time of one run() */
    void *scratch;
    size_t packed_bytes; /* memory that pack() fills and run() reads; zero at first, since layouts
                            may pad */
    void *packed;
    bool
        packs_whole; /* run() reads nothing of `packed` but what pack() writes: it needs no zeros */
    bool packs_each_run;  /* as the plan decides: packed before each run(), not kept until the next,
                             so packing leaves it in the caches */
    int64_t pack_unit[2]; /* numbers of inputs 0 and 1 that one call of pack() reads; 0: nothing of
                             that input is packed */
    void *state;          /* the op's own; destroy() frees it */
    char implementation[TW_IMPLEMENTATION_MAX];
    double flops;
} tw_task;

struct tw_op {
    const char *name;
    const char *summary;

    /* Checks inputs and attributes; sets nout and the outputs' type, shape and layout. Messages
     * name the shapes met. */
    tw_status (*infer)(tw_node *n);

    /* Adds the operations for gin[i] = d sum_k(gout[k] · out[k]) / d in[i]. gout[k] may be NULL
     * (zero); gin[i] is asked for where want[i] and may be left NULL (zero). Absent: the op has no
     * derivative and the graph says so by name. */
    tw_status (*gradient)(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin);

    tw_status (*plan)(tw_task *t);
    /* After each change of the parameters: repacks unit `unit` of input `input` for run(), on one
     * thread; units are independent of each other. May be absent. */
    void (*pack)(const tw_task *t, int input, int64_t unit);
    void (*run)(const tw_task *t, const tw_run *run);
    void (*destroy)(tw_task *t); /* may be absent where state is NULL */

    /* Output 0 has its input's elements and may lie in the memory of in[k] where that dies here:
     * bit k. */
    unsigned in_place;
    /* Output 0 is input 0 under another name: no run(). */
    bool alias;

    /* Builds small graphs of this op for the generic tests: variant 0, 1, …; returns a value of
     * floating type, or NULL with the graph still well where there is no such variant. Inputs and
     * parameters made here are filled with noise by the tests, which check slope, second slope
     * where `twice`, instruction sets and precisions. */
    tw_value *(*example)(tw_graph *g, int variant);
    bool twice; /* gradients of gradients exist */

    /* Costs little beside a convolution of its output's size, and is a function of its inputs and
     * attributes alone: a plan may run it again instead of keeping its outputs. Not of sums, which
     * chain one block to the next. */
    bool cheap;
    bool multiplies; /* cheap, but of matrix products: not a pass over memory alone */
};

extern const tw_op *const tw_op_table[];
extern const int tw_op_count;

/* Adds a node; the declared but graph-side half of this interface. `n` inputs; entries may be NULL
 * only where the op allows it and tw_emit_optional is used. Returns output 0, or NULL after an
 * error. */
tw_value *tw_emit(tw_graph *g, const tw_op *op, tw_value *const *in, int n, const tw_attr *attr);
tw_value *tw_emit_optional(tw_graph *g, const tw_op *op, tw_value *const *in, int n,
                           unsigned optional, const tw_attr *attr);

/* The number of the graph's next dropout layer: 0, 1, … in order of building, the same for every
 * batch size; −1 in a frozen scope, where there is none. */
int64_t tw_graph_next_dropout(tw_graph *g);

/* Output k of the node that made `first`, or NULL where first is NULL. */
static inline tw_value *tw_output_of(tw_value *first, int k)
{
    return first ? &first->node->out[k] : NULL;
}

/* Sets output k of a node in infer(). */
static inline void tw_set_output(tw_node *n, int k, tw_type type, tw_shape shape)
{
    n->out[k].type = type;
    n->out[k].shape = shape;
    n->out[k].layout = TW_PLAIN;
    if (n->nout <= k) n->nout = k + 1;
}

/* The element type of a value in a plan. */
static inline tw_dtype tw_task_dtype(const tw_task *t, const tw_value *v)
{
    return v->type == TW_ACT ? t->act : v->type == TW_F32 ? TW_DTYPE_F32 : TW_DTYPE_I32;
}

/* An infer() error that names the op and the shapes of its inputs. */
__attribute__((format(printf, 2, 3))) tw_status tw_op_shape_error(const tw_node *n,
                                                                  const char *format, ...);

#endif
