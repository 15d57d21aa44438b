/* A picture of `tweedie plot`: src/cli/plot_NAME.c defines `const tw_plot tw_plot_NAME` and is
 * found by the build. */
#ifndef TWEEDIE_CLI_PLOT_H
#define TWEEDIE_CLI_PLOT_H

#include "tweedie/config.h"
#include "tweedie/output.h"
#include "tweedie/plot.h"

enum { TW_PLOT_NUMBERS = 24 };

typedef struct tw_plot_options {
    int input_count; /* at least 1 */
    char **inputs;
    int assignment_count;
    char *const *assignments;
    const char *out, *density, *reference, *weights, *title, *keys;
    double time, range;
    int64_t count, samples, channel;
    tw_output_mode mode;
    bool json;
} tw_plot_options;

/* The numbers that go with a picture; names are literals, or kept by the caller of add. */
typedef struct tw_plot_numbers {
    int count;
    struct {
        char name[48];
        double value;
    } number[TW_PLOT_NUMBERS];
} tw_plot_numbers;

__attribute__((format(printf, 3, 4))) void tw_plot_add(tw_plot_numbers *n, double value,
                                                       const char *name, ...);

typedef struct tw_plot {
    const char *name;
    const char *usage;   /* "RUN --time T [--density NAME]" */
    const char *summary; /* one line */
    int most;            /* inputs */
    bool own_out; /* without --out it is options->out = INPUT/report.png, and INPUT/report.svg
                     beside, of mode TW_OUTPUT_OWN; else --out must be given */
    /* Draws and writes options->out. Not collective. @param[out] numbers  zero-initialised */
    tw_status (*run)(const tw_plot_options *options, tw_plot_numbers *numbers);
} tw_plot;

extern const tw_plot *const tw_plot_table[];
extern const int tw_plot_count;

#endif
