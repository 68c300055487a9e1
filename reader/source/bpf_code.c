#include "reader/source/bpf_code.h"

#include <string.h>

_Static_assert((int)BPF_RULES_MAX == (int)UNWIND_RULES_MAX, "both sides have room for all rules");

/* The list that no walk uses now. */
static struct bpf_code_list *other_list(const struct bpf_publisher *publisher)
{
	/* This thread is the only one that writes it. */
	return &publisher->lists->list[(publisher->control->version + 1) & 1];
}

/* All that was written before is seen by who sees the new version. Walks that are under way in the
 * list that will be written next find out at their end that the version is another. */
static void turn_over(struct bpf_publisher *publisher)
{
	__atomic_store_n(&publisher->control->version, publisher->control->version + 1,
			 __ATOMIC_SEQ_CST);
}

/* Tables may be overwritten from here on. */
static void publish_nothing(struct bpf_publisher *publisher, uint64_t epoch)
{
	struct bpf_code_list *list = other_list(publisher);

	list->count = 0;
	list->exec_count = epoch;
	turn_over(publisher);
}

static void copy_rules(struct bpf_publisher *publisher, const struct unwind_rules *rules)
{
	if (publisher->told_rules != rules)
		publisher->rules_told = 0;
	publisher->told_rules = rules;
	if (rules->count > publisher->rules_told)
		memcpy(publisher->rules + publisher->rules_told,
		       rules->rules + publisher->rules_told,
		       (rules->count - publisher->rules_told) * sizeof(*publisher->rules));
	publisher->rules_told = rules->count;
}

/* Returns whether a table is left out for want of room. */
static bool place_tables(struct bpf_arena *arena, const struct source_code *code, size_t count)
{
	bool is_short = false;

	bpf_arena_begin(arena);
	for (size_t i = 0; i < count; i++)
		is_short |= code[i].table && !bpf_arena_place(arena, code[i].table);
	return is_short;
}

static bool may_merge(const struct bpf_code *last, const struct source_code *code, uint64_t start)
{
	/* Without a table the bias means nothing. */
	return !code->table && !last->page_count && !last->flags && last->end == start;
}

static void describe(struct bpf_publisher *publisher, const struct unwind_table *table,
		     struct bpf_code *code)
{
	const struct bpf_placed *placed = bpf_arena_place(&publisher->arena, table);

	if (!placed) {
		code->flags = CODE_IS_ELSEWHERE;
		publisher->tables_full += bpf_arena_refuse(&publisher->arena, table);
		return;
	}
	code->base = table->base;
	code->page_count = table->page_count;
	code->index = placed->index;
	code->rows = placed->rows;
}

static void write_list(struct bpf_publisher *publisher, struct bpf_code_list *list,
		       const struct source_code *code, size_t count)
{
	uint64_t end = 0, left_out = 0;

	list->count = 0;
	for (size_t i = 0; i < count; i++) {
		/* A mapping that was replaced while /proc was read may be told twice. */
		uint64_t start = code[i].start > end ? code[i].start : end;
		struct bpf_code *last = list->count ? &list->code[list->count - 1] : NULL;

		/* Programs compare addresses as signed numbers; no walk gets to the kernel's half,
		 * where x86 has its vsyscall page. */
		if (start >= code[i].end || start >> 63)
			continue;
		end = code[i].end;
		if (last && may_merge(last, &code[i], start)) {
			last->end = end;
			continue;
		}
		if (list->count == BPF_CODE_MAX) {
			left_out++;
			continue;
		}
		last = &list->code[list->count];
		*last = (struct bpf_code){.start = start, .end = end, .bias = code[i].bias};
		if (code[i].table)
			describe(publisher, code[i].table, last);
		list->count++;
	}
	if (left_out > publisher->code_full)
		publisher->code_full = left_out;
}

/* ---- what addresses mean */

/* Memory without a file: code is generated there, and means something else all the time. */
static bool is_generated(const struct source_code *code)
{
	return !code->table && !code->bias;
}

/* Whether what was told of these addresses still holds. A table may have come for code that had
 * none. *at ascends with the addresses. */
static bool is_kept(const struct source_code *old, const struct source_code *code, size_t count,
		    size_t *at)
{
	uint64_t from = old->start;

	while (*at < count && code[*at].end <= from)
		++*at;
	for (size_t i = *at; i < count && code[i].start < old->end; i++) {
		if (code[i].end <= from)
			continue;
		if (code[i].bias != old->bias || (old->table && code[i].table != old->table))
			return false;
		if (code[i].start > from && !is_generated(old))
			return false;
		from = code[i].end;
	}
	return from >= old->end || is_generated(old);
}

static bool has_changed(const struct bpf_publisher *publisher, uint64_t epoch,
			const struct source_code *code, size_t count)
{
	size_t at = 0;

	if (publisher->last.count && publisher->last_epoch != epoch)
		return true;
	for (size_t i = 0; i < publisher->last.count; i++) {
		if (!is_kept(&publisher->last.items[i], code, count, &at))
			return true;
	}
	return false;
}

static void remember(struct bpf_publisher *publisher, uint64_t epoch,
		     const struct source_code *code, size_t count)
{
	vec_clear(&publisher->last);
	vec_reserve(&publisher->last, count);
	if (count)
		memcpy(publisher->last.items, code, count * sizeof(*code));
	publisher->last.count = count;
	publisher->last_epoch = epoch;
}

/* Hashes of stacks say which code they are of. No walk sees the one code and hashes with the number
 * of the other, since none sees any code meanwhile. */
static void begin_generation(struct bpf_publisher *publisher, uint64_t epoch)
{
	publish_nothing(publisher, epoch);
	__atomic_store_n(&publisher->control->code_generation,
			 publisher->control->code_generation + 1, __ATOMIC_SEQ_CST);
}

void bpf_publish(struct bpf_publisher *publisher, uint64_t epoch, const struct source_code *code,
		 size_t count, const struct unwind_rules *rules)
{
	bool is_nothing_seen = has_changed(publisher, epoch, code, count);
	struct bpf_code_list *list;

	if (is_nothing_seen)
		begin_generation(publisher, epoch);
	remember(publisher, epoch, code, count);
	/* New rules are named by new tables only. Those of another set take the place of rules in
	 * use, as tables do where room is made for others. */
	if (publisher->told_rules && publisher->told_rules != rules) {
		if (!is_nothing_seen)
			publish_nothing(publisher, epoch);
		is_nothing_seen = true;
		bpf_arena_reset(&publisher->arena);
	}
	copy_rules(publisher, rules);
	if (place_tables(&publisher->arena, code, count) &&
	    bpf_arena_has_unwanted(&publisher->arena)) {
		if (!is_nothing_seen)
			publish_nothing(publisher, epoch);
		bpf_arena_reset(&publisher->arena);
		place_tables(&publisher->arena, code, count);
	}
	list = other_list(publisher);
	write_list(publisher, list, code, count);
	list->exec_count = epoch;
	turn_over(publisher);
}

void bpf_publisher_done(struct bpf_publisher *publisher)
{
	bpf_arena_done(&publisher->arena);
	vec_done(&publisher->last);
}
