/* A vector-quantised autoencoder (van den Oord et al. 2017; Rombach et al. 2022, VQ-regularised):
 * vectors z of the encoder, e the nearest code of each, and with sg what gradients know nothing of
 *
 *   loss = d(x, x̂(z + sg(e − z))) + g d(∂x, ∂x̂) + |sg(z) − e|² + β |z − sg(e)|²,
 *
 * so that the decoder's gradient goes straight through to the encoder. Squares are means over the
 * numbers of a latent. Codes are parameters, which the third term moves; or, without that term,
 * running means of the vectors that take them (codebook = ema). */
#include <stddef.h>

#include "objective/adversarial.h"
#include "objective/codebook.h"
#include "objective/reconstruction.h"

extern const tw_objective_kind tw_objective_vector_quantised;

typedef struct quantised_config {
    tw_reconstruction_config reconstruction;
    tw_adversarial_config adversarial;
    double commitment, decay, restart;
    int codebook;
} quantised_config;

static const tw_config_field fields[] = {
    TW_RECONSTRUCTION_FIELDS(quantised_config, reconstruction),
    TW_ADVERSARIAL_FIELDS(quantised_config, adversarial),
    {NULL, "commitment", TW_CONFIG_DOUBLE, offsetof(quantised_config, commitment), "0.25", 0, 1e6,
     .fixed = true, .help = "weight of how far the encoder's vectors are from their codes"},
    {NULL, "codebook", TW_CONFIG_CHOICE, offsetof(quantised_config, codebook), "gradient",
     .choices = "gradient|ema", .fixed = true,
     .help = "codes are trained as all parameters are, or are running means of their vectors"},
    {NULL, "codebook_decay", TW_CONFIG_DOUBLE, offsetof(quantised_config, decay), "0.99", 0,
     0.999999, .fixed = true, .help = "of the running means of codebook = ema"},
    {NULL, "codebook_restart", TW_CONFIG_DOUBLE, offsetof(quantised_config, restart), "0.01", 0, 1,
     .fixed = true,
     .help = "codebook = ema: a code taken less often than this share of the mean begins again "
             "beside the one taken most; 0: never"},
};

enum { GRADIENT, EMA };
static tw_status bind(void *config, tw_config *text)
{
    return tw_adversarial_bind(&((quantised_config *)config)->adversarial, text);
}

static void release(void *config)
{
    tw_adversarial_free(&((quantised_config *)config)->adversarial);
}

static tw_status check(const void *config, const tw_model *m)
{
    tw_status st = TW_OK;
    const quantised_config *c = config;
    TW_CHECK(!m->classes, TW_ECONFIG,
             "network.classes: an autoencoder is told no classes; 0 was expected");
    TW_CHECK(tw_model_codes(m), TW_ECONFIG,
             "network.codes: objective.kind = vector_quantised learns codes; their number was "
             "expected, or objective.kind = autoencoder");
    TW_TRY(tw_reconstruction_check(&c->reconstruction, m));
    TW_TRY(tw_adversarial_check(&c->adversarial, m));
done:
    return st;
}

static tw_value *build(tw_graph *g, const void *config, const tw_model *m, int64_t n)
{
    const quantised_config *c = config;
    tw_value *index, *z = tw_model_build_encoder(g, m, n);
    tw_value *code = tw_model_build_codes(g, m, z, &index);
    if (code) tw_graph_output(g, "codes", index);
    tw_value *through = tw_add(g, z, tw_detach(g, tw_sub(g, code, z)));
    tw_value *weight = tw_input(g, "weight", TW_F32, TW_SHAPE(n));
    tw_value *x = tw_graph_input(g, "x"), *y = tw_model_build_decoder(g, m, through);
    tw_value *loss = tw_reconstruction(g, &c->reconstruction, m, x, y);
    tw_adversarial(g, &c->adversarial, m, x, y, loss);
    tw_value *commits =
        tw_affine(g, tw_squared_error(g, z, tw_detach(g, code), NULL), c->commitment, 0);
    if (c->codebook == EMA)
        tw_codebook_measure(g, tw_model_codes(m), z, index, weight);
    else
        commits = tw_add(g, tw_squared_error(g, tw_detach(g, z), code, NULL), commits);
    return tw_mul(g, tw_add(g, loss, commits), weight);
}

static void prepare(const void *config, tw_model *m)
{
    m->code_state = ((const quantised_config *)config)->codebook == EMA;
}

static bool owns(const void *config)
{
    const quantised_config *c = config;
    return c->codebook == EMA || c->adversarial.weight > 0 || c->reconstruction.features.weight > 0;
}

static const tw_objective_features *features(const void *config)
{
    return &((const quantised_config *)config)->reconstruction.features;
}

/* Whether the adversarial term counts. */
static void fill(const void *config, const tw_model *m, float *const *own,
                 const tw_objective_sample *s)
{
    const quantised_config *c = config;
    (void)m;
    if (own[0]) own[0][s->i] = tw_adversarial_on(&c->adversarial, s->stream.step);
}

static void advance(const void *config, const tw_model *m, const tw_objective_state *state)
{
    const quantised_config *c = config;
    (void)m;
    tw_adversarial_advance(state);
    if (c->codebook == EMA)
        tw_codebook_advance(c->decay, c->restart, state + TW_ADVERSARIAL_STATES);
}

static const char *const inputs[] = {TW_ADVERSARIAL_INPUT, NULL};
static const char *const states[] = {TW_ADVERSARIAL_STATE_NAMES, TW_CODEBOOK_STATE_NAMES, NULL};

static bool clean(const void *config)
{
    (void)config;
    return true;
}

const tw_objective_kind tw_objective_vector_quantised = {
    .kind = {"vector_quantised", "an autoencoder whose latents are codes", fields,
             sizeof fields / sizeof *fields, sizeof(quantised_config)},
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
    .prepare = prepare,
    .features = features,
    .reconstructs = true,
};
