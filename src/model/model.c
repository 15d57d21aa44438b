/* Binding a network to a process by a prediction. */
#include "tweedie/model.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "tweedie/memory.h"

static const tw_config_field variance_field = {
    NULL,
    "variance",
    TW_CONFIG_CHOICE,
    offsetof(tw_model, variance),
    "fixed",
    .choices = "fixed|learned_range",
    .fixed = true,
    .help = "variance of ancestral steps: the process's, or learned between its bounds"};

static const tw_config_field network_fields[] = {
    {NULL, "shape", TW_CONFIG_INTS, offsetof(tw_model, seen), "", 1, 1e9, .fixed = true,
     .help = "how the network sees the numbers of a sample: L, C (signals), H, W, C, or D, H, W, C "
             "(volumes); empty: as the data say"},
    {NULL, "pad", TW_CONFIG_CHOICE, offsetof(tw_model, pad), "no", .choices = "no|zero|reflect",
     .fixed = true,
     .help = "samples whose sides the network cannot halve as often as it does: refused, or padded "
             "and the output cropped"},
    {NULL, "padding", TW_CONFIG_CHOICE, offsetof(tw_model, padding), "zero",
     .choices = "zero|circular", .fixed = true,
     .help =
         "what convolutions and filters find outside: zeros, or the other side, for fields on a "
         "torus (periodic boundaries); a network shifts its output with its input then"},
    {NULL, "classes", TW_CONFIG_INT64, offsetof(tw_model, classes), "0", 0, 1e6, .fixed = true,
     .help = "classes of the samples that the network is told; 0: none, whatever the data have"},
    {NULL, "label_dropout", TW_CONFIG_DOUBLE, offsetof(tw_model, label_dropout), "0", 0, 1,
     .fixed = true,
     .help = "probability that a sample of training is told to be of no class, so that the "
             "network learns both (classifier-free guidance)"},
};

/* A process says what is predicted where the configuration does not. */
static const char *usual_prediction(const tw_model *m)
{
    return m->process->kind ? m->process->kind->prediction : "epsilon";
}

tw_status tw_model_configure(tw_model **out, tw_config *config)
{
    static const tw_model_sections own = {"network", "process", "prediction"};
    return tw_model_configure_in(out, config, &own);
}

tw_status tw_model_configure_in(tw_model **out, tw_config *config,
                                const tw_model_sections *sections)
{
    tw_status st = TW_OK;
    tw_model *m = NULL;
    const tw_choice_rule network = {.section = sections->network,
                                    .key = "kind",
                                    .help = "the network",
                                    .kinds = tw_net_kinds,
                                    .fixed = true};
    tw_choice_rule prediction = {.section = sections->prediction,
                                 .key = "kind",
                                 .help = "what the network's output means",
                                 .kinds = tw_prediction_kinds,
                                 .fixed = true};
    TW_TRY(tw_alloc(&m, 1, sizeof *m, "a model"));
    TW_TRY(tw_choice_bind(&m->network, config, &network));
    TW_TRY(tw_process_bind_in(&m->process, config, sections->process));
    prediction.default_name = usual_prediction(m);
    TW_TRY(tw_choice_bind(&m->predicted, config, &prediction));
    TW_TRY(tw_config_bind_in(config, sections->prediction, &variance_field, 1, m));
    TW_TRY(tw_config_bind_in(config, sections->network, network_fields,
                             sizeof network_fields / sizeof *network_fields, m));
    m->net = (const tw_net *)m->network.kind;
    m->prediction = (const tw_prediction *)m->predicted.kind;
    *out = m;
    m = NULL;
done:
    tw_model_destroy(&m);
    return st;
}

void tw_model_destroy(tw_model **model)
{
    if (!*model) return;
    tw_params_destroy(&(*model)->params);
    tw_process_destroy(&(*model)->process);
    tw_choice_free(&(*model)->network);
    tw_choice_free(&(*model)->predicted);
    tw_free(model);
}

