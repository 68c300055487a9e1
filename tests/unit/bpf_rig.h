/* The BPF programs on a child of the test, without the reader's source: the tables of this process,
 * which are the child's too, placed as bpf/profile.bpf.c says, and the records as they come. */
#ifndef RSPROF_TESTS_UNIT_BPF_RIG_H
#define RSPROF_TESTS_UNIT_BPF_RIG_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <link.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "bpf/shared.h"

#include "bpf/profile.skel.h"
#include "reader/unwind/cache.h"
#include "reader/unwind/walk.h"
#include "tests/lib/kit.h"
#include "tests/unit/child.h"

/* A frame of its own on the stack, without frame pointer. */
#define APART                                                                                      \
	__attribute__((noinline, noclone,                                                          \
		       optimize("omit-frame-pointer", "no-optimize-sibling-calls")))

/* Stays on the stack, where walks have to find it. */
#define RIG_MAIN                                                                                   \
	APART int main(int argc, char **argv)                                                      \
	{                                                                                          \
		return kit_main(argc, argv);                                                       \
	}

int main(int argc, char **argv);

enum {
	RIG_ARENA_WORDS = 1 << 20,
	RIG_RING_BYTES = 1 << 23,
	RIG_RECORDS_MAX = 1 << 16,
	RIG_MODULES_MAX = 64,
	RIG_EVENTS_MAX = 64,
	RIG_PCS_MAX = 64,
	/* More than the functions of these tests take. */
	RIG_FUNCTION_BYTES = 400,
	/* PROC_PID_INIT_INO of the kernel. */
	RIG_FIRST_PID_NAMESPACE = 0xEFFFFFFC,
};

/* Executable memory of this process. */
struct rig_module {
	uint64_t start, end, bias;
	const struct unwind_table *table;
};

struct rig {
	struct profile_bpf *skel;
	struct bpf_control *control;
	struct unwind_cache *cache;
	struct rig_module modules[RIG_MODULES_MAX];
	uint32_t module_count;
	uint32_t *arena;
	struct ehframe_rule *rules;
	struct bpf_code_lists *code;
	struct ring_buffer *ring;
	struct bpf_link *links[RIG_EVENTS_MAX];
	uint32_t link_count;
	/* What came, each in memory of its own. */
	struct bpf_record *records[RIG_RECORDS_MAX];
	uint32_t record_count;
};

static inline int rig_quiet(enum libbpf_print_level level, const char *format, va_list arguments)
{
	return level == LIBBPF_WARN && getenv("RIG_LOUD") ? vfprintf(stderr, format, arguments) : 0;
}

/* ---- tables */

/* The vDSO is no file: its image, as one. */
static inline int rig_vdso_fd(uint64_t address)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	int fd = memfd_create("vdso", MFD_CLOEXEC);
	uint64_t start, end;
	char line[512];

	CHECK(maps && fd >= 0);
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64, &start, &end) != 2 || start != address)
			continue;
		CHECK(write(fd, (const void *)start, end - start) == (ssize_t)(end - start));
	}
	fclose(maps);
	return fd;
}

static inline int rig_add_module(struct dl_phdr_info *info, size_t size, void *context)
{
	const char *path = info->dlpi_name[0] ? info->dlpi_name : "/proc/self/exe";
	const struct unwind_table *table = NULL;
	struct rig *rig = context;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		fd = rig_vdso_fd(info->dlpi_addr);
	unwind_cache_get(rig->cache, fd, &table);
	close(fd);
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uint64_t start = info->dlpi_addr + segment->p_vaddr;

		if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X))
			continue;
		CHECK(rig->module_count < RIG_MODULES_MAX);
		rig->modules[rig->module_count++] = (struct rig_module){
			start, start + segment->p_memsz, info->dlpi_addr, table};
	}
	return 0;
}

static inline int rig_by_start(const void *left, const void *right)
{
	const struct rig_module *a = left, *b = right;

	return a->start < b->start ? -1 : a->start > b->start;
}

static inline bool rig_find(void *context, uint64_t address, struct unwind_place *ret_place)
{
	const struct rig *rig = context;

	for (uint32_t i = 0; i < rig->module_count; i++) {
		const struct rig_module *module = &rig->modules[i];

		if (address >= module->start && address < module->end) {
			*ret_place = (struct unwind_place){module->table, module->bias};
			return true;
		}
	}
	return false;
}

/* Writes the list that walks do not use, as the rig's modules, and makes it the one that they use.
 */
