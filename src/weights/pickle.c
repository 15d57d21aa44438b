/* The stack machine: opcodes of protocols 0 to 5 that make inert values. Layouts as in
 * pickletools. */
#include "weights/pickle_machine.h"

#include <math.h>
#include <string.h>

#include "tweedie/memory.h"
#include "tweedie/text.h"

/* ---- values ---- */

static tw_status push_new(tw_pickle *p, tw_item_type type, tw_item **out)
{
    tw_item *item = NULL;
    tw_status st = tw_item_new(&p->a->arena, &item, type);
    if (st == TW_OK) st = tw_pickle_push(p, item);
    if (st == TW_OK && out) *out = item;
    return st;
}

static tw_status op_none(tw_pickle *p, int arg)
{
    (void)arg;
    return push_new(p, TW_ITEM_NONE, NULL);
}

static tw_status op_bool(tw_pickle *p, int arg)
{
    tw_item *item = NULL;
    const tw_status st = push_new(p, TW_ITEM_BOOL, &item);
    if (st == TW_OK) item->as.yes = arg != 0;
    return st;
}

static tw_status push_integer(tw_pickle *p, int64_t value)
{
    tw_item *item = NULL;
    const tw_status st = push_new(p, TW_ITEM_INTEGER, &item);
    if (st == TW_OK) item->as.integer = value;
    return st;
}

/* @param arg  bytes, little-endian; negative: signed */
static tw_status op_integer(tw_pickle *p, int arg)
{
    tw_status st = TW_OK;
    uint64_t bits = 0;
    TW_TRY(tw_pickle_take_number(p, &bits, arg < 0 ? -arg : arg));
    TW_TRY(push_integer(p, arg < 0 ? (int64_t)(int32_t)(uint32_t)bits : (int64_t)bits));
done:
    return st;
}

/* Two's complement, little-endian, of any length: beyond 64 bits a number. */
static tw_status op_long(tw_pickle *p, int arg)
{
    tw_status st = TW_OK;
    uint64_t n = 0, bits = 0;
    const uint8_t *b = NULL;
    tw_item *item = NULL;
    TW_TRY(tw_pickle_take_number(p, &n, arg));
    TW_TRY(tw_pickle_take(p, &b, n));
    const bool negative = n > 0 && b[n - 1] & 0x80;
    if (n <= 8) {
        if (negative) bits = ~(uint64_t)0;
        for (uint64_t k = n; k-- > 0;) bits = bits << 8 | b[k];
        TW_TRY(push_integer(p, (int64_t)bits));
        goto done;
    }
    TW_CHECK(n <= 128, TW_EDATA, "a pickle holds an integer of %llu bytes", (unsigned long long)n);
    TW_TRY(push_new(p, TW_ITEM_NUMBER, &item));
    for (uint64_t k = n; k-- > 0;) item->as.number = item->as.number * 256 + b[k];
    if (negative) item->as.number -= ldexp(1, 8 * (int)n);
done:
    return st;
}

static tw_status op_float(tw_pickle *p, int arg)
{
    tw_status st = TW_OK;
    const uint8_t *b = NULL;
    uint64_t bits = 0;
    tw_item *item = NULL;
    (void)arg;
    TW_TRY(tw_pickle_take(p, &b, 8));
    for (int k = 0; k < 8; k++) bits = bits << 8 | b[k];
    TW_TRY(push_new(p, TW_ITEM_NUMBER, &item));
    memcpy(&item->as.number, &bits, sizeof bits);
done:
    return st;
}

static tw_status push_span(tw_pickle *p, tw_item_type type, int length_bytes)
{
    tw_status st = TW_OK;
    uint64_t n = 0;
    const uint8_t *b = NULL;
    tw_item *item = NULL;
    TW_TRY(tw_pickle_take_number(p, &n, length_bytes));
    TW_TRY(tw_pickle_take(p, &b, n));
    TW_CHECK(type != TW_ITEM_TEXT || tw_text_is_utf8((const char *)b, (int64_t)n), TW_EDATA,
             "a pickle holds a text that is not UTF-8");
    TW_TRY(push_new(p, type, &item));
    item->as.text.data = (const char *)b;
    item->as.text.length = (int64_t)n;
done:
    return st;
}

