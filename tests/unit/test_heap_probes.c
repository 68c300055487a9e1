/* Probes: where they can be placed, whom they see, and that nothing of them is left. */
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>

#include "tests/unit/heap_toys.h"

enum { TIMES = 50, TEXT_BYTES = 16 };

static const enum heap_attach all_ways[] = {HEAP_ATTACH_SESSION, HEAP_ATTACH_MULTI,
					    HEAP_ATTACH_PERF};

enum { WAYS = sizeof(all_ways) / sizeof(*all_ways) };

APART static void allocate_often(void)
{
	for (int i = 0; i < TIMES; i++)
		toy_free(toy_malloc(8));
}

static void turns(const void *argument)
{
	child_ready();
	for (;;) {
		child_await();
		allocate_often();
		child_ready();
	}
}

static void *in_thread(void *argument)
{
	allocate_often();
	return NULL;
}

static void turns_in_threads(const void *argument)
{
	pthread_t thread;

	child_ready();
	for (;;) {
		child_await();
		pthread_create(&thread, NULL, in_thread, NULL);
		pthread_join(thread, NULL);
		child_ready();
	}
}

static uint64_t allocs_of(struct heap_rig *heap)
{
	return heap_rig_sum(heap, NULL).allocs / HEAP_ONE;
}

static uint64_t frees_of(struct heap_rig *heap)
{
	return heap_rig_sum(heap, NULL).frees / HEAP_ONE;
}

/* The child's code, which is where it is in this process, too. */
static void read_text(pid_t pid, uint8_t text[][TEXT_BYTES])
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	for (size_t i = 0; i < toy_count; i++)
		CHECK(pread(fd, text[i], TEXT_BYTES, (off_t)(uintptr_t)toys[i].function) ==
		      TEXT_BYTES);
	close(fd);
}

TEST(nothing_is_left_of_them)
{
	uint8_t before[32][TEXT_BYTES], meanwhile[32][TEXT_BYTES], after[32][TEXT_BYTES];

	for (int way = 0; way < WAYS; way++) {
		struct child child = child_fork(turns, NULL);
		struct heap_rig *heap;

		memset(before, 0, sizeof(before));
		memset(after, 0, sizeof(after));
		heap = heap_rig_open();
		child_hear(&child);
		heap_rig_load(heap, child.pid, all_ways[way]);
		read_text(child.pid, before);
		heap_rig_probe_toys(heap);
		CHECK_EQ_U64(heap->probes.count, toy_count);
		heap->rig.control->heap_mode = BPF_HEAP_EXACT;
		rig_let_work(&heap->rig, &child);
		read_text(child.pid, meanwhile);
		for (size_t i = 0; i < toy_count; i++)
			CHECK_EQ_U64(meanwhile[i][0], 0xcc);
		CHECK_EQ_U64(allocs_of(heap), TIMES);
		heap_probes_done(&heap->probes);
		CHECK_EQ_U64(heap->probes.count, 0);
		rig_let_work(&heap->rig, &child);
		CHECK_EQ_U64(allocs_of(heap), TIMES);
		read_text(child.pid, after);
		CHECK(memcmp(before, after, sizeof(before)) == 0);
		heap_rig_free(heap);
		child_end(&child);
	}
}

TEST(frees_can_be_dropped_alone)
{
	for (int way = 0; way < WAYS; way++) {
		struct child child = child_fork(turns, NULL);
		struct heap_rig *heap =
			heap_rig_on(&child, heap_rig_open(), all_ways[way], BPF_HEAP_EXACT);
		uint64_t count = heap->probes.count;

		rig_let_work(&heap->rig, &child);
		CHECK_EQ_U64(frees_of(heap), TIMES);
		heap_probes_drop_frees(&heap->probes);
		CHECK_EQ_U64(heap->probes.count, count - 1);
		rig_let_work(&heap->rig, &child);
		CHECK_EQ_U64(allocs_of(heap), 2 * TIMES);
		/* A block that is allocated where another one is known to be: that has been freed,
		 * so that the last one alone seems to live. */
		CHECK_EQ_U64(frees_of(heap), 2 * TIMES - heap_rig_block_count(heap));
		heap_rig_free(heap);
		child_end(&child);
	}
}

TEST(other_threads_are_seen)
{
	for (int way = 0; way < WAYS; way++) {
		struct child child = child_fork(turns_in_threads, NULL);
		struct heap_rig *heap =
			heap_rig_on(&child, heap_rig_open(), all_ways[way], BPF_HEAP_EXACT);
		bpf_heap_thread_rows rows = {0};

		rig_let_work(&heap->rig, &child);
		rig_let_work(&heap->rig, &child);
		CHECK_EQ_U64(allocs_of(heap), 2 * TIMES);
		bpf_read_heap_threads(&heap->loaded, &rows);
		for (size_t i = 0; i < rows.count; i++)
			CHECK(rows.items[i].tid != (uint32_t)child.pid);
		CHECK(rows.count >= 1);
		vec_done(&rows);
		heap_rig_free(heap);
		child_end(&child);
	}
}

