/* Included before every source of a simulation (smpicc -include): threads are SimGrid's actors,
 * large memory is folded, and what MPI is asked for that SMPI has not is given. The sources
 * themselves are the program's own. */
#ifndef TWEEDIE_SMPI_THREADS_H
#define TWEEDIE_SMPI_THREADS_H

#include <mpi.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Seconds of this thread in simulated time: what the program would compute. */
void simulate_sleep(double seconds);
/* Seconds that adding `floats` takes at the bandwidth of one core, the same. */
void simulate_add(double floats);

int simulate_memalign(void **out, size_t alignment, size_t bytes);
void simulate_free(void *pointer);
void *simulate_memset(void *out, int value, size_t bytes);
#define posix_memalign simulate_memalign
#define free simulate_free
#define memset simulate_memset

/* SMPI says that it has no threads, and then matches messages by the actor that calls: rank_of.c
 * mends that. Its sum would be carried out on each rank: the time of it passes instead. */
#define MPI_Query_thread(level) (*(level) = MPI_THREAD_MULTIPLE, MPI_SUCCESS)
int simulate_allreduce(const void *in, void *out, int count, MPI_Datatype type, MPI_Op op,
                       MPI_Comm comm);
#define MPI_Allreduce simulate_allreduce

int simulate_thread_create(pthread_t *thread, void *(*run)(void *), void *self);
int simulate_thread_join(pthread_t thread);
#define pthread_create(thread, attributes, run, self) simulate_thread_create(thread, run, self)
#define pthread_join(thread, result) simulate_thread_join(thread)
#define pthread_setaffinity_np(thread, size, cpus) ((void)(thread), (void)(cpus), 0)

/* A mutex or condition variable holds the pointer to SimGrid's, once it has been used. */
void simulate_lock(void *mutex);
void simulate_unlock(void *mutex);
void simulate_wait(void *condition, void *mutex);
void simulate_wake(void *condition);
#define pthread_mutex_init(mutex, attributes) (*(void **)(void *)(mutex) = NULL, 0)
#define pthread_mutex_destroy(mutex) ((void)(mutex), 0)
#define pthread_mutex_lock(mutex) simulate_lock(mutex)
#define pthread_mutex_unlock(mutex) simulate_unlock(mutex)
#define pthread_cond_init(condition, attributes) (*(void **)(void *)(condition) = NULL, 0)
#define pthread_cond_destroy(condition) ((void)(condition), 0)
#define pthread_cond_wait(condition, mutex) simulate_wait(condition, mutex)
#define pthread_cond_broadcast(condition) simulate_wake(condition)

#endif
