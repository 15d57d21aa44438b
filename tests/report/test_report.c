/* Curves, figures and pages of runs that are made here, line by line. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tweedie/file.h"
#include "tweedie/memory.h"
#include "tweedie/png.h"
#include "tweedie/report.h"
#include "tweedie/rundir.h"

static char folder[256];

static const char *in(const char *name)
{
    static char paths[4][512];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%.200s", folder, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    assert_int_equal(tw_file_write(in(name), text, strlen(text)), TW_OK);
}

static void make_run(const char *name, const char *metrics, const char *config)
{
    char path[512];
    mkdir(in(name), 0777);
    snprintf(path, sizeof path, "%s/samples", name);
    mkdir(in(path), 0777);
    snprintf(path, sizeof path, "%s/metrics.jsonl", name);
    write_file(path, metrics);
    snprintf(path, sizeof path, "%s/config.ini", name);
    if (config) write_file(path, config);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "%s/tweedie-report.XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    char command[320];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

/* ---- curves ---- */

#define LINE(step, loss, time)                                                                     \
    "{\"step\": " #step ", \"samples\": " #step "0, \"loss\": " #loss                              \
    ", \"images_per_second\": 10, \"share_read\": 0.25, \"share_compute\": 0.5, "                  \
    "\"share_communication\": 0.25, \"restart\": 0, \"time\": " #time "}\n"

static const char resumed[] =
    "{\"step\": 0, \"event\": \"start\", \"restart\": 0, \"time\": 100, \"steps\": 9, \"batch\": "
    "10, \"ranks\": 2, \"threads\": 1, \"host\": \"n1\", \"processor\": \"P\"}\n" LINE(1, 5, 101)
        LINE(2, 4, 103) LINE(
            3, 3, 104) "{\"step\": 2, \"event\": \"start\", \"restart\": 1, \"time\": 200, "
                       "\"steps\": 9, \"batch\": 10}\n"
                       "{\"step\": 3, \"loss\": 2.5, \"restart\": 1, \"time\": 201}\n"
                       "{\"step\": 3, \"kid\": 0.5, \"restart\": 1, \"time\": 202}\n"
                       "{\"step\": 4, \"event\": \"diverged\", \"restart\": 1, \"time\": 203}\n";

static void later_lines_of_a_step_count_and_ends_are_marked(void **state)
{
    (void)state;
    tw_run_curves c;
    write_file("a.jsonl", resumed);
    assert_int_equal(tw_run_curves_read(&c, in("a.jsonl")), TW_OK);
    const tw_metric_series *loss = tw_run_curves_find(&c, "loss"),
                           *kid = tw_run_curves_find(&c, "kid");
    assert_non_null(loss);
    assert_int_equal(loss->count, 3);
    assert_true(loss->step[2] == 3 && loss->value[2] == 2.5);
    assert_true(kid && kid->count == 1 && kid->value[0] == 0.5);
    assert_null(tw_run_curves_find(&c, "time"));
    assert_null(tw_run_curves_find(&c, "restart"));
    assert_int_equal(c.mark_count, 2);
    assert_true(c.marks[0].step == 2 && !c.marks[0].bad);
    assert_true(c.marks[1].step == 4 && c.marks[1].bad);
    assert_string_equal(c.host, ""); /* of the newest part, which does not say */
    assert_int_equal(c.broken, 0);
    tw_run_curves_free(&c);
}

/* Ten samples at ten a second take one second: of the one from 100 to 101 all of it, of the two
 * from 101 to 103 half, so that the other half went by beside the steps. */
static void shares_are_of_the_clock(void **state)
{
    (void)state;
    tw_run_curves c;
    write_file("b.jsonl", resumed);
    assert_int_equal(tw_run_curves_read(&c, in("b.jsonl")), TW_OK);
    const double wanted[TW_CLOCK_SHARES][3] = {
        {0.25, 0.125, 0.25}, {0.5, 0.25, 0.5}, {0.25, 0.125, 0.25}, {0, 0.5, 0}};
    for (int k = 0; k < TW_CLOCK_SHARES; k++) {
        assert_int_equal(c.clock[k].count, 3);
        for (int i = 0; i < 3; i++) assert_true(fabs(c.clock[k].value[i] - wanted[k][i]) < 1e-12);
    }
    tw_run_curves_free(&c);
}

