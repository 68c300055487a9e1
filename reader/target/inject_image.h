/* What of the target's memory matters to an injection: where dlopen is, where the code is that must
 * not be interrupted, and where a few hundred bytes of code can be put that nobody runs. Private to
 * this room. */
#ifndef RSPROF_TARGET_INJECT_IMAGE_H
#define RSPROF_TARGET_INJECT_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reader/target/target.h"
#include "reader/util/err.h"
#include "reader/util/vec.h"

struct inject_range {
	uint64_t start, end;
};

typedef VEC(struct inject_range) inject_ranges;

struct inject_object {
	const struct target_mapping *mapping; /* the first executable one of its file */
	int fd;				      /* -1: not readable */
	uint64_t bias;
	uint64_t text_end; /* of the file's bytes in it */
};

struct inject_image {
	target_mappings mappings;
	VEC(struct inject_object) objects;
	uint64_t open_function, error_function; /* dlopen or __libc_dlopen_mode; 0 or dlerror */
	int open_flags;
	inject_ranges danger;  /* a thread with a frame in there is not to be borrowed */
	inject_ranges libc;    /* code in which a thread may only be where it sleeps */
	inject_ranges locks;   /* data: who waits for a word in there waits for the C library */
	bool allocates_itself; /* the executable defines malloc: its locks cannot be seen */
};

/* Refused with a sentence where the program has no dynamic loader, or one that is not known. */
int inject_image_read(const struct target *target, struct inject_image *ret_image, struct err *err);
void inject_image_done(struct inject_image *image);

bool inject_ranges_have(const inject_ranges *ranges, uint64_t address);

/* Code that no thread runs: what is mapped behind the end of an object's code, else the code with
 * which the dynamic linker began. `number` counts the candidates; false beyond the last. `original`
 * gets the bytes of the file, which are in memory unless somebody else is using the place. */
bool inject_image_hole(const struct inject_image *image, unsigned number, size_t bytes,
		       uint64_t *ret_address, uint8_t *original);
/* A free range of addresses of so many bytes, away from all others; 0: none. */
uint64_t inject_image_gap(const struct inject_image *image, uint64_t bytes);

#endif
