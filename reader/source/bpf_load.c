#include "reader/source/bpf_load.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf/profile.skel.h"
#include "reader/source/bpf_check.h"
#include "reader/source/bpf_features.h"
#include "reader/source/perf_attr.h"

enum {
	/* Of what libbpf says. */
	LINE_MAX_BYTES = 256,
};

static struct bpf_program *event_program(const struct bpf_loaded *loaded, size_t index)
{
	struct bpf_program *const programs[BPF_EVENTS_MAX] = {
		loaded->skeleton->progs.on_event_0, loaded->skeleton->progs.on_event_1,
		loaded->skeleton->progs.on_event_2, loaded->skeleton->progs.on_event_3,
		loaded->skeleton->progs.on_event_4, loaded->skeleton->progs.on_event_5,
		loaded->skeleton->progs.on_event_6, loaded->skeleton->progs.on_event_7,
	};

	return programs[index];
}

static uint64_t power_of_two(uint64_t wanted, uint64_t least, uint64_t most)
{
	uint64_t bytes = least;

	while (bytes * 2 <= wanted && bytes < most)
		bytes *= 2;
	return bytes;
}

static bool is_want_of_room(int error)
{
	return error == -ENOMEM || error == -EMFILE || error == -ENFILE;
}

static int fail(int error, const char *step, struct err *err)
{
	char line[LINE_MAX_BYTES];

	snprintf(line, sizeof(line), "%s%s", *bpf_log_end() ? " " : "", bpf_log_end());
	/* Where the machine forbids it, the check knows the sentence. */
	if (!is_want_of_room(error) && bpf_check(NULL, err))
		return error;
	err_set(err, is_want_of_room(error) ? ERR_GENERAL : ERR_PERMISSION, 0,
		"The bpf source cannot start: %s failed: %s.%s", step, strerror(-error), line);
	if (error == -ENOMEM)
		err_remedy(err, "Lower --unwind-memory and --buffer, or type: --source perf");
	else if (is_want_of_room(error))
		err_remedy(err, "Raise the limit of open files: ulimit -n 65536");
	else
		err_remedy(err, "Type: --source perf");
	return error;
}

/* Kernels differ in how large a value of an array may be, and tell by refusing the map. */
static int size_arena(struct bpf_loaded *loaded, uint64_t wanted_bytes)
{
	struct bpf_map *map = loaded->skeleton->maps.arena;
	int fd = -ENOMEM, failed;
	uint64_t bytes;

	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
	bytes = power_of_two(wanted_bytes ? wanted_bytes : BPF_ARENA_BYTES_DEFAULT,
			     BPF_ARENA_BYTES_MIN, BPF_ARENA_BYTES_MAX);
	loaded->arena_wanted_bytes = bytes;
	for (; bytes >= BPF_ARENA_BYTES_MIN; bytes /= 2) {
		fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "arena", sizeof(uint32_t), (uint32_t)bytes,
				    1, &options);
		if (fd != -E2BIG && fd != -ENOMEM)
			break;
	}
	if (fd < 0)
		return fd;
	loaded->arena_bytes = bytes;
	loaded->skeleton->rodata->arena_mask = (uint32_t)(bytes / sizeof(uint32_t)) - 1;
	failed = bpf_map__reuse_fd(map, fd);
	close(fd);
	return failed;
}

static int choose_programs(struct bpf_loaded *loaded, const struct source_config *config)
{
	int failed = 0;

	loaded->skeleton->rodata->value_is_period = 0;
	for (size_t i = 0; i < BPF_EVENTS_MAX && !failed; i++) {
		const struct event_kind *kind = i < config->event_count ? config->events[i] : NULL;
		bool is_wait = kind && kind->unit == EVENT_UNIT_TIME;

		loaded->has_switches |= is_wait;
		if (kind && kind->unit == EVENT_UNIT_PERIOD)
			loaded->skeleton->rodata->value_is_period |= 1u << i;
		failed = bpf_program__set_autoload(event_program(loaded, i), kind && !is_wait);
	}
	if (failed)
		return failed;
	return bpf_program__set_autoload(loaded->skeleton->progs.on_switch, loaded->has_switches);
}

/* ---- the heap */

static uint32_t in_65536ths(double value)
{
	return (uint32_t)(value * 65536 + 0.5);
}