static void broken_lines_are_counted_and_the_others_read(void **state)
{
    (void)state;
    tw_run_curves c;
    write_file("c.jsonl", LINE(1, 5, 1) "{\"step\": 2, \"loss\": 4\n" LINE(3, 3, 3) "\n");
    assert_int_equal(tw_run_curves_read(&c, in("c.jsonl")), TW_OK);
    assert_int_equal(c.lines, 4);
    assert_int_equal(c.broken, 2);
    assert_int_equal(c.first_broken, 2);
    assert_int_equal(tw_run_curves_find(&c, "loss")->count, 2);
    tw_run_curves_free(&c);
    assert_int_equal(tw_run_curves_read(&c, in("none.jsonl")), TW_OK);
    assert_int_equal(c.lines, 0);
    tw_run_curves_free(&c);
}

/* ---- documents ---- */

/* Bytes of an entity at `at`, 0 where it is none. */
static size_t entity(const char *at)
{
    const size_t n = strcspn(at, "; <&\n");
    return at[n] == ';' && n > 1 ? n + 1 : 0;
}

/* Ends behind the tag that begins here. @param[out] name  with '/' before it where it closes */
static const char *read_tag(const char *at, char name[32], bool *closed)
{
    const size_t slash = at[1] == '/', length = slash + strcspn(at + 1 + slash, " />\n");
    const char *end = at + 1;
    assert_true(length > 0 && length < 32);
    memcpy(name, at + 1, length);
    name[length] = '\0';
    for (char quote = 0; *end && (quote || *end != '>'); end++) {
        if (quote ? *end == quote : *end == '"') quote = quote ? 0 : '"';
        assert_true(*end != '<');
        if (*end == '&') assert_true(entity(end + 1) > 0);
    }
    assert_int_equal(*end, '>');
    *closed = end[-1] == '/';
    return end + 1;
}

/* Every tag is closed in its order, every '&' begins an entity. */
static void expect_well_formed(const char *text)
{
    char open[64][32], name[32];
    int depth = 0;
    bool closed;
    while (*text) {
        if (*text == '&') {
            assert_true(entity(text + 1) > 0);
            text++;
        } else if (*text != '<') {
            text++;
        } else if (text[1] == '!' || text[1] == '?') {
            text = strchr(text, '>') + 1;
        } else {
            text = read_tag(text, name, &closed);
            if (name[0] == '/') {
                assert_true(depth > 0);
                assert_string_equal(name + 1, open[--depth]);
            } else if (!closed) {
                assert_true(depth < 64);
                strcpy(open[depth++], name);
            }
        }
    }
    assert_int_equal(depth, 0);
}

/* tw_free. */
static char *read_document(const char *path)
{
    char *text = NULL;
    assert_int_equal(tw_rundir_read_text(&text, path), TW_OK);
    expect_well_formed(text);
    return text;
}

static void draw_samples(const char *run, int step)
{
    char path[128];
    uint8_t rgb[8 * 8 * 3];
    for (int i = 0; i < 8 * 8 * 3; i++) rgb[i] = (uint8_t)(step + i);
    snprintf(path, sizeof path, "%s/samples/step-%09d.png", run, step);
    assert_int_equal(tw_png_write(in(path), rgb, 8, 8, 3), TW_OK);
}

static const char config_a[] = "[run]\nseed = 0\n\n[optimizer]\nlearning_rate = 0.002\nclip = 1\n",
                  config_b[] = "[run]\nseed = 0\n\n[optimizer]\nlearning_rate = 0.001\nclip = 1\n"
                               "warmup = 7\n";

