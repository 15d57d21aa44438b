/* Configuration: what is read, what is refused with which words, what is frozen. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tweedie/config.h"
#include "tweedie/memory.h"

typedef struct settings {
    int64_t steps;
    double rate;
    bool flip;
    const char *name, *path, *extra;
    tw_config_ints mult;
    tw_config_doubles ema;
    int beta;
} settings;

enum { CONSTANT, LINEAR, COSINE };

static const tw_config_field table[] = {
    {"train", "steps", TW_CONFIG_INT64, offsetof(settings, steps), "1000", .min = 1, .max = 1e9,
     .help = "optimiser steps"},
    {"optimizer", "learning_rate", TW_CONFIG_DOUBLE, offsetof(settings, rate), "2e-4",
     .min = TW_CONFIG_ABOVE_ZERO, .max = 1, .fixed = true, .help = "of Adam"},
    {"data", "flip", TW_CONFIG_BOOL, offsetof(settings, flip), "false", .fixed = true,
     .help = "mirror at random"},
    {"data", "path", TW_CONFIG_PATH, offsetof(settings, path), NULL, .fixed = true,
     .help = "the dataset"},
    {"data", "extra", TW_CONFIG_PATH, offsetof(settings, extra), "", .help = "a second dataset"},
    {"network", "name", TW_CONFIG_STRING, offsetof(settings, name), "unet", .fixed = true,
     .help = "a label"},
    {"network", "mult", TW_CONFIG_INTS, offsetof(settings, mult), "1, 2", .min = 1, .fixed = true,
     .help = "channel multipliers"},
    {"ema", "rates", TW_CONFIG_DOUBLES, offsetof(settings, ema), "0.9999", .min = 0, .max = 1,
     .help = "rates"},
    {"objective", "beta", TW_CONFIG_CHOICE, offsetof(settings, beta), "linear",
     .choices = "constant|linear|cosine", .fixed = true, .help = "schedule"},
};
enum { FIELDS = sizeof table / sizeof *table };

/* Parses, overrides with the NULL-ended assignments, binds and finishes. */
static tw_status run(tw_config **out, settings *s, const char *text, char *const *assignments)
{
    int count = 0;
    while (assignments && assignments[count]) count++;
    assert_int_equal(tw_config_create(out), TW_OK);
    assert_int_equal(tw_config_parse(*out, text, (int64_t)strlen(text), "/r/jobs/a.ini"), TW_OK);
    assert_int_equal(tw_config_override(*out, count, assignments), TW_OK);
    assert_int_equal(tw_config_bind(*out, table, FIELDS, s), TW_OK);
    return tw_config_finish(*out);
}

static void expect_message(const char *text, char *const *assignments, const char *message)
{
    tw_config *config = NULL;
    settings s;
    assert_int_equal(run(&config, &s, text, assignments), TW_ECONFIG);
    assert_string_equal(tw_error_message(), message);
    tw_config_destroy(&config);
    assert_null(config);
}

#define PATH_LINE "[data]\npath = d.h5\n"

static void every_type_is_read_and_defaults_fill_the_rest(void **state)
{
    (void)state;
    tw_config *config = NULL;
    settings s;
    const char *text = "\xef\xbb\xbf# a comment\n  ; an indented one\r\n[train] ; here "
                       "too\nsteps=20\r\n[data]\nflip = yes\n"
                       "path = ../data/./mnist.h5 ; the usual\n[network]\nmult = 1,2 , "
                       "2,2\n\n[ema]\nrates = 0.999, 0.9999\n[objective]\nbeta = cosine";
    assert_int_equal(run(&config, &s, text, NULL), TW_OK);
    assert_int_equal(s.steps, 20);
    assert_true(s.rate == 2e-4);
    assert_true(s.flip);
    assert_string_equal(s.path, "/r/data/mnist.h5");
    assert_string_equal(s.extra, "");
    assert_string_equal(s.name, "unet");
    assert_int_equal(s.mult.count, 4);
    assert_int_equal(s.mult.values[3], 2);
    assert_int_equal(s.ema.count, 2);
    assert_true(s.ema.values[0] == 0.999);
    assert_int_equal(s.beta, COSINE);
    assert_string_equal(tw_config_origin(config, "train", "steps"), "/r/jobs/a.ini:4");
    assert_string_equal(tw_config_origin(config, "network", "name"), "default");
    tw_config_destroy(&config);
}

