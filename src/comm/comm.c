/* Ranks: start, end, agreement. */
#include "tweedie/comm.h"

#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "comm/comm_private.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"

/* Live communicators. An exit() while there is one would leave the other ranks waiting: neither
 * mpirun nor srun -K1 ends a job whose rank left with code 0. */
static atomic_int live;

static void refuse_exit(void)
{
    static const char text[] =
        "tweedie: a rank called exit() before it had left the others; ending with code 70\n";
    if (atomic_load(&live) == 0) return;
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0) _exit(70);
    _exit(70);
}

tw_status tw_comm_mpi_error(int code, const char *call)
{
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;
    if (MPI_Error_string(code, text, &length) != MPI_SUCCESS) length = 0;
    int name = (int)strcspn(call, "(");
    return tw_error_set(TW_EINTERNAL, "%.*s failed: %.*s", name, call, length, text);
}

/* How Open MPI reads files, where the user has not chosen. Its own OMPIO takes a read that failed
 * for one that met the end of the file (4.1.4), which HDF5 fills with zeros: a rank would train on
 * black images and never know. ROMIO reports it. As a plain file system, since ROMIO on NFS locks
 * each read, which many sites do not allow. Shared file pointers, unused here, leave a semaphore,
 * or a file beside the dataset, where a rank is killed. */
static void choose_file_access(void)
{
    static const char *const choices[][2] = {
        {"OMPI_MCA_io_romio321_priority", "90"}, /* of Open MPI 4 */
        {"OMPI_MCA_io_romio341_priority", "90"}, /* of Open MPI 5 */
        {"ROMIO_FSTYPE_FORCE", "ufs:"},
        {"OMPI_MCA_sharedfp", "^sm,lockedfile"},
    };
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++)
        (void)setenv(choices[i][0], choices[i][1], 0);
}

/* A crash must end. Open MPI's handler of fatal signals prints a stack, for which it takes the lock
 * of malloc: after a corrupted heap, whose finder holds that lock, it waits for itself, and the job
 * for its time limit. UCX has a handler of the same kind. So these signals do what they did before
 * MPI, unless the user asks for Open MPI's stacks. */
static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
enum { FATAL = sizeof fatal / sizeof *fatal };

static tw_status init_mpi(void)
{
    tw_status st = TW_OK;
    static const char asked[] = "OMPI_MCA_opal_signal"; /* the signals whose stacks are printed */
    struct sigaction before[FATAL];
    const bool restore = !getenv(asked);
    int level;
    choose_file_access();
    (void)setenv(asked, "", 0);
    /* a process without a launcher starts no others, so it needs no daemon of Open MPI's beside it:
       0.3 of the 0.9 s that a command of one process took to start */
    (void)setenv("OMPI_MCA_ess_singleton_isolated", "1", 0);
    for (int i = 0; i < FATAL; i++) (void)sigaction(fatal[i], NULL, &before[i]);
    TRY_MPI(MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &level));
    for (int i = 0; restore && i < FATAL; i++) (void)sigaction(fatal[i], &before[i], NULL);
done:
    return st;
}

static tw_status start_mpi(tw_comm *comm)
{
    tw_status st = TW_OK;
    int initialized, level;
    TRY_MPI(MPI_Initialized(&initialized));
    if (!initialized) {
        TW_TRY(init_mpi());
        comm->finalize = true;
    }
    TRY_MPI(MPI_Query_thread(&level));
    comm->threaded = level == MPI_THREAD_MULTIPLE;
done:
    return st;
}

/* A number of the environment, or -1. */
static long number(const char *name)
{
    char *end;
    const char *text = getenv(name);
    const long n = text && *text ? strtol(text, &end, 10) : -1;
    return n >= 0 && *end == '\0' ? n : -1;
}

#ifdef OPEN_MPI
#define OF_MPIRUN "it is the mpirun of another Open MPI than this program's"
#define OWN "this program's Open MPI"
#define SRUN "srun --mpi=pmix"
#define PALS "Open MPI's mpirun, or aprun with --pmi=pmix"
#else
#define OF_MPIRUN "it is Open MPI's, and this program is built with another MPI library"
#define OWN "this program's"
#define SRUN "srun with --mpi=pmi2 or --mpi=cray_shasta"
#define PALS "the mpiexec of this program's MPI library"
#endif

