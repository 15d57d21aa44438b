/* A vector-quantised autoencoder (van den Oord et al. 2017; Rombach et al. 2022, VQ-regularised):
 * vectors z of the encoder, e the nearest code of each, and with sg what gradients know nothing of
 *
 *   loss = d(x, x̂(z + sg(e − z))) + g d(∂x, ∂x̂) + |sg(z) − e|² + β |z − sg(e)|²,
 *
 * so that the decoder's gradient goes straight through to the encoder. Squares are means over the
 * numbers of a latent. Codes are parameters, which their own term moves (no running means). */
#include "objective/reconstruction.h"

extern const tw_objective_kind tw_objective_vector_quantised;

typedef struct quantised_config {
    tw_reconstruction_config reconstruction;
    double commitment;
} quantised_config;

static const tw_config_field fields[] = {
    TW_RECONSTRUCTION_FIELDS(quantised_config, reconstruction),
    {NULL, "commitment", TW_CONFIG_DOUBLE, offsetof(quantised_config, commitment), "0.25", 0, 1e6,
     .fixed = true, .help = "weight of how far the encoder's vectors are from their codes"},
};

static tw_status check(const void *config, const tw_model *m)
{
    tw_status st = TW_OK;
    (void)config;
    TW_CHECK(!m->classes, TW_ECONFIG,
             "network.classes: an autoencoder is told no classes; 0 was expected");
    TW_CHECK(tw_model_codes(m), TW_ECONFIG,
             "network.codes: objective.kind = vector_quantised learns codes; their number was "
             "expected, or objective.kind = autoencoder");
done:
    return st;
}

static tw_value *build(tw_graph *g, const void *config, const tw_model *m, int64_t n)
{
    const quantised_config *c = config;
    tw_value *index, *z = tw_model_build_encoder(g, m, n);
    tw_value *code = tw_model_build_codes(g, m, z, &index);
    tw_value *through = tw_add(g, z, tw_detach(g, tw_sub(g, code, z)));
    tw_value *loss = tw_reconstruction(g, &c->reconstruction, tw_graph_input(g, "x"),
                                       tw_model_build_decoder(g, m, through));
    tw_value *moves = tw_squared_error(g, tw_detach(g, z), code, NULL);
    tw_value *commits =
        tw_affine(g, tw_squared_error(g, z, tw_detach(g, code), NULL), c->commitment, 0);
    loss = tw_add(g, loss, tw_add(g, moves, commits));
    return tw_mul(g, loss, tw_input(g, "weight", TW_F32, TW_SHAPE(n)));
}

static bool clean(const void *config)
{
    (void)config;
    return true;
}

const tw_objective_kind tw_objective_vector_quantised = {
    .kind = {"vector_quantised", "an autoencoder whose latents are codes", fields,
             sizeof fields / sizeof *fields, sizeof(quantised_config)},
    .check = check,
    .build = build,
    .clean = clean,
    .reconstructs = true,
};
