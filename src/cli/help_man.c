/* Man pages in roff, from the rows of commands and their options. */
#include <ctype.h>
#include <string.h>

#include "cli/command.h"
#include "tweedie/memory.h"
#include "tweedie/text.h"
#include "tweedie/version.h"

/* The code point at `s`, well-formed or the byte itself. @return its bytes */
static int decode(const char *s, unsigned *out)
{
    const unsigned char *c = (const unsigned char *)s;
    int n = 1;
    while (n < 4 && s[n - 1] && !tw_text_is_utf8(s, n)) n++;
    *out = c[0];
    if (c[0] < 0x80 || !tw_text_is_utf8(s, n)) return 1;
    *out = c[0] & (0xffu >> (n + 1));
    for (int i = 1; i < n; i++) *out = *out << 6 | (c[i] & 0x3f);
    return n;
}

/* Characters that every output device of groff has, in its words; others by their number. */
static const struct {
    unsigned code;
    const char *roff;
} characters[] = {{'\\', "\\e"},     {'-', "\\-"},      {'\'', "\\(aq"},   {'`', "\\(ga"},
                  {'^', "\\(ha"},    {'~', "\\(ti"},    {0x2026, "..."},   {0xd7, "\\(mu"},
                  {0x2212, "\\(mi"}, {0x3b2, "\\(*b"},  {0x3c3, "\\(*s"},  {0x3b5, "\\(*e"},
                  {0x2207, "\\(gr"}, {0x221a, "\\(sr"}, {0x2264, "\\(<="}, {0x2265, "\\(>="},
                  {0x2016, "||"},    {0x1e8b, "x"},     {0x2082, "2"}};

static tw_status add(tw_text *out, const char *text)
{
    tw_status st = TW_OK;
    for (unsigned code; *text;) {
        const char *known = NULL;
        text += decode(text, &code);
        for (size_t i = 0; i < sizeof characters / sizeof *characters; i++)
            if (characters[i].code == code) known = characters[i].roff;
        if (known)
            TW_TRY(tw_text_add(out, "%s", known));
        else if (code < 0x80)
            TW_TRY(tw_text_add(out, "%c", (char)code));
        else
            TW_TRY(tw_text_add(out, "\\[u%04X]", code));
    }
done:
    return st;
}

/* One line of text: never a request, whatever it begins with. */
static tw_status add_line(tw_text *out, const char *text)
{
    tw_status st = TW_OK;
    if (text[0] == '.' || text[0] == '\'') TW_TRY(tw_text_add(out, "\\&"));
    TW_TRY(add(out, text));
    TW_TRY(tw_text_add(out, "\n"));
done:
    return st;
}

/* Paragraphs of a help text: what is indented or in columns stays as it is. */
static tw_status add_paragraphs(tw_text *out, const char *text)
{
    tw_status st = TW_OK;
    char *copy = NULL, *rest;
    bool kept = false;
    TW_TRY(tw_strdup(&copy, text));
    rest = copy;
    for (char *line; rest && (line = strsep(&rest, "\n")) != NULL;) {
        const bool columns = line[0] == ' ' || strstr(line, "   ");
        if (columns != kept) TW_TRY(tw_text_add(out, columns ? ".PP\n.nf\n" : ".fi\n.PP\n"));
        kept = columns;
        TW_TRY(line[0] ? add_line(out, line) : tw_text_add(out, ".PP\n"));
    }
    if (kept) TW_TRY(tw_text_add(out, ".fi\n"));
done:
    tw_free(&copy);
    return st;
}

static tw_status add_header(tw_text *out, const char *name, const char *summary)
{
    tw_status st = TW_OK;
    char title[64];
    int n = 0;
    for (; name[n] && n < 63; n++) title[n] = (char)toupper((unsigned char)name[n]);
    title[n] = '\0';
    TW_TRY(tw_text_add(out, ".TH \""));
    TW_TRY(add(out, title));
    TW_TRY(tw_text_add(out, "\" 1 \"\" \"tweedie %s\" \"Tweedie\"\n.ad l\n.nh\n.SH NAME\n",
                       tw_version()));
    TW_TRY(add(out, name));
    TW_TRY(tw_text_add(out, " \\- "));
    TW_TRY(add_line(out, summary));
done:
    return st;
}

static tw_status add_synopsis(tw_text *out, const tw_command *c, const tw_command_kind *kind)
{
    tw_status st = TW_OK;
    const char *usage = kind && kind->usage ? kind->usage : c->usage;
    TW_TRY(tw_text_add(out, ".B tweedie "));
    TW_TRY(add(out, c->name));
    if (kind) TW_TRY(tw_text_add(out, " %s", kind->name));
    TW_TRY(tw_text_add(out, "\n"));
    if (usage[0]) TW_TRY(add_line(out, usage));
    TW_TRY(tw_text_add(out, "[options]\n.br\n"));
done:
    return st;
}

