/* tweedie --version: everything that may differ between two machines and change speed or bits. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* libjpeg's header wants stdio.h before it */
#include <jpeglib.h>

#include <hdf5.h>
#include <oneapi/dnnl/dnnl.h>
#include <png.h>
#include <xxhash.h>
#include <zlib.h>
#ifdef TWEEDIE_WEBP
#include <webp/decode.h>
#endif
#ifdef TWEEDIE_TIFF
#include <tiffio.h>
#endif

#include "cli/command.h"
#include "tweedie/comm.h"
#include "tweedie/json.h"
#include "tweedie/plan.h"
#include "tweedie/version.h"

typedef struct options {
    bool json;
} options;

extern const tw_command tw_cmd_version;

static const tw_option table[] = {
    {"json", TW_CONFIG_BOOL, offsetof(options, json), "false", .help = "print one JSON object"},
};

enum { VALUE_MAX = 256 };

/* A fact: its name as text and as JSON key, and the function that finds it. */
typedef struct fact {
    const char *key;
    void (*find)(char *out);
} fact;

static void find_tweedie(char *out)
{
    snprintf(out, VALUE_MAX, "%s", tw_version());
}

static void find_onednn(char *out)
{
    static const struct {
        unsigned code;
        const char *name;
    } runtimes[] = {
        {DNNL_RUNTIME_NONE, "none"},
        {DNNL_RUNTIME_SEQ, "sequential"},
        {DNNL_RUNTIME_OMP, "OpenMP"},
        {DNNL_RUNTIME_TBB, "TBB"},
        {DNNL_RUNTIME_THREADPOOL, "thread pool"},
        {DNNL_RUNTIME_OCL, "OpenCL"},
    };
    const dnnl_version_t *v = dnnl_version();
    const char *runtime = "unknown";
    for (size_t i = 0; i < sizeof runtimes / sizeof *runtimes; i++) {
        if (v->cpu_runtime == runtimes[i].code) runtime = runtimes[i].name;
    }
    snprintf(out, VALUE_MAX, "%d.%d.%d (built with %d.%d.%d, CPU runtime %s)", v->major, v->minor,
             v->patch, DNNL_VERSION_MAJOR, DNNL_VERSION_MINOR, DNNL_VERSION_PATCH, runtime);
}

static void find_hdf5(char *out)
{
    unsigned major = 0, minor = 0, release = 0;
    hbool_t threadsafe = 0;
    (void)H5get_libversion(&major, &minor, &release); /* zeros would say that it failed */
    (void)H5is_library_threadsafe(&threadsafe);
#ifdef H5_HAVE_PARALLEL
    const char *kind = "parallel";
#else
    const char *kind = "serial";
#endif
    snprintf(out, VALUE_MAX, "%u.%u.%u (built with %s, %s%s)", major, minor, release, H5_VERSION,
             kind, threadsafe ? ", threadsafe" : "");
}

static void find_mpi(char *out)
{
    if (tw_comm_library(out, VALUE_MAX) != TW_OK) snprintf(out, VALUE_MAX, "unknown");
}

static void find_png(char *out)
{
    snprintf(out, VALUE_MAX, "%s (built with %s)", png_get_libpng_ver(NULL), PNG_LIBPNG_VER_STRING);
}

static void find_jpeg(char *out)
{
#ifdef LIBJPEG_TURBO_VERSION_NUMBER
    snprintf(out, VALUE_MAX, "libjpeg-turbo %d.%d.%d (API %d)",
             LIBJPEG_TURBO_VERSION_NUMBER / 1000000, LIBJPEG_TURBO_VERSION_NUMBER / 1000 % 1000,
             LIBJPEG_TURBO_VERSION_NUMBER % 1000, JPEG_LIB_VERSION);
#else
    snprintf(out, VALUE_MAX, "API %d", JPEG_LIB_VERSION);
#endif
}

static void find_webp(char *out)
{
#ifdef TWEEDIE_WEBP
    const int v = WebPGetDecoderVersion();
    snprintf(out, VALUE_MAX, "%d.%d.%d", v >> 16, v >> 8 & 255, v & 255);
#else
    snprintf(out, VALUE_MAX, "none (built without)");
#endif
}

