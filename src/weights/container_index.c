/* An index of safetensors files, *.safetensors.index.json: {"weight_map": {tensor: file}}. The
 * files lie beside it. */
#include <string.h>

#include "tweedie/memory.h"
#include "weights/container.h"

extern const tw_container tw_container_index;

enum { PARTS_MAX = 1024 };

static tw_claim claims(const uint8_t *bytes, int64_t size)
{
    return size >= 2 && bytes[0] == '{' && memchr("\" \t\r\n", bytes[1], 5) ? TW_CLAIM_MAYBE
                                                                            : TW_CLAIM_NO;
}

/* The open part of that name; opened where it is new. */
static tw_status part_of(tw_archive *a, const char *name, tw_archive **out)
{
    tw_status st = TW_OK;
    char path[4096];
    const char *slash = strrchr(a->path, '/');
    TW_TRY(tw_format(path, sizeof path, "%.*s%s", slash ? (int)(slash + 1 - a->path) : 0, a->path,
                     name));
    for (int i = 0; i < a->part_count; i++)
        if (strcmp(a->parts[i]->path, path) == 0) {
            *out = a->parts[i];
            goto done;
        }
    TW_CHECK(a->part_count < PARTS_MAX, TW_EDATA, "it names more than %d files", PARTS_MAX);
    TW_TRY(tw_archive_open(out, path));
    a->parts[a->part_count++] = *out;
    TW_CHECK(strcmp((*out)->container->name, "safetensors") == 0, TW_EDATA,
             "%s is not a safetensors file", name);
done:
    return st;
}

static tw_status read_index(tw_archive *a)
{
    tw_status st = TW_OK;
    tw_item *json = NULL;
    char key[256], name[256];
    TW_TRY(tw_json_read(&a->arena, &json, (const char *)a->bytes, a->size));
    const tw_item *map = tw_item_find(json, "weight_map");
    TW_CHECK(map && map->type == TW_ITEM_DICT, TW_EDATA, "it has no weight_map");
    TW_TRY(tw_alloc(&a->parts, PARTS_MAX, sizeof *a->parts, "files of a sharded set"));
    TW_TRY(tw_item_new(&a->arena, &a->root, TW_ITEM_DICT));
    for (const tw_link *l = map->as.list.first; l; l = l->next) {
        tw_archive *part = NULL;
        TW_CHECK(tw_item_text(l->value, name, sizeof name) && name[0] && name[0] != '.' &&
                     !strchr(name, '/') && tw_item_text(l->key, key, sizeof key),
                 TW_EDATA, "its weight_map does not lead from tensors to files beside it");
        TW_TRY(part_of(a, name, &part));
        const tw_item *tensor = tw_item_find(part->root, key);
        TW_CHECK(tensor && tensor->type == TW_ITEM_TENSOR, TW_EDATA, "%s has no tensor %s", name,
                 key);
        TW_TRY(tw_item_append(&a->arena, a->root, l->key, (tw_item *)(uintptr_t)tensor));
        a->tensors++;
    }
    for (int i = 0; i < a->part_count; i++) a->elements += a->parts[i]->tensors;
    TW_CHECK(a->elements == a->tensors, TW_EDATA,
             "its files hold %lld tensors, and it names %lld of them", (long long)a->elements,
             (long long)a->tensors);
done:
    return st;
}

const tw_container tw_container_index = {
    .name = "safetensors index",
    .summary = "safetensors in several files",
    .claims = claims,
    .read = read_index,
};
