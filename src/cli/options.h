/* Options of a command: long options only, from a table that also prints the help.
 *
 *     typedef struct options { int64_t count; const char *out; bool json; } options;
 *     static const tw_option table[] = {
 *         {"count", TW_CONFIG_INT64, offsetof(options, count), "64", .min = 1, .max = 1e9, .value =
 * "N", .help = "images to draw"},
 *         {"out", TW_CONFIG_STRING, offsetof(options, out), NULL, .value = "FILE", .help = "where
 * the sample set goes"},
 *         {"json", TW_CONFIG_BOOL, offsetof(options, json), "false", .help = "print JSON"},
 *     };
 *
 * `--help` and `--quiet` (tw_log_quiet) are options of every command. `--name value` and
 * `--name=value`; a TW_CONFIG_BOOL is a flag without a value; `--` ends the
 * options. Everything else is positional, or, where the command takes a configuration, a
 * `section.key=value` assignment. */
#ifndef TWEEDIE_CLI_OPTIONS_H
#define TWEEDIE_CLI_OPTIONS_H

#include "tweedie/config.h"

typedef struct tw_option {
    const char *name;    /* without the dashes */
    tw_config_type type; /* as the member of that type in tweedie/config.h; paths stay relative to
                            the current directory */
    size_t offset;       /* of the member in the command's own struct */
    const char *default_text; /* NULL: must be given; "": empty */
    double min, max;          /* as in tw_config_field */
    const char *choices;      /* "inpaint|colorize" */
    const char *kinds;        /* where the command has kinds (formats, subcommands): those that the
                                 option is for, "idx" or "prune drain"; NULL: all */
    const char *value;        /* the value's name in the help: "N", "FILE" */
    const char *help;         /* one line */
} tw_option;

/* What is left when the options are taken out. Both lists are borrowed from argv, which is
 * reordered. */
typedef struct tw_arguments {
    int count;
    char **values; /* positional, in their order */
    int assignment_count;
    char **assignments; /* section.key=value, in their order */
    uint64_t given;     /* bit i: option i of the command's table was given */
} tw_arguments;

struct tw_command;

/* Reads the options and arguments of a command as its row says.
 * @param argc, argv  what follows the command's name
 * @param[out] out    the command's struct, all members of the table set; NULL where there are no
 * options
 * @return TW_EUSAGE for an unknown option (naming the nearest), a bad value, or too few or too many
 * arguments */
tw_status tw_options_parse(const struct tw_command *command, int argc, char **argv, void *out,
                           tw_arguments *arguments_out);

/* Whether the option of that name was given. */
bool tw_options_is_given(const struct tw_command *command, const tw_arguments *arguments,
                         const char *name);

/* Refuses options that were given and are not for this kind.
 * @param what   how the kind is called on the command line: "import --format", "bench"
 * @param kinds  what the kind answers to, ended by NULL; the first is its name
 * @return TW_EUSAGE naming the option, its kinds and this one */
tw_status tw_options_check_kind(const struct tw_command *command, const tw_arguments *arguments,
                                const char *what, const char *const *kinds);

/* Whether a list "idx images" holds the word. */
bool tw_options_list_holds(const char *list, const char *word);

struct tw_command_kind;

/* Whether an option is for a kind of its command; NULL: for any. */
bool tw_options_is_for(const tw_option *option, const struct tw_command_kind *kind);

/* The text of `tweedie COMMAND --help`, from the row and its options, or of `tweedie COMMAND KIND
 * --help`.
 * @param kind  NULL: the whole command
 * @param[out] out  released with tw_free */
tw_status tw_options_help(const struct tw_command *command, const struct tw_command_kind *kind,
                          char **out);

/* A man page in roff of a command, or of the program (NULL); a completion for bash. @param[out] out
 * released with tw_free */
tw_status tw_options_man(const struct tw_command *command, char **out);
tw_status tw_options_completion(char **out);

#endif
