/* Outputs: what is refused, what a link means, what two writers of one name get, what is swept. */
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>

#include "data/fixture.h"
#include "tweedie/output.h"

static tw_status make(const char *path, tw_output_mode mode, const char *text)
{
    tw_output out = {.part = ""};
    tw_status st = tw_output_begin(&out, path, mode);
    if (st == TW_OK) {
        put(out.part, text, strlen(text));
        st = tw_output_publish(&out);
    }
    tw_output_discard(&out);
    return st;
}

static void assert_holds(const char *path, const char *text)
{
    size_t size;
    unsigned char *bytes = take(path, &size);
    bytes[size] = '\0';
    assert_string_equal((char *)bytes, text);
    free(bytes);
}

static void what_exists_is_refused_unless_it_may_be_replaced(void **state)
{
    (void)state;
    put(in("old"), "old", 3);
    assert_fails(tw_output_check(in("old"), TW_OUTPUT_NEW, NULL, 0), TW_EUSAGE, "old",
                 "exists already", "--force");
    assert_fails(make(in("old"), TW_OUTPUT_NEW, "new"), TW_EUSAGE, "old", "exists already");
    assert_holds(in("old"), "old");
    assert_ok(tw_output_check(in("old"), TW_OUTPUT_REPLACE, NULL, 0));
    assert_ok(make(in("old"), TW_OUTPUT_REPLACE, "new"));
    assert_holds(in("old"), "new");
    assert_ok(make(in("new"), TW_OUTPUT_NEW, "first"));
    assert_int_equal(count_files(".new"), 0);
    assert_int_equal(count_files(".old"), 0);
}

static void an_input_is_never_replaced_however_it_is_named(void **state)
{
    (void)state;
    put(in("input"), "precious", 8);
    const char *inputs[] = {NULL, in("missing"), in("input")};
    assert_int_equal(symlink("input", in("soft")), 0);
    assert_int_equal(link(in("input"), in("hard")), 0);
    for (const char *const *name = (const char *const[]){"input", "soft", "hard", NULL}; *name;
         name++)
        assert_fails(tw_output_check(in(*name), TW_OUTPUT_REPLACE, inputs, 3), TW_EUSAGE, *name,
                     "is an input");
    assert_fails(tw_output_check(in("missing"), TW_OUTPUT_NEW, inputs, 3), TW_EUSAGE,
                 "is named twice");
    /* of a folder everything, of a run its own files and checkpoints */
    assert_int_equal(mkdir(in("photos"), 0777), 0);
    put(in("photos/a.png"), "a", 1);
    assert_int_equal(mkdir(in("run"), 0777), 0);
    assert_int_equal(mkdir(in("run/checkpoints"), 0777), 0);
    assert_int_equal(mkdir(in("run/samples"), 0777), 0);
    put(in("run/config.ini"), "a", 1);
    put(in("run/checkpoints/step.h5"), "a", 1);
    put(in("run/samples/a.h5"), "a", 1);
    const char *folders[] = {in("photos"), in("run")};
    assert_fails(tw_output_check(in("photos/a.png"), TW_OUTPUT_REPLACE, folders, 2), TW_EUSAGE,
                 "belongs to an input", "photos");
    assert_fails(tw_output_check(in("run/config.ini"), TW_OUTPUT_REPLACE, folders, 2), TW_EUSAGE,
                 "belongs to an input");
    assert_fails(tw_output_check(in("run/checkpoints/step.h5"), TW_OUTPUT_REPLACE, folders, 2),
                 TW_EUSAGE, "belongs to an input");
    assert_ok(tw_output_check(in("run/samples/a.h5"), TW_OUTPUT_REPLACE, folders, 2));
    assert_ok(tw_output_check(in("photos/new.h5"), TW_OUTPUT_NEW, folders, 2));
    assert_ok(tw_output_check(in("photos-elsewhere"), TW_OUTPUT_NEW, folders, 2));
}

