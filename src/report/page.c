/* One page about runs. */
#include <string.h>
#include <time.h>

#include "report/page.h"
#include "tweedie/memory.h"
#include "tweedie/rundir.h"
#include "tweedie/version.h"

void report_name(html *h, const report_run *run)
{
    uint8_t rgb[3];
    tw_colour_bytes(run->colour, rgb);
    html_name(h, rgb, run->name);
}

void report_run_row(html *h, const report_subject *subjects, int count)
{
    html_add(h, "<tr><th></th>");
    for (int r = 0; r < count; r++) {
        html_add(h, "<th>");
        report_name(h, &subjects[r].run);
        html_add(h, "</th>");
    }
    html_add(h, "</tr>");
}

/* ---- reading ---- */

static int64_t count_parameters(const tw_checkpoint *file)
{
    int64_t numbers = 0;
    for (int64_t i = 0; i < tw_checkpoint_count(file); i++) {
        const tw_checkpoint_array *a = tw_checkpoint_array_view(file, i);
        int64_t n = 1;
        for (int d = 0; d < a->rank; d++) n *= a->dims[d];
        numbers += strcmp(a->group, "params") == 0 ? n : 0;
    }
    return numbers;
}

/* A run without a checkpoint that verifies has a page all the same. */
static tw_status open_newest(report_subject *s, tw_text *notes)
{
    tw_status st = TW_OK;
    char path[TW_CHECKPOINT_PATH];
    int64_t step = -1;
    s->parameters = -1;
    if (s->run.status.checkpoint_step < 0) return TW_OK;
    if (tw_checkpoint_find_newest(s->run.path, path, sizeof path, &step) != TW_OK || step < 0 ||
        tw_checkpoint_open(&s->newest, path) != TW_OK)
        TW_TRY(tw_text_add(notes, "%s\n", tw_error_message()));
    if (s->newest) s->parameters = count_parameters(s->newest);
done:
    return st;
}

/* config.ini, else what the newest checkpoint carries. */
static tw_status read_settings(report_subject *s, tw_text *notes)
{
    tw_status st = TW_OK;
    char path[TW_PATH_MAX], *text = NULL;
    TW_TRY(tw_format(path, sizeof path, "%s/config.ini", s->run.path));
    if (tw_file_exists(path) && tw_rundir_read_text(&text, path) != TW_OK)
        TW_TRY(tw_text_add(notes, "%s\n", tw_error_message()));
    if (text)
        TW_TRY(report_settings_parse(&s->settings, text));
    else if (s->newest)
        TW_TRY(report_settings_parse(&s->settings, tw_checkpoint_meta_view(s->newest)->config));
done:
    tw_free(&text);
    return st;
}

static tw_status open_subject(report_subject *s, const char *path, int index, tw_text *notes)
{
    tw_status st = TW_OK;
    TW_TRY(report_run_open(&s->run, path, index, notes));
    TW_TRY(open_newest(s, notes));
    TW_TRY(read_settings(s, notes));
done:
    return st;
}

static void close_subject(report_subject *s)
{
    report_run_close(&s->run);
    report_settings_free(&s->settings);
    tw_checkpoint_close(&s->newest);
}

/* ---- writing ---- */

static void add_names(html *h, const report_subject *subjects, int count)
{
    for (int r = 0; r < count; r++) {
        html_add(h, r ? ", " : "");
        html_text(h, subjects[r].run.name);
    }
}

/* The policy holds the page to what it claims: nothing is loaded, and no script runs. */
static void add_head(html *h, const report_subject *subjects, int count)
{
    char date[64];
    const time_t now = time(NULL);
    struct tm utc;
    html_add(h, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\" />"
                "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                "img-src data:; style-src 'unsafe-inline'\" />"
                "<meta name=\"viewport\" content=\"width=device-width\" />\n<title>");
    add_names(h, subjects, count);
    html_add(h, "</title>\n<style>\n");
    html_add(h, report_style);
    html_add(h, "</style></head>\n<body><main><h1>");
    add_names(h, subjects, count);
    strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", gmtime_r(&now, &utc));
    html_add(h, "</h1>\n<p class=\"quiet\">Training report, ");
    html_add(h, date);
    html_add(h, ", by tweedie ");
    html_text(h, tw_version());
    html_add(h, "</p>\n");
}

static void add_notes(html *h, const tw_text *notes)
{
    if (!notes->length) return;
    html_add(h, "<section id=\"notes\"><h2>Notes</h2><div class=\"card\"><pre>");
    html_text(h, notes->data);
    html_add(h, "</pre></div></section>\n");
}

static tw_status make_page(html *h, const report_subject *subjects, int count, tw_text *notes)
{
    tw_status st = TW_OK;
    add_head(h, subjects, count);
    report_state_section(h, subjects, count);
    TW_TRY(report_curves_section(h, subjects, count));
    TW_TRY(report_pictures_section(h, subjects, count, notes));
    report_metrics_section(h, subjects, count);
    report_config_section(h, subjects, count);
    report_provenance_section(h, subjects, count);
    add_notes(h, notes);
    html_add(h, "</main></body></html>\n");
    TW_TRY(h->status);
done:
    return st;
}

tw_status tw_report_write(const char *path, tw_output_mode mode, int count, char *const *runs,
                          tw_text *notes)
{
    tw_status st = TW_OK;
    report_subject *subjects = NULL;
    html h = {.status = TW_OK};
    TW_CHECK(count >= 1 && count <= TW_REPORT_RUNS_MAX, TW_EUSAGE,
             "a report of %d runs; 1 to %d were expected", count, (int)TW_REPORT_RUNS_MAX);
    TW_TRY(tw_alloc(&subjects, count, sizeof *subjects, "runs"));
    for (int r = 0; r < count; r++) TW_TRY(open_subject(&subjects[r], runs[r], r, notes));
    TW_TRY(make_page(&h, subjects, count, notes));
    TW_TRY(tw_output_write(path, mode, h.text.data, h.text.length));
done:
    for (int r = 0; subjects && r < count; r++) close_subject(&subjects[r]);
    tw_free(&subjects);
    tw_text_free(&h.text);
    return st;
}
