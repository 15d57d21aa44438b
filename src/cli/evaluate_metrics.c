/* Metrics chosen by name, measured, told. */
#include "cli/evaluate_metrics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tweedie/log.h"
#include "tweedie/memory.h"

enum { FEW = 10000 };

static tw_status add(evaluate_metrics *m, const char *name)
{
    tw_status st = TW_OK;
    const tw_kind *kind;
    st = tw_kind_find(&kind, tw_quality_kinds, "--metrics", name);
    if (st != TW_OK) return TW_EUSAGE;
    TW_CHECK(m->count < EVALUATE_METRICS_MAX, TW_EUSAGE, "--metrics: more than %d",
             EVALUATE_METRICS_MAX);
    m->choice[m->count++].kind = kind;
done:
    return st;
}

/* "a, b" */
static tw_status choose(evaluate_metrics *m, const char *list)
{
    tw_status st = TW_OK;
    char name[64];
    if (!list[0])
        for (int k = 0; k < tw_quality_kinds.count; k++)
            TW_TRY(add(m, tw_quality_kinds.table[k]->name));
    for (const char *at = list + strspn(list, ", "); *at; at += strspn(at, ", ")) {
        const size_t n = strcspn(at, ", ");
        TW_TRY(tw_format(name, sizeof name, "%.*s", (int)n, at));
        TW_TRY(add(m, name));
        at += n;
    }
done:
    return st;
}

/* Keys of metrics that are not measured are known, and refused by their owner's name. */
static tw_status know_others(evaluate_metrics *m)
{
    tw_status st = TW_OK;
    for (int k = 0; k < tw_quality_kinds.count; k++) {
        const tw_kind *kind = tw_quality_kinds.table[k];
        bool chosen = false;
        for (int i = 0; i < m->count; i++) chosen = chosen || m->choice[i].kind == kind;
        if (!chosen && kind->field_count)
            TW_TRY(tw_config_know(m->config, kind->name, kind->fields, kind->field_count,
                                  kind->name, false));
    }
done:
    return st;
}

static const tw_config_field threads_field = {
    "compute",
    "threads",
    TW_CONFIG_INT64,
    offsetof(evaluate_metrics, threads),
    "0",
    0,
    4096,
    .help = "OpenMP threads of a rank; 0: what the launcher gives"};

tw_status evaluate_metrics_bind(evaluate_metrics *m, const char *list, int count,
                                char *const *assignments)
{
    tw_status st = TW_OK;
    TW_TRY(choose(m, list));
    TW_TRY(tw_config_create(&m->config));
    TW_TRY(tw_config_override(m->config, count, assignments));
    TW_TRY(tw_config_bind(m->config, &threads_field, 1, m));
    for (int k = 0; k < m->count; k++) {
        const tw_kind *kind = m->choice[k].kind;
        TW_TRY(tw_choice_adopt(&m->choice[k], m->config, kind->name, kind));
    }
    TW_TRY(know_others(m));
    TW_TRY(tw_config_finish(m->config));
done:
    return st;
}

void evaluate_metrics_free(evaluate_metrics *m)
{
    for (int k = 0; k < m->count; k++) tw_choice_free(&m->choice[k]);
    tw_config_destroy(&m->config);
}

static const tw_metric *metric_of(const evaluate_metrics *m, int k)
{
    return (const tw_metric *)m->choice[k].kind;
}

static void warn_of_few(const evaluate_features *f)
{
    const int64_t least =
        f->sample_count < f->reference_count ? f->sample_count : f->reference_count;
    if (least < FEW)
        tw_log_warn("%lld samples against %lld of the data: Frechet distances are too large by "
                    "what falls with their number, and coverage depends on it; below %d compare "
                    "only those of equal numbers (papers take 50000)",
                    (long long)f->sample_count, (long long)f->reference_count, FEW);
}

tw_status evaluate_metrics_measure(evaluate_metrics *m, const tw_comm *comm,
                                   const evaluate_features *f)
{
    tw_status st = TW_OK;
    const tw_metric_pair pair = {.comm = comm,
                                 .samples = f->samples,
                                 .reference = f->reference,
                                 .sample_count = f->sample_count,
                                 .reference_count = f->reference_count,
                                 .dims = f->dims,
                                 .gaussian = f->gaussian.dims ? &f->gaussian : NULL};
    if (tw_comm_rank(comm) == 0) warn_of_few(f);
    for (int k = 0; k < m->count; k++)
        TW_TRY(metric_of(m, k)->measure(m->choice[k].config, &pair, m->value[k]));
    m->measured = true;
done:
    return st;
}

void evaluate_metrics_json(tw_json *json, const evaluate_metrics *m, const evaluate_features *f)
{
    if (!m->measured) return;
    tw_json_string(json, "features", f->text);
    if (f->network) tw_json_string(json, "features_digest", tw_features_digest(f->network));
    tw_json_int64(json, "feature_dimensions", f->dims);
    for (int k = 0; k < m->count; k++)
        for (int i = 0; i < metric_of(m, k)->value_count; i++)
            tw_json_double(json, metric_of(m, k)->values[i].key, m->value[k][i]);
}

void evaluate_metrics_print(const evaluate_metrics *m, const evaluate_features *f)
{
    if (!m->measured) return;
    printf("features                     %s\n", f->text);
    for (int k = 0; k < m->count; k++)
        for (int i = 0; i < metric_of(m, k)->value_count; i++) {
            const tw_metric_value *v = &metric_of(m, k)->values[i];
            if (isnan(m->value[k][i])) continue; /* too few samples to say */
            printf("%-28s %.5f%s%s%s\n", v->label, m->value[k][i], v->note[0] ? " (" : "", v->note,
                   v->note[0] ? ")" : "");
        }
}