static void what_is_no_regular_file_is_never_replaced(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(in("pipe"), 0666), 0);
    assert_int_equal(mkdir(in("folder"), 0777), 0);
    assert_int_equal(symlink("/dev/null", in("null")), 0);
    assert_int_equal(symlink("circle", in("circle")), 0);
    for (int mode = TW_OUTPUT_NEW; mode <= TW_OUTPUT_REPLACE; mode++) {
        const tw_output_mode m = (tw_output_mode)mode; /* all but OWN */
        assert_fails(tw_output_check(in("pipe"), m, NULL, 0), TW_EUSAGE, "not a regular file");
        assert_fails(tw_output_check("/dev/null", m, NULL, 0), TW_EUSAGE, "not a regular file");
        assert_fails(tw_output_check(in("null"), m, NULL, 0), TW_EUSAGE, "not a regular file");
        assert_fails(tw_output_check(in("folder"), m, NULL, 0), TW_EUSAGE, "is a directory");
        assert_fails(tw_output_check(in("circle"), m, NULL, 0), TW_EUSAGE, "leads to itself");
        assert_fails(tw_output_check(in("folder/"), m, NULL, 0), TW_EUSAGE, "folder/");
        assert_fails(tw_output_check(in("no/where"), m, NULL, 0), TW_EIO, "no/where",
                     "No such file");
        assert_fails(tw_output_check(in("no/"), m, NULL, 0), TW_EUSAGE, "no/");
        assert_fails(tw_output_check("", m, NULL, 0), TW_EUSAGE, "empty name");
        assert_fails(make(in("pipe"), m, "x"), TW_EUSAGE, "not a regular file");
    }
    assert_fails(tw_output_check_folder(in("pipe")), TW_EUSAGE, "not a directory");
    assert_fails(tw_output_check_folder(in("no/folder")), TW_EIO, "no/folder");
    assert_ok(tw_output_check_folder(in("made")));
    assert_ok(tw_output_check_folder(in("made")));
}

