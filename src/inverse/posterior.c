/* Posterior samples: a sampler whose score, or whose steps, a method conditions on measurements. */
#include "inverse/posterior.h"

#include <math.h>
#include <string.h>

#include "tweedie/memory.h"
#include "tweedie/rng.h"

/* ---- configuration ---- */

static const tw_config_field noise_field = {
    "task",
    "noise",
    TW_CONFIG_DOUBLE,
    offsetof(tw_posterior_config, noise),
    "0",
    0,
    1e30,
    .help = "standard deviation of a measurement's noise, in its own units (of bytes: of 0 ... "
            "255)"};

tw_status tw_posterior_bind(tw_posterior_config *out, tw_config *config)
{
    tw_status st = TW_OK;
    const tw_choice_rule rule = {.section = "restore",
                                 .key = "method",
                                 .default_name = "pigdm",
                                 .help = "how samples are held to a measurement",
                                 .kinds = tw_posterior_kinds};
    TW_TRY(tw_choice_bind(&out->method, config, &rule));
    TW_TRY(tw_config_bind(config, &noise_field, 1, out));
done:
    return st;
}

void tw_posterior_config_free(tw_posterior_config *config)
{
    tw_choice_free(&config->method);
}

const char *tw_posterior_method_of_maps(void)
{
    for (int k = 0; k < tw_posterior_kinds.count; k++) {
        const tw_posterior_method *m = (const tw_posterior_method *)tw_posterior_kinds.table[k];
        if (m->maps) return m->kind.name;
    }
    return NULL;
}

const char *tw_posterior_usual_sampler(const tw_posterior_config *config)
{
    const tw_posterior_method *m = (const tw_posterior_method *)config->method.kind;
    return m && m->sampler ? m->sampler : "ancestral";
}

/* ---- the score ---- */

static tw_status eval(void *self, int64_t n, const float *x, const double *t, const int64_t *index,
                      float *score)
{
    tw_status st = TW_OK;
    tw_posterior *p = self;
    TW_TRY(p->prior->eval(p->prior->self, n, x, t, index, score));
    if (p->method->add) TW_TRY(p->method->add(p->config, p, n, x, t, index, score));
done:
    return st;
}

static tw_status eval_variance(void *self, int64_t n, const float *x, const double *t,
                               const int64_t *index, float *score, float *v)
{
    tw_status st = TW_OK;
    tw_posterior *p = self;
    TW_TRY(p->prior->eval_variance(p->prior->self, n, x, t, index, score, v));
    if (p->method->add) TW_TRY(p->method->add(p->config, p, n, x, t, index, score));
done:
    return st;
}

static tw_status after(void *self, tw_batch *b, const tw_point *at, int64_t name)
{
    tw_posterior *p = self;
    return p->method->after(p->config, p, b, at, name);
}

static tw_status run(void *self, tw_sampler *s, tw_batch *b)
{
    tw_posterior *p = self;
    return p->method->run(p->config, p, s, b);
}

/* ---- planning ---- */

static tw_status allocate_measured(tw_posterior *p)
{
    tw_status st = TW_OK;
    int64_t all;
    const int64_t width[] = {p->dims, p->dims, p->a->dims};
    TW_TRY(tw_multiply(&all, p->batch, p->a->outputs, "a batch of measurements"));
    TW_TRY(tw_alloc(&p->outputs, all, sizeof *p->outputs, "a batch of measurements"));
    TW_TRY(tw_multiply(&all, p->batch, p->dims, "a batch of samples"));
    TW_TRY(tw_alloc(&p->x0, all, sizeof *p->x0, "a batch of samples"));
    TW_TRY(tw_alloc(&p->back, all, sizeof *p->back, "a batch of samples"));
    for (int i = 0; p->o.map && i < 3; i++) {
        TW_TRY(tw_multiply(&all, p->batch, width[i], "a batch of samples"));
        TW_TRY(tw_alloc(&p->mapped[i], all, sizeof *p->mapped[i], "a batch of samples"));
    }
    TW_TRY(tw_alloc(&p->measured, p->a->dims, sizeof *p->measured, "a sample"));
done:
    return st;
}

static tw_status allocate(tw_posterior *p)
{
    tw_status st = TW_OK;
    const int arrays = p->method->scratch + 1;
    int64_t one, all;
    TW_TRY(tw_multiply(&one, p->batch, p->dims, "a batch of samples"));
    TW_TRY(tw_multiply(&all, one, arrays, "a batch of samples"));
    TW_TRY(tw_alloc(&p->arrays, all, sizeof *p->arrays, "a batch of samples"));
    TW_TRY(tw_alloc(&p->scratch, arrays, sizeof *p->scratch, "a batch of samples"));
    for (int i = 0; i < arrays; i++) p->scratch[i] = p->arrays + i * one;
    p->vjp = p->scratch[arrays - 1];
    for (int i = 0; i < 4; i++)
        TW_TRY(tw_alloc(&p->work[i], p->dims, sizeof *p->work[i], "a sample"));
    TW_TRY(allocate_measured(p));
    TW_TRY(tw_alloc(&p->number, p->batch, sizeof *p->number, "a batch of samples"));
    TW_TRY(tw_alloc(&p->noise_row, p->dims, sizeof *p->noise_row, "a sample"));
    if (p->method->points) {
        const int64_t n = p->method->points(p->config);
        TW_TRY(tw_alloc(&p->grid.point, n, sizeof *p->grid.point, "times"));
        p->grid.steps = n - 1;
    }
done:
    return st;
}