TEST(other_processes_are_not_seen)
{
	for (int way = 0; way < WAYS; way++) {
		struct child child = child_fork(turns, NULL), other = child_start(turns, NULL);
		struct heap_rig *heap =
			heap_rig_on(&child, heap_rig_open(), all_ways[way], BPF_HEAP_EXACT);

		rig_let_work(&heap->rig, &other);
		CHECK_EQ_U64(allocs_of(heap), 0);
		rig_let_work(&heap->rig, &child);
		CHECK_EQ_U64(allocs_of(heap), TIMES);
		heap_rig_free(heap);
		child_end(&child);
		child_end(&other);
	}
}

/* Those that were placed before stay. */
TEST(a_file_that_cannot_be_probed_is_refused)
{
	for (int way = 0; way < WAYS; way++) {
		struct child child = child_fork(turns, NULL);
		struct heap_rig *heap =
			heap_rig_on(&child, heap_rig_open(), all_ways[way], BPF_HEAP_EXACT);
		size_t count = heap->probes.count;
		const struct heap_probe list[] = {
			{.file_offset = heap_rig_file_offset((const void *)main)},
			{.file_offset = UINT64_C(1) << 40, .is_free = true},
		};
		int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC),
		    null = open("/dev/null", O_RDONLY | O_CLOEXEC);

		CHECK(heap_probes_add(&heap->probes, &heap->loaded.heap_programs, child.pid, fd,
				      list, 2) < 0);
		CHECK(heap_probes_add(&heap->probes, &heap->loaded.heap_programs, child.pid, null,
				      list, 1) < 0);
		CHECK_EQ_U64(heap->probes.count, count);
		rig_let_work(&heap->rig, &child);
		CHECK_EQ_U64(allocs_of(heap), TIMES);
		close(fd);
		close(null);
		heap_rig_free(heap);
		child_end(&child);
	}
}

TEST(nothing_to_probe_is_nothing)
{
	struct child child = child_fork(turns, NULL);
	struct heap_rig *heap = heap_rig_open();

	child_hear(&child);
	heap_rig_load(heap, child.pid, HEAP_ATTACH_SESSION);
	heap_rig_add(heap, "/proc/self/exe", NULL, 0);
	CHECK_EQ_U64(heap->probes.count, 0);
	heap_rig_free(heap);
	child_end(&child);
}

/* ---- files that are not where they were */

static void exec_copy(const void *path)
{
	execl(path, (const char *)path, "--turns", (char *)NULL);
	_exit(127);
}

/* In a mount namespace of its own, where the file is on a file system that nobody else sees. */
static void exec_apart(const void *folder)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/apart", (const char *)folder);
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", folder, "tmpfs", 0, NULL) < 0)
		_exit(1);
	copy_file("/proc/self/exe", path);
	exec_copy(path);
}

/* Of the program that the child runs, which is a copy of this one. */
static void count_in_copy(struct child *child, enum heap_attach way)
{
	struct heap_rig *heap = heap_rig_open();
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/exe", child->pid);
	heap_rig_load(heap, child->pid, way);
	heap_rig_probe_toys_in(heap, path);
	heap->rig.control->heap_mode = BPF_HEAP_EXACT;
	rig_let_work(&heap->rig, child);
	CHECK_EQ_U64(allocs_of(heap), TIMES);
	CHECK_EQ_U64(frees_of(heap), TIMES);
	heap_rig_free(heap);
}

TEST(a_deleted_file_can_be_probed)
{
	char path[512];

	for (int way = 0; way < WAYS; way++) {
		struct child child;

		snprintf(path, sizeof(path), "%s/copy-%d", kit_folder(), way);
		copy_file("/proc/self/exe", path);
		child = child_start(exec_copy, path);
		CHECK(unlink(path) == 0);
		count_in_copy(&child, all_ways[way]);
		child_end(&child);
	}
}

TEST(a_file_of_another_mount_namespace_can_be_probed)
{
	if (geteuid() != 0)
		SKIP("needs root, to mount a file system");
	for (int way = 0; way < WAYS; way++) {
		struct child child = child_start(exec_apart, kit_folder());

		count_in_copy(&child, all_ways[way]);
		child_end(&child);
	}
}

APART int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--turns") == 0)
		turns(NULL);
	return kit_main(argc, argv);
}