static void a_link_leads_where_it_points_and_an_own_file_follows_none(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in("there"), 0777), 0);
    assert_int_equal(symlink("there/target", in("link")), 0);
    assert_int_equal(symlink("link", in("link2")), 0);
    assert_ok(make(in("link2"), TW_OUTPUT_NEW, "through"));
    assert_holds(in("there/target"), "through");
    assert_fails(make(in("link"), TW_OUTPUT_NEW, "again"), TW_EUSAGE, "link", "exists already");
    assert_ok(make(in("link"), TW_OUTPUT_REPLACE, "again"));
    assert_holds(in("there/target"), "again");
    struct stat info;
    assert_int_equal(lstat(in("link"), &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_ok(make(in("link"), TW_OUTPUT_OWN, "own"));
    assert_holds(in("there/target"), "again");
    assert_int_equal(lstat(in("link"), &info), 0);
    assert_true(S_ISREG(info.st_mode));
}

static void a_name_that_was_taken_meanwhile_stays_unless_the_bytes_are_the_same(void **state)
{
    (void)state;
    tw_output a, b;
    assert_ok(tw_output_begin(&a, in("race"), TW_OUTPUT_NEW));
    assert_ok(tw_output_begin(&b, in("race"), TW_OUTPUT_NEW));
    put(a.part, "winner", 6);
    put(b.part, "loser!", 6);
    assert_ok(tw_output_publish(&a));
    assert_fails(tw_output_publish(&b), TW_EUSAGE, "race", "exists already");
    put(b.part, "winner", 6);
    assert_ok(tw_output_publish(&b));
    tw_output_discard(&a);
    tw_output_discard(&b);
    assert_ok(make(in("race"), TW_OUTPUT_SAME, "winner"));
    assert_fails(make(in("race"), TW_OUTPUT_SAME, "other"), TW_EUSAGE, "race", "exists already");
    assert_ok(make(in("unlike"), TW_OUTPUT_SAME, "other"));
    assert_holds(in("race"), "winner");
    assert_int_equal(count_files(".race"), 0);
    /* a device that takes the name of a file that may be replaced */
    assert_ok(tw_output_begin(&a, in("race"), TW_OUTPUT_REPLACE));
    put(a.part, "late", 4);
    assert_int_equal(unlink(in("race")), 0);
    assert_int_equal(mkfifo(in("race"), 0666), 0);
    assert_fails(tw_output_publish(&a), TW_EUSAGE, "not a regular file");
    tw_output_discard(&a);
}

static void what_a_killed_command_left_is_removed_by_the_next(void **state)
{
    (void)state;
    char dead[TW_PATH_MAX], own[TW_PATH_MAX], foreign[TW_PATH_MAX];
    const struct timespec old[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    int channel[2];
    assert_int_equal(pipe(channel), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) { /* the killed command */
        char name[TW_PATH_MAX] = "";
        (void)tw_file_temporary(name, sizeof name, in("swept.h5"));
        _exit(write(channel[1], name, sizeof name) == (ssize_t)sizeof name ? 0 : 1);
    }
    assert_int_equal(read(channel[0], dead, sizeof dead), sizeof dead);
    assert_int_equal(waitpid(child, NULL, 0), child);
    put(dead, "x", 1);
    assert_ok(tw_file_temporary(own, sizeof own, in("swept.h5")));
    put(own, "x", 1);
    snprintf(foreign, sizeof foreign, "%s", in(".swept.h5.other-host-17-0.tmp"));
    put(foreign, "x", 1);
    put(in(".swept.h5x.tmp"), "x", 1);
    put(in(".other.h5.tmp"), "x", 1);
    assert_ok(tw_output_check(in("swept.h5"), TW_OUTPUT_NEW, NULL, 0));
    assert_int_not_equal(access(dead, F_OK), 0);
    assert_int_equal(access(own, F_OK), 0);
    assert_int_equal(access(foreign, F_OK), 0);
    assert_int_equal(utimensat(AT_FDCWD, foreign, old, 0), 0);
    assert_ok(tw_output_check(in("swept.h5"), TW_OUTPUT_NEW, NULL, 0));
    assert_int_not_equal(access(foreign, F_OK), 0);
    assert_int_equal(count_files(".swept.h5x.tmp"), 1);
    assert_int_equal(count_files(".other.h5.tmp"), 1);
    /* of all files of a folder, but of no other file */
    put(dead, "x", 1);
    assert_ok(tw_output_check(in("swep"), TW_OUTPUT_NEW, NULL, 0));
    assert_int_equal(access(dead, F_OK), 0);
    assert_ok(tw_output_check_folder(directory));
    assert_int_not_equal(access(dead, F_OK), 0);
    close(channel[0]);
    close(channel[1]);
}

static void an_own_file_is_no_link_no_pipe_and_no_device(void **state)
{
    (void)state;
    int file = -1;
    const int flags = O_WRONLY | O_CREAT | O_APPEND;
    put(in("victim"), "safe", 4);
    assert_int_equal(symlink("victim", in("planted")), 0);
    assert_int_equal(mkfifo(in("fifo"), 0666), 0);
    assert_fails(tw_file_open_own(&file, in("planted"), flags), TW_EIO, "planted", "symbolic link");
    assert_fails(tw_file_open_own(&file, in("fifo"), flags), TW_EIO, "fifo");
    assert_fails(tw_file_open_own(&file, in("fifo"), O_RDWR), TW_EIO, "not a regular file");
    assert_int_equal(file, -1);
    assert_ok(tw_file_open_own(&file, in("made.log"), flags));
    assert_int_equal(close(file), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_exists_is_refused_unless_it_may_be_replaced),
        cmocka_unit_test(an_input_is_never_replaced_however_it_is_named),
        cmocka_unit_test(what_is_no_regular_file_is_never_replaced),
        cmocka_unit_test(a_link_leads_where_it_points_and_an_own_file_follows_none),
        cmocka_unit_test(a_name_that_was_taken_meanwhile_stays_unless_the_bytes_are_the_same),
        cmocka_unit_test(what_a_killed_command_left_is_removed_by_the_next),
        cmocka_unit_test(an_own_file_is_no_link_no_pipe_and_no_device),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
