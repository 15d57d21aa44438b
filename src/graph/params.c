/* The parameter store. */
#include "tweedie/params.h"

#include <string.h>

#include "graph/graph.h"
#include "tweedie/rng.h"

static void describe(tw_param_view *v, const tw_leaf *l)
{
    memcpy(v->name, l->name, sizeof v->name);
    v->shape = l->value.shape;
    v->layout = l->value.layout;
    v->init = l->init;
    v->count = tw_shape_count(l->value.shape);
    v->role = l->value.role;
    v->trainable = v->role == TW_ROLE_PARAM;
}

/* Gives the views of a role their places, from `offset` on. @return where they end */
static int64_t place(tw_params *p, tw_role role, int64_t offset)
{
    for (int i = 0; i < p->view_count; i++) {
        if (p->views[i].role != role) continue;
        p->views[i].offset = offset;
        offset +=
            (p->views[i].count + TW_PARAM_ALIGNMENT - 1) / TW_PARAM_ALIGNMENT * TW_PARAM_ALIGNMENT;
    }
    return offset;
}

static bool is_new(const tw_params *p, const tw_leaf *l)
{
    return l->value.role != TW_ROLE_INPUT && !tw_params_find(p, l->name);
}

tw_status tw_params_extend(tw_params *p, const tw_graph *g)
{
    tw_status st = TW_OK;
    tw_param_view *views = NULL;
    float *value = NULL;
    int n = p->view_count;
    TW_TRY(tw_graph_status(g));
    for (const tw_leaf *l = g->leaves; l; l = l->next) n += is_new(p, l);
    TW_TRY(tw_alloc(&views, n, sizeof *views, "the views of a parameter store"));
    if (p->view_count) memcpy(views, p->views, (size_t)p->view_count * sizeof *views);
    n = p->view_count;
    for (const tw_leaf *l = g->leaves; l; l = l->next)
        if (is_new(p, l)) describe(&views[n++], l);
    tw_free(&p->views);
    p->views = views;
    p->view_count = n;
    p->trainable = place(p, TW_ROLE_PARAM, 0);
    p->summed = place(p, TW_ROLE_STATE, p->trainable);
    p->size = place(p, TW_ROLE_CONSTANT, p->summed);
    TW_TRY(tw_alloc(&value, p->size, sizeof *value, "the parameters"));
    if (p->owns_value) tw_free(&p->value);
    p->value = value;
    p->owns_value = true;
done:
    return st;
}

tw_status tw_params_create(tw_params **out, const tw_graph *g)
{
    tw_status st = TW_OK;
    tw_params *p = NULL;
    TW_TRY(tw_alloc(&p, 1, sizeof *p, "a parameter store"));
    TW_TRY(tw_params_extend(p, g));
    *out = p;
    p = NULL;
done:
    tw_params_destroy(&p);
    return st;
}

void tw_params_destroy(tw_params **params)
{
    if (!*params) return;
    if ((*params)->owns_gradient) tw_free(&(*params)->gradient);
    if ((*params)->owns_value) tw_free(&(*params)->value);
    tw_free(&(*params)->views);
    tw_free(params);
}

tw_status tw_params_use_gradient(tw_params *p, float *buffer)
{
    tw_status st = TW_OK;
    float *own = NULL;
    if (!buffer) TW_TRY(tw_alloc(&own, p->summed, sizeof *own, "the gradients"));
    if (p->owns_gradient) tw_free(&p->gradient);
    p->gradient = buffer ? buffer : own;
    p->owns_gradient = !buffer;
done:
    return st;
}

void tw_params_use_value(tw_params *p, float *buffer)
{
    if (p->owns_value) tw_free(&p->value);
    p->value = buffer;
    p->owns_value = false;
}

const tw_param_view *tw_params_find(const tw_params *p, const char *name)
{
    for (int i = 0; i < p->view_count; i++)
        if (strcmp(p->views[i].name, name) == 0) return &p->views[i];
    return NULL;
}

int64_t tw_params_count(const tw_params *p)
{
    int64_t n = 0;
    for (int i = 0; i < p->view_count; i++) n += p->views[i].trainable ? p->views[i].count : 0;
    return n;
}

/* Where element (o, i, k) of a blocked view lies. */
static int64_t blocked_offset(const tw_param_view *v, int64_t taps, int64_t o, int64_t i, int64_t k)
{
    return ((o / 16 * (v->shape.dims[1] / 16) + i / 16) * taps + k) * 256 + i % 16 * 16 + o % 16;
}

/* Calls for each element in plain order would be slow and say less: one loop serves both
 * directions. */
static void copy(const tw_param_view *v, float *flat, float *plain, bool to_plain)
{
    float *stored = flat + v->offset;
    if (v->layout == TW_PLAIN) {
        memcpy(to_plain ? plain : stored, to_plain ? stored : plain,
               (size_t)v->count * sizeof *plain);
        return;
    }
    const int64_t out = v->shape.dims[0], in = v->shape.dims[1], taps = v->count / (out * in);
    for (int64_t o = 0; o < out; o++)
        for (int64_t i = 0; i < in; i++)
            for (int64_t k = 0; k < taps; k++) {
                float *a = stored + blocked_offset(v, taps, o, i, k),
                      *b = plain + (o * in + i) * taps + k;
                if (to_plain)
                    *b = *a;
                else
                    *a = *b;
            }
}

void tw_params_to_plain(const tw_param_view *view, const float *flat, float *plain)
{
    copy(view, (float *)(uintptr_t)flat, plain, true); /* read only in this direction */
}

void tw_params_from_plain(const tw_param_view *view, const float *plain, float *flat)
{
    copy(view, flat, (float *)(uintptr_t)plain, false);
}

static void fill(const tw_param_view *v, const tw_rng_stream *stream, float *plain)
{
    switch (v->init.kind) {
    case TW_INIT_ZEROS:
        memset(plain, 0, (size_t)v->count * sizeof *plain);
        break;
    case TW_INIT_ONES:
        for (int64_t k = 0; k < v->count; k++) plain[k] = 1;
        break;
    case TW_INIT_UNIFORM:
        tw_rng_uniform(plain, stream, 0, v->count);
        for (int64_t k = 0; k < v->count; k++)
            plain[k] = (float)(v->init.bound * (2.0 * (double)plain[k] - 1.0));
        break;
    case TW_INIT_NORMAL:
        tw_rng_normal(plain, stream, 0, v->count);
        for (int64_t k = 0; k < v->count; k++)
            plain[k] = (float)(v->init.mean + v->init.std * (double)plain[k]);
        break;
    }
    for (int64_t k = 0; v->init.period > 0 && k < v->count; k++)
        if (k % v->init.period >= v->init.live) plain[k] = 0;
}

tw_status tw_params_initialise(tw_params *p, uint64_t seed)
{
    tw_status st = TW_OK;
    float *plain = NULL;
    int64_t most = 0;
    for (int i = 0; i < p->view_count; i++)
        most = p->views[i].count > most ? p->views[i].count : most;
    TW_TRY(tw_alloc(&plain, most, sizeof *plain, "the largest parameter"));
    for (int i = 0; i < p->view_count; i++) {
        const tw_rng_stream stream = {
            .seed = seed, .purpose = TW_RNG_INIT, .position = i, .step = 0};
        fill(&p->views[i], &stream, plain);
        tw_params_from_plain(&p->views[i], plain, p->value);
    }
done:
    tw_free(&plain);
    return st;
}
