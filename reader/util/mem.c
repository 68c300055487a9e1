#include "reader/util/mem.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *checked(void *block)
{
	static const char sentence[] =
		"rsprof: out of memory; what was committed stays readable.\n";

	if (!block) {
		/* write(2): stdio may want memory. */
		ssize_t ignored = write(STDERR_FILENO, sentence, sizeof(sentence) - 1);

		(void)ignored;
		_exit(1);
	}
	return block;
}

void *mem_alloc(size_t bytes)
{
	return checked(malloc(bytes ? bytes : 1));
}

void *mem_zalloc(size_t bytes)
{
	return checked(calloc(1, bytes ? bytes : 1));
}

void *mem_array(size_t items, size_t size)
{
	return checked(calloc(items ? items : 1, size ? size : 1));
}

void *mem_grow(void *block, size_t items, size_t size)
{
	return checked(reallocarray(block, items ? items : 1, size));
}

char *mem_strdup(const char *text)
{
	return text ? checked(strdup(text)) : NULL;
}

void *mem_copy(const void *from, size_t bytes)
{
	return memcpy(mem_alloc(bytes), from, bytes);
}
