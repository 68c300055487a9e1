#include "reader/view/cell.h"

#include <langinfo.h>
#include <string.h>

#include "reader/util/own.h"

bool cell_is_unicode(void)
{
	return !strcmp(nl_langinfo(CODESET), "UTF-8");
}

const char *cell_ellipsis(void)
{
	return cell_is_unicode() ? "…" : "...";
}

const char *cell_dot(void)
{
	return cell_is_unicode() ? "·" : "-";
}

const char *cell_dash(void)
{
	return cell_is_unicode() ? "–" : "-";
}

static bool is_continuation(char byte)
{
	return ((unsigned char)byte & 0xc0) == 0x80;
}

void cell_add_clean(struct str *to, const char *text)
{
	OWN(str_done) struct str clean = {0};

	if (cell_is_unicode()) {
		str_add_scrubbed(to, text);
		return;
	}
	/* The bytes of UTF-8 are controls to a terminal of eight-bit characters. */
	str_add_scrubbed(&clean, text);
	for (const char *at = str_text(&clean); *at; at++) {
		if (!is_continuation(*at))
			str_add_bytes(to, (unsigned char)*at < 0x80 ? at : "?", 1);
	}
}

/* The code point that ends before `end` begins here; text is UTF-8. */
static const char *step_back(const char *text, const char *end)
{
	do {
		end--;
	} while (end > text && is_continuation(*end));
	return end;
}

static size_t point_width(const char *from, const char *to)
{
	char point[8] = "";

	if ((size_t)(to - from) >= sizeof(point))
		return 1;
	memcpy(point, from, (size_t)(to - from));
	return str_width(point);
}

/* As much of the end of text as fits. */
static const char *tail(const char *text, size_t width)
{
	const char *at = text + strlen(text);
	size_t used = 0;

	while (at > text) {
		const char *before = step_back(text, at);

		used += point_width(before, at);
		if (used > width)
			break;
		at = before;
	}
	return at;
}

static void add_head(struct str *to, const char *text, size_t width)
{
	const char *at = text;
	size_t used = 0;

	while (*at) {
		const char *after = at + 1;

		while (is_continuation(*after))
			after++;
		used += point_width(at, after);
		if (used > width)
			break;
		at = after;
	}
	str_add_bytes(to, text, (size_t)(at - text));
}

static size_t room_beside_ellipsis(size_t width)
{
	size_t ellipsis = str_width(cell_ellipsis());

	return width > ellipsis ? width - ellipsis : 0;
}

void cell_add_path(struct str *to, const char *clean, size_t width)
{
	const char *from, *component;

	if (str_width(clean) <= width) {
		str_add(to, clean);
		return;
	}
	from = tail(clean, room_beside_ellipsis(width));
	component = strchr(from, '/');
	add_head(to, cell_ellipsis(), width);
	/* A slash at the very end is no component. */
	str_add(to, component && component[1] ? component : from);
}

/* "::" that separates components of the name itself, not of a type or an argument inside it: the
 * first one at or after `least`, and the last one. Both NULL where there is none. */
static void find_components(const char *text, const char *least, const char **ret_first,
			    const char **ret_last)
{
	const char *at = text + strlen(text);
	size_t depth = 0;

	*ret_first = *ret_last = NULL;
	while (at > text) {
		char before;

		at--;
		before = at > text ? at[-1] : '\0';
		if (*at == ')' || *at == ']' || *at == '}' || (*at == '>' && before != '-')) {
			depth++;
		} else if (*at == '(' || *at == '[' || *at == '{' || *at == '<') {
			depth -= depth > 0;
		} else if (!depth && *at == ':' && before == ':') {
			at--;
			if (!*ret_last)
				*ret_last = at;
			if (at < least)
				break;
			*ret_first = at;
		}
	}
}

void cell_add_name(struct str *to, const char *clean, size_t width)
{
	const char *from, *first, *last;

	if (str_width(clean) <= width) {
		str_add(to, clean);
		return;
	}
	from = tail(clean, room_beside_ellipsis(width));
	find_components(clean, from, &first, &last);
	if (first) {
		str_add(to, cell_ellipsis());
		str_add(to, first);
		return;
	}
	/* Not even the last component fits beside the ellipsis. */
	if (last)
		clean = last + strlen("::");
	if (str_width(clean) <= width) {
		str_add(to, clean);
		return;
	}
	add_head(to, clean, room_beside_ellipsis(width));
	add_head(to, cell_ellipsis(), width);
}

void cell_pad(struct str *to, size_t from, size_t width)
{
	size_t used = str_width(str_text(to) + from);

	while (used++ < width)
		str_add_bytes(to, " ", 1);
}
