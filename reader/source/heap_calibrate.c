#include "reader/source/heap_calibrate.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdlib.h>

#include "reader/source/bpf_features.h"
#include "reader/source/heap_calibrate_child.h"
#include "reader/util/own.h"

enum {
	ROUNDS = 15,
	/* Calls between two looks at the clock, which cost as much as one of them. */
	CALLS = 64,
	STEPPED_CALLS = 8,
};

/* ---- programs that count their hits */

struct counter {
	int map_fd, call_fd, session_fd; /* the last: -1 where there are no sessions */
};

static int load_program(int map_fd, int attach_type)
{
	const struct bpf_insn count[] = {
		/* Two looks at the clock, as programs of the heap take them to know what they
		 * spend: that time is not in what they tell. */
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_ktime_get_ns},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_ktime_get_ns},
		/* r1 = &hits; *r1 += 1; return 0, for which a session goes on to the return. */
		{.code = BPF_LD | BPF_DW | BPF_IMM,
		 .dst_reg = BPF_REG_1,
		 .src_reg = BPF_PSEUDO_MAP_VALUE,
		 .imm = map_fd},
		{0},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = 1},
		{.code = BPF_STX | BPF_DW | BPF_ATOMIC,
		 .dst_reg = BPF_REG_1,
		 .src_reg = BPF_REG_2,
		 .imm = BPF_ADD},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};

	LIBBPF_OPTS(bpf_prog_load_opts, options,
		    .expected_attach_type = (enum bpf_attach_type)attach_type);
	return bpf_prog_load(BPF_PROG_TYPE_KPROBE, "calibrate", "Dual MIT/GPL", count,
			     sizeof(count) / sizeof(count[0]), &options);
}

static void counter_done(struct counter *counter)
{
	own_close(&counter->map_fd);
	own_close(&counter->call_fd);
	own_close(&counter->session_fd);
}

static int counter_load(struct counter *counter, enum heap_attach attach)
{
	int type = attach == HEAP_ATTACH_PERF ? 0 : ATTACH_UPROBE_MULTI;

	*counter = (struct counter){-1, -1, -1};
	counter->map_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "calibrate", sizeof(uint32_t),
					 sizeof(uint64_t), 1, NULL);
	if (counter->map_fd < 0)
		return counter->map_fd;
	counter->call_fd = load_program(counter->map_fd, type);
	if (counter->call_fd < 0)
		return counter->call_fd;
	if (attach != HEAP_ATTACH_SESSION)
		return 0;
	counter->session_fd = load_program(counter->map_fd, ATTACH_UPROBE_SESSION);
	return counter->session_fd < 0 ? counter->session_fd : 0;
}

static uint64_t counter_read(const struct counter *counter)
{
	uint64_t hits = 0;
	uint32_t zero = 0;

	return bpf_map_lookup_elem(counter->map_fd, &zero, &hits) ? 0 : hits;
}

static int place_probes(struct heap_probes *placed, enum heap_attach attach,
			const struct counter *counter, pid_t pid)
{
	const struct heap_programs programs = {.attach = attach,
					       .call_fd = counter->call_fd,
					       .return_fd = counter->call_fd,
					       .session_fd = counter->session_fd};
	struct heap_probe probes[CALIBRATE_PLACES] = {[CALIBRATE_RETURN].wants_return = true};
	OWN(own_close) int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	uint64_t offsets[CALIBRATE_PLACES];
	int failed;

	if (fd < 0)
		return -errno;
	failed = calibrate_file_offsets(offsets);
	if (failed)
		return failed;
	for (int i = 0; i < CALIBRATE_PLACES; i++)
		probes[i].file_offset = offsets[i];
	return heap_probes_add(placed, &programs, pid, fd, probes, CALIBRATE_PLACES);
}

/* ---- what calls cost */

struct costs {
	double place[CALIBRATE_PLACES]; /* ns a call */
	uint64_t hits[CALIBRATE_PLACES];
	uint64_t hits_of_second; /* thread, of CALIBRATE_PUSH */
};

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint32_t calls_of(enum calibrate_place place)
{
	return place == CALIBRATE_STEPPED ? STEPPED_CALLS : CALLS;
}

/* The lower quartile of rounds: a price is what it costs undisturbed, and one round may have been
 * lucky. */
static int measure(const struct calibrate_child *child, enum calibrate_place place, double *ret_ns)
{
	const struct calibrate_request request = {place, false, calls_of(place)};
	uint64_t ns[ROUNDS];
	int failed;

	for (int i = 0; i < ROUNDS; i++) {
		failed = calibrate_child_ask(child, request, &ns[i]);
		if (failed)
			return failed;
	}
	qsort(ns, ROUNDS, sizeof(ns[0]), compare);
	*ret_ns = (double)ns[ROUNDS / 4] / request.calls;
	return 0;
}

static int measure_all(const struct calibrate_child *child, const struct counter *counter,
		       struct costs *costs)
{
	const struct calibrate_request second = {CALIBRATE_PUSH, true, CALLS};
	uint64_t before, ns;
	int failed = 0;

	for (int i = 0; i < CALIBRATE_PLACES && !failed; i++) {
		before = counter_read(counter);
		failed = measure(child, i, &costs->place[i]);
		costs->hits[i] = counter_read(counter) - before;
	}
	if (failed)
		return failed;
	before = counter_read(counter);
	failed = calibrate_child_ask(child, second, &ns);
	costs->hits_of_second = counter_read(counter) - before;
	return failed;
}

/* ---- prices */

static uint32_t price(double probed, double plain)
{
	double ns = probed - plain;

	if (ns <= 0)
		return 0;
	return ns < UINT32_MAX ? (uint32_t)(ns + 0.5) : UINT32_MAX;
}

/* A price without its hits is none: -ENOTSUP. */
static int judge(const struct costs *plain, const struct costs *probed, struct heap_prices *prices)
{
	double added[CALIBRATE_PLACES];

	for (int i = 0; i < CALIBRATE_PLACES; i++) {
		uint64_t expected = ROUNDS * calls_of(i) * (i == CALIBRATE_RETURN ? 2 : 1);

		if (probed->hits[i] < expected)
			return -ENOTSUP;
		added[i] = probed->place[i] - plain->place[i];
	}
	*prices = (struct heap_prices){
		.call_ns = price((added[CALIBRATE_PUSH] + added[CALIBRATE_JCC]) / 2, 0),
		.stepped_ns = price(added[CALIBRATE_STEPPED], 0),
		.return_ns = price(added[CALIBRATE_RETURN], added[CALIBRATE_PUSH]),
		.sees_other_threads = probed->hits_of_second >= CALLS,
	};
	return 0;
}

static int calibrate(enum heap_attach attach, const struct counter *counter,
		     struct calibrate_child *child, struct heap_prices *ret_prices)
{
	struct heap_probes placed = {0};
	struct costs plain, probed;
	int failed = measure_all(child, counter, &plain);

	if (!failed)
		failed = place_probes(&placed, attach, counter, child->pid);
	if (!failed)
		failed = measure_all(child, counter, &probed);
	calibrate_child_end(child);
	heap_probes_done(&placed);
	return failed ? failed : judge(&plain, &probed, ret_prices);
}

int heap_calibrate(const struct heap_programs *programs, struct heap_prices *ret_prices)
{
	OWN(counter_done) struct counter counter;
	struct calibrate_child child = {0};
	int failed = counter_load(&counter, programs->attach);

	if (!failed)
		failed = calibrate_child_start(&child);
	return failed ? failed : calibrate(programs->attach, &counter, &child, ret_prices);
}
