/* The numbers that a sampler reports, as text and back. Blocks have as many samples and steps each,
 * so the mean over a set is the mean of its blocks'. */
#include "job/sample_report.h"

#include <string.h>

#include "tweedie/memory.h"

tw_status sample_report_of(sample_report *out, const tw_sampler_numbers *numbers)
{
    tw_status st = TW_OK;
    *out = (sample_report){0};
    for (int i = 0; i < numbers->found; i++) {
        const tw_sampler_number *n = &numbers->number[i];
        TW_TRY(tw_format(out->number[i].name, SAMPLE_REPORT_NAME, "%s", n->name));
        out->number[i].sum = n->sum;
        out->number[i].count = n->count;
        out->found++;
    }
done:
    return st;
}

static void add(sample_report *sum, const char *name, double value)
{
    int i = 0;
    while (i < sum->found && strcmp(sum->number[i].name, name) != 0) i++;
    if (i == TW_SAMPLER_NUMBERS) return;
    if (i == sum->found) {
        strncpy(sum->number[i].name, name, SAMPLE_REPORT_NAME - 1);
        sum->found++;
    }
    sum->number[i].sum += value;
    sum->number[i].count++;
}

void sample_report_add(sample_report *sum, const char *text)
{
    char copy[SAMPLE_REPORT_TEXT] = "", *rest = NULL;
    double value;
    strncpy(copy, text, sizeof copy - 1);
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        char *equals = strchr(word, '=');
        if (!equals || equals - word >= SAMPLE_REPORT_NAME) continue;
        *equals = '\0';
        if (tw_text_to_double(equals + 1, &value)) add(sum, word, value);
    }
}

tw_status sample_report_write(char *text, const sample_report *r)
{
    tw_status st = TW_OK;
    size_t at = 0;
    text[0] = '\0';
    for (int i = 0; i < r->found; i++) {
        char mean[TW_TEXT_DOUBLE_MAX];
        tw_text_from_double(mean, r->number[i].sum / r->number[i].count);
        TW_TRY(tw_format(text + at, SAMPLE_REPORT_TEXT - at, "%s%s=%s", at ? " " : "",
                         r->number[i].name, mean));
        at = strlen(text);
    }
done:
    return st;
}