/* The methods that go with this score and map. A score that is guided by a second network has no
 * vjp, for one. */
static tw_status others(tw_text *out, const tw_posterior *p)
{
    tw_status st = TW_OK;
    for (int k = 0; k < tw_posterior_kinds.count; k++) {
        const tw_posterior_method *m = (const tw_posterior_method *)tw_posterior_kinds.table[k];
        if ((m->vjp && !p->prior->vjp) || (p->o.map && !m->maps)) continue;
        TW_TRY(tw_text_add(out, "%s%s", out->length ? ", " : "", m->kind.name));
    }
done:
    return st;
}

static tw_status check_method(const tw_posterior *p)
{
    tw_status st = TW_OK;
    const tw_posterior_method *m = p->method;
    tw_text able = {0};
    TW_CHECK(!p->o.map || p->prior->vjp, TW_ECONFIG,
             "restore.method: decoded latents are restored along the score's derivative, and this "
             "score has none: a second network guides it");
    TW_TRY(others(&able, p));
    TW_CHECK(!p->o.map || m->maps, TW_ECONFIG,
             "restore.method: %s needs measurements that are linear in what the model describes, "
             "and those of decoded latents are not; these work by gradients alone: %s",
             m->kind.name, able.data);
    TW_CHECK(
        !m->vjp || p->prior->vjp, TW_ECONFIG,
        "restore.method: %s differentiates the score, and this one has no derivative; these do "
        "without: %s",
        m->kind.name, able.data);
done:
    tw_text_free(&able);
    return st;
}

static tw_status check(const tw_posterior *p)
{
    tw_status st = TW_OK;
    const tw_posterior_method *m = p->method;
    const int64_t dims = p->o.map ? p->o.map->dims : p->a->dims;
    TW_CHECK(p->dims == dims, TW_ESHAPE, "a score of %lld numbers, measurements of %lld",
             (long long)p->dims, (long long)dims);
    TW_CHECK(!p->o.map || p->o.map->outputs == p->a->dims, TW_ESHAPE,
             "a map to %lld numbers, an operator of %lld",
             p->o.map ? (long long)p->o.map->outputs : 0, (long long)p->a->dims);
    TW_TRY(check_method(p));
    if (m->check) TW_TRY(m->check(p->config, p));
done:
    return st;
}

static tw_status make_sampler(tw_posterior *p)
{
    const tw_posterior_method *m = p->method;
    p->hook =
        (tw_sampler_hook){.self = p, .after = m->after ? after : NULL, .run = m->run ? run : NULL};
    p->score = (tw_score){.self = p,
                          .dims = p->dims,
                          .eval = eval,
                          .eval_variance = p->prior->eval_variance ? eval_variance : NULL};
    const tw_sampler_options options = {.batch = p->o.batch,
                                        .bounded = p->o.bounded,
                                        .steps = p->o.steps,
                                        .hook = m->after || m->run ? &p->hook : NULL};
    return tw_sampler_create(&p->sampler, p->o.sampler, p->o.process, &p->score, &options);
}

tw_status tw_posterior_create(tw_posterior **out, const tw_posterior_options *options)
{
    tw_status st = TW_OK;
    tw_posterior *p = NULL;
    TW_CHECK(options->config->method.kind && options->per >= 1, TW_EINTERNAL,
             "a posterior of no method or no samples");
    TW_TRY(tw_alloc(&p, 1, sizeof *p, "a posterior sampler"));
    p->o = *options;
    p->method = (const tw_posterior_method *)options->config->method.kind;
    p->config = options->config->method.config;
    p->a = options->a;
    p->prior = options->prior;
    p->dims = options->prior->dims;
    p->batch = options->batch ? options->batch : options->sampler->batch;
    p->per = options->per;
    p->noise = options->noise;
    TW_TRY(check(p));
    if (p->method->basis) TW_TRY(tw_operator_need_basis(options->a));
    TW_TRY(allocate(p));
    TW_TRY(make_sampler(p));
    *out = p;
    p = NULL;
done:
    tw_posterior_destroy(&p);
    return st;
}