static tw_status op_text(tw_pickle *p, int arg)
{
    return push_span(p, TW_ITEM_TEXT, arg);
}

static tw_status op_bytes(tw_pickle *p, int arg)
{
    return push_span(p, TW_ITEM_BYTES, arg);
}

/* ---- collections ---- */

static tw_status op_list(tw_pickle *p, int arg)
{
    (void)arg;
    return push_new(p, TW_ITEM_LIST, NULL);
}

static tw_status op_dict(tw_pickle *p, int arg)
{
    (void)arg;
    return push_new(p, TW_ITEM_DICT, NULL);
}

/* A tuple, list or set of `count` items. */
static tw_status make_list(tw_pickle *p, tw_item **items, int64_t count)
{
    tw_status st = TW_OK;
    tw_item *list = NULL;
    TW_TRY(tw_item_new(&p->a->arena, &list, TW_ITEM_LIST));
    for (int64_t i = 0; i < count; i++) TW_TRY(tw_item_append(&p->a->arena, list, NULL, items[i]));
    TW_TRY(tw_pickle_push(p, list));
done:
    return st;
}

static tw_status op_tuple_of(tw_pickle *p, int arg)
{
    tw_status st = TW_OK;
    tw_item *items[3];
    for (int k = arg - 1; k >= 0; k--) TW_TRY(tw_pickle_pop(p, &items[k]));
    TW_TRY(make_list(p, items, arg));
done:
    return st;
}

static tw_status op_tuple(tw_pickle *p, int arg)
{
    tw_status st = TW_OK;
    tw_item **items = NULL;
    int64_t count = 0;
    (void)arg;
    TW_TRY(tw_pickle_pop_mark(p, &items, &count));
    TW_TRY(make_list(p, items, count));
done:
    return st;
}

static tw_status append(tw_pickle *p, tw_item **items, int64_t count)
{
    tw_status st = TW_OK;
    tw_item *list;
    TW_TRY(tw_pickle_top(p, &list));
    TW_CHECK(list->type == TW_ITEM_LIST, TW_EDATA, "a pickle appends to %s",
             tw_item_type_name(list));
    for (int64_t i = 0; i < count; i++) TW_TRY(tw_item_append(&p->a->arena, list, NULL, items[i]));
done:
    return st;
}

static tw_status op_append(tw_pickle *p, int arg)
{
    tw_item *item = NULL;
    const tw_status st = tw_pickle_pop(p, &item);
    (void)arg;
    return st == TW_OK ? append(p, &item, 1) : st;
}

static tw_status op_appends(tw_pickle *p, int arg)
{
    tw_item **items = NULL;
    int64_t count = 0;
    const tw_status st = tw_pickle_pop_mark(p, &items, &count);
    (void)arg;
    return st == TW_OK ? append(p, items, count) : st;
}

static tw_status set(tw_pickle *p, tw_item **pairs, int64_t count)
{
    tw_status st = TW_OK;
    tw_item *dict;
    TW_TRY(tw_pickle_top(p, &dict));
    TW_CHECK(dict->type == TW_ITEM_DICT && count % 2 == 0, TW_EDATA, "a pickle sets %s of %s",
             count % 2 ? "half an entry" : "an entry", tw_item_type_name(dict));
    for (int64_t i = 0; i < count; i += 2)
        TW_TRY(tw_item_append(&p->a->arena, dict, pairs[i], pairs[i + 1]));
done:
    return st;
}

static tw_status op_setitem(tw_pickle *p, int arg)
{
    tw_status st = TW_OK;
    tw_item *pair[2];
    (void)arg;
    TW_TRY(tw_pickle_pop(p, &pair[1]));
    TW_TRY(tw_pickle_pop(p, &pair[0]));
    TW_TRY(set(p, pair, 2));
done:
    return st;
}

static tw_status op_setitems(tw_pickle *p, int arg)
{
    tw_item **items = NULL;
    int64_t count = 0;
    const tw_status st = tw_pickle_pop_mark(p, &items, &count);
    (void)arg;
    return st == TW_OK ? set(p, items, count) : st;
}

/* ---- names and calls ---- */

