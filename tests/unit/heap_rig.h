/* Heap programs on a child of the test, loaded and attached as the source does, with the tables of
 * this process. What is probed is an allocator of the tests' own: a first instruction that the
 * kernel emulates, then a body that hands out libc's memory. */
#ifndef RSPROF_TESTS_UNIT_HEAP_RIG_H
#define RSPROF_TESTS_UNIT_HEAP_RIG_H

#include "reader/source/bpf_load.h"
#include "tests/unit/bpf_rig.h"

/* ---- the allocator */

#define TOY __attribute__((section("toy_text"), noinline, noclone, used))

/* A place that allocates, told apart by its code: nothing else is between two of them. */
#define SITE APART __attribute__((section("toy_sites"), aligned(HEAP_SITE_BYTES)))

enum { HEAP_SITE_BYTES = 2048 };

/* The section's ends, by the linker. */
extern const char __start_toy_text[], __stop_toy_text[];

/* NAME: a nop, which is probed, and a jump to toy_BODY. */
#define TOY_ENTRY(name, body)                                                                      \
	asm(".pushsection toy_text, \"ax\"\n"                                                      \
	    ".globl " #name "\n.type " #name ", @function\n" #name ":\n"                           \
	    ".cfi_startproc\nnop\njmp " #body "\n.cfi_endproc\n"                                   \
	    ".size " #name ", . - " #name "\n.popsection")

void *toy_malloc(size_t size);
void *toy_calloc(size_t count, size_t size);
void *toy_realloc(void *old, size_t size);
void *toy_reallocarray(void *old, size_t count, size_t size);
int toy_memalign(void **out, size_t alignment, size_t size);
void *toy_jump(size_t size);   /* jumps to toy_malloc */
void *toy_within(size_t size); /* calls toy_malloc */
void toy_free(void *block);
void *toy_mmap(void *address, size_t size, int protection, int flags, int fd, long offset);
int toy_munmap(void *address, size_t size);
void *toy_sbrk(intptr_t increment);

struct toy {
	void *function;
	uint32_t call, size_argument, pointer_argument;
	bool wants_return;
};

extern const struct toy toys[];
extern const size_t toy_count;

/* ---- the rig */

enum {
	HEAP_RIG_BLOCKS = 1 << 16,
	HEAP_RIG_STACKS = 1 << 12,
};

struct heap_rig {
	struct rig rig;
	struct bpf_loaded loaded;
	struct heap_probes probes;
	struct target target;
	struct source_config config;
};

/* The configuration can be changed before heap_rig_load. */
static inline struct heap_rig *heap_rig_open(void)
{
	struct heap_rig *heap = calloc(1, sizeof(*heap));
	struct stat namespace;

	CHECK(heap);
	if (stat("/proc/self/ns/pid", &namespace) < 0 ||
	    namespace.st_ino != RIG_FIRST_PID_NAMESPACE)
		SKIP("this is not the first PID namespace, in which BPF programs see threads");
	heap->config = (struct source_config){
		.target = &heap->target,
		.frames_max = 127,
		.stack_bytes = BPF_COPY_BYTES,
		.buffer_bytes = RIG_RING_BYTES,
		.unwind_bytes = RIG_ARENA_WORDS * sizeof(uint32_t),
		.heap = HEAP_MODE_EXACT,
		.heap_blocks_max = HEAP_RIG_BLOCKS,
		.heap_stacks_max = HEAP_RIG_STACKS,
	};
	return heap;
}

/* For this child, with everything published; mode is off until heap_rig_begin. */
static inline void heap_rig_load(struct heap_rig *heap, pid_t pid, enum heap_attach attach)
{
	struct rig *rig = &heap->rig;
	struct err err = {0};
	int failed;

	heap->target.pid = pid;
	heap->loaded.heap_attach = attach;
	failed = bpf_load(&heap->loaded, &heap->config, &err);
	if (failed == -EPERM || failed == -EACCES)
		SKIP("BPF is not permitted here: %s", err.sentence);
	if (failed)
		FAIL("%s", err.sentence);
	if (heap->loaded.heap_programs.attach != attach && heap->loaded.has_heap)
		SKIP("this kernel cannot attach programs in this way");
	CHECK_EQ_U64(heap->loaded.arena_bytes, RIG_ARENA_WORDS * sizeof(uint32_t));
	rig->skel = heap->loaded.skeleton;
	rig->control = heap->loaded.control;
	rig->arena = heap->loaded.arena.base;
	rig->rules = heap->loaded.rules.base;
	rig->code = heap->loaded.code.base;
	rig_read_tables(rig);
	rig_publish(rig, 0);
	rig_target(rig, pid);
	rig->control->heap_layers[0].start = (uintptr_t)__start_toy_text;
	rig->control->heap_layers[0].end = (uintptr_t)__stop_toy_text;
}

/* Where an address of this process is in its file. */
static inline uint64_t heap_rig_file_offset(const void *address)
{
	uint64_t start, end, offset, at = (uintptr_t)address;
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];

	CHECK(maps);
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64, &start, &end, &offset) ==
			    3 &&
		    at >= start && at < end) {
			fclose(maps);
			return at - start + offset;
		}
	}
	FAIL("%p is not mapped", address);
}

