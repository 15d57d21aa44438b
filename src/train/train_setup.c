/* From a configuration file to the first step. Each part may fail on one rank alone, so the ranks
 * agree after it. */
#include <string.h>

#include "run/ema_age.h"
#include "run/share_text.h"
#include "run/state.h"
#include "train/trainer.h"
#include "tweedie/checkpoint.h"
#include "tweedie/file.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"
#include "tweedie/restore.h"
#include "tweedie/signals.h"
#include "tweedie/text.h"

/* ---- configuration ---- */

static tw_status bind(tw_trainer *t)
{
    tw_status st = TW_OK;
    TW_TRY(tw_run_config_bind(&t->run, t->config, TW_RUN_ALL, NULL));
    tw_stepper *s = &t->stepper;
    s->comm = t->comm;
    s->c = t->c = &t->run.train;
    s->model = t->run.model;
    s->optimizer = (const tw_optimizer *)t->run.optimizer.kind;
    s->optimizer_config = t->run.optimizer.config;
    if (t->c->steps < 1)
        TW_TRY(tw_config_error(t->config, "train", "steps", "must be given, at least 1"));
    if (!*t->c->data_path) TW_TRY(tw_config_error(t->config, "data", "path", "must be given"));
done:
    return st;
}

/* Microbatches are a matter of memory and may change, but for the one tree over them they are the
 * order of summation. */
static tw_status check_microbatch(const tw_trainer *t, tw_config *run)
{
    tw_status st = TW_OK;
    tw_train_config before = {0};
    if (!t->c->rank_independent) return TW_OK;
    TW_TRY(tw_train_config_bind(&before, run));
    TW_CHECK(before.microbatch == t->c->microbatch, TW_ECONFIG,
             "train.microbatch: %lld in the run and %lld here; with train.rank_independent it "
             "cannot change",
             (long long)before.microbatch, (long long)t->c->microbatch);
done:
    return st;
}

/* What the user wrote. Each rank parses: paths start at the folders that it sees. */
static tw_status parse_config(tw_trainer *t, const char *text)
{
    tw_status st = TW_OK;
    const tw_train_options *o = t->options;
    TW_TRY(tw_config_create(&t->config));
    TW_TRY(tw_config_parse(t->config, text, (int64_t)strlen(text), o->config));
    TW_TRY(tw_config_override(t->config, o->assignment_count, o->assignments));
    TW_TRY(bind(t));
    TW_TRY(tw_config_finish(t->config));
done:
    return st;
}

static tw_status parse_frozen(tw_config **out, const tw_trainer *t, const char *text)
{
    tw_status st = TW_OK;
    char path[TW_PATH_MAX];
    tw_config *run = NULL;
    if (!text) return TW_OK;
    TW_TRY(tw_format(path, sizeof path, "%s/config.ini", t->options->run));
    TW_TRY(tw_config_create(&run));
    TW_TRY(tw_config_parse(run, text, (int64_t)strlen(text), path));
    TW_TRY(tw_run_modernise(run));
    *out = run;
    run = NULL;
done:
    tw_config_destroy(&run);
    return st;
}

/* With the precision resolved: what the run has fixed, and the text that will be frozen. */
static tw_status finish_config(tw_trainer *t, tw_config *run)
{
    tw_status st = TW_OK;
    tw_train_config before = {0};
    TW_TRY(bind(t));
    if (run) {
        TW_TRY(tw_config_diff_fixed(run, t->config));
        TW_TRY(check_microbatch(t, run));
        TW_TRY(tw_train_config_bind(&before, run));
        t->past.steps_before = before.steps;
    }
    TW_TRY(tw_config_text(t->config, &t->config_text));
done:
    return st;
}

