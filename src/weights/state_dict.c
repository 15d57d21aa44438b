/* Tensors by their published names. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tweedie/memory.h"
#include "weights/system.h"

tw_status tw_state_dict_add(tw_state_dict *d, const char *name, const tw_tensor *tensor)
{
    tw_status st = TW_OK;
    tw_named_tensor *more = NULL;
    TW_CHECK(strlen(name) < TW_NAME_MAX, TW_EDATA, "the name %.40s... has %zu letters", name,
             strlen(name));
    TW_CHECK(!tw_state_dict_find(d, name), TW_EDATA, "the tensor %s is there twice", name);
    if (d->count == d->capacity) {
        const int64_t capacity = d->capacity ? 2 * d->capacity : 256;
        TW_TRY(tw_alloc(&more, capacity, sizeof *more, "a list of tensors"));
        if (d->count) memcpy(more, d->items, (size_t)d->count * sizeof *more);
        tw_free(&d->items);
        d->items = more;
        d->capacity = capacity;
    }
    tw_named_tensor *item = &d->items[d->count++];
    snprintf(item->name, sizeof item->name, "%s", name);
    item->tensor = tensor;
    item->used = false;
done:
    return st;
}

tw_status tw_state_dict_add_all(tw_state_dict *d, const tw_item *dict, const char *prefix)
{
    tw_status st = TW_OK;
    char name[512];
    const size_t n = strlen(prefix);
    TW_CHECK(dict && dict->type == TW_ITEM_DICT, TW_EDATA, "its weights are %s",
             tw_item_type_name(dict));
    TW_CHECK(dict->as.list.count < 20000, TW_EDATA, "it names %lld tensors",
             (long long)dict->as.list.count);
    for (const tw_link *l = dict->as.list.first; l; l = l->next) {
        if (l->value->type != TW_ITEM_TENSOR) continue;
        TW_CHECK(tw_item_text(l->key, name, sizeof name), TW_EDATA,
                 "a tensor's name is %s, or too long", tw_item_type_name(l->key));
        if (strncmp(name, prefix, n) != 0) continue;
        TW_TRY(tw_state_dict_add(d, name + n, l->value->as.tensor));
    }
done:
    return st;
}

tw_named_tensor *tw_state_dict_find(const tw_state_dict *d, const char *name)
{
    for (int64_t i = 0; i < d->count; i++)
        if (strcmp(d->items[i].name, name) == 0) return &d->items[i];
    return NULL;
}

tw_named_tensor *tw_state_dict_findf(const tw_state_dict *d, const char *format, ...)
{
    char name[512];
    va_list list;
    va_start(list, format);
    vsnprintf(name, sizeof name, format, list);
    va_end(list);
    return tw_state_dict_find(d, name);
}

int64_t tw_state_dict_size(const tw_state_dict *d, const char *name, int k)
{
    const tw_named_tensor *t = tw_state_dict_find(d, name);
    return t && k < t->tensor->rank ? t->tensor->shape[k] : -1;
}

void tw_state_dict_free(tw_state_dict *d)
{
    tw_free(&d->items);
    *d = (tw_state_dict){0};
}
