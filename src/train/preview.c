/* What the first average of the weights can do by now: its loss on the validation split, and a grid
 * of samples. The average lies on the first node; all ranks get a copy in a second model and share
 * the work. */
#include <math.h>
#include <string.h>

#include "train/preview.h"
#include "train/preview_wants.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"
#include "tweedie/metrics_posterior.h"

/* The same model again, from the frozen text. */
static tw_status copy_model(tw_preview *p)
{
    tw_status st = TW_OK;
    TW_TRY(tw_config_create(&p->config));
    TW_TRY(tw_config_parse(p->config, p->t->config_text, (int64_t)strlen(p->t->config_text),
                           "config.ini"));
    TW_TRY(tw_run_config_bind(&p->run, p->config, TW_RUN_MODEL | TW_RUN_OBJECTIVE, NULL));
    p->model = p->run.model;
    p->model->condition = p->t->stepper.model->condition;
    TW_TRY(tw_model_create(p->model, p->t->stepper.model->sample, (uint64_t)p->t->c->seed));
    TW_TRY(tw_objective_add_params(&p->run.objective, p->model, (uint64_t)p->t->c->seed));
done:
    return st;
}

static tw_status plan_validation(tw_preview *p)
{
    tw_status st = TW_OK;
    const tw_trainer *t = p->t;
    const tw_objective_options options = {.batch = t->stepper.micro,
                                          .global_batch = t->c->batch,
                                          .precision = t->stepper.precision,
                                          .convolution = t->stepper.convolution};
    TW_TRY(tw_objective_create(&p->objective, p->model, &p->run.objective, &options));
    TW_TRY(tw_alloc(&p->x0, t->stepper.micro * t->stepper.model->dims, sizeof *p->x0,
                    "a batch of the validation split"));
    TW_TRY(
        tw_alloc(&p->label, t->stepper.micro, sizeof *p->label, "a batch of the validation split"));
    if (tw_model_is_autoencoder(p->model) && (p->codes = tw_model_codes(p->model)))
        TW_TRY(tw_alloc(&p->uses, p->codes, sizeof *p->uses, "the use of codes"));
    if (p->model->condition)
        TW_TRY(tw_alloc(&p->condition, t->stepper.micro * p->model->condition, sizeof *p->condition,
                        "a batch of the validation split"));
done:
    return st;
}

/* As samples will be, but for what needs a second network: that may not be there yet. */
static tw_status guide(tw_preview *p, const tw_labels *labels)
{
    const tw_run_config *run = &p->t->run;
    const tw_guidance_use use = {.score = tw_model_score_view(p->score),
                                 .process = p->model->process,
                                 .labels = *labels,
                                 .batch = run->sample.batch,
                                 .seed = (uint64_t)run->sample.seed};
    if (tw_guidance_is_none(&run->guidance) || tw_guidance_has_network(&run->guidance))
        return TW_OK;
    return tw_guided_create(&p->guided, &run->guidance, &use);
}

const tw_score *preview_score(const tw_preview *p)
{
    return p->guided ? tw_guided_view(p->guided) : tw_model_score_view(p->score);
}

/* What samples are made with. */
static tw_status plan_score(tw_preview *p)
{
    tw_status st = TW_OK;
    const tw_trainer *t = p->t;
    const char *key = preview_wants_quality(t) ? "evaluate_every" : "grid_every";
    tw_labels labels;
    TW_CHECK(!tw_model_is_autoencoder(p->model), TW_ECONFIG,
             "log.evaluate_every: network.kind = %s is an autoencoder, which makes no samples; 0 "
             "was expected",
             p->model->net->kind.name);
    TW_CHECK(!p->model->net->logits, TW_ECONFIG,
             "log.%s: network.kind = %s is a classifier, which makes no samples; 0 was expected",
             key, p->model->net->kind.name);
    TW_TRY(tw_run_labels(&labels, &p->list, t->run.sample_class, p->model->classes,
                         p->model->label_dropout > 0));
    TW_TRY(tw_model_score_create(&p->score, p->model, t->run.sample.batch, t->stepper.precision,
                                 t->stepper.convolution));
    tw_model_score_condition(p->score, &labels);
    TW_TRY(guide(p, &labels));
done:
    return st;
}

/* Each rank reads the conditions of a grid: a few rows. */
static tw_status read_given(tw_preview *p)
{
    tw_status st = TW_OK;
    const tw_trainer *t = p->t;
    tw_dataset *data = p->data ? p->data : t->data;
    const int64_t there = tw_dataset_count(data),
                  count = there < t->c->grid_count ? there : t->c->grid_count;
    if (!p->score || !p->model->condition) return TW_OK;
    TW_TRY(tw_alloc(&p->given, count * p->model->condition, sizeof *p->given,
                    "the conditions of a grid"));
    TW_TRY(tw_dataset_read_condition(data, NULL, 0, count, p->given));
    tw_model_score_give(p->score, &(tw_given){.y = p->given, .count = count});
done:
    return st;
}

