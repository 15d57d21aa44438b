/* Tables without a section of their own, keys of siblings, and texts of older versions. */
#include <string.h>

#include "base/config_internal.h"
#include "tweedie/kind.h"
#include "tweedie/memory.h"

/* Memory that lives as long as the configuration. */
static tw_status own(tw_config *config, void *memory)
{
    tw_status st = TW_OK;
    TW_TRY(config_grow(&config->owned, config->owned_count, &config->owned_capacity,
                       sizeof *config->owned));
    config->owned[config->owned_count++] = memory;
done:
    if (st != TW_OK) tw_free(&memory);
    return st;
}

static tw_status own_text(const char **out, tw_config *config, const char *text)
{
    tw_status st = TW_OK;
    char *copy = NULL;
    TW_TRY(tw_strdup(&copy, text));
    TW_TRY(own(config, copy));
    *out = copy;
done:
    return st;
}

static tw_status own_help(tw_config_field *f, tw_config *config)
{
    tw_status st = TW_OK;
    tw_text text = {0};
    TW_TRY(tw_text_add(&text, "%s%s", f->help ? f->help : "", f->kinds ? ": " : ""));
    if (f->kinds) TW_TRY(tw_kind_names(&text, *f->kinds));
    TW_TRY(own_text(&f->help, config, text.data));
done:
    tw_text_free(&text);
    return st;
}

tw_status tw_config_bind_in(tw_config *config, const char *section, const tw_config_field *table,
                            int count, void *out)
{
    tw_status st = TW_OK;
    tw_config_field *copy = NULL;
    const char *name;
    if (count == 0) return TW_OK;
    TW_TRY(own_text(&name, config, section));
    TW_TRY(tw_alloc(&copy, count, sizeof *copy, "configuration"));
    memcpy(copy, table, (size_t)count * sizeof *copy);
    TW_TRY(own(config, copy));
    for (int i = 0; i < count; i++) {
        copy[i].section = name;
        TW_TRY(own_help(&copy[i], config));
    }
    TW_TRY(tw_config_bind(config, copy, count, out));
done:
    return st;
}

tw_status tw_config_know(tw_config *config, const char *section, const tw_config_field *table,
                         int count, const char *owner, bool tolerated)
{
    tw_status st = TW_OK;
    const char *name, *whose;
    TW_TRY(own_text(&name, config, section));
    TW_TRY(own_text(&whose, config, owner));
    for (int i = 0; i < count; i++) {
        TW_TRY(config_grow(&config->known, config->known_count, &config->known_capacity,
                           sizeof *config->known));
        config->known[config->known_count++] = (config_known){
            .section = name, .key = table[i].key, .owner = whose, .tolerated = tolerated};
    }
done:
    return st;
}

const char *tw_config_find(const tw_config *config, const char *section, const char *key)
{
    const config_entry *e = config_find_entry(config, section, key);
    return e ? e->value : NULL;
}

static tw_status replace(char **text, const char *with)
{
    char *copy = NULL;
    const tw_status st = tw_strdup(&copy, with);
    if (st != TW_OK) return st;
    tw_free(text);
    *text = copy;
    return TW_OK;
}

tw_status tw_config_rename(tw_config *config, const char *section, const char *key,
                           const char *new_section, const char *new_key, const char *value)
{
    tw_status st = TW_OK;
    for (int64_t i = 0; i < config->entry_count; i++) {
        config_entry *e = &config->entries[i];
        if (strcmp(e->section, section) != 0 || strcmp(e->key, key) != 0) continue;
        if (!new_section) {
            e->used = true;
            TW_TRY(replace(&e->section, ""));
            continue;
        }
        TW_TRY(replace(&e->section, new_section));
        TW_TRY(replace(&e->key, new_key));
        if (value) TW_TRY(replace(&e->value, value));
    }
done:
    return st;
}

tw_status tw_config_imply(tw_config *config, const char *section, const char *key,
                          const char *new_section, const char *new_key, const char *value)
{
    const config_entry *e = config_find_entry(config, section, key);
    if (!e) return TW_OK;
    return config_add_entry(config, e->source, new_section, new_key, value, e->origin,
                            e->directory);
}
