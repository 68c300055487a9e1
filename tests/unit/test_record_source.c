/* Which source is taken, for what, and what is said of it: by verdict, wish and failure. */
#include "reader/record_source.h"

#include <errno.h>

#include "tests/lib/kit.h"

static const struct source_verdict allowed = {.is_allowed = true};

static struct source_verdict refused(const char *missing)
{
	struct source_verdict verdict = {.missing = missing};

	err_set(&verdict.err, ERR_PERMISSION, 0, "The kernel has no bpf_loop: it is too old.");
	err_remedy(&verdict.err, "Boot Linux 5.17 or newer.");
	return verdict;
}

/* Words of --event, none: it was not given. */
struct asked {
	const struct event_kind *events[SOURCE_EVENTS_MAX];
	size_t count;
};

static struct asked ask(const char *first, const char *second)
{
	struct asked asked = {0};

	if (first)
		asked.events[asked.count++] = event_kind_by_name(first, strlen(first));
	if (second)
		asked.events[asked.count++] = event_kind_by_name(second, strlen(second));
	return asked;
}

/* As in a running process that has none. */
static struct source_verdicts without_agent(const struct source_verdict *bpf)
{
	struct source_verdicts verdicts = {
		.bpf = *bpf, .perf = {.is_allowed = true}, .agent = {.pid = 7}};

	str_add(&verdicts.agent.missing, "no agent is loaded");
	return verdicts;
}

static int choose(const char *source, const struct asked *asked, const struct source_verdict *bpf,
		  struct source_choice *ret_choice, struct err *err)
{
	struct source_wish wish = {source, asked->events, asked->count, HEAP_MODE_EXACT, false};
	struct source_verdicts verdicts = without_agent(bpf);
	int result;

	*err = (struct err){0};
	result = record_source_choose(&wish, &verdicts, ret_choice, err);
	agent_verdict_done(&verdicts.agent);
	return result;
}

static void check_line(const struct source_choice *choice, const char *want)
{
	const struct source_facts facts = {0};
	struct str line = {0};

	record_source_describe(choice, &facts, &line);
	CHECK_EQ_STR(str_text(&line), want);
	str_done(&line);
}

static void check_events(const struct source_choice *choice, const struct asked *want)
{
	CHECK_EQ_U64(choice->event_count, want->count);
	for (size_t i = 0; i < want->count; i++)
		CHECK_EQ_STR(choice->events[i]->name, want->events[i]->name);
}

