/* Configuration: a table of fields with default, range and help for every module that is
 * configured.
 *
 * A configuration is INI text ("[section]", "key = value", "#" or ";" comments) with
 * `section.key=value` from the command line over it. Each configured module supplies a table and a
 * struct; the program binds them one after the other to the same configuration:
 *
 *     typedef struct tw_log_config { int64_t every; double seconds; } tw_log_config;
 *     static const tw_config_field fields[] = {
 *         {"log", "every", TW_CONFIG_INT64, offsetof(tw_log_config, every), "100", .min = 1, .max =
 * 1e9, .help = "steps between lines"},
 *         {"log", "seconds", TW_CONFIG_DOUBLE, offsetof(tw_log_config, seconds), "5", .max = 3600,
 * .help = "seconds between lines"},
 *     };
 *
 *     TW_TRY(tw_config_create(&config));
 *     TW_TRY(tw_config_read(config, "mnist.ini"));
 *     TW_TRY(tw_config_override(config, count, assignments));
 *     TW_TRY(tw_config_bind(config, fields, 2, &log));
 *     TW_TRY(tw_config_finish(config));             // every error of the text and of all tables,
 * at once
 *
 * What a user wrote wrong is collected, so that one attempt shows all of it; only tw_config_finish
 * reports. Nothing here is collective. */
#ifndef TWEEDIE_CONFIG_H
#define TWEEDIE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tweedie/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TW_CONFIG_LIST_MAX = 16 };

typedef struct tw_config_ints {
    int64_t count;
    int64_t values[TW_CONFIG_LIST_MAX];
} tw_config_ints;

typedef struct tw_config_doubles {
    int64_t count;
    double values[TW_CONFIG_LIST_MAX];
} tw_config_doubles;

/* The type of a key, and of the member that it fills. */
typedef enum tw_config_type {
    TW_CONFIG_INT64,  /* int64_t: decimal digits */
    TW_CONFIG_DOUBLE, /* double: finite */
    TW_CONFIG_BOOL,   /* bool: true, false, yes, no, on, off, 1, 0 */
    TW_CONFIG_STRING, /* const char *, borrowed from the configuration */
    TW_CONFIG_PATH, /* const char *, borrowed; relative to the configuration file (command line: to
                       the current directory), made absolute */
    TW_CONFIG_INTS, /* tw_config_ints: "1, 2, 2"; "none" is an empty list */
    TW_CONFIG_DOUBLES, /* tw_config_doubles */
    TW_CONFIG_CHOICE   /* int: the index in `choices`; an enum in the same order fits */
} tw_config_type;

/* A lower bound that excludes zero itself: "a number above 0". */
#define TW_CONFIG_ABOVE_ZERO 2.2250738585072014e-308

typedef struct tw_config_field {
    const char *section, *key;
    tw_config_type type;
    size_t offset;            /* of the member in the table's struct */
    const char *default_text; /* as a user would write it; NULL: the key must be given; "": empty
                                 (string, path and lists alone) */
    double min, max; /* inclusive, of a number and of each in a list; both 0: no limit; max < min:
                        no upper limit */
    const char *choices;          /* "linear|cosine" */
    bool fixed;                   /* may not change when a run is resumed */
    const char *help;             /* one line: what it is, its unit */
    const struct tw_kinds *kinds; /* string: a table of kind.h whose names the help ends with */
} tw_config_field;

typedef struct tw_config tw_config;

/* An empty configuration: all defaults. Released with tw_config_destroy. */
tw_status tw_config_create(tw_config **out);
void tw_config_destroy(tw_config **config);

/* Adds the entries of a file. Errors in the text are collected.
 * @return TW_ENOINPUT if the file cannot be opened or read, or is larger than 1 MiB */
tw_status tw_config_read(tw_config *config, const char *path);

/* The same for text that is in memory: a frozen configuration in a checkpoint, or a file that
 * another rank read.
 * @param path  names the text in messages; its directory is where relative paths start */
tw_status tw_config_parse(tw_config *config, const char *text, int64_t length, const char *path);

