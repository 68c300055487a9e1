/* heapsignal SECONDS [now]: allocates without a pause, while a timer's handler interrupts it a
 * thousand times a second and allocates too, on a stack of its own: on top of an allocation, often.
 * Linked with an allocator that allows this, ownalloc.so. */
#include "tests/targets/heap_truth.h"

#include <sys/mman.h>
#include <sys/time.h>

enum { STACK_BYTES = 65536 };

static struct site interrupted = {"INTERRUPTED"}, handled = {"HANDLED"};

APART static void on_timer(int number)
{
	void *block = malloc(48); // HANDLED

	(void)number;
	ESCAPE(block);
	handled.allocs++;
	handled.alloc_bytes += 48;
}

APART static void allocate(void)
{
	void *block = malloc(24); // INTERRUPTED

	ESCAPE(block);
	interrupted.allocs++;
	interrupted.alloc_bytes += 24;
}

int main(int argc, char **argv)
{
	uint64_t length_ns = (uint64_t)(number_argument(argc, argv, 1, 1) * 1e9), end;
	stack_t stack = {.ss_size = STACK_BYTES};
	struct itimerval period = {{0, 1000}, {0, 1000}}, off = {{0, 0}, {0, 0}};
	struct sigaction action = {.sa_handler = on_timer, .sa_flags = SA_ONSTACK | SA_RESTART};

	stack.ss_sp =
		mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	block_signals();
	if (stack.ss_sp == MAP_FAILED || sigaltstack(&stack, NULL) ||
	    sigaction(SIGALRM, &action, NULL))
		return 1;
	if (!is_told_now(argc, argv))
		wait_for_go();
	setitimer(ITIMER_REAL, &period, NULL);
	end = wall_ns() + length_ns;
	while (wall_ns() < end)
		allocate();
	setitimer(ITIMER_REAL, &off, NULL);
	print_site(&interrupted);
	print_site(&handled);
	if (!is_told_now(argc, argv))
		linger();
	return 0;
}
