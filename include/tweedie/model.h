/* A model: a network, a forward process, and a prediction that says what the network's output means
 * for the process. It owns the parameter store. What others see of it is the score, s(x, t) = ∇x
 * log p_t(x), of a conditional model ∇x log p_t(x | y): y is concatenated to the network's input as
 * channels, behind the prediction's scaling of x, which is not applied to it. Not collective. */
#ifndef TWEEDIE_MODEL_H
#define TWEEDIE_MODEL_H

#include "tweedie/net.h"
#include "tweedie/plan.h"
#include "tweedie/prediction.h"
#include "tweedie/process.h"
#include "tweedie/score.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The variance of an ancestral step: the process's, or learned beside the prediction (Nichol and
 * Dhariwal 2021): v in [−1, 1] interpolates log β̃ and log β. */
typedef enum tw_variance { TW_VARIANCE_FIXED, TW_VARIANCE_LEARNED_RANGE } tw_variance;

typedef struct tw_model {
    const tw_net *net;
    const tw_prediction *prediction;
    tw_process *process;
    int variance;         /* tw_variance */
    int pad;              /* tw_net_padding, of samples with other sides than the network's */
    int padding;          /* what convolutions find outside: 0 zeros, 1 the period (circular) */
    int64_t condition;    /* numbers of the y of a sample, that the network is given; 0: none.
                             Set before tw_model_create, by who knows the data */
    int64_t classes;      /* of the samples, that the network is told; 0: it is told none */
    double label_dropout; /* probability that a sample of training is one of no class */
    tw_config_ints seen;  /* the shape that the network sees, of as many numbers; none: sample's */
    tw_shape sample;      /* what it sees, without the batch */
    int64_t dims;         /* numbers of a sample */
    tw_params *params;
    tw_choice network, predicted; /* what net and prediction were chosen by, with their keys */
    bool code_state; /* an autoencoder's codes are what its objective advances, and no trained
                        parameters. Set before tw_model_create (tw_objective_prepare) */
    const struct tw_model *features; /* borrowed: the frozen classifier that an objective compares
                                        samples by, configured and not created; or NULL */
} tw_model;

/* Binds [network], [process] and [prediction]. Errors are collected in the configuration
 * (tw_config_finish); what depends on the samples' shape is checked by tw_model_create.
 * @param[out] out  tw_model_destroy, in any case; before the configuration is destroyed */
tw_status tw_model_configure(tw_model **out, tw_config *config);

/* The same of other sections, for a second network beside a model. The names must outlive the
 * configuration. */
typedef struct tw_model_sections {
    const char *network, *process, *prediction;
} tw_model_sections;
tw_status tw_model_configure_in(tw_model **out, tw_config *config,
                                const tw_model_sections *sections);

/* Builds the network for samples of this shape ([H, W, C] or [D]), which it sees as network.shape
 * says, and creates the parameter store, filled from `seed`. The numbers of a condition become as
 * many channels of the same sides as they are.
 * @return TW_ECONFIG where the configuration does not fit the samples */
tw_status tw_model_create(tw_model *m, tw_shape sample, uint64_t seed);
void tw_model_destroy(tw_model **model);

/* ---- in a graph ---- */

/* Values of a model's graph; borrowed from it, NULL after an error. */
typedef struct tw_model_values {
    tw_value *x;        /* the input "x", f32 [n, sample…]: c_in x_t, without the condition */
    tw_value *net;      /* the network's output itself; logits f32 [n, classes] of a classifier */
    tw_value *output;   /* F, f32 [n, sample…] */
    tw_value *variance; /* v, f32 [n, sample…]; NULL unless it is learned */
    tw_value *energy;   /* f32 [n]; NULL unless the network is one */
    tw_value *features; /* f32 [n, width]: what a classifier's last layer reads; NULL of others */
} tw_model_values;

/* Adds the network for a batch of n. Its inputs are "x", "t", "log_sigma", "index", where there are
 * classes "label", where the network takes them "augment", and where there are conditions
 * "condition".
 * @param names  collects the published parameter names where not NULL */
tw_model_values tw_model_build(tw_graph *g, const tw_model *m, int64_t n,
                               tw_reference_names *names);

/* s = score_x x_t + score_f F in the graph, f32 [n, sample…], for objectives that differentiate the
 * score. Adds the inputs "score_x" and "score_f" [n], of tw_model_view, and c_in must be 1. */
tw_value *tw_model_build_score(tw_graph *g, const tw_model *m, const tw_model_values *v);

