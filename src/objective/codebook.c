/* A codebook as state. */
#include "objective/codebook.h"

enum { CODES, USES, SUM };
static const char *const names[] = {TW_CODEBOOK_STATE_NAMES};

/* What lies in the store, by code. */
typedef struct codebook {
    int64_t codes, width;
    float *uses; /* [codes]: N */
    float *sum;  /* [codes][width]: m */
} codebook;

void tw_codebook_measure(tw_graph *g, int64_t codes, tw_value *z, tw_value *index, tw_value *weight)
{
    if (!z || !index || !weight) return;
    const int64_t vectors = index->shape.dims[0], n = weight->shape.dims[0],
                  width = tw_shape_channels(z->shape), rows[16] = {codes};
    const tw_shape each = TW_SHAPE(n, 1, 1);
    tw_value *counts = tw_activation(g, tw_affine(g, weight, -1e30, 1), TW_RELU);
    counts = tw_reshape(g, tw_affine(g, counts, -1, 1), each);
    counts = tw_broadcast(g, counts, TW_SHAPE(n, vectors / n, 1));
    tw_value *z_counted = tw_mul(g, tw_reshape(g, z, TW_SHAPE(n, vectors / n, width)), counts);
    tw_value *const uses[] = {tw_reshape(g, counts, TW_SHAPE(vectors, 1)), index},
                    *const sums[] = {tw_reshape(g, z_counted, TW_SHAPE(vectors, width)), index};
    tw_value *of_uses = tw_state_param(g, names[USES], TW_SHAPE(codes, 1), tw_init_zeros),
             *of_sums = tw_state_param(g, names[SUM], TW_SHAPE(codes, width), tw_init_zeros);
    tw_graph_statistic(g, of_uses, tw_apply(g, "embed_table_grad", uses, 2, rows, NULL));
    tw_graph_statistic(g, of_sums, tw_apply(g, "embed_table_grad", sums, 2, rows, NULL));
}

/* Two halves of code `from`, apart by a fiftieth of the way to where code `to` was. */
static void split(const codebook *b, const float *code, int64_t from, int64_t to)
{
    const float half = 0.5f * b->uses[from];
    for (int64_t d = 0; d < b->width; d++) {
        const float at = b->sum[from * b->width + d] / b->uses[from],
                    way = 0.01f * (code[to * b->width + d] - at);
        b->sum[from * b->width + d] = half * (at - way);
        b->sum[to * b->width + d] = half * (at + way);
    }
    b->uses[from] = b->uses[to] = half;
}

static double total(const codebook *b)
{
    double sum = 0;
    for (int64_t k = 0; k < b->codes; k++) sum += (double)b->uses[k];
    return sum;
}

static void restart(const codebook *b, const float *code, double share)
{
    const double least = share * total(b) / (double)b->codes;
    int64_t idle = -1, most = 0;
    for (int64_t k = 0; k < b->codes; k++) {
        if (idle < 0 && (double)b->uses[k] < least) idle = k;
        if (b->uses[k] > b->uses[most]) most = k;
    }
    if (idle >= 0) split(b, code, most, idle);
}

void tw_codebook_advance(double gamma, double share, const tw_objective_state s[3])
{
    const codebook b = {s[USES].count, s[SUM].count / s[USES].count, s[USES].value, s[SUM].value};
    const bool first = total(&b) == 0;
    for (int64_t k = 0; k < b.codes; k++) {
        const double uses = first ? 1 : (double)b.uses[k];
        b.uses[k] = (float)(gamma * uses + (1 - gamma) * (double)s[USES].sum[k]);
    }
    for (int64_t i = 0; i < s[SUM].count; i++) {
        const double sum = (double)(first ? s[CODES].value[i] : b.sum[i]);
        b.sum[i] = (float)(gamma * sum + (1 - gamma) * (double)s[SUM].sum[i]);
    }
    if (share > 0) restart(&b, s[CODES].value, share);
    const double all = total(&b), eps = 1e-5;
    for (int64_t i = 0; i < s[SUM].count; i++) {
        const double uses = ((double)b.uses[i / b.width] + eps) / (all + (double)b.codes * eps);
        s[CODES].value[i] = (float)((double)b.sum[i] / (uses * all));
    }
}
