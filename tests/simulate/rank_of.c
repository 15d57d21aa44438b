/* Loaded before SimGrid: it knows an MPI process by the actor that calls, so what a thread of a
 * rank sends would come from nobody that the others know. Here the thread is its rank. Two
 * functions of SimGrid 3.32 that its MPI asks who calls:
 *
 *     aid_t simgrid::s4u::this_actor::get_pid()
 *     Actor *simgrid::s4u::Actor::self()
 */
#include <dlfcn.h>
#include <stddef.h>

#define GET_PID "_ZN7simgrid3s4u10this_actor7get_pidEv"
#define SELF "_ZN7simgrid3s4u5Actor4selfEv"

enum { ACTORS_MAX = 1 << 16 };

static struct {
    long pid;
    void *actor;
} rank_of[ACTORS_MAX]; /* by the pid of a thread */

static long real_pid(void)
{
    static long (*real)(void);
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, GET_PID);
    return real();
}

static void *real_self(void)
{
    static void *(*real)(void);
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, SELF);
    return real();
}

/* The calling actor is a thread of this rank. */
void simulate_adopt(long pid, void *actor);
void simulate_adopt(long pid, void *actor)
{
    const long me = real_pid();
    if (me < 0 || me >= ACTORS_MAX) return;
    rank_of[me].pid = pid;
    rank_of[me].actor = actor;
}

long get_pid(void) __asm__(GET_PID);
long get_pid(void)
{
    const long me = real_pid();
    return me > 0 && me < ACTORS_MAX && rank_of[me].actor ? rank_of[me].pid : me;
}

void *self(void) __asm__(SELF);
void *self(void)
{
    const long me = real_pid();
    return me > 0 && me < ACTORS_MAX && rank_of[me].actor ? rank_of[me].actor : real_self();
}
