/* The sampler: planned once, then run over any range of indices. */
#include "sample/sampler.h"

#include <string.h>

#include "tweedie/memory.h"

static tw_status find_predictor(const tw_predictor **out, const char *name)
{
    tw_status st = TW_OK;
    char known[256] = "";
    for (int i = 0; i < tw_predictor_count; i++) {
        if (strcmp(tw_predictor_table[i]->name, name) == 0) {
            *out = tw_predictor_table[i];
            return TW_OK;
        }
        const size_t length = strlen(known);
        TW_TRY(tw_format(known + length, sizeof known - length, "%s%s", i ? ", " : "",
                         tw_predictor_table[i]->name));
    }
    TW_FAIL(TW_ECONFIG, "unknown sampler \"%s\": it is one of %s", name, known);
done:
    return st;
}

/* The steps that the settings keep of the schedule. */
static tw_status space_schedule(tw_schedule **out, const tw_sampler_settings *settings,
                                const tw_schedule *schedule)
{
    tw_status st = TW_OK;
    int64_t *kept = NULL, count;
    char text[32];
    const int64_t steps = settings->steps ? settings->steps : schedule->steps;
    const char *spacing = settings->spacing && *settings->spacing ? settings->spacing : text;
    TW_CHECK(steps >= 1 && steps <= schedule->steps, TW_ECONFIG,
             "%lld sampling steps: the schedule has 1 to %lld", (long long)steps,
             (long long)schedule->steps);
    TW_TRY(tw_format(text, sizeof text, "%lld", (long long)steps));
    TW_TRY(tw_alloc(&kept, schedule->steps, sizeof *kept, "kept time steps"));
    TW_TRY(tw_schedule_spacing(kept, &count, schedule->steps, spacing));
    TW_TRY(tw_schedule_space(out, schedule, kept, count));
done:
    tw_free(&kept);
    return st;
}

static tw_status plan(tw_sampler *s, const tw_sampler_settings *settings,
                      const tw_schedule *schedule)
{
    tw_status st = TW_OK;
    tw_schedule *spaced = NULL;
    TW_TRY(find_predictor(&s->predictor, settings->kind));
    TW_CHECK(!settings->clip || settings->clip_min < settings->clip_max, TW_ECONFIG,
             "clipping to %g … %g leaves nothing", settings->clip_min, settings->clip_max);
    if (s->predictor->discrete) {
        TW_CHECK(schedule, TW_ECONFIG,
                 "sampler \"%s\" follows a discrete schedule, and the model has none",
                 settings->kind);
        TW_TRY(space_schedule(&spaced, settings, schedule));
    }
    s->steps = s->predictor->count(settings, spaced);
    TW_TRY(tw_alloc(&s->step, s->steps, sizeof *s->step, "sampler steps"));
    TW_TRY(s->predictor->plan(s->step, &s->prior_std, settings, spaced));
    s->settings = *settings;
    s->settings.kind = s->settings.variance = s->settings.spacing =
        NULL; /* the caller's, perhaps gone by the time of a run */
done:
    tw_schedule_destroy(&spaced);
    return st;
}

tw_status tw_sampler_create(tw_sampler **out, const tw_sampler_settings *settings,
                            const tw_schedule *schedule, int64_t dims, int64_t batch)
{
    tw_status st = TW_OK;
    tw_sampler *s = NULL;
    int64_t numbers;
    TW_CHECK(dims >= 1 && batch >= 1, TW_ESHAPE, "a sampler of %lld samples of %lld numbers",
             (long long)batch, (long long)dims);
    TW_TRY(tw_multiply(&numbers, batch, dims, "sampler batch"));
    TW_TRY(tw_alloc(&s, 1, sizeof *s, "sampler"));
    s->dims = dims;
    s->batch = batch;
    TW_TRY(plan(s, settings, schedule));
    TW_TRY(tw_alloc(&s->x, numbers, sizeof *s->x, "samples"));
    TW_TRY(tw_alloc(&s->s, numbers, sizeof *s->s, "scores"));
    TW_TRY(tw_alloc(&s->t, batch, sizeof *s->t, "sample times"));
    TW_TRY(tw_alloc(&s->index, batch, sizeof *s->index, "sample indices"));
    *out = s;
    s = NULL;
done:
    tw_sampler_destroy(&s);
    return st;
}

void tw_sampler_destroy(tw_sampler **sampler)
{
    tw_sampler *s = *sampler;
    if (!s) return;
    tw_free(&s->step);
    tw_free(&s->x);
    tw_free(&s->s);
    tw_free(&s->t);
    tw_free(&s->index);
    tw_free(sampler);
}

int64_t tw_sampler_evaluations(const tw_sampler *sampler)
{
    return sampler->steps;
}

int64_t tw_sampler_schedule_steps(const tw_sampler_settings *settings, const tw_schedule *schedule)
{
    (void)settings;
    return schedule->steps;
}

/* x ~ N(0, prior_std² I), each row from its own stream. */
static void sample_prior(const tw_sampler *s, tw_sampler_batch *b, int64_t first)
{
    const tw_rng_stream stream = {.seed = s->settings.seed, .purpose = TW_RNG_SAMPLER_PRIOR};
    const float std = (float)s->prior_std;
    for (int64_t i = 0; i < b->n; i++) b->index[i] = first + i;
    tw_rng_normal_rows(b->x, &stream, b->index, b->n, b->dims);
    if (std == 1.0f) return;
    for (int64_t i = 0; i < b->n * b->dims; i++) b->x[i] *= std;
}

/* A whole batch of indices from `first`, of which the caller wants the first `wanted`. */
static tw_status run_batch(tw_sampler *s, tw_sampler_batch *b, int64_t first, int64_t wanted)
{
    tw_status st = TW_OK;
    sample_prior(s, b, first);
    for (int64_t k = 0; k < s->steps; k++) {
        TW_TRY(s->predictor->step(s, b, k));
        if (s->settings.watch)
            TW_TRY(s->settings.watch(s->settings.watch_self, k + 1, s->steps, first, wanted, b->x));
    }
done:
    return st;
}

tw_status tw_sampler_run(tw_sampler *sampler, const tw_score *score, int64_t first, int64_t n,
                         float *x)
{
    tw_status st = TW_OK;
    tw_sampler *const s = sampler;
    const int64_t limit = ((int64_t)1 << 44) - s->batch; /* of a stream's position */
    tw_sampler_batch b = {.score = score,
                          .n = s->batch,
                          .dims = s->dims,
                          .x = s->x,
                          .s = s->s,
                          .t = s->t,
                          .index = s->index};
    TW_CHECK(score->dims == s->dims, TW_ESHAPE,
             "the sampler is planned for %lld numbers a sample, the score has %lld",
             (long long)s->dims, (long long)score->dims);
    TW_CHECK(first >= 0 && n >= 0 && n <= limit && first <= limit - n, TW_EUSAGE,
             "%lld samples from index %lld: indices lie between 0 and 2^44", (long long)n,
             (long long)first);
    for (int64_t done_so_far = 0; done_so_far < n; done_so_far += s->batch) {
        const int64_t wanted = n - done_so_far < s->batch ? n - done_so_far : s->batch;
        TW_TRY(run_batch(s, &b, first + done_so_far, wanted));
        memcpy(x + done_so_far * s->dims, s->x, (size_t)(wanted * s->dims) * sizeof *x);
    }
done:
    return st;
}
