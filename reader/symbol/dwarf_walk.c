/* libdwfl is given everything by callbacks: files that elf_file.c has opened, so that one that is
 * cut short is no signal; registers and memory of the sample. It opens nothing by itself, neither
 * separate debug files nor anything over a network: unwinding needs what is mapped only. */
#include "reader/symbol/dwarf_walk.h"

#include <elfutils/libdwfl.h>
#include <stdlib.h>
#include <string.h>

#include "reader/symbol/elf_file.h"
#include "reader/util/hash.h"
#include "reader/util/mem.h"
#include "reader/util/vec.h"

_Static_assert(sizeof(Dwarf_Word) == sizeof(uint64_t), "registers are copied as they are");

enum {
	/* libdw wants to know which thread; there is one stack at a time, of whatever thread. */
	THREAD = 1,
	/* DWARF's number of the return address; the general registers come before it. */
	REGISTER_RIP = EVENT_REGISTERS,
};

struct known_file {
	uint32_t key;
	bool is_good;
	struct elf_file file;
};

/* A module that libdwfl was told of. */
struct mapped_file {
	uint32_t file; /* index of files */
	uint64_t bias;
};

struct dwarf_walk {
	Dwfl *dwfl; /* NULL: there is no module */
	VEC(struct known_file *) files;
	struct u64_map by_key;
	VEC(struct mapped_file) mapped;
	/* Of the walk that is going on. */
	const struct event_registers *registers;
	const struct dwarf_walk_copy *copy;
	struct dwarf_stack *stack;
	bool is_memory_missing; /* read in vain since the last frame */
	bool is_guess; /* libdw has to guess the caller of the last frame, in a file's code */
	bool is_exact; /* the next frame is where it stopped, not where a call returns to */
};

/* ---- what libdwfl asks */

static int find_elf(Dwfl_Module *module, void **userdata, const char *name, Dwarf_Addr base,
		    char **ret_path, Elf **ret_elf)
{
	const struct known_file *known = *userdata;

	/* libdwfl ends its reference by itself. */
	*ret_elf = known ? elf_begin(-1, ELF_C_READ, known->file.elf) : NULL;
	return -1;
}

static int find_no_debug_file(Dwfl_Module *module, void **userdata, const char *name,
			      Dwarf_Addr base, const char *path, const char *link, GElf_Word crc,
			      char **ret_path)
{
	return -1;
}

static const Dwfl_Callbacks file_callbacks = {
	.find_elf = find_elf,
	.find_debuginfo = find_no_debug_file,
};

static pid_t next_thread(Dwfl *dwfl, void *context, void **thread)
{
	if (*thread)
		return 0;
	*thread = context;
	return THREAD;
}

static bool get_thread(Dwfl *dwfl, pid_t tid, void *context, void **thread)
{
	*thread = context;
	return tid == THREAD;
}

static bool set_registers(Dwfl_Thread *thread, void *context)
{
	const struct event_registers *registers = ((struct dwarf_walk *)context)->registers;
	Dwarf_Word rip = registers->rip;

	for (int i = 0; i < EVENT_REGISTERS; i++) {
		Dwarf_Word value = registers->general[i];

		if ((registers->known & 1u << i) &&
		    !dwfl_thread_state_registers(thread, i, 1, &value))
			return false;
	}
	return dwfl_thread_state_registers(thread, REGISTER_RIP, 1, &rip);
}

/* From a segment that nobody writes, as the file has it. */
static bool read_file(const struct mapped_file *mapped, const struct elf_file *file,
		      uint64_t address, Dwarf_Word *ret_word)
{
	uint64_t vaddr = address - mapped->bias;
	size_t count = 0;

	if (elf_getphdrnum(file->elf, &count))
		return false;
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr header;
		uint64_t at;

		if (!gelf_getphdr(file->elf, (int)i, &header) || header.p_type != PT_LOAD ||
		    (header.p_flags & PF_W) || vaddr < header.p_vaddr)
			continue;
		at = vaddr - header.p_vaddr;
		if (header.p_filesz < sizeof(*ret_word) ||
		    at > header.p_filesz - sizeof(*ret_word) || header.p_offset > file->size ||
		    file->size - header.p_offset < sizeof(*ret_word) ||
		    at > file->size - header.p_offset - sizeof(*ret_word))
			continue;
		memcpy(ret_word, (const uint8_t *)file->image + header.p_offset + at,
		       sizeof(*ret_word));
		return true;
	}
	return false;
}