/* Collective: nobody leaves between two of its parts alone. */
static tw_status read_config(tw_trainer *t)
{
    tw_status st = TW_OK;
    char *text = NULL, *frozen = NULL;
    tw_config *run = NULL;
    TW_TRY(tw_share_text(t->comm, &text, t->options->config, false));
    TW_TRY(tw_comm_agree(t->comm, parse_config(t, text)));
    TW_TRY(tw_comm_agree(t->comm, tw_trainer_open_run(t)));
    TW_TRY(tw_trainer_read_frozen(t, &frozen));
    TW_TRY(tw_comm_agree(t->comm, parse_frozen(&run, t, frozen)));
    TW_TRY(tw_comm_agree(t->comm, tw_trainer_resolve_precision(t, run)));
    TW_TRY(tw_run_find_features(&t->features, &t->run, t->config, frozen, t->comm));
    TW_TRY(tw_comm_agree(t->comm, finish_config(t, run)));
done:
    tw_config_destroy(&run);
    tw_free(&text);
    tw_free(&frozen);
    return st;
}

/* ---- data, network, state ---- */

static bool power_of_two(int64_t n)
{
    return n > 0 && (n & (n - 1)) == 0;
}

/* One tree over all microbatches is made of the ranks' own and the reduction's only where both are
 * whole. */
static tw_status check_tree(const tw_trainer *t)
{
    const int64_t batch = t->c->batch, micro = t->c->microbatch, ranks = tw_comm_size(t->comm);
    if (!t->c->rank_independent) return TW_OK;
    if (micro < 1 || batch % micro || !power_of_two(batch / micro))
        return tw_error_set(TW_ECONFIG,
                            "train.rank_independent: train.microbatch must be given and cut "
                            "train.batch = %lld into 1, 2, 4, 8, ... parts; it is %lld",
                            (long long)batch, (long long)micro);
    if (!power_of_two(ranks) || ranks > batch / micro)
        return tw_error_set(TW_ECONFIG,
                            "train.rank_independent: %lld ranks; it takes 1, 2, 4, ... up to %lld",
                            (long long)ranks, (long long)(batch / micro));
    return TW_OK;
}

/* What the network is told of a sample is the label that the data have. */
static tw_status check_classes(const tw_trainer *t)
{
    tw_status st = TW_OK;
    const int64_t classes = t->stepper.model->classes,
                  there = tw_dataset_get_spec(t->data)->num_classes;
    TW_CHECK(!classes || there == classes, TW_ECONFIG,
             there ? "network.classes: %lld, and %s has %lld classes"
                   : "network.classes: %lld, and the samples of %s have no labels (%lld classes)",
             (long long)classes, t->c->data_path, (long long)there);
done:
    return st;
}

/* That conditions are there and not used is told, as it may be a slip. */
static tw_status check_condition(const tw_trainer *t)
{
    tw_status st = TW_OK;
    const tw_dataset_spec *spec = tw_dataset_get_spec(t->data);
    TW_TRY(tw_run_check_condition(t->c, spec));
    if (t->c->condition) t->run.model->condition = tw_dataset_elements(spec->condition);
    if (spec->condition && !t->c->condition)
        tw_log_info("%s holds conditions, which are not used: data.condition=yes trains a "
                    "conditional model",
                    t->c->data_path);
done:
    return st;
}

/* A mirrored latent is not the latent of the mirrored image, and what data.augment does less so. */
static tw_status check_latents(const tw_trainer *t)
{
    tw_status st = TW_OK;
    const tw_dataset_spec *spec = tw_dataset_get_spec(t->data);
    const bool latents = spec->encoder[0], encodes = *t->c->encoder;
    const tw_augment *a = (const tw_augment *)t->run.augment.kind;
    TW_CHECK(!latents || !t->c->flip, TW_ECONFIG,
             "data.flip: %s holds latents, and a mirrored latent is not that of the mirrored "
             "image; with data.encoder and the images as data.path images are mirrored before they "
             "are encoded",
             t->c->data_path);
    TW_CHECK(!latents || !a->labels, TW_ECONFIG,
             "data.augment: %s transforms images, and %s holds latents; with data.encoder and the "
             "images as data.path it does so before they are encoded",
             a->kind.name, t->c->data_path);
    TW_CHECK(!encodes || !t->c->condition, TW_ECONFIG,
             "data.encoder: conditions have the sides of the images, not those of latents; none "
             "was expected with data.condition");
    TW_CHECK(encodes || t->c->latent_scale <= 0, TW_ECONFIG,
             "data.latent_scale: belongs to data.encoder; a dataset of latents says its own");
    TW_CHECK(encodes || !t->c->latents || spec->log_variance, TW_ECONFIG,
             "data.latents: %s has no log variances to sample latents with; tweedie encode-data "
             "--moments writes some",
             t->c->data_path);
    if (spec->log_variance && !t->c->latents)
        tw_log_info("%s holds log variances, which are not used: data.latents=sample samples "
                    "latents anew at each step",
                    t->c->data_path);
done:
    return st;
}

