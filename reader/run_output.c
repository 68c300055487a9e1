#include "reader/run_output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "reader/util/clock.h"

enum { PAUSE_MS = 50 };

int run_output_open(struct run_output *output, struct err *err)
{
	const char *folder = getenv("TMPDIR");

	output->shown = 0;
	output->fd = open(folder && *folder ? folder : "/tmp",
			  O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
	/* Not every file system has files without names. */
	if (output->fd < 0)
		output->fd = memfd_create("rsprof-output", MFD_CLOEXEC);
	if (output->fd < 0)
		return err_set(err, ERR_GENERAL, -errno,
			       "There is no room for what the command writes: %s.",
			       strerror(errno));
	/* What is written through two descriptors does not overwrite itself. */
	fcntl(output->fd, F_SETFL, O_APPEND);
	return 0;
}

void run_output_close(struct run_output *output)
{
	if (output->fd >= 0)
		close(output->fd);
	output->fd = -1;
}

void run_output_enter(const struct run_output *output)
{
	int nothing;

	if (output->fd < 0)
		return;
	for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
		if (isatty(fd))
			dup2(output->fd, fd);
	}
	if (!isatty(STDIN_FILENO))
		return;
	nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (nothing >= 0) {
		dup2(nothing, STDIN_FILENO);
		close(nothing);
	}
}

/* Whoever does not take it any more misses it. */
static void write_all(const char *bytes, size_t count)
{
	while (count) {
		ssize_t done = write(STDOUT_FILENO, bytes, count);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return;
		bytes += done;
		count -= (size_t)done;
	}
}

void run_output_show(struct run_output *output)
{
	char bytes[65536];
	ssize_t count;

	if (output->fd < 0)
		return;
	while ((count = pread(output->fd, bytes, sizeof(bytes), output->shown)) > 0) {
		write_all(bytes, (size_t)count);
		output->shown += count;
	}
}

int run_output_wait(struct run_output *output, pid_t pid)
{
	const struct timespec pause = {.tv_nsec = PAUSE_MS * NS_PER_MS};
	int status = 0;
	pid_t done;

	run_output_show(output);
	do {
		done = waitpid(pid, &status, output->fd < 0 ? 0 : WNOHANG);
		if (done == 0) {
			nanosleep(&pause, NULL);
			run_output_show(output);
		}
	} while (done == 0 || (done < 0 && errno == EINTR));
	run_output_show(output);
	return status;
}
