/* What an injection needs to know of the target's C library. Private to this room. */
#ifndef RSPROF_TARGET_INJECT_LIBC_H
#define RSPROF_TARGET_INJECT_LIBC_H

#include <stdint.h>

/* Addresses are those of the file. */
struct inject_libc {
	uint64_t malloc_start, malloc_end; /* malloc.c as it lies in the library, or more */
	uint64_t open_function;		   /* dlopen or __libc_dlopen_mode; 0: neither is there */
	uint64_t error_function;	   /* dlerror; 0: it tells nothing of the one before */
	int open_flags;
};

/* 0, or -errno: the file open at fd is no C library that rsprof knows. */
int inject_libc_read(int fd, struct inject_libc *ret_libc);

#endif
