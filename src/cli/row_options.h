/* What the commands over the rows of a dataset have in common: likelihood, encode, decode. */
#ifndef CLI_ROW_OPTIONS_H
#define CLI_ROW_OPTIONS_H

#include "cli/command.h"
#include "tweedie/job_rows.h"

typedef struct row_options {
    const char *data, *out, *split, *first, *weights;
    int64_t count;
    bool join, force, clean;
} row_options;

/* Entries of a command's table whose struct begins with row_options. */
#define ROW_OPTIONS(data_option, data_help, split_help)                                            \
    {data_option, TW_CONFIG_STRING, offsetof(row_options, data),                                   \
     NULL,        .value = "FILE",  .help = data_help},                                            \
        {"out", TW_CONFIG_STRING, offsetof(row_options, out),                                      \
         NULL,  .value = "FILE",  .help = "the result, an HDF5 file"},                             \
        {"split", TW_CONFIG_STRING, offsetof(row_options, split),                                  \
         "",      .value = "NAME",  .help = split_help},                                           \
        {"first",                                                                                  \
         TW_CONFIG_STRING,                                                                         \
         offsetof(row_options, first),                                                             \
         "",                                                                                       \
         .value = "I",                                                                             \
         .help = "first row of the split: this job makes a share, and no FILE unless --join is "   \
                 "given"},                                                                         \
        {"count",     TW_CONFIG_INT64, offsetof(row_options, count),      "0", .min = 0,           \
         .max = 8e12, .value = "N",    .help = "rows; 0: all that follow"},                        \
        {"weights",                                                                                \
         TW_CONFIG_STRING,                                                                         \
         offsetof(row_options, weights),                                                           \
         "",                                                                                       \
         .value = "W",                                                                             \
         .help = "raw or ema:RATE (default: the first EMA of the run)"},                           \
        {"join", TW_CONFIG_BOOL, offsetof(row_options, join), "false",                             \
         .help = "make FILE of all parts, with --first too"},                                      \
        {"force", TW_CONFIG_BOOL, offsetof(row_options, force), "false",                           \
         .help = "replace a FILE of other settings or rows"},                                      \
    {                                                                                              \
        "clean", TW_CONFIG_BOOL, offsetof(row_options, clean), "false",                            \
            .help = "remove the parts when they are merged"                                        \
    }

/* The job that options and arguments ask for. Borrows from both. */
tw_status row_options_job(tw_row_job_options *out, const row_options *o, const tw_arguments *a);

/* One line of what was done: OUT, or the parts. `what` names the rows: "codes". */
void row_options_report(const tw_row_job_options *job, const tw_row_job_result *r,
                        const char *what);

/* The same without the evaluations of a score. */
void row_options_report_made(const tw_row_job_options *job, const tw_row_job_result *r,
                             const char *what);

#endif
