/* The terms of the variational bound of a discrete process. */
#include "objective/variational.h"

#include <math.h>

#include "objective/sample_sum.h"

/* Of each sample: 1 at t = 0; log β − log β̃ as Δ is to be scaled; κ; ∂x̂_0/∂F at t = 0, else 0; and
 * ½ log β̃. */
enum { FIRST, RANGE, KAPPA, BY_F, LOG_STD };
const char *const tw_variational_inputs[] = {
    [FIRST] = "vlb_first", [RANGE] = "vlb_range",     [KAPPA] = "vlb_kappa",
    [BY_F] = "vlb_by_f",   [LOG_STD] = "vlb_log_std", NULL};

tw_status tw_variational_check(const tw_variational_config *c, const char *objective,
                               const tw_model *m)
{
    tw_status st = TW_OK;
    TW_CHECK(tw_process_is_discrete(m->process) && m->process->steps > 1, TW_ECONFIG,
             "objective.kind: %s is the bound of a discrete process of several steps (ddpm, "
             "ladder); process.kind is %s, for which there is objective.weighting = likelihood",
             objective, m->process->kind->kind.name);
    TW_CHECK(!m->prediction->build, TW_ECONFIG,
             "objective.kind: %s is not made for prediction.kind = %s; take epsilon, x0, v or mean",
             objective, m->prediction->kind.name);
    TW_CHECK(c->decoder == TW_DECODER_GAUSSIAN || m->sample.rank != 1, TW_ECONFIG,
             "objective.decoder: points do not have the 256 levels of an image; take gaussian");
done:
    return st;
}

/* Δ, in the shape of the data. */
static tw_value *log_ratio(tw_graph *g, const tw_model_values *v, tw_value *range)
{
    tw_value *whole = tw_sample_factor(g, range, v->output);
    if (!v->variance) return tw_broadcast(g, whole, v->output->shape);
    return tw_mul(g, tw_affine(g, v->variance, 0.5, 0.5), whole);
}

static tw_value *divergence(tw_graph *g, tw_value *delta, tw_value *error, tw_value *kappa)
{
    tw_value *square = tw_mul(g, tw_mul(g, error, error), tw_sample_factor(g, kappa, error));
    tw_value *ratio = tw_mul(g, tw_exp(g, tw_affine(g, delta, -1, 0)), tw_affine(g, square, 1, 1));
    return tw_affine(g, tw_add(g, delta, ratio), 0.5, -0.5);
}

/* −log p(x_0 | x_1); c = x_0 − x̂_0 = ∂x̂_0/∂F (F* − F). */
static tw_value *reconstruction(tw_graph *g, int decoder, tw_value *c, tw_value *log_std,
                                tw_value *first)
{
    if (decoder == TW_DECODER_DISCRETISED) {
        tw_value *in[] = {c, log_std, c ? tw_input(g, "x0", TW_F32, c->shape) : NULL, first};
        return tw_affine(g, tw_apply(g, "discretised_gaussian", in, 4, NULL, NULL), -1, 0);
    }
    tw_value *u = tw_mul(g, c, tw_exp(g, tw_affine(g, log_std, -1, 0)));
    tw_value *nll = tw_add(g, tw_affine(g, tw_mul(g, u, u), 0.5, 0.5 * log(2 * M_PI)), log_std);
    return tw_mul(g, nll, tw_sample_factor(g, first, c));
}

tw_value *tw_variational_build(tw_graph *g, const tw_variational_config *c, const tw_model *m,
                               const tw_model_values *v, tw_value *target, bool detached)
{
    tw_value *in[LOG_STD + 1];
    if (!v->output) return NULL;
    for (int k = 0; k <= LOG_STD; k++)
        in[k] = tw_input(g, tw_variational_inputs[k], TW_F32, TW_SHAPE(v->output->shape.dims[0]));
    tw_value *error = tw_sub(g, detached ? tw_detach(g, v->output) : v->output, target);
    tw_value *delta = log_ratio(g, v, in[RANGE]);
    tw_value *kl = divergence(g, delta, error, in[KAPPA]);
    tw_value *log_std =
        tw_add(g, tw_affine(g, delta, 0.5, 0), tw_sample_factor(g, in[LOG_STD], v->output));
    tw_value *centred = tw_mul(g, error, tw_sample_factor(g, in[BY_F], v->output));
    tw_value *nll = reconstruction(g, c->decoder, tw_affine(g, centred, -1, 0), log_std, in[FIRST]);
    tw_value *later = tw_sample_factor(g, tw_affine(g, in[FIRST], -1, 1), v->output);
    tw_value *sum = tw_sample_sum(g, tw_add(g, tw_mul(g, kl, later), nll));
    return tw_affine(g, sum, 1 / ((double)m->dims * M_LN2), 0);
}

/* The transition from t − 1 to t, and the posterior back. */
static tw_bridge bridge_to(const tw_process *p, double t)
{
    return tw_bridge_between(tw_process_alpha(p, t - 1), tw_process_sigma(p, t - 1),
                             tw_process_alpha(p, t), tw_process_sigma(p, t));
}

void tw_variational_fill(const tw_variational_config *c, const tw_model *m, float *const *own,
                         const tw_objective_sample *s)
{
    const bool first = s->t == 0, learned = m->variance == TW_VARIANCE_LEARNED_RANGE;
    const tw_bridge q = bridge_to(m->process, first ? 1 : s->t);
    /* β_0 = σ_0² where the process keeps the variance, and of a ladder too: all of its noise */
    const double beta = first ? s->sigma : q.sigma, by_f = s->view->x0_f;
    const double range = 2 * log(beta / q.std);
    const double values[] = {[FIRST] = first,
                             [RANGE] =
                                 learned || (c->fixed == TW_FIXED_LARGE && !first) ? range : 0,
                             [KAPPA] = first ? 0 : pow(q.x0 * by_f / q.std, 2),
                             [BY_F] = first ? by_f : 0,
                             [LOG_STD] = log(q.std)};
    for (int k = 0; k <= LOG_STD; k++)
        if (own[k]) own[k][s->i] = (float)values[k];
}
