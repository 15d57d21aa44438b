/* What diffusers' networks have in common: names of tensors, and keys of config.json. */
#include "weights/diffusers_config.h"

#include <stdio.h>
#include <string.h>

/* ---- names ---- */

/* Before version 0.17 the layers of attention had other names. */
static const struct {
    const char *old, *today;
} renamed[] = {{".query.", ".to_q."},
               {".key.", ".to_k."},
               {".value.", ".to_v."},
               {".proj_attn.", ".to_out.0."}};

tw_status tw_diffusers_tensors(tw_state_dict *d, const tw_item *root)
{
    tw_status st = TW_OK;
    char name[256], today[300];
    for (const tw_link *l = root->as.list.first; l; l = l->next) {
        if (l->value->type != TW_ITEM_TENSOR) continue;
        TW_CHECK(tw_item_text(l->key, name, sizeof name), TW_EDATA, "a tensor's name is too long");
        const char *at = NULL;
        snprintf(today, sizeof today, "%s", name);
        for (size_t i = 0; i < sizeof renamed / sizeof *renamed && !at; i++)
            if (strstr(name, ".attentions.") && (at = strstr(name, renamed[i].old)))
                snprintf(today, sizeof today, "%.*s%s%s", (int)(at - name), name, renamed[i].today,
                         at + strlen(renamed[i].old));
        TW_TRY(tw_state_dict_add(d, today, l->value->as.tensor));
    }
done:
    return st;
}

tw_status tw_diffusers_number(tw_text *t, const tw_item *config, const char *key)
{
    double value;
    const tw_item *item = tw_item_find(config, key);
    if (!item || item->type == TW_ITEM_NONE) return TW_OK;
    if (!tw_item_number(item, &value))
        return tw_error_set(TW_EDATA, "its %s is %s, not a number", key, tw_item_type_name(item));
    return tw_text_add(t, "%s = %.12g\n", key, value);
}

tw_status tw_diffusers_bool(tw_text *t, const tw_item *config, const char *key)
{
    const tw_item *item = tw_item_find(config, key);
    if (!item || item->type == TW_ITEM_NONE) return TW_OK;
    if (item->type != TW_ITEM_BOOL)
        return tw_error_set(TW_EDATA, "its %s is %s, not true or false", key,
                            tw_item_type_name(item));
    return tw_text_add(t, "%s = %s\n", key, item->as.yes ? "yes" : "no");
}

tw_status tw_diffusers_expect(const tw_item *config, const char *key, const char *word)
{
    char met[64];
    const tw_item *item = tw_item_find(config, key);
    if (!item || item->type == TW_ITEM_NONE || tw_item_is(item, word)) return TW_OK;
    (void)tw_item_text(item, met, sizeof met);
    return tw_error_set(TW_EDATA, "its %s is '%s'; %s is supported", key, met, word);
}

tw_status tw_diffusers_channels(tw_text *t, const tw_item *config)
{
    tw_status st = TW_OK;
    int64_t value;
    const tw_item *list = tw_item_find(config, "block_out_channels");
    TW_CHECK(list && list->type == TW_ITEM_LIST && list->as.list.count > 0, TW_EDATA,
             "its block_out_channels are %s", tw_item_type_name(list));
    TW_TRY(tw_text_add(t, "block_out_channels ="));
    for (const tw_link *l = list->as.list.first; l; l = l->next) {
        TW_CHECK(tw_item_integer(l->value, &value), TW_EDATA, "its block_out_channels hold %s",
                 tw_item_type_name(l->value));
        TW_TRY(tw_text_add(t, "%s %lld", l == list->as.list.first ? "" : ",", (long long)value));
    }
    TW_TRY(tw_text_add(t, "\n"));
done:
    return st;
}