/* A launcher that is not this MPI's own starts N single processes that each believe to be rank zero
 * of one, and all of them write the same files: srun without PMIx, the mpiexec of another MPI
 * library (Open MPI sets OMPI_COMM_WORLD_SIZE; MPICH, Intel MPI and Cray's set PMI_SIZE), HPE's
 * PALS (PALS_RANKID, and per node PALS_LOCAL_SIZE). One launcher may run inside another: Open MPI's
 * mpirun, which may stand in a step of srun, has the last word. */
static tw_status refuse_singletons(const tw_comm *comm)
{
    tw_status st = TW_OK;
    const long mpirun = number("OMPI_COMM_WORLD_SIZE"), tasks = number("SLURM_STEP_NUM_TASKS"),
               pmi = number("PMI_SIZE"), pals = number("PALS_LOCAL_SIZE");
    if (comm->size > 1) return TW_OK;
    TW_CHECK(mpirun <= 1, TW_ECONFIG,
             "mpirun started %ld processes but MPI sees 1: " OF_MPIRUN
             " (tweedie --version names that one)",
             mpirun);
    if (mpirun >= 0) return TW_OK;
    TW_CHECK(tasks <= 1 || (pmi > 1 && pmi != tasks), TW_ECONFIG,
             "srun started %ld tasks but MPI sees 1: use " SRUN " or mpirun", tasks);
    TW_CHECK(pmi <= 1, TW_ECONFIG,
             "the launcher started %ld processes (PMI_SIZE) but MPI sees 1: it belongs to another "
             "MPI library than " OWN "; use that one's mpirun",
             pmi);
    TW_CHECK(
        pals <= 1 && number("PALS_RANKID") <= 0, TW_ECONFIG,
        "PALS started several processes (PALS_RANKID=%ld, PALS_LOCAL_SIZE=%ld) but MPI sees 1: "
        "use " PALS,
        number("PALS_RANKID"), pals);
done:
    return st;
}

static tw_status find_node(tw_comm *comm)
{
    tw_status st = TW_OK;
    int *leaders = NULL, leader = comm->rank;
    TRY_MPI(MPI_Comm_split_type(comm->world, MPI_COMM_TYPE_SHARED, comm->rank, MPI_INFO_NULL,
                                &comm->local));
    TRY_MPI(MPI_Comm_set_errhandler(comm->local, MPI_ERRORS_RETURN));
    TRY_MPI(MPI_Comm_rank(comm->local, &comm->node_rank));
    TRY_MPI(MPI_Comm_size(comm->local, &comm->node_size));
    TRY_MPI(MPI_Bcast(&leader, 1, MPI_INT, 0, comm->local));
    TW_TRY(tw_alloc(&leaders, comm->size, sizeof *leaders, "the list of nodes"));
    TRY_MPI(MPI_Allgather(&leader, 1, MPI_INT, leaders, 1, MPI_INT, comm->world));
    for (int r = 0; r < comm->size; r++) {
        if (leaders[r] != r) continue; /* only the first rank of a node counts it */
        comm->nodes++;
        if (r < leader) comm->node++;
    }
done:
    tw_free(&leaders);
    return st;
}

tw_status tw_comm_create(tw_comm **out)
{
    tw_status st = TW_OK;
    tw_comm *comm = NULL;
    static atomic_flag guarded = ATOMIC_FLAG_INIT;

    TW_TRY(tw_alloc(&comm, 1, sizeof *comm, "the communicator"));
    comm->world = comm->local = MPI_COMM_NULL;
    TW_TRY(start_mpi(comm));
    TRY_MPI(MPI_Comm_dup(MPI_COMM_WORLD, &comm->world));
    TRY_MPI(MPI_Comm_set_errhandler(comm->world, MPI_ERRORS_RETURN));
    TRY_MPI(MPI_Comm_rank(comm->world, &comm->rank));
    TRY_MPI(MPI_Comm_size(comm->world, &comm->size));
    TW_TRY(refuse_singletons(comm));
    TW_TRY(find_node(comm));
    TW_TRY(tw_alloc(&comm->gathered, COMM_GATHERED(comm->size), sizeof *comm->gathered,
                    "small sums over ranks"));
    TW_TRY(tw_alloc(&comm->waiting, 1, sizeof *comm->waiting, "the communicator"));
    TW_TRY(comm_debug_create(&comm->debug, comm));
    if (gethostname(comm->host, sizeof comm->host - 1) != 0) strcpy(comm->host, "?");
    comm->host[strcspn(comm->host, ".")] = '\0'; /* n17, not n17.cluster.site.org */
    tw_log_identify(comm->rank, comm->host);
    if (!atomic_flag_test_and_set(&guarded)) atexit(refuse_exit);
    atomic_fetch_add(&live, 1);
    *out = comm;
    return TW_OK;
done:
    if (comm && comm->finalize) MPI_Finalize();
    if (comm) tw_free(&comm->gathered);
    if (comm) tw_free(&comm->waiting);
    tw_free(&comm);
    return st;
}

