/* A second network beside the first: whether it sees the same samples at the same times, and its
 * factor of the density. */
#include "job/sample_guide.h"

#include <string.h>

#include "tweedie/text.h"

tw_status sample_guide_restore(sample_guide *g, const tw_comm *comm, const char *path)
{
    return tw_restore(&g->network, comm, path, NULL);
}

static bool same_numbers(const float *a, const float *b, int64_t n)
{
    return a == b || (a && b && memcmp(a, b, (size_t)n * sizeof *a) == 0);
}

static tw_status check_samples(const tw_dataset_spec *guide, const tw_dataset_spec *samples)
{
    tw_status st = TW_OK;
    TW_CHECK(guide->kind == samples->kind && guide->height == samples->height &&
                 guide->width == samples->width && guide->channels == samples->channels,
             TW_ECONFIG,
             "guidance.network: takes %s of %lld x %lld x %lld, and the samples are %s of %lld x "
             "%lld x %lld",
             tw_dataset_kind_name(guide->kind), (long long)guide->height, (long long)guide->width,
             (long long)guide->channels, tw_dataset_kind_name(samples->kind),
             (long long)samples->height, (long long)samples->width, (long long)samples->channels);
    TW_CHECK(same_numbers(guide->offset, samples->offset, guide->channels) &&
                 same_numbers(guide->scale, samples->scale, guide->channels),
             TW_ECONFIG,
             "guidance.network: was trained on data of other offsets and scales than the samples' "
             "network; train both on files of one import");
done:
    return st;
}

static tw_status check_process(const tw_model *guide, const tw_model *m)
{
    tw_status st = TW_OK;
    tw_text a = {0}, b = {0};
    TW_TRY(tw_choice_describe(&a, &guide->process->choice));
    TW_TRY(tw_choice_describe(&b, &m->process->choice));
    TW_CHECK(strcmp(a.data, b.data) == 0, TW_ECONFIG,
             "guidance.network: was trained on another process than the samples' network, so that "
             "its times mean other noise\n  it:      %s\n  samples: %s",
             a.data, b.data);
done:
    tw_text_free(&a);
    tw_text_free(&b);
    return st;
}

tw_status sample_guide_classes(int64_t *out, const sample_guide *g, const tw_model *m)
{
    tw_status st = TW_OK;
    const int64_t of_guide = g->network ? g->network->model->classes : 0;
    TW_CHECK(!m->classes || !of_guide || m->classes == of_guide, TW_ECONFIG,
             "guidance.network: knows %lld classes, and the samples' network %lld",
             (long long)of_guide, (long long)m->classes);
    *out = m->classes ? m->classes : of_guide;
done:
    return st;
}

static tw_status make_factor(sample_guide *g, const tw_run_config *run, const tw_restored *samples,
                             tw_precision precision)
{
    tw_status st = TW_OK;
    TW_TRY(check_samples(&g->network->samples, &samples->samples));
    TW_TRY(check_process(g->network->model, samples->model));
    TW_TRY(tw_model_factor_create(&g->factor, g->network->model, g->network->digest,
                                  run->sample.batch, precision,
                                  (tw_convolution)run->compute.convolution));
done:
    return st;
}

tw_status sample_guide_plan(sample_guide *g, const tw_run_config *run, const tw_restored *samples,
                            const tw_score *score, const tw_labels *labels, tw_precision precision)
{
    tw_status st = TW_OK;
    TW_TRY(tw_guidance_check_network(&run->guidance));
    if (tw_guidance_is_none(&run->guidance)) goto done;
    if (g->network) TW_TRY(make_factor(g, run, samples, precision));
    const tw_guidance_use use = {.score = score,
                                 .process = samples->model->process,
                                 .labels = *labels,
                                 .factor = g->factor ? tw_model_factor_view(g->factor) : NULL,
                                 .batch = run->sample.batch,
                                 .seed = (uint64_t)run->sample.seed};
    TW_TRY(tw_guided_create(&g->guided, &run->guidance, &use));
done:
    return st;
}

const tw_score *sample_guide_view(const sample_guide *g, const tw_score *score)
{
    return g->guided ? tw_guided_view(g->guided) : score;
}

void sample_guide_free(sample_guide *g)
{
    tw_guided_destroy(&g->guided);
    tw_model_factor_destroy(&g->factor);
    tw_restore_destroy(&g->network);
}