static inline void heap_rig_add(struct heap_rig *heap, const char *path,
				const struct heap_probe *list, size_t count)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), failed;

	CHECK(fd >= 0);
	failed = heap_probes_add(&heap->probes, &heap->loaded.heap_programs, heap->target.pid, fd,
				 list, count);
	close(fd);
	if (failed)
		FAIL("probes: %s", strerror(-failed));
}

static inline void heap_rig_probe_toys_in(struct heap_rig *heap, const char *path)
{
	struct heap_probe list[32];

	CHECK(toy_count <= 32);
	for (size_t i = 0; i < toy_count; i++)
		list[i] = (struct heap_probe){
			.file_offset = heap_rig_file_offset(toys[i].function),
			.cookie = HEAP_COOKIE(toys[i].call, 0, toys[i].size_argument,
					      toys[i].pointer_argument, false),
			.wants_return = toys[i].wants_return,
			.is_free = toys[i].call == HEAP_CALL_FREE,
		};
	heap_rig_add(heap, path, list, toy_count);
}

static inline void heap_rig_probe_toys(struct heap_rig *heap)
{
	heap_rig_probe_toys_in(heap, "/proc/self/exe");
}

/* A rig on a child that waits for its start, with the toys probed. */
static inline struct heap_rig *heap_rig_on(const struct child *child, struct heap_rig *heap,
					   enum heap_attach attach, enum bpf_heap_mode mode)
{
	child_hear(child);
	heap_rig_load(heap, child->pid, attach);
	heap_rig_probe_toys(heap);
	heap->rig.control->heap_mode = mode;
	return heap;
}

static inline void heap_rig_free(struct heap_rig *heap)
{
	struct rig *rig = &heap->rig;

	heap_probes_done(&heap->probes);
	for (uint32_t i = 0; i < rig->link_count; i++)
		bpf_link__destroy(rig->links[i]);
	for (uint32_t i = 0; i < rig->record_count; i++)
		free(rig->records[i]);
	ring_buffer__free(rig->ring);
	unwind_cache_free(rig->cache);
	bpf_unload(&heap->loaded);
	free(heap);
}

/* ---- what was counted */

static inline void heap_rig_add_site(struct bpf_heap_site *sum, const struct bpf_heap_site *site)
{
	const __u64 *from = (const __u64 *)site;
	__u64 *to = (__u64 *)sum;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += from[i];
}

/* The stack told for a key; NULL: none. */
static inline const struct bpf_sample *heap_rig_stack(const struct rig *rig, uint64_t key)
{
	for (uint32_t i = 0; i < rig->record_count; i++) {
		const struct bpf_sample *sample = (const struct bpf_sample *)rig->records[i];

		if (sample->record.type == BPF_RECORD_HEAP_STACK && sample->stack == key)
			return sample;
	}
	return NULL;
}

/* Of all sites whose stack has passed through this SITE; of all where it is NULL. */
static inline struct bpf_heap_site heap_rig_sum(struct heap_rig *heap, const void *function)
{
	bpf_heap_site_rows rows = {0};
	struct bpf_heap_site sum = {0};

	rig_drain(&heap->rig);
	bpf_read_heap_sites(&heap->loaded, &rows);
	for (size_t i = 0; i < rows.count; i++) {
		const struct bpf_sample *stack = heap_rig_stack(&heap->rig, rows.items[i].key);
		bool is_in = !function;

		for (uint32_t j = 0; stack && j < stack->pc_count && !is_in; j++)
			is_in = stack->pcs[j] - (uintptr_t)function < HEAP_SITE_BYTES;
		if (is_in)
			heap_rig_add_site(&sum, &rows.items[i].site);
	}
	vec_done(&rows);
	return sum;
}

static inline uint64_t heap_rig_block_count(struct heap_rig *heap)
{
	uint64_t key, next, *before = NULL, count = 0;

	while (!bpf_map_get_next_key(heap->loaded.heap_blocks_fd, before, &next)) {
		key = next;
		before = &key;
		count++;
	}
	return count;
}

#endif