static void the_command_line_wins_and_its_paths_start_here(void **state)
{
    (void)state;
    tw_config *config = NULL;
    settings s;
    char here[4096], expected[4200];
    char a[] = "train.steps=7", b[] = "data.path=x/y.h5", c[] = "train.steps=8",
         d[] = "network.name=a=b.c";
    char *const assignments[] = {a, b, c, d, NULL};
    assert_int_equal(run(&config, &s, "[train]\nsteps = 5\n" PATH_LINE, assignments), TW_OK);
    assert_int_equal(s.steps, 8);
    assert_string_equal(s.name, "a=b.c");
    assert_non_null(getcwd(here, sizeof here));
    snprintf(expected, sizeof expected, "%s/x/y.h5", here);
    assert_string_equal(s.path, expected);
    assert_string_equal(tw_config_origin(config, "train", "steps"), "command line");
    tw_config_destroy(&config);
}

static void a_bad_value_names_place_key_value_and_what_is_expected(void **state)
{
    (void)state;
    expect_message(
        PATH_LINE "[train]\nsteps = 12x\n", NULL,
        "/r/jobs/a.ini:4: train.steps = '12x': expected an integer from 1 to 1000000000");
    expect_message(PATH_LINE "[train]\nsteps = 0\n", NULL,
                   "/r/jobs/a.ini:4: train.steps = '0': expected an integer from 1 to 1000000000");
    expect_message(
        PATH_LINE "[optimizer]\nlearning_rate = 0\n", NULL,
        "/r/jobs/a.ini:4: optimizer.learning_rate = '0': expected a number above 0, at most 1");
    expect_message(
        PATH_LINE "[optimizer]\nlearning_rate = nan\n", NULL,
        "/r/jobs/a.ini:4: optimizer.learning_rate = 'nan': expected a number above 0, at most 1");
    expect_message(PATH_LINE "flip = maybe\n", NULL,
                   "/r/jobs/a.ini:3: data.flip = 'maybe': expected true or false");
    expect_message(PATH_LINE "[objective]\nbeta = linea\n", NULL,
                   "/r/jobs/a.ini:4: objective.beta = 'linea': expected one of constant, linear, "
                   "cosine; did you mean linear?");
    expect_message(PATH_LINE "[network]\nmult = 1,,2\n", NULL,
                   "/r/jobs/a.ini:4: network.mult = '1,,2': expected a list of integers, at least "
                   "1, at most 16, separated by commas");
    expect_message(PATH_LINE "[network]\nmult = 1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1\n", NULL,
                   "/r/jobs/a.ini:4: network.mult = '1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1': expected "
                   "a list of integers, at least 1, at most 16, "
                   "separated by commas");
    expect_message("", NULL, "data.path must be given: the dataset (a path)");
    char a[] = "train.steps=many";
    expect_message(PATH_LINE, (char *const[]){a, NULL},
                   "command line: train.steps = 'many': expected an integer from 1 to 1000000000");
}

static void an_empty_list_is_written_none_and_survives_freezing(void **state)
{
    (void)state;
    static const tw_config_field field = {"network", "mult", TW_CONFIG_INTS, 0, "1, 2",
                                          1,         16,     .help = ""};
    tw_config *config = NULL;
    tw_config_ints list = {.count = 7};
    static const char text[] = "[network]\nmult = none\n";
    char *frozen = NULL;
    for (int round = 0; round < 2; round++) {
        const char *from = frozen ? frozen : text;
        assert_int_equal(tw_config_create(&config), TW_OK);
        assert_int_equal(tw_config_parse(config, from, (int64_t)strlen(from), "a.ini"), TW_OK);
        assert_int_equal(tw_config_bind(config, &field, 1, &list), TW_OK);
        assert_int_equal(tw_config_finish(config), TW_OK);
        assert_int_equal(list.count, 0);
        tw_free(&frozen);
        assert_int_equal(tw_config_text(config, &frozen), TW_OK);
        assert_non_null(strstr(frozen, "mult = none"));
        tw_config_destroy(&config);
    }
    tw_free(&frozen);
}

