/* The times that a sampler visits. */
#include <math.h>
#include <string.h>

#include "sample/sampler.h"
#include "tweedie/memory.h"

/* The name of a point numbers its random streams. Of a discrete process it is the step itself, so
 * that a step has its noise whichever others are left out; of continuous times the place in the
 * grid, counted from its end (tw_times_grid_create). */
tw_point tw_point_at(const tw_process *p, double t)
{
    return (tw_point){.t = t,
                      .alpha = tw_process_alpha(p, t),
                      .sigma = tw_process_sigma(p, t),
                      .name = (int64_t)t};
}

tw_point tw_point_data(const tw_process *p)
{
    return (tw_point){.t = tw_process_is_discrete(p) ? -1 : 0, .alpha = 1, .data = true};
}

/* Steps that a text names, "250", "ddim50", "10,10,30"; falling. */
static tw_status named_steps(double **out, int64_t *n, const tw_process *p, const char *text)
{
    tw_status st = TW_OK;
    int64_t *kept = NULL;
    TW_CHECK(tw_process_is_discrete(p), TW_ECONFIG,
             "sample.timesteps: chooses steps of a discrete process; process.kind is %s, whose "
             "times sample.steps and sample.spacing choose",
             p->kind->kind.name);
    TW_TRY(tw_alloc(&kept, p->steps, sizeof *kept, "kept time steps"));
    TW_TRY(tw_spacing_of_steps(kept, n, p->steps, text));
    TW_TRY(tw_alloc(out, *n, sizeof **out, "times"));
    for (int64_t k = 0; k < *n; k++) (*out)[k] = (double)kept[*n - 1 - k];
done:
    tw_free(&kept);
    return st;
}

static tw_status check_spacing(const tw_process *p, const double *t, int64_t n)
{
    tw_status st = TW_OK;
    for (int64_t k = 0; k < n; k++) {
        TW_CHECK(tw_process_has_time(p, t[k]), TW_ECONFIG,
                 "sample.spacing: time %g is not one of the process %s", t[k], p->kind->kind.name);
        TW_CHECK(k == 0 || t[k] < t[k - 1], TW_ECONFIG,
                 "sample.steps: %lld steps are so many that two of them are the same time (%g); "
                 "take fewer, or another sample.spacing",
                 (long long)n, t[k]);
    }
done:
    return st;
}

static tw_status spaced(double **out, int64_t n, const tw_sampler_config *c, const tw_process *p)
{
    tw_status st = TW_OK;
    const tw_spacing *s = (const tw_spacing *)c->spacing.kind;
    const double epsilon = tw_process_is_discrete(p) ? 0 : c->epsilon > 0 ? c->epsilon : p->epsilon;
    TW_CHECK(tw_process_is_discrete(p) || (epsilon < p->end && tw_process_has_time(p, epsilon)),
             TW_ECONFIG, "sample.epsilon: %g is not below the process's end, %g", epsilon, p->end);
    TW_TRY(tw_alloc(out, n, sizeof **out, "times"));
    TW_TRY(s->fill(c->spacing.config, p, epsilon, n, *out));
    for (int64_t k = 0; k < n && tw_process_is_discrete(p); k++) (*out)[k] = rint((*out)[k]);
done:
    return st;
}

/* How many times: what is asked for, else all of a discrete process, else what is usual. */
static int64_t usual_steps(const tw_sampler_config *c, const tw_process *p)
{
    const tw_predictor *predictor = (const tw_predictor *)c->predictor.kind;
    const tw_loop *loop = (const tw_loop *)c->loop.kind;
    if (tw_process_is_discrete(p)) return p->steps;
    if (loop->usual_steps) return loop->usual_steps;
    return predictor && predictor->steps ? predictor->steps : 1000;
}

static tw_status all_times(double **out, int64_t *n, const tw_sampler_config *c,
                           const tw_process *p, int64_t steps)
{
    tw_status st = TW_OK;
    char text[32];
    if (*c->which) return named_steps(out, n, p, c->which);
    *n = steps ? steps : c->steps ? c->steps : usual_steps(c, p);
    TW_CHECK(!tw_process_is_discrete(p) || *n <= p->steps, TW_ECONFIG,
             "sample.steps: %lld; the process has 1 to %lld", (long long)*n, (long long)p->steps);
    TW_TRY(tw_format(text, sizeof text, "%lld", (long long)*n));
    if (tw_process_is_discrete(p) && strcmp(c->spacing.kind->name, "uniform") == 0)
        return named_steps(out, n, p, text); /* the published rounding */
    TW_TRY(spaced(out, *n, c, p));
done:
    return st;
}

tw_status tw_times_grid_create(tw_times_grid *out, const tw_sampler_config *c, const tw_process *p,
                               int64_t steps)
{
    tw_status st = TW_OK;
    double *t = NULL;
    int64_t n = 0;
    tw_times_grid grid = {0};
    TW_TRY(all_times(&t, &n, c, p, steps));
    TW_TRY(check_spacing(p, t, n));
    grid.steps = c->denoise ? n : n - 1;
    TW_CHECK(grid.steps >= 1, TW_ECONFIG,
             "sample.steps: one time makes no step without "
             "sample.denoise");
    TW_TRY(tw_alloc(&grid.point, n + 1, sizeof *grid.point, "times"));
    for (int64_t k = 0; k < n; k++) {
        grid.point[k] = tw_point_at(p, t[k]);
        if (!tw_process_is_discrete(p)) grid.point[k].name = n - 1 - k;
    }
    grid.point[n] = tw_point_data(p);
    *out = grid;
    grid.point = NULL;
done:
    tw_free(&grid.point);
    tw_free(&t);
    return st;
}

void tw_times_grid_free(tw_times_grid *grid)
{
    tw_free(&grid->point);
}
