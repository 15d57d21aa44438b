/* State and cost, numbers, provenance. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/page.h"

/* ---- state and cost ---- */

static const char *class_of(tw_run_state s)
{
    switch (s) {
    case TW_RUN_FINISHED:
        return "state good";
    case TW_RUN_DIVERGED:
    case TW_RUN_FAILED:
    case TW_RUN_LOST:
        return "state bad";
    case TW_RUN_STARTING:
    case TW_RUN_TRAINING:
    case TW_RUN_SAVING:
        return "state busy";
    case TW_RUN_NEW:
    case TW_RUN_STOPPED:
        break;
    }
    return "state";
}

static void duration(html *h, double seconds)
{
    char text[64];
    const long long s = seconds < 1e15 ? (long long)seconds : 0;
    if (!(seconds > 0))
        text[0] = '\0';
    else if (s >= 3600)
        snprintf(text, sizeof text, "%lld h %02lld min", s / 3600, s / 60 % 60);
    else if (s >= 120)
        snprintf(text, sizeof text, "%lld min", s / 60);
    else
        snprintf(text, sizeof text, "%.3g s", seconds);
    html_cell(h, text);
}

static void number_cell(html *h, double v)
{
    html_add(h, "<td>");
    html_number(h, v);
    html_add(h, "</td>");
}

static void state_row(html *h, const report_subject *s)
{
    const tw_run_status *t = &s->run.status;
    html_add(h, "<tr><th>");
    report_name(h, &s->run);
    html_add(h, "</th><td><span class=\"");
    html_add(h, class_of(t->state));
    html_add(h, "\">");
    html_text(h, tw_run_state_name(t->state));
    html_add(h, "</span></td><td>");
    html_int(h, t->step);
    if (t->steps > 0) {
        html_add(h, " of ");
        html_int(h, t->steps);
    }
    html_add(h, "</td>");
    number_cell(h, t->loss);
    number_cell(h, t->validation);
    number_cell(h, t->rate);
    duration(h, t->seconds);
    number_cell(h, t->core_hours);
    html_add(h, "<td>");
    html_int(h, t->restarts);
    html_add(h, "</td><td>");
    html_int(h, t->batch);
    html_add(h, "</td></tr>\n");
}

void report_state_section(html *h, const report_subject *subjects, int count)
{
    static const char *const heads[] = {"run",        "state",    "step",       "loss",
                                        "validation", "images/s", "time spent", "core-hours",
                                        "restarts",   "batch"};
    html_add(h, "<section id=\"runs\"><div class=\"card\"><table><thead><tr>");
    for (size_t k = 0; k < sizeof heads / sizeof *heads; k++) html_head_cell(h, heads[k]);
    html_add(h, "</tr></thead><tbody>\n");
    for (int r = 0; r < count; r++) state_row(h, &subjects[r]);
    html_add(h, "</tbody></table></div></section>\n");
}

/* ---- numbers ---- */

static void series_cell(html *h, const tw_metric_series *s)
{
    int64_t least = 0, most = 0;
    if (!s || !s->count) {
        html_cell(h, "");
        return;
    }
    for (int64_t i = 1; i < s->count; i++) {
        if (s->value[i] < s->value[least]) least = i;
        if (s->value[i] > s->value[most]) most = i;
    }
    html_add(h, "<td>");
    html_number(h, s->value[s->count - 1]);
    if (s->count > 1) {
        html_add(h, " <span class=\"quiet\">(");
        html_number(h, s->value[least]);
        html_add(h, " at ");
        html_int(h, (int64_t)s->step[least]);
        html_add(h, " … ");
        html_number(h, s->value[most]);
        html_add(h, " at ");
        html_int(h, (int64_t)s->step[most]);
        html_add(h, ")</span>");
    }
    html_add(h, "</td>");
}

/* What is a result; shares and rates of learning are in the curves. */
static bool is_shown(const report_subject *subjects, int run, const char *key)
{
    if (strncmp(key, "share_", 6) == 0 || strcmp(key, "learning_rate") == 0) return false;
    for (int r = 0; r < run; r++)
        if (tw_run_curves_find(&subjects[r].run.curves, key)) return false;
    return true;
}

void report_metrics_section(html *h, const report_subject *subjects, int count)
{
    html_add(h, "<section id=\"metrics\"><h2>Metrics</h2><div class=\"card\"><p class=\"quiet\">"
                "Each last value, with the least and the largest and their steps.</p><table>"
                "<thead>");
    report_run_row(h, subjects, count);
    html_add(h, "</thead><tbody>\n");
    for (int r = 0; r < count; r++)
        for (int k = 0; k < subjects[r].run.curves.count; k++) {
            const char *key = subjects[r].run.curves.series[k].key;
            if (!is_shown(subjects, r, key)) continue;
            html_add(h, "<tr><th class=\"mono\">");
            html_text(h, key);
            html_add(h, "</th>");
            for (int i = 0; i < count; i++)
                series_cell(h, tw_run_curves_find(&subjects[i].run.curves, key));
            html_add(h, "</tr>\n");
        }
    html_add(h, "</tbody></table></div></section>\n");
}

