/* Waiting for a counter that another process of the node raises, asleep. The kernel compares and
 * sleeps in one step, so no wake is lost. */
#ifndef TWEEDIE_COMM_FUTEX_H
#define TWEEDIE_COMM_FUTEX_H

#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* One cache line each, so that ranks raising different counters do not slow each other. Only grows;
 * compared modulo 2^32. */
typedef struct node_counter {
    _Alignas(64) _Atomic uint32_t value;
} node_counter;

static inline bool counter_reached(node_counter *c, uint32_t target)
{
    return (int32_t)(atomic_load_explicit(&c->value, memory_order_acquire) - target) >= 0;
}

static inline void counter_raise(node_counter *c, uint32_t by)
{
    atomic_fetch_add_explicit(&c->value, by, memory_order_release);
    syscall(SYS_futex, &c->value, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Sleeps once: until the counter is raised, or at most so long (NULL: no limit), or not at all.
 * @return whether the target is reached */
static inline bool counter_sleep(node_counter *c, uint32_t target, const struct timespec *limit)
{
    uint32_t now = atomic_load_explicit(&c->value, memory_order_acquire);
    if ((int32_t)(now - target) >= 0) return true;
    syscall(SYS_futex, &c->value, FUTEX_WAIT, now, limit, NULL,
            0); /* returns at once where the value is no longer `now` */
    return counter_reached(c, target);
}

static inline void counter_wait(node_counter *c, uint32_t target)
{
    while (!counter_sleep(c, target, NULL)) continue;
}

#endif