/* A network that is not told would generate augmented images. */
static tw_status check_augment(const tw_trainer *t)
{
    tw_status st = TW_OK;
    const tw_augment *a = (const tw_augment *)t->run.augment.kind;
    const tw_model *m = t->stepper.model;
    const int64_t told = tw_model_augment_labels(m);
    TW_CHECK(m->net->augment_labels || !a->labels, TW_ECONFIG,
             "data.augment: %s tells the network what was done to an image, and network.kind = %s "
             "cannot be told; none was expected",
             a->kind.name, m->net->kind.name);
    TW_CHECK(!a->labels || told == a->labels, TW_ECONFIG,
             "network.augment_labels: %lld, and data.augment = %s tells %lld numbers of an image",
             (long long)told, a->kind.name, (long long)a->labels);
done:
    return st;
}

static tw_status open_data(tw_trainer *t)
{
    tw_status st = TW_OK;
    const tw_dataset_options data = {.path = t->c->data_path,
                                     .split = t->c->split,
                                     .verify = t->c->verify,
                                     .hints = t->c->hints,
                                     .io = t->io};
    tw_loader_options loader = {.batch = t->c->batch,
                                .seed = (uint64_t)t->c->seed,
                                .flip = t->c->flip,
                                .augment = (const tw_augment *)t->run.augment.kind,
                                .augment_config = t->run.augment.config,
                                .memory = t->c->memory << 20,
                                .later = true,
                                .condition = t->c->condition,
                                .sample_latents = t->c->latents && !*t->c->encoder};
    TW_TRY(check_tree(t));
    /* parallel HDF5 hangs where opening fails on one rank alone */
    tw_watchdog_heartbeat(t->stepper.watchdog, "opening the data", t->stepper.step,
                          t->c->verify ? TW_PATIENCE : t->c->watchdog);
    st = tw_dataset_open(&t->data, t->comm, &data);
    if (st == TW_ENOINPUT) (void)tw_config_explain_path(t->config, "data", "path", st);
    TW_TRY(st);
    TW_TRY(check_classes(t));
    TW_TRY(check_condition(t));
    TW_TRY(check_augment(t));
    TW_TRY(check_latents(t));
    t->samples = tw_dataset_get_spec(t->data);
    if (*t->c->encoder) {
        TW_TRY(tw_encoding_create(&t->encoding, t));
        t->samples = loader.order_of = tw_encoding_latents(t->encoding);
        loader.units = tw_encoding_units(t->encoding);
    }
    if (t->features) TW_TRY(tw_run_check_features(t->features, t->samples));
    TW_TRY(tw_loader_create(&t->loader, t->data, &loader));
    tw_stepper *s = &t->stepper;
    s->first_position = tw_loader_first_position(t->loader);
    s->positions = tw_loader_positions(t->loader);
    s->micro =
        t->c->microbatch > 0 && t->c->microbatch < s->positions ? t->c->microbatch : s->positions;
    s->micro_count = (s->positions + s->micro - 1) / s->micro;
done:
    return st;
}

