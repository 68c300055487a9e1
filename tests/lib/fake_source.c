#include "tests/lib/fake_source.h"

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

static const struct source_ops fake_ops = {
	.name = "fake",
	.drain = fake_drain,
	.is_over = fake_is_over,
};

void fake_source_init(struct fake_source *fake, const struct event *events, size_t count,
		      size_t per_drain)
{
	*fake = (struct fake_source){{&fake_ops}, events, count, 0, per_drain};
}
