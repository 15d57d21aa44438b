/* Instance normalisation that keeps the channels' means (InstanceNorm++), and the ELU that follows
 * it: inputs x [N, spatial…, C] and γ, α, β, outputs y like x and the statistics that the gradient
 * reads. Shapes, attributes and mathematics are in norm_plus.h. */
#include "ops/norm_plus.h"
#include "ops/task.h"

tw_value *tw_instance_norm_plus(tw_graph *g, tw_value *x, tw_value *scales, double eps, bool elu)
{
    const tw_attr attr = {.i = {elu}, .f = {eps}};
    return tw_emit(g, &tw_op_instance_norm_plus, (tw_value *[]){x, scales}, 2, &attr);
}

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    const tw_shape s = n->in[0]->shape;
    TW_TRY(tw_infer_plain(n));
    TW_TRY(tw_norm_plus_check(n, n->in[0], n->in[1]));
    tw_set_output(n, 0, n->in[0]->type, s);
    tw_set_output(n, 1, TW_F32, TW_SHAPE(s.dims[0], 2, tw_shape_channels(s)));
done:
    return st;
}

static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    if (gout[1])
        return tw_error_set(TW_EUNSUPPORTED,
                            "instance_norm_plus: its statistics have no derivative");
    tw_value *in[4] = {n->in[0], n->in[1], (tw_value *)(uintptr_t)&n->out[1], gout[0]};
    tw_value *gx = tw_emit(g, &tw_op_instance_norm_plus_grad, in, 4, &n->attr);
    for (int i = 0; i < 2; i++)
        if (want[i]) gin[i] = tw_output_of(gx, i);
    return TW_OK;
}

static tw_status plan(tw_task *t)
{
    tw_status st = TW_OK;
    tw_norm_plus *p = NULL;
    TW_TRY(tw_alloc(&p, 1, sizeof *p, "an instance normalisation"));
    t->state = p;
    TW_TRY(tw_norm_plus_plan(p, t, false));
done:
    return st;
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    const tw_norm_plus_tensors x = {
        .x = t->in[0], .p = t->in[1], .y = t->out[0], .stats = t->out[1]};
    tw_norm_plus_forward(t->state, &x, t->scratch);
}

/* Scales of each image and of all, with and without ELU, whole vectors and not, several chunks. */
static tw_value *example(tw_graph *g, int variant)
{
    static const struct {
        int rank;
        int64_t x[5];
        bool shared, elu;
    } cases[] = {{4, {2, 3, 5, 6}, false, true},   {3, {1, 7, 17}, true, false},
                 {4, {3, 4, 3, 16}, true, true},   {5, {1, 2, 3, 2, 4}, false, false},
                 {4, {2, 4, 3, 33}, false, false}, {4, {5, 3, 4, 8}, true, false}};
    if (variant >= (int)(sizeof cases / sizeof *cases)) return NULL;
    const tw_shape s = tw_shape_make(cases[variant].x, cases[variant].rank);
    const int64_t c = tw_shape_channels(s);
    tw_value *p = cases[variant].shared ? tw_param(g, "scales", TW_SHAPE(3 * c), tw_init_ones)
                                        : tw_input(g, "scales", TW_F32, TW_SHAPE(s.dims[0], 3 * c));
    return tw_instance_norm_plus(g, tw_input(g, "x", TW_ACT, s), p, 1e-5, cases[variant].elu);
}

const tw_op tw_op_instance_norm_plus = {
    .name = "instance_norm_plus",
    .summary = "instance normalisation that keeps the channels' means, and ELU",
    .infer = infer,
    .gradient = gradient,
    .plan = plan,
    .run = run,
    .destroy = tw_task_free_state,
    .in_place = 1u << 0,
    .example = example,
};
