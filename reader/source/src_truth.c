#include "reader/source/src_truth.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "reader/source/bpf_check.h"
#include "reader/source/bpf_code.h"
#include "reader/source/bpf_load.h"
#include "reader/source/bpf_records.h"
#include "reader/source/perf_open.h"
#include "reader/util/clock.h"

struct src_truth {
	struct source base;
	struct source_config config;
	struct bpf_loaded loaded;
	struct bpf_publisher publisher;
	struct bpf_decoder walks;
	struct perf_set set;
	struct perf_decoder copies;
	struct pollfd *polls; /* wake_fd, then the rings' leaders */
	bool is_stopped, told_start;
	/* As far as they have been told. */
	uint64_t told_ring_full, told_tables_full, told_code_full, told_bad;
	source_sink sink; /* of the drain under way */
	void *context;
};

static struct src_truth *src_truth_of(struct source *source)
{
	return (struct src_truth *)source;
}

static void src_truth_close(struct source *source)
{
	struct src_truth *truth = src_truth_of(source);

	if (!truth)
		return;
	perf_set_close(&truth->set);
	perf_decoder_done(&truth->copies);
	bpf_publisher_done(&truth->publisher);
	bpf_unload(&truth->loaded);
	free(truth->polls);
	free(truth);
}

static int attach(struct src_truth *truth, struct err *err)
{
	for (size_t i = 0; i < truth->set.counters.count; i++) {
		int failed = bpf_attach_event(&truth->loaded, TRUTH_WALKED,
					      truth->set.counters.items[i].fd, 0);
		struct permit permit;

		if (failed >= 0)
			continue;
		permit_read(&permit);
		return perf_refuse(&truth->config, &permit, failed, "attaching a BPF program", err);
	}
	return 0;
}

static int open_all(struct src_truth *truth, struct err *err)
{
	struct permit permit;
	int failed = bpf_check(truth->config.target, err);

	if (failed)
		return failed;
	permit_read(&permit);
	failed = bpf_load(&truth->loaded, &truth->config, err);
	if (failed)
		return failed;
	truth->publisher.lists = truth->loaded.code.base;
	truth->publisher.rules = truth->loaded.rules.base;
	truth->publisher.control = truth->loaded.control;
	bpf_arena_init(&truth->publisher.arena, truth->loaded.arena.base,
		       (uint32_t)(truth->loaded.arena_bytes / sizeof(uint32_t)));
	truth->walks.target_pid = (uint32_t)truth->config.target->pid;
	truth->walks.event_count = 1;
	failed = bpf_open_ring(&truth->loaded, bpf_record_decode, &truth->walks);
	if (failed)
		return perf_refuse(&truth->config, &permit, failed, "mapping the ring buffer", err);
	failed = perf_set_open(&truth->set, &truth->copies, &truth->config, err);
	return failed ? failed : attach(truth, err);
}

static int src_truth_open(const struct source_config *config, struct source **ret_source,
			  struct err *err)
{
	struct src_truth *truth = mem_zalloc(sizeof(*truth));
	int failed;

	truth->base.ops = &source_truth;
	truth->config = *config;
	failed = open_all(truth, err);
	if (failed) {
		src_truth_close(&truth->base);
		return failed;
	}
	truth->polls = mem_array(1 + truth->set.cpus.list.count, sizeof(*truth->polls));
	for (size_t i = 0; i < truth->set.cpus.list.count; i++)
		truth->polls[1 + i] = (struct pollfd){.fd = truth->set.cpus.list.items[i].leader_fd,
						      .events = POLLIN};
	*ret_source = &truth->base;
	return 0;
}

static void set_all(struct src_truth *truth, unsigned long request)
{
	for (size_t i = 0; i < truth->set.counters.count; i++)
		ioctl(truth->set.counters.items[i].fd, request, 0);
}

static int src_truth_start(struct source *source, struct err *err)
{
	struct src_truth *truth = src_truth_of(source);
	struct bpf_control *control = truth->loaded.control;

	control->start_ns = clock_now_ns();
	control->is_checked = 1;
	__atomic_store_n(&control->is_on, 1, __ATOMIC_SEQ_CST);
	set_all(truth, PERF_EVENT_IOC_ENABLE);
	return 0;
}

