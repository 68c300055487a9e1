#include "reader/tui/parts.h"

#include <string.h>

#include "reader/util/own.h"
#include "reader/view/cell.h"

struct str *parts_add(struct parts *parts, int weight, struct style style)
{
	struct part *part;

	/* The last place is one for all that is too much. */
	if (parts->count == PARTS_MAX)
		parts->count--;
	part = &parts->parts[parts->count++];
	str_clear(&part->text);
	part->style = style;
	part->weight = weight;
	part->width_min = 0;
	part->is_joined = false;
	return &part->text;
}

void parts_done(struct parts *parts)
{
	for (size_t i = 0; i < PARTS_MAX; i++)
		str_done(&parts->parts[i].text);
	parts->count = 0;
}

static int width_of(const struct part *part)
{
	return (int)str_width(str_text(&part->text));
}

static int total(const struct parts *parts, int gap)
{
	int sum = 0;
	bool is_first = true;

	for (size_t i = 0; i < parts->count; i++) {
		if (!parts->parts[i].text.length)
			continue;
		sum += width_of(&parts->parts[i]);
		sum += is_first || parts->parts[i].is_joined ? 0 : gap;
		is_first = false;
	}
	return sum;
}

static struct part *lightest(struct parts *parts)
{
	struct part *found = NULL;

	for (size_t i = 0; i < parts->count; i++) {
		struct part *part = &parts->parts[i];

		if (part->text.length && part->weight < PARTS_KEEP &&
		    (!found || part->weight < found->weight))
			found = part;
	}
	return found;
}

static void shorten(struct part *part, int width)
{
	OWN(str_done) struct str whole = part->text;

	part->text = (struct str){0};
	cell_add_path(&part->text, str_text(&whole), (size_t)width);
}

static void fit(struct parts *parts, int room, int gap)
{
	int excess;

	while ((excess = total(parts, gap) - room) > 0) {
		struct part *part = lightest(parts);

		if (!part)
			return;
		if (part->width_min && width_of(part) - excess >= part->width_min) {
			shorten(part, width_of(part) - excess);
			return;
		}
		str_clear(&part->text);
	}
}

int parts_draw(struct parts *parts, struct canvas *canvas, struct area area, int x, int right,
	       int y, const char *separator, struct style separator_style)
{
	int left = x;

	if (right < area.width)
		area.width = right;
	fit(parts, right - x, (int)str_width(separator));
	for (size_t i = 0; i < parts->count; i++) {
		const struct part *part = &parts->parts[i];

		if (!part->text.length)
			continue;
		if (x > left && !part->is_joined)
			x += canvas_put(canvas, area, x, y, separator_style, separator);
		x += canvas_put(canvas, area, x, y, part->style, str_text(&part->text));
	}
	return x;
}
