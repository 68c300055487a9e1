/* What a row is, whatever its rank in whichever model: its place. */
#ifndef RSPROF_VIEW_ROW_KEY_H
#define RSPROF_VIEW_ROW_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "reader/view/model.h"

/* Own copies; zero-initialised is no row. */
struct row_key {
	char *function, *file, *path; /* path may be NULL */
	uint32_t line;
};

void row_key_done(struct row_key *key);
void row_key_set(struct row_key *key, const char *function, const char *file, const char *path,
		 uint32_t line);
void row_key_copy(struct row_key *key, const struct row_key *from);
bool row_key_is_set(const struct row_key *key);
bool row_key_is(const struct row_key *key, const char *function, const char *file, uint32_t line);

#endif
