/* Inert values and the memory that they lie in. */
#include "weights/item.h"

#include <math.h>
#include <string.h>

#include "tweedie/memory.h"

/* ---- the arena ---- */

struct tw_arena_block {
    struct tw_arena_block *next;
    char *end;
};

enum { BLOCK_BYTES = 1 << 16, ALIGNED = 16 };

tw_status tw_arena_count(tw_arena *arena, int64_t bytes)
{
    if (bytes > arena->left)
        return tw_error_set(TW_EDATA, "its structure (not its tensors) takes more memory than a "
                                      "file of its size may need");
    arena->left -= bytes;
    return TW_OK;
}

tw_status tw_arena_take(tw_arena *arena, void *out, int64_t count, size_t size)
{
    tw_status st = TW_OK;
    int64_t bytes = 0;
    char *at;
    if (count < 0 || __builtin_mul_overflow(count, (int64_t)size, &bytes) ||
        bytes > arena->left - ALIGNED)
        TW_TRY(tw_arena_count(arena, INT64_MAX));
    bytes = (bytes > 0 ? bytes + ALIGNED - 1 : ALIGNED) / ALIGNED * ALIGNED;
    if ((size_t)bytes > arena->room) {
        struct tw_arena_block *block = NULL;
        const int64_t head = (int64_t)(sizeof *block + ALIGNED - 1) / ALIGNED * ALIGNED;
        const int64_t whole = bytes + head > BLOCK_BYTES ? bytes + head : BLOCK_BYTES;
        TW_TRY(tw_alloc(&block, whole, 1, "the structure of a weights file"));
        block->next = arena->blocks;
        block->end = (char *)block + whole;
        arena->blocks = block;
        arena->room = (size_t)(whole - head);
    }
    TW_TRY(tw_arena_count(arena, bytes));
    at = arena->blocks->end - arena->room;
    arena->room -= (size_t)bytes;
    memcpy(out, &at, sizeof at);
done:
    return st;
}

void tw_arena_free(tw_arena *arena)
{
    while (arena->blocks) {
        struct tw_arena_block *next = arena->blocks->next;
        tw_free(&arena->blocks);
        arena->blocks = next;
    }
    arena->room = 0;
}

/* ---- making values ---- */

const char *tw_item_type_name(const tw_item *item)
{
    static const char *const names[] = {"nothing",  "a truth value", "an integer", "a number",
                                        "a text",   "bytes",         "a list",     "a dictionary",
                                        "a tensor", "an object",     "a storage",  "a name"};
    return item ? names[item->type] : "nothing";
}

tw_status tw_item_new(tw_arena *arena, tw_item **out, tw_item_type type)
{
    tw_item *item = NULL;
    const tw_status st = tw_arena_take(arena, &item, 1, sizeof *item);
    if (st != TW_OK) return st;
    item->type = type;
    *out = item;
    return TW_OK;
}

tw_status tw_item_append(tw_arena *arena, tw_item *list, tw_item *key, tw_item *value)
{
    tw_link *link = NULL;
    const tw_status st = tw_arena_take(arena, &link, 1, sizeof *link);
    if (st != TW_OK) return st;
    *link = (tw_link){NULL, key, value};
    if (list->as.list.last)
        list->as.list.last->next = link;
    else
        list->as.list.first = link;
    list->as.list.last = link;
    list->as.list.count++;
    return TW_OK;
}

tw_status tw_item_new_text(tw_arena *arena, tw_item **out, const char *data, int64_t length)
{
    const tw_status st = tw_item_new(arena, out, TW_ITEM_TEXT);
    if (st != TW_OK) return st;
    (*out)->as.text.data = data;
    (*out)->as.text.length = length;
    return TW_OK;
}

/* ---- looking at values ---- */

static bool is_word(const tw_item *item, const char *word, size_t length)
{
    return item && item->type == TW_ITEM_TEXT && item->as.text.length == (int64_t)length &&
           memcmp(item->as.text.data, word, length) == 0;
}

bool tw_item_is(const tw_item *item, const char *word)
{
    return is_word(item, word, strlen(word));
}

static const tw_item *find(const tw_item *item, const char *key, size_t length)
{
    const tw_item *found = NULL;
    if (item && item->type == TW_ITEM_OBJECT) item = item->as.object.state;
    if (!item || item->type != TW_ITEM_DICT) return NULL;
    for (const tw_link *l = item->as.list.first; l; l = l->next)
        if (is_word(l->key, key, length)) found = l->value;
    return found;
}

const tw_item *tw_item_find(const tw_item *item, const char *key)
{
    return find(item, key, strlen(key));
}

const tw_item *tw_item_find_path(const tw_item *item, const char *path)
{
    for (;;) {
        const size_t n = strcspn(path, "/");
        item = find(item, path, n);
        if (!item || !path[n]) return item;
        path += n + 1;
    }
}

const tw_item *tw_item_at(const tw_item *item, int64_t i)
{
    if (!item || item->type != TW_ITEM_LIST || i < 0) return NULL;
    const tw_link *l = item->as.list.first;
    while (l && i-- > 0) l = l->next;
    return l ? l->value : NULL;
}

bool tw_item_integer(const tw_item *item, int64_t *out)
{
    double number;
    if (item && item->type == TW_ITEM_INTEGER) {
        *out = item->as.integer;
        return true;
    }
    if (!tw_item_number(item, &number) || number != floor(number) || fabs(number) > 1e15)
        return false;
    *out = (int64_t)number;
    return true;
}

bool tw_item_number(const tw_item *item, double *out)
{
    float value;
    if (!item) return false;
    if (item->type == TW_ITEM_INTEGER) *out = (double)item->as.integer;
    if (item->type == TW_ITEM_NUMBER) *out = item->as.number;
    if (item->type == TW_ITEM_TENSOR && item->as.tensor->count == 1 &&
        tw_tensor_read(item->as.tensor, &value) == TW_OK) {
        *out = (double)value;
        return true;
    }
    return item->type == TW_ITEM_INTEGER || item->type == TW_ITEM_NUMBER;
}

bool tw_item_text(const tw_item *item, char *out, size_t size)
{
    *out = '\0';
    if (!item || item->type != TW_ITEM_TEXT || item->as.text.length >= (int64_t)size) return false;
    const size_t n = (size_t)item->as.text.length;
    if (memchr(item->as.text.data, '\0', n)) return false;
    memcpy(out, item->as.text.data, n);
    out[n] = '\0';
    return true;
}