static tw_status open_validation(tw_preview *p)
{
    const tw_dataset_options options = {.path = p->t->c->data_path,
                                        .split = p->t->c->validation_split,
                                        .hints = p->t->c->hints,
                                        .io = p->t->io};
    return tw_dataset_open(&p->data, p->t->comm, &options);
}

static tw_status plan_all(tw_preview *p)
{
    tw_status st = TW_OK;
    TW_TRY(copy_model(p));
    if (preview_wants_validation(p->t)) TW_TRY(plan_validation(p));
    if (preview_wants_quality(p->t) ||
        (preview_wants_grid(p->t) && !tw_model_is_autoencoder(p->model)))
        TW_TRY(plan_score(p));
    if (preview_wants_grid(p->t)) TW_TRY(preview_plan_grid(p));
done:
    return st;
}

tw_status tw_preview_create(tw_preview **out, const tw_trainer *t)
{
    tw_status st = TW_OK;
    tw_preview *p = NULL;
    if (tw_comm_rank(t->comm) == 0) preview_warn(t);
    if (!preview_wants_validation(t) && !preview_wants_grid(t) && !preview_wants_quality(t))
        return TW_OK;
    TW_TRY(tw_comm_agree(t->comm, tw_alloc(&p, 1, sizeof *p, "previews")));
    p->t = t;
    p->copied = -1;
    if (preview_wants_grid(t) && *t->run.sample_decode)
        TW_TRY(latent_decoder_open(&p->decoder, t->comm, t->run.sample_decode));
    TW_TRY(tw_comm_agree(t->comm, plan_all(p)));
    if (preview_wants_data(t)) TW_TRY(open_validation(p));
    TW_TRY(tw_comm_agree(t->comm, read_given(p)));
    if (preview_wants_quality(t))
        TW_TRY(tw_quality_create(&p->quality, t, p->model->process, preview_score(p)));
    *out = p;
    p = NULL;
done:
    tw_preview_destroy(&p);
    return st;
}

static double plan_bytes(const tw_plan *plan)
{
    const tw_plan_memory m = tw_plan_memory_use(plan);
    return (double)(m.arena + m.scratch + m.packed + m.inputs);
}

double tw_preview_bytes(const tw_preview *p)
{
    if (!p) return 0;
    double bytes = 4.0 * (double)p->model->params->size;
    if (p->objective) bytes += plan_bytes(tw_objective_plan(p->objective));
    if (p->score) bytes += plan_bytes(tw_model_score_plan(p->score));
    if (p->samples) bytes += 4.0 * (double)(p->t->c->grid_count * p->model->dims);
    bytes += tw_quality_bytes(p->quality);
    if (p->codec) bytes += tw_model_codec_bytes(p->codec);
    if (p->decoder.codec) bytes += tw_model_codec_bytes(p->decoder.codec);
    if (p->given) bytes += 4.0 * (double)(p->t->c->grid_count * p->model->condition);
    return bytes;
}

void tw_preview_destroy(tw_preview **preview)
{
    tw_preview *p = *preview;
    if (!p) return;
    tw_quality_destroy(&p->quality);
    tw_sampler_destroy(&p->sampler);
    tw_guided_destroy(&p->guided);
    tw_free(&p->list);
    tw_model_score_destroy(&p->score);
    tw_objective_destroy(&p->objective);
    tw_dataset_destroy(&p->data);
    tw_run_config_free(&p->run);
    tw_config_destroy(&p->config);
    tw_free(&p->x0);
    tw_free(&p->label);
    tw_free(&p->condition);
    tw_free(&p->uses);
    tw_free(&p->given);
    tw_free(&p->samples);
    tw_free(&p->latents);
    tw_free(&p->decoded);
    tw_model_codec_destroy(&p->codec);
    latent_decoder_free(&p->decoder);
    tw_free(preview);
}

/* Without EMA the parameters themselves are looked at. */
tw_status preview_copy_ema(tw_preview *p)
{
    tw_status st = TW_OK;
    const tw_trainer *t = p->t;
    const tw_params *from = t->stepper.model->params;
    if (p->copied == t->stepper.step) return TW_OK;
    memcpy(p->model->params->value, from->value, (size_t)from->size * sizeof(float));
    if (t->stepper.ema[0])
        memcpy(p->model->params->value, t->stepper.ema[0], (size_t)from->trainable * sizeof(float));
    TW_TRY(tw_comm_broadcast(t->comm, p->model->params->value,
                             (size_t)from->trainable * sizeof(float), 0));
    if (p->objective) tw_objective_refresh(p->objective);
    if (p->score) tw_model_score_refresh(p->score);
    if (p->codec) tw_model_codec_refresh(p->codec);
    p->copied = t->stepper.step;
done:
    return st;
}