static void find_tiff(char *out)
{
#ifdef TWEEDIE_TIFF
    const char *line = TIFFGetVersion(); /* "LIBTIFF, Version 4.5.0\nCopyright …" */
    const char *version = strstr(line, "Version ");
    if (version) line = version + 8;
    snprintf(out, VALUE_MAX, "%.*s (built with %d)", (int)strcspn(line, "\n"), line,
             TIFFLIB_VERSION);
#else
    snprintf(out, VALUE_MAX, "none (built without)");
#endif
}

static void find_zlib(char *out)
{
    snprintf(out, VALUE_MAX, "%s (built with %s)", zlibVersion(), ZLIB_VERSION);
}

static void find_xxhash(char *out)
{
    unsigned v = XXH_versionNumber();
    snprintf(out, VALUE_MAX, "%u.%u.%u", v / 10000, v / 100 % 100, v % 100);
}

static void find_openmp(char *out)
{
    if (tw_comm_openmp_runtimes(out, VALUE_MAX) == 0) snprintf(out, VALUE_MAX, "none");
}

static void find_processor(char *out)
{
    char line[VALUE_MAX] = "";
    snprintf(out, VALUE_MAX, "unknown");
    FILE *file = fopen("/proc/cpuinfo", "re");
    if (!file) return;
    while (fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon) continue;
        snprintf(out, VALUE_MAX, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
        break;
    }
    fclose(file);
}

/* What decides speed here, of what the processor reports and the kernel allows. */
static void find_features(char *out)
{
    static const char *const wanted[] = {"avx2",        "fma",      "avx512f",  "avx512_vnni",
                                         "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8"};
    static char line[16384];
    out[0] = '\0';
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, "flags", 5) != 0) continue;
        line[strcspn(line, "\n")] = ' ';
        for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
            char word[32];
            snprintf(word, sizeof word, " %s ", wanted[i]);
            if (strstr(line, word))
                snprintf(out + strlen(out), VALUE_MAX - strlen(out), "%s%s", out[0] ? " " : "",
                         wanted[i]);
        }
        break;
    }
    if (file) fclose(file);
    if (!out[0]) snprintf(out, VALUE_MAX, "none");
}

static void find_isa(char *out)
{
    const tw_processor p = tw_processor_allowed();
    snprintf(out, VALUE_MAX, "%s", tw_processor_name(&p));
}

static void find_precision(char *out)
{
    snprintf(out, VALUE_MAX, "%s", tw_precision_name(tw_precision_resolve(TW_PRECISION_AUTO)));
}

static const fact facts[] = {
    {"tweedie", find_tweedie},   {"onednn", find_onednn}, {"hdf5", find_hdf5},
    {"mpi", find_mpi},           {"openmp", find_openmp}, {"libpng", find_png},
    {"libjpeg", find_jpeg},      {"libwebp", find_webp},  {"libtiff", find_tiff},
    {"zlib", find_zlib},         {"xxhash", find_xxhash}, {"processor", find_processor},
    {"features", find_features}, {"isa", find_isa},       {"precision_auto", find_precision},
};

static tw_status run(struct tw_comm *comm, int argc, char **argv)
{
    (void)comm;
    tw_status st = TW_OK;
    options o;
    tw_arguments arguments;
    tw_json json = {0};
    char value[VALUE_MAX];

    TW_TRY(tw_options_parse(&tw_cmd_version, argc, argv, &o, &arguments));
    tw_json_object(&json, NULL);
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        facts[i].find(value);
        tw_json_string(&json, facts[i].key, value);
        if (!o.json) printf("%-15s %s\n", facts[i].key, value);
    }
    tw_json_end(&json);
    TW_TRY(tw_json_finish(&json));
    if (o.json) printf("%s\n", json.text.data);
done:
    tw_text_free(&json.text);
    return st;
}

const tw_command tw_cmd_version = {
    .name = "version",
    .summary = "Print the versions of the program and its libraries, and what the processor offers",
    .usage = "",
    .options = table,
    .option_count = sizeof table / sizeof *table,
    .run = run,
};
