/* From a file of weights to a model: the frozen configuration names network and objective, the meta
 * says what samples are. */
#include "tweedie/restore.h"

#include <string.h>
#include <xxhash.h>

#include "run/ema_age.h"
#include "run/run_config.h"
#include "run/state.h"
#include "tweedie/memory.h"
#include "tweedie/text.h"

/* ---- parts of a frozen configuration ---- */

/* Whether a list of words, "sample compute.precision", holds the section, or the key of the section
 * (NULL: none). */
static bool lists(const char *words, const char *section, size_t section_length, const char *key,
                  size_t key_length)
{
    for (const char *w = words; *w; w += strcspn(w, " "), w += strspn(w, " ")) {
        const size_t n = strcspn(w, " "), s = strcspn(w, ". ");
        if (s != section_length || memcmp(w, section, s) != 0) continue;
        if (s == n) return true;
        if (key && n - s - 1 == key_length && memcmp(w + s + 1, key, key_length) == 0) return true;
    }
    return false;
}

/* The entries of `text` that `words` lists. The text is one that tw_config_text wrote: "[section]"
 * and "key = value" lines. */
static tw_status select_entries(tw_text *out, const char *text, const char *words)
{
    tw_status st = TW_OK;
    const char *section = "";
    size_t section_length = 0;
    for (const char *line = text; *line;) {
        const size_t length = strcspn(line, "\n");
        if (line[0] == '[') {
            section = line + 1;
            section_length = strcspn(section, "]\n");
            TW_TRY(tw_text_add_bytes(out, line, (int64_t)length));
            TW_TRY(tw_text_add(out, "\n"));
        } else if (lists(words, section, section_length, line, strcspn(line, " =\n"))) {
            TW_TRY(tw_text_add_bytes(out, line, (int64_t)length));
            TW_TRY(tw_text_add(out, "\n"));
        }
        line += length + (line[length] == '\n');
    }
    if (!out->data) TW_TRY(tw_text_add(out, "\n"));
done:
    return st;
}

static tw_status parse_entries(tw_config **out, const tw_checkpoint_meta *meta, const char *words)
{
    tw_status st = TW_OK;
    tw_config *c = NULL;
    tw_text text = {0};
    TW_TRY(select_entries(&text, meta->config, words));
    TW_TRY(tw_config_create(&c));
    TW_TRY(tw_config_parse(c, text.data, text.length, meta->source));
    *out = c;
    c = NULL;
done:
    tw_config_destroy(&c);
    tw_text_free(&text);
    return st;
}

tw_status tw_restore_config(tw_config **out, const tw_restored *r, const char *inherited,
                            const char *free_sections, int count, char *const *assignments)
{
    tw_status st = TW_OK;
    tw_config *c = NULL;
    for (int i = 0; i < count; i++)
        TW_CHECK(
            lists(free_sections, assignments[i], strcspn(assignments[i], ".="), NULL, 0), TW_EUSAGE,
            "%s: belongs to the run and cannot be changed here; keys of these sections can: %s",
            assignments[i], free_sections);
    TW_TRY(parse_entries(&c, &r->meta, inherited));
    TW_TRY(tw_config_override(c, count, assignments));
    *out = c;
    c = NULL;
done:
    tw_config_destroy(&c);
    return st;
}

tw_status tw_restored_check_condition(const tw_restored *r, const tw_dataset_spec *data,
                                      const char *path)
{
    tw_status st = TW_OK;
    const tw_dataset_spec *want = r->samples.condition, *met = data->condition;
    if (!want) return TW_OK;
    TW_CHECK(met, TW_EDATA,
             "%s: holds no conditions, and the network is given %s of %lld channels beside each "
             "sample",
             path, tw_dataset_kind_name(want->kind), (long long)want->channels);
    TW_CHECK(met->kind == want->kind && met->height == want->height && met->width == want->width &&
                 met->channels == want->channels,
             TW_EDATA,
             "%s: its conditions are %s of %lld x %lld x %lld, the network is given %s of %lld x "
             "%lld x %lld",
             path, tw_dataset_kind_name(met->kind), (long long)met->height, (long long)met->width,
             (long long)met->channels, tw_dataset_kind_name(want->kind), (long long)want->height,
             (long long)want->width, (long long)want->channels);
done:
    return st;
}

/* ---- the model ---- */

static void add_text(XXH3_state_t *hash, const char *text)
{
    XXH3_128bits_update(hash, text, strlen(text) + 1);
}

static void add_units(XXH3_state_t *hash, const tw_dataset_spec *s)
{
    const size_t bytes = (size_t)s->channels * sizeof *s->offset;
    if (s->offset) XXH3_128bits_update(hash, s->offset, bytes);
    if (s->scale) XXH3_128bits_update(hash, s->scale, bytes);
}

