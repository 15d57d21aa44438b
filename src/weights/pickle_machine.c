/* Bytes, stack and memo of the stack machine. */
#include "weights/pickle_machine.h"

#include <string.h>

#include "tweedie/memory.h"

tw_item tw_pickle_mark;

/* ---- bytes, stack and memo ---- */

tw_status tw_pickle_take(tw_pickle *p, const uint8_t **out, uint64_t n)
{
    if (n > (uint64_t)(p->size - p->at))
        return tw_error_set(TW_EDATA, "a pickle asks for %llu bytes, and %lld are left",
                            (unsigned long long)n, (long long)(p->size - p->at));
    *out = p->bytes + p->at;
    p->at += (int64_t)n;
    return TW_OK;
}

tw_status tw_pickle_take_number(tw_pickle *p, uint64_t *out, int bytes)
{
    tw_status st = TW_OK;
    const uint8_t *b = NULL;
    TW_TRY(tw_pickle_take(p, &b, (uint64_t)bytes));
    *out = 0;
    for (int k = bytes - 1; k >= 0; k--) *out = *out << 8 | b[k];
done:
    return st;
}

tw_status tw_pickle_take_line(tw_pickle *p, const char **out, int64_t *length)
{
    const uint8_t *line = p->bytes + p->at, *end = memchr(line, '\n', (size_t)(p->size - p->at));
    if (!end) return tw_error_set(TW_EDATA, "a pickle ends inside a line of text");
    *out = (const char *)line;
    *length = end - line;
    p->at += *length + 1;
    return TW_OK;
}

static tw_status reserve(tw_pickle *p, tw_pile *s, int64_t wanted)
{
    tw_status st = TW_OK;
    tw_item **more = NULL;
    if (wanted <= s->room) return TW_OK;
    const int64_t room = wanted < 32 ? 64 : 2 * wanted;
    TW_TRY(tw_arena_count(&p->a->arena, (room - s->room) * (int64_t)sizeof *more));
    TW_TRY(tw_alloc(&more, room, sizeof *more, "a pickle's stack"));
    if (s->count) memcpy(more, s->items, (size_t)s->count * sizeof *more);
    tw_free(&s->items);
    s->items = more;
    s->room = room;
done:
    return st;
}

tw_status tw_pickle_push(tw_pickle *p, tw_item *item)
{
    const tw_status st = reserve(p, &p->stack, p->stack.count + 1);
    if (st == TW_OK) p->stack.items[p->stack.count++] = item;
    return st;
}

tw_status tw_pickle_pop(tw_pickle *p, tw_item **out)
{
    *out = NULL;
    if (p->stack.count == 0 || p->stack.items[p->stack.count - 1] == &tw_pickle_mark)
        return tw_error_set(TW_EDATA, "a pickle takes from an empty stack");
    *out = p->stack.items[--p->stack.count];
    return TW_OK;
}

tw_status tw_pickle_top(tw_pickle *p, tw_item **out)
{
    const tw_status st = tw_pickle_pop(p, out);
    if (st == TW_OK) p->stack.count++;
    return st;
}

tw_status tw_pickle_pop_mark(tw_pickle *p, tw_item ***items, int64_t *count)
{
    int64_t k = p->stack.count;
    while (k > 0 && p->stack.items[k - 1] != &tw_pickle_mark) k--;
    if (k == 0) return tw_error_set(TW_EDATA, "a pickle takes from a stack without a mark");
    *items = p->stack.items + k;
    *count = p->stack.count - k;
    p->stack.count = k - 1;
    return TW_OK;
}

tw_status tw_pickle_put(tw_pickle *p, uint64_t index)
{
    tw_status st = TW_OK;
    tw_item *item = NULL;
    TW_TRY(tw_pickle_top(p, &item));
    TW_CHECK(index <= (uint64_t)p->size, TW_EDATA, "a pickle's memo has no entry %llu",
             (unsigned long long)index);
    TW_TRY(reserve(p, &p->memo, (int64_t)index + 1));
    if (p->memo.count <= (int64_t)index) p->memo.count = (int64_t)index + 1;
    p->memo.items[index] = item;
    p->memoized++;
done:
    return st;
}

tw_status tw_pickle_get(tw_pickle *p, uint64_t index)
{
    if (index >= (uint64_t)p->memo.count || !p->memo.items[index])
        return tw_error_set(TW_EDATA, "a pickle recalls the memo entry %llu, which was not stored",
                            (unsigned long long)index);
    return tw_pickle_push(p, p->memo.items[index]);
}
