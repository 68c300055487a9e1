/* sortsig SECONDS [now]: sorts through libc's qsort, interrupted by a signal whose handler runs on
 * a stack of its own and burns there. Prints the CPU time spent in the handler and beside it. */
#include "tests/targets/target.h"

#include <sys/time.h>

enum { ITEMS = 32, COMPARE_ROUNDS = 2000, HANDLER_ROUNDS = 2000000, SIGNAL_US = 4000 };

static volatile uint64_t handled_ns, handled;

APART static int compare_items(const void *a, const void *b)
{
	CHURN(COMPARE_ROUNDS);
	return *(const int *)a - *(const int *)b;
}

APART static void sort_items(void)
{
	int items[ITEMS];

	for (int i = 0; i < ITEMS; i++)
		items[i] = i * 7919 % 31;
	qsort(items, ITEMS, sizeof(*items), compare_items);
}

APART static void handler_burn(void)
{
	CHURN(HANDLER_ROUNDS);
}

/* The next signal comes when this one is over: on a slow machine too, the sort goes on. */
static void ask_for_signal(void)
{
	struct itimerval next = {.it_value = {.tv_usec = SIGNAL_US}};

	setitimer(ITIMER_PROF, &next, NULL);
}

APART static void on_signal(int signal)
{
	uint64_t begin = thread_ns();

	(void)signal;
	handler_burn();
	handled_ns += thread_ns() - begin;
	handled++;
	ask_for_signal();
}

int main(int argc, char **argv)
{
	static char handler_stack[65536];
	stack_t stack = {.ss_sp = handler_stack, .ss_size = sizeof(handler_stack)};
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK | SA_RESTART};
	uint64_t need_ns = (uint64_t)(number_argument(argc, argv, 1, 1) * 1e9);
	struct itimerval off = {0};
	uint64_t begin;

	block_signals();
	if (!is_told_now(argc, argv))
		wait_for_go();
	sigaltstack(&stack, NULL);
	sigaction(SIGPROF, &action, NULL);
	begin = thread_ns();
	ask_for_signal();
	while (thread_ns() - begin < need_ns)
		sort_items();
	setitimer(ITIMER_PROF, &off, NULL);
	begin = thread_ns() - begin;
	printf("cpu_ns %" PRIu64 "\nhandled_ns %" PRIu64 "\nhandled %" PRIu64 "\n", begin,
	       handled_ns, handled);
	if (!is_told_now(argc, argv))
		linger();
	return 0;
}
