/* The sampler: planned once, then run over any range of indices. */
#include "sample/sampler.h"

#include <math.h>
#include <string.h>

#include "tweedie/memory.h"

/* A stream's tail leaves slots empty: of 8 batches at most one or two evaluations in eight. */
enum { STREAM_BATCHES = 8 };

/* ---- planning ---- */

static void choose(tw_sampler *s)
{
    const tw_sampler_config *c = s->config;
    s->loop = (const tw_loop *)c->loop.kind;
    s->predictor = (const tw_predictor *)c->predictor.kind;
    s->corrector = (const tw_corrector *)c->corrector.kind;
    s->rule = (const tw_rule *)c->rule.kind;
}

/* Each part says what it does not go with. */
static tw_status check(const tw_sampler *s)
{
    tw_status st = TW_OK;
    const tw_sampler_config *c = s->config;
    const tw_part_use use = {.process = s->process,
                             .score = s->score,
                             .grid = s->grid.point ? &s->grid : NULL,
                             .rule = s->rule};
    if (s->loop->check) TW_TRY(s->loop->check(c->loop.config, &use));
    if (s->predictor && s->predictor->check) TW_TRY(s->predictor->check(c->predictor.config, &use));
    if (s->corrector && s->corrector->check) TW_TRY(s->corrector->check(c->corrector.config, &use));
    if (s->rule && s->rule->check) TW_TRY(s->rule->check(c->rule.config, &use));
done:
    return st;
}

static tw_status set_clip(tw_sampler *s, bool bounded)
{
    tw_status st = TW_OK;
    const tw_sampler_config *c = s->config;
    const bool clip = c->clip == TW_CLIP_YES || (c->clip == TW_CLIP_AUTO && bounded);
    TW_CHECK(!clip || c->clip_min < c->clip_max, TW_ECONFIG,
             "sample.clip_min: %g must be less than sample.clip_max, %g", c->clip_min, c->clip_max);
    s->clip = (tw_bounds){.low = clip ? (float)c->clip_min : -__builtin_inff(),
                          .high = clip ? (float)c->clip_max : __builtin_inff()};
done:
    return st;
}

/* One arena: x, s, then the scratch of each part. */
static tw_status allocate(tw_sampler *s)
{
    tw_status st = TW_OK;
    const int of_predictor = s->predictor ? s->predictor->scratch : 0,
              of_corrector = s->corrector ? s->corrector->scratch : 0;
    const int64_t arrays = 2 + of_predictor + of_corrector + s->loop->scratch;
    int64_t numbers, all;
    TW_TRY(tw_multiply(&numbers, s->batch, s->dims, "sampler batch"));
    TW_TRY(tw_multiply(&all, numbers, arrays, "sampler batch"));
    /* One array for x and s, then what predictor, corrector and loop keep: they run inside of each
     * other, so none may use another's. */
    TW_TRY(tw_alloc(&s->arrays, all, sizeof *s->arrays, "samples"));
    TW_TRY(tw_alloc(&s->scratch, arrays, sizeof *s->scratch, "samples"));
    for (int64_t k = 0; k < arrays; k++) s->scratch[k] = s->arrays + k * numbers;
    s->predictor_scratch = s->scratch + 2;
    s->corrector_scratch = s->predictor_scratch + of_predictor;
    s->loop_scratch = s->corrector_scratch + of_corrector;
    TW_TRY(tw_alloc(&s->b.t, s->batch, sizeof *s->b.t, "sample times"));
    TW_TRY(tw_alloc(&s->b.index, s->batch, sizeof *s->b.index, "sample indices"));
    TW_TRY(tw_alloc(&s->predictor_number, s->batch * TW_BATCH_NUMBERS, sizeof(double), "samples"));
    TW_TRY(tw_alloc(&s->corrector_number, s->batch * TW_BATCH_NUMBERS, sizeof(double), "samples"));
done:
    return st;
}

static void fill_batch(tw_sampler *s)
{
    s->b.score = s->score;
    s->b.process = s->process;
    s->b.n = s->batch;
    s->b.dims = s->dims;
    s->b.seed = (uint64_t)s->config->seed;
    s->b.clip = s->clip;
    s->b.x = s->scratch[0];
    s->b.s = s->scratch[1];
    s->b.evaluations = &s->evaluations;
    s->b.numbers = &s->numbers;
}