static tw_shape with_batch(const tw_model *m, int64_t n)
{
    tw_shape x = {.rank = m->sample.rank + 1, .dims = {n}};
    memcpy(x.dims + 1, m->sample.dims, (size_t)m->sample.rank * sizeof *x.dims);
    return x;
}

static int64_t outputs(const tw_model *m)
{
    if (m->net->logits) return m->classes;
    const int64_t own = m->prediction->outputs,
                  channels = own ? own : m->sample.dims[m->sample.rank - 1];
    return m->variance == TW_VARIANCE_LEARNED_RANGE ? 2 * channels : channels;
}

/* The mean's part comes first, the variance's second (improved-diffusion). */
static void take_output(tw_model_values *v, tw_graph *g, const tw_model *m)
{
    const int64_t channels = m->sample.dims[m->sample.rank - 1];
    v->output = v->net;
    if (m->net->logits) return;
    if (m->prediction->build)
        v->output = m->prediction->build(g, m->predicted.config, v->x, v->net, &v->energy);
    if (m->variance != TW_VARIANCE_LEARNED_RANGE) return;
    v->variance = tw_slice(g, v->output, channels, channels);
    v->output = tw_slice(g, v->output, 0, channels);
}

/* What the network sees: x, and behind its channels those of the condition. */
static tw_value *with_condition(tw_graph *g, const tw_model *m, tw_value *x)
{
    if (!m->condition || !x) return x;
    tw_shape y = x->shape;
    y.dims[y.rank - 1] = m->condition / (m->dims / m->sample.dims[m->sample.rank - 1]);
    return tw_concat(g, x, tw_input(g, "condition", TW_F32, y));
}

tw_model_values tw_model_build(tw_graph *g, const tw_model *m, int64_t n, tw_reference_names *names)
{
    tw_model_values v = {.x = tw_input(g, "x", TW_F32, with_batch(m, n))};
    const bool unlabelled = m->label_dropout > 0;
    const int64_t told = tw_model_augment_labels(m);
    const tw_net_inputs in = {
        .x = with_condition(g, m, v.x),
        .t = tw_input(g, "t", TW_F32, TW_SHAPE(n)),
        .log_sigma = tw_input(g, "log_sigma", TW_F32, TW_SHAPE(n)),
        .index = tw_input(g, "index", TW_I32, TW_SHAPE(n)),
        .levels = m->process->steps,
        .label = m->classes && !m->net->logits ? tw_input(g, "label", TW_I32, TW_SHAPE(n)) : NULL,
        .classes = m->classes + unlabelled,
        .unlabelled = unlabelled,
        .augment = told ? tw_input(g, "augment", TW_F32, TW_SHAPE(n, told)) : NULL,
        .sample = m->sample,
        .outputs = outputs(m),
        .code_state = m->code_state,
        .features = m->net->logits ? &v.features : NULL,
        .reference_names = names};
    tw_graph_set_padding(g, m->padding ? TW_PAD_CIRCULAR : TW_PAD_ZERO);
    v.net = tw_net_build(m->net, m->network.config, (tw_net_padding)m->pad, g, &in);
    tw_graph_set_padding(g, TW_PAD_ZERO);
    take_output(&v, g, m);
    return v;
}

/* [n] as [n, 1, …] of the rank of a batch. */
static tw_value *coefficient(tw_graph *g, const char *name, const tw_value *like)
{
    tw_shape s = {.rank = like->shape.rank, .dims = {like->shape.dims[0], 1, 1, 1, 1}};
    return tw_reshape(g, tw_input(g, name, TW_F32, TW_SHAPE(like->shape.dims[0])), s);
}

tw_value *tw_model_build_score(tw_graph *g, const tw_model *m, const tw_model_values *v)
{
    (void)m;
    if (!v->x || !v->output) return NULL;
    tw_value *of_x = tw_mul(g, v->x, coefficient(g, "score_x", v->x));
    return tw_add(g, of_x, tw_mul(g, v->output, coefficient(g, "score_f", v->x)));
}

