/* The child that holds probes: whatever ends those it holds them for, none is left. */
#include <signal.h>
#include <time.h>

#include "tests/unit/heap_toys.h"

enum {
	/* Of the kill: while probes are removed, and after. */
	MOMENTS = 5,
	MOMENT_NS = 4 * 1000 * 1000,
	PATIENCE_MS = 10000,
};

static void waits(const void *argument)
{
	child_ready();
	for (;;)
		pause();
}

static uint8_t first_byte(pid_t pid, const void *function)
{
	char path[64];
	uint8_t byte;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK_EQ_I64(pread(fd, &byte, 1, (off_t)(uintptr_t)function), 1);
	close(fd);
	return byte;
}

static size_t probes_in(pid_t pid)
{
	size_t count = 0;

	for (size_t i = 0; i < toy_count; i++)
		count += first_byte(pid, toys[i].function) == 0xcc;
	return count;
}

static void pause_ns(long ns)
{
	nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
}

/* What is killed: it has placed probes, and removes them. */
static void remove_probes(struct heap_rig *heap, int told)
{
	struct heap_keeper keeper;

	CHECK_EQ_I64(heap_keeper_start(&keeper, &heap->loaded.heap_programs), 0);
	heap->loaded.heap_programs.keeper = &keeper;
	heap_rig_probe_toys(heap);
	CHECK_EQ_I64(write(told, "p", 1), 1);
	heap_probes_done(&heap->probes);
	for (;;)
		pause();
}

static void kill_in_moment(struct heap_rig *heap, pid_t target, int moment)
{
	int ends[2], waited = 0;
	char byte;
	pid_t pid;

	CHECK_EQ_I64(pipe(ends), 0);
	pid = fork();
	if (pid == 0)
		remove_probes(heap, ends[1]);
	close(ends[1]);
	CHECK_EQ_I64(read(ends[0], &byte, 1), 1);
	pause_ns((long)moment * MOMENT_NS);
	kill(pid, SIGKILL);
	CHECK_EQ_I64(waitpid(pid, NULL, 0), pid);
	/* The other end of the pipe is not kept open by who holds the probes. */
	CHECK_EQ_I64(read(ends[0], &byte, 1), 0);
	close(ends[0]);
	while (probes_in(target) && waited++ < PATIENCE_MS)
		pause_ns(1000 * 1000);
	CHECK_EQ_U64(probes_in(target), 0);
}

TEST(probes_go_once_who_placed_them_is_killed)
{
	struct child child = child_fork(waits, NULL);
	struct heap_rig *heap = heap_rig_open();

	child_hear(&child);
	heap_rig_load(heap, child.pid, HEAP_ATTACH_SESSION);
	for (int moment = 0; moment < MOMENTS; moment++)
		kill_in_moment(heap, child.pid, moment);
	heap_rig_free(heap);
	child_end(&child);
}

TEST(who_holds_the_probes_takes_them_along)
{
	struct child child = child_fork(waits, NULL);
	struct heap_rig *heap = heap_rig_open();
	struct heap_keeper keeper;

	child_hear(&child);
	heap_rig_load(heap, child.pid, HEAP_ATTACH_SESSION);
	CHECK_EQ_I64(heap_keeper_start(&keeper, &heap->loaded.heap_programs), 0);
	heap->loaded.heap_programs.keeper = &keeper;
	heap_rig_probe_toys(heap);
	CHECK_EQ_U64(probes_in(child.pid), toy_count);
	heap_probes_drop_frees(&heap->probes);
	CHECK_EQ_U64(probes_in(child.pid), toy_count - 1);
	CHECK(!heap_keeper_is_gone(&keeper));
	kill(keeper.pid, SIGKILL);
	for (int i = 0; i < PATIENCE_MS && !heap_keeper_is_gone(&keeper); i++)
		pause_ns(1000 * 1000);
	CHECK(heap_keeper_is_gone(&keeper));
	for (int i = 0; i < PATIENCE_MS && probes_in(child.pid); i++)
		pause_ns(1000 * 1000);
	CHECK_EQ_U64(probes_in(child.pid), 0);
	heap_probes_done(&heap->probes);
	heap_keeper_end(&keeper);
	heap_rig_free(heap);
	child_end(&child);
}

KIT_MAIN
