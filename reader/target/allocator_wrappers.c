/* Which functions of a file only hand on to another one.
 *
 * What is freed through two probed functions is freed once, and the second probe would see a block
 * that is not known. And an operator new that lets an exception through may not be probed at its
 * return: where it calls a function that may be, that one is better. Calls of other allocating
 * functions to each other are told apart when they happen, by stack and return address.
 *
 * A short function that has an instruction of a call or jump to such a function hands on: 32 bits
 * of distance that hit exactly one of a few addresses are no accident, so that nothing needs to be
 * decoded; a jump of 8 bits counts where it is the function's end. What is larger has a way of its
 * own. */
#include "reader/target/allocator_file.h"

#include <endian.h>
#include <string.h>

#include "reader/target/allocator.h"
#include "reader/target/elf_headers.h"
#include "reader/util/own.h"

enum {
	WRAPPER_BYTES_MAX = 128,
	STUB_BYTES = 16, /* an entry of the linkage table */
	CALL = 0xe8,
	JUMP = 0xe9,
	SHORT_JUMP = 0xeb,
	GROUP_FF = 0xff,
	CALL_THROUGH = 0x15, /* ff 15: call *distance(%rip) */
	JUMP_THROUGH = 0x25,
};

struct code {
	const struct allocator_file *file;
	int fd;
	const elf_found_list *found;
	elf_slot_list slots;
};

static void own_code(struct code *code)
{
	vec_done(&code->slots);
}

/* As many bytes as there are of `count`. */
static size_t read_code(const struct code *code, uint64_t vaddr, uint8_t *into, size_t count)
{
	for (size_t i = 0; i < code->file->code.count; i++) {
		const struct segment *segment = &code->file->code.items[i];
		uint64_t skip = vaddr - segment->vaddr;

		if (vaddr < segment->vaddr || skip >= segment->file_size)
			continue;
		if (count > segment->file_size - skip)
			count = segment->file_size - skip;
		return elf_read_bytes(code->fd, into, count, segment->file_offset + skip) < 0
			       ? 0
			       : count;
	}
	return 0;
}

static uint64_t add_distance(const uint8_t *bytes, uint64_t end)
{
	uint32_t distance;

	memcpy(&distance, bytes, sizeof(distance));
	return end + (uint64_t)(int64_t)(int32_t)le32toh(distance);
}

/* The name that is called through a slot, or allocator_name_count. */
static uint32_t name_of_slot(const struct code *code, uint64_t vaddr)
{
	for (size_t i = 0; i < code->slots.count; i++) {
		if (code->slots.items[i].vaddr != vaddr)
			continue;
		for (size_t j = 0; j < code->found->count; j++)
			if (code->found->items[j].is_dynamic &&
			    code->found->items[j].index == code->slots.items[i].symbol)
				return code->found->items[j].name;
	}
	return (uint32_t)allocator_name_count;
}

/* The name of the function at that address, or that the stub there jumps to. */
static uint32_t name_of_target(const struct code *code, uint64_t vaddr)
{
	uint8_t stub[STUB_BYTES];
	size_t count;

	for (size_t i = 0; i < code->file->symbols.count; i++)
		if (code->file->symbols.items[i].vaddr == vaddr)
			return code->file->symbols.items[i].name;
	if (code->slots.count == 0)
		return (uint32_t)allocator_name_count;
	count = read_code(code, vaddr, stub, sizeof(stub));
	for (size_t i = 0; i + 6 <= count; i++)
		if (stub[i] == GROUP_FF && stub[i + 1] == JUMP_THROUGH)
			return name_of_slot(code, add_distance(stub + i + 2, vaddr + i + 6));
	return (uint32_t)allocator_name_count;
}

/* Of what an instruction at vaddr, within the function, calls or jumps to. */
static uint32_t name_of_transfer(const struct code *code, uint64_t function, uint64_t vaddr,
				 const uint8_t *bytes, size_t left)
{
	uint64_t to = function;

	if (left >= 5 && (bytes[0] == CALL || bytes[0] == JUMP))
		to = add_distance(bytes + 1, vaddr + 5);
	else if (left == 2 && bytes[0] == SHORT_JUMP)
		to = vaddr + 2 + (uint64_t)(int64_t)(int8_t)bytes[1];
	if (to != function)
		return name_of_target(code, to);
	if (left >= 6 && bytes[0] == GROUP_FF &&
	    (bytes[1] == CALL_THROUGH || bytes[1] == JUMP_THROUGH))
		return name_of_slot(code, add_distance(bytes + 2, vaddr + 6));
	return (uint32_t)allocator_name_count;
}

/* A function that frees hands on to one that frees, one that allocates to one that allocates. */
static bool is_alike(const struct allocator_name *from, const struct allocator_name *to)
{
	if (!to->call || to->family == NAME_KERNEL)
		return false;
	return (from->call == ALLOCATOR_FREE) == (to->call == ALLOCATOR_FREE);
}

/* Its first instruction jumps to a function that takes the same arguments: probing both would only
 * cost twice. */
static bool is_other_name(const struct code *code, const struct allocator_symbol *symbol)
{
	static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
	const struct allocator_name *from = &allocator_names[symbol->name], *to;
	uint8_t bytes[sizeof(endbr64) + 5];
	size_t count = read_code(code, symbol->vaddr, bytes, sizeof(bytes)), skip = 0;
	uint32_t name;

	if (count == sizeof(bytes) && memcmp(bytes, endbr64, sizeof(endbr64)) == 0)
		skip = sizeof(endbr64);
	if (count < skip + 5 || bytes[skip] != JUMP)
		return false;
	name = name_of_transfer(code, symbol->vaddr, symbol->vaddr + skip, bytes + skip,
				count - skip);
	if (name >= allocator_name_count)
		return false;
	to = &allocator_names[name];
	return from->call == to->call && from->size_argument == to->size_argument &&
	       from->pointer_argument == to->pointer_argument;
}

static bool is_wrapper(const struct code *code, const struct allocator_symbol *symbol)
{
	const struct allocator_name *name = &allocator_names[symbol->name];
	uint8_t bytes[WRAPPER_BYTES_MAX];
	size_t count;

	if (name->call && name->family != NAME_KERNEL && is_other_name(code, symbol))
		return true;
	if (name->call != ALLOCATOR_FREE && name->family != NAME_OPERATOR && !name->may_throw)
		return false;
	if (symbol->size == 0 || symbol->size > WRAPPER_BYTES_MAX)
		return false;
	count = read_code(code, symbol->vaddr, bytes, symbol->size);
	for (size_t i = 0; i < count; i++) {
		uint32_t to = name_of_transfer(code, symbol->vaddr, symbol->vaddr + i, bytes + i,
					       count - i);

		if (to < allocator_name_count && is_alike(name, &allocator_names[to]))
			return true;
	}
	return false;
}

void allocator_file_mark_wrappers(struct allocator_file *file, int fd, const elf_found_list *found)
{
	OWN(own_code) struct code code = {.file = file, .fd = fd, .found = found};

	/* Without slots, calls through the linkage table stay unknown. */
	if (elf_slots_find(fd, found, &code.slots) < 0)
		vec_clear(&code.slots);
	for (size_t i = 0; i < file->symbols.count; i++)
		file->symbols.items[i].is_wrapper = is_wrapper(&code, &file->symbols.items[i]);
}