static tw_status op_global(tw_pickle *p, int arg)
{
    tw_status st = TW_OK;
    const char *module = NULL, *name = NULL;
    int64_t module_length = 0, name_length = 0;
    tw_item *item = NULL;
    (void)arg;
    TW_TRY(tw_pickle_take_line(p, &module, &module_length));
    TW_TRY(tw_pickle_take_line(p, &name, &name_length));
    TW_TRY(tw_pickle_name_find(p->a, &item, module, module_length, name, name_length));
    TW_TRY(tw_pickle_push(p, item));
done:
    return st;
}

static tw_status op_stack_global(tw_pickle *p, int arg)
{
    tw_status st = TW_OK;
    tw_item *module, *name, *item;
    (void)arg;
    TW_TRY(tw_pickle_pop(p, &name));
    TW_TRY(tw_pickle_pop(p, &module));
    TW_CHECK(module->type == TW_ITEM_TEXT && name->type == TW_ITEM_TEXT, TW_EDATA,
             "a pickle takes a name from %s", tw_item_type_name(name));
    TW_TRY(tw_pickle_name_find(p->a, &item, module->as.text.data, module->as.text.length,
                               name->as.text.data, name->as.text.length));
    TW_TRY(tw_pickle_push(p, item));
done:
    return st;
}

/* REDUCE and NEWOBJ: a name and its arguments. */
static tw_status op_call(tw_pickle *p, int arg)
{
    tw_status st = TW_OK;
    tw_item *args, *name, *item;
    (void)arg;
    TW_TRY(tw_pickle_pop(p, &args));
    TW_TRY(tw_pickle_pop(p, &name));
    TW_CHECK(args->type == TW_ITEM_LIST && name->type == TW_ITEM_NAME, TW_EDATA,
             "a pickle calls %s", tw_item_type_name(name));
    TW_CHECK(name->as.name.row && name->as.name.row->call, TW_EDATA,
             "a pickle calls a name that makes nothing (%s)",
             name->as.name.row ? name->as.name.row->name : name->as.name.dtype->name);
    TW_TRY(name->as.name.row->call(p->a, &item, args));
    TW_TRY(tw_pickle_push(p, item));
done:
    return st;
}

static tw_status op_build(tw_pickle *p, int arg)
{
    tw_status st = TW_OK;
    tw_item *state, *value;
    (void)arg;
    TW_TRY(tw_pickle_pop(p, &state));
    TW_TRY(tw_pickle_top(p, &value));
    TW_TRY(tw_pickle_build(p->a, &value, state));
done:
    return st;
}

static tw_status op_persistent(tw_pickle *p, int arg)
{
    tw_status st = TW_OK;
    tw_item *id, *item;
    (void)arg;
    TW_TRY(tw_pickle_pop(p, &id));
    TW_CHECK(p->host && p->host->persistent, TW_EDATA,
             "a pickle refers to data outside of itself, and there are none");
    TW_TRY(p->host->persistent(p->host->self, &item, id));
    TW_TRY(tw_pickle_push(p, item));
done:
    return st;
}

/* ---- the machine itself ---- */

static tw_status op_proto(tw_pickle *p, int arg)
{
    tw_status st = TW_OK;
    uint64_t version = 0;
    (void)arg;
    TW_TRY(tw_pickle_take_number(p, &version, 1));
    TW_CHECK(version <= 5, TW_EDATA, "a pickle of protocol %llu; 0 to 5 are read",
             (unsigned long long)version);
done:
    return st;
}

static tw_status op_frame(tw_pickle *p, int arg)
{
    tw_status st = TW_OK;
    uint64_t n = 0;
    (void)arg;
    TW_TRY(tw_pickle_take_number(p, &n, 8));
    TW_CHECK(n <= (uint64_t)(p->size - p->at), TW_EDATA,
             "a pickle's frame of %llu bytes ends behind the %lld that are left",
             (unsigned long long)n, (long long)(p->size - p->at));
done:
    return st;
}

static tw_status op_mark(tw_pickle *p, int arg)
{
    (void)arg;
    return tw_pickle_push(p, &tw_pickle_mark);
}

static tw_status op_put(tw_pickle *p, int arg)
{
    uint64_t index = 0;
    const tw_status st = tw_pickle_take_number(p, &index, arg);
    return st == TW_OK ? tw_pickle_put(p, index) : st;
}