static void src_truth_stop(struct source *source)
{
	struct src_truth *truth = src_truth_of(source);

	if (!truth->is_stopped)
		set_all(truth, PERF_EVENT_IOC_DISABLE);
	__atomic_store_n(&truth->loaded.control->is_on, 0, __ATOMIC_SEQ_CST);
	truth->is_stopped = true;
}

static uint64_t read_counter(const __u64 *counter)
{
	return __atomic_load_n(counter, __ATOMIC_ACQUIRE);
}

static uint64_t src_truth_code_epoch(struct source *source)
{
	return read_counter(&src_truth_of(source)->loaded.control->exec_count);
}

static void src_truth_set_code(struct source *source, uint64_t epoch,
			       const struct source_code *code, size_t count,
			       const struct unwind_rules *rules)
{
	bpf_publish(&src_truth_of(source)->publisher, epoch, code, count, rules);
}

static void on_copy(void *context, const struct event *event)
{
	struct src_truth *truth = context;
	struct event copied = *event;

	if (event->type == EVENT_SAMPLE)
		copied.sample.event_index = TRUTH_COPIED;
	truth->sink(truth->context, &copied);
}

static void tell_more(struct src_truth *truth, enum loss_cause cause, uint64_t now, uint64_t *told)
{
	if (now > *told)
		perf_decoder_lost(&truth->copies, clock_now_ns(), cause, now - *told);
	*told = now;
}

static int src_truth_drain(struct source *source, source_sink sink, void *context)
{
	struct src_truth *truth = src_truth_of(source);

	truth->sink = truth->walks.sink = sink;
	truth->context = truth->walks.context = context;
	truth->copies.sink = on_copy;
	truth->copies.context = truth;
	if (!truth->told_start && truth->set.threads_not_opened)
		perf_decoder_lost(&truth->copies, clock_now_ns(), LOSS_THREADS_NOT_OPENED,
				  truth->set.threads_not_opened);
	truth->told_start = true;
	for (size_t i = 0; i < truth->set.cpus.list.count; i++) {
		if (!perf_ring_read(&truth->set.cpus.list.items[i].ring, perf_record_decode,
				    &truth->copies))
			perf_decoder_lost(&truth->copies, clock_now_ns(), LOSS_BAD_RECORD, 1);
	}
	bpf_read_ring(&truth->loaded);
	tell_more(truth, LOSS_RING_FULL, read_counter(&truth->loaded.control->ring_full),
		  &truth->told_ring_full);
	tell_more(truth, LOSS_TABLES_FULL, truth->publisher.tables_full, &truth->told_tables_full);
	tell_more(truth, LOSS_CODE_FULL, truth->publisher.code_full, &truth->told_code_full);
	tell_more(truth, LOSS_BAD_RECORD, truth->walks.bad_count, &truth->told_bad);
	return 0;
}

static void src_truth_wait(struct source *source, int wake_fd, int timeout_ms)
{
	struct src_truth *truth = src_truth_of(source);

	/* A negative descriptor is passed over by poll. */
	truth->polls[0] = (struct pollfd){.fd = wake_fd, .events = POLLIN};
	poll(truth->polls, 1 + truth->set.cpus.list.count, timeout_ms);
}

static void src_truth_describe(const struct source *source, struct arena *arena,
			       struct source_facts *ret_facts)
{
	const struct src_truth *truth = (const struct src_truth *)source;

	*ret_facts = (struct source_facts){
		.name = "bpf",
		.stacks = "unwind tables",
		.user_time_only = !truth->set.plan.with_kernel,
		.buffer_bytes = truth->set.cpus.got_bytes,
		.threads_opened = truth->set.threads_opened,
	};
	perf_notes_copy(&truth->set.notes, arena, ret_facts);
}

const struct source_ops source_truth = {
	.name = "truth",
	.open = src_truth_open,
	.start = src_truth_start,
	.drain = src_truth_drain,
	.wait = src_truth_wait,
	.code_epoch = src_truth_code_epoch,
	.set_code = src_truth_set_code,
	.stop = src_truth_stop,
	.describe = src_truth_describe,
	.close = src_truth_close,
};
