/* Which class a measurement's samples are of, and what guides them. */
#include "job/restore_prior.h"

#include <string.h>

#include "tweedie/memory.h"

/* The value of the last assignment to `key`, or NULL. */
static const char *assigned(const row_job *j, const char *key)
{
    const char *value = NULL;
    const size_t n = strlen(key);
    for (int i = 0; i < j->options->assignment_count; i++) {
        const char *a = j->options->assignments[i];
        if (strncmp(a, key, n) == 0 && a[n] == '=') value = a + n + 1;
    }
    return value;
}

static bool is_given(const char *text)
{
    return text && *text;
}

tw_status restore_prior_read(restore_prior *p, const row_job *j, const tw_restore_job_options *o)
{
    const char *path = is_given(o->guide) ? o->guide : assigned(j, "guidance.network");
    return is_given(path) ? sample_guide_restore(&p->guide, j->comm, path) : TW_OK;
}

enum { OWN = 4 }; /* kind, network, class, method */

tw_status restore_prior_settings(restore_prior *p, const row_job *j,
                                 const tw_restore_job_options *o)
{
    tw_status st = TW_OK;
    const tw_row_job_options *given = j->options;
    const tw_model *m = j->restored->model;
    TW_TRY(tw_alloc(&p->assignments, given->assignment_count + OWN, sizeof *p->assignments,
                    "settings"));
    if (is_given(o->guide)) {
        TW_TRY(tw_format(p->kind, sizeof p->kind, "guidance.kind=%s",
                         p->guide.network->model->net->logits ? "classifier" : "energy"));
        TW_TRY(tw_format(p->network, sizeof p->network, "guidance.network=%s", o->guide));
        p->assignments[p->count++] = p->kind;
        p->assignments[p->count++] = p->network;
    }
    if (!assigned(j, "sample.class") && m->classes) {
        TW_CHECK(m->label_dropout > 0, TW_ECONFIG,
                 "sample.class: %s was always told a class in training; --class says of which the "
                 "measurements are: a number, all (in turn), or a file with that of each",
                 given->weights);
        TW_TRY(tw_format(p->class, sizeof p->class, "sample.class=none"));
        p->assignments[p->count++] = p->class;
    }
    if (j->restored->samples.encoder[0] && !o->latents) {
        TW_TRY(tw_format(p->method, sizeof p->method, "restore.method=%s",
                         tw_posterior_method_of_maps()));
        p->assignments[p->count++] = p->method;
    }
    for (int i = 0; i < given->assignment_count; i++)
        p->assignments[p->count++] = given->assignments[i];
done:
    return st;
}

tw_status restore_prior_plan(restore_prior *p, row_job *j, int64_t per)
{
    tw_status st = TW_OK;
    tw_model *m = j->restored->model;
    int64_t classes;
    TW_TRY(sample_guide_classes(&classes, &p->guide, m));
    TW_CHECK(!classes || m->classes || assigned(j, "sample.class"), TW_ECONFIG,
             "sample.class: a classifier guides to a class; --class says of which the measurements "
             "are: a number, all (in turn), or a file with that of each");
    TW_TRY(tw_run_labels(&p->labels, &p->list, j->run.sample_class, classes, m->label_dropout > 0));
    p->labels.per = per;
    tw_model_score_condition(j->network, &p->labels);
    TW_TRY(sample_guide_plan(&p->guide, &j->run, j->restored, &j->score, &p->labels, j->precision));
done:
    return st;
}

const tw_score *restore_prior_view(const restore_prior *p, const row_job *j)
{
    return sample_guide_view(&p->guide, &j->score);
}

tw_status restore_prior_describe(tw_text *out, const restore_prior *p, const row_job *j)
{
    tw_status st = TW_OK;
    if (p->labels.classes) TW_TRY(tw_run_labels_describe(out, &p->labels, j->run.sample_class));
    if (p->guide.guided) TW_TRY(tw_guided_describe(out, p->guide.guided));
done:
    return st;
}

void restore_prior_free(restore_prior *p)
{
    sample_guide_free(&p->guide);
    tw_free(&p->list);
    tw_free(&p->assignments);
}
