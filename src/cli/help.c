/* Help texts, from the rows of commands and their options. */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "tweedie/memory.h"
#include "tweedie/text.h"

enum { NAMES = 64 };

tw_status tw_command_find(const tw_command **out, const char *name)
{
    tw_status st = TW_OK;
    const char *names[NAMES];
    int count = 0;
    for (int i = 0; i < tw_cmd_count; i++) {
        if (strcmp(tw_cmd_table[i]->name, name) == 0) {
            *out = tw_cmd_table[i];
            goto done;
        }
        if (count < NAMES) names[count++] = tw_cmd_table[i]->name;
    }
    const char *near = tw_text_nearest(name, names, count);
    TW_CHECK(!near, TW_EUSAGE, "there is no command '%s' (did you mean %s?)", name, near);
    TW_FAIL(TW_EUSAGE, "there is no command '%s' (tweedie --help lists them)", name);
done:
    return st;
}

tw_status tw_command_kind_find(tw_command_kind *out, const tw_command *command, const char *name)
{
    tw_status st = TW_OK;
    const char *names[NAMES];
    tw_text all = {0};
    tw_command_kind one;
    int count = 0;
    for (int i = 0; command->kind && command->kind(i, &one); i++) {
        if (strcmp(one.name, name) == 0) {
            *out = one;
            goto done;
        }
        TW_TRY(tw_text_add(&all, "%s%s", i ? ", " : "", one.name));
        if (count < NAMES) names[count++] = one.name;
    }
    TW_CHECK(command->kind, TW_EUSAGE, "tweedie %s has no subcommands", command->name);
    TW_TRY(tw_text_add_nearest(&all, name, names, count));
    TW_FAIL(TW_EUSAGE, "tweedie %s: there is no \"%s\"; there are %s", command->name, name,
            all.data);
done:
    tw_text_free(&all);
    return st;
}

bool tw_options_is_for(const tw_option *o, const tw_command_kind *kind)
{
    return !o->kinds || !kind || tw_options_list_holds(o->kinds, kind->name) ||
           (kind->also && tw_options_list_holds(o->kinds, kind->also));
}

/* @param kinds  says whose it is */
static tw_status describe(const tw_option *o, bool kinds, tw_text *text)
{
    tw_status st = TW_OK;
    char left[64];
    snprintf(left, sizeof left, "--%s%s%s", o->name, o->type == TW_CONFIG_BOOL ? "" : " ",
             o->type == TW_CONFIG_BOOL ? "" : o->value);
    TW_TRY(tw_text_add(text, "  %-24s ", left));
    for (const char *c = kinds && o->kinds ? o->kinds : ""; *c; c++)
        TW_TRY(*c == ' ' ? tw_text_add(text, ", ") : tw_text_add(text, "%c", *c));
    TW_TRY(tw_text_add(text, "%s%s", kinds && o->kinds ? ": " : "", o->help));
    if (o->type == TW_CONFIG_CHOICE) TW_TRY(tw_text_add(text, ": %s", o->choices));
    if (!o->default_text) {
        TW_TRY(tw_text_add(text, " (must be given)"));
    } else if (o->default_text[0] && o->type != TW_CONFIG_BOOL) {
        TW_TRY(tw_text_add(text, " (%s)", o->default_text));
    }
    TW_TRY(tw_text_add(text, "\n"));
done:
    return st;
}

static tw_status add_usage(tw_text *text, const tw_command *command, const tw_command_kind *kind)
{
    tw_status st = TW_OK;
    const char *usage = kind && kind->usage ? kind->usage : command->usage;
    TW_TRY(tw_text_add(text, "usage: tweedie %s", command->name));
    if (kind && !command->kind_option) TW_TRY(tw_text_add(text, " %s", kind->name));
    if (usage[0]) TW_TRY(tw_text_add(text, " %s", usage));
    TW_TRY(tw_text_add(text, "%s\n\n", command->option_count ? " [options]" : ""));
    if (kind && command->kind_option)
        TW_TRY(
            tw_text_add(text, "--%s %s: %s.\n", command->kind_option, kind->name, kind->summary));
    else
        TW_TRY(tw_text_add(text, "%s.\n", kind ? kind->summary : command->summary));
done:
    return st;
}

/* Whether some option is one of a kind alone. */
static bool has_own_options(const tw_command *command)
{
    for (int i = 0; i < command->option_count; i++)
        if (command->options[i].kinds) return true;
    return false;
}

/* What the kinds are, where the command's own paragraphs do not tell. */
static tw_status add_kinds(tw_text *text, const tw_command *command)
{
    tw_status st = TW_OK;
    tw_command_kind one;
    for (int i = 0; command->kinds_listed && command->kind(i, &one); i++) {
        char left[64];
        snprintf(left, sizeof left, "%s%s%s", one.name, one.usage ? " " : "",
                 one.usage ? one.usage : "");
        TW_TRY(tw_text_add(text, "%s  %-20s %s\n", i ? "" : "\n", left, one.summary));
    }
    if (command->kind_option && !has_own_options(command)) return TW_OK;
    if (command->kind_option)
        TW_TRY(tw_text_add(text, "\ntweedie %s --%s NAME --help    the options of one alone\n",
                           command->name, command->kind_option));
    else
        TW_TRY(tw_text_add(text, "\ntweedie %s NAME --help    one of them alone\n", command->name));
done:
    return st;
}

tw_status tw_options_help(const tw_command *command, const tw_command_kind *kind, char **out)
{
    tw_status st = TW_OK;
    tw_text text = {0};
    TW_TRY(add_usage(&text, command, kind));
    if (!kind && command->help) TW_TRY(tw_text_add(&text, "\n%s\n", command->help));
    if (!kind && command->kind) TW_TRY(add_kinds(&text, command));
    if (command->parallel)
        TW_TRY(tw_text_add(&text, "\nRuns on all ranks of srun or mpirun; alone, on one.\n"));
    TW_TRY(tw_text_add(&text, "\noptions:\n"));
    for (int i = 0; i < command->option_count; i++)
        if (tw_options_is_for(&command->options[i], kind))
            TW_TRY(describe(&command->options[i], !kind, &text));
    TW_TRY(tw_text_add(&text, "  %-24s %s\n", "--quiet", "no progress, only warnings and errors"));
    TW_TRY(tw_text_add(&text, "  %-24s %s\n", "--help", "this text"));
    *out = text.data;
    text = (tw_text){0};
done:
    tw_text_free(&text);
    return st;
}
