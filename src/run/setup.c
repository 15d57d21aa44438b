/* From a configuration file to a network. */
#include "tweedie/setup.h"

#include <string.h>

#include "run/run_config.h"
#include "run/share_text.h"
#include "run/state.h"
#include "tweedie/memory.h"
#include "tweedie/restore.h"

/* Of what data.encoder makes of the data. */
static tw_status latent_shape(tw_shape *out, const tw_comm *comm, const char *path)
{
    tw_status st = TW_OK;
    tw_restored *r = NULL;
    st = tw_restore(&r, comm, path, NULL);
    if (st != TW_OK) tw_error_prefix("data.encoder: ");
    TW_TRY(st);
    TW_CHECK(tw_model_is_autoencoder(r->model), TW_ECONFIG,
             "data.encoder: %s: network.kind = %s is no autoencoder, and encodes nothing", path,
             r->model->net->kind.name);
    *out = tw_model_latent(r->model);
done:
    tw_restore_destroy(&r);
    return st;
}

/* @param[out] condition  numbers of a condition of the samples, 0: they have none */
static tw_status sample_shape(tw_shape *out, int64_t *condition, const tw_comm *comm,
                              const tw_train_config *c, const tw_config *config)
{
    tw_status st = TW_OK;
    tw_dataset *data = NULL;
    const tw_dataset_options options = {.path = c->data_path, .split = c->split};
    if (c->shape.count > 0) {
        *out = tw_shape_make(c->shape.values, (int)c->shape.count);
        TW_CHECK(!c->condition || c->condition_channels, TW_ECONFIG,
                 "data.condition_channels: must be given with data.condition and data.shape");
        if (c->condition)
            *condition = tw_shape_count(*out) / tw_shape_channels(*out) * c->condition_channels;
        return TW_OK;
    }
    TW_CHECK(*c->data_path, TW_ECONFIG, "data.path or data.shape must be given");
    st = tw_dataset_open(&data, comm, &options);
    if (st == TW_ENOINPUT) (void)tw_config_explain_path(config, "data", "path", st);
    TW_TRY(st);
    const tw_dataset_spec *spec = tw_dataset_get_spec(data);
    if (*c->encoder) {
        TW_TRY(latent_shape(out, comm, c->encoder));
        goto done;
    }
    *out = tw_state_sample_shape(spec);
    TW_TRY(tw_run_check_condition(c, spec));
    if (c->condition) *condition = tw_dataset_elements(spec->condition);
done:
    tw_dataset_destroy(&data);
    return st;
}

static void describe(tw_setup *out)
{
    const tw_train_config *c = &out->run->train;
    out->model = out->run->model;
    out->objective = &out->run->objective;
    out->sample = &out->run->sample;
    out->batch = c->microbatch > 0 && c->microbatch < c->batch ? c->microbatch : c->batch;
    out->global_batch = c->batch;
    out->most_ranks = c->rank_independent ? c->batch / out->batch : c->batch;
    out->rank_independent = c->rank_independent;
    out->recompute = (tw_recompute)c->recompute;
    out->data_path = c->data_path;
    out->split = c->split;
}

/* All tables there are are bound: what is left over is a mistake. */
static tw_status parse(tw_setup *out, const char *text, const char *path, int assignment_count,
                       char *const *assignments)
{
    tw_status st = TW_OK;
    TW_TRY(tw_alloc(&out->run, 1, sizeof *out->run, "a configuration"));
    TW_TRY(tw_config_create(&out->config));
    TW_TRY(tw_config_parse(out->config, text, (int64_t)strlen(text), path));
    TW_TRY(tw_config_override(out->config, assignment_count, assignments));
    TW_TRY(tw_run_config_bind(out->run, out->config, TW_RUN_ALL, NULL));
    TW_TRY(tw_config_finish(out->config));
    describe(out);
done:
    return st;
}

/* The classifier of an objective that compares by one; of its weights nothing here depends. */
static tw_status find_features(tw_setup *out, const tw_comm *comm)
{
    tw_status st = TW_OK;
    tw_restored *classifier = NULL;
    TW_TRY(tw_run_find_features(&classifier, out->run, out->config, NULL, comm));
    if (!classifier) return TW_OK;
    TW_TRY(tw_run_config_bind(out->run, out->config, TW_RUN_ALL, NULL));
    describe(out);
done:
    tw_restore_destroy(&classifier);
    return st;
}

/* Collective where there is a comm. */
static tw_status read_config(tw_setup *out, const tw_comm *comm, const char *path,
                             int assignment_count, char *const *assignments)
{
    tw_status st = TW_OK;
    char *text = NULL;
    *out = (tw_setup){0};
    TW_TRY(tw_share_text(comm, &text, path, false));
    st = parse(out, text, path, assignment_count, assignments);
    if (comm) st = tw_comm_agree(comm, st);
done:
    tw_free(&text);
    return st;
}

tw_status tw_setup_read(tw_setup *out, const char *path, int assignment_count,
                        char *const *assignments)
{
    return read_config(out, NULL, path, assignment_count, assignments);
}

static bool power_of_two(int64_t n)
{
    return n > 0 && (n & (n - 1)) == 0;
}

int64_t tw_setup_ranks(const tw_setup *setup, int64_t most)
{
    int64_t ranks = most < setup->most_ranks ? most : setup->most_ranks;
    while (ranks > 1 &&
           (setup->global_batch % ranks || (setup->rank_independent && !power_of_two(ranks))))
        ranks--;
    return ranks > 1 ? ranks : 1;
}

tw_status tw_setup_open(tw_setup *out, const tw_comm *comm, const char *path, int assignment_count,
                        char *const *assignments)
{
    tw_status st = TW_OK;
    tw_shape shape = {0};
    TW_TRY(read_config(out, comm, path, assignment_count, assignments));
    TW_TRY(find_features(out, comm));
    TW_TRY(sample_shape(&shape, &out->model->condition, comm, &out->run->train, out->config));
    out->convolution = (tw_convolution)out->run->compute.convolution;
    st = tw_compute_prepare(&out->precision, &out->threads, &out->run->compute, comm);
    if (st == TW_OK) st = tw_model_create(out->model, shape, (uint64_t)out->run->train.seed);
    TW_TRY(comm ? tw_comm_agree(comm, st) : st);
done:
    return st;
}

void tw_setup_close(tw_setup *setup)
{
    if (setup->run) tw_run_config_free(setup->run);
    tw_free(&setup->run);
    setup->model = NULL;
    tw_config_destroy(&setup->config);
}
