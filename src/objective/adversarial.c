/* The adversarial term of autoencoders, as a graph and between two steps. */
#include "objective/adversarial.h"

#include <math.h>
#include <string.h>

#include "objective/reconstruction.h"
#include "tweedie/param_names.h"

static const char *const names[] = {TW_ADVERSARIAL_STATE_NAMES};
enum { SCALE, OF_RECONSTRUCTION, OF_GENERATOR, GENERATOR_LOSS, DISCRIMINATOR_LOSS };

tw_status tw_adversarial_bind(tw_adversarial_config *c, tw_config *config)
{
    const tw_choice_rule rule = {.section = "discriminator",
                                 .key = "kind",
                                 .default_name = "patch_discriminator",
                                 .help = "the second network, of objective.adversarial_weight",
                                 .kinds = tw_net_kinds,
                                 .fixed = true};
    return tw_choice_bind(&c->discriminator, config, &rule);
}

void tw_adversarial_free(tw_adversarial_config *c)
{
    tw_choice_free(&c->discriminator);
}

tw_status tw_adversarial_check(const tw_adversarial_config *c, const tw_model *m)
{
    tw_status st = TW_OK;
    const tw_net *net = (const tw_net *)c->discriminator.kind;
    if (c->weight == 0) return TW_OK;
    TW_CHECK(net->judges, TW_ECONFIG,
             "discriminator.kind: %s is no discriminator; patch_discriminator was expected",
             net->kind.name);
    TW_CHECK(m->net->halves->last, TW_ECONFIG,
             "objective.adversarial_weight: network.kind = %s does not say which layer is its "
             "last; 0 was expected",
             m->net->kind.name);
    TW_TRY(net->check(c->discriminator.config, m->sample));
done:
    return st;
}

float tw_adversarial_on(const tw_adversarial_config *c, int64_t step)
{
    return step >= c->start ? 1 : 0;
}

/* ---- the graph ---- */

/* D of samples, f32 [n, spatial…, 1]. */
static tw_value *discriminate(tw_graph *g, const tw_adversarial_config *c, const tw_model *m,
                              tw_value *x, bool again)
{
    const tw_net *net = (const tw_net *)c->discriminator.kind;
    const tw_graph_scope scope = {.prefix = TW_NAME_OBJECTIVE "discriminator.", .again = again};
    const tw_net_inputs in = {.x = x, .sample = m->sample, .outputs = 1};
    tw_graph_push_scope(g, &scope);
    tw_value *logits = net->build(g, c->discriminator.config, &in);
    tw_graph_pop_scope(g);
    return logits;
}

static tw_value *mean_each(tw_graph *g, tw_value *x)
{
    if (!x) return NULL;
    const double numbers = (double)(tw_shape_count(x->shape) / x->shape.dims[0]);
    return tw_affine(g, tw_sum_each(g, x), 1 / numbers, 0);
}

/* mean max(0, 1 + sign D), [n] */
static tw_value *hinge(tw_graph *g, tw_value *logits, double sign)
{
    return mean_each(g, tw_activation(g, tw_affine(g, logits, sign, 1), TW_RELU));
}

static tw_value *find_param(const tw_graph *g, const char *name)
{
    for (int i = 0; i < tw_graph_param_count(g); i++)
        if (strcmp(tw_graph_param(g, i)->name, name) == 0) return tw_graph_param(g, i);
    return NULL;
}

/* Σ seed ∂y/∂w is measured, w being the last layer's weights. */
static void measure_gradient(tw_graph *g, const tw_model *m, int which, tw_value *y, tw_value *seed)
{
    tw_value *w = find_param(g, m->net->halves->last), *gradient = NULL;
    if (!w || !seed) return;
    tw_graph_gradient(g, y, seed, &w, 1, &gradient);
    tw_graph_statistic(g, tw_state_param(g, names[which], w->shape, tw_init_zeros), gradient);
}

/* Σ of the samples' numbers. */
static void measure_sum(tw_graph *g, int which, tw_value *each)
{
    tw_value *state = tw_state_param(g, names[which], TW_SHAPE(1), tw_init_zeros);
    tw_graph_statistic(g, state, tw_sum_to(g, each, TW_SHAPE(1)));
}

void tw_adversarial(tw_graph *g, const tw_adversarial_config *c, const tw_model *m, tw_value *x,
                    tw_value *y, tw_value *loss)
{
    tw_value *by_loss = NULL, *by_generator = NULL, *weight = tw_graph_input(g, "weight");
    if (c->weight == 0 || !x || !y || !loss) return;
    tw_value *seen = tw_detach(g, y), *fake = discriminate(g, c, m, seen, false),
             *real = discriminate(g, c, m, x, true);
    tw_value *generator = tw_affine(g, mean_each(g, fake), -1, 0);
    tw_value *judged = tw_affine(g, tw_add(g, hinge(g, real, -1), hinge(g, fake, 1)), 0.5, 0);
    tw_value *on = tw_input(g, TW_ADVERSARIAL_INPUT, TW_F32, TW_SHAPE(x->shape.dims[0]));
    tw_value *scale = tw_state_param(g, names[SCALE], TW_SHAPE(1), tw_init_zeros);
    tw_graph_gradient(g, loss, weight, &y, 1, &by_loss);
    tw_graph_gradient(g, generator, weight, &seen, 1, &by_generator);
    measure_gradient(g, m, OF_RECONSTRUCTION, y, by_loss);
    measure_gradient(g, m, OF_GENERATOR, y, by_generator);
    measure_sum(g, GENERATOR_LOSS, tw_mul(g, generator, weight));
    measure_sum(g, DISCRIMINATOR_LOSS, tw_mul(g, judged, weight));
    /* Σ y · constant has the constant as its gradient by y */
    tw_value *pull = tw_sum_each(g, tw_mul(g, y, tw_detach(g, by_generator)));
    pull = tw_affine(g, tw_mul(g, pull, tw_mul(g, on, scale)), c->weight, 0);
    tw_graph_add_loss(g, tw_add(g, pull, tw_mul(g, tw_mul(g, judged, weight), on)));
}

/* ---- between two steps ---- */

static double norm(const tw_objective_state *s)
{
    double sum = 0;
    for (int64_t i = 0; i < s->count; i++) sum += (double)s->sum[i] * (double)s->sum[i];
    return sqrt(sum);
}

void tw_adversarial_advance(const tw_objective_state state[TW_ADVERSARIAL_STATES])
{
    if (!state[SCALE].count) return;
    const double scale = norm(&state[OF_RECONSTRUCTION]) / (norm(&state[OF_GENERATOR]) + 1e-4);
    state[SCALE].value[0] = (float)fmin(fmax(scale, 0), 1e4);
    for (int k = OF_RECONSTRUCTION; k < TW_ADVERSARIAL_STATES; k++)
        memcpy(state[k].value, state[k].sum, (size_t)state[k].count * sizeof *state[k].value);
}
