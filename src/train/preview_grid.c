/* Grids of the first average: samples, decoded where they are latents, and of an autoencoder pairs.
 */
#include <stdio.h>
#include <string.h>

#include "job/grid.h"
#include "run/ema_age.h"
#include "train/preview.h"
#include "train/preview_wants.h"
#include "tweedie/file.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"
#include "tweedie/png.h"

enum { DATA_POINTS = 4096 };

/* Samples and their reconstructions, pair by pair. */
static tw_status plan_pairs(tw_preview *p)
{
    tw_status st = TW_OK;
    const tw_trainer *t = p->t;
    const int64_t count = t->c->grid_count,
                  batch = count < t->stepper.micro ? count : t->stepper.micro;
    if (tw_comm_rank(t->comm) != 0) return TW_OK;
    TW_TRY(tw_model_codec_create(&p->codec, p->model, TW_CODEC_ENCODER | TW_CODEC_DECODER, batch,
                                 t->stepper.precision, t->stepper.convolution));
    TW_TRY(tw_alloc(&p->latents, count * tw_model_codec_numbers(p->codec), sizeof(float),
                    "a grid of reconstructions"));
    TW_TRY(
        tw_alloc(&p->decoded, count * p->model->dims, sizeof(float), "a grid of reconstructions"));
    TW_TRY(tw_alloc(&p->samples, 2 * count * p->model->dims, sizeof(float),
                    "a grid of reconstructions"));
done:
    return st;
}

static tw_status plan_decoder(tw_preview *p)
{
    tw_status st = TW_OK;
    const tw_trainer *t = p->t;
    if (!p->decoder.network || tw_comm_rank(t->comm) != 0) return TW_OK;
    TW_TRY(latent_decoder_plan(&p->decoder, t->samples, t->run.sample.batch, t->stepper.precision,
                               t->stepper.convolution));
    TW_TRY(tw_alloc(&p->decoded, t->c->grid_count * p->decoder.network->model->dims, sizeof(float),
                    "a grid of samples"));
done:
    return st;
}

tw_status preview_plan_grid(tw_preview *p)
{
    tw_status st = TW_OK;
    const tw_trainer *t = p->t;
    const tw_process *process = p->model->process;
    const int64_t all = process->steps ? process->steps : INT64_MAX;
    const tw_sampler_options options = {
        .bounded = t->samples->kind == TW_DATASET_UINT8,
        .steps = t->c->grid_steps < all && process->steps > 1 ? t->c->grid_steps : 0};
    if (tw_model_is_autoencoder(p->model)) return plan_pairs(p);
    TW_TRY(plan_decoder(p));
    TW_TRY(tw_sampler_create(&p->sampler, &t->run.sample, process, preview_score(p), &options));
    if (tw_comm_rank(t->comm) == 0)
        TW_TRY(tw_alloc(&p->samples, t->c->grid_count * p->model->dims, sizeof(float),
                        "a grid of samples"));
done:
    return st;
}

/* What the samples should look like, beside them in figures: as many of the data, once a run.
 * Latents that samples are decoded from are decoded here too. */
static void write_data(tw_preview *p)
{
    tw_status st = TW_OK;
    const tw_trainer *t = p->t;
    const tw_dataset_spec *spec = t->samples;
    const int64_t wanted = spec->kind == TW_DATASET_POINTS ? DATA_POINTS : t->c->grid_count,
                  count = tw_dataset_count(t->data) < wanted ? tw_dataset_count(t->data) : wanted;
    float *x = NULL;
    char path[TW_PATH_MAX];
    TW_TRY(tw_rundir_file(path, sizeof path, t->past.rundir, "samples/data.png"));
    if (tw_file_exists(path)) goto done;
    TW_TRY(tw_alloc(&x, count * tw_dataset_elements(spec), sizeof *x, "a picture of the data"));
    TW_TRY(tw_trainer_read(t, t->data, 0, count, x, NULL));
    if (p->decoder.codec) {
        latent_decoder_run(&p->decoder, count, x, p->decoded);
        spec = &p->decoder.network->samples;
    }
    TW_TRY(tw_grid_write(path, spec, count, p->decoder.codec ? p->decoded : x, 0));
done:
    if (st != TW_OK) tw_log_warn("no picture of the data: %s", tw_error_message());
    tw_free(&x);
}

void tw_preview_show_data(tw_preview *p)
{
    if (p && preview_wants_grid(p->t) && p->t->past.rundir) write_data(p);
}

