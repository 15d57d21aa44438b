/* Generating a sample set: what is wanted, what is there, what is missing; then generate, join, and
 * make pictures. */
#include "job/sample_job_internal.h"

#include <string.h>

#include "run/state.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"
#include "tweedie/output.h"
#include "tweedie/signals.h"
#include "tweedie/text.h"

tw_status sample_agree(const sample_job *d, tw_status st)
{
    return d->comm ? tw_comm_agree(d->comm, st) : st;
}

/* ---- planning ---- */

/* Another sampler than the run's begins with settings of its own: the run's are for its own. */
static const char *inherited(const tw_sample_job_options *o)
{
    for (int i = 0; i < o->assignment_count; i++)
        if (strncmp(o->assignments[i], "sample.kind=", strlen("sample.kind=")) == 0)
            return "sample.batch sample.seed sample.class sample.condition "
                   "sample.condition_split sample.decode sample.clip sample.clip_min "
                   "sample.clip_max "
                   "guidance compute.precision compute.convolution";
    return "sample guidance compute.precision compute.convolution";
}

static bool guided(const sample_job *d)
{
    return d->options->guide && *d->options->guide;
}

enum { ASSIGNMENTS = 2 }; /* that --guide stands for */

/* guidance.kind first: what the user assigned himself comes after it and wins. */
static tw_status assignments(sample_job *d, char **out, int *count, char *kind, char *network)
{
    tw_status st = TW_OK;
    const tw_sample_job_options *o = d->options;
    *count = 0;
    if (guided(d)) {
        TW_TRY(tw_format(kind, TW_PATH_MAX, "guidance.kind=%s",
                         d->guide.network->model->net->logits ? "classifier" : "energy"));
        TW_TRY(tw_format(network, TW_PATH_MAX, "guidance.network=%s", o->guide));
        out[(*count)++] = kind;
        out[(*count)++] = network;
    }
    for (int i = 0; i < o->assignment_count; i++) out[(*count)++] = o->assignments[i];
done:
    return st;
}

static tw_status read_settings(sample_job *d)
{
    tw_status st = TW_OK;
    const tw_sample_job_options *o = d->options;
    char kind[TW_PATH_MAX], network[TW_PATH_MAX], **all = NULL;
    int count;
    TW_TRY(tw_alloc(&all, o->assignment_count + ASSIGNMENTS, sizeof *all, "settings"));
    TW_TRY(assignments(d, all, &count, kind, network));
    TW_TRY(tw_restore_config(&d->config, d->restored, inherited(o), "sample guidance compute",
                             count, all));
    TW_TRY(tw_run_config_bind(&d->run, d->config, TW_RUN_SAMPLE | TW_RUN_COMPUTE,
                              d->restored->model->process->kind->sampler));
    TW_TRY(tw_config_finish(d->config));
done:
    tw_free(&all);
    return st;
}

/* " pad=reflect:[32, 32, 1]" where the network sees padded samples. */
static tw_status describe_padding(tw_text *text, const tw_model *m)
{
    char shape[64];
    const tw_shape seen =
        tw_net_padded(m->net, m->network.config, (tw_net_padding)m->pad, m->sample);
    if (tw_shape_equal(seen, m->sample)) return tw_text_add(text, "%s", "");
    return tw_text_add(text, " pad=%s:%s", m->pad == TW_NET_PAD_ZERO ? "zero" : "reflect",
                       tw_shape_text(seen, shape));
}

/* The line that parts are compared by: digest of the weights, then everything that a sample depends
 * on. */
static tw_status describe(sample_job *d, tw_precision precision)
{
    tw_status st = TW_OK;
    sample_parts *p = &d->parts;
    const tw_checkpoint_meta *meta = &d->restored->meta;
    tw_text text = {0}, padding = {0};
    TW_TRY(tw_sampler_describe(&text, d->sampler));
    if (d->labels.classes) TW_TRY(tw_run_labels_describe(&text, &d->labels, d->run.sample_class));
    if (d->guide.guided) TW_TRY(tw_guided_describe(&text, d->guide.guided));
    TW_TRY(tw_text_add(&text, "%s", d->given.text));
    if (d->decoder.network) TW_TRY(tw_text_add(&text, " decode=%s", d->decoder.network->digest));
    TW_TRY(describe_padding(&padding, d->restored->model));
    TW_TRY(tw_format(p->sampling, sizeof p->sampling, "weights=%s %s precision=%s convolution=%s%s",
                     d->restored->digest, text.data, tw_precision_name(precision),
                     tw_convolution_name((tw_convolution)d->run.compute.convolution),
                     padding.data));
    TW_TRY(tw_format(p->source, sizeof p->source, "sampled from %s after %lld steps%s",
                     meta->weights, (long long)meta->step, padding.data));
done:
    tw_text_free(&text);
    tw_text_free(&padding);
    return st;
}