/* bpf/heap_sample.bpf.h says what they are for. */
static void fill_heap_tables(struct profile_bpf *skeleton)
{
	volatile uint32_t *gaps = skeleton->rodata->heap_gaps;
	volatile uint32_t *weights = skeleton->rodata->heap_weights;

	weights[0] = in_65536ths(1);
	for (int i = 1; i <= HEAP_TABLE_MAX; i++) {
		double x = (double)i * HEAP_WEIGHT_SPAN / HEAP_TABLE_MAX;

		weights[i] = in_65536ths(x / -expm1(-x));
	}
	for (int i = 0; i < HEAP_TABLE_MAX; i++)
		gaps[i] = in_65536ths(-log1p(-(double)i / HEAP_TABLE_MAX));
	/* There the last cell ends, which programs do not look into. */
	gaps[HEAP_TABLE_MAX] = gaps[HEAP_TABLE_MAX - 1];
}

static int leave_heap_out(struct profile_bpf *skeleton)
{
	struct bpf_map *const maps[] = {skeleton->maps.heap_threads, skeleton->maps.heap_sites,
					skeleton->maps.heap_blocks, skeleton->maps.heap_rooms};
	int failed = 0;

	for (size_t i = 0; i < sizeof(maps) / sizeof(*maps) && !failed; i++)
		failed = bpf_map__set_autocreate(maps[i], false);
	return failed;
}

static uint32_t or_one(uint32_t entries)
{
	return entries ? entries : 1;
}

static int prepare_heap(struct bpf_loaded *loaded, const struct source_config *config)
{
	struct profile_bpf *skeleton = loaded->skeleton;
	enum heap_attach best = bpf_best_attach();
	int cpus = libbpf_num_possible_cpus(), failed;
	bool is_session;

	loaded->has_heap = config->heap != HEAP_MODE_OFF;
	if (!loaded->has_heap)
		return leave_heap_out(skeleton);
	if (best < loaded->heap_attach)
		best = loaded->heap_attach;
	loaded->heap_attach = best;
	is_session = best == HEAP_ATTACH_SESSION;
	fill_heap_tables(skeleton);
	failed = bpf_map__set_max_entries(skeleton->maps.heap_blocks,
					  or_one(config->heap_blocks_max));
	if (!failed)
		failed = bpf_map__set_max_entries(skeleton->maps.heap_sites,
						  or_one(config->heap_stacks_max) + HEAP_SITE_FULL);
	if (!failed)
		failed = bpf_map__set_max_entries(skeleton->maps.heap_rooms,
						  (uint32_t)(cpus > 0 ? cpus : 1) *
							  HEAP_ROOMS_PER_CPU);
	if (!failed)
		failed = bpf_program__set_autoload(skeleton->progs.on_heap_call, true);
	if (!failed)
		failed = bpf_program__set_autoload(skeleton->progs.on_heap_session, is_session);
	if (!failed)
		failed = bpf_program__set_autoload(skeleton->progs.on_heap_return, !is_session);
	if (!failed && best != HEAP_ATTACH_PERF)
		failed = bpf_set_multi(skeleton->progs.on_heap_call) ||
			 bpf_set_multi(skeleton->progs.on_heap_return) ||
			 bpf_set_session(skeleton->progs.on_heap_session);
	return failed;
}

/* The sites that are no stacks are always there. */
static int open_heap(struct bpf_loaded *loaded)
{
	static const uint64_t special[] = {HEAP_SITE_UNTOLD, HEAP_SITE_FULL};
	struct profile_bpf *skeleton = loaded->skeleton;
	struct bpf_heap_site none = {0};
	int failed = 0;

	if (!loaded->has_heap)
		return 0;
	loaded->heap_threads_fd = bpf_map__fd(skeleton->maps.heap_threads);
	loaded->heap_sites_fd = bpf_map__fd(skeleton->maps.heap_sites);
	loaded->heap_blocks_fd = bpf_map__fd(skeleton->maps.heap_blocks);
	loaded->heap_programs = (struct heap_programs){
		.attach = loaded->heap_attach,
		.call_fd = bpf_program__fd(skeleton->progs.on_heap_call),
		.return_fd = bpf_program__fd(skeleton->progs.on_heap_return),
		.session_fd = bpf_program__fd(skeleton->progs.on_heap_session),
	};
	for (size_t i = 0; i < sizeof(special) / sizeof(*special) && !failed; i++)
		failed = bpf_map_update_elem(loaded->heap_sites_fd, &special[i], &none, BPF_ANY);
	return failed;
}

/* ---- all of it */

static int prepare(struct bpf_loaded *loaded, const struct source_config *config)
{
	uint32_t frames = config->frames_max < BPF_FRAMES_MAX ? config->frames_max : BPF_FRAMES_MAX;
	int failed = choose_programs(loaded, config);

	if (!failed)
		failed = prepare_heap(loaded, config);
	if (failed)
		return failed;
	loaded->skeleton->rodata->frames_max = frames ? frames : 1;
	loaded->copy_bytes =
		config->stack_bytes < BPF_COPY_BYTES ? config->stack_bytes : BPF_COPY_BYTES;
	loaded->skeleton->rodata->copy_bytes = loaded->copy_bytes;
	loaded->ring_bytes =
		power_of_two(config->buffer_bytes, BPF_RING_BYTES_MIN, BPF_RING_BYTES_MAX);
	failed =
		bpf_map__set_max_entries(loaded->skeleton->maps.ring, (uint32_t)loaded->ring_bytes);
	return failed ? failed : size_arena(loaded, config->unwind_bytes);
}

