/* The program: finds the command, starts the ranks where it computes, and is the only place that
 * prints an error. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/streams.h"
#include "h5/isolate.h"
#include "tweedie/comm.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"
#include "tweedie/processor.h"
#include "tweedie/signals.h"
#include "tweedie/text.h"
#include "tweedie/watchdog.h"

static void print_overview(void)
{
    printf("usage: tweedie COMMAND [arguments] [options] [section.key=value ...]\n\n"
           "Score-based generative models on CPU clusters. Commands that compute run on all ranks "
           "of srun or mpirun.\n\ncommands:\n");
    for (int i = 0; i < tw_cmd_count; i++)
        printf("  %-12s %s\n", tw_cmd_table[i]->name, tw_cmd_table[i]->summary);
    printf("\ntweedie COMMAND --help    its arguments and options\n"
           "tweedie --version         this program, its libraries, the processor\n\n"
           "exit codes: 0 done, 1 different, 64 usage, 65 bad data, 66 no input, 70 internal or a "
           "rank lost, 73 locked, 74 input/output,\n"
           "            75 stopped early (resume), 76 diverged, 78 configuration\n");
}

/* The kind that the words speak of; false where there is none, or no such. */
static bool find_kind(tw_command_kind *out, const tw_command *c, int argc, char **argv)
{
    const char *name = NULL;
    const size_t n = c->kind_option ? strlen(c->kind_option) : 0;
    for (int i = 0; c->kind && i < argc && !name; i++) {
        const char *option = strncmp(argv[i], "--", 2) == 0 ? argv[i] + 2 : NULL;
        if (!c->kind_option && argv[i][0] != '-') name = argv[i];
        if (!c->kind_option || !option || strncmp(option, c->kind_option, n) != 0) continue;
        if (option[n] == '=') name = option + n + 1;
        if (!option[n] && i + 1 < argc) name = argv[i + 1];
    }
    return name && tw_command_kind_find(out, c, name) == TW_OK;
}

static tw_status print_help(const tw_command *command, const tw_command_kind *kind)
{
    tw_status st = TW_OK;
    char *text = NULL;
    TW_TRY(tw_options_help(command, kind, &text));
    fputs(text, stdout);
done:
    tw_free(&text);
    return st;
}

/* help COMMAND [KIND]; for the build, help --man [COMMAND] and help --completion. */
static tw_status help(int argc, char **argv)
{
    tw_status st = TW_OK;
    const tw_command *command = NULL;
    tw_command_kind kind;
    char *text = NULL;
    if (strcmp(argv[0], "--completion") == 0) {
        TW_TRY(tw_options_completion(&text));
    } else if (strcmp(argv[0], "--man") == 0) {
        if (argc > 1) TW_TRY(tw_command_find(&command, argv[1]));
        TW_TRY(tw_options_man(command, &text));
    } else {
        TW_CHECK(argc <= 2, TW_EUSAGE, "tweedie help: a COMMAND was expected, or COMMAND KIND");
        TW_TRY(tw_command_find(&command, argv[0]));
        if (argc == 2) TW_TRY(tw_command_kind_find(&kind, command, argv[1]));
        TW_TRY(tw_options_help(command, argc == 2 ? &kind : NULL, &text));
    }
    fputs(text, stdout);
done:
    tw_free(&text);
    return st;
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return true;
    }
    return false;
}

static bool asks_for_overview(int argc, char **argv)
{
    return strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
           (strcmp(argv[1], "help") == 0 && argc == 2);
}

/* Answers go to standard output; one that did not arrive is a failure. */
static tw_status flush(void)
{
    tw_status st = TW_OK;
    errno = 0;
    TW_CHECK(fflush(stdout) == 0 && !ferror(stdout), TW_EIO, "standard output: %s",
             errno ? strerror(errno) : "not everything was written");
done:
    return st;
}

static void report(tw_status st)
{
    if (st == TW_OK || st == TW_DIFFERENT)
        return; /* a difference is an answer, and was printed as one */
    tw_log_warn("tweedie: %s", tw_error_message()[0] ? tw_error_message() : tw_status_text(st));
}

/* On all ranks of this launch. They agree on the status, so that all end with the same exit code;
 * and rank zero has spoken before anybody ends, because the first rank that ends with a failure
 * takes the others with it. */
static tw_status run_parallel(const tw_command *command, int argc, char **argv)
{
    tw_comm *comm = NULL;
    tw_watchdog *watchdog = NULL;
    double silence = 0;
    tw_status st = tw_isolate_start(); /* before MPI, signal handlers and threads */
    if (st == TW_OK && command->stops) st = tw_signals_install();
    if (st == TW_OK) st = tw_comm_create(&comm);
    if (st != TW_OK) {
        report(st);
        return st;
    }
    if (command->watched || tw_comm_size(comm) > 1) st = tw_watchdog_create(&watchdog, comm);
    if (st == TW_OK) st = tw_comm_agree(comm, tw_processor_check());
    if (st == TW_OK) st = tw_comm_agree(comm, tw_watchdog_silence(&silence));
    if (st == TW_OK && !command->watched) tw_watchdog_listen(watchdog, command->name, silence);
    if (st == TW_OK) st = command->run(comm, argc, argv);
    tw_status flushed = flush();
    st = tw_comm_agree(comm, st != TW_OK ? st : flushed);
    if (tw_comm_rank(comm) == 0) report(st);
    tw_log_close();
    (void)tw_comm_barrier(comm); /* its failure would say nothing new: we are leaving */
    tw_watchdog_destroy(&watchdog);
    tw_comm_destroy(&comm);
    return st;
}

static tw_status run_alone(const tw_command *command, int argc, char **argv)
{
    tw_status st = tw_processor_check();
    if (st == TW_OK) st = command->run(NULL, argc, argv);
    tw_status flushed = flush();
    if (st == TW_OK) st = flushed;
    report(st);
    tw_log_close();
    return st;
}

int main(int argc, char **argv)
{
    tw_status st = TW_OK;
    static char version[] = "version";

    tw_streams_open();
    signal(SIGXFSZ, SIG_IGN); /* a file over its limit is an error of the call that writes it */
    setvbuf(
        stdout, NULL, _IOLBF,
        0); /* under srun both are pipes: whoever watches the log wants each line when it is said */
    setvbuf(stderr, NULL, _IOLBF, 0);
    TW_CHECK(argc >= 2, TW_EUSAGE, "which command? (tweedie --help lists them)");
    if (asks_for_overview(argc, argv)) {
        print_overview();
        TW_TRY(flush());
        goto done;
    }
    if (strcmp(argv[1], "help") == 0) {
        TW_TRY(help(argc - 2, argv + 2));
        TW_TRY(flush());
        goto done;
    }
    if (strcmp(argv[1], "--version") == 0) argv[1] = version;
    const tw_command *command = NULL;
    TW_TRY(tw_command_find(&command, argv[1]));
    if (asks_for_help(argc - 2, argv + 2)) {
        tw_command_kind kind;
        const bool known = find_kind(&kind, command, argc - 2, argv + 2);
        TW_TRY(print_help(command, known ? &kind : NULL));
        TW_TRY(flush());
        goto done;
    }
    st = command->parallel ? run_parallel(command, argc - 2, argv + 2)
                           : run_alone(command, argc - 2, argv + 2);
    return tw_status_exit_code(st);
done:
    report(st);
    return tw_status_exit_code(st);
}