/* The memory of a plan's model inputs; NULL where the network does not read one. */
typedef struct tw_model_inputs {
    float *x, *t, *log_sigma, *augment, *condition;
    int32_t *index, *label;
} tw_model_inputs;
void tw_model_inputs_find(tw_model_inputs *out, tw_plan *plan);
/* Writes what the network is told of sample i of the batch: its time t; its class, which nothing
 * reads where there are no classes; and that nothing was done to it. TW_NO_CLASS needs a label
 * dropout. */
void tw_model_inputs_set(const tw_model_inputs *in, const tw_model *m, int64_t i, double t,
                         int32_t label);
/* How sample i was augmented: tw_model_augment_labels numbers, which nothing reads where that is 0.
 */
void tw_model_inputs_set_augment(const tw_model_inputs *in, const tw_model *m, int64_t i,
                                 const float *labels);
/* Numbers that the network is told of how a sample was augmented. */
int64_t tw_model_augment_labels(const tw_model *m);
/* Writes what sample i is given, y [m->condition] in model units; NULL: zeros. Does nothing where
 * there are no conditions. */
void tw_model_inputs_give(const tw_model_inputs *in, const tw_model *m, int64_t i, const float *y);

/* ---- what the output means ---- */

/* How score, x̂_0 and ẑ follow from x_t and the output F at one time. */
typedef struct tw_model_view {
    double input; /* c_in: the network is given input · x_t */
    double score_x, score_f;
    double x0_x, x0_f;
    double noise_x, noise_f;
} tw_model_view;
tw_model_view tw_model_view_at(const tw_model *m, double t);

/* The published names of the network's parameters. Zero-initialised `out` is released with
 * tw_reference_names_free. */
tw_status tw_model_reference_names(tw_reference_names *out, const tw_model *m);

/* ---- as a score ---- */

/* The network as a score: plans of one fixed batch over the model's parameters. Larger requests are
 * cut, the last batch is padded, so a sample's score does not depend on what it is computed with.
 */
typedef struct tw_model_score tw_model_score;
tw_status tw_model_score_create(tw_model_score **out, tw_model *m, int64_t batch,
                                tw_precision precision, tw_convolution convolution);
void tw_model_score_destroy(tw_model_score **score);

/* What a score of a model with classes is conditioned on, p(x | label), where nothing else is asked
 * for (tw_score.condition); at first each class in turn. The list is borrowed; labels->classes is
 * the model's. */
void tw_model_score_condition(tw_model_score *score, const tw_labels *labels);

/* What the samples of a conditional model are given, by their global index: sample first + i has
 * row i modulo count. */
typedef struct tw_given {
    const float *y; /* [count][m->condition], model units */
    int64_t first, count;
} tw_given;
/* p(x | y) from now on; at first y is zero. The rows are borrowed. */
void tw_model_score_give(tw_model_score *score, const tw_given *given);
/* The row of one sample; NULL where there are none. */
const float *tw_given_of(const tw_given *given, const tw_model *m, int64_t index);

/* To be called after each change of the parameters. */
void tw_model_score_refresh(tw_model_score *score);
/* What samplers and likelihood take. Borrowed. vjp is planned when it is first called. */
const tw_score *tw_model_score_view(const tw_model_score *score);
/* The network's F, its noise ẑ or its denoised x̂_0 at given points: x, out [n][dims]; t, index
 * [n]. */
typedef enum tw_model_quantity { TW_MODEL_OUTPUT, TW_MODEL_NOISE, TW_MODEL_X0 } tw_model_quantity;
tw_status tw_model_score_quantity(tw_model_score *score, tw_model_quantity which, int64_t n,
                                  const float *x, const double *t, const int64_t *index,
                                  float *out);
/* The forward plan, for printing and profiling. Borrowed. */
tw_plan *tw_model_score_plan(const tw_model_score *score);

/* ---- as an autoencoder ---- */

bool tw_model_is_autoencoder(const tw_model *m);
/* The shape of a latent; of an autoencoder. */
tw_shape tw_model_latent(const tw_model *m);

/* Vectors that its latents are made of; 0: they are any. */
int64_t tw_model_codes(const tw_model *m);

/* Add the halves for a batch of n to a graph: the encoder of the new input "x", which gives the
 * moments of the latents, mean ‖ ln variance along the channels, f32, or where there are codes the
 * vectors; the nearest code of each, through which no gradient comes to z, and which they are; and
 * the decoder of latents z, which are codes already where there are some. */
tw_value *tw_model_build_codes(tw_graph *g, const tw_model *m, tw_value *z, tw_value **index);
tw_value *tw_model_build_encoder(tw_graph *g, const tw_model *m, int64_t n);
tw_value *tw_model_build_decoder(tw_graph *g, const tw_model *m, tw_value *z);

/* The halves as plans of one fixed batch: larger requests are cut, the last batch is padded, so a
 * latent does not depend on what it is computed with. Latents are in the network's own units. */
