/* tweedie score: the score of a trained network at given points, and vector-Jacobian products. */
#include <math.h>
#include <stdio.h>

#include "cli/command.h"
#include "cli/score_file.h"
#include "run/run_config.h"
#include "tweedie/comm.h"
#include "tweedie/memory.h"
#include "tweedie/restore.h"

typedef struct options {
    const char *input, *out, *vjp, *weights;
    double time;
    bool force;
} options;

extern const tw_command tw_cmd_score;

static const tw_option table[] = {
    {"input", TW_CONFIG_STRING, offsetof(options, input), NULL, .value = "POINTS.h5",
     .help = "a dataset; its float32 values are taken as they are, as model units"},
    {"time", TW_CONFIG_DOUBLE, offsetof(options, time), NULL, .value = "T",
     .help = "on the model's clock: of a discrete process a step of 0 to T - 1"},
    {"out", TW_CONFIG_STRING, offsetof(options, out), NULL, .value = "FILE",
     .help = "an HDF5 file with /score, and /vjp where asked"},
    {"force", TW_CONFIG_BOOL, offsetof(options, force), "false",
     .help = "replace FILE if it exists"},
    {"vjp", TW_CONFIG_STRING, offsetof(options, vjp), "", .value = "V.h5",
     .help = "vectors v, like the points: /vjp is v^T d score / d x"},
    {"weights", TW_CONFIG_STRING, offsetof(options, weights), "", .value = "W",
     .help = "raw or ema:RATE (default: the first EMA of the run)"},
};

typedef struct job {
    tw_comm *comm;
    const options *o;
    tw_restored *restored;
    tw_config *config;
    tw_run_config run;
    tw_model_score *score;
    tw_dataset *points, *vectors; /* vectors: NULL where none are asked for */
    int64_t batch, dims, count;
    float *x, *v, *values; /* [batch][dims] each; values: score, then vjp */
    float *y;              /* [batch][condition], of a conditional model */
    double *time;          /* [batch] */
    int64_t *index;        /* [batch] */
    score_file file;       /* rank zero */
} job;

static tw_status open_points(tw_dataset **out, const job *j, const char *path)
{
    tw_status st = TW_OK;
    const tw_dataset_options opening = {.path = path, .split = "all"};
    const tw_dataset_spec *want = &j->restored->samples;
    TW_TRY(tw_dataset_open(out, j->comm, &opening));
    const tw_dataset_spec *met = tw_dataset_get_spec(*out);
    const bool points = met->kind == TW_DATASET_POINTS;
    TW_CHECK(points == (want->kind == TW_DATASET_POINTS) && met->height == want->height &&
                 met->width == want->width && met->channels == want->channels,
             TW_EDATA,
             "%s: holds %s of %lld x %lld x %lld, the network takes %s of %lld x %lld x %lld", path,
             tw_dataset_kind_name(met->kind), (long long)met->height, (long long)met->width,
             (long long)met->channels, tw_dataset_kind_name(want->kind), (long long)want->height,
             (long long)want->width, (long long)want->channels);
done:
    return st;
}

static tw_status open_inputs(job *j)
{
    tw_status st = TW_OK;
    TW_TRY(open_points(&j->points, j, j->o->input));
    TW_TRY(tw_restored_check_condition(j->restored, tw_dataset_get_spec(j->points), j->o->input));
    j->count = tw_dataset_count(j->points);
    if (!j->o->vjp[0]) goto done;
    TW_TRY(open_points(&j->vectors, j, j->o->vjp));
    TW_CHECK(tw_dataset_count(j->vectors) == j->count, TW_EDATA,
             "%s: holds %lld vectors for the %lld points of %s", j->o->vjp,
             (long long)tw_dataset_count(j->vectors), (long long)j->count, j->o->input);
done:
    return st;
}

static tw_status check_time(const job *j)
{
    tw_status st = TW_OK;
    const tw_process *p = j->restored->model->process;
    TW_CHECK(tw_process_has_time(p, j->o->time), TW_EUSAGE,
             tw_process_is_discrete(p) ? "--time %g: this model's clock has the steps 0 to %g"
                                       : "--time %g: this model's times are above 0, at most %g",
             j->o->time, tw_process_is_discrete(p) ? p->end : p->limit);
done:
    return st;
}

