/* Ownership that ends with the scope. */
#ifndef RSPROF_UTIL_OWN_H
#define RSPROF_UTIL_OWN_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define OWN(done) __attribute__((cleanup(done)))

static inline void own_free(void *pointer)
{
	free(*(void **)pointer);
}

static inline void own_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void own_fclose(FILE **file)
{
	if (*file)
		fclose(*file);
}

/* Hands a value out of an OWN variable: the scope no longer frees it. */
#define own_take(pointer)                                                                          \
	({                                                                                         \
		__typeof__(pointer) own_taken = (pointer);                                         \
		(pointer) = NULL;                                                                  \
		own_taken;                                                                         \
	})
#define own_take_fd(fd)                                                                            \
	({                                                                                         \
		int own_taken = (fd);                                                              \
		(fd) = -1;                                                                         \
		own_taken;                                                                         \
	})

#endif