static bool read_memory(Dwfl *dwfl, Dwarf_Addr address, Dwarf_Word *ret_word, void *context)
{
	struct dwarf_walk *walk = context;
	const struct dwarf_walk_copy *copy = walk->copy;
	uint64_t at = address - copy->address;

	if (address >= copy->address && copy->size >= sizeof(*ret_word) &&
	    at <= copy->size - sizeof(*ret_word)) {
		memcpy(ret_word, copy->bytes + at, sizeof(*ret_word));
		return true;
	}
	for (size_t i = 0; i < walk->mapped.count; i++) {
		const struct mapped_file *mapped = &walk->mapped.items[i];

		if (read_file(mapped, &walk->files.items[mapped->file]->file, address, ret_word))
			return true;
	}
	walk->is_memory_missing = true;
	return false;
}

static const Dwfl_Thread_Callbacks thread_callbacks = {
	.next_thread = next_thread,
	.get_thread = get_thread,
	.memory_read = read_memory,
	.set_initial_registers = set_registers,
};

/* ---- files and modules */

struct dwarf_walk *dwarf_walk_new(void)
{
	elf_version(EV_CURRENT);
	return mem_zalloc(sizeof(struct dwarf_walk));
}

static void end_dwfl(struct dwarf_walk *walk)
{
	if (walk->dwfl)
		dwfl_end(walk->dwfl);
	walk->dwfl = NULL;
	vec_clear(&walk->mapped);
}

void dwarf_walk_free(struct dwarf_walk *walk)
{
	if (!walk)
		return;
	end_dwfl(walk);
	for (size_t i = 0; i < walk->files.count; i++) {
		elf_file_close(&walk->files.items[i]->file);
		free(walk->files.items[i]);
	}
	vec_done(&walk->files);
	vec_done(&walk->mapped);
	u64_map_done(&walk->by_key);
	free(walk);
}

/* Its index in files. */
static uint32_t know_file(struct dwarf_walk *walk, const struct dwarf_walk_module *module)
{
	uint32_t index = u64_map_get(&walk->by_key, module->key);
	struct known_file *known;

	if (index != UINT32_MAX)
		return index;
	index = (uint32_t)walk->files.count;
	known = mem_zalloc(sizeof(*known));
	known->key = module->key;
	known->is_good = module->fd >= 0 && elf_file_open(module->fd, &known->file) == 0 &&
			 known->file.machine == EM_X86_64 &&
			 gelf_getclass(known->file.elf) == ELFCLASS64 &&
			 !elf_file_is_bomb(&known->file);
	*vec_add(&walk->files) = known;
	u64_map_put(&walk->by_key, module->key, index);
	return index;
}

/* The addresses that a file takes, as libdwfl reckons: it finds the bias from the first. */
static bool find_span(Elf *elf, uint64_t *ret_start, uint64_t *ret_end)
{
	uint64_t start = 0, end = 0;
	bool has_load = false;
	size_t count = 0;

	if (elf_getphdrnum(elf, &count))
		return false;
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr header;

		if (!gelf_getphdr(elf, (int)i, &header) || header.p_type != PT_LOAD)
			continue;
		if (!has_load)
			start = header.p_vaddr & -header.p_align;
		has_load = true;
		if (header.p_vaddr + header.p_memsz > end)
			end = header.p_vaddr + header.p_memsz;
	}
	*ret_start = start;
	*ret_end = end;
	return has_load && end > start;
}

/* Whole pages are mapped, so that a mapping of code may begin with the end of another segment. */
static bool find_bias(Elf *elf, const struct dwarf_walk_module *module, uint64_t *ret_bias)
{
	size_t count = 0;

	if (elf_getphdrnum(elf, &count))
		return false;
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr header;

		if (!gelf_getphdr(elf, (int)i, &header) || header.p_type != PT_LOAD ||
		    !(header.p_flags & PF_X) ||
		    module->file_offset < (header.p_offset & ~UINT64_C(0xfff)) ||
		    module->file_offset >= header.p_offset + header.p_filesz)
			continue;
		*ret_bias = module->start - module->file_offset + header.p_offset - header.p_vaddr;
		return true;
	}
	return false;
}

static bool is_reported(const struct dwarf_walk *walk, uint32_t file, uint64_t bias)
{
	for (size_t i = 0; i < walk->mapped.count; i++) {
		if (walk->mapped.items[i].file == file && walk->mapped.items[i].bias == bias)
			return true;
	}
	return false;
}

static bool report(struct dwarf_walk *walk, const struct dwarf_walk_module *module)
{
	uint32_t index = know_file(walk, module);
	struct known_file *known = walk->files.items[index];
	uint64_t start, end, bias;
	GElf_Addr reckoned;
	void **userdata;
	Dwfl_Module *reported;

	if (!known->is_good || !find_bias(known->file.elf, module, &bias))
		return false;
	if (is_reported(walk, index, bias))
		return true;
	if (!find_span(known->file.elf, &start, &end))
		return false;
	reported = dwfl_report_module(walk->dwfl, module->name, bias + start, bias + end);
	if (!reported)
		return false;
	dwfl_module_info(reported, &userdata, NULL, NULL, NULL, NULL, NULL, NULL);
	*userdata = known;
	/* Where libdwfl reckons otherwise, its frames would be wrong. */
	if (!dwfl_module_getelf(reported, &reckoned) || reckoned != bias) {
		*userdata = NULL;
		return false;
	}
	*vec_add(&walk->mapped) = (struct mapped_file){.file = index, .bias = bias};
	return true;
}

