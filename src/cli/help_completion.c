/* Completion for bash, from the rows of commands and their options. Where nothing of these fits,
 * bash completes names of files. */
#include <string.h>

#include "cli/command.h"
#include "tweedie/text.h"

static const char head[] =
    "# bash completion for tweedie, made from its option tables: tweedie help --completion\n"
    "_tweedie() {\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} kind= i words=\n"
    "    COMPREPLY=()\n"
    "    if [ \"$cur\" = = ]; then\n"
    "        cur=\n"
    "    elif [ \"$prev\" = = ]; then\n"
    "        prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "    fi\n";

static const char middle[] =
    "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
    "        COMPREPLY=($(compgen -W \"$commands help --help --version\" -- \"$cur\"))\n"
    "        return\n"
    "    fi\n"
    "    if [ \"${COMP_WORDS[1]}\" = help ]; then\n"
    "        [ \"$COMP_CWORD\" -eq 2 ] && COMPREPLY=($(compgen -W \"$commands\" -- \"$cur\"))\n"
    "        return\n"
    "    fi\n"
    "    kind=${COMP_WORDS[2]}\n"
    "    for ((i = 2; i < COMP_CWORD; i++)); do\n"
    "        [ \"${COMP_WORDS[i]}\" = --format ] || continue\n"
    "        kind=${COMP_WORDS[i + 1]}\n"
    "        [ \"$kind\" = = ] && kind=${COMP_WORDS[i + 2]}\n"
    "    done\n";

static const char tail[] = "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
                           "}\n"
                           "complete -o bashdefault -o default -F _tweedie tweedie\n";

static tw_status add_commands(tw_text *out)
{
    tw_status st = TW_OK;
    TW_TRY(tw_text_add(out, "    local commands=\""));
    for (int i = 0; i < tw_cmd_count; i++)
        TW_TRY(tw_text_add(out, "%s%s", i ? " " : "", tw_cmd_table[i]->name));
    TW_TRY(tw_text_add(out, "\"\n"));
done:
    return st;
}

static tw_status add_kind_names(tw_text *out, const tw_command *c)
{
    tw_status st = TW_OK;
    tw_command_kind one;
    for (int i = 0; c->kind(i, &one); i++) TW_TRY(tw_text_add(out, "%s%s", i ? " " : "", one.name));
done:
    return st;
}

/* Values of options: "COMMAND --NAME" ) words=… */
static tw_status add_values(tw_text *out, const tw_command *c)
{
    tw_status st = TW_OK;
    for (int i = 0; i < c->option_count; i++) {
        const tw_option *o = &c->options[i];
        const bool kinds = c->kind_option && strcmp(o->name, c->kind_option) == 0;
        if (o->type == TW_CONFIG_BOOL) continue;
        TW_TRY(tw_text_add(out, "    \"%s --%s\") words=\"", c->name, o->name));
        if (kinds) TW_TRY(add_kind_names(out, c));
        for (const char *x = o->type == TW_CONFIG_CHOICE ? o->choices : ""; *x; x++)
            TW_TRY(tw_text_add(out, "%c", *x == '|' ? ' ' : *x));
        TW_TRY(tw_text_add(out, "\" ;;\n"));
    }
done:
    return st;
}

static tw_status add_options(tw_text *out, const tw_command *c, const tw_command_kind *kind)
{
    tw_status st = TW_OK;
    TW_TRY(tw_text_add(out, "    \"%s %s\"%s) words=\"", c->name, kind ? kind->name : "",
                       kind ? "" : "*"));
    for (int i = 0; i < c->option_count; i++)
        if (tw_options_is_for(&c->options[i], kind))
            TW_TRY(tw_text_add(out, "--%s ", c->options[i].name));
    TW_TRY(tw_text_add(out, "--quiet --help\" ;;\n"));
done:
    return st;
}

static tw_status add_all_options(tw_text *out)
{
    tw_status st = TW_OK;
    tw_command_kind one;
    for (int i = 0; i < tw_cmd_count; i++) {
        const tw_command *c = tw_cmd_table[i];
        for (int k = 0; c->kind && c->kind(k, &one); k++) TW_TRY(add_options(out, c, &one));
        TW_TRY(add_options(out, c, NULL));
    }
done:
    return st;
}

/* The first argument of a command with subcommands. */
static tw_status add_subcommands(tw_text *out)
{
    tw_status st = TW_OK;
    for (int i = 0; i < tw_cmd_count; i++) {
        const tw_command *c = tw_cmd_table[i];
        if (!c->kind || c->kind_option) continue;
        TW_TRY(tw_text_add(out, "        %s) words=\"", c->name));
        TW_TRY(add_kind_names(out, c));
        TW_TRY(tw_text_add(out, "\" ;;\n"));
    }
done:
    return st;
}

tw_status tw_options_completion(char **out)
{
    tw_status st = TW_OK;
    tw_text text = {0};
    TW_TRY(tw_text_add(&text, "%s", head));
    TW_TRY(add_commands(&text));
    TW_TRY(tw_text_add(&text, "%s", middle));
    TW_TRY(tw_text_add(&text, "    case \"${COMP_WORDS[1]} $prev\" in\n"));
    for (int i = 0; i < tw_cmd_count; i++) TW_TRY(add_values(&text, tw_cmd_table[i]));
    TW_TRY(tw_text_add(&text, "    *) prev= ;;\n    esac\n    if [ -n \"$prev\" ]; then\n"
                              "        :\n    elif [[ $cur == -* ]]; then\n"
                              "    case \"${COMP_WORDS[1]} $kind\" in\n"));
    TW_TRY(add_all_options(&text));
    TW_TRY(tw_text_add(&text, "    esac\n    elif [ \"$COMP_CWORD\" -eq 2 ]; then\n"
                              "        case ${COMP_WORDS[1]} in\n"));
    TW_TRY(add_subcommands(&text));
    TW_TRY(tw_text_add(&text, "        esac\n    fi\n%s", tail));
    *out = text.data;
    text = (tw_text){0};
done:
    tw_text_free(&text);
    return st;
}
