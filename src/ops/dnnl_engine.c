/* The one engine and stream of the process, made when they are first asked for, by any thread. */
#include <pthread.h>

#include "ops/dnnl_compat.h"

static struct {
    pthread_once_t once;
    dnnl_status_t st;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
} process = {.once = PTHREAD_ONCE_INIT};

static void open_once(void)
{
    tw_dnnl_catch();
    process.st = dnnl_engine_create(&process.engine, dnnl_cpu, 0);
    if (process.st == dnnl_success)
        process.st = dnnl_stream_create(&process.stream, process.engine, dnnl_stream_default_flags);
}

tw_status tw_dnnl_open(dnnl_engine_t *engine, dnnl_stream_t *stream)
{
    pthread_once(&process.once, open_once);
    if (process.st != dnnl_success)
        return tw_error_set(TW_EINTERNAL, "oneDNN: no CPU engine: %s",
                            tw_dnnl_status_text(process.st));
    *engine = process.engine;
    *stream = process.stream;
    return TW_OK;
}
