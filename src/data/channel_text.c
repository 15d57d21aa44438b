/* What channels are called and measured in: one text in memory, attributes of text in files. */
#include <string.h>

#include "data/format.h"
#include "h5/h5.h"
#include "tweedie/memory.h"
#include "tweedie/text.h"

/* Attributes of 64 KiB need another kind of storage. */
enum { ATTRIBUTE_BYTES = 60000 };

const char *const tw_channel_attributes[TW_CHANNEL_FIELDS] = {
    "channel_names", "channel_units", "channel_long_names", "channel_coordinates"};

bool tw_channel_text_get(const char *text, int64_t c, int field, char *out, size_t size)
{
    out[0] = '\0';
    for (; text && c > 0; c--) text = strchr(text, '\n') ? strchr(text, '\n') + 1 : NULL;
    for (; text && field > 0; field--) {
        text += strcspn(text, "\t\n");
        text = *text == '\t' ? text + 1 : NULL;
    }
    if (!text) return true;
    size_t n = strcspn(text, "\t\n");
    const bool cut = n >= size;
    if (cut) n = size - 1;
    memcpy(out, text, n);
    out[n] = '\0';
    return !cut;
}

void tw_dataset_channel_name(const tw_dataset_spec *spec, int64_t c, char *name, char *units)
{
    (void)tw_channel_text_get(spec->channel_text, c, TW_CHANNEL_NAME, name, TW_DATASET_NAME_MAX);
    (void)tw_channel_text_get(spec->channel_text, c, TW_CHANNEL_UNITS, units, TW_DATASET_NAME_MAX);
}

static tw_status write_field(hid_t samples, const char *path, int64_t channels, const char *text,
                             int field)
{
    tw_status st = TW_OK;
    char value[TW_DATASET_TEXT_MAX], *all = NULL;
    size_t width = 0;
    for (int64_t c = 0; c < channels; c++) {
        (void)tw_channel_text_get(text, c, field, value, sizeof value);
        if (strlen(value) > width) width = strlen(value);
    }
    if (width == 0 || width > (size_t)(ATTRIBUTE_BYTES / channels)) goto done;
    TW_TRY(tw_alloc(&all, channels, width + 1, "names of channels"));
    for (int64_t c = 0; c < channels; c++)
        (void)tw_channel_text_get(text, c, field, all + (size_t)c * width, width + 1);
    TW_TRY(tw_h5_write_texts(samples, path, tw_channel_attributes[field], channels, width, all));
done:
    tw_free(&all);
    return st;
}

/* CF's name for what all channels share, which xarray and ncview show: nothing where they differ.
 */
static tw_status write_shared(hid_t samples, const char *path, int64_t channels, const char *text,
                              int field, const char *name)
{
    char first[TW_DATASET_TEXT_MAX], value[TW_DATASET_TEXT_MAX];
    (void)tw_channel_text_get(text, 0, field, first, sizeof first);
    for (int64_t c = 1; c < channels; c++) {
        (void)tw_channel_text_get(text, c, field, value, sizeof value);
        if (strcmp(first, value) != 0) return TW_OK;
    }
    return first[0] ? tw_h5_write_text(samples, path, name, first) : TW_OK;
}

tw_status tw_channel_text_write(hid_t samples, const char *path, int64_t channels, const char *text)
{
    tw_status st = TW_OK;
    for (int field = 0; field < TW_CHANNEL_FIELDS; field++)
        TW_TRY(write_field(samples, path, channels, text, field));
    TW_TRY(write_shared(samples, path, channels, text, 1, "units"));
    TW_TRY(write_shared(samples, path, channels, text, 2, "long_name"));
done:
    return st;
}

/* Adds one name to the text; what would be a separator there, or no text at all, becomes '?'. */
static tw_status add_name(tw_text *text, const char *name, size_t width)
{
    char value[TW_DATASET_TEXT_MAX];
    size_t n = strnlen(name, width < sizeof value ? width : sizeof value - 1);
    memcpy(value, name, n);
    value[n] = '\0';
    const bool utf8 = tw_text_is_utf8(value, (int64_t)n);
    for (unsigned char *b = (unsigned char *)value; *b; b++)
        if (*b < 0x20 || *b == 0x7f || (!utf8 && *b >= 0x80)) *b = '?';
    return tw_text_add(text, "%s", value);
}

tw_status tw_channel_text_read(char **out, hid_t samples, const char *path, const char *object,
                               int64_t channels)
{
    tw_status st = TW_OK;
    char *all[TW_CHANNEL_FIELDS] = {NULL};
    size_t width[TW_CHANNEL_FIELDS] = {0};
    tw_text text = {0};
    bool any = false;
    for (int field = 0; field < TW_CHANNEL_FIELDS; field++) {
        TW_TRY(tw_h5_read_texts(samples, path, object, tw_channel_attributes[field], channels,
                                ATTRIBUTE_BYTES, &width[field], &all[field]));
        any = any || all[field];
    }
    *out = NULL;
    if (!any) goto done;
    for (int64_t c = 0; c < channels; c++)
        for (int field = 0; field < TW_CHANNEL_FIELDS; field++) {
            if (all[field])
                TW_TRY(add_name(&text, all[field] + (size_t)c * width[field], width[field]));
            TW_TRY(tw_text_add(&text, "%s", field + 1 < TW_CHANNEL_FIELDS ? "\t" : "\n"));
        }
    TW_TRY(tw_strdup(out, text.data));
done:
    for (int field = 0; field < TW_CHANNEL_FIELDS; field++) tw_free(&all[field]);
    tw_text_free(&text);
    return st;
}