TEST(what_is_taken_and_said)
{
	const struct source_verdict no_cap = refused("needs CAP_BPF"), old = refused(NULL);
	const struct {
		const char *source;
		struct asked asked;
		const struct source_verdict *bpf;
		const struct source_ops *ops;
		struct asked events;
		const char *line, *reason, *wait_reason;
	} cases[] = {
		{"auto", ask(NULL, NULL), &allowed, &source_bpf, ask("cpu-clock", "wait-time"),
		 "cpu and wait by bpf", "bpf is allowed", "bpf is allowed"},
		{"auto", ask(NULL, NULL), &no_cap, &source_perf, ask("cpu-clock", NULL),
		 "cpu by perf (bpf: needs CAP_BPF); waiting is not recorded", "bpf: needs CAP_BPF",
		 "bpf: needs CAP_BPF"},
		{"auto", ask(NULL, NULL), &old, &source_perf, ask("cpu-clock", NULL),
		 "cpu by perf (bpf: the kernel has no bpf_loop: it is too old); "
		 "waiting is not recorded",
		 "bpf: the kernel has no bpf_loop: it is too old",
		 "bpf: the kernel has no bpf_loop: it is too old"},
		{"auto", ask("cpu-clock", NULL), &allowed, &source_bpf, ask("cpu-clock", NULL),
		 "cpu by bpf", "bpf is allowed", "not asked for by --event"},
		{"auto", ask("wait-time", NULL), &allowed, &source_bpf, ask("wait-time", NULL),
		 "wait by bpf", "bpf is allowed", "asked for by --event"},
		{"auto", ask("page-faults", "task-clock"), &no_cap, &source_perf,
		 ask("page-faults", "task-clock"),
		 "page-faults and cpu by perf (bpf: needs CAP_BPF)", "bpf: needs CAP_BPF",
		 "not asked for by --event"},
		{"auto", ask("cpu-clock", "task-clock"), &allowed, &source_bpf,
		 ask("cpu-clock", "task-clock"), "cpu by bpf", "bpf is allowed",
		 "not asked for by --event"},
		{"bpf", ask(NULL, NULL), &allowed, &source_bpf, ask("cpu-clock", "wait-time"),
		 "cpu and wait by bpf (asked for by --source)", "asked for by --source",
		 "asked for by --source"},
		{"perf", ask(NULL, NULL), &allowed, &source_perf, ask("cpu-clock", NULL),
		 "cpu by perf (asked for by --source); waiting is not recorded",
		 "asked for by --source", "perf records no waiting in this version"},
		{"perf", ask("page-faults", NULL), &no_cap, &source_perf, ask("page-faults", NULL),
		 "page-faults by perf (asked for by --source)", "asked for by --source",
		 "not asked for by --event"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct source_choice choice;
		struct err err;

		CHECK_EQ_I64(choose(cases[i].source, &cases[i].asked, cases[i].bpf, &choice, &err),
			     0);
		CHECK_EQ_STR(choice.ops->name, cases[i].ops->name);
		check_events(&choice, &cases[i].events);
		check_line(&choice, cases[i].line);
		CHECK_EQ_STR(choice.reason, cases[i].reason);
		CHECK_EQ_STR(choice.wait_reason, cases[i].wait_reason);
	}
}

static void check_refused(const char *source, struct asked asked, const struct source_verdict *bpf,
			  const char *sentence, const char *remedy)
{
	struct source_choice choice;
	struct err err;

	CHECK(choose(source, &asked, bpf, &choice, &err) < 0);
	CHECK_EQ_I64(err.kind, ERR_PERMISSION);
	CHECK_EQ_STR(err.sentence, sentence);
	CHECK_EQ_STR(err.remedy, remedy);
}

TEST(what_cannot_be_had_is_refused)
{
	const struct source_verdict no_cap = refused("needs CAP_BPF"), old = refused(NULL);

	check_refused("agent", ask(NULL, NULL), &allowed,
		      "The source agent cannot be used: no agent is loaded.",
		      "Start the program under it: rsprof run -- CMD; or put it into this process: "
		      "--inject");
	check_refused("ptrace", ask(NULL, NULL), &allowed,
		      "This version of rsprof has no source \"ptrace\".",
		      "Use --source agent, bpf or perf, or leave the option out.");
	check_refused("bpf", ask(NULL, NULL), &no_cap, no_cap.err.sentence, no_cap.err.remedy);
	check_refused("bpf", ask("cpu-clock", NULL), &old, old.err.sentence, old.err.remedy);
	check_refused("perf", ask("cpu-clock", "wait-time"), &allowed,
		      "The event wait-time needs the source bpf: perf records no waiting.",
		      "Use --source bpf, or leave wait-time out of --event.");
	check_refused("auto", ask("cpu-clock", "wait-time"), &no_cap,
		      "The event wait-time needs the source bpf, which cannot be used: "
		      "needs CAP_BPF.",
		      no_cap.err.remedy);
	check_refused("auto", ask("wait-time", NULL), &old,
		      "The event wait-time needs the source bpf, which cannot be used: "
		      "the kernel has no bpf_loop: it is too old.",
		      old.err.remedy);
}

/* The kernel's refusal may be of any kind; a forced source that cannot work exits 4. */
TEST(a_forced_source_that_fails_for_any_reason_is_a_refusal)
{
	struct source_verdict bpf = refused(NULL);
	struct asked nothing = {0};
	struct source_choice choice;
	struct err err;

	bpf.err.kind = ERR_GENERAL;
	CHECK(choose("bpf", &nothing, &bpf, &choice, &err) < 0);
	CHECK_EQ_I64(err.kind, ERR_PERMISSION);
}

TEST(a_process_that_is_gone_is_gone_for_every_source)
{
	struct asked nothing = {0};
	struct source_verdict bpf = {0};
	struct source_choice choice;
	struct err err;

	err_set(&bpf.err, ERR_NOT_FOUND, 0, "Process 7 has already ended.");
	for (int i = 0; i < 2; i++) {
		CHECK(choose(i ? "bpf" : "auto", &nothing, &bpf, &choice, &err) < 0);
		CHECK_EQ_I64(err.kind, ERR_NOT_FOUND);
		CHECK_EQ_STR(err.sentence, "Process 7 has already ended.");
	}
}

static struct err failure(enum err_kind kind)
{
	struct err err = {0};

	err_set(&err, kind, 0, "BPF's verifier refused the program. ");
	return err;
}

TEST(a_source_that_does_not_open_gives_way_to_perf)
{
	static const enum err_kind kinds[] = {ERR_PERMISSION, ERR_GENERAL};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		struct asked nothing = {0}, cpu = ask("cpu-clock", NULL);
		struct err err, why = failure(kinds[i]);
		struct source_choice choice;

		CHECK_EQ_I64(choose("auto", &nothing, &allowed, &choice, &err), 0);
		CHECK(record_source_fall_back(&choice, &why));
		CHECK(choice.ops == &source_perf);
		check_events(&choice, &cpu);
		check_line(&choice, "cpu by perf (bpf: BPF's verifier refused the program); "
				    "waiting is not recorded");
		CHECK_EQ_STR(choice.reason, "bpf: BPF's verifier refused the program");
		CHECK_EQ_STR(choice.wait_reason, "bpf: BPF's verifier refused the program");
		/* Nothing comes after perf. */
		CHECK(!record_source_fall_back(&choice, &why));
	}
}

