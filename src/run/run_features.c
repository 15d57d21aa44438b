/* The classifier that an objective compares samples by: from a file into the run. */
#include <stdio.h>
#include <string.h>

#include "run/run_config.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"
#include "tweedie/param_names.h"
#include "tweedie/restore.h"

static const char prefix[] = TW_NAME_OBJECTIVE "features.";

/* The entries of a text that tw_config_text wrote, of [FROMnetwork], [FROMprocess] and
 * [FROMprediction], as those of [features_network] … */
static tw_status adopt(tw_config *config, const char *text, const char *from)
{
    tw_status st = TW_OK;
    static const char *const sections[] = {"network", "process", "prediction"};
    char name[64] = "", assignment[512], line[512];
    const char *section = NULL;
    for (; *text; text += strcspn(text, "\n"), text += *text == '\n') {
        TW_TRY(tw_format(line, sizeof line, "%.*s", (int)strcspn(text, "\n"), text));
        if (line[0] == '[') section = NULL;
        for (int k = 0; k < 3 && line[0] == '['; k++) {
            TW_TRY(tw_format(name, sizeof name, "[%s%s]", from, sections[k]));
            if (strcmp(line, name) == 0) section = sections[k];
        }
        char *equals = strstr(line, " = ");
        if (!section || line[0] == '[' || !equals) continue;
        TW_TRY(tw_format(assignment, sizeof assignment, "features_%s.%.*s=%s", section,
                         (int)(equals - line), line, equals + 3));
        TW_TRY(tw_config_override(config, 1, (char *[]){assignment}));
    }
done:
    return st;
}

/* What the run began with: the value of objective.features_digest. */
static tw_status frozen_digest(char *out, size_t size, const char *text)
{
    tw_status st = TW_OK;
    static const char key[] = "\nfeatures_digest = ";
    const char *at = strstr(text, key);
    TW_CHECK(at, TW_ECONFIG,
             "objective.feature_weight: the run began without a classifier to compare by");
    at += sizeof key - 1;
    TW_TRY(tw_format(out, size, "%.*s", (int)strcspn(at, "\n"), at));
done:
    return st;
}

/* What this process can say by itself. */
static tw_status write_down(tw_config *config, const tw_objective_features *f, const tw_restored *r,
                            const char *frozen)
{
    tw_status st = TW_OK;
    char wanted[2 * TW_CHECKPOINT_DIGEST], assignment[128], *text = NULL;
    TW_TRY(tw_format(wanted, sizeof wanted, "%s", f->digest));
    if (frozen) TW_TRY(frozen_digest(wanted, sizeof wanted, frozen));
    TW_CHECK(!r || r->model->net->logits, TW_ECONFIG,
             "objective.features: %s: its network, %s, is no classifier; objective.kind = classify "
             "trains one",
             f->path, r->model->net->kind.name);
    TW_CHECK(!r || !r->model->condition, TW_ECONFIG,
             "objective.features: %s: its network is given conditions, and features are of samples "
             "alone",
             f->path);
    TW_CHECK(!r || !*wanted || strcmp(wanted, r->digest) == 0, TW_ECONFIG,
             "objective.features: %s holds the weights %s, and the run began with %s", f->path,
             r->digest, wanted);
    TW_TRY(tw_format(assignment, sizeof assignment, "objective.features_digest=%s",
                     r ? r->digest : wanted));
    TW_TRY(tw_config_override(config, 1, (char *[]){assignment}));
    if (r) TW_TRY(tw_config_text(r->config, &text));
    if (r || frozen) TW_TRY(adopt(config, r ? text : frozen, r ? "" : "features_"));
done:
    tw_free(&text);
    return st;
}

tw_status tw_run_find_features(tw_restored **out, const tw_run_config *run, tw_config *config,
                               const char *frozen, const tw_comm *comm)
{
    tw_status st = TW_OK;
    tw_restored *r = NULL;
    const tw_objective_features *f = tw_objective_features_of(&run->objective);
    *out = NULL;
    if (!f) return TW_OK;
    const bool known = frozen || run->features;
    TW_CHECK(*f->path || known, TW_ECONFIG,
             "objective.features: must be given with objective.feature_weight above 0: the run or "
             "the weights of a classifier");
    if (*f->path) st = tw_restore(&r, comm, f->path, NULL);
    if (st == TW_ENOINPUT && known) {
        tw_log_info("objective.features: %s is not there; the run goes on with the classifier that "
                    "its checkpoints hold",
                    f->path);
        st = TW_OK;
    }
    if (st == TW_ENOINPUT) (void)tw_config_explain_path(config, "objective", "features", st);
    TW_TRY(st);
    st = write_down(config, f, r, frozen);
    if (comm) st = tw_comm_agree(comm, st);
    if (st != TW_OK) goto done;
    *out = r;
    r = NULL;
done:
    tw_restore_destroy(&r);
    return st;
}

tw_status tw_run_check_features(const tw_restored *r, const tw_dataset_spec *s)
{
    tw_status st = TW_OK;
    const tw_dataset_spec *c = &r->samples;
    if (r->model->net->any_extent && s->kind != TW_DATASET_POINTS) return TW_OK;
    TW_CHECK(c->kind == s->kind && c->height == s->height && c->width == s->width &&
                 c->channels == s->channels,
             TW_ECONFIG,
             "objective.features: its network takes %s of %lld x %lld x %lld, and the samples are "
             "%s of %lld x %lld x %lld",
             tw_dataset_kind_name(c->kind), (long long)c->height, (long long)c->width,
             (long long)c->channels, tw_dataset_kind_name(s->kind), (long long)s->height,
             (long long)s->width, (long long)s->channels);
done:
    return st;
}

tw_status tw_run_take_features(tw_params *params, const tw_restored *r)
{
    tw_status st = TW_OK;
    const tw_params *from = r->model->params;
    for (int i = 0; i < params->view_count; i++) {
        const tw_param_view *to = &params->views[i];
        if (strncmp(to->name, prefix, sizeof prefix - 1) != 0) continue;
        const tw_param_view *v = tw_params_find(from, to->name + sizeof prefix - 1);
        TW_CHECK(v && v->count == to->count && v->layout == to->layout, TW_EINTERNAL,
                 "/%s is no parameter of the classifier", to->name);
        memcpy(params->value + to->offset, from->value + v->offset,
               (size_t)v->count * sizeof(float));
    }
done:
    return st;
}
