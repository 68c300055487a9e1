/* A child that is told for how long to burn CPU time, and does so under libc's qsort. */
#ifndef RSPROF_TESTS_UNIT_BPF_SORTER_H
#define RSPROF_TESTS_UNIT_BPF_SORTER_H

#include "tests/unit/bpf_rig.h"

APART static int compare_slowly(const void *left, const void *right)
{
	for (volatile int i = 0; i < 2000; i++)
		;
	return *(const int *)left - *(const int *)right;
}

APART static void sort_slowly(void)
{
	int items[64];

	for (int i = 0; i < 64; i++)
		items[i] = i * 7919 % 61;
	qsort(items, 64, sizeof(*items), compare_slowly);
}

APART static void sort_for(uint64_t ns)
{
	uint64_t start = rig_cpu_ns();

	while (rig_cpu_ns() - start < ns)
		sort_slowly();
}

static inline void sorter(const void *argument)
{
	child_ready();
	child_await();
	sort_for(*(const uint64_t *)argument);
	child_ready();
	child_await();
}

#endif