static int map_memory(struct bpf_shared_memory *memory, const struct bpf_map *map, size_t bytes)
{
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	void *base;

	bytes = (bytes + page_bytes - 1) / page_bytes * page_bytes;
	base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
	if (base == MAP_FAILED)
		return -errno;
	*memory = (struct bpf_shared_memory){base, bytes};
	return 0;
}

static int map_all(struct bpf_loaded *loaded)
{
	struct profile_bpf *skeleton = loaded->skeleton;
	int failed = map_memory(&loaded->arena, skeleton->maps.arena, loaded->arena_bytes);

	if (!failed)
		failed = map_memory(&loaded->rules, skeleton->maps.rules,
				    BPF_RULES_MAX * sizeof(struct ehframe_rule));
	if (!failed)
		failed = map_memory(&loaded->code, skeleton->maps.code,
				    sizeof(struct bpf_code_lists));
	return failed;
}

/* -errno, or the link is kept by the skeleton and goes with it. */
static int attach_tracepoint(struct bpf_program *program, struct bpf_link **link)
{
	*link = bpf_program__attach_trace(program);
	if (*link)
		return 0;
	return -errno;
}

int bpf_load(struct bpf_loaded *loaded, const struct source_config *config, struct err *err)
{
	struct profile_bpf *skeleton;
	int failed;

	bpf_log_begin();
	skeleton = profile_bpf__open();
	if (!skeleton)
		return fail(-errno, "opening its programs", err);
	loaded->skeleton = skeleton;
	failed = prepare(loaded, config);
	if (failed)
		return fail(failed, "creating its maps", err);
	failed = profile_bpf__load(skeleton);
	if (failed)
		return fail(failed, "loading its programs", err);
	loaded->control = &skeleton->bss->control;
	loaded->ring_fd = bpf_map__fd(skeleton->maps.ring);
	loaded->threads_fd = bpf_map__fd(skeleton->maps.threads);
	loaded->stacks_fd = bpf_map__fd(skeleton->maps.stacks);
	loaded->late_threads_fd = bpf_map__fd(skeleton->maps.late_threads);
	failed = open_heap(loaded);
	if (failed)
		return fail(failed, "writing to its maps", err);
	failed = map_all(loaded);
	if (failed)
		return fail(failed, "mapping the memory of its maps", err);
	loaded->control->target_tgid = (uint32_t)config->target->pid;
	failed = attach_tracepoint(skeleton->progs.on_exec, &skeleton->links.on_exec);
	if (!failed && loaded->has_switches)
		failed = attach_tracepoint(skeleton->progs.on_switch, &skeleton->links.on_switch);
	if (failed)
		return fail(failed, "attaching its programs", err);
	return 0;
}

static void unmap(struct bpf_shared_memory *memory)
{
	if (memory->base)
		munmap(memory->base, memory->bytes);
	*memory = (struct bpf_shared_memory){0};
}

void bpf_unload(struct bpf_loaded *loaded)
{
	if (loaded->ring)
		ring_buffer__free(loaded->ring);
	unmap(&loaded->arena);
	unmap(&loaded->rules);
	unmap(&loaded->code);
	if (loaded->skeleton)
		profile_bpf__destroy(loaded->skeleton);
	*loaded = (struct bpf_loaded){0};
}

int bpf_attach_event(struct bpf_loaded *loaded, size_t event_index, int fd, uint32_t own_tid)
{
	int program = bpf_program__fd(event_program(loaded, event_index));

	/* A link is a descriptor of its own, which a thousand threads would need twice; only a
	 * link has a cookie. */
	if (own_tid) {
		LIBBPF_OPTS(bpf_link_create_opts, options);

		options.perf_event.bpf_cookie = own_tid;
		return bpf_link_create(program, fd, BPF_PERF_EVENT, &options);
	}
	return ioctl(fd, PERF_EVENT_IOC_SET_BPF, program) ? -errno : 0;
}

int bpf_open_ring(struct bpf_loaded *loaded, int (*record)(void *, void *, size_t), void *context)
{
	loaded->ring = ring_buffer__new(loaded->ring_fd, record, context, NULL);
	return loaded->ring ? 0 : -errno;
}

void bpf_read_ring(struct bpf_loaded *loaded)
{
	ring_buffer__consume(loaded->ring);
}