static tw_status restore(tw_trainer *t)
{
    tw_status st = TW_OK;
    char path[TW_CHECKPOINT_PATH] = "";
    int64_t step = -1;
    if (t->past.has_checkpoints)
        TW_TRY(tw_checkpoint_find_newest_all(t->comm, t->options->run, path, sizeof path, &step));
    if (step >= 0)
        TW_TRY(tw_trainer_load(t, path));
    else if (t->options->init && *t->options->init)
        TW_TRY(tw_trainer_init_from(t, t->options->init, t->options->init_weights));
done:
    return st;
}

/* Of latents that are encoded here: a run that resumes has its own. */
static tw_status find_scale(tw_trainer *t)
{
    if (!t->encoding || t->past.resumed) return TW_OK;
    if (t->c->latent_scale > 0)
        tw_encoding_set_scale(t->encoding, t->c->latent_scale);
    else if (!t->options->dry_run)
        return tw_encoding_measure(t->encoding);
    return TW_OK;
}

/* ---- what the user should know before the first step ---- */

/* A decay ends at train.steps: with another end the rate is another one from here on, and where the
 * old schedule had ended it jumps up from zero. */
static void warn_of_schedule(const tw_trainer *t)
{
    static const char *const names[] = {"constant", "linear", "cosine"};
    tw_learning_rate rate = {t->c->learning_rate, t->c->warmup, (tw_decay)t->c->decay, t->c->steps};
    const double now = tw_learning_rate_at(&rate, t->stepper.step);
    if (tw_comm_rank(t->comm) != 0 || !t->past.resumed || t->c->decay == TW_DECAY_CONSTANT ||
        t->past.steps_before == 0 || t->past.steps_before == t->c->steps ||
        t->stepper.step >= t->c->steps)
        return;
    rate.steps = t->past.steps_before;
    tw_log_warn("train.steps: %lld in the run, %lld now: optimizer.decay = %s falls to zero at "
                "train.steps, so the learning rate goes on at %.3g instead of %.3g (step %lld); "
                "--init starts a new run from these weights, with a schedule of its own",
                (long long)t->past.steps_before, (long long)t->c->steps, names[t->c->decay], now,
                tw_learning_rate_at(&rate, t->stepper.step), (long long)t->stepper.step);
}

/* Samples, grids and validation take the first average. */
static void warn_of_ema(const tw_trainer *t)
{
    char rate[TW_TEXT_DOUBLE_MAX];
    if (tw_comm_rank(t->comm) != 0 || t->c->ema_rates.count == 0 ||
        (t->options->init && *t->options->init))
        return;
    const double share =
        tw_ema_initial_share(t->c->ema_rates.values[0], t->c->ema_warmup, t->c->steps);
    if (share < TW_EMA_YOUNG) return;
    tw_text_from_double(rate, t->c->ema_rates.values[0]);
    tw_log_warn("ema.rates: after all %lld steps the average will still hold %.3g %% of the "
                "initial weights (%s^%lld = %.3g), and samples, grids and the validation loss are "
                "made with it: use ema.warmup=yes, or a smaller rate",
                (long long)t->c->steps, 100 * share, rate, (long long)t->c->steps, share);
}

/* ---- opening and closing ---- */

/* What the command line says of it; the file is read under its watch. */
static double first_limit(const tw_train_options *o)
{
    tw_config *config = NULL;
    tw_train_config c = {.watchdog = 600};
    if (tw_config_create(&config) == TW_OK &&
        tw_config_override(config, o->assignment_count, o->assignments) == TW_OK)
        (void)tw_train_config_bind(&c, config);
    const double limit = c.watchdog;
    tw_config_destroy(&config);
    return limit;
}

/* The program's own watchdog, which outlives us, or one for a caller that has none. */
static tw_status start_watchdog(tw_trainer *t)
{
    tw_status st = TW_OK;
    t->stepper.watchdog = tw_watchdog_find(t->comm);
    if (!t->stepper.watchdog) {
        TW_TRY(tw_watchdog_create(&t->own_watchdog, t->comm));
        t->stepper.watchdog = t->own_watchdog;
    }
    tw_watchdog_heartbeat(t->stepper.watchdog, "reading the configuration", 0,
                          first_limit(t->options));
done:
    return st;
}

