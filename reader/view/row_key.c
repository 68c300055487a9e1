#include "reader/view/row_key.h"

#include <stdlib.h>
#include <string.h>

#include "reader/util/mem.h"

void row_key_done(struct row_key *key)
{
	free(key->function);
	free(key->file);
	free(key->path);
	memset(key, 0, sizeof(*key));
}

void row_key_set(struct row_key *key, const char *function, const char *file, const char *path,
		 uint32_t line)
{
	struct row_key made = {
		.function = mem_strdup(function),
		.file = mem_strdup(file),
		.path = path ? mem_strdup(path) : NULL,
		.line = line,
	};

	row_key_done(key);
	*key = made;
}

void row_key_copy(struct row_key *key, const struct row_key *from)
{
	if (row_key_is_set(from))
		row_key_set(key, from->function, from->file, from->path, from->line);
	else
		row_key_done(key);
}

bool row_key_is_set(const struct row_key *key)
{
	return key->function;
}

bool row_key_is(const struct row_key *key, const char *function, const char *file, uint32_t line)
{
	return key->function && key->line == line && !strcmp(key->function, function) &&
	       !strcmp(key->file, file);
}