TEST(what_was_asked_for_is_kept_when_falling_back)
{
	struct asked faults = ask("page-faults", "cpu-clock");
	struct err err, why = failure(ERR_PERMISSION);
	struct source_choice choice;

	CHECK_EQ_I64(choose("auto", &faults, &allowed, &choice, &err), 0);
	CHECK(record_source_fall_back(&choice, &why));
	check_events(&choice, &faults);
	check_line(&choice,
		   "page-faults and cpu by perf (bpf: BPF's verifier refused the program)");
	CHECK_EQ_STR(choice.wait_reason, "not asked for by --event");
}

TEST(some_failures_are_passed_on)
{
	static const enum err_kind others[] = {ERR_USAGE, ERR_NOT_FOUND, ERR_DEBUG_INFO,
					       ERR_DATABASE};
	struct asked nothing = {0}, wait = ask("cpu-clock", "wait-time");
	struct err err, refusal = failure(ERR_PERMISSION);
	struct source_choice choice;

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		struct err why = failure(others[i]);

		CHECK_EQ_I64(choose("auto", &nothing, &allowed, &choice, &err), 0);
		CHECK(!record_source_fall_back(&choice, &why));
		CHECK(choice.ops == &source_bpf);
	}
	CHECK_EQ_I64(choose("bpf", &nothing, &allowed, &choice, &err), 0);
	CHECK(!record_source_fall_back(&choice, &refusal));
	/* Perf cannot give the waits that were asked for. */
	CHECK_EQ_I64(choose("auto", &wait, &allowed, &choice, &err), 0);
	CHECK(!record_source_fall_back(&choice, &refusal));
}

TEST(a_replay_is_its_own_source)
{
	struct record_options options = record_defaults;
	struct asked both = ask("cpu-clock", "wait-time");
	struct source_config config = {.event_count = both.count};
	struct source_choice choice;
	struct err err = {0};

	memcpy(config.events, both.events, sizeof(config.events));
	options.replay = "events.txt";
	CHECK_EQ_I64(record_source_pick(&options, NULL, NULL, &config, &choice, &err), 0);
	CHECK(choice.ops == &source_replay);
	check_events(&choice, &both);
	CHECK_EQ_STR(choice.reason, "asked for by --replay");
	CHECK(!record_source_fall_back(&choice, &(struct err){.kind = ERR_GENERAL}));
}

/* ---- the heap */

static int choose_heap(const char *source, enum heap_mode heap, bool is_asked,
		       const struct source_verdict *bpf, struct source_choice *ret_choice,
		       struct err *err)
{
	struct source_wish wish = {.source = source, .heap = heap, .is_heap_asked = is_asked};
	struct source_verdicts verdicts = without_agent(bpf);
	int result;

	*err = (struct err){0};
	result = record_source_choose(&wish, &verdicts, ret_choice, err);
	agent_verdict_done(&verdicts.agent);
	return result;
}

static void check_totals(const struct source_choice *choice, const struct source_facts *facts,
			 enum heap_mode wanted, const char *want)
{
	struct str line = {0};

	record_source_describe_totals(choice, facts, wanted, &line);
	CHECK_EQ_STR(str_text(&line), want);
	str_done(&line);
}

TEST(a_heap_that_is_counted_is_said)
{
	static const struct {
		enum heap_mode mode;
		const char *line;
	} cases[] = {
		{HEAP_MODE_EXACT, "cpu and wait by bpf, heap by bpf (exact)"},
		{HEAP_MODE_SAMPLED, "cpu and wait by bpf, heap by bpf (sampled)"},
		{HEAP_MODE_OFF, "cpu and wait by bpf"},
	};
	struct source_choice choice;
	struct err err;

	CHECK_EQ_I64(choose_heap("auto", HEAP_MODE_EXACT, false, &allowed, &choice, &err), 0);
	CHECK_EQ_STR(choice.heap_reason, "");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct source_facts facts = {.heap = cases[i].mode};
		struct str line = {0};

		record_source_describe(&choice, &facts, &line);
		CHECK_EQ_STR(str_text(&line), cases[i].line);
		str_done(&line);
		if (cases[i].mode != HEAP_MODE_OFF)
			check_totals(&choice, &facts, HEAP_MODE_EXACT, "");
	}
}

