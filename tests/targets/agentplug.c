/* Built twice, as libraries that agentways loads, one where the other was: each allocates on a line of its
 * own. */
#include <stdlib.h>

__attribute__((noipa)) void *plug_allocate(size_t size)
{
	void *block;

#ifdef SECOND
	block = malloc(size); // PLUG_B
#else
	block = malloc(size); // PLUG_A
#endif
	__asm__ volatile("" : "+r"(block));
	return block;
}