static void a_figure_holds_all_panels_and_the_newest_grid(void **state)
{
    (void)state;
    tw_text notes = {0};
    make_run("one", resumed, config_a);
    draw_samples("one", 1);
    draw_samples("one", 3);
    assert_int_equal(
        tw_run_figure_write(in("one"), in("one.svg"), in("one.png"), TW_OUTPUT_NEW, &notes), TW_OK);
    char *svg = read_document(in("one.svg"));
    static const char *const words[] = {">loss<",
                                        ">gradient norm<",
                                        ">learning rate<",
                                        ">images per second<",
                                        ">share of time<",
                                        ">kid<",
                                        ">samples at step 3<",
                                        "href=\"data:image/png;base64,"};
    for (size_t k = 0; k < sizeof words / sizeof *words; k++)
        assert_non_null(strstr(svg, words[k]));
    assert_null(strstr(svg, "samples at step 1<"));
    assert_int_equal(notes.length, 0);
    assert_true(tw_file_exists(in("one.png")));
    assert_int_equal(tw_run_figure_write(in("one"), in("one.svg"), NULL, TW_OUTPUT_NEW, &notes),
                     TW_EUSAGE);
    tw_free(&svg);
    tw_text_free(&notes);
}

static void a_run_without_metrics_has_a_figure_and_a_page(void **state)
{
    (void)state;
    tw_text notes = {0};
    make_run("new", "", NULL);
    char path[512];
    snprintf(path, sizeof path, "%s", in("new"));
    assert_int_equal(tw_run_figure_write(path, in("new.svg"), in("new.png"), TW_OUTPUT_NEW, &notes),
                     TW_OK);
    char *svg = read_document(in("new.svg"));
    assert_non_null(strstr(svg, "nothing logged yet"));
    assert_int_equal(
        tw_report_write(in("new.html"), TW_OUTPUT_NEW, 1, (char *const[]){path}, &notes), TW_OK);
    char *page = read_document(in("new.html"));
    assert_non_null(strstr(page, "No configuration is frozen yet"));
    assert_int_equal(tw_run_figure_write(in("nowhere"), NULL, in("x.png"), TW_OUTPUT_NEW, &notes),
                     TW_ENOINPUT);
    tw_free(&svg);
    tw_free(&page);
    tw_text_free(&notes);
}

/* Two runs, one of them with a name and a configuration that would break out of the page. */
static void a_page_of_two_runs_marks_what_differs_and_loads_nothing(void **state)
{
    (void)state;
    static const char hostile[] = "b<script src=\"http:&";
    tw_text notes = {0};
    make_run("a", resumed, config_a);
    make_run(hostile, LINE(1, 9, 5) "{\"step\": 2, \"a<b\": 1}\n{broken\n", config_b);
    draw_samples("a", 3);
    char first[512], second[512];
    snprintf(first, sizeof first, "%s", in("a"));
    snprintf(second, sizeof second, "%s", in(hostile));
    assert_int_equal(
        tw_report_write(in("two.html"), TW_OUTPUT_NEW, 2, (char *const[]){first, second}, &notes),
        TW_OK);
    char *page = read_document(in("two.html"));
    assert_non_null(strstr(page, "<mark>0.002</mark>"));
    assert_non_null(strstr(page, "<mark>0.001</mark>"));
    assert_non_null(strstr(page, "<mark>7</mark>"));
    assert_null(strstr(page, "<mark>0</mark>")); /* the seed is the same */
    assert_non_null(strstr(page, "b&lt;script src=&quot;http:&amp;"));
    assert_non_null(strstr(page, "a&lt;b"));
    assert_null(strstr(page, "<script"));
    assert_null(strstr(page, "<link"));
    assert_null(strstr(page, "url("));
    assert_null(strstr(page, "\"http"));
    assert_non_null(strstr(notes.data, "metrics.jsonl:3: is no whole line of JSON; 1 of 3"));
    assert_non_null(strstr(page, "metrics.jsonl:3:"));
    tw_free(&page);
    tw_text_free(&notes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(later_lines_of_a_step_count_and_ends_are_marked),
        cmocka_unit_test(shares_are_of_the_clock),
        cmocka_unit_test(broken_lines_are_counted_and_the_others_read),
        cmocka_unit_test(a_figure_holds_all_panels_and_the_newest_grid),
        cmocka_unit_test(a_run_without_metrics_has_a_figure_and_a_page),
        cmocka_unit_test(a_page_of_two_runs_marks_what_differs_and_loads_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
