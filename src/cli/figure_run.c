/* A run as pictures need it. */
#include "cli/figure_run.h"

#include <math.h>

#include "tweedie/memory.h"

static tw_status configure(figure_run *r, const tw_plot_options *o, int count,
                           const char *const *more)
{
    tw_status st = TW_OK;
    char *assignments[128];
    int n = 0;
    TW_CHECK(o->assignment_count + count <= 128, TW_EUSAGE, "%d settings are too many",
             o->assignment_count);
    for (int i = 0; i < count; i++) assignments[n++] = (char *)more[i];
    for (int i = 0; i < o->assignment_count; i++) assignments[n++] = o->assignments[i];
    TW_TRY(tw_restore_config(&r->config, r->restored,
                             count ? "sample.batch compute.precision compute.convolution"
                                   : "sample compute.precision compute.convolution",
                             "sample compute", n, assignments));
    TW_TRY(tw_run_config_bind(&r->run, r->config, TW_RUN_SAMPLE | TW_RUN_COMPUTE,
                              r->process->kind->sampler));
    TW_TRY(tw_config_finish(r->config));
done:
    return st;
}

static tw_status check_points(const figure_run *r, const char *path)
{
    tw_status st = TW_OK;
    const tw_dataset_spec *s = &r->restored->samples;
    TW_CHECK(s->kind == TW_DATASET_POINTS && s->channels == 2, TW_EUSAGE,
             "%s: its samples are %s of %lld numbers; only points in the plane can be drawn", path,
             tw_dataset_kind_name(s->kind), (long long)tw_dataset_elements(s));
    for (int64_t k = 0; k < 2 && r->density; k++)
        TW_CHECK((!s->offset || s->offset[k] == 0) && (!s->scale || s->scale[k] == 1), TW_EUSAGE,
                 "%s: its points were normalised, and the built-in densities are not", path);
done:
    return st;
}

tw_status figure_run_open(figure_run *out, const tw_plot_options *o, int count,
                          const char *const *more)
{
    tw_status st = TW_OK;
    tw_precision precision;
    *out = (figure_run){0};
    if (o->density[0]) TW_TRY(tw_density_create(&out->density, o->density));
    TW_TRY(tw_restore(&out->restored, NULL, o->inputs[0], o->weights));
    out->process = out->restored->model->process;
    TW_TRY(check_points(out, o->inputs[0]));
    TW_TRY(configure(out, o, count, more));
    TW_TRY(tw_compute_prepare(&precision, NULL, &out->run.compute, NULL));
    TW_TRY(tw_model_score_create(&out->score, out->restored->model, out->run.sample.batch,
                                 precision, (tw_convolution)out->run.compute.convolution));
done:
    return st;
}

void figure_run_close(figure_run *r)
{
    tw_model_score_destroy(&r->score);
    tw_run_config_free(&r->run);
    tw_config_destroy(&r->config);
    tw_restore_destroy(&r->restored);
    tw_density_destroy(&r->density);
}

tw_status figure_run_time(double *out, const figure_run *r, double asked)
{
    tw_status st = TW_OK;
    const bool discrete = tw_process_is_discrete(r->process);
    const double t = asked != -1 ? asked : discrete ? 0 : r->process->epsilon;
    TW_CHECK(tw_process_has_time(r->process, t), TW_EUSAGE,
             discrete ? "--time %g: this model's clock has the steps 0 to %g"
                      : "--time %g: this model's times are above 0, at most %g",
             t, discrete ? r->process->end : r->process->limit);
    *out = t;
done:
    return st;
}

tw_status figure_run_score(const figure_run *r, double t, int64_t n, const float *x, float *s,
                           double *energy)
{
    tw_status st = TW_OK;
    double *times = NULL;
    int64_t *index = NULL;
    const tw_score *score = tw_model_score_view(r->score);
    TW_TRY(tw_alloc(&times, n, sizeof *times, "times"));
    TW_TRY(tw_alloc(&index, n, sizeof *index, "indices"));
    for (int64_t i = 0; i < n; i++) {
        times[i] = t;
        index[i] = i;
    }
    if (energy)
        TW_TRY(score->eval_energy(score->self, n, x, times, index, s, energy));
    else
        TW_TRY(score->eval(score->self, n, x, times, index, s));
done:
    tw_free(&times);
    tw_free(&index);
    return st;
}

void figure_run_exact(const figure_run *r, double t, int64_t n, const float *x, double *density,
                      float *s)
{
    const double alpha = tw_process_alpha(r->process, t), sigma = tw_process_sigma(r->process, t);
#pragma omp parallel for schedule(dynamic, 64)
    for (int64_t i = 0; i < n; i++) {
        const double at[2] = {(double)x[2 * i], (double)x[2 * i + 1]};
        double score[2];
        density[i] = exp(tw_density_at(r->density, alpha, sigma, at, score));
        for (int k = 0; k < 2 && s; k++) s[2 * i + k] = (float)score[k];
    }
}

void figure_grid(float *x, int64_t side, double range)
{
    for (int64_t i = 0; i < side * side; i++) {
        x[2 * i] = (float)(range * (2 * ((double)(i % side) + 0.5) / (double)side - 1));
        x[2 * i + 1] = (float)(range * (1 - 2 * ((double)(i / side) + 0.5) / (double)side));
    }
}
