/* What smpi_threads.h promises. One copy of this belongs to each rank, as of all variables. */
#include "smpi_threads.h"

#undef free
#undef memset
#undef posix_memalign
#undef MPI_Allreduce

#include <dlfcn.h>
#include <omp.h>
#include <simgrid/actor.h>
#include <simgrid/cond.h>
#include <simgrid/host.h>
#include <simgrid/mutex.h>
#include <smpi/smpi.h>
#include <stdbool.h>

#include "simulate.h"

double simulate_bandwidth = 8e9, simulate_memory = 2e11;

void simulate_sleep(double seconds)
{
    if (seconds > 0) sg_actor_sleep_for(seconds);
}

/* Two reads and a write. Short ones are put together: each is an event of the simulation. */
void simulate_add(double floats)
{
    static double owed;
    owed += 12 * floats / simulate_bandwidth;
    if (owed < 2e-5) return;
    const double now = owed;
    owed = 0;
    simulate_sleep(now);
}

/* ---- memory ---- */

enum { FOLDED = 1 << 20, BLOCKS_MAX = 64 };

static void *blocks[BLOCKS_MAX];

/* From 1 MB on all allocations of all ranks get the same pages, which SMPI neither copies nor needs
 * to hold 512 times: the numbers of a gradient are not simulated. */
int simulate_memalign(void **out, size_t alignment, size_t bytes)
{
    int i = 0;
    if (bytes < FOLDED) return posix_memalign(out, alignment, bytes);
    while (i < BLOCKS_MAX && blocks[i]) i++;
    if (i == BLOCKS_MAX) return 1;
    *out = blocks[i] = SMPI_SHARED_MALLOC(bytes);
    return *out ? 0 : 1;
}

void simulate_free(void *pointer)
{
    for (int i = 0; pointer && i < BLOCKS_MAX; i++) {
        if (blocks[i] != pointer) continue;
        blocks[i] = NULL;
        smpi_shared_free(pointer);
        return;
    }
    free(pointer);
}

/* Nor are their zeros. */
void *simulate_memset(void *out, int value, size_t bytes)
{
    return bytes < FOLDED ? memset(out, value, bytes) : out;
}

/* ---- sums ---- */

static void pass_time(void *in, void *out, int *count, MPI_Datatype *type)
{
    (void)in, (void)out, (void)type;
    simulate_add(*count);
}

int simulate_allreduce(const void *in, void *out, int count, MPI_Datatype type, MPI_Op op,
                       MPI_Comm comm)
{
    static MPI_Op timed = MPI_OP_NULL;
    if (type != MPI_FLOAT || op != MPI_SUM) return MPI_Allreduce(in, out, count, type, op, comm);
    if (timed == MPI_OP_NULL) MPI_Op_create(pass_time, 1, &timed);
    /* not in place, which SMPI takes for a copy into memory of each rank's own */
    return MPI_Allreduce(out, out, count, type, timed, comm);
}

/* ---- threads ---- */

/* Of OpenMP, without which a simulation is compiled: a rank has no places. */
int omp_get_num_places(void)
{
    return 0;
}

int omp_get_place_num_procs(int place)
{
    return 0 * place;
}

void omp_get_place_proc_ids(int place, int *ids)
{
    (void)place, (void)ids;
}

typedef struct start {
    void *(*run)(void *self);
    void *self;
    long rank_pid;
    void *rank;
} start;

static void begin(int argc, char **argv)
{
    start *s = sg_actor_self_get_data();
    void (*adopt)(long, void *);
    (void)argc, (void)argv;
    *(void **)&adopt = dlsym(RTLD_DEFAULT, "simulate_adopt"); /* rank_of.c */
    adopt(s->rank_pid, s->rank);
    s->run(s->self);
    free(s);
}

int simulate_thread_create(pthread_t *thread, void *(*run)(void *), void *self)
{
    start *s = malloc(sizeof *s);
    if (!s) return 1;
    *s = (start){run, self, sg_actor_self_get_pid(), sg_actor_self()};
    sg_actor_t actor = sg_actor_init("thread", sg_host_self());
    sg_actor_ref(actor);
    sg_actor_set_data(actor, s);
    sg_actor_start(actor, begin, 0, NULL);
    *thread = (pthread_t)actor;
    return 0;
}

int simulate_thread_join(pthread_t thread)
{
    sg_actor_join((sg_actor_t)thread, -1);
    sg_actor_unref((sg_actor_t)thread);
    return 0;
}

static sg_mutex_t mutex_of(void *mutex)
{
    sg_mutex_t *m = mutex;
    if (!*m) *m = sg_mutex_init();
    return *m;
}

static sg_cond_t condition_of(void *condition)
{
    sg_cond_t *c = condition;
    if (!*c) *c = sg_cond_init();
    return *c;
}

void simulate_lock(void *mutex)
{
    sg_mutex_lock(mutex_of(mutex));
}

void simulate_unlock(void *mutex)
{
    sg_mutex_unlock(mutex_of(mutex));
}

void simulate_wait(void *condition, void *mutex)
{
    sg_cond_wait(condition_of(condition), mutex_of(mutex));
}

void simulate_wake(void *condition)
{
    sg_cond_notify_all(condition_of(condition));
}
