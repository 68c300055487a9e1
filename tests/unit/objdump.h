/* What objdump says of a file's code, instruction by instruction: an independent opinion. */
#ifndef RSPROF_TEST_OBJDUMP_H
#define RSPROF_TEST_OBJDUMP_H

#include <ctype.h>
#include <stdlib.h>

#include "reader/util/own.h"
#include "tests/lib/kit.h"

struct objdump_line {
	uint64_t vaddr;
	uint8_t bytes[32];
	size_t size;
	char mnemonic[32]; /* the first word, prefixes among them */
	char operands[256];
};

struct objdump {
	FILE *pipe;
	char *text;
	size_t capacity;
};

static inline void objdump_open(const char *path, struct objdump *ret_dump)
{
	char command[512];

	if (system("objdump --version >/dev/null 2>&1") != 0)
		SKIP("objdump is not here");
	snprintf(command, sizeof(command), "objdump -d -w --insn-width=16 '%s'", path);
	*ret_dump = (struct objdump){.pipe = popen(command, "r")};
	CHECK(ret_dump->pipe);
}

static inline void objdump_close(struct objdump *dump)
{
	CHECK_EQ_I64(pclose(dump->pipe), 0);
	free(dump->text);
}

static inline bool objdump_parse(const char *text, struct objdump_line *ret_line)
{
	struct objdump_line line = {0};
	char *at;
	size_t length;

	line.vaddr = strtoull(text, &at, 16);
	if (at == text || *at++ != ':' || *at++ != '\t')
		return false;
	while (isxdigit((unsigned char)at[0]) && isxdigit((unsigned char)at[1]) && at[2] == ' ' &&
	       line.size < sizeof(line.bytes)) {
		line.bytes[line.size++] = (uint8_t)strtoul(at, NULL, 16);
		at += 3;
	}
	while (*at == ' ')
		at++;
	if (*at++ != '\t' || !line.size)
		return false;
	length = strcspn(at, " \n");
	if (!length || length >= sizeof(line.mnemonic))
		return false;
	memcpy(line.mnemonic, at, length);
	at += length;
	at += strspn(at, " ");
	length = strcspn(at, "\n#<");
	while (length && at[length - 1] == ' ')
		length--;
	if (length >= sizeof(line.operands))
		return false;
	memcpy(line.operands, at, length);
	*ret_line = line;
	return true;
}

/* The next instruction; false at the end. */
static inline bool objdump_next(struct objdump *dump, struct objdump_line *ret_line)
{
	while (getline(&dump->text, &dump->capacity, dump->pipe) > 0)
		if (objdump_parse(dump->text, ret_line))
			return true;
	return false;
}

/* The library, or NULL. */
static inline const char *library_path(const char *name)
{
	static const char *const folders[] = {"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu",
					      "/lib64", "/usr/lib64", "/usr/lib"};
	static char path[256];

	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		snprintf(path, sizeof(path), "%s/%s", folders[i], name);
		if (access(path, R_OK) == 0)
			return path;
	}
	return NULL;
}

#endif