static void the_ends_of_a_range_belong_to_it(void **state)
{
    (void)state;
    tw_config *config = NULL;
    settings s;
    assert_int_equal(
        run(&config, &s,
            PATH_LINE
            "[train]\nsteps = 1000000000\n[optimizer]\nlearning_rate = 1\n[ema]\nrates = 0, 1\n",
            NULL),
        TW_OK);
    assert_int_equal(s.steps, 1000000000);
    tw_config_destroy(&config);
    expect_message(
        PATH_LINE "[train]\nsteps = 1000000001\n", NULL,
        "/r/jobs/a.ini:4: train.steps = '1000000001': expected an integer from 1 to 1000000000");
}

static void a_path_through_a_link_stays_as_it_was_written(void **state)
{
    (void)state;
    char folder[128], path[768], wanted[256], text[512];
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/test_config.XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(folder));
    /* link -> real/deep, so link/../file is real/file, which no simplification of the text finds */
    snprintf(path, sizeof path,
             "mkdir -p %s/real/deep && ln -s real/deep %s/link && touch %s/real/file", folder,
             folder, folder);
    assert_int_equal(system(path), 0);
    tw_config *config = NULL;
    settings s;
    snprintf(text, sizeof text, "[data]\npath = %s/link/../file\nextra = %s/real/../none\n", folder,
             folder);
    assert_int_equal(run(&config, &s, text, NULL), TW_OK);
    snprintf(wanted, sizeof wanted, "%s/link/../file", folder);
    assert_string_equal(s.path, wanted);
    snprintf(wanted, sizeof wanted, "%s/none", folder);
    assert_string_equal(s.extra, wanted);
    tw_config_destroy(&config);
    snprintf(path, sizeof path, "rm -r %s", folder);
    assert_int_equal(system(path), 0);
}

static void an_unknown_key_names_the_nearest(void **state)
{
    (void)state;
    expect_message(PATH_LINE "[train]\nstesp = 1\n", NULL,
                   "/r/jobs/a.ini:4: unknown key train.stesp (did you mean train.steps?)");
    expect_message(PATH_LINE "[trian]\nsteps = 1\n", NULL,
                   "/r/jobs/a.ini:4: unknown key trian.steps (did you mean train.steps?)");
    expect_message(
        PATH_LINE "[train]\nlearning_rate = 1\n", NULL,
        "/r/jobs/a.ini:4: unknown key train.learning_rate (did you mean optimizer.learning_rate?)");
    expect_message(PATH_LINE "[network]\nzzz = 1\n", NULL,
                   "/r/jobs/a.ini:4: unknown key network.zzz ([network] has name, mult)");
    expect_message(PATH_LINE "[qqqqq]\nzzzzzzz = 1\n", NULL,
                   "/r/jobs/a.ini:4: unknown key qqqqq.zzzzzzz (there is no section [qqqqq])");
    char a[] = "data.pth=1";
    expect_message(PATH_LINE, (char *const[]){a, NULL},
                   "command line: unknown key data.pth (did you mean data.path?)");
}

