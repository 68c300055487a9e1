#include "reader/source/bpf_waits.h"

enum {
	ABSENT = UINT32_MAX,
	/* Rounds of bpf_waits_progress that the wait of a thread which is not seen waiting any more
	 * is remembered: its record is in the ring by then, and is read before the next round. */
	ROUNDS_KEPT = 2,
};

void bpf_waits_init(struct bpf_waits *waits, uint32_t target_pid, uint32_t event_index)
{
	*waits = (struct bpf_waits){.target_pid = target_pid, .event_index = event_index};
	bpf_stacks_init(&waits->stacks, BPF_STACKS_BYTES_MAX);
}

void bpf_waits_done(struct bpf_waits *waits)
{
	bpf_stacks_done(&waits->stacks);
	vec_done(&waits->sums);
	u64_map_done(&waits->sum_by_key);
	vec_done(&waits->credits);
	u64_map_done(&waits->credit_by_tid);
}

static struct bpf_wait_sum *sum_of(struct bpf_waits *waits, uint32_t tid, uint64_t stack,
				   uint32_t kind)
{
	uint64_t key = hash_two(stack, (uint64_t)kind << 32 | tid);
	uint32_t at;

	/* Two sums may have one key; the second goes to the next that is free. */
	for (; (at = u64_map_get(&waits->sum_by_key, key)) != ABSENT; key++) {
		struct bpf_wait_sum *sum = &waits->sums.items[at];

		if (sum->tid == tid && sum->stack == stack && sum->kind == kind)
			return sum;
	}
	u64_map_put(&waits->sum_by_key, key, (uint32_t)waits->sums.count);
	*vec_add(&waits->sums) = (struct bpf_wait_sum){.tid = tid, .stack = stack, .kind = kind};
	return &waits->sums.items[waits->sums.count - 1];
}

static struct bpf_wait_credit *credit_of(struct bpf_waits *waits, uint32_t tid)
{
	uint32_t at = u64_map_get(&waits->credit_by_tid, tid);

	if (at == ABSENT) {
		at = (uint32_t)waits->credits.count;
		u64_map_put(&waits->credit_by_tid, tid, at);
		*vec_add(&waits->credits) = (struct bpf_wait_credit){.tid = tid};
	}
	waits->credits.items[at].round = waits->round;
	return &waits->credits.items[at];
}

/* ns less what the thread owes. */
static uint64_t pay(struct bpf_wait_credit *credit, uint64_t ns)
{
	uint64_t paid = credit->owed_ns < ns ? credit->owed_ns : ns;

	credit->owed_ns -= paid;
	return ns - paid;
}

static uint64_t passed(const struct bpf_waits *waits, uint64_t since_ns, uint64_t until_ns)
{
	uint64_t from = since_ns > waits->start_ns ? since_ns : waits->start_ns;

	return until_ns > from ? until_ns - from : 0;
}

/* What a thread ran before since_ns cannot be more than what has passed since the start. */
static uint64_t clip_run(const struct bpf_waits *waits, uint64_t run_ns, uint64_t since_ns)
{
	uint64_t most = passed(waits, 0, since_ns);

	return run_ns < most ? run_ns : most;
}

static void add_to_sum(struct bpf_wait_sum *sum, uint64_t waits, uint64_t wait_ns, uint64_t run_ns,
		       uint64_t time_ns)
{
	sum->waits += waits;
	sum->wait_ns += wait_ns;
	sum->run_ns += run_ns;
	if (time_ns > sum->newest_ns)
		sum->newest_ns = time_ns;
}

void bpf_waits_add(struct bpf_waits *waits, const struct bpf_wait *wait)
{
	uint64_t ended_ns = wait->record.time_ns, wait_ns = 0;
	uint64_t run_ns = clip_run(waits, wait->run_ns, wait->since_ns);
	struct bpf_wait_credit *credit;

	if (ended_ns <= waits->start_ns)
		return;
	credit = credit_of(waits, wait->record.tid);
	if (wait->kind) {
		wait_ns = passed(waits, wait->since_ns, ended_ns);
		if (credit->since_ns == wait->since_ns && !credit->has_ended) {
			uint64_t credited = credit->credited_ns;

			if (credited > wait_ns)
				credit->owed_ns += credited - wait_ns;
			wait_ns = credited > wait_ns ? 0 : wait_ns - credited;
		}
		wait_ns = pay(credit, wait_ns);
		/* The wait after it may have been credited already, and this one not. */
		if (credit->since_ns <= wait->since_ns) {
			credit->since_ns = wait->since_ns;
			credit->credited_ns = 0;
			credit->has_ended = true;
		}
	} else {
		/* The thread has ended: another may bear its number. */
		*credit = (struct bpf_wait_credit){.tid = credit->tid, .round = credit->round};
	}
	add_to_sum(sum_of(waits, wait->record.tid, wait->stack, wait->kind), wait->kind != 0,
		   wait_ns, run_ns, ended_ns);
}

/* Not where the map is behind the records that were read, and not where it is before them: what was
 * credited of the wait before has to be set against its record first. A record that does not come
 * was lost, and is forgotten with its credit. */
