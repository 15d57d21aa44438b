/* Primitives with their memories. */
#include "ops/dnnl_primitive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tw_status add_argument(tw_primitive *p, int arg, const tw_md *md)
{
    tw_status st = TW_OK;
    TW_CHECK(p->count < TW_PRIMITIVE_ARGS_MAX, TW_EINTERNAL,
             "oneDNN: a primitive with over %d arguments", TW_PRIMITIVE_ARGS_MAX);
    TW_TRY(tw_dnnl_memory(&p->args[p->count].memory, md));
    p->args[p->count++].arg = arg;
done:
    return st;
}

tw_status tw_primitive_create(tw_primitive *out, dnnl_primitive_desc_t pd,
                              const tw_primitive_arg *args)
{
    tw_status st = TW_OK;
    dnnl_engine_t engine;
    tw_primitive p = {0};
    tw_md scratchpad = {.set = false};
    TW_TRY(tw_dnnl_open(&engine, &p.stream));
    tw_pd_implementation(pd, p.implementation, sizeof p.implementation);
    TW_TRY(tw_pd_md(&scratchpad, pd, TW_PD_SCRATCHPAD));
    p.scratch_bytes = tw_md_size(&scratchpad);
    for (; args->arg; args++) TW_TRY(add_argument(&p, args->arg, args->md));
    if (p.scratch_bytes) TW_TRY(add_argument(&p, DNNL_ARG_SCRATCHPAD, &scratchpad));
    TRY_DNNL(dnnl_primitive_create(&p.primitive, pd));
    *out = p;
    memset(&p, 0, sizeof p);
done:
    tw_md_destroy(&scratchpad);
    dnnl_primitive_desc_destroy(pd);
    tw_primitive_destroy(&p);
    return st;
}

void tw_primitive_destroy(tw_primitive *p)
{
    for (int i = 0; i < p->count; i++) dnnl_memory_destroy(p->args[i].memory);
    if (p->primitive) dnnl_primitive_destroy(p->primitive);
    memset(p, 0, sizeof *p);
}

static void point(tw_primitive *p, int i, void *data)
{
    if (p->bound[i] == data) return;
    dnnl_memory_set_data_handle(p->args[i].memory, data);
    p->bound[i] = data;
}

void tw_primitive_run(tw_primitive *p, void *const *data, void *scratch)
{
    int given = p->scratch_bytes ? p->count - 1 : p->count;
    for (int i = 0; i < given; i++) point(p, i, data[i]);
    if (p->scratch_bytes) point(p, given, scratch);
    if (dnnl_primitive_execute(p->primitive, p->stream, p->count, p->args) == dnnl_success) return;
    /* Arguments were checked when the primitive was made, so only a broken library comes here;
     * wrong numbers must not go on. */
    fprintf(stderr, "tweedie: oneDNN failed to execute %s\n", p->implementation);
    abort();
}