/* The network as a score, with what guides it. */
static tw_status plan_score(sample_job *d, tw_precision precision)
{
    tw_status st = TW_OK;
    tw_model *m = d->restored->model;
    const int64_t rows = d->run.sample.batch * tw_guidance_rows(&d->run.guidance);
    int64_t classes = 0;
    TW_TRY(sample_guide_classes(&classes, &d->guide, m));
    TW_TRY(tw_run_labels(&d->labels, &d->list, d->run.sample_class, classes, m->label_dropout > 0));
    TW_TRY(tw_model_score_create(&d->score, m, rows, precision,
                                 (tw_convolution)d->run.compute.convolution));
    tw_model_score_condition(d->score, &d->labels);
    TW_TRY(sample_guide_plan(&d->guide, &d->run, d->restored, tw_model_score_view(d->score),
                             &d->labels, precision));
done:
    return st;
}

/* What is stored: the model's own samples, or what they decode to. */
static tw_status plan_decoder(sample_job *d, tw_precision precision)
{
    tw_status st = TW_OK;
    d->parts.spec = d->restored->samples;
    if (!d->decoder.network) return TW_OK;
    TW_TRY(latent_decoder_plan(&d->decoder, &d->restored->samples, d->run.sample.batch, precision,
                               (tw_convolution)d->run.compute.convolution));
    d->parts.spec = d->decoder.network->samples;
    d->parts.spec.condition = d->restored->samples.condition;
done:
    return st;
}

static tw_status plan_sampling(sample_job *d, tw_precision precision)
{
    tw_status st = TW_OK;
    sample_parts *p = &d->parts;
    tw_model *m = d->restored->model;
    int64_t numbers = 0;
    TW_TRY(sample_known_read(&d->known, &d->run.sample, &d->restored->samples));
    const tw_sampler_options options = {.bounded = d->restored->samples.kind == TW_DATASET_UINT8,
                                        .known = d->known.view.count ? &d->known.view : NULL};
    TW_TRY(plan_score(d, precision));
    TW_TRY(plan_decoder(d, precision));
    p->spec.num_classes = tw_labels_none(&d->labels) ? 0 : d->labels.classes;
    TW_TRY(tw_sampler_create(&d->sampler, &d->run.sample, m->process,
                             sample_guide_view(&d->guide, tw_model_score_view(d->score)),
                             &options));
    p->batch = tw_sampler_block(d->sampler);
    TW_TRY(block_work_check_array(d->options->first, p->batch, "samples"));
    TW_TRY(sample_given_open(&d->given, &d->run, p->spec.condition, p->batch));
    tw_sampler_watch(d->sampler, sample_watch, d);
    TW_TRY(describe(d, precision));
    TW_TRY(tw_multiply(&numbers, p->batch, m->dims, "a block of samples"));
    TW_TRY(tw_alloc(&d->x, numbers, sizeof *d->x, "a block of samples"));
    if (d->decoder.network) {
        TW_TRY(
            tw_multiply(&numbers, p->batch, tw_dataset_elements(&p->spec), "a block of samples"));
        TW_TRY(tw_alloc(&d->decoded, numbers, sizeof *d->decoded, "a block of samples"));
    }
    if (p->spec.num_classes)
        TW_TRY(tw_alloc(&d->label, p->batch, sizeof *d->label, "labels of samples"));
    TW_TRY(tw_alloc(&d->stored, p->batch, tw_dataset_sample_bytes(&p->spec), "a block of samples"));
done:
    return st;
}

static tw_status prepare(sample_job *d)
{
    tw_status st = TW_OK;
    tw_precision precision;
    TW_TRY(tw_restore(&d->restored, d->comm, d->options->weights, d->options->which));
    if (guided(d)) TW_TRY(sample_guide_restore(&d->guide, d->comm, d->options->guide));
    TW_TRY(sample_agree(d, read_settings(d)));
    if (!guided(d) && *d->run.guidance.network && tw_guidance_has_network(&d->run.guidance))
        TW_TRY(sample_guide_restore(&d->guide, d->comm, d->run.guidance.network));
    TW_TRY(tw_compute_prepare(&precision, NULL, &d->run.compute, d->comm));
    if (*d->run.sample_decode && !d->options->latents)
        TW_TRY(latent_decoder_open(&d->decoder, d->comm, d->run.sample_decode));
    TW_TRY(sample_agree(d, plan_sampling(d, precision)));
done:
    return st;
}

