/* What the jobs over the rows of a dataset share; include/tweedie/job_rows.h says what they are. */
#ifndef JOB_ROW_JOB_H
#define JOB_ROW_JOB_H

#include "job/columns.h"
#include "job/parts.h"
#include "run/run_config.h"
#include "tweedie/job_rows.h"
#include "tweedie/restore.h"
#include "tweedie/text.h"

typedef struct row_job row_job;

/* One kind of work. Nothing here is collective but `read`. */
typedef struct row_task {
    const char *verb;  /* "computing the likelihood of": for the log */
    const char *split; /* usual split, where there is one; NULL: all */
    /* Collective: reads what else the job needs, before settings; NULL: nothing. */
    tw_status (*read)(row_job *j);
    /* Settings of another section than [likelihood]: j->config and j->run, and j->batch and
     * j->block. NULL: [likelihood] */
    tw_status (*settings)(row_job *j);
    /* Collective: reads what the settings name; NULL: nothing. */
    tw_status (*open)(row_job *j);
    int codec; /* of an autoencoder: these halves (tw_codec_half) are planned as j->codec, and no
                  score; 0: a score */
    bool unlabelled; /* the data's labels are not what the network is told */
    /* Whether the data fit; how many rows there are, where that is not the split's. */
    tw_status (*check)(row_job *j);
    /* Plans over j->score; sets j->columns and adds to j->text what a result depends on. */
    tw_status (*plan)(row_job *j);
    /* Rows first … first + n − 1 into j->values. */
    tw_status (*compute)(row_job *j, int64_t first, int64_t n);
    /* Rank zero: OUT of the parts; and of an OUT that is there, only what is reported. */
    tw_status (*merge)(row_job *j);
    tw_status (*report)(row_job *j);
} row_task;

struct row_job {
    const tw_comm *comm; /* or NULL */
    int rank, ranks;
    const tw_row_job_options *options;
    const row_task *task;
    void *self; /* the task's */
    tw_row_job_result result;
    bool fewer; /* OUT holds some of the rows, of the same settings */

    tw_restored *restored;
    tw_config *config;
    tw_run_config run;
    tw_precision precision;
    tw_model_score *network; /* or, of a codec task, */
    tw_model_codec *codec;
    tw_score score; /* the network's, which also stops when a signal asks to */

    tw_dataset *data;
    int64_t rows;         /* of the split, or what check says */
    int64_t first, count; /* asked for */

    char directory[TW_PATH_MAX], settings[TW_DATASET_TEXT_MAX];
    tw_text text;
    int64_t batch, block, dims;
    column_set columns;
    void *values[COLUMNS_MAX]; /* [block][width] each */
    float *x;                  /* [block][dims] */
    void *stored;              /* [block], as stored */
    int32_t *label;            /* [block], of a model with classes; else NULL */
    float *y;                  /* [block][condition], of a conditional model; else NULL */
    char *condition;           /* [block], the same as stored */
    block_work work;
    double start, last;
};

/* Collective. Everything; the caller releases its own. */
tw_status row_job_run(row_job *j);
void row_job_close(row_job *j);

/* row_data.c: the dataset and the split, which rows of it, and whether the labels and conditions
 * are there that the network is told. Opening is collective. */
tw_status row_job_open_data(row_job *j);
tw_status row_job_choose_rows(row_job *j);
tw_status row_job_check_given(const row_job *j);

/* The data must hold samples such as the network takes. */
tw_status row_job_check_samples(row_job *j);

/* Rows of the data in the network's model units, whatever offsets their own file names. */
tw_status row_job_read_samples(row_job *j, int64_t first, int64_t n, float *x);

/* Conditions of n rows of the data, from `first` on, into j->y and j->condition from row `at` on;
 * nothing where there are none. */
tw_status row_job_read_conditions(row_job *j, int64_t first, int64_t n, int64_t at);

/* Rows first … first + n − 1 of the job are of the classes in j->label, given what is in j->y. */
void row_job_condition(row_job *j, int64_t first, int64_t n);

/* What turns a density of model units into one of the data's: −Σ log scale; 0 for bytes. */
double row_job_log_scale(const row_job *j);

/* How OUT may take its name. */
tw_output_mode row_job_output_mode(const row_job *j);

/* For merging: calls `take` with each piece of the rows asked for, which it finds in j->values. */
tw_status row_job_each_part(row_job *j, tw_status (*take)(void *self, int64_t first, int64_t n),
                            void *self);

#endif