static void a_bad_line_is_refused_by_its_number(void **state)
{
    (void)state;
    expect_message(PATH_LINE "\n   flip = true\n", NULL,
                   "/r/jobs/a.ini:4: the line is indented: a line starts at its first column, "
                   "there are no continuation lines");
    expect_message(PATH_LINE "flip = \n", NULL, "/r/jobs/a.ini:3: data.flip has no value");
    expect_message(PATH_LINE "flip = ; why\n", NULL, "/r/jobs/a.ini:3: data.flip has no value");
    expect_message(PATH_LINE "flip = true # why\n", NULL,
                   "/r/jobs/a.ini:3: data.flip holds a comment: give it a line of its own");
    expect_message(PATH_LINE "flip: true\n", NULL,
                   "/r/jobs/a.ini:3: the line is neither '[section]' nor 'key = value'");
    expect_message(PATH_LINE "[train\n", NULL, "/r/jobs/a.ini:3: the line has no closing ']'");
    expect_message(PATH_LINE "[train] steps = 5\n", NULL,
                   "/r/jobs/a.ini:3: the line holds more than a section in '[]'");
    expect_message(PATH_LINE "[tr ain]\n", NULL,
                   "/r/jobs/a.ini:3: the line has a section's name that is not of letters, digits, "
                   "'_' and '-' (at most 49)");
    expect_message(PATH_LINE "fl ip = true\n", NULL,
                   "/r/jobs/a.ini:3: the line has a key that is not of letters, digits, '_' and "
                   "'-' (at most 49)");
    expect_message(PATH_LINE "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghij = true\n", NULL,
                   "/r/jobs/a.ini:3: the line has a key that is not of letters, digits, '_' and "
                   "'-' (at most 49)");
    expect_message(PATH_LINE "flip = tr\xe9s\n", NULL, "/r/jobs/a.ini:3: the line is not UTF-8");
    expect_message(PATH_LINE "path = e.h5\n", NULL,
                   "/r/jobs/a.ini:3: data.path was already set at /r/jobs/a.ini:2");
    expect_message(PATH_LINE "[train]\n[data]\npath = e.h5\n", NULL,
                   "/r/jobs/a.ini:5: data.path was already set at /r/jobs/a.ini:2");
    expect_message("= 5\n" PATH_LINE, NULL,
                   "/r/jobs/a.ini:1: the line has a key that is not of letters, digits, '_' and "
                   "'-' (at most 49)");
}

static void a_nul_byte_is_refused_by_its_line(void **state)
{
    (void)state;
    static const char text[] = PATH_LINE "flip\0 = true\n";
    tw_config *config = NULL;
    settings s;
    assert_int_equal(tw_config_create(&config), TW_OK);
    assert_int_equal(tw_config_parse(config, text, sizeof text - 1, "a.ini"), TW_OK);
    assert_int_equal(tw_config_bind(config, table, FIELDS, &s), TW_OK);
    assert_int_equal(tw_config_finish(config), TW_ECONFIG);
    assert_string_equal(tw_error_message(), "a.ini:3: the line holds a NUL byte");
    tw_config_destroy(&config);
}

static void lines_are_read_up_to_198_bytes_and_none_is_cut(void **state)
{
    (void)state;
    tw_config *config = NULL;
    settings s;
    char text[400];
    snprintf(text, sizeof text, PATH_LINE "[network]\nname = %0191d\n",
             1); /* "name = " has 7 bytes */
    assert_int_equal(run(&config, &s, text, NULL), TW_OK);
    assert_int_equal(strlen(s.name), 191);
    assert_int_equal(s.name[190], '1');
    tw_config_destroy(&config);
    snprintf(text, sizeof text, PATH_LINE "[network]\nname = %0192d\n", 1);
    expect_message(text, NULL, "/r/jobs/a.ini:4: the line has 199 bytes; at most 198 are read");
    snprintf(text, sizeof text, PATH_LINE "[network]\n# %0300d\n", 1);
    expect_message(text, NULL, "/r/jobs/a.ini:4: the line has 302 bytes; at most 198 are read");
    /* a path that becomes too long to be kept when it is made absolute */
    snprintf(text, sizeof text, "[data]\npath = %0185d\n", 1);
    assert_int_equal(run(&config, &s, text, NULL), TW_ECONFIG);
    assert_non_null(
        strstr(tw_error_message(), "makes a line of 200 bytes; a configuration can keep 198"));
    tw_config_destroy(&config);
}

static void everything_wrong_is_told_at_once(void **state)
{
    (void)state;
    char a[] = "nonsense", b[] = "train.steps=";
    expect_message(
        "key = 1\n[train]\nsteps = x\nfoo\n[data]\nflip = 2\npat = 1\n",
        (char *const[]){a, b, NULL},
        "the configuration has several errors:\n"
        "  /r/jobs/a.ini:1: the key 'key' stands before any [section]\n"
        "  /r/jobs/a.ini:4: the line is neither '[section]' nor 'key = value'\n"
        "  command line: 'nonsense' is not section.key=value\n"
        "  command line: train.steps has no value\n"
        "  /r/jobs/a.ini:3: train.steps = 'x': expected an integer from 1 to 1000000000\n"
        "  /r/jobs/a.ini:6: data.flip = '2': expected true or false\n"
        "  data.path must be given: the dataset (a path)\n"
        "  /r/jobs/a.ini:7: unknown key data.pat (did you mean data.path?)");
}

