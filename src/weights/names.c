/* A published array is a slice of a parameter of ours, perhaps transposed or in another order. */
#include "weights/names.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tweedie/memory.h"

/* ---- what does not fit ---- */

enum { NAMED_MAX = 6 };

typedef struct misfits {
    tw_text missing, left_over, misshapen;
    int64_t missing_count, left_over_count, misshapen_count;
} misfits;

__attribute__((format(printf, 3, 4))) static tw_status note(tw_text *list, int64_t *count,
                                                            const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (++*count > NAMED_MAX) return TW_OK;
    return tw_text_add(list, "%s%s", *count > 1 ? ", " : "", text);
}

static tw_status add_list(tw_text *to, const char *what, const tw_text *list, int64_t count)
{
    tw_status st = TW_OK;
    if (count == 0) return TW_OK;
    TW_TRY(tw_text_add(to, "%s%s: %s", to->length ? "; " : "", what, list->data));
    if (count > NAMED_MAX)
        TW_TRY(tw_text_add(to, " and %lld more", (long long)(count - NAMED_MAX)));
done:
    return st;
}

static tw_status judge(const misfits *f, const tw_model *m)
{
    tw_status st = TW_OK;
    tw_text text = {0};
    if (f->missing_count + f->left_over_count + f->misshapen_count == 0) return TW_OK;
    TW_TRY(add_list(&text, "missing", &f->missing, f->missing_count));
    TW_TRY(add_list(&text, "left over", &f->left_over, f->left_over_count));
    TW_TRY(add_list(&text, "of another shape", &f->misshapen, f->misshapen_count));
    st = tw_error_set(TW_EDATA, "its tensors are not those of the network %s as configured: %s",
                      m->net->kind.name, text.data);
done:
    tw_text_free(&text);
    return st;
}

/* ---- in ---- */

typedef struct taking {
    tw_model *m;
    tw_found *found;
    const tw_link *next; /* of the values without names */
    float *values, *plain;
    misfits bad;
    tw_taken taken;
} taking;

static bool same_shape(const tw_tensor *t, tw_shape s)
{
    if (t->rank != s.rank) return false;
    for (int k = 0; k < s.rank; k++)
        if (t->shape[k] != s.dims[k]) return false;
    return true;
}

/* The tensor of an entry: by its name, or the next without one. NULL: missing. */
static const tw_tensor *find_tensor(taking *k, const tw_published *e, const tw_param_view *v)
{
    tw_named_tensor *named = tw_state_dict_find(&k->found->state, e->name);
    if (named) named->used = true;
    if (k->found->ordered && v->trainable) {
        const tw_link *l = k->next;
        if (l) k->next = l->next;
        return l && l->value->type == TW_ITEM_TENSOR ? l->value->as.tensor : NULL;
    }
    return named ? named->tensor : NULL;
}

static tw_status take_one(taking *k, const tw_published *e)
{
    tw_status st = TW_OK;
    char met[128], wanted[64];
    const tw_param_view *v = tw_params_find(k->m->params, e->param);
    TW_CHECK(v, TW_EINTERNAL, "%s: published as a slice of %s, which is no parameter", e->name,
             e->param);
    const tw_tensor *t = find_tensor(k, e, v);
    if (!t) {
        TW_TRY(note(&k->bad.missing, &k->bad.missing_count, "%s %s", e->name,
                    tw_shape_text(e->shape, wanted)));
        goto done;
    }
    if (!same_shape(t, e->shape)) {
        TW_TRY(note(&k->bad.misshapen, &k->bad.misshapen_count, "%s is %s and %s was expected",
                    e->name, tw_tensor_shape_text(t, met), tw_shape_text(e->shape, wanted)));
        goto done;
    }
    st = tw_tensor_read(t, k->values);
    if (st != TW_OK) tw_error_prefix("%s: ", e->name);
    if (st != TW_OK) goto done;
    tw_params_to_plain(v, k->m->params->value, k->plain);
    for (int64_t i = 0; i < t->count; i++) k->plain[tw_published_index(e, i)] = k->values[i];
    tw_params_from_plain(v, k->plain, k->m->params->value);
    k->taken.tensors++;
    k->taken.values += t->count;
done:
    return st;
}

static tw_status look_at_rest(taking *k, const tw_system *system)
{
    tw_status st = TW_OK;
    int64_t unused = 0;
    for (int64_t i = 0; i < k->found->state.count; i++) {
        const tw_named_tensor *t = &k->found->state.items[i];
        if (t->used) continue;
        if (system->ignores && system->ignores(t->name))
            TW_TRY(note(&k->taken.unused, &unused, "%s", t->name));
        else
            TW_TRY(note(&k->bad.left_over, &k->bad.left_over_count, "%s", t->name));
    }
    if (unused > NAMED_MAX)
        TW_TRY(tw_text_add(&k->taken.unused, " and %lld more", (long long)(unused - NAMED_MAX)));
    int64_t nameless = 0;
    for (const tw_link *l = k->next; l; l = l->next) nameless++;
    if (nameless > 0)
        TW_TRY(note(&k->bad.left_over, &k->bad.left_over_count, "%lld values of the EMA",
                    (long long)nameless));
done:
    return st;
}

tw_status tw_names_take(tw_taken *out, tw_model *m, tw_found *found, const tw_source *source,
                        const tw_system *system)
{
    tw_status st = TW_OK;
    tw_reference_names names = {0};
    taking k = {
        .m = m, .found = found, .next = found->ordered ? found->ordered->as.list.first : NULL};
    TW_TRY(tw_model_reference_names(&names, m));
    TW_CHECK(names.count > 0, TW_ECONFIG, "network.kind: %s has no published parameter names",
             m->net->kind.name);
    if (system->arrange) TW_TRY(system->arrange(found, source, &names));
    TW_TRY(tw_alloc(&k.values, m->params->size, sizeof *k.values, "a tensor"));
    TW_TRY(tw_alloc(&k.plain, m->params->size, sizeof *k.plain, "a parameter"));
    for (int i = 0; i < names.count; i++) TW_TRY(take_one(&k, &names.items[i]));
    TW_TRY(look_at_rest(&k, system));
    TW_TRY(judge(&k.bad, m));
    *out = k.taken;
    k.taken.unused = (tw_text){0};
done:
    tw_text_free(&k.taken.unused);
    tw_text_free(&k.bad.missing);
    tw_text_free(&k.bad.left_over);
    tw_text_free(&k.bad.misshapen);
    tw_free(&k.values);
    tw_free(&k.plain);
    tw_reference_names_free(&names);
    return st;
}

/* ---- out ---- */

void tw_names_give(const tw_model *m, const tw_published *e, float *plain, float *out)
{
    const tw_param_view *v = tw_params_find(m->params, e->param);
    const int64_t n = tw_shape_count(e->shape);
    tw_params_to_plain(v, m->params->value, plain);
    for (int64_t i = 0; i < n; i++) out[i] = plain[tw_published_index(e, i)];
}
