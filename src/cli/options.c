/* Long options from a table. A value is read by the same function as a configuration's, so both
 * refuse the same things alike. */
#include "cli/options.h"

#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"
#include "tweedie/text.h"

static tw_config_field as_field(const tw_option *o)
{
    return (tw_config_field){.type = o->type, .min = o->min, .max = o->max, .choices = o->choices};
}

static tw_status set(const tw_option *o, const char *text, void *out)
{
    tw_config_field field = as_field(o);
    tw_status st = tw_config_value(&field, text, (char *)out + o->offset);
    return st == TW_ECONFIG ? tw_error_set(TW_EUSAGE, "--%s %s", o->name, tw_error_message()) : st;
}

/* The option that `word` (without its dashes, up to '=') names. */
static tw_status find(const tw_command *command, const char *word, const tw_option **out)
{
    tw_status st = TW_OK;
    char name[64];
    const char *names[64];
    int count = command->option_count < 62 ? command->option_count : 62;

    snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
    for (int i = 0; i < command->option_count; i++) {
        if (strcmp(command->options[i].name, name) != 0) continue;
        *out = &command->options[i];
        return TW_OK;
    }
    for (int i = 0; i < count; i++) names[i] = command->options[i].name;
    names[count] = "help";
    names[count + 1] = "quiet";
    const char *near = tw_text_nearest(name, names, count + 2);
    TW_CHECK(!near, TW_EUSAGE, "there is no option --%s (did you mean --%s?)", name, near);
    TW_FAIL(TW_EUSAGE, "there is no option --%s (tweedie %s --help lists them)", name,
            command->name);
done:
    return st;
}

/* Takes the option at argv[*i] and its value; *i ends at the last word taken. */
static tw_status take(const tw_command *command, int argc, char **argv, int *i, void *out,
                      bool *given)
{
    tw_status st = TW_OK;
    const tw_option *o;
    const char *word = argv[*i] + 2, *value = strchr(word, '=');

    TW_TRY(find(command, word, &o));
    if (o->type == TW_CONFIG_BOOL) {
        TW_CHECK(!value, TW_EUSAGE, "--%s is a flag and takes no value", o->name);
        value = "true";
    } else if (value) {
        value++;
    } else {
        TW_CHECK(*i + 1 < argc && strncmp(argv[*i + 1], "--", 2) != 0, TW_EUSAGE,
                 "--%s needs a value (%s)", o->name, o->value);
        value = argv[++*i];
    }
    TW_TRY(set(o, value, out));
    given[o - command->options] = true;
done:
    return st;
}

static tw_status set_defaults(const tw_command *command, void *out)
{
    tw_status st = TW_OK;
    for (int i = 0; i < command->option_count; i++) {
        const tw_option *o = &command->options[i];
        if (!o->default_text) continue;
        st = set(o, o->default_text, out);
        TW_CHECK(st == TW_OK, TW_EINTERNAL, "the default of --%s is not valid", o->name);
    }
done:
    return st;
}

/* Whether an argument is configuration: "section.key=". A file's name may hold '=' and '.', so only
 * names of letters count. */
static bool is_assignment(const char *text)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t section = strspn(text, letters);
    if (section == 0 || text[section] != '.') return false;
    size_t key = strspn(text + section + 1, letters);
    return key > 0 && text[section + 1 + key] == '=';
}

/* Brings the positional arguments before the assignments; both keep their order. */
static int separate(char **words, int count)
{
    int positional = 0;
    for (int i = 0; i < count; i++) {
        if (is_assignment(words[i])) continue;
        char *word = words[i];
        for (int k = i; k > positional; k--) words[k] = words[k - 1];
        words[positional++] = word;
    }
    return positional;
}

static tw_status check_arguments(const tw_command *command, const tw_arguments *arguments)
{
    tw_status st = TW_OK;
    TW_CHECK(arguments->count >= command->least, TW_EUSAGE,
             "too few arguments; usage: tweedie %s %s", command->name, command->usage);
    TW_CHECK(command->most < 0 || arguments->count <= command->most, TW_EUSAGE,
             "unexpected argument '%s'; usage: tweedie %s %s", arguments->values[command->most],
             command->name, command->usage);
done:
    return st;
}

tw_status tw_options_parse(const tw_command *command, int argc, char **argv, void *out,
                           tw_arguments *arguments_out)
{
    tw_status st = TW_OK;
    bool *given = NULL;
    int kept = 0;

    TW_CHECK(command->option_count <= 64, TW_EINTERNAL, "%s has more than 64 options",
             command->name);
    TW_TRY(tw_alloc(&given, command->option_count, sizeof *given, "options"));
    TW_TRY(set_defaults(command, out));
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0) {
            while (++i < argc) argv[kept++] = argv[i];
        } else if (strcmp(argv[i], "--quiet") == 0) {
            tw_log_quiet(true);
        } else if (strncmp(argv[i], "--", 2) == 0) {
            TW_TRY(take(command, argc, argv, &i, out, given));
        } else {
            TW_CHECK(argv[i][0] != '-' || !argv[i][1], TW_EUSAGE,
                     "'%s': options are long and begin with two dashes", argv[i]);
            argv[kept++] = argv[i];
        }
    }
    for (int i = 0; i < command->option_count; i++) {
        const tw_option *o = &command->options[i];
        TW_CHECK(o->default_text || given[i], TW_EUSAGE, "--%s %s must be given: %s", o->name,
                 o->value, o->help);
    }
    tw_arguments found = {.count = command->takes_assignments ? separate(argv, kept) : kept,
                          .values = argv};
    found.assignments = argv + found.count;
    found.assignment_count = kept - found.count;
    for (int i = 0; i < command->option_count; i++) found.given |= (uint64_t)given[i] << i;
    TW_TRY(check_arguments(command, &found));
    *arguments_out = found;
done:
    tw_free(&given);
    return st;
}

bool tw_options_is_given(const tw_command *command, const tw_arguments *arguments, const char *name)
{
    for (int i = 0; i < command->option_count; i++)
        if (strcmp(command->options[i].name, name) == 0) return arguments->given >> i & 1;
    return false;
}

bool tw_options_list_holds(const char *list, const char *word)
{
    const size_t n = strlen(word);
    for (const char *at = list; *at; at += strcspn(at, " "), at += strspn(at, " "))
        if (strcspn(at, " ") == n && memcmp(at, word, n) == 0) return true;
    return false;
}

tw_status tw_options_check_kind(const tw_command *command, const tw_arguments *arguments,
                                const char *what, const char *const *kinds)
{
    tw_status st = TW_OK;
    for (int i = 0; i < command->option_count; i++) {
        const tw_option *o = &command->options[i];
        bool fits = !o->kinds || !(arguments->given >> i & 1);
        for (int k = 0; kinds[k] && !fits; k++) fits = tw_options_list_holds(o->kinds, kinds[k]);
        TW_CHECK(fits, TW_EUSAGE, "--%s: is an option of %s (%s), and does nothing with %s",
                 o->name, what, o->kinds, kinds[0]);
    }
done:
    return st;
}
