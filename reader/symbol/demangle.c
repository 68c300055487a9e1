/* libiberty does the work, through its callback interface: a mangled name of a few hundred bytes
 * can stand for gigabytes of text, and only the callback can stop that. Its own bound on recursion
 * stays on. */
#include "reader/symbol/demangle.h"

#include <ctype.h>
#include <libiberty/demangle.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "reader/util/mem.h"
#include "reader/util/str.h"

enum {
	/* Longer names are shown as they are: compilers write at most some tens of kilobytes, and
	 * libiberty's work grows with the length. */
	MANGLED_MAX = 64 * 1024,
	/* A name that unfolds to more is shown mangled: no reader wants it, and back references
	 * double it with every few bytes. */
	DEMANGLED_MAX = 64 * 1024,
};

/* What compilers append to the name of a function that they copied or split. A number, or a hash in
 * digits, may follow. */
static const char *const clone_suffixes[] = {
	"llvm",	    "constprop",  "isra",   "part",	"cold", "clone",
	"lto_priv", "localalias", "__uniq", "resolver", "warm", "hot",
};

static bool is_clone_word(const char *word, size_t length)
{
	for (size_t i = 0; i < sizeof(clone_suffixes) / sizeof(clone_suffixes[0]); i++) {
		if (strlen(clone_suffixes[i]) == length &&
		    memcmp(clone_suffixes[i], word, length) == 0)
			return true;
	}
	return false;
}

static bool is_number(const char *word, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (!isdigit((unsigned char)word[i]))
			return false;
	}
	return length > 0;
}

/* The last dot before end, or 0 where there is none behind the first byte. */
static size_t last_dot(const char *name, size_t end)
{
	while (end > 1 && name[end - 1] != '.')
		end--;
	return end > 1 ? end - 1 : 0;
}

/* How much of the name is left without `.constprop.0`, `.llvm.123`, `.cold` and their like. */
static size_t base_length(const char *name)
{
	size_t length = strlen(name);

	for (;;) {
		size_t dot = last_dot(name, length), word = dot;

		if (!dot)
			return length;
		if (is_number(name + dot + 1, length - dot - 1)) {
			word = last_dot(name, dot);
			if (!word || !is_clone_word(name + word + 1, dot - word - 1))
				return length;
		} else if (!is_clone_word(name + dot + 1, length - dot - 1)) {
			return length;
		}
		length = word;
	}
}

struct output {
	struct str text;
	jmp_buf too_long;
};

static void add_text(const char *text, size_t length, void *opaque)
{
	struct output *output = opaque;

	if (output->text.length + length > DEMANGLED_MAX)
		longjmp(output->too_long, 1);
	str_add_bytes(&output->text, text, length);
}

typedef int (*demangler)(const char *mangled, int options, demangle_callbackref callback,
			 void *opaque);

static bool run(demangler with, const char *name, struct output *output)
{
	if (setjmp(output->too_long))
		return false;
	return with(name, DMGL_NO_OPTS, add_text, output) && output->text.length > 0;
}

static char *demangle_base(const char *base)
{
	struct output output = {0};
	bool is_done = false;

	if (strncmp(base, "_R", 2) == 0 || strncmp(base, "_ZN", 3) == 0)
		is_done = run(rust_demangle_callback, base, &output);
	if (!is_done && strncmp(base, "_Z", 2) == 0) {
		str_clear(&output.text);
		is_done = run(cplus_demangle_v3_callback, base, &output);
	}
	if (is_done)
		return output.text.text;
	str_done(&output.text);
	return NULL;
}

char *demangle(const char *name)
{
	size_t length;
	char *base, *shown;

	/* The length is bounded first: nothing below looks at a longer name. */
	if (strnlen(name, MANGLED_MAX + 1) > MANGLED_MAX)
		return mem_strdup(name);
	length = base_length(name);
	base = mem_strdup(name);
	base[length] = '\0';
	shown = demangle_base(base);
	if (!shown)
		return base;
	free(base);
	return shown;
}
