/* Options: what is read, what is refused with which words, what the help says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/command.h"
#include "tweedie/memory.h"

typedef struct options {
    int64_t count;
    const char *out;
    bool json;
    int task;
    tw_config_doubles times;
} options;

static const tw_option table[] = {
    {"count", TW_CONFIG_INT64, offsetof(options, count), "64", .min = 1, .max = 1000, .value = "N",
     .help = "images"},
    {"out", TW_CONFIG_STRING, offsetof(options, out), NULL, .value = "FILE",
     .help = "the sample set"},
    {"json", TW_CONFIG_BOOL, offsetof(options, json), "false", .help = "print JSON"},
    {"task", TW_CONFIG_CHOICE, offsetof(options, task), "inpaint", .choices = "inpaint|deblur",
     .value = "TASK", .help = "what to do"},
    {"times", TW_CONFIG_DOUBLES, offsetof(options, times), "", .value = "A,B", .help = "times"},
};

static const tw_command command = {.name = "draw",
                                   .summary = "Draw images",
                                   .usage = "RUN [section.key=value ...]",
                                   .help = "More about it.",
                                   .options = table,
                                   .option_count = 5,
                                   .least = 1,
                                   .most = 2,
                                   .takes_assignments = true};

enum { WORDS_MAX = 16 };

/* Parses the words up to NULL. argv is kept for the caller, whose result points into it. */
static char *argv[WORDS_MAX];

static tw_status parse(options *o, tw_arguments *arguments, const char *const *words)
{
    static char storage[WORDS_MAX][64];
    int argc = 0;
    for (; words[argc]; argc++) {
        strcpy(storage[argc], words[argc]);
        argv[argc] = storage[argc];
    }
    return tw_options_parse(&command, argc, argv, o, arguments);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void options_arguments_and_assignments_are_told_apart(void **state)
{
    (void)state;
    options o;
    tw_arguments a;
    assert_int_equal(parse(&o, &a,
                           WORDS("sample.kind=ode", "--count", "7", "runs/a.b=c/x", "--out=x=y",
                                 "--json", "a.b=1", "second", "--times", "-1,2.5")),
                     TW_OK);
    assert_int_equal(o.count, 7);
    assert_string_equal(o.out, "x=y");
    assert_true(o.json);
    assert_int_equal(o.task, 0);
    assert_int_equal(o.times.count, 2);
    assert_true(o.times.values[0] == -1);
    assert_int_equal(a.count, 2);
    assert_string_equal(a.values[0], "runs/a.b=c/x");
    assert_string_equal(a.values[1], "second");
    assert_int_equal(a.assignment_count, 2);
    assert_string_equal(a.assignments[0], "sample.kind=ode");
    assert_string_equal(a.assignments[1], "a.b=1");
}

static void two_dashes_end_the_options(void **state)
{
    (void)state;
    options o;
    tw_arguments a;
    assert_int_equal(parse(&o, &a, WORDS("--out", "f", "--", "--json", "-x")), TW_OK);
    assert_false(o.json);
    assert_int_equal(o.count, 64);
    assert_int_equal(a.count, 2);
    assert_string_equal(a.values[0], "--json");
}

static void bad_words_are_refused_with_what_was_wanted(void **state)
{
    (void)state;
    static const struct {
        const char *words[6];
        const char *message;
    } cases[] = {
        {{"r", "--out", "f", "--cuont", "3"}, "there is no option --cuont (did you mean --count?)"},
        {{"r", "--out", "f", "--qqqqqqqqq"},
         "there is no option --qqqqqqqqq (tweedie draw --help lists them)"},
        {{"r", "--out", "f", "--count", "0"}, "--count '0': expected an integer from 1 to 1000"},
        {{"r", "--out", "f", "--count=x"}, "--count 'x': expected an integer from 1 to 1000"},
        {{"r", "--out", "f", "--task", "sing"}, "--task 'sing': expected one of inpaint, deblur"},
        {{"r", "--out", "f", "--json=1"}, "--json is a flag and takes no value"},
        {{"r", "--out"}, "--out needs a value (FILE)"},
        {{"r", "--out", "--json"}, "--out needs a value (FILE)"},
        {{"r"}, "--out FILE must be given: the sample set"},
        {{"r", "--out", "f", "-c"}, "'-c': options are long and begin with two dashes"},
        {{"--out", "f", "a.b=1"},
         "too few arguments; usage: tweedie draw RUN [section.key=value ...]"},
        {{"--out", "f", "r", "s", "t"},
         "unexpected argument 't'; usage: tweedie draw RUN [section.key=value ...]"},
    };
    options o;
    tw_arguments a;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(parse(&o, &a, cases[i].words), TW_EUSAGE);
        assert_string_equal(tw_error_message(), cases[i].message);
    }
}

