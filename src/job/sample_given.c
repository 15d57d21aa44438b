/* Reading conditions of samples. */
#include "job/sample_given.h"

#include "data/coarse.h"
#include "tweedie/memory.h"

static tw_status check_keys(const tw_run_config *run, bool conditional)
{
    tw_status st = TW_OK;
    const bool given = *run->sample_condition != '\0';
    TW_CHECK(given || !conditional, TW_ECONFIG,
             "sample.condition: the model is conditional: --condition FILE (sample.condition) must "
             "give a dataset with a condition for each sample");
    TW_CHECK(!given || conditional, TW_ECONFIG,
             "sample.condition: %s; the network was given no conditions in training "
             "(data.condition = no)",
             run->sample_condition);
    TW_CHECK(given || !*run->sample_condition_split, TW_ECONFIG,
             "sample.condition_split: %s; sample.condition must name what it is a split of",
             run->sample_condition_split);
done:
    return st;
}

/* The file's conditions, or, of a file without, its samples. */
static tw_status choose_array(sample_given *g, const char *path)
{
    tw_status st = TW_OK;
    const tw_dataset_spec *spec = tw_dataset_get_spec(g->data), *want = g->units;
    g->found = spec->condition ? spec->condition : spec;
    TW_CHECK(g->found->kind == want->kind && g->found->channels == want->channels &&
                 tw_coarse_divides(g->found, want),
             TW_EDATA,
             "sample.condition: %s holds %s of %lld x %lld x %lld, the network is given %s of %lld "
             "x %lld x %lld",
             path, tw_dataset_kind_name(g->found->kind), (long long)g->found->height,
             (long long)g->found->width, (long long)g->found->channels,
             tw_dataset_kind_name(want->kind), (long long)want->height, (long long)want->width,
             (long long)want->channels);
done:
    return st;
}

static tw_status describe(sample_given *g)
{
    const tw_dataset_split *s = tw_dataset_get_split(g->data);
    return tw_format(
        g->text, sizeof g->text, " condition=%s:%s:%lld:%lld", tw_dataset_get_spec(g->data)->digest,
        g->found->is_condition ? "condition" : "samples", (long long)s->first, (long long)s->last);
}

tw_status sample_given_open(sample_given *out, const tw_run_config *run,
                            const tw_dataset_spec *units, int64_t batch)
{
    tw_status st = TW_OK;
    int64_t numbers;
    const char *split = *run->sample_condition_split ? run->sample_condition_split : "all";
    const tw_dataset_options options = {.path = run->sample_condition, .split = split};
    TW_TRY(check_keys(run, units != NULL));
    if (!units) return TW_OK;
    out->units = units;
    out->numbers = tw_dataset_elements(units);
    TW_TRY(tw_dataset_open(&out->data, NULL, &options));
    TW_TRY(choose_array(out, run->sample_condition));
    TW_TRY(describe(out));
    TW_TRY(tw_multiply(&numbers, batch, out->numbers, "conditions of a block"));
    TW_TRY(tw_alloc(&out->y, numbers, sizeof *out->y, "conditions of a block"));
    TW_TRY(tw_alloc(&out->stored, batch, tw_dataset_sample_bytes(units), "conditions of a block"));
    TW_TRY(tw_alloc(&out->row, 1, tw_dataset_sample_bytes(out->found), "a condition"));
done:
    return st;
}

void sample_given_close(sample_given *g)
{
    tw_dataset_destroy(&g->data);
    tw_free(&g->row);
    tw_free(&g->stored);
    tw_free(&g->y);
    *g = (sample_given){0};
}

tw_status sample_given_read(sample_given *g, int64_t first, int64_t count)
{
    tw_status st = TW_OK;
    if (!g->data) return TW_OK;
    const int64_t rows = tw_dataset_count(g->data);
    const size_t bytes = tw_dataset_sample_bytes(g->units);
    for (int64_t i = 0; i < count; i++) {
        const int64_t row = (first + i) % rows;
        if (g->found->is_condition)
            TW_TRY(tw_dataset_read_condition_stored(g->data, row, 1, g->row));
        else
            TW_TRY(tw_dataset_read_stored(g->data, row, 1, g->row, NULL));
        tw_coarse_repeat(g->found, g->units, g->row, (char *)g->stored + (size_t)i * bytes);
    }
    tw_dataset_normalise(g->units, count, g->stored, g->y);
done:
    return st;
}
