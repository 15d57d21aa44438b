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

static const tw_command *find(const char *name)
{
    for (int i = 0; i < tw_cmd_count; i++) {
        if (strcmp(tw_cmd_table[i]->name, name) == 0) return tw_cmd_table[i];
    }
    return NULL;
}

static tw_status refuse(const char *name)
{
    tw_status st = TW_OK;
    const char **names = NULL;
    TW_TRY(tw_alloc(&names, tw_cmd_count, sizeof *names, "commands"));
    for (int i = 0; i < tw_cmd_count; i++) names[i] = tw_cmd_table[i]->name;
    const char *near = tw_text_nearest(name, names, tw_cmd_count);
    TW_CHECK(!near, TW_EUSAGE, "there is no command '%s' (did you mean %s?)", name, near);
    TW_FAIL(TW_EUSAGE, "there is no command '%s' (tweedie --help lists them)", name);
done:
    tw_free(&names);
    return st;
}

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

static tw_status print_help(const tw_command *command)
{
    tw_status st = TW_OK;
    char *text = NULL;
    TW_TRY(tw_options_help(command, &text));
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
    static char version[] = "version", help[] = "--help";

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
    if (strcmp(argv[1], "help") == 0) { /* help COMMAND is COMMAND --help */
        TW_CHECK(argc == 3, TW_EUSAGE, "tweedie help: one COMMAND was expected");
        argv[1] = argv[2];
        argv[2] = help;
    }
    if (strcmp(argv[1], "--version") == 0) argv[1] = version;
    const tw_command *command = find(argv[1]);
    if (!command) {
        st = refuse(argv[1]);
        goto done;
    }
    if (asks_for_help(argc - 2, argv + 2)) {
        TW_TRY(print_help(command));
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
