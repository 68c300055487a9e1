/* The database as a file: made without following or replacing anything, held against a second
 * recorder, handed to the user behind sudo. */
#ifndef RSPROF_STORE_STORE_FILE_H
#define RSPROF_STORE_STORE_FILE_H

#include <stdbool.h>

#include "reader/util/err.h"

struct store_file {
	char *path; /* the folder's real path and the name: no symbolic link in it */
	int fd;	    /* holds the lock; closed after SQLite's last connection, whose locks on the
		     * file a close would drop */
};

/* A new empty file, mode 0600. */
int store_file_create(struct store_file *file, const char *path, struct err *err);
int store_file_open(struct store_file *file, const char *path, struct err *err);
/* Is what lies under the path still the file that was opened? */
bool store_file_is_same(const struct store_file *file);
/* Under sudo the file goes to the user who called. */
void store_file_hand_over(const struct store_file *file);
/* With what SQLite puts beside it. */
void store_file_remove(const struct store_file *file);
void store_file_close(struct store_file *file);

/* Does a recorder hold it? Opens and closes the file, which drops the locks of an SQLite connection
 * of this process: there may be none. */
enum store_holder { STORE_HELD, STORE_NOT_HELD, STORE_HOLDER_UNKNOWN };
enum store_holder store_file_holder(const char *path);

#endif