static tw_status check(const tw_model *m)
{
    tw_status st = TW_OK;
    TW_TRY(tw_process_prepare(m->process));
    if (m->prediction->check) TW_TRY(m->prediction->check(m->predicted.config, m->process));
    TW_CHECK(m->label_dropout == 0 || m->classes, TW_ECONFIG,
             "network.label_dropout: there are no labels to drop; network.classes says how many "
             "classes there are");
    if (m->variance == TW_VARIANCE_FIXED) return TW_OK;
    TW_CHECK(tw_process_is_discrete(m->process) && m->process->steps > 1, TW_ECONFIG,
             "prediction.variance: a learned variance is that of the steps of a discrete process "
             "(ddpm); process.kind is %s",
             m->process->kind->kind.name);
    TW_CHECK(!m->prediction->build, TW_ECONFIG,
             "prediction.variance: prediction.kind = %s has no room for a variance beside it",
             m->prediction->kind.name);
done:
    return st;
}

/* The same numbers in their order under the shape that network.shape gives. */
static tw_status see(tw_shape *sample, const tw_config_ints *seen)
{
    char text[64];
    tw_shape s = {.rank = (int)seen->count};
    int64_t numbers = 1;
    if (!seen->count) return TW_OK;
    if (seen->count > TW_RANK_MAX - 1)
        return tw_error_set(TW_ECONFIG, "network.shape: %lld dimensions, at most %d",
                            (long long)seen->count, TW_RANK_MAX - 1);
    for (int d = 0; d < s.rank; d++) {
        s.dims[d] = seen->values[d];
        if (tw_multiply(&numbers, numbers, s.dims[d], "network.shape") != TW_OK) return TW_ECONFIG;
    }
    if (numbers != tw_shape_count(*sample))
        return tw_error_set(
            TW_ECONFIG, "network.shape: %lld numbers, and a sample of the data has %lld: %s",
            (long long)numbers, (long long)tw_shape_count(*sample), tw_shape_text(*sample, text));
    *sample = s;
    return TW_OK;
}

/* A condition has a number of channels for each pixel that the network sees. */
static tw_status check_condition(const tw_model *m, tw_shape sample)
{
    tw_status st = TW_OK;
    char text[64];
    const int64_t pixels = tw_shape_count(sample) / sample.dims[sample.rank - 1];
    TW_CHECK(m->condition % pixels == 0, TW_ECONFIG,
             "network.shape: a condition has %lld numbers, which are no channels of the %lld "
             "pixels of %s",
             (long long)m->condition, (long long)pixels, tw_shape_text(sample, text));
done:
    return st;
}

tw_status tw_model_create(tw_model *m, tw_shape sample, uint64_t seed)
{
    tw_status st = TW_OK;
    tw_graph *g = NULL;
    TW_TRY(see(&sample, &m->seen));
    TW_TRY(check_condition(m, sample));
    TW_CHECK(!m->net->judges, TW_ECONFIG,
             "network.kind: %s is a discriminator, which objective.adversarial_weight takes as "
             "discriminator.kind; a network that models samples was expected",
             m->net->kind.name);
    TW_CHECK(!m->net->halves || m->pad == TW_NET_PAD_NO, TW_ECONFIG,
             "network.pad: an autoencoder's samples are not padded, as their latents would be of "
             "the border too; no was expected");
    TW_CHECK(!m->net->halves || !m->condition, TW_ECONFIG,
             "data.condition: an autoencoder is given nothing beside its samples; no was expected");
    TW_CHECK(!m->padding || m->pad == TW_NET_PAD_NO, TW_ECONFIG,
             "network.pad: a border around samples and network.padding = circular exclude each "
             "other; no was expected");
    TW_TRY(tw_net_check(m->net, m->network.config, (tw_net_padding)m->pad, sample));
    TW_CHECK(
        !m->net->logits || m->classes > 1, TW_ECONFIG,
        "network.classes: network.kind = %s is a classifier; its number of classes, 2 or more, "
        "was expected",
        m->net->kind.name);
    TW_TRY(check(m));
    m->sample = sample;
    m->dims = tw_shape_count(sample);
    TW_TRY(tw_graph_create(&g));
    tw_model_build(g, m, 1, NULL);
    TW_TRY(tw_graph_status(g));
    TW_CHECK(!m->padding || tw_graph_is_padded(g), TW_ECONFIG,
             "network.padding: circular, and network.kind = %s of such samples has no convolutions "
             "with borders; zero was expected",
             m->net->kind.name);
    TW_CHECK(!m->classes || m->net->logits || tw_graph_reads(g, "label"), TW_ECONFIG,
             "network.classes: network.kind = %s takes no classes; 0 was expected",
             m->net->kind.name);
    TW_TRY(tw_params_create(&m->params, g));
    TW_TRY(tw_params_initialise(m->params, seed));
done:
    tw_graph_destroy(&g);
    return st;
}

