/* Which keys a text has set already: a hash table of entries, open addressing, so that reading a
 * text takes time linear in its length. */
#include <string.h>

#include "base/config_internal.h"
#include "tweedie/memory.h"

/* FNV-1a over the names. Begins with the configuration's address, which differs from process to
 * process: nobody can write a text whose keys all meet. */
static uint64_t hash(const tw_config *config, int64_t source, const char *section, const char *key)
{
    uint64_t h = 14695981039346656037u ^ (uint64_t)(uintptr_t)config ^ (uint64_t)source;
    for (const char *c = section; *c; c++) h = (h ^ (unsigned char)*c) * 1099511628211u;
    h = (h ^ '.') * 1099511628211u;
    for (const char *c = key; *c; c++) h = (h ^ (unsigned char)*c) * 1099511628211u;
    return h ^ h >> 32;
}

/* Where the key is, or where it would go. The table is never full. */
static int64_t *find_slot(const tw_config *config, int64_t source, const char *section,
                          const char *key)
{
    const uint64_t mask = (uint64_t)config->slot_count - 1;
    for (uint64_t i = hash(config, source, section, key) & mask;; i = (i + 1) & mask) {
        if (config->slots[i] == 0) return &config->slots[i];
        const config_entry *e = &config->entries[config->slots[i] - 1];
        if (e->source == source && strcmp(e->section, section) == 0 && strcmp(e->key, key) == 0)
            return &config->slots[i];
    }
}

const config_entry *config_index_find(const tw_config *config, int64_t source, const char *section,
                                      const char *key)
{
    if (config->slot_count == 0) return NULL;
    const int64_t entry = *find_slot(config, source, section, key);
    return entry ? &config->entries[entry - 1] : NULL;
}

static void insert(tw_config *config, int64_t entry)
{
    const config_entry *e = &config->entries[entry];
    *find_slot(config, e->source, e->section, e->key) = entry + 1;
}

tw_status config_index_add(tw_config *config, int64_t entry)
{
    tw_status st = TW_OK;
    if (2 * (entry + 1) > config->slot_count) {
        const int64_t wanted = config->slot_count ? 2 * config->slot_count : 64;
        int64_t *slots = NULL;
        TW_TRY(tw_alloc(&slots, wanted, sizeof *slots, "configuration"));
        tw_free(&config->slots);
        config->slots = slots;
        config->slot_count = wanted;
        for (int64_t i = 0; i < entry; i++) insert(config, i);
    }
    insert(config, entry);
done:
    return st;
}