/* ---- provenance ---- */

typedef struct fact {
    const char *name;
    void (*tell)(char *out, size_t size, const report_subject *s, const tw_checkpoint_meta *m);
} fact;

static void tell_path(char *out, size_t size, const report_subject *s, const tw_checkpoint_meta *m)
{
    (void)m;
    snprintf(out, size, "%s", s->run.path);
}

static void tell_version(char *out, size_t size, const report_subject *s,
                         const tw_checkpoint_meta *m)
{
    (void)s;
    snprintf(out, size, "%s", m ? m->versions : "");
}

static void tell_checkpoint(char *out, size_t size, const report_subject *s,
                            const tw_checkpoint_meta *m)
{
    const char *path = s->newest ? tw_checkpoint_path(s->newest) : "", *slash = strrchr(path, '/');
    if (m)
        snprintf(out, size, "%s, %.3g MB", slash ? slash + 1 : path,
                 1e-6 * (double)tw_checkpoint_bytes(s->newest));
}

static void tell_digest(char *out, size_t size, const report_subject *s,
                        const tw_checkpoint_meta *m)
{
    if (m) snprintf(out, size, "%s", tw_checkpoint_digest(s->newest));
}

static void tell_data(char *out, size_t size, const report_subject *s, const tw_checkpoint_meta *m)
{
    const char *path = report_settings_find(&s->settings, "data", "path");
    (void)m;
    snprintf(out, size, "%s", path ? path : "");
}

static void tell_data_digest(char *out, size_t size, const report_subject *s,
                             const tw_checkpoint_meta *m)
{
    (void)s;
    snprintf(out, size, "%s", m ? m->dataset_digest : "");
}

static void tell_samples(char *out, size_t size, const report_subject *s,
                         const tw_checkpoint_meta *m)
{
    (void)s;
    if (m && m->height * m->width > 1)
        snprintf(out, size, "%s, %lld × %lld × %lld", m->sample_kind, (long long)m->height,
                 (long long)m->width, (long long)m->channels);
    else if (m)
        snprintf(out, size, "%s of %lld numbers", m->sample_kind, (long long)m->channels);
}

static void tell_network(char *out, size_t size, const report_subject *s,
                         const tw_checkpoint_meta *m)
{
    const char *kind = report_settings_find(&s->settings, "network", "kind");
    (void)m;
    if (s->parameters >= 0)
        snprintf(out, size, "%s, %lld parameters", kind ? kind : "", (long long)s->parameters);
}

static void tell_precision(char *out, size_t size, const report_subject *s,
                           const tw_checkpoint_meta *m)
{
    (void)s;
    snprintf(out, size, "%s", m ? m->precision : "");
}

static void tell_host(char *out, size_t size, const report_subject *s, const tw_checkpoint_meta *m)
{
    const tw_run_curves *c = &s->run.curves;
    (void)m;
    snprintf(out, size, "%s%s%s", c->host, c->host[0] && c->processor[0] ? ", " : "", c->processor);
}

static void tell_ranks(char *out, size_t size, const report_subject *s, const tw_checkpoint_meta *m)
{
    const tw_run_status *t = &s->run.status;
    const long long ranks = t->ranks > 0 ? t->ranks
                            : m          ? m->ranks
                                         : 0,
                    threads = t->threads > 0 ? t->threads
                              : m            ? m->threads
                                             : 0;
    if (ranks > 0) snprintf(out, size, "%lld × %lld", ranks, threads);
}

static void tell_seed(char *out, size_t size, const report_subject *s, const tw_checkpoint_meta *m)
{
    (void)s;
    if (m) snprintf(out, size, "%llu", (unsigned long long)m->seed);
}

static const fact facts[] = {
    {"run", tell_path},
    {"program", tell_version},
    {"newest checkpoint", tell_checkpoint},
    {"its digest (XXH3-128)", tell_digest},
    {"dataset", tell_data},
    {"its digest (XXH3-128)", tell_data_digest},
    {"samples", tell_samples},
    {"network", tell_network},
    {"precision", tell_precision},
    {"host, processor", tell_host},
    {"ranks × threads", tell_ranks},
    {"seed", tell_seed},
};

void report_provenance_section(html *h, const report_subject *subjects, int count)
{
    char text[4200];
    html_add(h, "<section id=\"provenance\"><h2>Provenance</h2><div class=\"card\"><table><thead>");
    report_run_row(h, subjects, count);
    html_add(h, "</thead><tbody>\n");
    for (size_t k = 0; k < sizeof facts / sizeof *facts; k++) {
        html_add(h, "<tr>");
        html_head_cell(h, facts[k].name);
        for (int r = 0; r < count; r++) {
            const report_subject *s = &subjects[r];
            text[0] = '\0';
            facts[k].tell(text, sizeof text, s,
                          s->newest ? tw_checkpoint_meta_view(s->newest) : NULL);
            html_add(h, "<td class=\"mono\">");
            html_text(h, text[0] ? text : "–");
            html_add(h, "</td>");
        }
        html_add(h, "</tr>\n");
    }
    html_add(h, "</tbody></table></div></section>\n");
}