TEST(a_heap_that_is_not_counted_is_said_with_the_reason)
{
	const struct source_verdict no_cap = refused("needs CAP_BPF");
	const struct source_facts none = {0};
	const struct source_facts stripped = {
		.heap_reason = "No allocator is known in this process: it is stripped."};
	struct err err, why = {0};
	struct source_choice choice;

	CHECK_EQ_I64(choose_heap("auto", HEAP_MODE_EXACT, false, &no_cap, &choice, &err), 0);
	check_totals(&choice, &none, HEAP_MODE_EXACT,
		     "heap: totals from /proc only: no agent is loaded; bpf: needs CAP_BPF");
	CHECK_EQ_I64(choose_heap("perf", HEAP_MODE_EXACT, false, &allowed, &choice, &err), 0);
	check_totals(&choice, &none, HEAP_MODE_EXACT,
		     "heap: totals from /proc only: perf counts no allocations");
	CHECK_EQ_I64(choose_heap("auto", HEAP_MODE_EXACT, false, &allowed, &choice, &err), 0);
	check_totals(&choice, &stripped, HEAP_MODE_EXACT,
		     "heap: totals from /proc only: no allocator is known in this process: it is "
		     "stripped");
	err_set(&why, ERR_GENERAL, 0, "BPF's verifier refused the program.");
	CHECK(record_source_fall_back(&choice, &why));
	check_totals(&choice, &none, HEAP_MODE_EXACT,
		     "heap: totals from /proc only: no agent is loaded; bpf: BPF's verifier "
		     "refused the program");
	/* Nothing is said of what is not wanted, wherever events come from. */
	CHECK_EQ_I64(choose_heap("auto", HEAP_MODE_OFF, false, &allowed, &choice, &err), 0);
	check_totals(&choice, &none, HEAP_MODE_OFF, "");
	CHECK_EQ_STR(choice.heap_reason, "asked for by --heap off");
	CHECK(record_source_fall_back(&choice, &why));
	CHECK_EQ_STR(choice.heap_reason, "asked for by --heap off");
}

TEST(a_heap_that_is_asked_for_is_counted_or_refused)
{
	const struct source_verdict no_cap = refused("needs CAP_BPF");
	struct source_choice choice;
	struct err err, why = {0};

	CHECK(choose_heap("perf", HEAP_MODE_EXACT, true, &allowed, &choice, &err) < 0);
	CHECK_EQ_I64(err.kind, ERR_PERMISSION);
	CHECK_EQ_STR(err.sentence,
		     "Counting the heap needs the agent or the source bpf: perf counts no "
		     "allocations.");
	CHECK_EQ_STR(err.remedy, "Use --source bpf, or leave --heap out.");
	CHECK(choose_heap("auto", HEAP_MODE_SAMPLED, true, &no_cap, &choice, &err) < 0);
	CHECK_EQ_I64(err.kind, ERR_PERMISSION);
	CHECK_EQ_STR(err.sentence,
		     "Counting the heap needs the agent or the source bpf, and neither can be "
		     "used: no agent is loaded; bpf: needs CAP_BPF.");
	CHECK_EQ_STR(err.remedy, no_cap.err.remedy);
	CHECK_EQ_I64(choose_heap("auto", HEAP_MODE_EXACT, true, &allowed, &choice, &err), 0);
	CHECK(choice.is_heap_asked);
	err_set(&why, ERR_GENERAL, 0, "BPF's verifier refused the program.");
	CHECK(!record_source_fall_back(&choice, &why));
}

TEST(heap_words_mean_modes)
{
	static const struct {
		const char *word;
		enum heap_mode mode;
		bool is_forced;
	} cases[] = {
		{"auto", HEAP_MODE_EXACT, false},      {"exact", HEAP_MODE_EXACT, true},
		{"sampled", HEAP_MODE_SAMPLED, false}, {"trace", HEAP_MODE_TRACE, true},
		{"off", HEAP_MODE_OFF, false},
	};
	struct record_options options = record_defaults;
	struct source_config config = {0};
	struct err err = {0};

	CHECK_EQ_I64(record_pick_heap(&options, &config, &err), 0);
	CHECK_EQ_U64(config.heap, HEAP_MODE_EXACT);
	CHECK(!config.heap_is_forced);
	CHECK_EQ_U64(config.heap_sample_bytes, 512 * 1024);
	CHECK_EQ_U64(config.heap_blocks_max, 1048576);
	CHECK_EQ_U64(config.heap_stacks_max, 65536);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		options.heap = cases[i].word;
		options.heap_sample_bytes = 4096;
		CHECK_EQ_I64(record_pick_heap(&options, &config, &err), 0);
		CHECK_EQ_U64(config.heap, cases[i].mode);
		CHECK_EQ_U64(config.heap_is_forced, cases[i].is_forced);
		CHECK_EQ_U64(config.heap_sample_bytes, 4096);
	}
}

