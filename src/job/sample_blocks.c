/* Generating blocks, and what is shown meanwhile. */
#include <math.h>

#include "job/sample_job_internal.h"
#include "tweedie/clock.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"
#include "tweedie/signals.h"

enum { LINE_SECONDS = 5 };

static void show(sample_job *d, double fraction)
{
    const double now = tw_clock_seconds(), batch = (double)d->parts.batch;
    const double blocks = (double)d->work.before + (double)d->work.active * fraction,
                 total = (double)d->work.missing_count;
    if (now - d->last < LINE_SECONDS) return;
    d->last = now;
    const double rate = blocks * batch / (now - d->start);
    tw_log_info("sampled %.0f of %.0f samples, %.3g a second, %.0f s left", blocks * batch,
                total * batch, rate, (total - blocks) * batch / rate);
}

/* Also the place to stop at once, as a block may take minutes. */
tw_status sample_watch(void *self, int64_t step, int64_t steps, int64_t first, int64_t n,
                       const float *x)
{
    sample_job *d = self;
    (void)first, (void)n, (void)x;
    if (tw_signals_stop())
        return tw_error_set(TW_ESTOPPED,
                            "stopped by a signal; the same command goes on with what is missing");
    if (d->rank == 0) show(d, (double)step / (double)steps);
    return TW_OK;
}

static tw_status check_finite(const sample_job *d, int64_t first, const float *x, int64_t dims)
{
    tw_status st = TW_OK;
    for (int64_t i = 0; i < d->parts.batch * dims; i++)
        TW_CHECK(
            isfinite(x[i]), TW_EDIVERGED,
            "sample %lld is not finite: the weights, or the settings of the sampler, are no good",
            (long long)(first + i / dims));
done:
    return st;
}

/* Samples in model units as they are stored. */
static tw_status store(sample_job *d, int64_t first)
{
    tw_status st = TW_OK;
    const int64_t n = d->parts.batch;
    const float *x = d->x;
    TW_TRY(check_finite(d, first, x, d->restored->model->dims));
    if (d->decoder.network) {
        latent_decoder_run(&d->decoder, n, d->x, d->decoded);
        x = d->decoded;
        TW_TRY(check_finite(d, first, x, tw_dataset_elements(&d->parts.spec)));
    }
    tw_dataset_denormalise(&d->parts.spec, n, x, d->stored);
done:
    return st;
}

tw_status sample_block(void *self, int64_t k)
{
    tw_status st = TW_OK;
    sample_job *d = self;
    const int64_t first = k * d->parts.batch;
    tw_sampler_numbers numbers;
    sample_report report;
    TW_TRY(sample_given_read(&d->given, first, d->parts.batch));
    tw_model_score_give(d->score, &(tw_given){d->given.y, first, d->parts.batch});
    tw_sampler_forget(d->sampler);
    TW_TRY(tw_sampler_run(d->sampler, first, d->parts.batch, d->x));
    TW_TRY(store(d, first));
    numbers = tw_sampler_report(d->sampler);
    TW_TRY(sample_report_of(&report, &numbers));
    for (int64_t i = 0; d->label && i < d->parts.batch; i++)
        d->label[i] = tw_label_of(&d->labels, first + i);
    TW_TRY(sample_parts_write(&d->parts, k, d->stored, d->label, d->given.stored, &report));
done:
    return st;
}

/* Of so many blocks, what the job was asked for: its last block is generated whole, as all are, and
 * trimmed where the parts are joined. */
static int64_t wanted(const sample_job *d, int64_t blocks)
{
    const int64_t samples = blocks * d->parts.batch;
    return samples < d->options->count ? samples : d->options->count;
}

tw_status sample_blocks(sample_job *d)
{
    tw_status st = TW_OK;
    d->start = d->last = tw_clock_seconds();
    tw_log_info("sampling %lld in %lld block%s of %lld; %lld are there",
                (long long)wanted(d, d->work.missing_count), (long long)d->work.missing_count,
                d->work.missing_count == 1 ? "" : "s", (long long)d->parts.batch,
                (long long)wanted(d, d->work.count - d->work.missing_count));
    TW_TRY(block_work_run(&d->work));
    d->result.sampled = wanted(d, d->work.missing_count);
    d->result.seconds = tw_clock_seconds() - d->start;
    tw_log_info("sampled %lld in %.1f s, %.3g a second, %.4g evaluations each",
                (long long)d->result.sampled, d->result.seconds,
                (double)d->result.sampled / d->result.seconds, tw_sampler_evaluations(d->sampler));
done:
    return st;
}