static tw_status op_memoize(tw_pickle *p, int arg)
{
    (void)arg;
    return tw_pickle_put(p, (uint64_t)p->memoized);
}

static tw_status op_get(tw_pickle *p, int arg)
{
    uint64_t index = 0;
    const tw_status st = tw_pickle_take_number(p, &index, arg);
    return st == TW_OK ? tw_pickle_get(p, index) : st;
}

static tw_status op_stop(tw_pickle *p, int arg)
{
    (void)arg;
    p->stopped = true;
    return TW_OK;
}

typedef struct opcode {
    tw_status (*run)(tw_pickle *p, int arg);
    int arg;
} opcode;

static const opcode opcodes[256] = {
    [0x80] = {op_proto, 0},     [0x95] = {op_frame, 0},    ['('] = {op_mark, 0},
    ['.'] = {op_stop, 0},       ['N'] = {op_none, 0},      [0x88] = {op_bool, 1},
    [0x89] = {op_bool, 0},      ['K'] = {op_integer, 1},   ['M'] = {op_integer, 2},
    ['J'] = {op_integer, -4},   [0x8a] = {op_long, 1},     [0x8b] = {op_long, 4},
    ['G'] = {op_float, 0},      ['X'] = {op_text, 4},      [0x8c] = {op_text, 1},
    [0x8d] = {op_text, 8},      ['B'] = {op_bytes, 4},     ['C'] = {op_bytes, 1},
    [0x8e] = {op_bytes, 8},     [0x96] = {op_bytes, 8},    [')'] = {op_list, 0},
    [']'] = {op_list, 0},       [0x8f] = {op_list, 0},     ['}'] = {op_dict, 0},
    ['t'] = {op_tuple, 0},      [0x91] = {op_tuple, 0},    [0x85] = {op_tuple_of, 1},
    [0x86] = {op_tuple_of, 2},  [0x87] = {op_tuple_of, 3}, ['a'] = {op_append, 0},
    ['e'] = {op_appends, 0},    [0x90] = {op_appends, 0},  ['s'] = {op_setitem, 0},
    ['u'] = {op_setitems, 0},   ['c'] = {op_global, 0},    [0x93] = {op_stack_global, 0},
    ['R'] = {op_call, 0},       [0x81] = {op_call, 0},     ['b'] = {op_build, 0},
    ['Q'] = {op_persistent, 0}, ['q'] = {op_put, 1},       ['r'] = {op_put, 4},
    [0x94] = {op_memoize, 0},   ['h'] = {op_get, 1},       ['j'] = {op_get, 4},
};

static tw_status run(tw_pickle *p, tw_item **out)
{
    tw_status st = TW_OK;
    int64_t at = 0;
    while (!p->stopped) {
        const uint8_t *code = NULL;
        at = p->at;
        TW_CHECK(p->at < p->size, TW_EDATA, "a pickle ends without STOP");
        TW_TRY(tw_pickle_take(p, &code, 1));
        const opcode *o = &opcodes[*code];
        TW_CHECK(o->run, TW_EDATA, "a pickle has the opcode 0x%02x, which no weights need", *code);
        TW_TRY(o->run(p, o->arg));
    }
    TW_TRY(tw_pickle_pop(p, out));
    TW_CHECK(p->stack.count == 0, TW_EDATA, "a pickle stops with a full stack");
done:
    if (st == TW_EDATA) tw_error_prefix("byte %lld of the pickle: ", (long long)at);
    return st;
}

tw_status tw_pickle_read(tw_archive *a, tw_item **out, int64_t *length, const uint8_t *bytes,
                         int64_t size, const tw_pickle_host *host)
{
    tw_status st = TW_OK;
    tw_pickle p = {.a = a, .host = host, .bytes = bytes, .size = size};
    tw_item *item = NULL;
    TW_TRY(run(&p, &item));
    TW_CHECK(length || p.at == size, TW_EDATA, "%lld bytes follow the pickle's STOP",
             (long long)(size - p.at));
    if (length) *length = p.at;
    *out = item;
done:
    tw_free(&p.stack.items);
    tw_free(&p.memo.items);
    return st;
}
