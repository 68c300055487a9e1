/* Programs that are compiled when a test runs, and what allocator_find says of them. */
#ifndef RSPROF_TESTS_UNIT_ALLOCATOR_LIVE_H
#define RSPROF_TESTS_UNIT_ALLOCATOR_LIVE_H

#include "reader/target/allocator.h"
#include "reader/util/own.h"
#include "reader/util/str.h"
#include "tests/lib/kit.h"
#include "tests/unit/child.h"
#include "tests/unit/looked_at.h"

/* ---- programs */

/* What each program does when it is ready: says so, and waits. */
#define READY                                                                                      \
	"#include <unistd.h>\n#include <stdlib.h>\n#include <stddef.h>\n"                          \
	"static int wait_here(void) { char c; return write(1, \"r\", 1) != 1 || "                  \
	"read(0, &c, 1) < 0; }\n"

/* The test's own folder. */
static inline const char *folder(void)
{
	static const char *made;

	if (!made)
		made = kit_folder();
	return made;
}

static inline int shell(const char *command)
{
	OWN(str_done) struct str line = {0};

	str_addf(&line, "cd '%s' && { %s; } >/dev/null 2>&1", folder(), command);
	return system(str_text(&line));
}

/* A compiler that is not there, or has no static C library, is no failure. */
static inline void compile(const char *name, const char *source, const char *command)
{
	OWN(str_done) struct str path = {0};
	FILE *file;

	if (shell(strstr(command, "rustc") ? "rustc --version" : "gcc --version") != 0)
		SKIP("there is no compiler for %s", name);
	str_addf(&path, "%s/%s", folder(), name);
	file = fopen(str_text(&path), "we");
	CHECK(file && fputs(source, file) >= 0 && fclose(file) == 0);
	if (shell(command) == 0)
		return;
	if (strstr(command, "-static"))
		SKIP("this does not work here: %s", command);
	FAIL("this does not work: %s", command);
}

struct program {
	const char *path;
	const char *preload; /* may be NULL */
};

static inline void exec_program(const void *argument)
{
	const struct program *program = argument;

	if (program->preload)
		setenv("LD_PRELOAD", program->preload, 1);
	execl(program->path, program->path, (char *)NULL);
	_exit(127);
}

static inline const char *in_folder(const char *name, char buffer[512])
{
	snprintf(buffer, 512, "%s/%s", folder(), name);
	return buffer;
}

/* A program of the test's folder, running. */
static inline struct child run(const char *name, const char *preload)
{
	char path[512];
	struct program program = {in_folder(name, path), preload};

	return child_start(exec_program, &program);
}

/* ---- what was found */

struct looked {
	struct child child;
	struct target *target;
	struct allocator_finder *finder;
	struct allocator_list list;
};

static inline void look_again(struct looked *looked)
{
	allocator_list_done(&looked->list);
	looked->list = (struct allocator_list){0};
	CHECK_EQ_I64(allocator_find(looked->finder, looked->target, &looked->list), 0);
}

static inline struct looked look_at(struct child child)
{
	struct looked looked = {.child = child};

	looked.target = open_target(child.pid);
	looked.finder = allocator_finder_new();
	look_again(&looked);
	return looked;
}

static inline void done(struct looked *looked)
{
	allocator_list_done(&looked->list);
	allocator_finder_free(looked->finder);
	target_free(looked->target);
	child_end(&looked->child);
}

static inline const struct allocator_function *find(const struct looked *looked, uint32_t layer,
						    const char *name)
{
	for (size_t i = 0; i < looked->list.functions.count; i++)
		if (looked->list.functions.items[i].layer == layer &&
		    strcmp(looked->list.functions.items[i].name, name) == 0)
			return &looked->list.functions.items[i];
	return NULL;
}

static inline void check_function(const struct looked *looked, uint32_t layer, const char *name,
				  enum allocator_call call, unsigned size_argument,
				  unsigned pointer_argument)
{
	const struct allocator_function *function = find(looked, layer, name);

	if (!function)
		FAIL("no %s in layer %u", name, layer);
	CHECK_EQ_I64(function->call, call);
	CHECK_EQ_U64(function->size_argument, size_argument);
	CHECK_EQ_U64(function->pointer_argument, pointer_argument);
	CHECK(!function->may_throw);
}

static inline size_t count_of_layer(const struct looked *looked, uint32_t layer)
{
	size_t count = 0;

	for (size_t i = 0; i < looked->list.functions.count; i++)
		count += looked->list.functions.items[i].layer == layer;
	return count;
}

static inline bool asks_kernel(const struct allocator_function *function)
{
	return function->call == ALLOCATOR_MMAP || function->call == ALLOCATOR_MUNMAP ||
	       function->call == ALLOCATOR_SBRK;
}

/* What holds of every list. */
static inline void check_list(const struct looked *looked)
{
	const struct allocator_list *list = &looked->list;

	for (size_t i = 0; i < list->layers.count; i++) {
		const struct allocator_layer *layer = &list->layers.items[i];

		CHECK(layer->fd >= 0 && fcntl(layer->fd, F_GETFD) >= 0);
		CHECK(layer->text_start < layer->text_end);
		CHECK(count_of_layer(looked, (uint32_t)i) > 0);
		for (size_t j = 0; j < i; j++)
			CHECK(list->layers.items[j].inode != layer->inode ||
			      list->layers.items[j].device != layer->device);
	}
	for (size_t i = 0; i < list->functions.count; i++) {
		const struct allocator_function *function = &list->functions.items[i];
		const struct allocator_layer *layer = &list->layers.items[function->layer];
		uint64_t address = layer->bias + function->vaddr;

		CHECK(function->layer < list->layers.count);
		CHECK(asks_kernel(function) ||
		      (address >= layer->text_start && address < layer->text_end));
		for (size_t j = 0; j < i; j++)
			CHECK(list->functions.items[j].layer != function->layer ||
			      list->functions.items[j].vaddr != function->vaddr);
	}
}

static inline void check_layer(const struct looked *looked, uint32_t layer, const char *kind,
			       const char *object)
{
	if (looked->list.layers.count <= layer)
		FAIL("no layer %u (%s): %s", layer, kind,
		     looked->list.missing ? looked->list.missing : "nothing missing");
	CHECK_EQ_STR(looked->list.layers.items[layer].kind, kind);
	if (!str_starts(looked->list.layers.items[layer].object, object))
		FAIL("the object is %s, not %s", looked->list.layers.items[layer].object, object);
}

#endif
