#include "tests/lib/fake_source.h"

#include <string.h>

#include "tests/lib/kit.h"

static int fake_drain(struct source *source, source_sink sink, void *context)
{
	struct fake_source *fake = (struct fake_source *)source;

	for (size_t i = 0; i < fake->per_drain && fake->next < fake->event_count; i++)
		sink(context, &fake->events[fake->next++]);
	return 0;
}

static bool fake_is_over(const struct source *source)
{
	const struct fake_source *fake = (const struct fake_source *)source;

	return fake->next == fake->event_count;
}

static void fake_wait(struct source *source, int wake_fd, int timeout_ms)
{
	struct fake_source *fake = (struct fake_source *)source;

	fake->wait_ms = timeout_ms;
}

static bool fake_next_step(struct source *source, struct delta_step *ret_step)
{
	struct fake_source *fake = (struct fake_source *)source;

	if (fake->next_step == fake->step_count)
		return false;
	*ret_step = fake->steps[fake->next_step++];
	return true;
}

static uint64_t fake_code_epoch(struct source *source)
{
	struct fake_source *fake = (struct fake_source *)source;
	uint64_t epoch = fake->epoch;

	if (fake->execs_to_come) {
		fake->execs_to_come--;
		fake->epoch++;
	}
	return epoch;
}

static void fake_set_code(struct source *source, uint64_t epoch, const struct source_code *code,
			  size_t count, const struct unwind_rules *rules)
{
	struct fake_source *fake = (struct fake_source *)source;

	CHECK(count <= FAKE_CODE_MAX);
	for (size_t i = 0; i < count; i++) {
		CHECK(code[i].start < code[i].end);
		CHECK(!i || code[i - 1].end <= code[i].start);
	}
	if (count)
		memcpy(fake->code, code, count * sizeof(*code));
	fake->code_count = count;
	fake->code_epoch = epoch;
	fake->rules = rules;
	fake->set_count++;
	if (fake->on_set)
		fake->on_set(fake);
}

static const struct source_ops fake_ops = {
	.name = "fake",
	.drain = fake_drain,
	.next_step = fake_next_step,
	.is_over = fake_is_over,
};

static const struct source_ops fake_walker_ops = {
	.name = "fake walker",
	.drain = fake_drain,
	.wait = fake_wait,
	.code_epoch = fake_code_epoch,
	.set_code = fake_set_code,
	.next_step = fake_next_step,
};

static void init(struct fake_source *fake, const struct source_ops *ops, const struct event *events,
		 size_t count, size_t per_drain)
{
	memset(fake, 0, sizeof(*fake));
	fake->source.ops = ops;
	fake->events = events;
	fake->event_count = count;
	fake->per_drain = per_drain;
}

void fake_source_init(struct fake_source *fake, const struct event *events, size_t count,
		      size_t per_drain)
{
	init(fake, &fake_ops, events, count, per_drain);
}

void fake_walker_init(struct fake_source *fake, const struct event *events, size_t count,
		      size_t per_drain)
{
	init(fake, &fake_walker_ops, events, count, per_drain);
}

const struct source_code *fake_source_find(const struct fake_source *fake, uint64_t address)
{
	for (size_t i = 0; i < fake->code_count; i++) {
		if (address >= fake->code[i].start && address < fake->code[i].end)
			return &fake->code[i];
	}
	return NULL;
}