/* ---- what is there ---- */

static int64_t first_block(const sample_job *d)
{
    return d->options->first / d->parts.batch;
}

static int64_t block_count(const sample_job *d)
{
    return (d->options->first + d->options->count - 1) / d->parts.batch + 1 - first_block(d);
}

/* A file under the final name must be what this job makes, or something that it may replace. */
static tw_status judge_existing(sample_job *d)
{
    tw_status st = TW_OK;
    const tw_sample_job_options *o = d->options;
    const existing_set *e = &d->existing;
    if (!e->there || !o->join || o->replace) return TW_OK;
    TW_CHECK(e->sampling[0], TW_EUSAGE,
             "%s: exists already, and is no sample set; --force replaces it", o->out);
    TW_CHECK(
        e->ours, TW_EUSAGE,
        "%s: exists already, and was sampled with other weights or settings; use another --out, "
        "or --force replaces it\n  there: %s\n  here:  %s",
        o->out, e->sampling, d->parts.sampling);
    TW_CHECK(e->first >= o->first && e->first + e->count <= o->first + o->count, TW_EUSAGE,
             "%s: exists already and holds the samples %lld to %lld, not all of which were asked "
             "for now; --force replaces it",
             o->out, (long long)e->first, (long long)(e->first + e->count - 1));
    d->result.complete = e->first == o->first && e->count == o->count;
done:
    return st;
}

static tw_status look_at_out(sample_job *d)
{
    tw_status st = TW_OK;
    double complete;
    if (d->rank == 0) {
        st = existing_set_look(&d->existing, &d->parts);
        if (st == TW_OK) st = judge_existing(d);
    }
    TW_TRY(sample_agree(d, st));
    complete = d->result.complete;
    if (d->comm) TW_TRY(tw_comm_max(d->comm, &complete, 1));
    d->result.complete = complete > 0;
done:
    return st;
}

static tw_status check_block(void *self, int64_t k, bool *there)
{
    return sample_parts_check(there, &((const sample_job *)self)->parts, k);
}

static tw_status list_missing(sample_job *d)
{
    tw_status st = TW_OK;
    d->work = (block_work){.comm = d->comm,
                           .rank = d->rank,
                           .ranks = d->ranks,
                           .self = d,
                           .check = check_block,
                           .make = sample_block,
                           .first = first_block(d),
                           .count = block_count(d)};
    TW_TRY(block_work_list(&d->work));
    d->result.found = (d->work.count - d->work.missing_count) * d->parts.batch;
done:
    return st;
}

/* ---- the job ---- */

static tw_status sample_missing(sample_job *d)
{
    tw_status st = TW_OK;
    TW_TRY(list_missing(d));
    if (d->work.missing_count == 0) goto done;
    TW_TRY(sample_agree(d, d->rank == 0 ? sample_pictures_are_new(d) : TW_OK));
    TW_CHECK(d->restored, TW_ENOINPUT,
             "%s: the samples %lld to %lld, and perhaps more, are missing: they have not been "
             "sampled yet",
             d->parts.directory, (long long)(d->work.missing[0] * d->parts.batch),
             (long long)((d->work.missing[0] + 1) * d->parts.batch - 1));
    if (d->rank == 0) st = tw_output_check_folder(d->parts.directory);
    TW_TRY(sample_agree(d, st));
    TW_TRY(sample_blocks(d));
done:
    return st;
}

static tw_status join(sample_job *d)
{
    tw_status st = TW_OK;
    const tw_sample_job_options *o = d->options;
    if (d->rank == 0) {
        if (d->result.complete)
            memcpy(d->result.digest, d->existing.digest, sizeof d->existing.digest);
        else
            st = sample_parts_merge(
                &d->parts, o->replace || d->existing.there ? TW_OUTPUT_REPLACE : TW_OUTPUT_NEW,
                o->first, o->count, d->result.digest);
    }
    return sample_agree(d, st);
}