static inline void rig_publish(struct rig *rig, uint64_t exec_count)
{
	uint64_t version = rig->control->version + 1;
	struct bpf_code_list *list = &rig->code->list[version & 1];
	uint32_t word = 0;

	for (uint32_t i = 0; i < rig->module_count; i++) {
		const struct rig_module *module = &rig->modules[i];
		const struct unwind_table *table = module->table;
		struct bpf_code *code = &list->code[i];

		*code = (struct bpf_code){
			.start = module->start, .end = module->end, .bias = module->bias};
		if (!table)
			continue;
		code->base = table->base;
		code->page_count = table->page_count;
		code->index = word;
		code->rows = word + table->page_count + 1;
		word = code->rows + table->row_count;
		CHECK(word <= RIG_ARENA_WORDS);
		memcpy(rig->arena + code->index, table->index,
		       (table->page_count + 1) * sizeof(uint32_t));
		memcpy(rig->arena + code->rows, table->rows, table->row_count * sizeof(uint32_t));
	}
	list->count = rig->module_count;
	list->exec_count = exec_count;
	__atomic_store_n(&rig->control->version, version, __ATOMIC_RELEASE);
}

/* The entry that walks use for this address. */
static inline struct bpf_code *rig_code_of(struct rig *rig, const void *address)
{
	struct bpf_code_list *list = &rig->code->list[rig->control->version & 1];

	for (uint32_t i = 0; i < list->count; i++) {
		struct bpf_code *code = &list->code[i];

		if ((uintptr_t)address >= code->start && (uintptr_t)address < code->end)
			return code;
	}
	FAIL("no mapping holds %p", address);
}

/* Code without table. */
static inline void rig_add_code(struct rig *rig, uint64_t start, uint64_t size)
{
	CHECK(rig->module_count < RIG_MODULES_MAX);
	rig->modules[rig->module_count++] =
		(struct rig_module){.start = start, .end = start + size};
}

/* ---- load, attach, read */

static inline void *rig_map(const struct bpf_map *map, size_t size)
{
	void *mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	if (mapped == MAP_FAILED)
		FAIL("mmap of %s: %s", bpf_map__name(map), strerror(errno));
	return mapped;
}

static inline int rig_take(void *context, void *data, size_t size)
{
	struct rig *rig = context;
	struct bpf_record *copy;

	if (rig->record_count == RIG_RECORDS_MAX)
		return 0;
	copy = malloc(size);
	CHECK(copy);
	memcpy(copy, data, size);
	rig->records[rig->record_count++] = copy;
	return 0;
}

/* Opened, with constants to be changed by the test. */
static inline struct rig *rig_open(uint32_t ring_bytes)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct stat namespace;

	CHECK(rig);
	if (stat("/proc/self/ns/pid", &namespace) < 0 ||
	    namespace.st_ino != RIG_FIRST_PID_NAMESPACE)
		SKIP("this is not the first PID namespace, in which BPF programs see threads");
	libbpf_set_print(rig_quiet);
	rig->skel = profile_bpf__open();
	CHECK(rig->skel);
	rig->skel->rodata->arena_mask = RIG_ARENA_WORDS - 1;
	CHECK(bpf_map__set_value_size(rig->skel->maps.arena, RIG_ARENA_WORDS * 4) == 0);
	CHECK(bpf_map__set_max_entries(rig->skel->maps.ring, ring_bytes) == 0);
	return rig;
}

/* The ring, and the tables of this process. */
static inline void rig_read_tables(struct rig *rig)
{
	rig->ring = ring_buffer__new(bpf_map__fd(rig->skel->maps.ring), rig_take, rig, NULL);
	CHECK(rig->ring);
	rig->cache = unwind_cache_new();
	CHECK(rig->cache);
	dl_iterate_phdr(rig_add_module, rig);
	qsort(rig->modules, rig->module_count, sizeof(*rig->modules), rig_by_start);
	memcpy(rig->rules, unwind_cache_rules(rig->cache)->rules,
	       BPF_RULES_MAX * sizeof(*rig->rules));
}

static inline void rig_load(struct rig *rig)
{
	int error = profile_bpf__load(rig->skel);

	if (error == -EPERM || error == -EACCES)
		SKIP("BPF is not permitted here: %s", strerror(-error));
	if (error)
		FAIL("the programs do not load: %s", strerror(-error));
	rig->control = &rig->skel->bss->control;
	rig->arena = rig_map(rig->skel->maps.arena, RIG_ARENA_WORDS * 4);
	rig->rules = rig_map(rig->skel->maps.rules, BPF_RULES_MAX * sizeof(*rig->rules));
	rig->code = rig_map(rig->skel->maps.code, sizeof(*rig->code));
	rig_read_tables(rig);
}

static inline void rig_target(struct rig *rig, pid_t pid)
{
	struct timespec now;

	rig->control->target_tgid = (uint32_t)pid;
	clock_gettime(CLOCK_MONOTONIC, &now);
	rig->control->start_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	rig->control->is_on = 1;
}

