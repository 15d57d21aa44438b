/* Writing a configuration: frozen, compared, explained. */
#include <string.h>

#include "base/config_internal.h"
#include "tweedie/memory.h"

/* Whether an earlier binding has the same section (and key, where it is not NULL). */
static bool came_before(const tw_config *config, int64_t i, const char *section, const char *key)
{
    for (int64_t k = 0; k < i; k++) {
        const tw_config_field *f = config->bindings[k].field;
        if (strcmp(f->section, section) == 0 && (!key || strcmp(f->key, key) == 0)) return true;
    }
    return false;
}

/* What binding i's key was bound to last: an assignment may have come between two bindings. */
static const config_binding *latest(const tw_config *config, int64_t i)
{
    const tw_config_field *f = config->bindings[i].field;
    for (int64_t k = config->binding_count - 1; k > i; k--) {
        const config_binding *b = &config->bindings[k];
        if (strcmp(b->field->section, f->section) == 0 && strcmp(b->field->key, f->key) == 0)
            return b;
    }
    return &config->bindings[i];
}

static tw_status write_section(const tw_config *config, int64_t first, tw_text *out)
{
    tw_status st = TW_OK;
    const char *section = config->bindings[first].field->section;
    TW_TRY(tw_text_add(out, "%s[%s]\n", out->length ? "\n" : "", section));
    for (int64_t i = first; i < config->binding_count; i++) {
        const config_binding *b = latest(config, i);
        if (strcmp(b->field->section, section) != 0 ||
            came_before(config, i, section, b->field->key))
            continue;
        if (b->text && b->text[0]) TW_TRY(tw_text_add(out, "%s = %s\n", b->field->key, b->text));
    }
done:
    return st;
}

tw_status tw_config_text(const tw_config *config, char **out)
{
    tw_status st = TW_OK;
    tw_text text = {0};
    TW_TRY(tw_text_add(&text, "%s", ""));
    for (int64_t i = 0; i < config->binding_count; i++) {
        if (!came_before(config, i, config->bindings[i].field->section, NULL))
            TW_TRY(write_section(config, i, &text));
    }
    *out = text.data;
    text = (tw_text){0};
done:
    tw_text_free(&text);
    return st;
}

/* How the run spells a key: its entry's value in the fixed spelling, or its default. */
static tw_status spell_in_run(const tw_config *run, const tw_config_field *f, tw_text *out)
{
    tw_status st = TW_OK;
    const config_entry *e = config_find_entry(run, f->section, f->key);
    const char *text = e ? e->value : f->default_text;
    char *absolute = NULL;
    union {
        int64_t whole;
        double number;
        bool flag;
        int choice;
        const char *string;
        tw_config_ints ints;
        tw_config_doubles doubles;
    } member;

    if (!text) return tw_text_add(out, "not set");
    if (f->type == TW_CONFIG_PATH && text[0]) {
        char *directory = NULL;
        st = e ? TW_OK : config_directory(&directory, NULL);
        if (st == TW_OK) st = config_absolute(&absolute, e ? e->directory : directory, text);
        tw_free(&directory);
        if (st != TW_OK) goto done;
        text = absolute;
    }
    /* A value that today's table would refuse is a difference to show, not an error. */
    if (tw_config_value(f, text, &member) != TW_OK) {
        TW_TRY(tw_text_add(out, "%s", text));
    } else {
        TW_TRY(config_spell(f, &member, out));
    }
done:
    tw_free(&absolute);
    return st;
}

static tw_status compare(const tw_config *run, const config_binding *now,
                         config_problems *differences)
{
    tw_status st = TW_OK;
    const tw_config_field *f = now->field;
    tw_text before = {0};
    TW_TRY(spell_in_run(run, f, &before));
    if (now->text && strcmp(before.data, now->text) != 0) {
        TW_TRY(config_problem(differences, "%s.%s: %s in the run, %s now", f->section, f->key,
                              before.length ? before.data : "empty",
                              now->text[0] ? now->text : "empty"));
    }
done:
    tw_text_free(&before);
    return st;
}

tw_status tw_config_diff_fixed(const tw_config *run, const tw_config *now)
{
    tw_status st = TW_OK;
    config_problems differences = {0};
    TW_TRY(config_problems_report(&run->problems, "the run's configuration has several errors"));
    for (int64_t i = 0; i < now->binding_count; i++) {
        const tw_config_field *f = now->bindings[i].field;
        if (f->fixed && !came_before(now, i, f->section, f->key))
            TW_TRY(compare(run, latest(now, i), &differences));
    }
    TW_TRY(config_problems_report(&differences,
                                  "several keys differ from the run's, and may not change"));
done:
    tw_text_free(&differences.lines);
    return st;
}

static tw_status explain(const config_binding *b, tw_text *out)
{
    tw_status st = TW_OK;
    const tw_config_field *f = b->field;
    TW_TRY(tw_text_add(out, "%s =%s%s\n    %s (", f->key, b->text && b->text[0] ? " " : "",
                       b->text ? b->text : "", f->help));
    TW_TRY(config_describe(f, out));
    if (!f->default_text)
        TW_TRY(tw_text_add(out, "; must be given"));
    else if (f->default_text[0])
        TW_TRY(tw_text_add(out, "; default %s", f->default_text));
    TW_TRY(tw_text_add(out, "%s)\n", f->fixed ? "; fixed for a run" : ""));
done:
    return st;
}

static tw_status explain_section(const tw_config *config, int64_t first, tw_text *out)
{
    tw_status st = TW_OK;
    const char *section = config->bindings[first].field->section;
    TW_TRY(tw_text_add(out, "%s[%s]\n", out->length ? "\n" : "", section));
    for (int64_t i = first; i < config->binding_count; i++) {
        const config_binding *b = &config->bindings[i];
        if (strcmp(b->field->section, section) == 0 &&
            !came_before(config, i, section, b->field->key))
            TW_TRY(explain(b, out));
    }
done:
    return st;
}

tw_status tw_config_help(const tw_config *config, char **out)
{
    tw_status st = TW_OK;
    tw_text text = {0};
    TW_TRY(tw_text_add(&text, "%s", ""));
    for (int64_t i = 0; i < config->binding_count; i++) {
        if (!came_before(config, i, config->bindings[i].field->section, NULL))
            TW_TRY(explain_section(config, i, &text));
    }
    *out = text.data;
    text = (tw_text){0};
done:
    tw_text_free(&text);
    return st;
}