static void errors_beyond_a_message_are_counted(void **state)
{
    (void)state;
    char text[4096] = PATH_LINE;
    for (int i = 0; i < 60; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "unknown_key_number_%d = 1\n", i);
    tw_config *config = NULL;
    settings s;
    assert_int_equal(run(&config, &s, text, NULL), TW_ECONFIG);
    int lines = 0, more = 0;
    for (const char *c = tw_error_message(); *c; c++) lines += *c == '\n';
    assert_int_equal(sscanf(strstr(tw_error_message(), "  and "), "  and %d more", &more), 1);
    assert_int_equal(lines - 1 + more, 60);
    tw_config_destroy(&config);
}

/* What a mebibyte of lines costs that have a number between `before` and `behind`; measured: 0.1 s,
 * and 24 s where each key was held against all before it. The bound leaves room for sanitizers. */
static void expect_linear(const char *before, const char *behind)
{
    enum { BYTES = 1 << 20 };
    char *text = malloc(BYTES + 64);
    tw_config *config = NULL;
    settings s;
    int length = sprintf(text, "[train]\n");
    assert_non_null(text);
    for (int i = 0; length < BYTES; i++)
        length += sprintf(text + length, "%s%d%s", before, i, behind);
    const clock_t start = clock();
    assert_int_equal(run(&config, &s, text, NULL), TW_ECONFIG);
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 5);
    tw_config_destroy(&config);
    free(text);
}

static void reading_takes_time_linear_in_the_length(void **state)
{
    (void)state;
    expect_linear("key", " = 1\n");
    expect_linear("[s", "]\na=1\n");
    expect_linear("steps=", "\n");
    expect_linear("wrong ", "\n");
}

static void a_module_adds_an_error_of_its_own(void **state)
{
    (void)state;
    tw_config *config = NULL;
    settings s;
    const char *text = PATH_LINE "[network]\nname = unett\nwidth = 3\n";
    assert_int_equal(tw_config_create(&config), TW_OK);
    assert_int_equal(tw_config_parse(config, text, (int64_t)strlen(text), "a.ini"), TW_OK);
    assert_int_equal(tw_config_bind(config, table, FIELDS, &s), TW_OK);
    assert_int_equal(
        tw_config_error(config, "network", "name", "there is no network '%s' (mlp, unet)", s.name),
        TW_OK);
    assert_int_equal(tw_config_finish(config), TW_ECONFIG);
    assert_string_equal(tw_error_message(),
                        "a.ini:4: network.name: there is no network 'unett' (mlp, unet)");
    tw_config_destroy(&config);
}

static void the_frozen_text_reads_back_as_the_same_configuration(void **state)
{
    (void)state;
    tw_config *first = NULL, *second = NULL;
    settings a, b;
    char *text = NULL, *again = NULL;
    char x[] = "optimizer.learning_rate=0.30000000000000004";
    assert_int_equal(run(&first, &a,
                         PATH_LINE "[network]\nmult = 1,2,2\n[ema]\nrates = 0.9999,0.5\n",
                         (char *const[]){x, NULL}),
                     TW_OK);
    assert_int_equal(tw_config_text(first, &text), TW_OK);
    assert_string_equal(text, "[train]\nsteps = 1000\n\n[optimizer]\nlearning_rate = "
                              "0.30000000000000004\n\n[data]\nflip = false\n"
                              "path = /r/jobs/d.h5\n\n[network]\nname = unet\nmult = 1, 2, "
                              "2\n\n[ema]\nrates = 0.9999, 0.5\n\n"
                              "[objective]\nbeta = linear\n");
    assert_int_equal(run(&second, &b, text, NULL), TW_OK);
    assert_int_equal(tw_config_text(second, &again), TW_OK);
    assert_string_equal(text, again);
    assert_true(a.rate == b.rate);
    assert_int_equal(tw_config_diff_fixed(first, second), TW_OK);
    assert_int_equal(tw_config_diff_fixed(second, first), TW_OK);
    tw_free(&text);
    tw_free(&again);
    tw_config_destroy(&first);
    tw_config_destroy(&second);
}