/* Everything that takes memory, most of it not touched before it is known that there is enough. */
static tw_status make_plans(tw_trainer *t)
{
    tw_status st = TW_OK;
    tw_stepper *s = &t->stepper;
    TW_TRY(open_data(t));
    if (t->encoding) TW_TRY(tw_comm_agree(t->comm, tw_encoding_plan(t->encoding)));
    st = tw_model_create(s->model, tw_state_sample_shape(t->samples), (uint64_t)t->c->seed);
    if (st == TW_OK)
        st = tw_objective_add_params(&t->run.objective, s->model, (uint64_t)t->c->seed);
    if (st == TW_OK && t->features) st = tw_run_take_features(s->model->params, t->features);
    tw_restore_destroy(&t->features);
    TW_TRY(tw_comm_agree(t->comm, st));
    TW_TRY(tw_stepper_make_memory(s));
    TW_TRY(tw_comm_agree(t->comm, tw_stepper_plan(s, &t->run.objective, false)));
    TW_TRY(tw_preview_create(&t->preview, t));
    TW_TRY(tw_trainer_check_memory(t));
done:
    return st;
}

tw_status tw_trainer_open(tw_trainer *t)
{
    tw_status st = TW_OK;
    TW_TRY(start_watchdog(t));
    /* a signal while starting is a request too, not the end */
    TW_TRY(tw_comm_agree(t->comm, tw_signals_install()));
    TW_TRY(read_config(t));
    tw_watchdog_heartbeat(t->stepper.watchdog, "starting", t->stepper.step, t->c->watchdog);
    TW_TRY(tw_comm_agree(t->comm, tw_io_create(&t->io)));
    TW_TRY(make_plans(t));
    tw_watchdog_heartbeat(t->stepper.watchdog, "reading the data", t->stepper.step, TW_PATIENCE);
    TW_TRY(tw_loader_read(t->loader));
    TW_TRY(restore(t));
    TW_TRY(find_scale(t));
    tw_preview_show_data(t->preview);
    warn_of_schedule(t);
    warn_of_ema(t);
    TW_TRY(tw_comm_agree(t->comm, tw_progress_create(&t->progress, t)));
    TW_TRY(tw_comm_agree(t->comm, tw_saver_create(&t->saver, t)));
    if (t->past.resumed && t->stepper.step < t->c->steps)
        st = t->past.rundir ? tw_trainer_freeze(t) : TW_OK;
    TW_TRY(tw_comm_agree(t->comm, st));
    tw_reducer_watch(t->stepper.reducer, t->stepper.watchdog);
    tw_objective_refresh(t->stepper.objective);
done:
    return st;
}

/* Rank zero may have a save to wait for, and the others then wait for it: all under the watchdog,
 * which the program's own keeps until the last of its collectives. */
void tw_trainer_close(tw_trainer *t)
{
    tw_watchdog_heartbeat(t->stepper.watchdog, "ending", t->stepper.step, TW_PATIENCE);
    tw_preview_destroy(&t->preview);
    tw_saver_destroy(&t->saver);
    tw_progress_destroy(&t->progress);
    tw_stepper_close(&t->stepper);
    tw_restore_destroy(&t->features);
    tw_run_config_free(&t->run);
    tw_encoding_destroy(&t->encoding);
    tw_loader_destroy(&t->loader);
    tw_dataset_destroy(&t->data);
    tw_io_destroy(&t->io);
    tw_free(&t->past.losses);
    tw_free(&t->config_text);
    tw_config_destroy(&t->config);
    tw_rundir_destroy(&t->past.rundir);
    if (t->own_watchdog) (void)tw_comm_barrier(t->comm);
    tw_watchdog_destroy(&t->own_watchdog);
}
