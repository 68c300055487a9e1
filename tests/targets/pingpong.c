/* pingpong S [now]: on the signal, main and a second thread hand one byte to and fro through two pipes
 * for S seconds: as many switches as there can be. */
#include "tests/targets/target.h"

#include <pthread.h>

static int to_second[2], to_main[2];

APART static void send(int fd)
{
	if (write(fd, "x", 1) != 1)
		exit(1);
}

APART static bool receive(int fd)
{
	char byte;

	return read(fd, &byte, 1) == 1; // RECEIVE
}

static void *answer(void *unused)
{
	(void)unused;
	while (receive(to_second[0]))
		send(to_main[1]);
	close(to_main[1]);
	return NULL;
}

int main(int argc, char **argv)
{
	double seconds = number_argument(argc, argv, 1, 2);
	uint64_t start, rounds = 0;
	pthread_t second;

	block_signals();
	if (pipe(to_second) || pipe(to_main))
		return 1;
	if (!is_told_now(argc, argv))
		wait_for_go();
	start = wall_ns();
	pthread_create(&second, NULL, answer, NULL);
	while (wall_ns() - start < (uint64_t)(seconds * 1e9)) {
		send(to_second[1]);
		receive(to_main[0]);
		rounds++;
	}
	close(to_second[1]);
	pthread_join(second, NULL);
	printf("rounds %" PRIu64 "\nwall_ns %" PRIu64 "\n", rounds, wall_ns() - start);
	if (!is_told_now(argc, argv))
		linger();
	return 0;
}