static void a_changed_fixed_key_is_refused_and_a_free_one_is_not(void **state)
{
    (void)state;
    tw_config *before = NULL, *now = NULL;
    settings s;
    assert_int_equal(run(&before, &s, PATH_LINE "[train]\nsteps = 5\n", NULL), TW_OK);
    assert_int_equal(
        run(&now, &s, PATH_LINE "[train]\nsteps = 50\n[optimizer]\nlearning_rate = 0.0002\n", NULL),
        TW_OK);
    assert_int_equal(tw_config_diff_fixed(before, now), TW_OK);
    tw_config_destroy(&now);
    assert_int_equal(run(&now, &s, PATH_LINE "[optimizer]\nlearning_rate = 0.001\n", NULL), TW_OK);
    assert_int_equal(tw_config_diff_fixed(before, now), TW_ECONFIG);
    assert_string_equal(tw_error_message(),
                        "optimizer.learning_rate: 0.0002 in the run, 0.001 now");
    tw_config_destroy(&now);
    assert_int_equal(run(&now, &s, "[data]\npath = e.h5\nflip = 1\n", NULL), TW_OK);
    assert_int_equal(tw_config_diff_fixed(before, now), TW_ECONFIG);
    assert_string_equal(tw_error_message(),
                        "several keys differ from the run's, and may not change:\n  data.flip: "
                        "false in the run, true now\n"
                        "  data.path: /r/jobs/d.h5 in the run, /r/jobs/e.h5 now");
    tw_config_destroy(&now);
    tw_config_destroy(&before);
}

static void tables_may_share_a_key(void **state)
{
    (void)state;
    tw_config *config = NULL;
    settings a, b;
    char *text = NULL;
    assert_int_equal(tw_config_create(&config), TW_OK);
    assert_int_equal(tw_config_parse(config, PATH_LINE "flip = x\n",
                                     (int64_t)strlen(PATH_LINE "flip = x\n"), "a.ini"),
                     TW_OK);
    assert_int_equal(tw_config_bind(config, table, FIELDS, &a), TW_OK);
    assert_int_equal(tw_config_bind(config, table, FIELDS, &b), TW_OK);
    assert_string_equal(a.path, b.path);
    assert_int_equal(tw_config_finish(config), TW_ECONFIG);
    assert_string_equal(tw_error_message(), "a.ini:3: data.flip = 'x': expected true or false");
    assert_int_equal(tw_config_text(config, &text), TW_OK);
    assert_null(strstr(strstr(text, "path") + 1, "path"));
    tw_free(&text);
    tw_config_destroy(&config);
}

static void a_missing_file_is_no_input(void **state)
{
    (void)state;
    tw_config *config = NULL;
    assert_int_equal(tw_config_create(&config), TW_OK);
    assert_int_equal(tw_config_read(config, "/nowhere/a.ini"), TW_ENOINPUT);
    assert_string_equal(
        tw_error_message(),
        "/nowhere/a.ini: the configuration cannot be opened: No such file or directory");
    assert_int_equal(tw_config_read(config, "/"), TW_ENOINPUT);
    assert_int_equal(tw_config_read(config, "/dev/zero"), TW_ENOINPUT);
    tw_config_destroy(&config);
}

static void a_wrong_default_is_an_internal_error(void **state)
{
    (void)state;
    static const tw_config_field wrong[] = {{"a", "b", TW_CONFIG_INT64, 0, "x", .help = "h"}};
    tw_config *config = NULL;
    int64_t v;
    assert_int_equal(tw_config_create(&config), TW_OK);
    assert_int_equal(tw_config_bind(config, wrong, 1, &v), TW_EINTERNAL);
    assert_string_equal(tw_error_message(), "the default of a.b: 'x': expected an integer");
    tw_config_destroy(&config);
}

