/* Latents of images, encoded in the step by a frozen autoencoder.
 *
 * Nothing of them is kept but those of the current step. They are the bits of a dataset of latents:
 * the encoder runs as in encode-data (job/encoder.h), samples come in the order of such a dataset,
 * noise of sampled latents hangs on position and step, and the scale is added up in the same order
 * (job/latent_scale.h). A run's checkpoints carry the scale and the encoder's digest, so a resume
 * measures nothing again. All of a rank's positions are encoded at once, since the plan has a batch
 * of its own, which a microbatch would not fill. */
#include <string.h>

#include "job/encoder.h"
#include "job/latent_scale.h"
#include "train/trainer.h"
#include "tweedie/clock.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"
#include "tweedie/signals.h"

enum { LINE_SECONDS = 5 };

struct tw_encoding {
    const tw_trainer *t;
    latent_encoder encoder;
    bool sampled;
    int64_t positions, dims;    /* of this rank; numbers of an image */
    int64_t step;               /* whose latents are there; −1: none */
    float *mean, *log_variance; /* [positions][numbers]; log_variance: where latents are sampled */
    int32_t *label;             /* [positions] */
    float *rows[2];             /* [LATENT_SCALE_ROWS][numbers]: what else is encoded */
};

tw_status tw_encoding_create(tw_encoding **out, const tw_trainer *t)
{
    tw_status st = TW_OK;
    tw_encoding *e = NULL;
    TW_TRY(tw_comm_agree(t->comm, tw_alloc(&e, 1, sizeof *e, "the encoding of samples")));
    e->t = t;
    e->step = -1;
    e->sampled = t->c->latents;
    TW_TRY(latent_encoder_open(&e->encoder, t->comm, t->c->encoder, tw_dataset_get_spec(t->data),
                               t->c->data_path));
    TW_CHECK(!e->sampled || !tw_model_codes(e->encoder.network->model), TW_ECONFIG,
             "data.latents: %s has a codebook (network.codes): its latents have no variance; mean "
             "was expected",
             t->c->encoder);
    *out = e;
    e = NULL;
done:
    tw_encoding_destroy(&e);
    return st;
}

void tw_encoding_destroy(tw_encoding **encoding)
{
    tw_encoding *e = *encoding;
    if (!e) return;
    latent_encoder_free(&e->encoder);
    tw_free(&e->mean);
    tw_free(&e->log_variance);
    tw_free(&e->label);
    for (int k = 0; k < 2; k++) tw_free(&e->rows[k]);
    tw_free(encoding);
}

const tw_dataset_spec *tw_encoding_latents(const tw_encoding *e)
{
    return &e->encoder.latents;
}

const tw_dataset_spec *tw_encoding_units(const tw_encoding *e)
{
    return &e->encoder.network->samples;
}

tw_status tw_encoding_plan(tw_encoding *e)
{
    tw_status st = TW_OK;
    int64_t all, some;
    TW_TRY(latent_encoder_plan(&e->encoder));
    e->positions = tw_loader_positions(e->t->loader);
    e->dims = tw_dataset_elements(tw_encoding_units(e));
    TW_TRY(tw_multiply(&all, e->positions, e->encoder.numbers, "latents"));
    TW_TRY(tw_multiply(&some, LATENT_SCALE_ROWS, e->encoder.numbers, "latents"));
    TW_TRY(tw_alloc(&e->mean, all, sizeof *e->mean, "latents of a step"));
    if (e->sampled)
        TW_TRY(tw_alloc(&e->log_variance, all, sizeof *e->log_variance, "latents of a step"));
    TW_TRY(tw_alloc(&e->label, e->positions, sizeof *e->label, "labels of a step"));
    for (int k = 0; k < 2; k++) TW_TRY(tw_alloc(&e->rows[k], some, sizeof(float), "latents"));
done:
    return st;
}

double tw_encoding_bytes(const tw_encoding *e)
{
    if (!e) return 0;
    const double rows = (double)e->positions * (e->sampled ? 2 : 1) + 2.0 * LATENT_SCALE_ROWS;
    return latent_encoder_bytes(&e->encoder) + 4 * rows * (double)e->encoder.numbers;
}

void tw_encoding_set_scale(tw_encoding *e, double scale)
{
    latent_encoder_set_scale(&e->encoder, scale);
}

/* ---- of a step ---- */

static tw_status encode_step(tw_encoding *e, int64_t step)
{
    tw_status st = TW_OK;
    latent_encoder *encoder = &e->encoder;
    e->step = -1;
    for (int64_t at = 0; at < e->positions; at += encoder->batch) {
        const int64_t left = e->positions - at, n = left < encoder->batch ? left : encoder->batch,
                      to = at * encoder->numbers;
        TW_TRY(tw_loader_next(e->t->loader, step, at, n, encoder->x, e->label + at));
        latent_encoder_run(encoder, n, encoder->x, e->mean + to,
                           e->sampled ? e->log_variance + to : NULL);
    }
    e->step = step;
done:
    return st;
}

