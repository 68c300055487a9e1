/* Loaded after the agent was. */
#include <stdlib.h>

void allocate(int count);

void allocate(int count)
{
	for (int i = 0; i < count; i++) {
		void *volatile block = malloc((size_t)i + 1);

		free(block);
	}
}