tw_status tw_sampler_create(tw_sampler **out, const tw_sampler_config *config,
                            const tw_process *process, const tw_score *score,
                            const tw_sampler_options *options)
{
    tw_status st = TW_OK;
    tw_sampler *s = NULL;
    TW_TRY(tw_alloc(&s, 1, sizeof *s, "sampler"));
    s->config = config;
    s->process = process;
    s->score = score;
    s->known = options->known;
    s->hook = options->hook;
    s->dims = score->dims;
    s->batch = options->batch ? options->batch : config->batch;
    s->asked_steps = options->steps ? options->steps : config->steps;
    TW_CHECK(s->dims >= 1 && s->batch >= 1, TW_ESHAPE, "a sampler of %lld samples of %lld numbers",
             (long long)s->batch, (long long)s->dims);
    choose(s);
    TW_CHECK(!s->known || s->loop->known, TW_ECONFIG,
             "sample.known: sample.kind = %s keeps nothing that is given of the samples; "
             "annealed_langevin does",
             s->loop->kind.name);
    TW_CHECK(!s->hook || s->loop->grid, TW_ECONFIG,
             "sample.kind: %s has no steps after which a measurement could be looked at; take a "
             "sampler with a grid of times",
             s->loop->kind.name);
    TW_CHECK(!s->hook || !s->hook->run || s->loop->predictor, TW_ECONFIG,
             "sample.kind: %s; the method has a loop of its own, which takes a predictor",
             s->loop->kind.name);
    TW_TRY(set_clip(s, options->bounded));
    if (s->loop->grid) TW_TRY(tw_times_grid_create(&s->grid, config, process, options->steps));
    TW_TRY(check(s));
    s->total_steps = s->loop->steps ? s->loop->steps(config->loop.config, s) : s->grid.steps;
    TW_TRY(allocate(s));
    if (s->loop->solver)
        TW_TRY(tw_solver_create(&s->solver, (const tw_solver_kind *)config->solver.kind,
                                config->solver.config, s->dims, s->batch));
    fill_batch(s);
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
    tw_solver_destroy(&s->solver);
    tw_times_grid_free(&s->grid);
    tw_free(&s->arrays);
    tw_free(&s->scratch);
    tw_free(&s->b.t);
    tw_free(&s->b.index);
    tw_free(&s->predictor_number);
    tw_free(&s->corrector_number);
    tw_free(sampler);
}

void tw_sampler_watch(tw_sampler *sampler, tw_sampler_watcher *watch, void *self)
{
    sampler->watch = watch;
    sampler->watch_self = self;
}

int64_t tw_sampler_block(const tw_sampler *s)
{
    return s->loop->stream ? STREAM_BATCHES * s->batch : s->batch;
}

double tw_sampler_evaluations(const tw_sampler *s)
{
    return s->samples ? (double)s->evaluations / (double)s->samples : 0;
}

tw_sampler_numbers tw_sampler_report(const tw_sampler *s)
{
    return s->numbers;
}

void tw_sampler_forget(tw_sampler *s)
{
    s->numbers.found = 0;
}

/* ---- description ---- */

static tw_status describe_choice(tw_text *out, const char *key, const tw_choice *c)
{
    tw_status st = TW_OK;
    if (!c->kind) return TW_OK;
    TW_TRY(tw_text_add(out, " %s=", key));
    TW_TRY(tw_choice_describe(out, c));
done:
    return st;
}

tw_status tw_sampler_describe(tw_text *out, const tw_sampler *s)
{
    tw_status st = TW_OK;
    const tw_sampler_config *c = s->config;
    char low[TW_TEXT_DOUBLE_MAX], high[TW_TEXT_DOUBLE_MAX], epsilon[TW_TEXT_DOUBLE_MAX];
    TW_TRY(tw_text_add(out, "sampler="));
    TW_TRY(tw_choice_describe(out, &c->loop));
    TW_TRY(describe_choice(out, "predictor", &c->predictor));
    TW_TRY(describe_choice(out, "corrector", &c->corrector));
    if (s->corrector && s->corrector->correct && s->loop->grid)
        TW_TRY(tw_text_add(out, " corrector_steps=%lld", (long long)c->corrector_steps));
    TW_TRY(describe_choice(out, "step_rule", &c->rule));
    TW_TRY(describe_choice(out, "solver", &c->solver));
    TW_TRY(describe_choice(out, "spacing", &c->spacing));
    TW_TRY(tw_text_add(out, " steps=%lld",
                       (long long)(s->grid.point ? s->grid.steps : s->total_steps)));
    if (*c->which) TW_TRY(tw_text_add(out, " timesteps=%s", c->which));
    tw_text_from_double(epsilon, c->epsilon);
    if (c->epsilon > 0) TW_TRY(tw_text_add(out, " epsilon=%s", epsilon));
    tw_text_from_double(low, (double)s->clip.low);
    tw_text_from_double(high, (double)s->clip.high);
    TW_TRY(isinf(s->clip.low) ? tw_text_add(out, " clip=no")
                              : tw_text_add(out, " clip=%s:%s", low, high));
    TW_TRY(tw_text_add(out, " denoise=%s seed=%llu batch=%lld", c->denoise ? "yes" : "no",
                       (unsigned long long)c->seed, (long long)s->batch));
    if (s->known) TW_TRY(tw_text_add(out, " %s", s->known->text));
done:
    return st;
}

/* ---- running ---- */

/* x ~ N(0, prior_std² I) or uniform, each sample from its own stream; where samples stand in rows,
 * all of a row from that of its first. */
