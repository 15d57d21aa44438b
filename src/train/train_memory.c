/* Where the parameters of a run lie: gradients with their rank, all that they update once for the
 * ranks of a node, each of which updates its slices; EMA on the node of rank zero, which saves
 * them. */
#include <string.h>

#include "train/stepper.h"
#include "tweedie/memory.h"
#include "tweedie/optim.h"

/* Gradients become final nearly in the reverse order of the views, which is what the buckets
 * follow. What is summed beside them has the last one, so that no block holds both. */
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
    if (p->summed > p->trainable)
        buckets[(*count)++] = (tw_reducer_bucket){p->trainable, p->summed - p->trainable};
done:
    tw_free(&offsets);
    tw_free(&sizes);
    return st;
}

/* For the norm of the gradient. */
static void squares(const float *x, int64_t n, double *sums)
{
    tw_optim_block_squares(x, n, TW_REDUCER_BLOCK, sums);
}

static tw_status make_reducer(tw_stepper *s)
{
    tw_status st = TW_OK;
    const tw_params *p = s->model->params;
    const int arrays = tw_optimizer_array_count(s->optimizer);
    tw_reducer_bucket *buckets = NULL;
    int count = 0;
    const tw_reducer_options options = {
        .mode = (tw_reducer_mode)s->c->communication,
        .exchange = s->c->rank_independent ? TW_REDUCER_TREE : TW_REDUCER_FASTEST,
        .threads = s->threads,
        .slices = true,
        .of_blocks = squares,
        .shared = p->size + arrays * p->trainable + (p->summed - p->trainable),
        .first = s->c->ema_rates.count * p->trainable};
    st = tw_alloc(&buckets, p->view_count, sizeof *buckets, "the buckets of the gradient");
    if (st == TW_OK) st = cut_buckets(p, buckets, &count);
    TW_TRY(tw_comm_agree(s->comm, st));
    TW_TRY(tw_reducer_create(&s->reducer, s->comm, p->summed, buckets, count, &options));
done:
    tw_free(&buckets);
    return st;
}

/* Floats [at, at + n) of everything that an update touches. */
static void fill_piece(const tw_stepper *s, float *value, int64_t at, int64_t n)
{
    const size_t bytes = (size_t)n * sizeof(float);
    const float *from = s->model->params->value + at;
    memcpy(value + at, from, bytes);
    for (int i = 0; i < TW_OPTIMIZER_ARRAYS && s->array[i]; i++) memset(s->array[i] + at, 0, bytes);
    for (int i = 0; i < TW_EMA_MAX && s->ema[i]; i++) memcpy(s->ema[i] + at, from, bytes);
}

/* Each rank first touches its slices, by the threads that will update them, so that their pages
 * come to its NUMA node, or to those that its threads are spread over. What is not trained lies
 * behind that, and is filled by one. */
static void fill(const tw_stepper *s, float *value)
{
    enum { PIECE = 512 << 10 }; /* floats: a huge page */
    const tw_params *p = s->model->params;
    const tw_reducer_slice *slices;
    const int count = tw_reducer_slices(s->reducer, &slices);
    for (int k = 0; k < count; k++) {
        if (slices[k].offset >= p->trainable) continue;
        const int64_t end = slices[k].offset + slices[k].count;
#pragma omp parallel for schedule(static) if (slices[k].count > PIECE)
        for (int64_t at = slices[k].offset; at < end; at += PIECE)
            fill_piece(s, value, at, end - at < PIECE ? end - at : PIECE);
    }
    if (tw_reducer_leads(s->reducer))
        memcpy(value + p->trainable, p->value + p->trainable,
               (size_t)(p->size - p->trainable) * sizeof(float));
}

tw_status tw_stepper_make_memory(tw_stepper *s)
{
    tw_status st = TW_OK;
    tw_params *p = s->model->params;
    TW_TRY(make_reducer(s));
    TW_TRY(tw_params_use_gradient(p, tw_reducer_gradient(s->reducer)));
    float *value = tw_reducer_shared(s->reducer), *first = tw_reducer_first(s->reducer);
    for (int k = 0; k < tw_optimizer_array_count(s->optimizer); k++)
        s->array[k] = value + p->size + k * p->trainable;
    for (int64_t k = 0; first && k < s->c->ema_rates.count; k++)
        s->ema[k] = first + k * p->trainable;
    if (p->summed > p->trainable)
        s->sums = value + p->size + tw_optimizer_array_count(s->optimizer) * p->trainable;
    fill(s, value);
    tw_params_use_value(p, value);
    /* Every rank has filled its slices before any reads the whole. */
    tw_reducer_barrier(s->reducer);
done:
    return st;
}

tw_status tw_stepper_plan(tw_stepper *s, const tw_objective_config *objective, bool profile)
{
    tw_status st = TW_OK;
    const bool tree = s->c->rank_independent;
    const tw_params *p = s->model->params;
    const tw_objective_options options = {.batch = s->micro,
                                          .global_batch = s->c->batch,
                                          .precision = s->precision,
                                          .convolution = s->convolution,
                                          .packing = s->micro_count > 1 ? TW_PACKING_WHERE_CHEAP
                                                                        : TW_PACKING_EACH_RUN,
                                          .gradients = true,
                                          .accumulate = s->micro_count > 1 && !tree,
                                          .lend_gradients = s->micro_count == 1,
                                          .recompute = (tw_recompute)s->c->recompute,
                                          .profile = profile};
    TW_TRY(tw_alloc(&s->x0, s->micro * s->model->dims, sizeof(float), "a microbatch"));
    TW_TRY(tw_alloc(&s->label, s->micro, sizeof *s->label, "a microbatch"));
    if (s->model->condition)
        TW_TRY(tw_alloc(&s->condition, s->micro * s->model->condition, sizeof *s->condition,
                        "the conditions of a microbatch"));
    if (tw_model_augment_labels(s->model))
        TW_TRY(tw_alloc(&s->augment, s->micro * tw_model_augment_labels(s->model),
                        sizeof *s->augment, "a microbatch"));
    TW_TRY(tw_objective_create(&s->objective, s->model, objective, &options));
    TW_TRY(tw_stepper_make_pieces(s));
    TW_TRY(tw_stepper_make_observed(s));
    if (s->sums) tw_objective_advance_init(&s->advance, objective, s->model, s->sums);
    if (tree) TW_TRY(tw_gradient_tree_create(&s->tree, p->gradient, p->summed, s->micro_count));
done:
    return st;
}

void tw_stepper_close(tw_stepper *s)
{
    tw_gradient_tree_destroy(&s->tree);
    tw_stepper_free_pieces(s);
    tw_objective_destroy(&s->objective);
    tw_reducer_destroy(&s->reducer);
    tw_free(&s->x0);
    tw_free(&s->label);
    tw_free(&s->condition);
    tw_free(&s->augment);
    tw_free(&s->observed);
}

tw_status tw_stepper_broadcast(tw_stepper *s, bool arrays)
{
    const tw_params *p = s->model->params;
    const int count = arrays ? tw_optimizer_array_count(s->optimizer) : 0;
    return tw_reducer_broadcast(s->reducer, p->value, p->size + count * p->trainable);
}
