/* A variational autoencoder with a small weight of its prior (Rombach et al. 2022, KL-regularised):
 * z = μ + σ ε from the encoder's moments μ and ln σ², clamped to [−30, 20], and of a sample of D
 * numbers
 *
 *   loss = d(x, x̂(z)) + g d(∂x, ∂x̂(z)) + k/D Σ ½ (μ² + σ² − 1 − ln σ²)
 *
 * with d the mean of |a − b| (l1) or of (a − b)² (l2). The second term compares the differences of
 * neighbours along each side, which keeps edges sharp without a second network. The published
 * losses are sums over the numbers of a sample: the same but for the factor D. With a discriminator
 * (adversarial.h) its term is minimised beside this loss. */
#include <stddef.h>

#include "objective/adversarial.h"
#include "objective/reconstruction.h"
#include "tweedie/param_names.h"

extern const tw_objective_kind tw_objective_autoencoder;

typedef struct autoencoder_config {
    tw_reconstruction_config reconstruction;
    tw_adversarial_config adversarial;
    double kl;
} autoencoder_config;

static const tw_config_field fields[] = {
    TW_RECONSTRUCTION_FIELDS(autoencoder_config, reconstruction),
    TW_ADVERSARIAL_FIELDS(autoencoder_config, adversarial),
    {NULL, "kl_weight", TW_CONFIG_DOUBLE, offsetof(autoencoder_config, kl), "1e-6", 0, 1e6,
     .fixed = true, .help = "of the latents' distance from N(0, 1), as a sum against sums"},
};

static tw_status bind(void *config, tw_config *text)
{
    return tw_adversarial_bind(&((autoencoder_config *)config)->adversarial, text);
}

static void release(void *config)
{
    tw_adversarial_free(&((autoencoder_config *)config)->adversarial);
}

static tw_status check(const void *config, const tw_model *m)
{
    tw_status st = TW_OK;
    const autoencoder_config *c = config;
    TW_CHECK(!m->classes, TW_ECONFIG,
             "network.classes: an autoencoder is told no classes; 0 was expected");
    TW_CHECK(!tw_model_codes(m), TW_ECONFIG,
             "network.codes: objective.kind = autoencoder learns latents without codes; 0 was "
             "expected, or objective.kind = vector_quantised");
    TW_TRY(tw_reconstruction_check(&c->reconstruction, m));
    TW_TRY(tw_adversarial_check(&c->adversarial, m));
done:
    return st;
}

/* ---- the loss ---- */

static tw_value *clamp(tw_graph *g, tw_value *x, double low, double high)
{
    x = tw_affine(g, tw_activation(g, tw_affine(g, x, 1, -low), TW_RELU), 1, low);
    return tw_affine(g, tw_activation(g, tw_affine(g, x, -1, high), TW_RELU), -1, high);
}

static tw_value *divergence(tw_graph *g, tw_value *mean, tw_value *log_variance)
{
    tw_value *squares = tw_add(g, tw_mul(g, mean, mean), tw_exp(g, log_variance));
    tw_value *all = tw_sub(g, tw_affine(g, squares, 1, -1), log_variance);
    return tw_affine(g, tw_sum_each(g, all), 0.5, 0);
}

static tw_value *build(tw_graph *g, const void *config, const tw_model *m, int64_t n)
{
    const autoencoder_config *c = config;
    tw_value *moments = tw_model_build_encoder(g, m, n);
    if (!moments) return NULL;
    const int64_t channels = tw_shape_channels(moments->shape) / 2;
    tw_value *mean = tw_slice(g, moments, 0, channels);
    tw_value *log_variance = clamp(g, tw_slice(g, moments, channels, channels), -30, 20);
    tw_value *noise = tw_input(g, "latent_noise", TW_F32, mean ? mean->shape : TW_SHAPE(n));
    tw_value *std = tw_exp(g, tw_affine(g, log_variance, 0.5, 0));
    tw_value *z = tw_add(g, mean, tw_mul(g, std, noise));
    tw_value *weight = tw_input(g, "weight", TW_F32, TW_SHAPE(n));
    tw_value *x = tw_graph_input(g, "x"), *y = tw_model_build_decoder(g, m, z);
    tw_value *loss = tw_reconstruction(g, &c->reconstruction, m, x, y);
    tw_adversarial(g, &c->adversarial, m, x, y, loss);
    tw_value *prior = tw_affine(g, divergence(g, mean, log_variance), c->kl / (double)m->dims, 0);
    return tw_mul(g, tw_add(g, loss, prior), weight);
}

/* ε, by the sample's position and step, and whether the adversarial term counts. */
static void fill(const void *config, const tw_model *m, float *const *own,
                 const tw_objective_sample *s)
{
    const int64_t numbers = tw_shape_count(tw_model_latent(m));
    tw_rng_stream stream = s->stream;
    const autoencoder_config *c = config;
    if (stream.purpose != TW_RNG_VALIDATION) stream.purpose = TW_RNG_PROBE;
    tw_rng_normal(own[0] + s->i * numbers, &stream, 0, numbers);
    if (own[1]) own[1][s->i] = tw_adversarial_on(&c->adversarial, s->stream.step);
}

static const tw_objective_features *features(const void *config)
{
    return &((const autoencoder_config *)config)->reconstruction.features;
}

static bool clean(const void *config)
{
    (void)config;
    return true;
}

static bool owns(const void *config)
{
    const autoencoder_config *c = config;
    return c->adversarial.weight > 0 || c->reconstruction.features.weight > 0;
}

static void advance(const void *config, const tw_model *m, const tw_objective_state *state)
{
    (void)config, (void)m;
    tw_adversarial_advance(state);
}

static const char *const inputs[] = {"latent_noise", TW_ADVERSARIAL_INPUT, NULL};
static const char *const states[] = {TW_ADVERSARIAL_STATE_NAMES, NULL};

const tw_objective_kind tw_objective_autoencoder = {
    .kind = {"autoencoder", "an encoder and a decoder: reconstruction, and a weak prior", fields,
             sizeof fields / sizeof *fields, sizeof(autoencoder_config)},
    .bind = bind,
    .release = release,
    .check = check,
    .build = build,
    .fill = fill,
    .inputs = inputs,
    .owns = owns,
    .states = states,
    .advance = advance,
    .clean = clean,
    .features = features,
    .reconstructs = true,
};
