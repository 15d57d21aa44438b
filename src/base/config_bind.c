/* Tables meet entries: filling structs, and judging what is left. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/config_internal.h"
#include "tweedie/memory.h"

static config_binding *find_binding(const tw_config *config, const char *section, const char *key)
{
    for (int64_t i = 0; i < config->binding_count; i++) {
        config_binding *b = &config->bindings[i];
        if (strcmp(b->field->section, section) == 0 && strcmp(b->field->key, key) == 0) return b;
    }
    return NULL;
}

/* Reads `text` into the member at `out` and gives the spelling that strings and paths of the member
 * point to.
 * @param directory  where a relative path starts */
static tw_status set_member(const tw_config_field *f, const char *text, const char *directory,
                            void *out, char **spelling_out)
{
    tw_status st = TW_OK;
    tw_text spelling = {0};
    char *absolute = NULL;

    if (f->type == TW_CONFIG_PATH && text[0]) {
        TW_TRY(config_absolute(&absolute, directory, text));
        text = absolute;
    }
    TW_TRY(tw_config_value(f, text, out));
    TW_TRY(config_spell(f, out, &spelling));
    TW_TRY(tw_strdup(spelling_out, spelling.data));
    if (f->type == TW_CONFIG_STRING || f->type == TW_CONFIG_PATH)
        memcpy(out, spelling_out, sizeof *spelling_out);
done:
    tw_text_free(&spelling);
    tw_free(&absolute);
    return st;
}

static tw_status check_length(tw_config *config, const config_binding *b)
{
    const tw_config_field *f = b->field;
    int64_t length = (int64_t)(strlen(f->key) + strlen(" = ") + strlen(b->text));
    if (length <= CONFIG_LINE_MAX) return TW_OK;
    return config_problem(&config->problems,
                          "%s: %s.%s: '%s' makes a line of %lld bytes; a configuration can keep %d",
                          b->origin, f->section, f->key, b->text, (long long)length,
                          CONFIG_LINE_MAX);
}

/* The default, also where the entry is bad. */
static tw_status set_default(tw_config *config, config_binding *b, void *out, bool missing)
{
    tw_status st = TW_OK;
    const tw_config_field *f = b->field;
    tw_text expected = {0};
    char *directory = NULL;

    if (!f->default_text) {
        memset(out, 0, config_size(f->type));
        if (!missing) goto done;
        TW_TRY(config_describe(f, &expected));
        TW_TRY(config_problem(&config->problems, "%s.%s must be given: %s (%s)", f->section, f->key,
                              f->help, expected.data));
        goto done;
    }
    TW_TRY(config_directory(&directory, NULL));
    st = set_member(f, f->default_text, directory, out, &b->text);
    if (st == TW_ECONFIG) st = TW_EINTERNAL; /* the table is wrong, not the user */
    if (st != TW_OK) tw_error_prefix("the default of %s.%s: ", f->section, f->key);
done:
    tw_free(&directory);
    tw_text_free(&expected);
    return st;
}

static tw_status bind_field(tw_config *config, config_binding *b, void *out)
{
    tw_status st = TW_OK;
    const tw_config_field *f = b->field;
    const config_entry *e = config_find_entry(config, f->section, f->key);

    b->origin = e ? e->origin : "default";
    if (!e) return set_default(config, b, out, true);
    st = set_member(f, e->value, e->directory, out, &b->text);
    if (st == TW_ECONFIG) {
        TW_TRY(config_problem(&config->problems, "%s: %s.%s = %s", e->origin, f->section, f->key,
                              tw_error_message()));
        TW_TRY(set_default(config, b, out, false));
    }
    if (st == TW_OK && b->text) TW_TRY(check_length(config, b));
done:
    return st;
}

static void mark_used(tw_config *config, const tw_config_field *f)
{
    for (int64_t i = 0; i < config->entry_count; i++) {
        config_entry *e = &config->entries[i];
        if (strcmp(e->section, f->section) == 0 && strcmp(e->key, f->key) == 0) e->used = true;
    }
}

tw_status tw_config_bind(tw_config *config, const tw_config_field *table, int count, void *out)
{
    tw_status st = TW_OK;
    for (int i = 0; i < count; i++) {
        const tw_config_field *f = &table[i];
        const config_binding *earlier = find_binding(config, f->section, f->key);
        TW_CHECK(!earlier || earlier->field->type == f->type, TW_EINTERNAL, "%s.%s has two types",
                 f->section, f->key);
        bool shared = earlier != NULL;
        /* Each binding owns the strings of its struct, so a shared key is bound anew; config_text
         * writes the first. */
        TW_TRY(config_grow(&config->bindings, config->binding_count, &config->binding_capacity,
                           sizeof *config->bindings));
        config_binding *b = &config->bindings[config->binding_count];
        *b = (config_binding){.field = f};
        int64_t known = config->problems.count;
        int64_t length = config->problems.lines.length;
        config->binding_count++;
        TW_TRY(bind_field(config, b, (char *)out + f->offset));
        if (shared &&
            config->problems.count > known) { /* it was told when the key was bound first */
            config->problems.count = known;
            config->problems.lines.length = length;
            config->problems.lines.data[length] = '\0';
        }
        mark_used(config, f);
    }
done:
    return st;
}

const char *tw_config_origin(const tw_config *config, const char *section, const char *key)
{
    const config_entry *e = config_find_entry(config, section, key);
    return e ? e->origin : "default";
}