static tw_status make_buffers(job *j)
{
    tw_status st = TW_OK;
    int64_t numbers;
    TW_TRY(tw_multiply(&numbers, j->batch, j->dims, "a batch of points"));
    TW_TRY(tw_alloc(&j->x, numbers, sizeof *j->x, "a batch of points"));
    TW_TRY(tw_alloc(&j->v, numbers, sizeof *j->v, "a batch of vectors"));
    TW_TRY(tw_alloc(&j->values, 2 * numbers, sizeof *j->values, "a batch of scores"));
    if (j->restored->samples.condition) {
        TW_TRY(tw_multiply(&numbers, j->batch, j->restored->model->condition, "conditions"));
        TW_TRY(tw_alloc(&j->y, numbers, sizeof *j->y, "conditions of points"));
    }
    TW_TRY(tw_alloc(&j->time, j->batch, sizeof *j->time, "times"));
    TW_TRY(tw_alloc(&j->index, j->batch, sizeof *j->index, "indices"));
    for (int64_t i = 0; i < j->batch; i++) j->time[i] = j->o->time;
done:
    return st;
}

static tw_status configure(job *j, const tw_arguments *a)
{
    tw_status st = TW_OK;
    TW_TRY(check_time(j));
    TW_TRY(tw_restore_config(&j->config, j->restored,
                             "sample.batch compute.precision compute.convolution", "sample compute",
                             a->assignment_count, a->assignments));
    TW_TRY(tw_run_config_bind(&j->run, j->config, TW_RUN_SAMPLE | TW_RUN_COMPUTE,
                              j->restored->model->process->kind->sampler));
    TW_TRY(tw_config_finish(j->config));
    j->batch = j->run.sample.batch;
    j->dims = j->restored->model->dims;
done:
    return st;
}

static tw_output_mode output_mode(const options *o)
{
    return o->force ? TW_OUTPUT_REPLACE : TW_OUTPUT_NEW;
}

/* Before the work. Rank zero writes. */
static tw_status check_output(const job *j, const char *weights)
{
    const char *const inputs[] = {weights, j->o->input, j->o->vjp};
    tw_status st = TW_OK;
    if (tw_comm_rank(j->comm) == 0) st = tw_output_check(j->o->out, output_mode(j->o), inputs, 3);
    return tw_comm_agree(j->comm, st);
}

static tw_status prepare(job *j, const tw_arguments *a)
{
    tw_status st = TW_OK;
    tw_precision precision;
    TW_TRY(check_output(j, a->values[0]));
    TW_TRY(tw_restore(&j->restored, j->comm, a->values[0], j->o->weights));
    TW_TRY(tw_comm_agree(j->comm, configure(j, a)));
    TW_TRY(tw_compute_prepare(&precision, NULL, &j->run.compute, j->comm));
    TW_TRY(tw_comm_agree(j->comm, open_inputs(j)));
    st = make_buffers(j);
    if (st == TW_OK)
        st = tw_model_score_create(&j->score, j->restored->model, j->batch, precision,
                                   (tw_convolution)j->run.compute.convolution);
    if (st == TW_OK && tw_comm_rank(j->comm) == 0)
        st = score_file_create(&j->file, j->o->out, output_mode(j->o), &j->restored->samples,
                               j->count, j->o->time, j->restored->digest, j->vectors != NULL);
    TW_TRY(tw_comm_agree(j->comm, st));
done:
    return st;
}

/* Float32 values as they are: the file's own offsets and scales say how a dataset is normalised for
 * training, and these are points already. Bytes have no other meaning than their normalised one. */
static tw_status read_points(tw_dataset *file, int64_t first, int64_t count, float *x)
{
    if (tw_dataset_get_spec(file)->kind == TW_DATASET_UINT8)
        return tw_dataset_read(file, first, count, x, NULL);
    return tw_dataset_read_stored(file, first, count, x, NULL);
}

/* A batch of this rank: `count` points from `first` on; none at the end. */
static tw_status evaluate(job *j, int64_t first, int64_t count)
{
    tw_status st = TW_OK;
    const tw_score *score = tw_model_score_view(j->score);
    float *vjp = j->values + count * j->dims;
    if (count == 0) return TW_OK;
    for (int64_t i = 0; i < count; i++) j->index[i] = first + i;
    TW_TRY(read_points(j->points, first, count, j->x));
    if (j->y) {
        TW_TRY(tw_dataset_read_condition(j->points, &j->restored->condition, first, count, j->y));
        tw_model_score_give(j->score, &(tw_given){j->y, first, count});
    }
    if (j->vectors) TW_TRY(read_points(j->vectors, first, count, j->v));
    if (j->vectors)
        TW_TRY(score->vjp(score->self, count, j->x, j->time, j->index, j->v, j->values, vjp));
    else
        TW_TRY(score->eval(score->self, count, j->x, j->time, j->index, j->values));
done:
    return st;
}

