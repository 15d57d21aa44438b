/* tweedie bench step: a whole training step against the sum of its convolutions. */
#include <math.h>
#include <stdio.h>

#include "cli/bench.h"
#include "tweedie/json.h"
#include "tweedie/step_bench.h"

static tw_status print_json(const tw_step_bench *r)
{
    tw_status st = TW_OK;
    tw_json json = {0};
    tw_json_object(&json, NULL);
    tw_json_double(&json, "convolution_limit_ms", r->limit_ms);
    tw_json_double(&json, "forward_ms", r->forward_ms);
    tw_json_double(&json, "backward_data_ms", r->backward_data_ms);
    tw_json_double(&json, "backward_weights_ms", r->backward_weights_ms);
    tw_json_double(&json, "step_ms", r->step_ms);
    tw_json_double(&json, "ratio", r->ratio);
    tw_json_double(&json, "ratio_median", r->ratio_median);
    tw_json_double(&json, "update_ms", r->update_ms);
    tw_json_double(&json, "update_copy_ms", r->copy_ms);
    tw_json_int64(&json, "batch", r->batch);
    tw_json_int64(&json, "parameters", r->parameters);
    tw_json_double(&json, "images_per_second", r->images_per_second);
    tw_json_int64(&json, "peak_rss_bytes", r->peak_rss_bytes);
    tw_json_string(&json, "precision", r->precision);
    tw_json_list(&json, "reference_implementations");
    for (int i = 0; i < r->reference_count; i++) tw_json_string(&json, NULL, r->references[i]);
    tw_json_end(&json);
    tw_json_list(&json, "limit_implementations");
    for (int i = 0; i < r->limit_count; i++) tw_json_string(&json, NULL, r->limits[i]);
    tw_json_end(&json);
    tw_json_object(&json, "kinds_ms");
    for (int i = 0; i < r->kind_count; i++) tw_json_double(&json, r->kinds[i].name, r->kinds[i].ms);
    tw_json_end(&json);
    tw_json_end(&json);
    TW_TRY(tw_json_finish(&json));
    printf("%s\n", json.text.data);
done:
    tw_text_free(&json.text);
    return st;
}

static void print_text(const tw_step_bench *r)
{
    if (isfinite(r->limit_ms))
        printf("convolution limit %9.2f ms   (forward %.2f, backward-data %.2f, backward-weights "
               "%.2f)\n",
               r->limit_ms, r->forward_ms, r->backward_data_ms, r->backward_weights_ms);
    if (r->limit_count)
        printf("                  %d primitives, the faster of channels last (%d) and oneDNN's own "
               "layout (%d)\n",
               r->limit_count, r->limit_count - r->own_layout_count, r->own_layout_count);
    printf("training step     %9.2f ms   %s, %lld samples, %.1f images/s, %.0f MB\n", r->step_ms,
           r->precision, (long long)r->batch, r->images_per_second,
           (double)r->peak_rss_bytes / 1e6);
    if (isfinite(r->ratio))
        printf("ratio             %9.3f      (of the medians %.3f)\n", r->ratio, r->ratio_median);
    printf(
        "update            %9.2f ms   clipping, optimizer, EMA, packing: %.2f of a copy of as many "
        "bytes\n",
        r->update_ms, r->update_ms / r->copy_ms);
    for (int i = 0; i < r->kind_count; i++)
        if (r->kinds[i].ms > 0) printf("  %-22s %9.3f ms\n", r->kinds[i].name, r->kinds[i].ms);
    for (int i = 0; i < r->reference_count; i++)
        printf("reference implementation: %s\n", r->references[i]);
}

static tw_status run(const tw_comm *comm, const tw_bench_options *o)
{
    tw_status st = TW_OK;
    tw_setup setup = {0};
    tw_step_bench r = {0};
    TW_CHECK(o->config, TW_EUSAGE, "bench step: a configuration is needed");
    TW_TRY(tw_setup_open(&setup, comm, o->config, o->assignment_count, o->assignments));
    TW_TRY(tw_step_bench_run(&r, &setup, comm, o->repetitions, o->alone));
    if (tw_comm_rank(comm) != 0) goto done;
    if (o->json)
        TW_TRY(print_json(&r));
    else
        print_text(&r);
done:
    tw_step_bench_free(&r);
    tw_setup_close(&setup);
    return st;
}

const tw_bench tw_bench_step = {
    .name = "step",
    .summary = "a training step against its convolutions",
    .run = run,
};
