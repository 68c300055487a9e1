/* agentthrow ROUNDS [now]: exceptions that leave functions which hold blocks, and objects of threads that are
 * destructed at their ends; prints what it did at each site. The block of an exception itself is libstdc++'s:
 * only its calls are known. */
#define _Atomic
#define _Thread_local thread_local
#include "tests/targets/heap_truth.h"

#include <string>
#include <thread>
#include <vector>

static struct site held = {"HELD"}, thrown = {"THROWN"}, of_thread = {"OF_THREAD"}, last = {"LAST"};

struct holder {
	char *bytes;
	size_t size;
	explicit holder(size_t size) : size(size)
	{
		bytes = new char[size]; // HELD
		ESCAPE(bytes);
		note_alloc(&held, bytes, size);
	}
	~holder()
	{
		note_free(&held, bytes, size);
		delete[] bytes;
	}
};

APART static void descend(unsigned depth)
{
	holder one(100 + depth);

	ESCAPE(one.bytes);
	if (depth == 0) {
		thrown.allocs++;
		thrown.frees++;
		throw depth; // THROWN
	}
	descend(depth - 1);
	__asm__ volatile("");
}

/* Allocates once more when its thread is at its end. */
struct of_a_thread {
	char *bytes = nullptr;
	~of_a_thread()
	{
		char *more = static_cast<char *>(malloc(500)); // LAST

		ESCAPE(more);
		note_alloc(&last, more, 500);
		note_free(&of_thread, bytes, 44);
		free(bytes);
	}
};
static thread_local of_a_thread mine;

static void work()
{
	mine.bytes = static_cast<char *>(malloc(44)); // OF_THREAD
	ESCAPE(mine.bytes);
	note_alloc(&of_thread, mine.bytes, 44);
}

int main(int argc, char **argv)
{
	uint64_t rounds = (uint64_t)number_argument(argc, argv, 1, 10);
	bool is_now = is_told_now(argc, argv);

	block_signals();
	if (!is_now)
		wait_for_go();
	for (uint64_t i = 0; i < rounds; i++) {
		try {
			descend((unsigned)(i % 30));
		} catch (unsigned) {
		}
		if (i % 10 == 0)
			std::thread(work).join();
	}
	print_site(&held);
	print_site(&thrown);
	print_site(&of_thread);
	print_site(&last);
	if (!is_now)
		linger();
	return 0;
}