static tw_status add_model(XXH3_state_t *hash, const tw_restored *r)
{
    tw_status st = TW_OK;
    tw_text text = {0};
    const tw_dataset_spec *s = &r->samples;
    TW_TRY(select_entries(&text, r->meta.config, "network process prediction objective"));
    TW_TRY(tw_text_add(&text, "%s %lld %lld %lld %lld", r->meta.sample_kind, (long long)s->height,
                       (long long)s->width, (long long)s->channels, (long long)s->num_classes));
    if (s->condition)
        TW_TRY(tw_text_add(&text, " condition %s %lld", r->meta.condition_kind,
                           (long long)s->condition->channels));
    add_text(hash, text.data);
    add_units(hash, s);
    if (s->condition) add_units(hash, s->condition);
done:
    tw_text_free(&text);
    return st;
}

/* Of what the weights are, not of the file that they lie in. */
static tw_status digest_weights(tw_restored *r, const tw_weights *w)
{
    tw_status st = TW_OK;
    XXH3_state_t *hash = XXH3_createState();
    TW_CHECK(hash && XXH3_128bits_reset(hash) == XXH_OK, TW_ENOMEM, "out of memory: a digest");
    TW_TRY(add_model(hash, r));
    for (int64_t i = 0; i < w->count; i++) {
        int64_t n = 1;
        add_text(hash, w->arrays[i].name);
        XXH3_128bits_update(hash, w->arrays[i].dims, (size_t)w->arrays[i].rank * sizeof(int64_t));
        for (int k = 0; k < w->arrays[i].rank; k++) n *= w->arrays[i].dims[k];
        XXH3_128bits_update(hash, w->arrays[i].data, (size_t)n * sizeof(float));
    }
    const XXH128_hash_t h = XXH3_128bits_digest(hash);
    TW_TRY(tw_format(r->digest, sizeof r->digest, "%016llx%016llx", (unsigned long long)h.high64,
                     (unsigned long long)h.low64));
done:
    XXH3_freeState(hash);
    return st;
}

static tw_status build(tw_restored *r, tw_weights *w)
{
    tw_status st = TW_OK;
    tw_run_config run = {0};
    r->meta = w->meta; /* with what it owns */
    w->meta.config = NULL;
    w->meta.losses = NULL;
    w->meta.offset = w->meta.scale = w->meta.condition_offset = w->meta.condition_scale = NULL;
    TW_CHECK(r->meta.sample_kind[0], TW_EDATA, "does not say what its samples are");
    TW_TRY(tw_state_sample_spec(&r->samples, &r->meta));
    TW_TRY(tw_state_condition_spec(&r->condition, &r->meta, &r->samples));
    if (r->condition.channels) r->samples.condition = &r->condition;
    TW_TRY(parse_entries(&r->config, &r->meta, "network process prediction objective"));
    TW_TRY(tw_run_config_bind(&run, r->config, TW_RUN_MODEL | TW_RUN_OBJECTIVE, NULL));
    TW_TRY(tw_config_finish(r->config));
    r->model = run.model;
    run.model = NULL;
    if (r->samples.condition) r->model->condition = tw_dataset_elements(&r->condition);
    TW_TRY(tw_model_create(r->model, tw_state_sample_shape(&r->samples), 0));
    TW_TRY(tw_state_load_weights(r->model->params, w));
    TW_TRY(digest_weights(r, w));
done:
    tw_run_config_free(&run);
    return st;
}

tw_status tw_restore(tw_restored **out, const tw_comm *comm, const char *path, const char *which)
{
    tw_status st = TW_OK;
    tw_weights *w = NULL;
    tw_restored *r = NULL;
    TW_TRY(tw_weights_load(&w, comm, path, which && *which ? which : NULL));
    st = tw_alloc(&r, 1, sizeof *r, "a restored model");
    if (st == TW_OK && (st = build(r, w)) != TW_OK) {
        tw_error_prefix("%s: ", path);
        if (st == TW_ECONFIG) st = TW_EDATA; /* it is the file's, not the user's */
    }
    if (comm) st = tw_comm_agree(comm, st);
    if (st != TW_OK) goto done;
    if (!comm || tw_comm_rank(comm) == 0) tw_ema_warn(&r->meta);
    *out = r;
    r = NULL;
done:
    tw_weights_destroy(&w);
    tw_restore_destroy(&r);
    return st;
}

void tw_restore_destroy(tw_restored **restored)
{
    tw_restored *r = *restored;
    if (!r) return;
    tw_model_destroy(&r->model);
    tw_config_destroy(&r->config);
    tw_checkpoint_meta_clear(&r->meta);
    tw_free(restored);
}