static inline void rig_keep(struct rig *rig, struct bpf_link *link)
{
	if (!link)
		FAIL("attach: %s", strerror(errno));
	CHECK(rig->link_count < RIG_EVENTS_MAX);
	rig->links[rig->link_count++] = link;
}

/* cpu-clock on the thread and those that it starts. */
static inline void rig_sample(struct rig *rig, struct bpf_program *program, pid_t tid,
			      uint64_t cookie)
{
	DECLARE_LIBBPF_OPTS(bpf_perf_event_opts, options, .bpf_cookie = cookie);
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.size = sizeof(attr),
		.sample_freq = 999,
		.freq = 1,
		.inherit = 1,
		.disabled = 1,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd < 0)
		FAIL("perf_event_open: %s", strerror(errno));
	rig_keep(rig, bpf_program__attach_perf_event_opts(program, fd, &options));
}

static inline void rig_drain(struct rig *rig)
{
	CHECK(ring_buffer__consume(rig->ring) >= 0);
}

static inline void rig_free(struct rig *rig)
{
	for (uint32_t i = 0; i < rig->link_count; i++)
		bpf_link__destroy(rig->links[i]);
	for (uint32_t i = 0; i < rig->record_count; i++)
		free(rig->records[i]);
	ring_buffer__free(rig->ring);
	munmap(rig->arena, RIG_ARENA_WORDS * 4);
	munmap(rig->rules, BPF_RULES_MAX * sizeof(*rig->rules));
	munmap(rig->code, sizeof(*rig->code));
	profile_bpf__destroy(rig->skel);
	unwind_cache_free(rig->cache);
	free(rig);
}

/* ---- what came */

static inline uint32_t rig_count(const struct rig *rig, uint32_t type)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < rig->record_count; i++)
		count += rig->records[i]->type == type;
	return count;
}

/* How many samples and stacks (type) ended so. */
static inline uint32_t rig_count_ends(const struct rig *rig, uint32_t type, uint8_t end)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < rig->record_count; i++) {
		const struct bpf_sample *sample = (const struct bpf_sample *)rig->records[i];

		count += sample->record.type == type && sample->end == end;
	}
	return count;
}

/* The reader's walk of a copy. */
static inline void rig_walk(struct rig *rig, const struct bpf_copy *copy, __u64 *pcs,
			    uint32_t pc_max, struct unwind_stack *ret_stack)
{
	struct unwind_registers registers = {.rip = copy->rip, .known = 0xffff};
	struct unwind_copy memory = {copy->general[EH_REGISTER_RSP], copy->bytes, copy->size};
	struct unwind_walk walk = {unwind_cache_rules(rig->cache), rig_find, rig, true};

	memcpy(registers.general, copy->general, sizeof(registers.general));
	ret_stack->pcs = (uint64_t *)pcs;
	ret_stack->pc_max = pc_max;
	unwind_walk(&walk, &registers, &memory, ret_stack);
}

static inline uint64_t rig_cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline bool rig_is_in(uint64_t pc, const void *function)
{
	return pc - (uintptr_t)function < RIG_FUNCTION_BYTES;
}

/* Through main to _start, which takes less than 64 bytes. */
static inline void rig_check_rooted(const __u64 *pcs, uint32_t count)
{
	bool has_main = false;

	for (uint32_t i = 0; i < count; i++)
		has_main |= rig_is_in(pcs[i], (const void *)main);
	CHECK(has_main);
	CHECK(pcs[count - 1] - getauxval(AT_ENTRY) < 64);
}

/* ---- a rig on a child */

/* A rig on a child that waits for its start, with everything published. */
static inline struct rig *rig_on(const struct child *child, struct rig *rig)
{
	rig_load(rig);
	child_hear(child);
	rig_publish(rig, 0);
	rig_target(rig, child->pid);
	return rig;
}

/* A child that has told that it is done is sampled on until it waits for its next byte. */
static inline void rig_let_sleep(const struct child *child)
{
	char path[32], line[64] = {0};

	snprintf(path, sizeof(path), "/proc/%d/stat", child->pid);
	for (int i = 0; i < 1000; i++) {
		FILE *file = fopen(path, "re");
		const char *state;

		if (!file)
			return;
		state = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
		fclose(file);
		if (!state || strncmp(state, ") S", 3) == 0)
			return;
		usleep(1000);
	}
}

/* Lets the child do its work; records are read meanwhile. */
static inline void rig_let_work(struct rig *rig, const struct child *child)
{
	struct pollfd fd = {.fd = child->from, .events = POLLIN};

	child_tell(child, 'g');
	while (poll(&fd, 1, 20) == 0)
		rig_drain(rig);
	child_hear(child);
	rig_let_sleep(child);
	rig_drain(rig);
}

#endif