static void the_help_is_made_from_the_table(void **state)
{
    (void)state;
    char *text = NULL;
    assert_int_equal(tw_options_help(&command, NULL, &text), TW_OK);
    assert_string_equal(text, "usage: tweedie draw RUN [section.key=value ...] [options]\n\nDraw "
                              "images.\n\nMore about it.\n\noptions:\n"
                              "  --count N                images (64)\n"
                              "  --out FILE               the sample set (must be given)\n"
                              "  --json                   print JSON\n"
                              "  --task TASK              what to do: inpaint|deblur (inpaint)\n"
                              "  --times A,B              times\n"
                              "  --quiet                  no progress, only warnings and errors\n"
                              "  --help                   this text\n");
    tw_free(&text);
}

/* What is for every kind of a command that has kinds: on purpose, one by one. A new option of such
 * a command says in its row whose it is (.kinds), or is named here. */
static const struct {
    const char *command, *option;
} general[] = {
    {"bench", "repetitions"}, {"bench", "json"},
    {"checkpoint", "json"},   {"inspect", "fingerprint"},
    {"inspect", "plan"},      {"inspect", "keys"},
    {"inspect", "ranks"},     {"import", "format"},
    {"import", "force"},      {"import", "name"},
    {"import", "source"},     {"import", "license"},
    {"import", "split"},      {"import", "test-fraction"},
    {"import", "classes"},    {"import", "class-names"},
    {"import", "seed"},       {"import", "keep-order"},
    {"import", "gzip"},       {"import", "normalise"},
    {"import", "condition"},  {"import", "condition-coarse"},
    {"plot", "out"},          {"plot", "force"},
    {"plot", "title"},        {"plot", "json"},
};

static bool is_general(const tw_command *c, const tw_option *o)
{
    for (size_t i = 0; i < sizeof general / sizeof *general; i++)
        if (strcmp(general[i].command, c->name) == 0 && strcmp(general[i].option, o->name) == 0)
            return true;
    return false;
}

static void every_option_of_a_command_with_kinds_says_whose_it_is(void **state)
{
    size_t met = 0;
    (void)state;
    for (int k = 0; k < tw_cmd_count; k++) {
        const tw_command *c = tw_cmd_table[k];
        bool kinds = false;
        for (int i = 0; i < c->option_count; i++) kinds = kinds || c->options[i].kinds;
        for (int i = 0; kinds && i < c->option_count; i++) {
            const tw_option *o = &c->options[i];
            if (o->kinds ? is_general(c, o) : !is_general(c, o))
                fail_msg("tweedie %s --%s: of which kinds is it?", c->name, o->name);
            met += o->kinds == NULL;
        }
    }
    assert_int_equal(met, sizeof general / sizeof *general); /* and nothing named here is gone */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_arguments_and_assignments_are_told_apart),
        cmocka_unit_test(two_dashes_end_the_options),
        cmocka_unit_test(bad_words_are_refused_with_what_was_wanted),
        cmocka_unit_test(every_option_of_a_command_with_kinds_says_whose_it_is),
        cmocka_unit_test(the_help_is_made_from_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
