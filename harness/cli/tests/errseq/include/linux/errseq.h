/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The few words of the kernel that lib/errseq.c is written in, for a program of the host. */
#ifndef ERRSEQ_SHIM_H
#define ERRSEQ_SHIM_H

#include <stdint.h>

typedef uint32_t u32;
typedef u32 errseq_t;

#define MAX_ERRNO	4095
#define ilog2(n)	(31 - __builtin_clz(n))
#define likely(x)	(x)
#define unlikely(x)	(x)
#define READ_ONCE(x)	(x)
/* An error out of range is refused; the kernel would also say so. */
#define WARN(condition, ...)	(condition)
#define BUILD_BUG_ON_NOT_POWER_OF_2(n) \
	_Static_assert((n) != 0 && ((n) & ((n) - 1)) == 0, "not a power of two")
#define EXPORT_SYMBOL(name)	extern int shim_exports_nothing
#define cmpxchg(at, old, new)	__sync_val_compare_and_swap(at, old, new)

errseq_t errseq_set(errseq_t *eseq, int err);
errseq_t errseq_sample(errseq_t *eseq);
int errseq_check(errseq_t *eseq, errseq_t since);
int errseq_check_and_advance(errseq_t *eseq, errseq_t *since);

#endif
