/* Weights that other libraries write and read: score_sde's, NCSN's, improved- and
 * guided-diffusion's, EDM's and diffusers' files become weights files of ours, and the other way.
 * Not collective: one process works. */
#ifndef TWEEDIE_WEIGHTS_H
#define TWEEDIE_WEIGHTS_H

#include <stdbool.h>
#include <stdint.h>

#include "tweedie/status.h"
#include "tweedie/text.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tw_weights_import_options {
    const char *path;     /* a file, or a folder as diffusers writes */
    const char *out;      /* the weights file to be made */
    bool replace;         /* which may exist */
    const char *from;     /* the system that wrote it; NULL or "": by its looks */
    bool ema;             /* its EMA weights, where it holds both */
    const char *config;   /* a configuration file; NULL or "": found in the file, or from shapes */
    int assignment_count; /* section.key=value, over either */
    char *const *assignments;
} tw_weights_import_options;

typedef struct tw_weights_import_result {
    char container[32], system[32];
    tw_text network;  /* one line: what was recognised */
    tw_text unused;   /* tensors that no parameter takes, known not to be needed: "sigmas, …" */
    char weights[64]; /* "raw", "ema:0.9999" */
    int64_t tensors, parameters; /* used */
    int64_t height, width, channels, classes;
    tw_text assumed; /* what nothing said and was taken as published; data NULL: nothing */
    bool has_ema;    /* EMA weights were there and not taken */
} tw_weights_import_result;

/* Makes a weights file of a published one.
 * @param[out] out  tw_weights_import_free, in any case; zero-initialised
 * @return TW_EDATA for a file that is damaged, hostile or unknown, or whose tensors do not fit the
 * network (naming those that are missing, left over or of another shape); TW_ECONFIG where the
 * configuration does not hold; TW_EUSAGE for an unknown system or an output that exists */
tw_status tw_weights_import(tw_weights_import_result *out, const tw_weights_import_options *o);
void tw_weights_import_free(tw_weights_import_result *result);

typedef struct tw_weights_export_options {
    const char *path;   /* RUN, checkpoint or weights file */
    const char *which;  /* "raw", "ema:RATE"; NULL or "": the file's default */
    const char *format; /* "diffusers", "safetensors", "score_sde" */
    const char *folder; /* made where it is missing */
    bool replace;       /* files in it may exist */
} tw_weights_export_options;

/* Writes weights as another library reads them.
 * @param[out] files  the paths written, a line each; tw_text_free
 * @return TW_ECONFIG for a network that the format cannot hold */
tw_status tw_weights_export_as(tw_text *files, const tw_weights_export_options *o);

#ifdef __cplusplus
}
#endif

#endif
