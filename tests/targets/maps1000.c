/* maps1000 SECONDS LIBRARY [now]: maps the code of LIBRARY (plug_a.so) a thousand times and burns
 * in the last of these mappings. */
#include "tests/targets/target.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>

enum { MAPPINGS = 1000 };

/* Where the segment with a function is, in memory and in its file. */
struct code {
	uintptr_t function, start;
	size_t size;
	off_t offset;
};

static int find_code(struct dl_phdr_info *info, size_t size, void *argument)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE) - 1;
	struct code *code = argument;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + segment->p_vaddr;

		if (segment->p_type != PT_LOAD || code->function < start ||
		    code->function >= start + segment->p_memsz)
			continue;
		code->start = start & ~page;
		code->size = (start + segment->p_filesz - code->start + page) & ~page;
		code->offset = (off_t)(segment->p_offset & ~page);
		return 1;
	}
	return 0;
}

APART static void burn_in(void (*burn)(void))
{
	burn();
	/* No tail call. */
	__asm__ volatile("");
}

int main(int argc, char **argv)
{
	uint64_t need_ns = (uint64_t)(number_argument(argc, argv, 1, 1) * 1e9), begin;
	struct code code = {0};
	void (*burn)(void);
	char *mapped = NULL;
	void *library;
	int fd;

	library = argc > 2 ? dlopen(argv[2], RTLD_NOW | RTLD_LOCAL) : NULL;
	fd = library ? open(argv[2], O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		return 1;
	code.function = (uintptr_t)dlsym(library, "plug_a_burn");
	if (!dl_iterate_phdr(find_code, &code))
		return 1;
	block_signals();
	if (!is_told_now(argc, argv))
		wait_for_go();
	/* The same part of the file: neighbours stay mappings of their own. */
	for (int i = 0; i < MAPPINGS; i++) {
		mapped = mmap(NULL, code.size, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, code.offset);
		if (mapped == MAP_FAILED)
			return 1;
	}
	*(void **)&burn = mapped + (code.function - code.start);
	begin = thread_ns();
	while (thread_ns() - begin < need_ns) {
		burn_in(burn);
		note_stall();
	}
	printf("mappings %d\ncpu_ns %" PRIu64 "\n", MAPPINGS, thread_ns() - begin);
	if (!is_told_now(argc, argv))
		linger();
	return 0;
}
