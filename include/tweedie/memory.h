/* Memory from the heap: checked for overflow, zeroed, 64-byte aligned, with a message on failure.
 */
#ifndef TWEEDIE_MEMORY_H
#define TWEEDIE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "tweedie/status.h"

enum { TW_ALIGNMENT = 64 };

/* Allocates `count` zeroed elements of `size` bytes at a 64-byte boundary.
 * @param[out] out  address of a pointer of any object type; set only on success; release with
 * tw_free
 * @param what      names the thing in the message ("gradient buffer")
 * @return TW_ENOMEM if the product overflows or memory is short */
tw_status tw_alloc(void *out, int64_t count, size_t size, const char *what);

/* As tw_alloc, for big arenas: asks the kernel for huge pages and does not touch the memory. */
tw_status tw_alloc_arena(void *out, size_t bytes, const char *what);

/* Asks the kernel for huge pages in memory that was not allocated here: the whole ones of it.
 * Advice: where the kernel has none to give, nothing happens. Before it is first touched. */
void tw_advise_huge(void *memory, size_t bytes);

/* Frees *pointer (any object pointer's address) and nulls it. Accepts a pointer to NULL. */
void tw_free(void *pointer);

/* A copy of a string; released with tw_free. */
tw_status tw_strdup(char **out, const char *text);

/* printf into a fixed buffer; TW_EUSAGE with a message if it does not fit: buffers are sized for
 * our own texts, so a name that somebody gave is too long. */
__attribute__((format(printf, 3, 4))) tw_status tw_format(char *out, size_t size,
                                                          const char *format, ...);

/* a * b in *out, or TW_ENOMEM naming `what` where the product exceeds int64_t. a, b >= 0. */
tw_status tw_multiply(int64_t *out, int64_t a, int64_t b, const char *what);

#endif
