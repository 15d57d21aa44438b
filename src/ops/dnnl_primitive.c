/* Primitives with their memories. */
#include "ops/dnnl_primitive.h"

#include <string.h>

#include "ops/convert.h"

static size_t aligned(size_t bytes)
{
    return (bytes + TW_ALIGNMENT - 1) / TW_ALIGNMENT * TW_ALIGNMENT;
}

static bool is_output(int arg)
{
    return arg == DNNL_ARG_DST || arg == DNNL_ARG_DIFF_SRC || arg == DNNL_ARG_DIFF_WEIGHTS ||
           arg == DNNL_ARG_DIFF_BIAS;
}

static tw_status add_argument(tw_primitive *p, dnnl_primitive_desc_t pd, const tw_primitive_arg *a)
{
    tw_status st = TW_OK;
    const int i = p->count;
    TW_CHECK(i < TW_PRIMITIVE_ARGS_MAX, TW_EINTERNAL, "oneDNN: a primitive with over %d arguments",
             TW_PRIMITIVE_ARGS_MAX);
    if (tw_pd_widens(pd, a->arg, a->md)) {
        p->copy[i].count = (int64_t)(tw_md_size(a->md) / tw_dtype_size(TW_DTYPE_BF16));
        p->copy[i].out = is_output(a->arg);
        p->copy[i].in = !p->copy[i].out || tw_pd_adds(pd);
        p->copy[i].offset = p->scratch_bytes;
        p->scratch_bytes += aligned((size_t)p->copy[i].count * sizeof(float));
        TW_TRY(tw_dnnl_argument(&p->args[i].memory, pd, a->arg));
    } else {
        TW_TRY(tw_dnnl_memory(&p->args[i].memory, a->md));
    }
    p->args[p->count++].arg = a->arg;
done:
    return st;
}

static void describe(tw_primitive *p, dnnl_primitive_desc_t pd)
{
    static const char note[] = "bf16-as-f32:";
    bool widens = false;
    for (int i = 0; i < p->count; i++) widens = widens || p->copy[i].count;
    const size_t n = widens ? sizeof note - 1 : 0;
    memcpy(p->implementation, note, n);
    tw_pd_implementation(pd, p->implementation + n, sizeof p->implementation - n);
}

tw_status tw_primitive_create(tw_primitive *out, dnnl_primitive_desc_t pd,
                              const tw_primitive_arg *args)
{
    tw_status st = TW_OK;
    dnnl_engine_t engine;
    tw_primitive p = {0};
    tw_md scratchpad = {.set = false};
    TW_TRY(tw_dnnl_open(&engine, &p.stream));
    TW_TRY(tw_pd_md(&scratchpad, pd, TW_PD_SCRATCHPAD));
    p.scratchpad = tw_md_size(&scratchpad) > 0;
    p.scratch_bytes = aligned(tw_md_size(&scratchpad));
    for (; args->arg; args++) TW_TRY(add_argument(&p, pd, args));
    describe(&p, pd);
    if (p.scratchpad) {
        const tw_primitive_arg last = {DNNL_ARG_SCRATCHPAD, &scratchpad};
        TW_TRY(add_argument(&p, pd, &last));
    }
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
    const int given = p->scratchpad ? p->count - 1 : p->count;
    for (int i = 0; i < given; i++) {
        void *copy = (char *)scratch + p->copy[i].offset;
        if (p->copy[i].in) tw_convert(copy, TW_DTYPE_F32, data[i], TW_DTYPE_BF16, p->copy[i].count);
        point(p, i, p->copy[i].count ? copy : data[i]);
    }
    if (p->scratchpad) point(p, given, scratch);
    if (dnnl_primitive_execute(p->primitive, p->stream, p->count, p->args) == dnnl_success) {
        for (int i = 0; i < given; i++)
            if (p->copy[i].out)
                tw_convert(data[i], TW_DTYPE_BF16, (char *)scratch + p->copy[i].offset,
                           TW_DTYPE_F32, p->copy[i].count);
        return;
    }
    /* Arguments were checked when the primitive was made, so only a broken library comes here;
     * wrong numbers must not go on. */
    tw_dnnl_fail("tweedie: oneDNN failed to execute %s", p->implementation);
}