tw_status tw_config_explain_path(const tw_config *config, const char *section, const char *key,
                                 tw_status st)
{
    const config_entry *e = config_find_entry(config, section, key);
    char message[1024];
    if (!e) return st;
    snprintf(message, sizeof message, "%s", tw_error_message());
    if (e->value[0] == '/')
        return tw_error_set(st, "%s (%s: %s.%s)", message, e->origin, section, key);
    return tw_error_set(
        st, "%s (%s: %s.%s = %s is relative to %s, %s)", message, e->origin, section, key, e->value,
        e->source == COMMAND_LINE ? "the current directory" : "the folder of that file",
        e->directory);
}

static bool is_excused(const tw_config *config, const char *section)
{
    char line[128];
    snprintf(line, sizeof line, "\n%s\n", section);
    return config->excused.data && strstr(config->excused.data, line);
}

tw_status tw_config_error(tw_config *config, const char *section, const char *key,
                          const char *format, ...)
{
    tw_status st = TW_OK;
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const config_entry *e = config_find_entry(config, section, key);
    TW_TRY(config_problem(&config->problems, "%s%s%s.%s: %s", e ? e->origin : "", e ? ": " : "",
                          section, key, text));
    TW_TRY(tw_text_add(&config->excused, "\n%s\n", section));
done:
    return st;
}

/* The names of all bound keys, of one section where it is not NULL: for spelling alone. @param[out]
 * names  room for every binding */
static int64_t collect(const tw_config *config, const char *section, const char **names)
{
    int64_t count = 0;
    for (int64_t i = 0; i < config->binding_count; i++) {
        const tw_config_field *f = config->bindings[i].field;
        if (find_binding(config, f->section, f->key) != &config->bindings[i]) continue;
        if (!section || strcmp(f->section, section) == 0) names[count++] = f->key;
    }
    return count;
}

/* The names of all sections that have keys, likewise. */
static int64_t collect_sections(const tw_config *config, const char **names)
{
    int64_t count = 0;
    for (int64_t i = 0; i < config->binding_count; i++) {
        bool met = false;
        for (int64_t k = 0; k < count && !met; k++)
            met = strcmp(names[k], config->bindings[i].field->section) == 0;
        if (!met) names[count++] = config->bindings[i].field->section;
    }
    return count;
}

/* The section that means most: the one that is spelt alike, or the one that has this very key. */
static const tw_config_field *nearest_field(const tw_config *config, const config_entry *e,
                                            const char **names)
{
    const tw_config_field *nearest = NULL;
    int64_t n = collect(config, e->section, names);
    const char *key = tw_text_nearest(e->key, names, n);
    if (key) return find_binding(config, e->section, key)->field;
    int64_t least = INT64_MAX;
    for (int64_t i = 0; i < config->binding_count; i++) {
        const tw_config_field *f = config->bindings[i].field;
        const char *const one[] = {f->key};
        if (!tw_text_nearest(e->key, one, 1)) continue;
        int64_t d = 2 * tw_text_distance(e->key, f->key) + tw_text_distance(e->section, f->section);
        if (d < least) nearest = f, least = d;
    }
    return nearest;
}

static const config_known *find_known(const tw_config *config, const config_entry *e)
{
    for (int64_t i = 0; i < config->known_count; i++) {
        const config_known *k = &config->known[i];
        if (strcmp(k->section, e->section) == 0 && strcmp(k->key, e->key) == 0) return k;
    }
    return NULL;
}

static tw_status report_unknown(tw_config *config, const config_entry *e, const char **names)
{
    tw_status st = TW_OK;
    tw_text known = {0};
    if (config_problems_full(&config->problems))
        return config_problem(&config->problems, "unknown");
    const tw_config_field *near = nearest_field(config, e, names);
    int64_t n = collect(config, e->section, names);

    if (near) {
        TW_TRY(tw_text_add(&known, "did you mean %s.%s?", near->section, near->key));
    } else if (n > 0) {
        TW_TRY(tw_text_add(&known, "[%s] has", e->section));
        for (int64_t i = 0; i < n; i++)
            TW_TRY(tw_text_add(&known, "%s %s", i ? "," : "", names[i]));
    } else {
        TW_TRY(tw_text_add(&known, "there is no section [%s]", e->section));
        n = collect_sections(config, names);
        TW_TRY(tw_text_add_nearest(&known, e->section, names, n));
    }
    TW_TRY(config_problem(&config->problems, "%s: unknown key %s.%s (%s)", e->origin, e->section,
                          e->key, known.data));
done:
    tw_text_free(&known);
    return st;
}

tw_status tw_config_finish(tw_config *config)
{
    tw_status st = TW_OK;
    const char **names = NULL;
    TW_TRY(tw_alloc(&names, config->binding_count + 1, sizeof *names, "configuration"));
    for (int64_t i = 0; i < config->entry_count; i++) {
        config_entry *e = &config->entries[i];
        if (e->used || is_excused(config, e->section)) continue;
        e->used = true; /* told once */
        const config_known *k = find_known(config, e);
        if (k && k->tolerated && e->source != COMMAND_LINE) continue;
        if (k) {
            TW_TRY(config_problem(&config->problems, "%s: %s.%s belongs to %s", e->origin,
                                  e->section, e->key, k->owner));
            continue;
        }
        TW_TRY(report_unknown(config, e, names));
    }
    TW_TRY(config_problems_report(&config->problems, "the configuration has several errors"));
done:
    tw_free(&names);
    return st;
}