/* What the ranks add up: all but the loss are counts, so that the sums are exact. */
enum { SUM_LOSS, SUM_HITS, SUM_COUNTS = SUM_HITS + TW_ACCURACY_BINS };
enum { SUMS = SUM_COUNTS + TW_ACCURACY_BINS };

static int bin_of(const tw_process *p, double t)
{
    const double share =
        p->steps ? (t + 0.5) / (double)p->steps : (t - p->start) / (p->end - p->start);
    const int bin = (int)(share * TW_ACCURACY_BINS);
    return bin < 0 ? 0 : bin >= TW_ACCURACY_BINS ? TW_ACCURACY_BINS - 1 : bin;
}

static void count_hits(const tw_preview *p, int64_t n, double *sums)
{
    const double *t, *loss;
    const bool *hit = tw_objective_hits(p->objective);
    tw_objective_last(p->objective, &t, &loss);
    for (int64_t i = 0; hit && i < n; i++) {
        const int bin = bin_of(p->model->process, t[i]);
        sums[SUM_HITS + bin] += hit[i];
        sums[SUM_COUNTS + bin] += 1;
    }
}

static void count_codes(tw_preview *p, int64_t n)
{
    int64_t vectors;
    const int32_t *code = tw_objective_codes(p->objective, &vectors);
    for (int64_t i = 0; code && i < n * vectors; i++) p->uses[code[i]]++;
}

/* Σ of this rank's share of the first `count` samples. */
static tw_status sum_share(tw_preview *p, int64_t count, double *sums)
{
    tw_status st = TW_OK;
    const tw_trainer *t = p->t;
    const int64_t ranks = tw_comm_size(t->comm), rank = tw_comm_rank(t->comm);
    const int64_t last = count * (rank + 1) / ranks;
    for (int64_t first = count * rank / ranks; first < last; first += t->stepper.micro) {
        const int64_t n = last - first < t->stepper.micro ? last - first : t->stepper.micro;
        const tw_objective_step step = {.seed = (uint64_t)t->c->seed,
                                        .position = first,
                                        .count = n,
                                        .weight = 1,
                                        .label = p->label,
                                        .condition = p->condition,
                                        .validation = true};
        TW_TRY(tw_trainer_read(t, p->data, first, n, p->x0, p->label));
        if (p->condition) TW_TRY(tw_dataset_read_condition(p->data, NULL, first, n, p->condition));
        sums[SUM_LOSS] += tw_objective_run(p->objective, &step, p->x0);
        count_hits(p, n, sums);
        count_codes(p, n);
    }
done:
    return st;
}

bool tw_preview_validates(const tw_preview *p)
{
    return p && p->objective;
}

tw_status tw_preview_validate(tw_preview *p, tw_validation *out)
{
    tw_status st = TW_OK;
    double sums[SUMS] = {0}, hits = 0;
    const int64_t there = tw_dataset_count(p->data),
                  count = there < p->t->c->validate_count ? there : p->t->c->validate_count;
    for (int64_t k = 0; k < p->codes; k++) p->uses[k] = 0;
    TW_TRY(preview_copy_ema(p));
    TW_TRY(tw_comm_agree(p->t->comm, sum_share(p, count, sums)));
    TW_TRY(tw_comm_sum(p->t->comm, sums, SUMS));
    if (p->codes) TW_TRY(tw_comm_sum(p->t->comm, p->uses, p->codes));
    *out = (tw_validation){.loss = sums[SUM_LOSS] / (double)count,
                           .classifies = p->model->net->logits,
                           .codes = p->codes};
    if (p->codes) out->perplexity = tw_perplexity(p->uses, p->codes, &out->used);
    for (int k = 0; k < TW_ACCURACY_BINS; k++) {
        hits += sums[SUM_HITS + k];
        out->by_noise[k] =
            sums[SUM_COUNTS + k] > 0 ? sums[SUM_HITS + k] / sums[SUM_COUNTS + k] : NAN;
    }
    out->accuracy = hits / (double)count;
done:
    return st;
}

tw_status tw_preview_evaluate(tw_preview *p, tw_quality_result *out)
{
    tw_status st = TW_OK;
    TW_TRY(preview_copy_ema(p));
    TW_TRY(tw_quality_measure(p->quality, out));
done:
    return st;
}