void tw_posterior_destroy(tw_posterior **posterior)
{
    tw_posterior *p = *posterior;
    if (!p) return;
    tw_sampler_destroy(&p->sampler);
    tw_free(&p->ybar);
    tw_free(&p->arrays);
    tw_free(&p->scratch);
    for (int i = 0; i < 4; i++) tw_free(&p->work[i]);
    tw_free(&p->outputs);
    tw_free(&p->x0);
    tw_free(&p->back);
    for (int i = 0; i < 3; i++) tw_free(&p->mapped[i]);
    tw_free(&p->measured);
    tw_free(&p->number);
    tw_free(&p->noise_row);
    tw_free(&p->grid.point);
    tw_free(posterior);
}

tw_sampler *tw_posterior_sampler(const tw_posterior *p)
{
    return p->sampler;
}

tw_status tw_posterior_describe(tw_text *out, const tw_posterior *p)
{
    tw_status st = TW_OK;
    char noise[TW_TEXT_DOUBLE_MAX];
    tw_text_from_double(noise, p->noise);
    TW_TRY(tw_operator_describe(out, p->a));
    TW_TRY(tw_text_add(out, " noise=%s method=", noise));
    TW_TRY(tw_choice_describe(out, &p->o.config->method));
    TW_TRY(tw_text_add(out, " per=%lld ", (long long)p->per));
    TW_TRY(tw_sampler_describe(out, p->sampler));
done:
    return st;
}

/* ---- running ---- */

static tw_status take_measurements(tw_posterior *p, int64_t first, int64_t count, const double *y)
{
    tw_status st = TW_OK;
    const tw_operator *a = p->a;
    p->first = first;
    p->rows = count;
    p->y = y;
    if (!p->method->basis) return TW_OK;
    if (count > p->room) {
        tw_free(&p->ybar);
        p->room = 0;
        TW_TRY(tw_alloc(&p->ybar, count * p->dims, sizeof *p->ybar, "measurements"));
        p->room = count;
    }
    for (int64_t j = 0; j < count; j++) {
        double *c = p->ybar + j * p->dims;
        tw_operator_adjoint(a, y + j * a->outputs, p->work[0]);
        tw_operator_to_basis(a, p->work[0], c);
        for (int64_t i = 0; i < p->dims; i++)
            c[i] = a->singular[i] > 0 ? c[i] / (a->singular[i] * a->singular[i]) : 0;
    }
done:
    return st;
}

tw_status tw_posterior_run(tw_posterior *p, int64_t first, int64_t count, const double *y, float *x)
{
    tw_status st = TW_OK;
    if (count == 0) return TW_OK;
    TW_TRY(take_measurements(p, first, count, y));
    TW_TRY(tw_sampler_run(p->sampler, first * p->per, count * p->per, x));
done:
    p->y = NULL;
    return st;
}

/* ---- for methods ---- */

/* What fills a batch up is of the last measurement at hand; nobody sees it. */
static int64_t row_of(const tw_posterior *p, int64_t index)
{
    const int64_t row = index / p->per - p->first;
    return row < p->rows ? row : p->rows - 1;
}

const double *posterior_y(const tw_posterior *p, int64_t index)
{
    return p->y + row_of(p, index) * p->a->outputs;
}

const double *posterior_ybar(const tw_posterior *p, int64_t index)
{
    return p->ybar + row_of(p, index) * p->dims;
}

void posterior_denoised(const tw_posterior *p, double t, const float *x, const float *s, double *x0)
{
    const double alpha = tw_process_alpha(p->o.process, t),
                 sigma = tw_process_sigma(p->o.process, t);
    for (int64_t k = 0; k < p->dims; k++)
        x0[k] = ((double)x[k] + sigma * sigma * (double)s[k]) / alpha;
}

tw_status posterior_pull_back(tw_posterior *p, int64_t n, const float *x, const double *t,
                              const int64_t *index, const float *v, float *out)
{
    tw_status st = TW_OK;
    TW_TRY(p->prior->vjp(p->prior->self, n, x, t, index, v, NULL, p->vjp));
    for (int64_t i = 0; i < n; i++) {
        const double alpha = tw_process_alpha(p->o.process, t[i]),
                     sigma = tw_process_sigma(p->o.process, t[i]);
        for (int64_t k = i * p->dims; k < (i + 1) * p->dims; k++)
            out[k] = (float)(((double)v[k] + sigma * sigma * (double)p->vjp[k]) / alpha);
    }
done:
    return st;
}

void posterior_noise(const tw_posterior *p, int64_t index, int64_t name, double *z)
{
    const tw_rng_stream stream = {.seed = (uint64_t)p->o.sampler->seed,
                                  .purpose = TW_RNG_RESTORE,
                                  .position = index,
                                  .step = name};
    tw_rng_normal(p->noise_row, &stream, 0, p->dims);
    for (int64_t k = 0; k < p->dims; k++) z[k] = (double)p->noise_row[k];
}

int64_t posterior_name_of(const tw_posterior *p, double t)
{
    return (int64_t)llround(fmin(fmax(t / p->o.process->end, 0), 8) * 0x1p40);
}