/* ---- the agent */

static struct agent_verdict running(enum heap_mode heap, uint32_t cpu_frequency)
{
	return (struct agent_verdict){
		.presence = AGENT_RUNNING, .pid = 7, .heap = heap, .cpu_frequency = cpu_frequency};
}

static struct agent_verdict planned(enum heap_mode heap)
{
	return (struct agent_verdict){.presence = AGENT_PLANNED, .heap = heap, .cpu_frequency = 99};
}

static struct source_verdict no_perf(void)
{
	struct source_verdict verdict = {0};

	err_set(&verdict.err, ERR_PERMISSION, 0, "The kernel lets nobody sample (paranoid 3).");
	return verdict;
}

struct agent_case {
	const char *source;
	enum heap_mode heap;
	bool is_asked;
	struct agent_verdict agent;
	bool bpf, perf; /* are allowed */
	struct asked asked;
	/* What is wanted. */
	const struct source_ops *ops, *beside;
	struct asked events;
	enum heap_mode counts; /* the agent; OFF: it does not */
	const char *line, *reason, *heap_reason, *note;
};

static int choose_case(const struct agent_case *at, struct source_choice *ret_choice,
		       struct err *err)
{
	struct source_wish wish = {at->source, at->asked.events, at->asked.count, at->heap,
				   at->is_asked};
	struct source_verdicts verdicts = {.agent = at->agent, .perf = {.is_allowed = true}};
	int result;

	verdicts.bpf = at->bpf ? allowed : refused("needs CAP_BPF");
	if (!at->perf)
		verdicts.perf = no_perf();
	*err = (struct err){0};
	result = record_source_choose(&wish, &verdicts, ret_choice, err);
	return result;
}

static void check_case(const struct agent_case *at)
{
	struct source_facts facts = {.heap = at->counts};
	struct source_choice choice;
	struct str line = {0};
	struct err err;

	if (choose_case(at, &choice, &err) < 0)
		FAIL("refused: %s", err.sentence);
	CHECK_EQ_STR(choice.ops->name, at->ops->name);
	CHECK(choice.beside == at->beside);
	check_events(&choice, &at->events);
	CHECK_EQ_U64(choice.is_heap_by_agent, at->counts != HEAP_MODE_OFF);
	CHECK_EQ_U64(choice.agent_heap, at->counts);
	record_source_describe(&choice, &facts, &line);
	CHECK_EQ_STR(str_text(&line), at->line);
	CHECK_EQ_STR(choice.reason, at->reason);
	CHECK_EQ_STR(choice.heap_reason, at->heap_reason);
	CHECK_EQ_STR(choice.agent_note, at->note);
	str_done(&line);
}

#define BOTH_MISSING "bpf: needs CAP_BPF; perf: the kernel lets nobody sample (paranoid 3)"

