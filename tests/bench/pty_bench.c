/* The screens on a terminal of their own, from outside.
 * pty_bench keys COMMAND…: from a key to the last byte that answers it, "name median_ms max_ms".
 * pty_bench idle SECONDS COMMAND…: "cpu_pct", user and system, after five seconds of settling. */
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reader/util/clock.h"

enum { TIMES = 9, QUIET_MS = 300, SETTLE_S = 5 };

static int terminal;
static pid_t child;

static void start(char **command)
{
	struct winsize size = {.ws_col = 160, .ws_row = 50};

	child = forkpty(&terminal, NULL, NULL, &size);
	if (child == 0) {
		setenv("TERM", "xterm-256color", 1);
		setenv("LC_ALL", "C.UTF-8", 1);
		execv(command[0], command);
		_exit(127);
	}
}

/* Reads until nothing has come for so long; returns when the last of it came. */
static uint64_t drain(int quiet_ms)
{
	struct pollfd fd = {.fd = terminal, .events = POLLIN};
	uint64_t last_ns = clock_now_ns();
	char bytes[65536];

	while (poll(&fd, 1, quiet_ms) > 0) {
		if (read(terminal, bytes, sizeof(bytes)) <= 0) {
			fprintf(stderr, "pty_bench: the program ended\n");
			exit(1);
		}
		last_ns = clock_now_ns();
	}
	return last_ns;
}

static double press(const char *key)
{
	uint64_t begin_ns = clock_now_ns();

	if (write(terminal, key, strlen(key)) < 0)
		exit(1);
	return (double)(drain(QUIET_MS) - begin_ns) / 1e6;
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static void measure(const char *name, const char *key, const char *back)
{
	double took[TIMES];

	for (int i = 0; i < TIMES; i++) {
		took[i] = press(key);
		if (back)
			press(back);
	}
	qsort(took, TIMES, sizeof(*took), compare);
	printf("%s %.1f %.1f\n", name, took[TIMES / 2], took[TIMES - 1]);
}

static void measure_keys(void)
{
	drain(3000);
	measure("down", "j", NULL);
	measure("page_down", "\033[6~", NULL);
	measure("last", "G", "g");
	measure("sort", "s", NULL);
	press("/");
	measure("filter", "m", "\177");
	press("\033");
	measure("flame", "F", "\033");
	measure("callers", "o", "\033");
	measure("source", "a", "\033");
	measure("threads", "t", "t");
	measure("memory", "2", "1");
}

static long ticks_of(pid_t pid)
{
	char path[64], line[1024] = "", *at;
	unsigned long user = 0, system = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "r");
	if (!file || !fgets(line, sizeof(line), file))
		exit(1);
	fclose(file);
	at = strrchr(line, ')');
	if (!at || sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
			  &system) != 2)
		exit(1);
	return (long)(user + system);
}

static void drain_for(int seconds)
{
	uint64_t end_ns = clock_now_ns() + (uint64_t)seconds * NS_PER_S;

	while (clock_now_ns() < end_ns)
		drain(100);
}

static void measure_idle(int seconds)
{
	long begin;

	drain_for(SETTLE_S);
	begin = ticks_of(child);
	drain_for(seconds);
	printf("cpu_pct %.2f\n",
	       100.0 * (double)(ticks_of(child) - begin) / (double)sysconf(_SC_CLK_TCK) / seconds);
}

int main(int argc, char **argv)
{
	bool is_idle = argc > 3 && strcmp(argv[1], "idle") == 0;
	int status;

	if (!is_idle && (argc < 3 || strcmp(argv[1], "keys") != 0)) {
		fprintf(stderr, "pty_bench keys COMMAND… | pty_bench idle SECONDS COMMAND…\n");
		return 2;
	}
	start(argv + (is_idle ? 3 : 2));
	if (is_idle)
		measure_idle(atoi(argv[2]));
	else
		measure_keys();
	kill(child, SIGTERM);
	waitpid(child, &status, 0);
	return 0;
}
