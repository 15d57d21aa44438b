/* Configurations: what differs between runs, then all of it. */
#include <stdlib.h>
#include <string.h>

#include "report/page.h"
#include "tweedie/memory.h"

/* ---- reading: the text is a frozen one, which training wrote ---- */

static char *trim(char *text)
{
    while (*text == ' ' || *text == '\t') text++;
    size_t n = strlen(text);
    while (n > 0 && strchr(" \t\r", text[n - 1])) text[--n] = '\0';
    return text;
}

static int64_t lines_of(const char *text)
{
    int64_t n = 1;
    for (; *text; text++) n += *text == '\n';
    return n;
}

tw_status report_settings_parse(report_settings *out, const char *text)
{
    tw_status st = TW_OK;
    report_settings s = {0};
    const char *section = "";
    TW_TRY(tw_strdup(&s.text, text));
    TW_TRY(tw_alloc(&s.settings, lines_of(text), sizeof *s.settings, "a configuration"));
    char *rest = s.text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        line = trim(line);
        char *equals = strchr(line, '='), *end = strchr(line, ']');
        if (line[0] == '[' && end) {
            *end = '\0';
            section = line + 1;
        } else if (line[0] && line[0] != '#' && line[0] != ';' && equals) {
            *equals = '\0';
            s.settings[s.count++] = (report_setting){section, trim(line), trim(equals + 1)};
        }
    }
    *out = s;
    s = (report_settings){0};
done:
    report_settings_free(&s);
    return st;
}

void report_settings_free(report_settings *s)
{
    tw_free(&s->text);
    tw_free(&s->settings);
    s->count = 0;
}

const char *report_settings_find(const report_settings *s, const char *section, const char *key)
{
    for (int64_t i = 0; i < s->count; i++)
        if (strcmp(s->settings[i].section, section) == 0 && strcmp(s->settings[i].key, key) == 0)
            return s->settings[i].value;
    return NULL;
}

/* ---- showing ---- */

static bool same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool differs(const report_subject *subjects, int count, const report_setting *s)
{
    for (int r = 1; r < count; r++)
        if (!same(report_settings_find(&subjects[r].settings, s->section, s->key),
                  report_settings_find(&subjects[0].settings, s->section, s->key)))
            return true;
    return false;
}

/* Whether a run before this one has the key, whose row then shows it. */
static bool shown_before(const report_subject *subjects, int run, const report_setting *s)
{
    for (int r = 0; r < run; r++)
        if (report_settings_find(&subjects[r].settings, s->section, s->key)) return true;
    return false;
}

static void row(html *h, const report_subject *subjects, int count, const report_setting *s)
{
    const bool marked = differs(subjects, count, s);
    html_add(h, "<tr><th class=\"mono\">");
    html_text(h, s->section);
    html_add(h, ".");
    html_text(h, s->key);
    html_add(h, "</th>");
    for (int r = 0; r < count; r++) {
        const char *value = report_settings_find(&subjects[r].settings, s->section, s->key);
        html_add(h, marked ? "<td class=\"mono\"><mark>" : "<td class=\"mono\">");
        html_text(h, value ? value : "–");
        html_add(h, marked ? "</mark></td>" : "</td>");
    }
    html_add(h, "</tr>\n");
}

static int64_t table(html *h, const report_subject *subjects, int count, bool differing)
{
    int64_t rows = 0;
    html_add(h, "<table><thead>");
    report_run_row(h, subjects, count);
    html_add(h, "</thead><tbody>\n");
    for (int r = 0; r < count; r++)
        for (int64_t i = 0; i < subjects[r].settings.count; i++) {
            const report_setting *s = &subjects[r].settings.settings[i];
            if (shown_before(subjects, r, s) || (differing && !differs(subjects, count, s)))
                continue;
            row(h, subjects, count, s);
            rows++;
        }
    html_add(h, "</tbody></table>\n");
    return rows;
}

/* Of one run: section by section. */
static void sections(html *h, const report_settings *s)
{
    html_add(h, "<div class=\"sections\">");
    for (int64_t i = 0; i < s->count; i++) {
        const bool first = i == 0 || s->settings[i].section != s->settings[i - 1].section;
        if (first) {
            html_add(h, i ? "</table></div>\n<div><h3>" : "<div><h3>");
            html_text(h, s->settings[i].section);
            html_add(h, "</h3><table>");
        }
        html_add(h, "<tr>");
        html_cell(h, s->settings[i].key);
        html_add(h, "<td class=\"mono\">");
        html_text(h, s->settings[i].value);
        html_add(h, "</td></tr>\n");
    }
    html_add(h, s->count ? "</table></div></div>\n" : "</div>\n");
}

void report_config_section(html *h, const report_subject *subjects, int count)
{
    int64_t there = 0;
    for (int r = 0; r < count; r++) there += subjects[r].settings.count;
    html_add(h, "<section id=\"configuration\"><h2>Configuration</h2><div class=\"card\">\n");
    if (!there) {
        html_add(h, "<p class=\"quiet\">No configuration is frozen yet: a run has one from its "
                    "first checkpoint on.</p>");
    } else if (count == 1) {
        sections(h, &subjects[0].settings);
    } else {
        html_add(h, "<h3>What differs</h3>");
        if (!table(h, subjects, count, true))
            html_add(h, "<p class=\"quiet\">Nothing: the configurations are the same.</p>");
        html_add(h, "<details><summary>All keys</summary>");
        (void)table(h, subjects, count, false);
        html_add(h, "</details>");
    }
    html_add(h, "</div></section>\n");
}
