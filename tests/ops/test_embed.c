/* Embeddings, dropout and the squared error. */
#include "ops/ops.h"
#include "ops/reference.h"
#include "tweedie/rng.h"

static const tw_run plain_run = {.seed = 1};

/* Computed by the code of score_sde_pytorch (models/layers.py, get_timestep_embedding) for 8
 * dimensions, t = 0.25 and 499.5. The phase 499.5 has a last place of 3e-5; an f32 exponential that
 * is off by one last place moves it by as much. */
static void sinusoidal_embedding_is_the_published_one(void **state)
{
    (void)state;
    static const double want[2][8] = {{0.247403964, 0.0116037112, 0.0005386087, 2.49999975e-05,
                                       0.968912423, 0.999932647, 0.999999881, 1.0},
                                      {0.0132315345, -0.929696381, 0.88013202, 0.0499292277,
                                       -0.999912441, -0.368326813, 0.474729061, 0.998752773}};
    const float t[2] = {0.25f, 499.5f};
    float y[16];
    tw_graph *g = new_graph();
    single s;
    single_create(&s, tw_embed_sinusoidal(g, tw_input(g, "t", TW_F32, TW_SHAPE(2)), 8, 10000),
                  TW_DTYPE_BF16, 0);
    single_set(&s, 0, t);
    single_run(&s, &plain_run);
    single_get(&s, 0, y);
    for (int n = 0; n < 2; n++)
        for (int i = 0; i < 8; i++)
            assert_true(fabs((double)y[n * 8 + i] - want[n][i]) < (n ? 4e-6 : 1e-7));
    single_destroy(&s);
    tw_graph_destroy(&g);
}

static void naive_sinusoidal(const tw_node *n, double *const *in, double *out)
{
    const int64_t dim = n->attr.i[0], half = dim / 2;
    for (int64_t k = 0; k < tw_shape_count(n->out[0].shape); k++) {
        const int64_t i = k % dim % half;
        const double phase =
            in[0][k / dim] *
            exp(half > 1 ? -log(n->attr.f[0]) * (double)i / (double)(half - 1) : 0.0);
        out[k] = k % dim == 2 * half ? 0 : k % dim < half ? sin(phase) : cos(phase);
    }
}

/* cos in front of sin, i over half: improved-diffusion. */
static void naive_timestep(const tw_node *n, double *const *in, double *out)
{
    const int64_t dim = n->attr.i[0], half = dim / 2;
    for (int64_t k = 0; k < tw_shape_count(n->out[0].shape); k++) {
        const double phase = in[0][k / dim] * exp(-log(n->attr.f[0]) * (double)(k % dim % half) /
                                                  ((double)half - n->attr.f[1]));
        const bool cosine = (k % dim < half) == (n->attr.i[2] != 0);
        out[k] = k % dim == 2 * half ? 0 : cosine ? cos(phase) : sin(phase);
    }
}

static void naive_fourier(const tw_node *n, double *const *in, double *out)
{
    const int64_t dim = tw_shape_channels(n->out[0].shape), half = dim / 2;
    for (int64_t k = 0; k < tw_shape_count(n->out[0].shape); k++) {
        const double phase = 2 * M_PI * in[0][k / dim] * in[1][k % half];
        out[k] = k % dim < half ? sin(phase) : cos(phase);
    }
}

static void embeddings_of_any_width_follow_their_formula(void **state)
{
    (void)state;
    for (int64_t dim = 2; dim < 12; dim++) {
        tw_graph *g = new_graph();
        tw_value *t = tw_input(g, "t", TW_F32, TW_SHAPE(dim % 3 + 1)),
                 *w = tw_constant(g, "w", TW_SHAPE(dim), tw_init_ones);
        agrees(tw_embed_sinusoidal(g, t, dim, 100), naive_sinusoidal, 10, 32, &plain_run);
        agrees(tw_embed_timestep(g, t, dim, 100, 0, true), naive_timestep, 10, 32, &plain_run);
        if (dim > 3)
            agrees(tw_embed_timestep(g, t, dim, 100, 1, false), naive_timestep, 10, 32, &plain_run);
        agrees(tw_embed_fourier(g, t, w), naive_fourier, 3, 64, &plain_run);
        tw_graph_destroy(&g);
    }
}

static void naive_table(const tw_node *n, double *const *in, double *out)
{
    const int64_t rows = n->in[0]->shape.dims[0], dim = n->in[0]->shape.dims[1];
    for (int64_t k = 0; k < tw_shape_count(n->out[0].shape); k++) {
        const double row = in[1][k / dim];
        out[k] = row >= 0 && row < (double)rows ? in[0][(int64_t)row * dim + k % dim] : 0;
    }
}

static void naive_table_grad(const tw_node *n, double *const *in, double *out)
{
    const int64_t rows = n->out[0].shape.dims[0], dim = n->out[0].shape.dims[1];
    for (int64_t k = 0; k < rows * dim; k++) out[k] = 0;
    for (int64_t k = 0; k < tw_shape_count(n->in[0]->shape); k++) {
        const double row = in[1][k / dim];
        if (row >= 0 && row < (double)rows) out[(int64_t)row * dim + k % dim] += in[0][k];
    }
}