void tw_model_inputs_find(tw_model_inputs *out, tw_plan *plan)
{
    *out = (tw_model_inputs){.x = tw_plan_input(plan, "x"),
                             .t = tw_plan_input(plan, "t"),
                             .log_sigma = tw_plan_input(plan, "log_sigma"),
                             .augment = tw_plan_input(plan, "augment"),
                             .condition = tw_plan_input(plan, "condition"),
                             .index = tw_plan_input(plan, "index"),
                             .label = tw_plan_input(plan, "label")};
}

void tw_model_inputs_give(const tw_model_inputs *in, const tw_model *m, int64_t i, const float *y)
{
    const size_t bytes = (size_t)m->condition * sizeof *y;
    if (!in->condition) return;
    if (y)
        memcpy(in->condition + i * m->condition, y, bytes);
    else
        memset(in->condition + i * m->condition, 0, bytes);
}

void tw_model_inputs_set(const tw_model_inputs *in, const tw_model *m, int64_t i, double t,
                         int32_t label)
{
    const tw_prediction *p = m->prediction;
    if (in->t)
        in->t[i] = (float)(p->condition ? p->condition(m->predicted.config, m->process, t)
                                        : tw_process_condition(m->process, t));
    if (in->log_sigma) in->log_sigma[i] = (float)log(tw_process_sigma(m->process, t));
    if (in->index) in->index[i] = (int32_t)tw_process_condition(m->process, t);
    if (in->label) in->label[i] = label == TW_NO_CLASS ? (int32_t)m->classes : label;
    const int64_t told = in->augment ? tw_model_augment_labels(m) : 0;
    for (int64_t k = 0; k < told; k++) in->augment[i * told + k] = 0;
}

void tw_model_inputs_set_augment(const tw_model_inputs *in, const tw_model *m, int64_t i,
                                 const float *labels)
{
    const int64_t told = tw_model_augment_labels(m);
    if (in->augment) memcpy(in->augment + i * told, labels, (size_t)told * sizeof *labels);
}

int64_t tw_model_augment_labels(const tw_model *m)
{
    return m->net->augment_labels ? m->net->augment_labels(m->network.config) : 0;
}

tw_model_view tw_model_view_at(const tw_model *m, double t)
{
    double a, b;
    const tw_prediction *p = m->prediction;
    const double alpha = tw_process_alpha(m->process, t), sigma = tw_process_sigma(m->process, t);
    p->target(m->predicted.config, m->process, t, &a, &b);
    const double d = alpha * b - sigma * a;
    return (tw_model_view){.input = p->input ? p->input(m->predicted.config, m->process, t) : 1,
                           .score_x = a / (d * sigma),
                           .score_f = -alpha / (d * sigma),
                           .x0_x = b / d,
                           .x0_f = -sigma / d,
                           .noise_x = -a / d,
                           .noise_f = alpha / d};
}

tw_status tw_model_reference_names(tw_reference_names *out, const tw_model *m)
{
    tw_status st = TW_OK;
    tw_graph *g = NULL;
    TW_TRY(tw_graph_create(&g));
    tw_model_build(g, m, 1, out);
    TW_TRY(tw_graph_status(g));
done:
    tw_graph_destroy(&g);
    return st;
}
