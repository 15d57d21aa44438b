/* Where the parameters of a run lie: gradients with their rank, all that they update once for the
 * ranks of a node, each of which updates its slices; averages on the node of rank zero, which saves
 * them. */
#include <string.h>

#include "train/trainer.h"
#include "tweedie/memory.h"

/* Gradients become final nearly in the reverse order of the views, which is what the buckets
 * follow. */
static tw_status cut_buckets(const tw_params *p, tw_reducer_bucket *buckets, int *count)
{
    enum { BUCKET = 2 << 20 }; /* floats: 8 MB */
    tw_status st = TW_OK;
    int64_t *offsets = NULL, *sizes = NULL, n = 0;
    TW_TRY(tw_alloc(&offsets, p->view_count, sizeof *offsets, "the buckets of the gradient"));
    TW_TRY(tw_alloc(&sizes, p->view_count, sizeof *sizes, "the buckets of the gradient"));
    for (int i = p->view_count - 1; i >= 0; i--) {
        if (!p->views[i].trainable) continue;
        offsets[n] = p->views[i].offset;
        sizes[n++] =
            (p->views[i].count + TW_PARAM_ALIGNMENT - 1) / TW_PARAM_ALIGNMENT * TW_PARAM_ALIGNMENT;
    }
    TW_TRY(tw_reducer_cut(offsets, sizes, n, BUCKET, buckets, count));
done:
    tw_free(&offsets);
    tw_free(&sizes);
    return st;
}

static tw_status make_reducer(tw_trainer *t)
{
    tw_status st = TW_OK;
    const tw_params *p = t->model->params;
    const int arrays = tw_optimizer_array_count(t->optimizer);
    tw_reducer_bucket *buckets = NULL;
    int count = 0;
    const tw_reducer_options options = {.mode = (tw_reducer_mode)t->c.communication,
                                        .exchange = t->c.rank_independent ? TW_REDUCER_TREE
                                                                          : TW_REDUCER_FASTEST,
                                        .threads = t->threads,
                                        .slices = true,
                                        .shared = p->size + arrays * p->trainable,
                                        .first = t->c.ema_rates.count * p->trainable};
    st = tw_alloc(&buckets, p->view_count, sizeof *buckets, "the buckets of the gradient");
    if (st == TW_OK) st = cut_buckets(p, buckets, &count);
    TW_TRY(tw_comm_agree(t->comm, st));
    TW_TRY(tw_reducer_create(&t->reducer, t->comm, p->trainable, buckets, count, &options));
done:
    tw_free(&buckets);
    return st;
}

/* Each rank first touches its slices, so that their pages come to its NUMA node. Constants, behind
 * what is trained, are nobody's slice. */
static void fill(tw_trainer *t, float *value)
{
    const tw_params *p = t->model->params;
    const tw_reducer_slice *slices;
    const int count = tw_reducer_slices(t->reducer, &slices);
    for (int s = 0; s < count; s++) {
        const int64_t at = slices[s].offset;
        const size_t bytes = (size_t)slices[s].count * sizeof(float);
        memcpy(value + at, p->value + at, bytes);
        for (int k = 0; k < TW_OPTIMIZER_ARRAYS && t->array[k]; k++)
            memset(t->array[k] + at, 0, bytes);
        for (int k = 0; k < TW_EMA_MAX && t->ema[k]; k++)
            memcpy(t->ema[k] + at, p->value + at, bytes);
    }
    if (tw_reducer_leads(t->reducer))
        memcpy(value + p->trainable, p->value + p->trainable,
               (size_t)(p->size - p->trainable) * sizeof(float));
}

tw_status tw_trainer_make_memory(tw_trainer *t)
{
    tw_status st = TW_OK;
    tw_params *p = t->model->params;
    TW_TRY(make_reducer(t));
    TW_TRY(tw_params_use_gradient(p, tw_reducer_gradient(t->reducer)));
    float *value = tw_reducer_shared(t->reducer), *first = tw_reducer_first(t->reducer);
    for (int k = 0; k < tw_optimizer_array_count(t->optimizer); k++)
        t->array[k] = value + p->size + k * p->trainable;
    for (int64_t k = 0; first && k < t->c.ema_rates.count; k++)
        t->ema[k] = first + k * p->trainable;
    fill(t, value);
    tw_params_use_value(p, value);
    tw_reducer_barrier(t->reducer);
done:
    return st;
}

tw_status tw_trainer_broadcast(tw_trainer *t, bool arrays)
{
    const tw_params *p = t->model->params;
    const int count = arrays ? tw_optimizer_array_count(t->optimizer) : 0;
    return tw_reducer_broadcast(t->reducer, p->value, p->size + count * p->trainable);
}