static void what_is_assigned_after_binding_is_written_when_bound_again(void **state)
{
    (void)state;
    tw_config *config = NULL, *before = NULL;
    settings s;
    char *text = NULL;
    assert_int_equal(run(&config, &s, PATH_LINE "[objective]\nbeta = linear\n", NULL), TW_OK);
    assert_int_equal(tw_config_override(config, 1, (char *[]){(char[]){"objective.beta=cosine"}}),
                     TW_OK);
    assert_int_equal(tw_config_bind(config, table, FIELDS, &s), TW_OK);
    assert_int_equal(s.beta, COSINE);
    assert_int_equal(tw_config_text(config, &text), TW_OK);
    assert_non_null(strstr(text, "beta = cosine\n"));
    assert_null(strstr(text, "beta = linear\n"));
    assert_int_equal(run(&before, &s, PATH_LINE "[objective]\nbeta = linear\n", NULL), TW_OK);
    assert_int_equal(tw_config_diff_fixed(before, config), TW_ECONFIG);
    assert_non_null(strstr(tw_error_message(), "objective.beta: linear in the run, cosine now"));
    tw_free(&text);
    tw_config_destroy(&config);
    tw_config_destroy(&before);
}

static void help_lists_every_key(void **state)
{
    (void)state;
    tw_config *config = NULL;
    settings s;
    char *text = NULL;
    assert_int_equal(tw_config_create(&config), TW_OK);
    assert_int_equal(
        tw_config_override(config, 2,
                           (char *[]){(char[]){"data.path=/d.h5"}, (char[]){"train.steps=7"}}),
        TW_OK);
    assert_int_equal(tw_config_bind(config, table, 5, &s), TW_OK);
    assert_int_equal(tw_config_bind(config, table, 1, &s),
                     TW_OK); /* a key of two tables is told once, a section too */
    assert_int_equal(tw_config_finish(config), TW_OK);
    assert_int_equal(tw_config_help(config, &text), TW_OK);
    assert_string_equal(
        text,
        "[train]\nsteps = 7\n    optimiser steps (an integer from 1 to 1000000000; default 1000)\n"
        "\n[optimizer]\nlearning_rate = 0.0002\n    of Adam (a number above 0, at most 1; default "
        "2e-4; fixed for a run)\n"
        "\n[data]\nflip = false\n    mirror at random (true or false; default false; fixed for a "
        "run)\n"
        "path = /d.h5\n    the dataset (a path; must be given; fixed for a run)\n"
        "extra =\n    a second dataset (a path)\n");
    tw_free(&text);
    tw_config_destroy(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_list_is_written_none_and_survives_freezing),
        cmocka_unit_test(every_type_is_read_and_defaults_fill_the_rest),
        cmocka_unit_test(the_command_line_wins_and_its_paths_start_here),
        cmocka_unit_test(a_bad_value_names_place_key_value_and_what_is_expected),
        cmocka_unit_test(the_ends_of_a_range_belong_to_it),
        cmocka_unit_test(a_path_through_a_link_stays_as_it_was_written),
        cmocka_unit_test(an_unknown_key_names_the_nearest),
        cmocka_unit_test(a_bad_line_is_refused_by_its_number),
        cmocka_unit_test(a_nul_byte_is_refused_by_its_line),
        cmocka_unit_test(lines_are_read_up_to_198_bytes_and_none_is_cut),
        cmocka_unit_test(everything_wrong_is_told_at_once),
        cmocka_unit_test(errors_beyond_a_message_are_counted),
        cmocka_unit_test(reading_takes_time_linear_in_the_length),
        cmocka_unit_test(a_module_adds_an_error_of_its_own),
        cmocka_unit_test(the_frozen_text_reads_back_as_the_same_configuration),
        cmocka_unit_test(a_changed_fixed_key_is_refused_and_a_free_one_is_not),
        cmocka_unit_test(tables_may_share_a_key),
        cmocka_unit_test(a_missing_file_is_no_input),
        cmocka_unit_test(a_wrong_default_is_an_internal_error),
        cmocka_unit_test(what_is_assigned_after_binding_is_written_when_bound_again),
        cmocka_unit_test(help_lists_every_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
