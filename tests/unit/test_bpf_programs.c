/* The BPF programs in the running kernel, on children that know what they do. */
#include <pthread.h>

#include "tests/unit/bpf_sorter.h"

enum {
	VERIFIED_MAX = 300000,
};

/* ---- what children do */

APART static void handle(int signal)
{
	for (volatile int i = 0; i < 400000; i++)
		;
}

/* A handler on a stack of its own, most of the time. */
static void interrupted(const void *argument)
{
	static uint8_t other[65536];
	stack_t stack = {.ss_sp = other, .ss_size = sizeof(other)};
	struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK};
	uint64_t start;

	sigaltstack(&stack, NULL);
	sigaction(SIGUSR1, &action, NULL);
	child_ready();
	child_await();
	start = rig_cpu_ns();
	while (rig_cpu_ns() - start < *(const uint64_t *)argument)
		raise(SIGUSR1);
	child_ready();
	child_await();
}

static void *sort_in_thread(void *argument)
{
	sort_for(200000000);
	return NULL;
}

static void starter(const void *argument)
{
	pthread_t thread;

	child_ready();
	child_await();
	sort_for(200000000);
	pthread_create(&thread, NULL, sort_in_thread, NULL);
	pthread_join(thread, NULL);
	child_ready();
	child_await();
}

static void execer(const void *argument)
{
	child_ready();
	child_await();
	execl("/bin/true", "true", NULL);
}

/* ---- the programs themselves */

TEST(few_instructions_to_verify)
{
	struct rig *rig = rig_open(RIG_RING_BYTES);
	uint64_t start = rig_cpu_ns();
	struct bpf_program *program;

	rig_load(rig);
	printf("# loading took %.0f ms of CPU\n", (double)(rig_cpu_ns() - start) / 1e6);
	bpf_object__for_each_program(program, rig->skel->obj)
	{
		struct bpf_prog_info info = {0};
		uint32_t size = sizeof(info);

		/* Those of the heap are test_bpf_heap's. */
		if (!bpf_program__autoload(program))
			continue;
		CHECK(bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) == 0);
		printf("# %s: %u instructions, %u verified\n", bpf_program__name(program),
		       info.xlated_prog_len / 8, info.verified_insns);
		CHECK_BETWEEN(info.verified_insns, 1, VERIFIED_MAX - 1);
	}
	rig_free(rig);
}

static void check_complete(const struct rig *rig)
{
	uint32_t samples = rig_count(rig, BPF_RECORD_SAMPLE),
		 complete = rig_count_ends(rig, BPF_RECORD_SAMPLE, WALK_COMPLETE);

	printf("# %u of %u samples complete\n", complete, samples);
	CHECK(samples >= 300);
	CHECK_EQ_U64(rig_count(rig, BPF_RECORD_COPY), 0);
	CHECK(complete * 100 >= samples * 99);
	CHECK_EQ_U64(rig->control->sampled[0], samples);
	CHECK_EQ_U64(rig->control->ring_full, 0);
}

TEST(samples_reach_the_root)
{
	uint64_t work_ns = 1000000000, frames = 0, run_ns, run_count;
	struct child child = child_fork(sorter, &work_ns);
	struct rig *rig = rig_on(&child, rig_open(RIG_RING_BYTES));
	int statistics = bpf_enable_stats(BPF_STATS_RUN_TIME);
	uint32_t in_compare = 0, size = sizeof(struct bpf_prog_info);
	struct bpf_prog_info info = {0};

	rig_sample(rig, rig->skel->progs.on_event_0, child.pid, (uint64_t)child.pid);
	rig_let_work(rig, &child);
	CHECK(bpf_obj_get_info_by_fd(bpf_program__fd(rig->skel->progs.on_event_0), &info, &size) ==
	      0);
	run_ns = info.run_time_ns;
	run_count = info.run_cnt;
	close(statistics);
	check_complete(rig);
	for (uint32_t i = 0; i < rig->record_count; i++) {
		const struct bpf_sample *sample = (const struct bpf_sample *)rig->records[i];

		CHECK_EQ_U64(sample->record.tid, (uint64_t)child.pid);
		CHECK_EQ_U64(sample->value, 1);
		frames += sample->pc_count;
		if (sample->end != WALK_COMPLETE)
			continue;
		rig_check_rooted(sample->pcs, sample->pc_count);
		in_compare += rig_is_in(sample->pcs[0], (const void *)compare_slowly);
	}
	printf("# %.2f us a sample of %.1f frames\n",
	       run_count ? (double)run_ns / (double)run_count / 1e3 : 0.0,
	       (double)frames / rig->record_count);
	/* All but the kernel's share and the last moment. */
	CHECK(in_compare * 10 >= rig->record_count * 7);
	rig_free(rig);
	child_end(&child);
}