typedef struct tw_model_codec tw_model_codec;
typedef enum tw_codec_half {
    TW_CODEC_ENCODER = 1,
    TW_CODEC_DECODER = 2,
    TW_CODEC_DECODER_VJP = 4, /* the decoder's derivative by its latent */
} tw_codec_half;
/* @param halves  of tw_codec_half: what is planned @return TW_ECONFIG for a network that is no
 * autoencoder */
tw_status tw_model_codec_create(tw_model_codec **out, tw_model *m, int halves, int64_t batch,
                                tw_precision precision, tw_convolution convolution);
/* Bytes of the plans. */
double tw_model_codec_bytes(const tw_model_codec *codec);
/* To be called after each change of the parameters. */
void tw_model_codec_refresh(tw_model_codec *codec);
void tw_model_codec_destroy(tw_model_codec **codec);
/* Numbers of a latent. */
int64_t tw_model_codec_numbers(const tw_model_codec *codec);
/* @param x          [n][dims], model units
 * @param[out] mean  [n][numbers]
 * @param[out] log_variance  [n][numbers], or NULL; not written where there are codes */
void tw_model_codec_encode(tw_model_codec *codec, int64_t n, const float *x, float *mean,
                           float *log_variance);
/* Where there are codes, each vector is replaced by the nearest. @param z  [n][numbers]
 * @param[out] x      [n][dims], model units
 * @param[out] index  [n][vectors of a latent], which codes; or NULL. Not written where there are
 *                    none */
void tw_model_codec_decode(tw_model_codec *codec, int64_t n, const float *z, float *x,
                           int32_t *index);
/* gz = D'(z)ᵀ gx, D the decoder; through codes straight, as if z were the codes that it is decoded
 * as. Of a codec with TW_CODEC_DECODER_VJP.
 * @param z, gx    [n][numbers], [n][dims]
 * @param[out] gz  [n][numbers] */
void tw_model_codec_decoder_vjp(tw_model_codec *codec, int64_t n, const float *z, const float *gx,
                                float *gz);

/* ---- as a factor of another model's density ---- */

/* A classifier's log p(label | x_t), or minus an energy model's energy, with its gradient by the
 * network's own: what guides another model's score. A plan of one fixed batch, as of a score. */
typedef struct tw_model_factor tw_model_factor;
/* @param text  names the weights, for tw_log_factor.text: a digest; copied
 * @return TW_ECONFIG for a network that is neither */
tw_status tw_model_factor_create(tw_model_factor **out, tw_model *m, const char *text,
                                 int64_t batch, tw_precision precision, tw_convolution convolution);
void tw_model_factor_destroy(tw_model_factor **factor);
/* The class of the largest logit; of a classifier. x [n][dims], model units; t, label [n]. */
tw_status tw_model_factor_classify(const tw_model_factor *factor, int64_t n, const float *x,
                                   const double *t, int32_t *label);
/* Borrowed. */
const tw_log_factor *tw_model_factor_view(const tw_model_factor *factor);

/* ---- as features ---- */

/* What a classifier's last layer reads of samples at the least noise that it knows: what metrics of
 * sample sets compare. A plan of one fixed batch, so the features of a sample do not depend on what
 * it is computed with. */
typedef struct tw_model_features tw_model_features;
/* @param sample  the shape of the samples; another one than the model's only where its network
 * takes any extent (tw_net.any_extent)
 * @return TW_ECONFIG for a network that names no features, or cannot take the samples */
tw_status tw_model_features_create(tw_model_features **out, const tw_model *m, tw_shape sample,
                                   int64_t batch, tw_precision precision,
                                   tw_convolution convolution);
void tw_model_features_destroy(tw_model_features **features);
int64_t tw_model_features_width(const tw_model_features *features);
/* @param x         [n][numbers of a sample], model units
 * @param[out] out  [n][width] */
void tw_model_features_compute(const tw_model_features *features, int64_t n, const float *x,
                               float *out);
/* Borrowed. */
tw_plan *tw_model_features_plan(const tw_model_features *features);

/* ---- as a distance ---- */

/* Whether samples of that shape can be given to a classifier that is configured, and not created.
 * @return TW_ECONFIG saying why not */
tw_status tw_model_check_maps(const tw_model *classifier, tw_shape sample);
/* Adds a classifier to a graph, at the least noise that it knows and without dropout, over samples
 * x that are there, f32 [n, sample…] in model units, and gives its feature maps. Its parameters
 * are declared in the open scope under their own names. The graph fails where there are no maps. */
void tw_model_build_maps(tw_net_maps *out, tw_graph *g, const tw_model *classifier, tw_value *x);

#ifdef __cplusplus
}
#endif

#endif
