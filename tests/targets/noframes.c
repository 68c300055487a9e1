/* noframes SECONDS [now]: built without frame pointers. On the signal, two threads burn under
 * libc's qsort, 60 calls deep and in a signal handler, a third each of the time. */
#include "tests/targets/target.h"

enum { ITEMS = 32, DEPTH = 60, BURN_ROUNDS = 2000 };

static _Atomic uint64_t sorted_ns, deep_ns, handled_ns;
static double seconds;

APART static int compare_slowly(const void *a, const void *b)
{
	CHURN(BURN_ROUNDS);
	return *(const int *)a - *(const int *)b;
}

APART static void sort_slowly(void)
{
	int items[ITEMS];

	for (int i = 0; i < ITEMS; i++)
		items[i] = i * 7919 % 31;
	qsort(items, ITEMS, sizeof(*items), compare_slowly);
}

APART static void burn_deep(void)
{
	CHURN(BURN_ROUNDS * 100);
}

APART static int descend(int depth)
{
	if (depth == 0) {
		burn_deep();
		return 0;
	}
	return descend(depth - 1) + 1;
}

APART static void handle(int signal)
{
	(void)signal;
	CHURN(BURN_ROUNDS * 100);
}

APART static void interrupt_itself(void)
{
	raise(SIGUSR2);
}

static void spend(void (*work)(void), uint64_t share_ns, _Atomic uint64_t *spent)
{
	uint64_t begin = thread_ns(), now = begin;

	while (now - begin < share_ns) {
		work();
		note_stall();
		now = thread_ns();
	}
	*spent += now - begin;
}

APART static void go_deep(void)
{
	descend(DEPTH);
}

static void *work(void *argument)
{
	uint64_t share_ns = (uint64_t)(seconds * 1e9 / 3 / 20);

	(void)argument;
	for (int round = 0; round < 20; round++) {
		spend(sort_slowly, share_ns, &sorted_ns);
		spend(go_deep, share_ns, &deep_ns);
		spend(interrupt_itself, share_ns, &handled_ns);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = handle};
	pthread_t thread;

	seconds = number_argument(argc, argv, 1, 1);
	sigaction(SIGUSR2, &action, NULL);
	block_signals();
	if (!is_told_now(argc, argv))
		wait_for_go();
	pthread_create(&thread, NULL, work, NULL);
	work(NULL);
	pthread_join(thread, NULL);
	printf("sorted_ns %" PRIu64 "\ndeep_ns %" PRIu64 "\nhandled_ns %" PRIu64 "\n", sorted_ns,
	       deep_ns, handled_ns);
	if (!is_told_now(argc, argv))
		linger();
	return 0;
}
