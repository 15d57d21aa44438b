/* Splits as text: "train=0:60000,test=60000:70000". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/format.h"
#include "tweedie/memory.h"

tw_status tw_format_print_splits(const tw_dataset_spec *spec, char *out)
{
    tw_status st = TW_OK;
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < spec->split_count; i++) {
        const tw_dataset_split *split = &spec->splits[i];
        TW_TRY(tw_format(out + used, TW_DATASET_TEXT_MAX - used, "%s%s=%lld:%lld", i ? "," : "",
                         split->name, (long long)split->first, (long long)split->last));
        used = strlen(out);
    }
done:
    return st;
}

/* Decimal digits up to the character `end`, which is passed over. */
static bool take_number(const char **text, char end, int64_t *out)
{
    int64_t value = 0;
    const char *c = *text;
    for (; *c >= '0' && *c <= '9'; c++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *c - '0', &value))
            return false;
    if (c == *text || *c != end) return false;
    *text = end ? c + 1 : c;
    *out = value;
    return true;
}

static tw_status parse_one(tw_dataset_spec *spec, const char *entry, const char *whole,
                           const char *path)
{
    tw_status st = TW_OK;
    size_t n = strspn(entry, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.");
    const char *rest = entry + n;
    TW_CHECK(spec->split_count < TW_DATASET_SPLITS_MAX, TW_EDATA, "%s: more than %d splits", path,
             TW_DATASET_SPLITS_MAX);
    tw_dataset_split split = {.first = 0};
    bool good = n > 0 && n < sizeof split.name && *rest == '=';
    rest += good;
    good = good && take_number(&rest, ':', &split.first) && take_number(&rest, '\0', &split.last);
    TW_CHECK(good, TW_EDATA,
             "%s: splits is \"%.200s\"; \"train=0:60000,test=60000:70000\" was expected", path,
             whole);
    memcpy(split.name, entry, n);
    for (int i = 0; i < spec->split_count; i++)
        TW_CHECK(strcmp(spec->splits[i].name, split.name) != 0, TW_EDATA,
                 "%s: there are two splits \"%s\"", path, split.name);
    spec->splits[spec->split_count++] = split;
done:
    return st;
}

tw_status tw_format_parse_splits(tw_dataset_spec *spec, const char *text, const char *path)
{
    tw_status st = TW_OK;
    char copy[TW_DATASET_TEXT_MAX];
    char *rest = copy;
    TW_TRY(tw_format(copy, sizeof copy, "%s", text));
    spec->split_count = 0;
    for (char *entry; (entry = strsep(&rest, ",")) != NULL;)
        TW_TRY(parse_one(spec, entry, text, path));
done:
    return st;
}