tw_status tw_encoding_next(tw_encoding *e, int64_t step, int64_t first, int64_t count, float *x,
                           int32_t *label)
{
    tw_status st = TW_OK;
    const int64_t numbers = e->encoder.numbers;
    const tw_dataset_spec *latents = &e->encoder.latents;
    if (e->step != step) TW_TRY(encode_step(e, step));
    for (int64_t i = 0; i < count; i++) {
        const int64_t from = (first + i) * numbers;
        if (e->sampled)
            tw_dataset_sample_latent(latents, (uint64_t)e->t->c->seed,
                                     e->t->stepper.first_position + first + i, step, e->mean + from,
                                     e->log_variance + from, x + i * numbers);
        else
            tw_dataset_normalise(latents, 1, e->mean + from, x + i * numbers);
    }
    memcpy(label, e->label + first, (size_t)count * sizeof *label);
done:
    return st;
}

/* ---- of rows ---- */

tw_status tw_trainer_read_stored(const tw_trainer *t, tw_dataset *data, int64_t first,
                                 int64_t count, void *stored, int32_t *labels)
{
    if (!t->encoding) return tw_dataset_read_stored(data, first, count, stored, labels);
    return latent_encoder_read(&t->encoding->encoder, data, first, count, stored, NULL, labels);
}

tw_status tw_trainer_read(const tw_trainer *t, tw_dataset *data, int64_t first, int64_t count,
                          float *x, int32_t *labels)
{
    tw_status st = TW_OK;
    if (!t->encoding) return tw_dataset_read(data, first, count, x, labels);
    tw_encoding *e = t->encoding;
    for (int64_t at = 0; at < count; at += LATENT_SCALE_ROWS) {
        const int64_t left = count - at, n = left < LATENT_SCALE_ROWS ? left : LATENT_SCALE_ROWS;
        TW_TRY(latent_encoder_read(&e->encoder, data, first + at, n, e->rows[0], NULL,
                                   labels ? labels + at : NULL));
        tw_dataset_normalise(&e->encoder.latents, n, e->rows[0], x + at * e->encoder.numbers);
    }
done:
    return st;
}

/* ---- the scale ---- */

static int64_t rows_of(int64_t block, int64_t count)
{
    const int64_t left = count - block * LATENT_SCALE_ROWS;
    return left < LATENT_SCALE_ROWS ? left : LATENT_SCALE_ROWS;
}

/* Block k of every `ranks` is this rank's; those of others stay zero. */
static tw_status sum_blocks(tw_encoding *e, tw_dataset *data, int64_t blocks, latent_sums *sums)
{
    tw_status st = TW_OK;
    const tw_trainer *t = e->t;
    const int ranks = tw_comm_size(t->comm), rank = tw_comm_rank(t->comm);
    const int64_t count = tw_dataset_count(data);
    const double start = tw_clock_seconds();
    double last = start;
    for (int64_t k = rank; k < blocks; k += ranks) {
        const int64_t n = rows_of(k, count);
        TW_CHECK(!tw_signals_stop(), TW_ESTOPPED,
                 "stopped by a signal while the latents were measured; the same command begins "
                 "again, data.latent_scale does without");
        tw_watchdog_heartbeat(t->stepper.watchdog, "measuring the latents", t->stepper.step,
                              TW_PATIENCE);
        TW_TRY(latent_encoder_read(&e->encoder, data, k * LATENT_SCALE_ROWS, n, e->rows[0],
                                   e->sampled ? e->rows[1] : NULL, NULL));
        latent_sums_add(&sums[k], n * e->encoder.numbers, e->rows[0],
                        e->sampled ? e->rows[1] : NULL);
        const double now = tw_clock_seconds();
        if (rank > 0 || now - last < LINE_SECONDS) continue;
        last = now;
        tw_log_info("measuring the latents: %.0f %%, %.0f s left",
                    100 * (double)(k + 1) / (double)blocks,
                    (now - start) * (double)(blocks - k - 1) / (double)(k + 1));
    }
done:
    return st;
}

tw_status tw_encoding_measure(tw_encoding *e)
{
    tw_status st = TW_OK;
    const tw_trainer *t = e->t;
    const tw_dataset_options options = {
        .path = t->c->data_path, .split = "all", .hints = t->c->hints, .io = t->io};
    tw_dataset *all = NULL;
    latent_scale total = {.numbers = e->encoder.numbers};
    latent_sums *sums = NULL;
    double scale = 1;
    TW_TRY(tw_dataset_open(&all, t->comm, &options));
    const int64_t count = tw_dataset_count(all),
                  blocks = (count + LATENT_SCALE_ROWS - 1) / LATENT_SCALE_ROWS;
    TW_TRY(tw_comm_agree(t->comm, tw_alloc(&sums, blocks, sizeof *sums, "sums of latents")));
    TW_TRY(tw_comm_agree(t->comm, sum_blocks(e, all, blocks, sums)));
    TW_TRY(tw_comm_sum(t->comm, &sums->values, 3 * blocks)); /* all but one rank's are zero */
    for (int64_t k = 0; k < blocks; k++)
        latent_scale_add_block(&total, rows_of(k, count), &sums[k]);
    TW_TRY(latent_scale_get(&scale, &total, t->c->encoder));
    tw_encoding_set_scale(e, scale);
    if (tw_comm_rank(t->comm) == 0)
        tw_log_info("latents by %s: %s standard deviation %.6g over %lld samples, which is 1 in "
                    "model units",
                    t->c->encoder, e->sampled ? "sampled," : "means,", scale, (long long)count);
done:
    tw_dataset_destroy(&all);
    tw_free(&sums);
    return st;
}
