/* One error, as a person will read it: what is wrong, and what to type.
 *
 * Whoever knows the reason fills a `struct err`; main prints it, once, and takes the exit code
 * from its kind. Functions return 0 or -errno beside it. */
#ifndef RSPROF_UTIL_ERR_H
#define RSPROF_UTIL_ERR_H

/* The values are the exit codes of rsprof. */
enum err_kind {
	ERR_NONE = 0,
	ERR_GENERAL = 1,
	ERR_USAGE = 2,
	ERR_NOT_FOUND = 3,
	ERR_PERMISSION = 4,
	ERR_DEBUG_INFO = 5,
	ERR_DATABASE = 6,
};

struct err {
	enum err_kind kind;
	char sentence[2048]; /* says what is wrong */
	char remedy[1024];   /* says what to type; may be empty */
};

/* Fills *err (which may be NULL) and returns ret, so that a failure is one statement:
 *     return err_set(err, ERR_NOT_FOUND, -ESRCH, "No process has PID %d.", pid); */
int err_set(struct err *err, enum err_kind kind, int ret, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Adds the second sentence. */
void err_remedy(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