/* Before hours of generating, not after. */
static tw_status check_pictures(const sample_job *d)
{
    tw_status st = TW_OK;
    const tw_sample_job_options *o = d->options;
    const bool points = d->parts.spec.kind == TW_DATASET_POINTS;
    TW_CHECK(!points || !o->images || !*o->images, TW_EUSAGE,
             "points have no single pictures, only a heat map of all");
    TW_CHECK(!points || !o->grid || !*o->grid || d->parts.spec.channels == 2, TW_EUSAGE,
             "points of %lld coordinates have no heat map; 2 were expected",
             (long long)d->parts.spec.channels);
done:
    return st;
}

/* Everything that will be written, before hours of generating. That OUT may be replaced is judged
 * by what it holds; that pictures are new, when it is known that there is something to generate. */
static tw_status check_outputs(const sample_job *d)
{
    tw_status st = TW_OK;
    const tw_sample_job_options *o = d->options;
    const char *const inputs[] = {o->weights, d->run.sample_condition, o->out};
    TW_TRY(tw_output_check(o->out, TW_OUTPUT_REPLACE, inputs, 2));
    if (o->grid && *o->grid) TW_TRY(tw_output_check(o->grid, TW_OUTPUT_REPLACE, inputs, 3));
    if (o->images && *o->images) TW_TRY(tw_output_check_folder(o->images));
done:
    return st;
}

static tw_status run(sample_job *d)
{
    tw_status st = TW_OK;
    const tw_sample_job_options *o = d->options;
    TW_TRY(sample_agree(d, tw_signals_install()));
    if (o->weights)
        TW_TRY(prepare(d));
    else
        TW_TRY(sample_agree(d, sample_parts_adopt(&d->parts)));
    TW_TRY(check_pictures(d));
    TW_TRY(sample_agree(d, d->rank == 0 ? check_outputs(d) : TW_OK));
    TW_TRY(look_at_out(d));
    if (o->replace && o->weights)
        TW_TRY(sample_agree(d, d->rank == 0 ? sample_parts_remove_others(&d->parts) : TW_OK));
    if (!d->result.complete) TW_TRY(sample_missing(d));
    if (o->join) TW_TRY(join(d));
    TW_TRY(sample_pictures(d));
    if (o->join && o->clean)
        TW_TRY(sample_agree(d, d->rank == 0 ? sample_parts_remove(&d->parts) : TW_OK));
done:
    return st;
}

static tw_status check(const tw_sample_job_options *o)
{
    tw_status st = TW_OK;
    const int64_t limit = (int64_t)1
                          << 43; /* a stream's position has 44 bits, and blocks are sampled whole */
    TW_CHECK(o->first >= 0 && o->count >= 1 && o->count <= limit && o->first <= limit - o->count,
             TW_EUSAGE, "%lld samples from index %lld: indices lie between 0 and 2^43",
             (long long)o->count, (long long)o->first);
    TW_CHECK(o->weights || o->join, TW_EUSAGE,
             "which weights? (a run, a checkpoint or a weights file)");
    TW_CHECK(o->weights || o->assignment_count == 0, TW_EUSAGE, "%s: joining takes no settings",
             o->assignments[0]);
    TW_CHECK(!o->clean || o->join, TW_EUSAGE, "parts are removed only when they are joined");
done:
    return st;
}

tw_status tw_sample_job(const tw_comm *comm, const tw_sample_job_options *options,
                        tw_sample_job_result *out)
{
    tw_status st = TW_OK;
    sample_job d = {.comm = comm,
                    .rank = comm ? tw_comm_rank(comm) : 0,
                    .ranks = comm ? tw_comm_size(comm) : 1,
                    .options = options};
    TW_TRY(check(options));
    TW_TRY(sample_parts_name(&d.parts, options->out));
    TW_TRY(run(&d));
    if (out) *out = d.result;
done:
    tw_sampler_destroy(&d.sampler);
    sample_known_free(&d.known);
    sample_given_close(&d.given);
    sample_guide_free(&d.guide);
    latent_decoder_free(&d.decoder);
    tw_free(&d.list);
    tw_model_score_destroy(&d.score);
    tw_run_config_free(&d.run);
    tw_config_destroy(&d.config);
    tw_restore_destroy(&d.restored);
    sample_parts_close(&d.parts);
    tw_free(&d.x);
    tw_free(&d.decoded);
    tw_free(&d.stored);
    tw_free(&d.label);
    block_work_free(&d.work);
    return st;
}