void tw_comm_destroy(tw_comm **comm)
{
    tw_comm *c = *comm;
    if (!c) return;
    bool finalize = c->finalize;
    tw_comm_collective(c, "the end", 0);
    comm_debug_destroy(&c->debug);
    MPI_Comm_free(&c->local);
    MPI_Comm_free(&c->world);
    tw_free(&c->gathered);
    tw_free(&c->waiting);
    tw_free(comm);
    if (finalize) MPI_Finalize();
    atomic_fetch_sub(&live, 1);
}

int tw_comm_rank(const tw_comm *comm)
{
    return comm->rank;
}

int tw_comm_size(const tw_comm *comm)
{
    return comm->size;
}

int tw_comm_node(const tw_comm *comm)
{
    return comm->node;
}

int tw_comm_nodes(const tw_comm *comm)
{
    return comm->nodes;
}

const char *tw_comm_host(const tw_comm *comm)
{
    return comm->host;
}

bool tw_comm_threaded(const tw_comm *comm)
{
    return comm->threaded;
}

MPI_Comm tw_comm_mpi(const tw_comm *comm)
{
    return comm->world;
}

tw_status tw_comm_library(char *out, size_t size)
{
    tw_status st = TW_OK;
    char text[MPI_MAX_LIBRARY_VERSION_STRING];
    int length;
    TRY_MPI(MPI_Get_library_version(text, &length));
    text[strcspn(text, "\n,")] = '\0'; /* Open MPI goes on with its builder and date */
    TW_CHECK(size > 0, TW_EINTERNAL, "no room for the name of the MPI library");
    size_t n = strnlen(text, size - 1);
    memcpy(out, text, n);
    out[n] = '\0';
done:
    return st;
}

tw_status(tw_comm_agree)(const tw_comm *comm, tw_status status)
{
    tw_status st = TW_OK;
    struct {
        int status;
        char text[MESSAGE_MAX];
    } verdict;
    const bool before = comm_wait_begin(comm, "agreement", 0);

    int first = status == TW_OK ? INT_MAX : comm->rank;
    TRY_MPI(MPI_Allreduce(MPI_IN_PLACE, &first, 1, MPI_INT, MPI_MIN, comm->world));
    if (first == INT_MAX) goto done;
    memset(&verdict, 0, sizeof verdict);
    if (first == comm->rank) {
        if (first > 0) tw_error_prefix("rank %d on %s: ", comm->rank, comm->host);
        verdict.status = (int)status;
        strncpy(verdict.text, tw_error_message(), sizeof verdict.text - 1);
    }
    TRY_MPI(MPI_Bcast(&verdict, (int)sizeof verdict, MPI_BYTE, first, comm->world));
    st = tw_error_set((tw_status)verdict.status, "%s", verdict.text);
done:
    comm_wait_end(comm, before);
    return st;
}

void tw_comm_abort(const tw_comm *comm, tw_status st)
{
    int initialized = 0, finalized = 0, code = tw_status_exit_code(st);
    MPI_Initialized(&initialized);
    MPI_Finalized(&finalized);
    if (initialized && !finalized) {
        signal(SIGALRM,
               SIG_DFL); /* MPI_Abort talks to a launcher that may be gone: it gets ten seconds */
        alarm(10);
        MPI_Abort(comm ? comm->world : MPI_COMM_WORLD, code);
    }
    _exit(code);
}