TEST(signal_frames_are_passed)
{
	uint64_t work_ns = 600000000;
	struct child child = child_fork(interrupted, &work_ns);
	struct rig *rig = rig_on(&child, rig_open(RIG_RING_BYTES));
	uint32_t passed = 0;

	rig_sample(rig, rig->skel->progs.on_event_0, child.pid, (uint64_t)child.pid);
	rig_let_work(rig, &child);
	check_complete(rig);
	for (uint32_t i = 0; i < rig->record_count; i++) {
		const struct bpf_sample *sample = (const struct bpf_sample *)rig->records[i];

		if (sample->end != WALK_COMPLETE ||
		    !rig_is_in(sample->pcs[0], (const void *)handle))
			continue;
		CHECK(sample->flags & WALK_PASSED_SIGNAL);
		rig_check_rooted(sample->pcs, sample->pc_count);
		passed++;
	}
	CHECK(passed * 10 >= rig->record_count * 7);
	rig_free(rig);
	child_end(&child);
}

TEST(deep_stacks_are_cut_and_say_so)
{
	uint64_t work_ns = 300000000;
	struct child child = child_fork(sorter, &work_ns);
	struct rig *rig = rig_open(RIG_RING_BYTES);
	uint32_t cut = 0;

	rig->skel->rodata->frames_max = 3;
	rig_on(&child, rig);
	rig_sample(rig, rig->skel->progs.on_event_0, child.pid, (uint64_t)child.pid);
	rig_let_work(rig, &child);
	for (uint32_t i = 0; i < rig->record_count; i++) {
		const struct bpf_sample *sample = (const struct bpf_sample *)rig->records[i];

		CHECK_EQ_U64(sample->record.type, BPF_RECORD_SAMPLE);
		CHECK(sample->pc_count <= 3);
		CHECK_EQ_U64(sample->end, WALK_TRUNCATED);
		cut += rig_is_in(sample->pcs[0], (const void *)compare_slowly);
	}
	CHECK(cut >= 50);
	rig_free(rig);
	child_end(&child);
}

TEST(execs_are_counted)
{
	struct child child = child_fork(execer, NULL);
	struct rig *rig = rig_on(&child, rig_open(RIG_RING_BYTES));

	rig_keep(rig, bpf_program__attach_trace(rig->skel->progs.on_exec));
	child_tell(&child, 'g');
	waitpid(child.pid, NULL, 0);
	CHECK_EQ_U64(rig->control->exec_count, 1);
	rig_free(rig);
}

/* ---- losses, doubles */

TEST(what_finds_no_room_is_counted)
{
	uint64_t work_ns = 300000000;
	struct child child = child_fork(sorter, &work_ns);
	struct rig *rig = rig_on(&child, rig_open(4096));

	rig_sample(rig, rig->skel->progs.on_event_0, child.pid, (uint64_t)child.pid);
	child_tell(&child, 'g');
	child_hear(&child);
	rig_drain(rig);
	CHECK(rig->record_count >= 1);
	CHECK(rig->control->ring_full >= 50);
	CHECK_EQ_U64(rig->control->sampled[0], rig->record_count + rig->control->ring_full);
	rig_free(rig);
	child_end(&child);
}

/* A thread with an event of its own (1) besides the inherited one (0), which then starts another
 * one: that has two inherited ones. */
TEST(doubles_of_late_threads_are_ignored)
{
	struct child child = child_fork(starter, NULL);
	struct rig *rig = rig_on(&child, rig_open(RIG_RING_BYTES));
	uint32_t tid = (uint32_t)child.pid, is_new = LATE_IS_NEW;

	CHECK(bpf_map__update_elem(rig->skel->maps.late_threads, &tid, sizeof(tid), &is_new,
				   sizeof(is_new), BPF_ANY) == 0);
	rig_sample(rig, rig->skel->progs.on_event_0, child.pid, 1);
	rig_sample(rig, rig->skel->progs.on_event_1, child.pid, tid);
	rig_let_work(rig, &child);
	for (uint32_t i = 0; i < rig->record_count; i++) {
		const struct bpf_sample *sample = (const struct bpf_sample *)rig->records[i];

		CHECK_EQ_U64(sample->event, sample->record.tid == tid);
	}
	CHECK(rig->control->sampled[0] >= 50);
	CHECK(rig->control->sampled[1] >= 50);
	CHECK_EQ_U64(rig_count(rig, BPF_RECORD_SAMPLE),
		     rig->control->sampled[0] + rig->control->sampled[1]);
	rig_free(rig);
	child_end(&child);
}

RIG_MAIN
