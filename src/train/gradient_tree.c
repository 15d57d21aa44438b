/* Sums of microbatches in a tree, as a binary counter adds: level l holds the sum of 2^l
 * microbatches, and when a second one of the same size is complete the two become one of the next
 * level. For 2^n microbatches that is ((0+1)+(2+3))+…, with n buffers. */
#include <string.h>

#include "train/stepper.h"
#include "tweedie/memory.h"

enum { LEVELS_MAX = 32 };

struct tw_gradient_tree {
    float *gradient; /* the plan's */
    int64_t count;
    int levels;
    float *level[LEVELS_MAX];
};

tw_status tw_gradient_tree_create(tw_gradient_tree **out, float *gradient, int64_t count,
                                  int64_t microbatches)
{
    tw_status st = TW_OK;
    tw_gradient_tree *t = NULL;
    TW_TRY(tw_alloc(&t, 1, sizeof *t, "a tree of gradients"));
    t->gradient = gradient;
    t->count = count;
    for (; microbatches > 1; microbatches /= 2)
        TW_TRY(tw_alloc(&t->level[t->levels++], count, sizeof(float), "a tree of gradients"));
    *out = t;
    t = NULL;
done:
    tw_gradient_tree_destroy(&t);
    return st;
}

void tw_gradient_tree_destroy(tw_gradient_tree **tree)
{
    if (!*tree) return;
    for (int l = 0; l < (*tree)->levels; l++) tw_free(&(*tree)->level[l]);
    tw_free(tree);
}

/* to = earlier + to */
static void add(float *to, const float *earlier, int64_t n)
{
#pragma omp parallel for schedule(static) if (n > 65536)
    for (int64_t i = 0; i < n; i++) to[i] = earlier[i] + to[i];
}

void tw_gradient_tree_keep(tw_gradient_tree *t, int64_t k)
{
    int l = 0;
    for (; k >> l & 1; l++) add(t->gradient, t->level[l], t->count);
    memcpy(t->level[l], t->gradient, (size_t)t->count * sizeof(float));
}

/* The last microbatch's number has all bits set, so every level is full. */
void tw_gradient_tree_complete(tw_gradient_tree *t, int64_t offset, int64_t count)
{
    for (int l = 0; l < t->levels; l++) add(t->gradient + offset, t->level[l] + offset, count);
}
