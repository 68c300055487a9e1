#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "reader/source/bpf_check.h"
#include "reader/source/bpf_source.h"
#include "reader/util/fmt.h"

enum {
	/* Of all CPUs together at most, and 256 KiB for each of few: records of a process that
	 * starts a thousand others a second fill that in a second. */
	SIDEBAND_BYTES = 4 << 20,
	SIDEBAND_BYTES_CPU = 256 << 10,
};

static int check(struct src_bpf *bpf, struct err *err)
{
	int failed = bpf_check(bpf->config.target, err);

	if (failed)
		return failed;
	permit_read(&bpf->permit);
	return bpf_events_check(&bpf->config, &bpf->permit, err);
}

/* Programs wake the reader rarely, and it is then told once: what comes after that and wakes nobody
 * must not keep it awake. */
static int open_polls(struct src_bpf *bpf)
{
	struct epoll_event interest = {.events = EPOLLIN | EPOLLET};

	bpf->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (bpf->epoll_fd < 0 ||
	    epoll_ctl(bpf->epoll_fd, EPOLL_CTL_ADD, bpf->loaded.ring_fd, &interest))
		return -errno;
	bpf->polls = mem_array(2 + bpf->cpus.list.count, sizeof(*bpf->polls));
	bpf->polls[1] = (struct pollfd){.fd = bpf->epoll_fd, .events = POLLIN};
	for (size_t i = 0; i < bpf->cpus.list.count; i++)
		bpf->polls[2 + i] =
			(struct pollfd){.fd = bpf->cpus.list.items[i].leader_fd, .events = POLLIN};
	return 0;
}

static int open_sideband(struct src_bpf *bpf, struct err *err)
{
	uint64_t bytes = (uint64_t)sysconf(_SC_NPROCESSORS_CONF) * SIDEBAND_BYTES_CPU;
	const char *step;
	int failed =
		perf_cpus_open_sideband(&bpf->cpus, bpf->config.target->pid,
					bytes < SIDEBAND_BYTES ? bytes : SIDEBAND_BYTES, &step);

	bpf->sideband.target_pid = (uint32_t)bpf->config.target->pid;
	if (failed)
		return perf_refuse(&bpf->config, &bpf->permit, failed, step, err);
	return 0;
}

static void note_arena(struct src_bpf *bpf)
{
	char got[FMT_MAX], wanted[FMT_MAX];

	if (bpf->loaded.arena_bytes < bpf->loaded.arena_wanted_bytes)
		perf_notes_add(&bpf->notes,
			       arena_printf(&bpf->notes.arena,
					    "Unwind tables in the kernel have room for %s, not %s: "
					    "this kernel gives no more.",
					    fmt_bytes(got, bpf->loaded.arena_bytes),
					    fmt_bytes(wanted, bpf->loaded.arena_wanted_bytes)));
}

static void set_up_waits(struct src_bpf *bpf)
{
	for (size_t i = 0; i < bpf->config.event_count; i++) {
		if (bpf->config.events[i]->unit != EVENT_UNIT_TIME)
			continue;
		bpf_waits_init(&bpf->waits, (uint32_t)bpf->config.target->pid, (uint32_t)i);
		bpf->waits.start_ns = UINT64_MAX;
		bpf->decoder.waits = &bpf->waits;
	}
}

static void note_heap(struct src_bpf *bpf)
{
	perf_notes_add(&bpf->notes, arena_printf(&bpf->notes.arena, "The heap is not counted: %s",
						 bpf->heap_reason));
}

static int load(struct src_bpf *bpf, struct err *err)
{
	int failed = bpf_heap_load(&bpf->loaded, &bpf->config, &bpf->prices, &bpf->notes.arena,
				   &bpf->heap_reason, err);

	if (!failed && bpf->heap_reason)
		note_heap(bpf);
	return failed;
}

/* Last: the target pays for its probes from here on. */
static void open_heap(struct src_bpf *bpf)
{
	if (!bpf->config.heap || bpf->heap_reason)
		return;
	bpf->heap = bpf_heap_open(&bpf->config, &bpf->loaded, &bpf->prices, &bpf->notes.arena,
				  &bpf->heap_reason);
	bpf->decoder.heap = bpf_heap_books(bpf->heap);
	if (bpf_heap_mode(bpf->heap) == HEAP_MODE_OFF && !bpf->config.start_on_exec)
		note_heap(bpf);
}

int bpf_source_open(struct src_bpf *bpf, struct err *err)
{
	int failed = check(bpf, err);

	if (failed)
		return failed;
	perf_raise_descriptor_limit();
	failed = load(bpf, err);
	if (failed)
		return failed;
	note_arena(bpf);
	bpf->publisher.lists = bpf->loaded.code.base;
	bpf->publisher.rules = bpf->loaded.rules.base;
	bpf->publisher.control = bpf->loaded.control;
	bpf_arena_init(&bpf->publisher.arena, bpf->loaded.arena.base,
		       (uint32_t)(bpf->loaded.arena_bytes / sizeof(uint32_t)));
	set_up_waits(bpf);
	bpf->decoder.target_pid = (uint32_t)bpf->config.target->pid;
	bpf->decoder.event_count = (uint32_t)bpf->config.event_count;
	failed = bpf_open_ring(&bpf->loaded, bpf_record_decode, &bpf->decoder);
	if (failed)
		return perf_refuse(&bpf->config, &bpf->permit, failed, "mapping the ring buffer",
				   err);
	failed = open_sideband(bpf, err);
	if (failed)
		return failed;
	failed = open_polls(bpf);
	if (failed)
		return perf_refuse(&bpf->config, &bpf->permit, failed, "epoll_create", err);
	failed = bpf_events_open(&bpf->events, &bpf->loaded, &bpf->config, &bpf->permit,
				 &bpf->notes, err);
	if (failed)
		return failed;
	open_heap(bpf);
	return 0;
}
