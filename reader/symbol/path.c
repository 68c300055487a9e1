/* A path is cut into its components; the first rule of the table that matches some of them in a row
 * decides what is shown. Without a rule a path below the compilation directory is shown from there,
 * and any other by its last components. The full path is kept beside it, so that two files may look
 * the same here. */
#include "reader/symbol/path.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "reader/symbol/path_full.h"
#include "reader/util/str.h"
#include "reader/util/vec.h"

/* Components of a path of somebody else's file that are shown: enough to know
 * `lib/zip/inflate.c`. */
enum { TAIL_COMPONENTS = 3 };

/* `*` is any one component; `@` is NAME-VERSION and `#` is NAME-HASH, of which NAME/ is shown.
 * What stands behind the pattern is shown too, and never is nothing. */
struct path_rule {
	const char *pattern;
	const char *prefix; /* shown in front */
};

static const struct path_rule path_rules[] = {
	/* The standard library, as released and as the rust-src component installs it. */
	{"rustc/*/library", ""},
	{"rustc/*/vendor/@", ""},
	{"rust/deps/@", ""},
	{"rustlib/src/rust/library", ""},
	{"rustlib/src/rust/vendor/@", ""},
	/* Crates: from a registry, from git, from Debian's packages. */
	{"registry/src/*/@", ""},
	{"git/checkouts/#/*", ""},
	{"share/cargo/registry/@", ""},
	/* Headers of compilers and of the system. */
	{"usr/lib/gcc/*/*/include", "gcc/"},
	{"lib/clang/*/include", "clang/"},
	{"usr/include", ""},
};

struct part {
	const char *text;
	size_t length;
};

struct parts {
	VEC(struct part) list;
	bool is_absolute;
};

static bool part_is(const struct part *part, const char *text)
{
	return strlen(text) == part->length && memcmp(part->text, text, part->length) == 0;
}

static void add_part(struct parts *parts, struct part part)
{
	size_t count = parts->list.count;

	if (part.length == 0 || part_is(&part, "."))
		return;
	if (part_is(&part, "..")) {
		if (count && !part_is(&parts->list.items[count - 1], "..")) {
			parts->list.count--;
			return;
		}
		/* The root is its own parent. */
		if (parts->is_absolute)
			return;
	}
	*vec_add(&parts->list) = part;
}

static void add_text(struct parts *parts, const char *text)
{
	while (*text) {
		size_t length = strcspn(text, "/");

		add_part(parts, (struct part){.text = text, .length = length});
		text += length;
		text += *text == '/';
	}
}

static void split(struct parts *ret_parts, const char *path, const char *directory)
{
	memset(ret_parts, 0, sizeof(*ret_parts));
	ret_parts->is_absolute = path[0] == '/';
	if (path[0] != '/' && directory) {
		ret_parts->is_absolute = directory[0] == '/';
		add_text(ret_parts, directory);
	}
	add_text(ret_parts, path);
}

static void show_from(struct str *shown, const struct parts *parts, size_t first)
{
	for (size_t i = first; i < parts->list.count; i++) {
		if (i > first)
			str_add_bytes(shown, "/", 1);
		str_add_bytes(shown, parts->list.items[i].text, parts->list.items[i].length);
	}
}

static char *text_of(struct str *text)
{
	str_add_bytes(text, "", 0);
	return text->text;
}

char *path_full(const char *path, const char *directory)
{
	struct parts parts;
	struct str full = {0};

	split(&parts, path, directory);
	if (parts.is_absolute)
		str_add(&full, "/");
	show_from(&full, &parts, 0);
	vec_done(&parts.list);
	return text_of(&full);
}

/* Length of NAME in NAME-VERSION; 0 where there is no version. A version begins with a number and a
 * dot, which a name like sha-1 does not. */
static size_t crate_name_length(const struct part *part)
{
	for (size_t i = 1; i + 1 < part->length; i++) {
		size_t at = i + 1;

		if (part->text[i] != '-')
			continue;
		while (at < part->length && isdigit((unsigned char)part->text[at]))
			at++;
		if (at > i + 1 && at < part->length && part->text[at] == '.')
			return i;
	}
	return 0;
}

/* Length of NAME in NAME-HASH; 0 where there is no hash. */
static size_t checkout_name_length(const struct part *part)
{
	size_t at = part->length;

	while (at > 0 && isxdigit((unsigned char)part->text[at - 1]))
		at--;
	return at > 1 && at < part->length && part->text[at - 1] == '-' ? at - 1 : 0;
}

/* Does the pattern match the parts from `first` on? Then *ret_rest is the first part behind it. */
static bool match_at(const char *pattern, const struct parts *parts, size_t first,
		     struct part *ret_name, size_t *ret_rest)
{
	struct part name = {.text = "", .length = 0};

	while (*pattern) {
		struct part want = {.text = pattern, .length = strcspn(pattern, "/")};
		const struct part *part;

		if (first >= parts->list.count)
			return false;
		part = &parts->list.items[first++];
		if (part_is(&want, "@") || part_is(&want, "#")) {
			name.text = part->text;
			name.length = pattern[0] == '@' ? crate_name_length(part)
							: checkout_name_length(part);
			if (!name.length)
				return false;
		} else if (!part_is(&want, "*") &&
			   (part->length != want.length ||
			    memcmp(part->text, want.text, want.length) != 0)) {
			return false;
		}
		pattern += want.length;
		pattern += *pattern == '/';
	}
	if (first >= parts->list.count)
		return false;
	*ret_name = name;
	*ret_rest = first;
	return true;
}

static bool apply_rule(const struct path_rule *rule, const struct parts *parts, struct str *shown)
{
	/* The last match: a registry may itself lie below a folder that looks like one. */
	for (size_t first = parts->list.count; first-- > 0;) {
		struct part name;
		size_t rest;

		if (!match_at(rule->pattern, parts, first, &name, &rest))
			continue;
		str_add(shown, rule->prefix);
		if (name.length) {
			str_add_bytes(shown, name.text, name.length);
			str_add(shown, "/");
		}
		show_from(shown, parts, rest);
		return true;
	}
	return false;
}

/* Parts that the compilation directory takes at the front of the path; 0 where the path is not
 * below it. */
static size_t below(const struct parts *parts, const char *directory)
{
	struct parts top;
	size_t same = 0, count;

	if (!directory)
		return 0;
	split(&top, directory, NULL);
	count = top.list.count;
	if (top.is_absolute == parts->is_absolute && count < parts->list.count) {
		while (same < count &&
		       top.list.items[same].length == parts->list.items[same].length &&
		       memcmp(top.list.items[same].text, parts->list.items[same].text,
			      top.list.items[same].length) == 0)
			same++;
	}
	vec_done(&top.list);
	return same == count ? same : 0;
}

char *path_shorten(const char *path, const char *directory)
{
	struct parts parts;
	struct str shown = {0};
	bool is_done = false;

	split(&parts, path, directory);
	for (size_t i = 0; i < sizeof(path_rules) / sizeof(path_rules[0]) && !is_done; i++)
		is_done = apply_rule(&path_rules[i], &parts, &shown);
	if (!is_done) {
		size_t first = below(&parts, directory);

		if (!first && parts.is_absolute) {
			if (parts.list.count > TAIL_COMPONENTS)
				first = parts.list.count - TAIL_COMPONENTS;
			else
				str_add(&shown, "/");
		}
		show_from(&shown, &parts, first);
	}
	vec_done(&parts.list);
	return text_of(&shown);
}