/* Where a grid comes from. */
static void set_notes(const tw_preview *p)
{
    tw_png_note notes[] = {
        {.key = "Run"}, {.key = "Step"}, {.key = "Weights"}, {.key = "Seed"}, {.key = "Sampler"}};
    const tw_trainer *t = p->t;
    tw_text sampler = {0};
    snprintf(notes[0].text, sizeof notes[0].text, "%s", t->options->run);
    snprintf(notes[1].text, sizeof notes[1].text, "%lld", (long long)t->stepper.step);
    if (t->c->ema_rates.count)
        snprintf(notes[2].text, sizeof notes[2].text, "ema:%g", t->c->ema_rates.values[0]);
    else
        snprintf(notes[2].text, sizeof notes[2].text, "raw");
    snprintf(notes[3].text, sizeof notes[3].text, "%lld", (long long)p->run.sample.seed);
    if (p->sampler && tw_sampler_describe(&sampler, p->sampler) == TW_OK)
        snprintf(notes[4].text, sizeof notes[4].text, "%s", sampler.data);
    tw_text_free(&sampler);
    tw_png_set_notes(notes,
                     notes[4].text[0] ? 5 : 3); /* reconstructions have no sampler, no seed */
}

/* A picture that cannot be written is told and lost: training is worth more. */
static void write_grid(const tw_preview *p, const tw_dataset_spec *spec, int64_t count,
                       const float *x)
{
    char name[64], path[TW_PATH_MAX];
    const tw_trainer *t = p->t;
    set_notes(p);
    tw_status st =
        tw_format(name, sizeof name, "samples/step-%09lld.png", (long long)t->stepper.step);
    if (st == TW_OK) st = tw_rundir_file(path, sizeof path, t->past.rundir, name);
    if (st == TW_OK) st = tw_grid_write(path, spec, count, x, 0);
    if (st == TW_OK) {
        const double share =
            t->c->ema_rates.count
                ? tw_ema_initial_share(t->c->ema_rates.values[0], t->c->ema_warmup, t->stepper.step)
                : 0;
        tw_log_info("step %lld  samples in %s", (long long)t->stepper.step, path);
        tw_progress_picture(t->progress, path);
        if (share >= TW_EMA_YOUNG)
            tw_log_info("  the average still holds %.3g %% of the initial weights", 100 * share);
    } else
        tw_log_warn("no picture of step %lld: %s", (long long)t->stepper.step, tw_error_message());
}

/* Rank zero: pairs of the first samples of the validation split, or of training's. */
static tw_status write_pairs(tw_preview *p)
{
    tw_status st = TW_OK;
    const tw_trainer *t = p->t;
    tw_dataset *data = p->data ? p->data : t->data;
    const int64_t dims = p->model->dims, there = tw_dataset_count(data),
                  count = there < t->c->grid_count ? there : t->c->grid_count;
    const size_t bytes = (size_t)dims * sizeof(float);
    float *x = p->samples + count * dims;
    TW_TRY(tw_trainer_read(t, data, 0, count, x, NULL));
    tw_model_codec_encode(p->codec, count, x, p->latents, NULL);
    tw_model_codec_decode(p->codec, count, p->latents, p->decoded, NULL);
    for (int64_t i = 0; i < count; i++) {
        memmove(p->samples + 2 * i * dims, x + i * dims, bytes);
        memcpy(p->samples + (2 * i + 1) * dims, p->decoded + i * dims, bytes);
    }
    write_grid(p, t->samples, 2 * count, p->samples);
done:
    return st;
}

static void write_samples(tw_preview *p)
{
    const tw_dataset_spec *spec = p->t->samples;
    const int64_t count = p->t->c->grid_count;
    const float *x = p->samples;
    if (p->decoder.codec) {
        latent_decoder_run(&p->decoder, count, x, p->decoded);
        spec = &p->decoder.network->samples;
        x = p->decoded;
    }
    write_grid(p, spec, count, x);
}

tw_status tw_preview_grid(tw_preview *p)
{
    tw_status st = TW_OK;
    const tw_trainer *t = p->t;
    TW_TRY(preview_copy_ema(p));
    if (tw_model_is_autoencoder(p->model))
        return tw_comm_agree(t->comm, t->past.rundir ? write_pairs(p) : TW_OK);
    TW_TRY(tw_grid_make(t->comm, p->sampler, p->model->dims, t->run.sample.batch, 0,
                        t->c->grid_count, p->samples));
    if (t->past.rundir) write_samples(p);
done:
    return st;
}