TEST(the_agent_counts_the_heap_beside_whoever_may_sample)
{
	const struct agent_case cases[] = {
		{"auto", HEAP_MODE_EXACT, false, running(HEAP_MODE_EXACT, 99), true, true,
		 ask(NULL, NULL), &source_agent, &source_bpf, ask("cpu-clock", "wait-time"),
		 HEAP_MODE_EXACT, "cpu and wait by bpf, heap by agent (exact)", "bpf is allowed",
		 "", ""},
		{"auto", HEAP_MODE_EXACT, false, running(HEAP_MODE_SAMPLED, 99), false, true,
		 ask(NULL, NULL), &source_agent, &source_perf, ask("cpu-clock", NULL),
		 HEAP_MODE_SAMPLED,
		 "cpu by perf (bpf: needs CAP_BPF), heap by agent (sampled); waiting is not "
		 "recorded",
		 "bpf: needs CAP_BPF", "", ""},
		{"auto", HEAP_MODE_EXACT, false, running(HEAP_MODE_EXACT, 199), false, false,
		 ask(NULL, NULL), &source_agent, NULL, ask("cpu-clock", NULL), HEAP_MODE_EXACT,
		 "cpu by agent (" BOTH_MISSING "), heap by agent (exact); waiting is not recorded",
		 BOTH_MISSING, "", ""},
		{"auto", HEAP_MODE_EXACT, false, running(HEAP_MODE_EXACT, 0), false, false,
		 ask(NULL, NULL), &source_agent, NULL, ask(NULL, NULL), HEAP_MODE_EXACT,
		 "heap by agent (exact); CPU and waiting are not recorded (" BOTH_MISSING ")",
		 BOTH_MISSING, "", ""},
		/* Without its timers nobody is left for an event that was asked for: perf says why.
		 */
		{"auto", HEAP_MODE_EXACT, false, running(HEAP_MODE_EXACT, 99), false, false,
		 ask("page-faults", NULL), &source_agent, &source_perf, ask("page-faults", NULL),
		 HEAP_MODE_EXACT, "page-faults by perf (bpf: needs CAP_BPF), heap by agent (exact)",
		 "bpf: needs CAP_BPF", "", ""},
		{"auto", HEAP_MODE_OFF, true, running(HEAP_MODE_EXACT, 99), true, true,
		 ask(NULL, NULL), &source_bpf, NULL, ask("cpu-clock", "wait-time"), HEAP_MODE_OFF,
		 "cpu and wait by bpf", "bpf is allowed", "asked for by --heap off", ""},
		{"agent", HEAP_MODE_EXACT, false, running(HEAP_MODE_EXACT, 99), true, true,
		 ask(NULL, NULL), &source_agent, NULL, ask("cpu-clock", NULL), HEAP_MODE_EXACT,
		 "cpu by agent (asked for by --source), heap by agent (exact); waiting is not "
		 "recorded",
		 "asked for by --source", "", ""},
		{"agent", HEAP_MODE_EXACT, false, running(HEAP_MODE_EXACT, 0), true, true,
		 ask(NULL, NULL), &source_agent, NULL, ask(NULL, NULL), HEAP_MODE_EXACT,
		 "heap by agent (exact); CPU and waiting are not recorded (asked for by --source, "
		 "and its timers are off)",
		 "asked for by --source, and its timers are off", "", ""},
		{"bpf", HEAP_MODE_EXACT, false, running(HEAP_MODE_EXACT, 99), true, true,
		 ask(NULL, NULL), &source_bpf, NULL, ask("cpu-clock", "wait-time"), HEAP_MODE_OFF,
		 "cpu and wait by bpf (asked for by --source)", "asked for by --source", "", ""},
		{"perf", HEAP_MODE_EXACT, false, running(HEAP_MODE_EXACT, 99), true, true,
		 ask(NULL, NULL), &source_perf, NULL, ask("cpu-clock", NULL), HEAP_MODE_OFF,
		 "cpu by perf (asked for by --source); waiting is not recorded",
		 "asked for by --source", "perf counts no allocations", ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		check_case(&cases[i]);
}

TEST(how_a_running_agent_counts_is_a_fact_that_is_said)
{
	static const struct {
		enum heap_mode wish, agent;
		const char *note;
	} cases[] = {
		{HEAP_MODE_EXACT, HEAP_MODE_EXACT, ""},
		{HEAP_MODE_EXACT, HEAP_MODE_TRACE, ""},
		{HEAP_MODE_TRACE, HEAP_MODE_TRACE, ""},
		{HEAP_MODE_SAMPLED, HEAP_MODE_EXACT,
		 "The agent in 7 counts exactly; RSPROF_HEAP=sampled when it is started changes "
		 "that."},
		{HEAP_MODE_EXACT, HEAP_MODE_SAMPLED,
		 "The agent in 7 samples by bytes; RSPROF_HEAP=exact when it is started changes "
		 "that."},
		{HEAP_MODE_TRACE, HEAP_MODE_EXACT,
		 "The agent in 7 counts exactly; RSPROF_HEAP=trace when it is started changes "
		 "that."},
		{HEAP_MODE_SAMPLED, HEAP_MODE_TRACE,
		 "The agent in 7 traces each call; RSPROF_HEAP=sampled when it is started changes "
		 "that."},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct agent_case at = {.source = "auto", .bpf = true, .perf = true};
		struct source_choice choice;
		struct err err;

		at.heap = cases[i].wish;
		at.agent = running(cases[i].agent, 0);
		at.is_asked = true;
		CHECK_EQ_I64(choose_case(&at, &choice, &err), 0);
		CHECK_EQ_U64(choice.agent_heap, cases[i].agent);
		CHECK_EQ_STR(choice.agent_note, cases[i].note);
		/* Nobody asked: nothing to say. */
		at.is_asked = false;
		at.heap = HEAP_MODE_EXACT;
		CHECK_EQ_I64(choose_case(&at, &choice, &err), 0);
		CHECK_EQ_STR(choice.agent_note, "");
	}
}

TEST(a_command_gets_the_agent_as_it_is_wished)
{
	static const enum heap_mode modes[] = {HEAP_MODE_EXACT, HEAP_MODE_SAMPLED, HEAP_MODE_TRACE};
	struct agent_case at = {.source = "auto", .is_asked = true, .bpf = true, .perf = true};
	struct source_choice choice;
	struct err err;

	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		at.heap = modes[i];
		at.agent = planned(HEAP_MODE_EXACT);
		CHECK_EQ_I64(choose_case(&at, &choice, &err), 0);
		CHECK(choice.is_agent_planned && choice.is_heap_by_agent);
		CHECK_EQ_U64(choice.agent_heap, modes[i]);
		CHECK(!choice.is_cpu_by_agent);
	}
	/* Without a heap it is loaded only for its timers. */
	at.heap = HEAP_MODE_OFF;
	at.is_asked = false;
	CHECK_EQ_I64(choose_case(&at, &choice, &err), 0);
	CHECK(!choice.is_agent_planned);
	CHECK(choice.ops == &source_bpf);
	at.bpf = at.perf = false;
	CHECK_EQ_I64(choose_case(&at, &choice, &err), 0);
	CHECK(choice.is_agent_planned && choice.is_cpu_by_agent);
	CHECK_EQ_U64(choice.agent_heap, HEAP_MODE_OFF);
	CHECK_EQ_U64(choice.agent_frequency, 99);
	at.source = "agent";
	at.bpf = at.perf = true;
	at.heap = HEAP_MODE_EXACT;
	CHECK_EQ_I64(choose_case(&at, &choice, &err), 0);
	CHECK(choice.is_agent_planned && choice.is_cpu_by_agent && choice.is_heap_by_agent);
	at.source = "bpf";
	CHECK_EQ_I64(choose_case(&at, &choice, &err), 0);
	CHECK(!choice.is_agent_planned && !choice.is_heap_by_agent);
}

/* Never a silent zero. */
TEST(an_allocator_of_the_programs_own_is_told_with_the_ways_out)
{
	struct agent_case at = {.source = "auto", .heap = HEAP_MODE_EXACT, .perf = true};
	struct source_choice choice;
	struct err err;

	at.agent = planned(HEAP_MODE_OFF);
	at.agent.is_heap_elsewhere = true;
	str_add(&at.agent.missing, "./app has an allocator of its own");
	at.bpf = true;
	CHECK_EQ_I64(choose_case(&at, &choice, &err), 0);
	CHECK(choice.ops == &source_bpf && !choice.is_agent_planned);
	CHECK_EQ_STR(choice.agent_note,
		     "The agent cannot count the heap: ./app has an allocator of "
		     "its own; bpf counts it instead.");
	CHECK_EQ_STR(choice.agent_reason, "./app has an allocator of its own");
	CHECK_EQ_STR(choice.heap_reason, "");
	at.bpf = false;
	CHECK_EQ_I64(choose_case(&at, &choice, &err), 0);
	CHECK(choice.ops == &source_perf && !choice.is_agent_planned);
	CHECK_EQ_STR(choice.heap_reason, "./app has an allocator of its own; bpf: needs CAP_BPF");
	CHECK(strstr(choice.agent_note, "sudo rsprof"));
	CHECK(strstr(choice.agent_note, "librsprof.a"));
	CHECK(strstr(choice.agent_note, "GlobalAlloc"));
	/* Its timers do not need the heap. */
	at.perf = false;
	CHECK_EQ_I64(choose_case(&at, &choice, &err), 0);
	CHECK(choice.ops == &source_agent && choice.is_agent_planned && choice.is_cpu_by_agent);
	CHECK(!choice.is_heap_by_agent);
	CHECK_EQ_STR(choice.heap_reason, "./app has an allocator of its own; " BOTH_MISSING);
	at.is_asked = true;
	CHECK(choose_case(&at, &choice, &err) < 0);
	CHECK_EQ_I64(err.kind, ERR_PERMISSION);
	CHECK(strstr(err.sentence, "./app has an allocator of its own; bpf: needs CAP_BPF"));
	str_done(&at.agent.missing);
}

TEST(a_damaged_or_other_agent_is_left_out_and_said_or_refused)
{
	static const char sentence[] = "The agent in 7 is of version 9.0, and rsprof of 0.5.";
	struct agent_case at = {
		.source = "auto", .heap = HEAP_MODE_EXACT, .bpf = true, .perf = true};
	struct source_choice choice;
	struct err err;

	at.agent = (struct agent_verdict){.presence = AGENT_REFUSED, .pid = 7};
	err_set(&at.agent.err, ERR_GENERAL, 0, "%s", sentence);
	CHECK_EQ_I64(choose_case(&at, &choice, &err), 0);
	CHECK(choice.ops == &source_bpf);
	CHECK_EQ_STR(choice.agent_note, sentence);
	CHECK_EQ_STR(choice.heap_reason, "");
	at.bpf = false;
	CHECK_EQ_I64(choose_case(&at, &choice, &err), 0);
	CHECK(choice.ops == &source_perf);
	CHECK_EQ_STR(choice.heap_reason, "the agent in 7 is of version 9.0, and rsprof of 0.5; "
					 "bpf: needs CAP_BPF");
	at.source = "agent";
	CHECK(choose_case(&at, &choice, &err) < 0);
	CHECK_EQ_I64(err.kind, ERR_GENERAL);
	CHECK_EQ_STR(err.sentence, sentence);
	at.source = "auto";
	at.heap = HEAP_MODE_TRACE;
	at.is_asked = true;
	CHECK(choose_case(&at, &choice, &err) < 0);
	CHECK_EQ_STR(err.sentence, "Tracing every allocation needs the agent: the agent in 7 is of "
				   "version 9.0, and rsprof of 0.5.");
}

static void check_case_refused(const struct agent_case *at, const char *part)
{
	struct source_choice choice;
	struct err err;

	CHECK(choose_case(at, &choice, &err) < 0);
	CHECK_EQ_I64(err.kind, ERR_PERMISSION);
	if (!strstr(err.sentence, part))
		FAIL("\"%s\" is not in \"%s\"", part, err.sentence);
	CHECK(err.remedy[0]);
}

TEST(what_only_an_agent_could_do_is_refused_without_it)
{
	struct agent_case at = {.source = "auto",
				.heap = HEAP_MODE_TRACE,
				.is_asked = true,
				.bpf = true,
				.perf = true};

	at.agent.pid = 7;
	str_add(&at.agent.missing, "no agent is loaded");
	check_case_refused(&at, "Tracing every allocation needs the agent: no agent is loaded.");
	at.source = "bpf";
	check_case_refused(&at, "Tracing every allocation needs the agent");
	at.source = "agent";
	check_case_refused(&at, "The source agent cannot be used: no agent is loaded.");
	str_done(&at.agent.missing);
	at.agent = running(HEAP_MODE_EXACT, 99);
	at.heap = HEAP_MODE_EXACT;
	at.asked = ask("wait-time", NULL);
	check_case_refused(&at, "wait-time needs the source bpf: the agent sees no waiting");
	at.asked = ask("page-faults", NULL);
	check_case_refused(&at, "cpu-clock");
	at.agent = running(HEAP_MODE_EXACT, 0);
	at.asked = ask("cpu-clock", NULL);
	check_case_refused(&at, "timers");
	at.agent = running(HEAP_MODE_OFF, 99);
	str_add(&at.agent.missing, "it was started with RSPROF_HEAP=off");
	check_case_refused(&at, "The agent cannot count the heap: it was started with "
				"RSPROF_HEAP=off.");
	at.asked = ask("cpu-clock", "wait-time");
	at.source = "auto";
	at.bpf = false;
	check_case_refused(&at, "wait-time needs the source bpf, which cannot be used");
	str_done(&at.agent.missing);
}

TEST(the_agents_heap_outlives_those_beside_it)
{
	struct agent_case at = {
		.source = "auto", .heap = HEAP_MODE_EXACT, .bpf = true, .perf = true};
	struct asked cpu = ask("cpu-clock", NULL), nothing = {0};
	struct err err, why = failure(ERR_PERMISSION);
	struct source_choice choice;

	at.agent = running(HEAP_MODE_EXACT, 0);
	CHECK_EQ_I64(choose_case(&at, &choice, &err), 0);
	CHECK(record_source_fall_back(&choice, &why));
	CHECK(choice.ops == &source_agent && choice.beside == &source_perf);
	check_events(&choice, &cpu);
	CHECK_EQ_STR(choice.heap_reason, "");
	CHECK_EQ_STR(choice.reason, "bpf: BPF's verifier refused the program");
	err_set(&why, ERR_PERMISSION, 0, "Perf is refused, too.");
	CHECK(record_source_fall_back(&choice, &why));
	CHECK(choice.ops == &source_agent && !choice.beside);
	check_events(&choice, &nothing);
	CHECK_EQ_STR(choice.reason,
		     "bpf: BPF's verifier refused the program; perf: perf is refused, too");
	CHECK(!record_source_fall_back(&choice, &why));
}

KIT_MAIN
