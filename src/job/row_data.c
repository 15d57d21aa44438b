/* The rows of a dataset that a job works on. */
#include <math.h>
#include <string.h>

#include "job/row_job.h"
#include "tweedie/data.h"

tw_status row_job_check_samples(row_job *j)
{
    tw_status st = TW_OK;
    const tw_dataset_spec *met = tw_dataset_get_spec(j->data), *want = &j->restored->samples;
    TW_CHECK(met->kind == want->kind && met->height == want->height && met->width == want->width &&
                 met->channels == want->channels,
             TW_EDATA,
             "%s: holds %s of %lld x %lld x %lld, the network takes %s of %lld x %lld x %lld",
             j->options->data, tw_dataset_kind_name(met->kind), (long long)met->height,
             (long long)met->width, (long long)met->channels, tw_dataset_kind_name(want->kind),
             (long long)want->height, (long long)want->width, (long long)want->channels);
    TW_CHECK(!want->encoder[0] || !met->encoder[0] || strcmp(want->encoder, met->encoder) == 0,
             TW_EDATA,
             "%s: holds latents of the weights %s, the network was trained on those of %s",
             j->options->data, met->encoder, want->encoder);
done:
    return st;
}

void row_job_condition(row_job *j, int64_t first, int64_t n)
{
    const tw_labels labels = {.list = j->label, .first = first, .count = n};
    if (!j->network) return; /* an autoencoder is told nothing */
    if (j->label) tw_model_score_condition(j->network, &labels);
    tw_model_score_give(j->network, &(tw_given){j->y, first, n});
}

tw_status row_job_read_conditions(row_job *j, int64_t first, int64_t n, int64_t at)
{
    tw_status st = TW_OK;
    const tw_dataset_spec *units = &j->restored->condition;
    if (!j->y) return TW_OK;
    char *to = j->condition + (size_t)at * tw_dataset_sample_bytes(units);
    TW_TRY(tw_dataset_read_condition_stored(j->data, first, n, to));
    tw_dataset_normalise(units, n, to, j->y + at * tw_dataset_elements(units));
done:
    return st;
}

/* log p(x | y) is that of a sample's own class and condition y. */
tw_status row_job_check_given(const row_job *j)
{
    tw_status st = TW_OK;
    const int64_t classes = j->restored->model->classes,
                  there = tw_dataset_get_spec(j->data)->num_classes;
    TW_CHECK(!j->task->unlabelled || !j->restored->samples.condition, TW_ECONFIG,
             "%s: its model is conditional, p(x | y): samples under given conditions are drawn by "
             "tweedie sample --condition; a model without data.condition was expected",
             j->options->weights);
    TW_CHECK(j->task->unlabelled || !classes || there == classes, TW_EDATA,
             there ? "%s: holds %lld classes, and the network is told one of %lld"
                   : "%s: holds no labels (%lld classes), and the network is told one of %lld "
                     "classes",
             j->options->data, (long long)there, (long long)classes);
    TW_TRY(
        tw_restored_check_condition(j->restored, tw_dataset_get_spec(j->data), j->options->data));
done:
    return st;
}

tw_status row_job_read_samples(row_job *j, int64_t first, int64_t n, float *x)
{
    tw_status st = TW_OK;
    TW_TRY(tw_dataset_read_stored(j->data, first, n, j->stored, j->label));
    TW_TRY(row_job_read_conditions(j, first, n, 0));
    row_job_condition(j, first, n);
    tw_dataset_normalise(&j->restored->samples, n, j->stored, x);
done:
    return st;
}

double row_job_log_scale(const row_job *j)
{
    const tw_dataset_spec *s = &j->restored->samples;
    double sum = 0;
    for (int64_t c = 0; s->scale && c < s->channels; c++) sum += log(fabs((double)s->scale[c]));
    return s->kind == TW_DATASET_UINT8 ? 0 : sum * (double)(s->height * s->width);
}

static bool has_split(const tw_dataset_spec *s, const char *name)
{
    for (int i = 0; i < s->split_count; i++)
        if (strcmp(s->splits[i].name, name) == 0) return true;
    return false;
}

tw_status row_job_open_data(row_job *j)
{
    tw_status st = TW_OK;
    const tw_row_job_options *o = j->options;
    tw_dataset_options opening = {.path = o->data, .split = "all"};
    if (o->split && *o->split) opening.split = o->split;
    TW_TRY(tw_dataset_open(&j->data, j->comm, &opening));
    if ((!o->split || !*o->split) && j->task->split &&
        has_split(tw_dataset_get_spec(j->data), j->task->split)) {
        opening.split = j->task->split;
        tw_dataset_destroy(&j->data);
        TW_TRY(tw_dataset_open(&j->data, j->comm, &opening));
    }
    j->rows = tw_dataset_count(j->data);
done:
    return st;
}

tw_status row_job_choose_rows(row_job *j)
{
    tw_status st = TW_OK;
    const tw_row_job_options *o = j->options;
    j->first = o->first;
    TW_CHECK(o->first >= 0 && o->first < j->rows, TW_EUSAGE, "row %lld: %s has rows 0 to %lld",
             (long long)o->first, o->data, (long long)(j->rows - 1));
    j->count = o->count > 0 ? o->count : j->rows - o->first;
    TW_CHECK(j->count <= j->rows - o->first, TW_EUSAGE,
             "%lld rows from row %lld: %s has rows 0 to %lld", (long long)o->count,
             (long long)o->first, o->data, (long long)(j->rows - 1));
done:
    return st;
}