void tw_sampler_prior(const tw_sampler *s, tw_batch *b)
{
    const tw_process *p = s->process;
    const float std = (float)p->prior_std, low = (float)p->prior_low,
                range = (float)(p->prior_high - p->prior_low);
#pragma omp parallel for schedule(static) if (b->n * b->dims > 8192)
    for (int64_t i = 0; i < b->n; i++) {
        float *x = b->x + i * b->dims;
        const int64_t column = b->columns > 0 ? b->index[i] % b->columns : 0;
        const tw_rng_stream stream = {
            .seed = b->seed, .purpose = TW_RNG_SAMPLER_PRIOR, .position = b->index[i] - column};
        if (range > 0) {
            tw_rng_uniform(x, &stream, 0, b->dims);
            for (int64_t k = 0; k < b->dims; k++) x[k] = low + range * x[k];
        } else {
            tw_rng_normal(x, &stream, 0, b->dims);
            for (int64_t k = 0; std != 1.0f && k < b->dims; k++) x[k] *= std;
        }
    }
}

static tw_status look_after(tw_sampler *s, tw_batch *b, const tw_point *at, int64_t name)
{
    return s->hook && s->hook->after ? s->hook->after(s->hook->self, b, at, name) : TW_OK;
}

/* A whole batch of indices from `first`, of which the caller takes the first `wanted`. */
static tw_status run_batch(tw_sampler *s, int64_t first, int64_t wanted)
{
    tw_status st = TW_OK;
    tw_batch *b = &s->b;
    s->first = first;
    s->wanted = wanted;
    for (int64_t i = 0; i < b->n; i++) b->index[i] = first + i;
    b->columns = 0;
    tw_sampler_prior(s, b);
    b->scratch = s->predictor_scratch;
    b->number = s->predictor_number;
    if (s->predictor && s->predictor->begin) s->predictor->begin(s->config->predictor.config, b);
    b->scratch = s->loop_scratch;
    s->samples += b->n;
    if (s->grid.point) TW_TRY(look_after(s, b, &s->grid.point[0], 0));
    TW_TRY(s->hook && s->hook->run ? s->hook->run(s->hook->self, s, b)
                                   : s->loop->run(s->config->loop.config, s, b));
    if (s->grid.point && !s->predictor && s->grid.point[s->grid.steps].data)
        TW_TRY(look_after(s, b, &s->grid.point[s->grid.steps], 1)); /* no predictor told of it */
done:
    return st;
}

tw_status tw_sampler_run(tw_sampler *s, int64_t first, int64_t n, float *x)
{
    tw_status st = TW_OK;
    const int64_t limit = ((int64_t)1 << 44) - s->batch; /* of a stream's position */
    TW_CHECK(first >= 0 && n >= 0 && n <= limit && first <= limit - n, TW_EUSAGE,
             "%lld samples from index %lld: indices lie between 0 and 2^44", (long long)n,
             (long long)first);
    if (s->loop->stream) {
        s->first = first;
        s->wanted = n;
        s->samples += n;
        return s->loop->stream(s->config->loop.config, s, first, n, x);
    }
    for (int64_t done_so_far = 0; done_so_far < n; done_so_far += s->batch) {
        const int64_t wanted = n - done_so_far < s->batch ? n - done_so_far : s->batch;
        TW_TRY(run_batch(s, first + done_so_far, wanted));
        memcpy(x + done_so_far * s->dims, s->b.x, (size_t)(wanted * s->dims) * sizeof *x);
    }
done:
    return st;
}

tw_status tw_sampler_predict(tw_sampler *s, tw_batch *b, int64_t k)
{
    tw_status st = TW_OK;
    b->scratch = s->predictor_scratch;
    b->number = s->predictor_number;
    TW_TRY(s->predictor->step(s->config->predictor.config, &s->grid, k, b));
    TW_TRY(look_after(s, b, &s->grid.point[k + 1], 2 * s->grid.point[k].name + 1));
done:
    return st;
}

tw_status tw_sampler_correct_once(tw_sampler *s, tw_batch *b, const tw_point *at, int64_t j,
                                  int64_t count)
{
    tw_status st = TW_OK;
    tw_point step = *at;
    step.name = at->name * count + j;
    b->unchanged = j > 0 && !s->known && !s->hook;
    b->scratch = s->corrector_scratch;
    b->number = s->corrector_number;
    TW_TRY(s->corrector->correct(s->config->corrector.config, s->rule, s->config->rule.config,
                                 &step, b));
    TW_TRY(look_after(s, b, at, 2 * step.name + 2));
done:
    return st;
}

tw_status tw_sampler_correct(tw_sampler *s, tw_batch *b, const tw_point *at)
{
    tw_status st = TW_OK;
    const int64_t count = s->corrector->correct ? s->config->corrector_steps : 0;
    for (int64_t j = 0; j < count; j++) TW_TRY(tw_sampler_correct_once(s, b, at, j, count));
done:
    return st;
}

tw_status tw_sampler_step_done(tw_sampler *s, const tw_batch *b, int64_t done)
{
    if (!s->watch) return TW_OK;
    return s->watch(s->watch_self, done, s->total_steps, s->first, s->wanted, b->x);
}