static tw_status add_option(tw_text *out, const tw_option *o)
{
    tw_status st = TW_OK;
    TW_TRY(tw_text_add(out, ".TP\n.B \\-\\-"));
    TW_TRY(add(out, o->name));
    if (o->type != TW_CONFIG_BOOL) {
        TW_TRY(tw_text_add(out, " \\fI"));
        TW_TRY(add(out, o->value));
        TW_TRY(tw_text_add(out, "\\fR"));
    }
    TW_TRY(tw_text_add(out, "\n"));
    if (o->kinds) {
        TW_TRY(tw_text_add(out, "("));
        TW_TRY(add(out, o->kinds));
        TW_TRY(tw_text_add(out, ")\n"));
    }
    TW_TRY(add_line(out, o->help));
    if (o->type == TW_CONFIG_CHOICE) {
        TW_TRY(tw_text_add(out, "One of "));
        TW_TRY(add_line(out, o->choices));
    }
    if (!o->default_text) TW_TRY(tw_text_add(out, "(must be given)\n"));
    if (o->default_text && o->default_text[0] && o->type != TW_CONFIG_BOOL) {
        TW_TRY(tw_text_add(out, "(default: "));
        TW_TRY(add(out, o->default_text));
        TW_TRY(tw_text_add(out, ")\n"));
    }
done:
    return st;
}

static tw_status add_kinds(tw_text *out, const tw_command *c)
{
    tw_status st = TW_OK;
    tw_command_kind one;
    TW_TRY(tw_text_add(out, ".SH %s\n", c->kind_option ? "KINDS" : "SUBCOMMANDS"));
    for (int i = 0; c->kind(i, &one); i++) {
        TW_TRY(tw_text_add(out, ".TP\n.B "));
        TW_TRY(add(out, one.name));
        if (one.usage && !c->kind_option) {
            TW_TRY(tw_text_add(out, " \\fR"));
            TW_TRY(add(out, one.usage));
        }
        TW_TRY(tw_text_add(out, "\n"));
        TW_TRY(add_line(out, one.summary));
    }
done:
    return st;
}

static tw_status add_exit_codes(tw_text *out)
{
    return tw_text_add(out, ".SH \"EXIT STATUS\"\n"
                            "0 done, 1 different, 64 usage, 65 bad data, 66 no input, 70 internal "
                            "or a rank lost,\n73 locked, 74 input/output, 75 stopped early "
                            "(resume), 76 diverged, 78 configuration.\n");
}

static tw_status add_command(tw_text *out, const tw_command *c)
{
    tw_status st = TW_OK;
    char name[64];
    TW_TRY(tw_format(name, sizeof name, "tweedie-%s", c->name));
    TW_TRY(add_header(out, name, c->summary));
    TW_TRY(tw_text_add(out, ".SH SYNOPSIS\n"));
    TW_TRY(add_synopsis(out, c, NULL));
    TW_TRY(tw_text_add(out, ".SH DESCRIPTION\n"));
    TW_TRY(c->help ? add_paragraphs(out, c->help) : add_line(out, c->summary));
    if (c->parallel)
        TW_TRY(tw_text_add(out, ".PP\nRuns on all ranks of srun or mpirun; alone, on one.\n"));
    if (c->kind) TW_TRY(add_kinds(out, c));
    TW_TRY(tw_text_add(out, ".SH OPTIONS\n"));
    for (int i = 0; i < c->option_count; i++) TW_TRY(add_option(out, &c->options[i]));
    TW_TRY(tw_text_add(out, ".TP\n.B \\-\\-quiet\nno progress, only warnings and errors\n"
                            ".TP\n.B \\-\\-help\nthe usage\n"));
    TW_TRY(add_exit_codes(out));
    TW_TRY(tw_text_add(out, ".SH \"SEE ALSO\"\n.BR tweedie (1)\n"));
done:
    return st;
}

static tw_status add_program(tw_text *out)
{
    tw_status st = TW_OK;
    TW_TRY(add_header(out, "tweedie", "score-based generative models on CPU clusters"));
    TW_TRY(tw_text_add(out, ".SH SYNOPSIS\n.B tweedie\n\\fICOMMAND\\fR [arguments] [options] "
                            "[section.key=value ...]\n.SH COMMANDS\n"));
    for (int i = 0; i < tw_cmd_count; i++) {
        TW_TRY(tw_text_add(out, ".TP\n.BR tweedie\\-"));
        TW_TRY(add(out, tw_cmd_table[i]->name));
        TW_TRY(tw_text_add(out, " (1)\n"));
        TW_TRY(add_line(out, tw_cmd_table[i]->summary));
    }
    TW_TRY(tw_text_add(out, ".PP\nCommands that compute run on all ranks of srun or mpirun.\n"));
    TW_TRY(add_exit_codes(out));
done:
    return st;
}

tw_status tw_options_man(const tw_command *command, char **out)
{
    tw_status st = TW_OK;
    tw_text text = {0};
    TW_TRY(command ? add_command(&text, command) : add_program(&text));
    *out = text.data;
    text = (tw_text){0};
done:
    tw_text_free(&text);
    return st;
}