/* The tests' indices go from -1 to 3: some are outside of a table of two rows. */
static void tables_give_rows_and_gather_their_gradients(void **state)
{
    (void)state;
    for (int64_t rows = 1; rows <= 4; rows++) {
        tw_graph *g = new_graph();
        const int64_t dim = rows == 4 ? 10007 : 5 * rows;
        tw_value *table = tw_param(g, "table", TW_SHAPE(rows, dim), tw_init_zeros),
                 *index = tw_input(g, "index", TW_I32, TW_SHAPE(13));
        agrees(tw_embed_table(g, table, index), naive_table, 1, 0, &plain_run);
        agrees(tw_embed_table_grad(g, tw_input(g, "gout", TW_F32, TW_SHAPE(13, dim)), index, rows),
               naive_table_grad, 1, 8, &plain_run);
        tw_graph_destroy(&g);
    }
}

static const tw_run training = {.seed = 77, .step = 5, .position = 1000, .training = true};

static void naive_dropout(const tw_node *n, double *const *in, double *out)
{
    const int64_t total = tw_shape_count(n->out[0].shape), each = total / n->out[0].shape.dims[0];
    const int k = tw_rng_dropout_threshold(n->attr.f[0]);
    for (int64_t j = 0; j < total; j++) {
        const tw_rng_stream s = {
            .seed = 77, .purpose = TW_RNG_DROPOUT, .position = 1000 + j / each, .step = 5};
        uint8_t byte;
        tw_rng_bytes(&byte, &s, (int)n->attr.i[0], j % each, 1);
        out[j] = byte < k ? 0 : in[0][j] * 256 / (256 - k);
    }
}

static void dropout_takes_its_mask_from_seed_step_position_and_layer(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 255, 257, 16384 + 3, 40001};
    for (int i = 0; i < 5; i++) {
        tw_graph *g = new_graph();
        tw_value *x = tw_input(g, "x", TW_ACT, TW_SHAPE(3, sizes[i]));
        for (int layer = 0; layer < 3; layer++) {
            tw_value *y = tw_dropout(g, x, 0.1 + 0.4 * layer);
            assert_int_equal(y->node->attr.i[0], layer);
            agrees(y, naive_dropout, 1, 2, &training);
        }
        tw_graph_destroy(&g);
    }
}

static void naive_copy(const tw_node *n, double *const *in, double *out)
{
    memcpy(out, in[0], (size_t)tw_shape_count(n->out[0].shape) * sizeof *out);
}

static void dropout_is_the_identity_outside_of_training(void **state)
{
    (void)state;
    tw_graph *g = new_graph();
    tw_value *x = tw_input(g, "x", TW_ACT, TW_SHAPE(2, 19));
    agrees(tw_dropout(g, x, 0.5), naive_copy, 1, 0, &plain_run);
    assert_ptr_equal(tw_dropout(g, x, 0), x);
    assert_null(tw_dropout(g, x, 1));
    assert_int_equal(tw_graph_status(g), TW_ECONFIG);
    tw_graph_destroy(&g);
}

static void naive_squared_error(const tw_node *n, double *const *in, double *out)
{
    const int64_t count = n->out[0].shape.dims[0], each = tw_shape_count(n->in[0]->shape) / count;
    for (int64_t i = 0; i < count; i++) {
        double total = 0;
        for (int64_t j = i * each; j < (i + 1) * each; j++)
            total += (in[0][j] - in[1][j]) * (in[0][j] - in[1][j]);
        out[i] = total / (double)each * (in[2] ? in[2][i] : 1);
    }
}

static void squared_error_is_that_of_double(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 19, 1025, 40001};
    for (int i = 0; i < 4; i++)
        for (int types = 0; types < 8; types++) {
            tw_graph *g = new_graph();
            tw_value *a = tw_input(g, "a", types & 1 ? TW_F32 : TW_ACT, TW_SHAPE(3, sizes[i]));
            tw_value *b = tw_input(g, "b", types & 2 ? TW_F32 : TW_ACT, TW_SHAPE(3, sizes[i]));
            tw_value *weight = types & 4 ? tw_input(g, "weight", TW_F32, TW_SHAPE(3)) : NULL;
            agrees(tw_squared_error(g, a, b, weight), naive_squared_error, 1, 8, &plain_run);
            tw_graph_destroy(&g);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sinusoidal_embedding_is_the_published_one),
        cmocka_unit_test(embeddings_of_any_width_follow_their_formula),
        cmocka_unit_test(tables_give_rows_and_gather_their_gradients),
        cmocka_unit_test(dropout_takes_its_mask_from_seed_step_position_and_layer),
        cmocka_unit_test(dropout_is_the_identity_outside_of_training),
        cmocka_unit_test(squared_error_is_that_of_double),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