size_t dwarf_walk_set_modules(struct dwarf_walk *walk, const struct dwarf_walk_module *modules,
			      size_t count)
{
	size_t refused = 0;

	end_dwfl(walk);
	walk->dwfl = dwfl_begin(&file_callbacks);
	if (!walk->dwfl)
		return count;
	dwfl_report_begin(walk->dwfl);
	for (size_t i = 0; i < count; i++)
		refused += !report(walk, &modules[i]);
	if (dwfl_report_end(walk->dwfl, NULL, NULL) || !walk->mapped.count ||
	    !dwfl_attach_state(walk->dwfl, walk->files.items[walk->mapped.items[0].file]->file.elf,
			       THREAD, &thread_callbacks, walk)) {
		end_dwfl(walk);
		return count;
	}
	return refused;
}

/* ---- walking */

static bool covers(Dwarf_CFI *cfi, uint64_t vaddr, bool *ret_is_signal)
{
	Dwarf_Frame *frame;

	if (!cfi || dwarf_cfi_addrframe(cfi, vaddr, &frame) != 0)
		return false;
	dwarf_frame_info(frame, NULL, NULL, ret_is_signal);
	free(frame);
	return true;
}

static bool has_unwind_information(Dwfl_Module *module, uint64_t address, bool *ret_is_signal)
{
	Dwarf_Addr bias = 0;
	Dwarf_CFI *cfi = dwfl_module_eh_cfi(module, &bias);

	if (covers(cfi, address - bias, ret_is_signal))
		return true;
	cfi = dwfl_module_dwarf_cfi(module, &bias);
	return covers(cfi, address - bias, ret_is_signal);
}

static int take_frame(Dwfl_Frame *frame, void *context)
{
	struct dwarf_walk *walk = context;
	struct dwarf_stack *stack = walk->stack;
	Dwfl_Module *module;
	Dwarf_Addr pc;

	/* Without asking whether it is exact: libdw reads on for that. */
	if (!dwfl_frame_pc(frame, &pc, NULL))
		return -1;
	if (walk->is_guess) {
		stack->end = DWARF_WALK_STOPPED;
		return DWARF_CB_ABORT;
	}
	if (stack->pc_count == stack->pc_max) {
		stack->end = DWARF_WALK_FULL;
		return DWARF_CB_ABORT;
	}
	stack->pcs[stack->pc_count++] = pc;
	if (!walk->is_exact)
		pc--;
	walk->is_memory_missing = walk->is_exact = false;
	module = dwfl_addrmodule(walk->dwfl, pc);
	walk->is_guess = module && !has_unwind_information(module, pc, &walk->is_exact);
	return DWARF_CB_OK;
}

/* In code that is in no file libdw takes what rbp points at for a frame, whatever it is. One that
 * leads into no file again, and no further, is none. */
static void drop_bad_guess(struct dwarf_walk *walk, struct dwarf_stack *stack)
{
	uint32_t last = stack->pc_count - 1;

	if (stack->pc_count >= 2 && !dwfl_addrmodule(walk->dwfl, stack->pcs[last] - 1) &&
	    !dwfl_addrmodule(walk->dwfl, stack->pcs[last - 1] - (last > 1)))
		stack->pc_count--;
}

void dwarf_walk_stack(struct dwarf_walk *walk, const struct event_registers *registers,
		      const struct dwarf_walk_copy *copy, struct dwarf_stack *stack)
{
	stack->pc_count = 0;
	stack->end = DWARF_WALK_STOPPED;
	stack->reason = "there is no module";
	if (!walk->dwfl)
		return;
	walk->registers = registers;
	walk->copy = copy;
	walk->stack = stack;
	walk->is_memory_missing = walk->is_guess = false;
	walk->is_exact = true;
	if (dwfl_getthread_frames(walk->dwfl, THREAD, take_frame, walk) == 0)
		stack->end = DWARF_WALK_ROOT;
	stack->reason = stack->end == DWARF_WALK_STOPPED ? dwfl_errmsg(-1) : NULL;
	if (stack->end == DWARF_WALK_STOPPED && walk->is_guess)
		stack->reason = "there is no unwind information";
	if (stack->end == DWARF_WALK_STOPPED)
		drop_bad_guess(walk, stack);
	/* libdw takes a return address that cannot be read for one that is not defined: the root.
	 */
	if (stack->end == DWARF_WALK_ROOT && walk->is_memory_missing) {
		stack->end = DWARF_WALK_STOPPED;
		stack->reason = "memory outside of the copy was needed";
	}
}
