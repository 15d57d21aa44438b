/* Choosing among siblings, and binding the keys of the one that is chosen. */
#include "tweedie/kind.h"

#include <stdio.h>
#include <string.h>

#include "base/config_internal.h"
#include "tweedie/memory.h"

tw_status tw_kind_names(tw_text *out, tw_kinds kinds)
{
    tw_status st = TW_OK;
    for (int i = 0; i < kinds.count; i++)
        TW_TRY(tw_text_add(out, "%s%s", i ? ", " : "", kinds.table[i]->name));
done:
    return st;
}

/* "there is no \"x\"; …", without the name of the key. */
static tw_status explain(tw_text *out, tw_kinds kinds, const char *name)
{
    tw_status st = TW_OK;
    const char *names[64];
    const int count = kinds.count < 64 ? kinds.count : 64;
    for (int i = 0; i < count; i++) names[i] = kinds.table[i]->name;
    const char *nearest = tw_text_nearest(name, names, count);
    TW_TRY(tw_text_add(out, "there is no \"%s\"; ", name));
    if (nearest) TW_TRY(tw_text_add(out, "did you mean %s? ", nearest));
    TW_TRY(tw_text_add(out, nearest ? "There are " : "there are "));
    TW_TRY(tw_kind_names(out, kinds));
done:
    return st;
}

const tw_kind *tw_kind_named(tw_kinds kinds, const char *name)
{
    for (int i = 0; i < kinds.count; i++)
        if (strcmp(kinds.table[i]->name, name) == 0) return kinds.table[i];
    return NULL;
}

tw_status tw_kind_find(const tw_kind **out, tw_kinds kinds, const char *what, const char *name)
{
    tw_status st = TW_OK;
    tw_text text = {0};
    const tw_kind *found = tw_kind_named(kinds, name);
    if (!found) {
        TW_TRY(explain(&text, kinds, name));
        TW_FAIL(TW_ECONFIG, "%s: %s", what, text.data);
    }
    *out = found;
done:
    tw_text_free(&text);
    return st;
}

/* The field of the choice itself. */
static tw_status bind_name(const char **name, tw_config *config, const tw_choice_rule *rule)
{
    const tw_config_field field = {.section = NULL,
                                   .key = rule->key,
                                   .type = TW_CONFIG_STRING,
                                   .default_text = rule->default_name,
                                   .fixed = rule->fixed,
                                   .help = rule->help,
                                   .kinds = &rule->kinds};
    return tw_config_bind_in(config, rule->section, &field, 1, name);
}

/* The keys of siblings that are not chosen: known, so that a message can say whose they are. */
static tw_status know_others(tw_config *config, const tw_choice_rule *rule, const tw_kind *chosen)
{
    tw_status st = TW_OK;
    for (int i = 0; i < rule->kinds.count; i++) {
        const tw_kind *k = rule->kinds.table[i];
        char owner[160];
        if (k == chosen) continue;
        snprintf(owner, sizeof owner, "%s.%s = %s", rule->section, rule->key, k->name);
        TW_TRY(
            tw_config_know(config, rule->section, k->fields, k->field_count, owner, rule->shared));
    }
done:
    return st;
}

tw_status tw_choice_adopt(tw_choice *out, tw_config *config, const char *section,
                          const tw_kind *kind)
{
    tw_status st = TW_OK;
    tw_choice_free(out);
    if (kind->config_size) TW_TRY(tw_alloc(&out->config, 1, kind->config_size, "a configuration"));
    TW_TRY(tw_config_bind_in(config, section, kind->fields, kind->field_count, out->config));
    out->kind = kind;
done:
    return st;
}

tw_status tw_choice_bind(tw_choice *out, tw_config *config, const tw_choice_rule *rule)
{
    tw_status st = TW_OK;
    const char *name = NULL;
    tw_text text = {0};
    tw_choice_free(out);
    TW_TRY(bind_name(&name, config, rule));
    if (!name) return TW_OK; /* missing: tw_config_finish says so */
    const tw_kind *kind = tw_kind_named(rule->kinds, name);
    if (!kind) {
        TW_TRY(explain(&text, rule->kinds, name));
        TW_TRY(tw_config_error(config, rule->section, rule->key, "%s", text.data));
        goto done;
    }
    TW_TRY(tw_choice_adopt(out, config, rule->section, kind));
    TW_TRY(know_others(config, rule, kind));
done:
    tw_text_free(&text);
    return st;
}

tw_status tw_choice_make(tw_choice *out, const tw_choice_rule *rule, const char *name, int count,
                         const char *const *assignments, tw_config **config_out)
{
    tw_status st = TW_OK;
    tw_config *config = NULL;
    char text[256], *one = text;
    TW_TRY(tw_config_create(&config));
    TW_TRY(tw_format(text, sizeof text, "%s.%s=%s", rule->section, rule->key, name));
    TW_TRY(tw_config_override(config, 1, &one));
    for (int i = 0; i < count; i++) {
        TW_TRY(tw_format(text, sizeof text, "%s.%s", rule->section, assignments[i]));
        TW_TRY(tw_config_override(config, 1, &one));
    }
    TW_TRY(tw_choice_bind(out, config, rule));
    TW_TRY(tw_config_finish(config));
    *config_out = config;
    config = NULL;
done:
    if (st != TW_OK) tw_choice_free(out);
    tw_config_destroy(&config);
    return st;
}

tw_status tw_choice_describe(tw_text *out, const tw_choice *choice)
{
    tw_status st = TW_OK;
    const tw_kind *k = choice->kind;
    TW_TRY(tw_text_add(out, "%s", k->name));
    for (int i = 0; i < k->field_count; i++) {
        const tw_config_field *f = &k->fields[i];
        TW_TRY(tw_text_add(out, " %s=", f->key));
        TW_TRY(config_spell(f, (const char *)choice->config + f->offset, out));
    }
done:
    return st;
}

void tw_choice_free(tw_choice *choice)
{
    tw_free(&choice->config);
    choice->kind = NULL;
}
