/* Unit tests: each TEST runs in a child of its own, so a crash, a hang or a leaked descriptor is
 * one failure and no more. A test that cannot run here calls SKIP with its reason.
 *
 *     TEST(durations_round_trip) { CHECK_EQ_U64(x, 5); }
 *     KIT_MAIN
 *
 * Prints a line a test, "ok NAME", "not ok NAME: …" or "skip NAME: reason", which tests/run counts.
 */
#ifndef RSPROF_TESTS_LIB_KIT_H
#define RSPROF_TESTS_LIB_KIT_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct kit_test {
	const char *name;
	void (*run)(void);
	struct kit_test *next;
};

void kit_register(struct kit_test *test);
int kit_main(int argc, char **argv);
void kit_fail(const char *file, int line, const char *format, ...)
	__attribute__((noreturn, format(printf, 3, 4)));
void kit_skip(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
/* A new empty folder, removed when the test ends. */
const char *kit_folder(void);

#define TEST(test_name)                                                                            \
	static void test_name(void);                                                               \
	static struct kit_test kit_##test_name = {#test_name, test_name, NULL};                    \
	__attribute__((constructor)) static void kit_add_##test_name(void)                         \
	{                                                                                          \
		kit_register(&kit_##test_name);                                                    \
	}                                                                                          \
	static void test_name(void)

#define KIT_MAIN                                                                                   \
	int main(int argc, char **argv)                                                            \
	{                                                                                          \
		return kit_main(argc, argv);                                                       \
	}

#define SKIP(...) kit_skip(__VA_ARGS__)
#define FAIL(...) kit_fail(__FILE__, __LINE__, __VA_ARGS__)

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			FAIL("%s", #condition);                                                    \
	} while (0)

#define CHECK_EQ_U64(got, want)                                                                    \
	do {                                                                                       \
		uint64_t kit_got = (got), kit_want = (want);                                       \
		if (kit_got != kit_want)                                                           \
			FAIL("%s is %" PRIu64 ", not %" PRIu64, #got, kit_got, kit_want);          \
	} while (0)

#define CHECK_EQ_I64(got, want)                                                                    \
	do {                                                                                       \
		int64_t kit_got = (got), kit_want = (want);                                        \
		if (kit_got != kit_want)                                                           \
			FAIL("%s is %" PRId64 ", not %" PRId64, #got, kit_got, kit_want);          \
	} while (0)

#define CHECK_EQ_STR(got, want)                                                                    \
	do {                                                                                       \
		const char *kit_got = (got), *kit_want = (want);                                   \
		if (!kit_got || strcmp(kit_got, kit_want))                                         \
			FAIL("%s is \"%s\", not \"%s\"", #got, kit_got ? kit_got : "(null)",       \
			     kit_want);                                                            \
	} while (0)

#define CHECK_BETWEEN(got, low, high)                                                              \
	do {                                                                                       \
		double kit_got = (double)(got), kit_low = (double)(low),                           \
		       kit_high = (double)(high);                                                  \
		if (!(kit_got >= kit_low && kit_got <= kit_high))                                  \
			FAIL("%s is %g, not within %g..%g", #got, kit_got, kit_low, kit_high);     \
	} while (0)

#endif
