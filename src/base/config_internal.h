/* What the parts of the configuration share: entries (config.c), values (config_value.c), bindings
 * (config_bind.c), and the writing (config_text.c). */
#ifndef TWEEDIE_BASE_CONFIG_INTERNAL_H
#define TWEEDIE_BASE_CONFIG_INTERNAL_H

#include "tweedie/config.h"
#include "tweedie/text.h"

/* A line of INI text holds at most this many bytes without its newline: inih's buffer has 200 with
 * newline and NUL. */
enum { CONFIG_LINE_MAX = 198 };

/* What a user wrote: one line or one assignment. */
typedef struct config_entry {
    char *section, *key, *value;
    char *origin;    /* "mnist.ini:12" or "command line" */
    char *directory; /* absolute: where a relative path starts */
    int64_t source;  /* number of the text, for duplicates; assignments have COMMAND_LINE */
    bool used;       /* a table knows it */
} config_entry;

enum { COMMAND_LINE = INT32_MAX };

/* A field with the value that it got. */
typedef struct config_binding {
    const tw_config_field *field;
    char *text; /* the value in one fixed spelling; NULL after an error. String and path members
                   point here */
    const char *origin; /* of an entry, or "default" */
} config_binding;

/* A key that belongs to a sibling that was not chosen. */
typedef struct config_known {
    const char *section, *key, *owner; /* section and owner are owned by the configuration */
    bool tolerated;                    /* in files */
} config_known;

/* Lines for one message. */
typedef struct config_problems {
    tw_text lines; /* each ended by a newline, as many as a message holds */
    int64_t count;
} config_problems;

struct tw_config {
    config_entry *entries;
    int64_t entry_count, entry_capacity;
    int64_t *slots, slot_count; /* config_index.c: entry + 1, 0 for an empty one */
    config_binding *bindings;
    int64_t binding_count, binding_capacity;
    config_problems problems;
    config_known *known;
    int64_t known_count, known_capacity;
    void **owned; /* copies of tables and their texts */
    int64_t owned_count, owned_capacity;
    tw_text excused; /* sections whose unknown keys are not reported, each "\nNAME\n" */
    int64_t sources;
};

/* Makes room for one more element in an array that doubles. */
tw_status config_grow(void *array, int64_t count, int64_t *capacity, size_t size);

/* The entry of one source that sets a key, or NULL, in constant time. */
const config_entry *config_index_find(const tw_config *config, int64_t source, const char *section,
                                      const char *key);

/* Makes entry `entry`, the last one, known to config_index_find. */
tw_status config_index_add(tw_config *config, int64_t entry);

/* Adds one line. Lines that no message has room for are only counted. */
__attribute__((format(printf, 2, 3))) tw_status config_problem(config_problems *problems,
                                                               const char *format, ...);

/* Whether what is added now is only counted, so that nobody need find words for it. */
bool config_problems_full(const config_problems *problems);

/* TW_OK if there are none, else TW_ECONFIG with the line itself, or with `title` and all lines that
 * a message holds. */
tw_status config_problems_report(const config_problems *problems, const char *title);

/* The entry that decides a key, or NULL: the last assignment, else the last text's. */
config_entry *config_find_entry(const tw_config *config, const char *section, const char *key);

/* Adds an entry; copies the strings. */
tw_status config_add_entry(tw_config *config, int64_t source, const char *section, const char *key,
                           const char *value, const char *origin, const char *directory);

/* Whether a value can stand in a line and be read back: UTF-8, no control characters, no comment.
 * `reason` gets a literal if not. */
bool config_value_is_writable(const char *value, const char **reason_out);

/* "an integer, from 1 to 10": what a field wants. */
tw_status config_describe(const tw_config_field *field, tw_text *out);

/* The fixed spelling of a member's value. */
tw_status config_spell(const tw_config_field *field, const void *member, tw_text *out);

/* An absolute path without "." and "..": `path` itself, or behind `directory`. @param[out] out
 * released with tw_free */
tw_status config_absolute(char **out, const char *directory, const char *path);

/* The current directory, or that of the file `path`, absolute. @param[out] out released with
 * tw_free */
tw_status config_directory(char **out, const char *path);

/* The size of a type's member. */
size_t config_size(tw_config_type type);

#endif