static bool may_credit(struct bpf_waits *waits, const struct bpf_thread_state *state, bool is_last)
{
	uint32_t at = u64_map_get(&waits->credit_by_tid, state->tid);
	struct bpf_wait_credit *credit;

	if (at == ABSENT)
		return true;
	credit = &waits->credits.items[at];
	if (credit->has_ended) {
		/* Remembered for as long as the map shows it. */
		credit->round = waits->round;
		return state->thread.since_ns > credit->since_ns;
	}
	return is_last || state->thread.since_ns == credit->since_ns || !credit->credited_ns;
}

static void progress(struct bpf_waits *waits, uint64_t now_ns, const struct bpf_thread_state *state,
		     bool is_last)
{
	const struct bpf_thread *thread = &state->thread;
	uint64_t all_ns = passed(waits, thread->since_ns, now_ns), new_ns, run_ns = 0;
	struct bpf_wait_credit *credit;

	/* Nothing of it has passed. A state of which one half was written may look like that. */
	if (thread->since_ns > now_ns)
		return;
	if (thread->stack)
		bpf_stacks_find(&waits->stacks, thread->stack);
	if (!may_credit(waits, state, is_last))
		return;
	credit = credit_of(waits, state->tid);
	if (credit->since_ns != thread->since_ns) {
		credit->since_ns = thread->since_ns;
		credit->credited_ns = 0;
		credit->has_ended = false;
	}
	new_ns = all_ns > credit->credited_ns ? all_ns - credit->credited_ns : 0;
	credit->credited_ns += new_ns;
	new_ns = pay(credit, new_ns);
	if (is_last) {
		run_ns = clip_run(waits, thread->run_ns, thread->since_ns);
		credit->has_ended = true;
	}
	if (new_ns || run_ns)
		add_to_sum(sum_of(waits, state->tid, thread->stack, thread->kind), 0, new_ns,
			   run_ns, now_ns);
}

/* Threads come and go: the books would grow with each that ever was. */
static void forget_old_credits(struct bpf_waits *waits)
{
	size_t kept = 0;

	for (size_t i = 0; i < waits->credits.count; i++) {
		const struct bpf_wait_credit *credit = &waits->credits.items[i];

		if (waits->round - credit->round < ROUNDS_KEPT || credit->owed_ns)
			waits->credits.items[kept++] = *credit;
	}
	waits->round++;
	if (kept == waits->credits.count)
		return;
	waits->credits.count = kept;
	u64_map_clear(&waits->credit_by_tid);
	for (size_t i = 0; i < kept; i++)
		u64_map_put(&waits->credit_by_tid, waits->credits.items[i].tid, (uint32_t)i);
}

bool bpf_waits_knows(const struct bpf_waits *waits, const struct bpf_thread_state *state)
{
	uint32_t at = u64_map_get(&waits->credit_by_tid, state->tid);

	return at != ABSENT && waits->credits.items[at].since_ns == state->thread.since_ns;
}

void bpf_waits_progress(struct bpf_waits *waits, uint64_t now_ns,
			const struct bpf_thread_state *states, size_t count, bool is_last)
{
	for (size_t i = 0; i < count && now_ns > waits->start_ns; i++) {
		const struct bpf_thread *thread = &states[i].thread;

		if (thread->kind)
			progress(waits, now_ns, &states[i], is_last);
		else if (is_last)
			add_to_sum(sum_of(waits, states[i].tid, 0, 0), 0, 0,
				   passed(waits, thread->since_ns, now_ns), now_ns);
	}
	forget_old_credits(waits);
	bpf_stacks_round(&waits->stacks);
}

static void hand_over(struct bpf_waits *waits, const struct bpf_wait_sum *sum, source_sink sink,
		      void *context)
{
	const struct bpf_stack *stack =
		sum->stack ? bpf_stacks_find(&waits->stacks, sum->stack) : NULL;
	struct event event = {
		.time_ns = sum->newest_ns,
		.type = EVENT_SAMPLE,
		.pid = waits->target_pid,
		.tid = sum->tid,
		.sample =
			{
				.event_index = waits->event_index,
				.value = sum->wait_ns,
				.wait_kind = (enum wait_kind)sum->kind,
				.waits = sum->waits,
				.run_ns = sum->run_ns,
				.status = sum->kind ? STACK_NOT_WALKED : STACK_EMPTY,
			},
	};

	if (stack) {
		event.sample.status = stack->status;
		event.sample.pcs = stack->pcs;
		event.sample.pc_count = stack->pc_count;
		if (stack->registers) {
			event.sample.registers = stack->registers;
			event.sample.pcs = &stack->registers->rip;
			event.sample.pc_count = 1;
			event.sample.stack = stack->copy;
			event.sample.stack_bytes = stack->copy_bytes;
		}
	} else if (sum->stack) {
		waits->stackless += sum->waits;
	}
	sink(context, &event);
}

void bpf_waits_flush(struct bpf_waits *waits, source_sink sink, void *context)
{
	for (size_t i = 0; i < waits->sums.count; i++)
		hand_over(waits, &waits->sums.items[i], sink, context);
	if (!waits->sums.count)
		return;
	vec_clear(&waits->sums);
	u64_map_clear(&waits->sum_by_key);
}