/* Adds "section.key=value" assignments. They win over entries of files, later ones over earlier
 * ones. */
tw_status tw_config_override(tw_config *config, int count, char *const *assignments);

/* Fills a struct from the entries and defaults of one table and marks the entries as known. A bad
 * value is collected and its member gets the default (zero where there is none): nothing may be
 * computed from it before tw_config_finish has returned TW_OK. Tables may share a key; then its
 * rows must agree. The table must outlive the configuration, and the configuration the struct's
 * strings.
 */
tw_status tw_config_bind(tw_config *config, const tw_config_field *table, int count, void *out);

/* As tw_config_bind for a table whose rows name no section: all belong to `section`. The table is
 * copied, its help texts too; key, default and choices must outlive the configuration. */
tw_status tw_config_bind_in(tw_config *config, const char *section, const tw_config_field *table,
                            int count, void *out);

/* Keys that exist but do not count here ("belongs to sample.kind = ddim"): an entry that no other
 * table binds is an error that names the owner; where `tolerated`, on the command line alone. The
 * table must outlive the configuration. */
tw_status tw_config_know(tw_config *config, const char *section, const tw_config_field *table,
                         int count, const char *owner, bool tolerated);

/* The value that an entry gives a key, or NULL. Borrowed. Before binding: for what older versions
 * wrote in other words. */
const char *tw_config_find(const tw_config *config, const char *section, const char *key);

/* Every entry of the one key becomes one of the other (same section and key: dropped where
 * `new_section` is NULL); `value` replaces its value unless NULL. */
tw_status tw_config_rename(tw_config *config, const char *section, const char *key,
                           const char *new_section, const char *new_key, const char *value);

/* Adds an entry that an older text implies, with the origin of the entry section.key. */
tw_status tw_config_imply(tw_config *config, const char *section, const char *key,
                          const char *new_section, const char *new_key, const char *value);

/* Adds an error about a key's value to the collection, where a table cannot express the rule
 * ("network.kind: no such network"). Keys of the same section that no table knows are then not
 * reported: the table that knows them was perhaps never bound. */
__attribute__((format(printf, 4, 5))) tw_status
tw_config_error(tw_config *config, const char *section, const char *key, const char *format, ...);

/* Where a key was set ("mnist.ini:12", "command line"), or "default". Borrowed. */
const char *tw_config_origin(const tw_config *config, const char *section, const char *key);

/* For a path that cannot be opened: adds to the recorded message of `st` which line set the key, to
 * what, and from which folder a relative path was looked for. @return st */
tw_status tw_config_explain_path(const tw_config *config, const char *section, const char *key,
                                 tw_status st);

/* Ends the binding: each entry that no table knows is an error that names the nearest known key.
 * @return TW_ECONFIG with one message that lists all collected errors, a line each */
tw_status tw_config_finish(tw_config *config);

/* The frozen configuration: every bound key with its value, absolute paths; reading it gives the
 * same configuration. Keys whose value is empty are left out. @param[out] out  released with
 * tw_free */
tw_status tw_config_text(const tw_config *config, char **out);

/* Compares a run's frozen configuration with a bound one, over the fixed keys of the latter. A
 * fixed key that the run does not have is held against its default.
 * @return TW_ECONFIG with a line for each difference ("optimizer.clip: 1 in the run, 2 now"), or
 * with the errors of the run's text */
tw_status tw_config_diff_fixed(const tw_config *run, const tw_config *now);

/* Every bound key explained: its value, help, type, range, default. @param[out] out  released with
 * tw_free */
tw_status tw_config_help(const tw_config *config, char **out);

/* Reads one value as `field` asks (its section and key are not used; paths stay as they are).
 * @param[out] out  the member itself, not the struct; strings point to `text`
 * @return TW_ECONFIG with a message such as "'12x': expected an integer, at least 1" */
tw_status tw_config_value(const tw_config_field *field, const char *text, void *out);

#ifdef __cplusplus
}
#endif

#endif
