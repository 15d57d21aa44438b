/* tweedie bench read: loading batches from the configured dataset, in memory and streaming. */
#include <stdio.h>
#include <string.h>

#include "cli/bench.h"
#include "tweedie/clock.h"
#include "tweedie/data.h"
#include "tweedie/json.h"
#include "tweedie/memory.h"
#include "tweedie/setup.h"

enum { STEPS = 50 }; /* of one repetition */

/* Milliseconds of one rank's share of a batch, the fastest repetition's mean over STEPS consecutive
 * steps. */
static tw_status measure(double *out, tw_dataset *data, int64_t batch, tw_loader_mode mode,
                         int64_t repetitions)
{
    tw_status st = TW_OK;
    tw_loader *loader = NULL;
    float *x = NULL;
    double best = 1e300;
    const tw_loader_options options = {.batch = batch, .mode = mode};
    TW_TRY(tw_loader_create(&loader, data, &options));
    const int64_t n = tw_loader_positions(loader);
    TW_TRY(tw_alloc(&x, n * tw_dataset_elements(tw_dataset_get_spec(data)), sizeof *x, "a batch"));
    for (int64_t k = 0; k < repetitions; k++) {
        const double start = tw_clock_seconds();
        for (int64_t s = 0; s < STEPS; s++)
            TW_TRY(tw_loader_next(loader, k * STEPS + s, 0, n, x, NULL));
        const double ms = 1e3 * (tw_clock_seconds() - start) / STEPS;
        if (ms < best) best = ms;
    }
    *out = best;
done:
    tw_free(&x);
    tw_loader_destroy(&loader);
    return st;
}

static tw_status print(const tw_setup *setup, double resident, double streaming, bool as_json)
{
    tw_status st = TW_OK;
    tw_json json = {0};
    tw_json_object(&json, NULL);
    tw_json_double(&json, "resident_ms", resident);
    tw_json_double(&json, "streaming_ms", streaming);
    tw_json_int64(&json, "batch", setup->global_batch);
    tw_json_end(&json);
    TW_TRY(tw_json_finish(&json));
    if (as_json)
        printf("%s\n", json.text.data);
    else
        printf("a batch of %lld from memory %8.3f ms, streaming %8.3f ms\n",
               (long long)setup->global_batch, resident, streaming);
done:
    tw_text_free(&json.text);
    return st;
}

static tw_status run(const tw_comm *comm, const tw_bench_options *o)
{
    tw_status st = TW_OK;
    tw_setup setup = {0};
    tw_io *io = NULL;
    tw_dataset *data = NULL;
    double resident = 0, streaming = 0;
    TW_CHECK(o->config, TW_EUSAGE, "bench read: a configuration is needed");
    TW_TRY(tw_setup_open(&setup, comm, o->config, o->assignment_count, o->assignments));
    TW_TRY(tw_comm_agree(comm, tw_io_create(&io)));
    const tw_dataset_options options = {.path = setup.data_path, .split = setup.split, .io = io};
    TW_TRY(tw_dataset_open(&data, comm, &options));
    TW_TRY(tw_comm_agree(
        comm, measure(&resident, data, setup.global_batch, TW_LOADER_RESIDENT, o->repetitions)));
    TW_TRY(tw_comm_agree(
        comm, measure(&streaming, data, setup.global_batch, TW_LOADER_STREAMING, o->repetitions)));
    if (tw_comm_rank(comm) == 0) TW_TRY(print(&setup, resident, streaming, o->json));
done:
    tw_dataset_destroy(&data);
    tw_io_destroy(&io);
    tw_setup_close(&setup);
    return st;
}

const tw_bench tw_bench_read = {
    .name = "read",
    .summary = "loading batches from the dataset",
    .run = run,
};