/* What the ranks have computed of one round, in rank order and so in the order of the points. */
static tw_status write_round(job *j, int64_t first, const float *all)
{
    tw_status st = TW_OK;
    for (int r = 0; r < tw_comm_size(j->comm) && first < j->count; r++, first += j->batch) {
        const int64_t n = j->count - first < j->batch ? j->count - first : j->batch,
                      numbers = n * j->dims;
        TW_TRY(score_file_write(&j->file, &j->restored->samples, first, n, all, all + numbers));
        all += j->vectors ? 2 * numbers : numbers;
    }
done:
    return st;
}

/* In rounds of one batch a rank, so that memory does not grow with the number of points. */
static tw_status run_rounds(job *j)
{
    tw_status st = TW_OK;
    void *all = NULL;
    int64_t *sizes = NULL;
    TW_TRY(tw_comm_agree(
        j->comm, tw_alloc(&sizes, tw_comm_size(j->comm), sizeof *sizes, "sizes of batches")));
    for (int64_t at = 0; at < j->count; at += j->batch * tw_comm_size(j->comm)) {
        const int64_t first = at + j->batch * tw_comm_rank(j->comm), left = j->count - first;
        const int64_t n = left < 0 ? 0 : left < j->batch ? left : j->batch;
        TW_TRY(tw_comm_agree(j->comm, evaluate(j, first, n)));
        TW_TRY(tw_comm_gather_texts(j->comm, j->values,
                                    (size_t)(n * j->dims * (j->vectors ? 2 : 1)) * sizeof(float),
                                    &all, sizes));
        if (tw_comm_rank(j->comm) == 0) st = write_round(j, at, all);
        tw_free(&all);
        TW_TRY(tw_comm_agree(j->comm, st));
    }
done:
    tw_free(&sizes);
    return st;
}

static void close_job(job *j)
{
    if (tw_comm_rank(j->comm) == 0) score_file_close(&j->file);
    tw_dataset_destroy(&j->points);
    tw_dataset_destroy(&j->vectors);
    tw_model_score_destroy(&j->score);
    tw_run_config_free(&j->run);
    tw_config_destroy(&j->config);
    tw_restore_destroy(&j->restored);
    tw_free(&j->x);
    tw_free(&j->v);
    tw_free(&j->y);
    tw_free(&j->values);
    tw_free(&j->time);
    tw_free(&j->index);
}

static tw_status run(struct tw_comm *comm, int argc, char **argv)
{
    tw_status st = TW_OK;
    options o;
    tw_arguments a;
    job j = {.comm = comm,
             .o = &o,
             .file = {.file = H5I_INVALID_HID, .score = H5I_INVALID_HID, .vjp = H5I_INVALID_HID}};
    TW_TRY(tw_options_parse(&tw_cmd_score, argc, argv, &o, &a));
    TW_TRY(prepare(&j, &a));
    TW_TRY(run_rounds(&j));
    if (tw_comm_rank(comm) > 0) goto done;
    TW_TRY(score_file_finish(&j.file));
    printf("%s: the score%s of %lld points at time %g\n", o.out,
           j.vectors ? " and vector-Jacobian products" : "", (long long)j.count, o.time);
done:
    close_job(&j);
    return st;
}

const tw_command tw_cmd_score = {
    .name = "score",
    .summary = "the score of a trained network at given points",
    .usage = "RUN_OR_WEIGHTS --input POINTS.h5 --time T --out FILE [compute.key=value ...]",
    .help = "Writes /score, the gradient of log p_t at each point, float32 in model units and in "
            "the shape of the points; with --vjp also\n"
            "/vjp, the vector-Jacobian products. Bytes are taken to model units as for training.\n"
            "Of a conditional model the points' own conditions are given, in the data's units.",
    .options = table,
    .option_count = sizeof table / sizeof *table,
    .least = 1,
    .most = 1,
    .takes_assignments = true,
    .parallel = true,
    .run = run,
};
