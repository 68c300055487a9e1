#include "reader/symbol/line_table.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

/* A reader that stops at the end: behind it every value is 0 and is_over is set. */
struct cursor {
	const uint8_t *at, *end;
	bool is_over;
};

static uint64_t take(struct cursor *cursor, size_t bytes)
{
	uint64_t value = 0;
	uint32_t word;
	uint16_t half;

	if (bytes > (size_t)(cursor->end - cursor->at)) {
		cursor->at = cursor->end;
		cursor->is_over = true;
		return 0;
	}
	switch (bytes) {
	case 1:
		value = *cursor->at;
		break;
	case 2:
		memcpy(&half, cursor->at, sizeof(half));
		value = half;
		break;
	case 4:
		memcpy(&word, cursor->at, sizeof(word));
		value = word;
		break;
	case 8:
		memcpy(&value, cursor->at, sizeof(value));
		break;
	default:
		cursor->is_over = true;
		break;
	}
	cursor->at += bytes;
	return value;
}

static void skip(struct cursor *cursor, uint64_t bytes)
{
	if (bytes > (uint64_t)(cursor->end - cursor->at)) {
		cursor->at = cursor->end;
		cursor->is_over = true;
	} else {
		cursor->at += bytes;
	}
}

static uint64_t take_uleb(struct cursor *cursor)
{
	uint64_t value = 0;
	unsigned shift = 0;
	uint8_t byte;

	do {
		byte = (uint8_t)take(cursor, 1);
		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while ((byte & 0x80) && !cursor->is_over);
	return value;
}

static int64_t take_sleb(struct cursor *cursor)
{
	uint64_t value = 0;
	unsigned shift = 0;
	uint8_t byte;

	do {
		byte = (uint8_t)take(cursor, 1);
		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while ((byte & 0x80) && !cursor->is_over);
	if ((byte & 0x40) && shift < 64)
		value |= ~(uint64_t)0 << shift;
	return (int64_t)value;
}

struct program {
	struct cursor code;
	uint8_t step_bytes; /* minimum_instruction_length */
	int8_t line_base;
	uint8_t line_range, opcode_base;
	uint8_t operands[256]; /* by standard opcode */
};

enum { FIRST_VERSION = 2, LAST_VERSION = 5 };

static bool read_header(struct cursor *section, struct program *ret_program)
{
	struct program program = {0};
	struct cursor head;
	size_t offset_bytes = 4;
	uint64_t length = take(section, 4), version;

	if (length == 0xffffffff) {
		offset_bytes = 8;
		length = take(section, 8);
	}
	if (section->is_over || length > (uint64_t)(section->end - section->at))
		return false;
	section->end = section->at + length;
	head = *section;
	version = take(&head, 2);
	if (version < FIRST_VERSION || version > LAST_VERSION)
		return false;
	if (version >= 5)
		skip(&head, 2); /* sizes of an address and of a segment selector */
	length = take(&head, offset_bytes);
	program.code = head;
	skip(&program.code, length);
	program.step_bytes = (uint8_t)take(&head, 1);
	if (version >= 4)
		skip(&head, 1); /* operations an instruction: 1 but for VLIW machines */
	skip(&head, 1);		/* default_is_stmt */
	program.line_base = (int8_t)take(&head, 1);
	program.line_range = (uint8_t)take(&head, 1);
	program.opcode_base = (uint8_t)take(&head, 1);
	for (unsigned i = 1; i < program.opcode_base; i++)
		program.operands[i] = (uint8_t)take(&head, 1);
	*ret_program = program;
	return !head.is_over && !program.code.is_over && program.line_range && program.opcode_base;
}

struct state {
	uint64_t address;
	uint64_t file;
	uint32_t line;
	size_t first_row; /* of the sequence that is being read */
	bool is_sorted;
	bool is_dropped; /* the sequence begins outside of code */
};

static void start_sequence(struct line_table *table, struct state *state)
{
	*state = (struct state){
		.file = 1, .line = 1, .first_row = table->rows.count, .is_sorted = true};
}

static void add_row(struct line_table *table, struct state *state, const struct elf_file *code)
{
	struct line_row row = {.address = state->address, .line = state->line};
	struct line_row *last = NULL;

	row.file = state->file < UINT32_MAX ? (uint32_t)state->file : UINT32_MAX;
	if (table->rows.count == state->first_row) {
		if (!state->is_dropped)
			state->is_dropped = !elf_file_code(code, row.address);
	} else {
		last = &table->rows.items[table->rows.count - 1];
	}
	if (state->is_dropped)
		return;
	/* Of two rows for one address the later one holds. */
	if (last && last->address == row.address) {
		*last = row;
		return;
	}
	if (last && last->address > row.address)
		state->is_sorted = false;
	else if (last && last->file == row.file && last->line == row.line)
		return;
	*vec_add(&table->rows) = row;
}

static int compare_rows(const void *left, const void *right)
{
	const struct line_row *a = left, *b = right;

	return a->address < b->address ? -1 : a->address > b->address;
}

static void end_sequence(struct line_table *table, struct state *state, const struct elf_file *code)
{
	size_t count = table->rows.count - state->first_row;
	struct line_row *rows = table->rows.items + state->first_row;

	if (count) {
		const struct code_range *range;
		uint64_t end = state->address;

		if (!state->is_sorted)
			qsort(rows, count, sizeof(*rows), compare_rows);
		range = elf_file_code(code, rows[0].address);
		if (range && end > range->end)
			end = range->end;
		range_index_add(&table->index, rows[0].address, end, 0,
				(uint32_t)table->sequences.count);
		*vec_add(&table->sequences) =
			(struct line_sequence){.first = state->first_row, .count = count};
	}
	start_sequence(table, state);
}

static void run_extended(struct line_table *table, struct program *program, struct state *state,
			 const struct elf_file *code)
{
	uint64_t length = take_uleb(&program->code);
	struct cursor operands = program->code;

	skip(&program->code, length);
	if (!length || program->code.is_over)
		return;
	operands.end = program->code.at;
	switch (take(&operands, 1)) {
	case DW_LNE_end_sequence:
		end_sequence(table, state, code);
		break;
	case DW_LNE_set_address:
		state->address = take(&operands, length - 1);
		if (operands.is_over)
			state->is_dropped = true;
		break;
	default:
		/* Discriminators, files (old; libdw knows them), makers' own: no rows. */
		break;
	}
}

static void run_standard(struct line_table *table, struct program *program, struct state *state,
			 uint8_t opcode, const struct elf_file *code)
{
	switch (opcode) {
	case DW_LNS_copy:
		add_row(table, state, code);
		break;
	case DW_LNS_advance_pc:
		state->address += take_uleb(&program->code) * program->step_bytes;
		break;
	case DW_LNS_advance_line:
		state->line += (uint32_t)take_sleb(&program->code);
		break;
	case DW_LNS_set_file:
		state->file = take_uleb(&program->code);
		break;
	case DW_LNS_const_add_pc:
		state->address += (uint64_t)((255 - program->opcode_base) / program->line_range) *
				  program->step_bytes;
		break;
	case DW_LNS_fixed_advance_pc:
		state->address += take(&program->code, 2);
		break;
	default:
		for (unsigned i = 0; i < program->operands[opcode]; i++)
			take_uleb(&program->code);
		break;
	}
}

static void run(struct line_table *table, struct program *program, const struct elf_file *code)
{
	struct state state;

	start_sequence(table, &state);
	/* Every turn takes a byte at least. */
	while (program->code.at < program->code.end && !program->code.is_over) {
		uint8_t opcode = (uint8_t)take(&program->code, 1);

		if (opcode >= program->opcode_base) {
			unsigned step = opcode - program->opcode_base;

			state.address +=
				(uint64_t)(step / program->line_range) * program->step_bytes;
			state.line +=
				(uint32_t)(program->line_base + (int)(step % program->line_range));
			add_row(table, &state, code);
		} else if (opcode == 0) {
			run_extended(table, program, &state, code);
		} else {
			run_standard(table, program, &state, opcode, code);
		}
	}
	/* Rows without an end tell nothing about where they end. */
	table->rows.count = state.first_row;
}

void line_table_read(struct line_table *table, const uint8_t *section, size_t section_size,
		     uint64_t offset, const struct elf_file *code)
{
	struct cursor cursor = {.at = section, .end = section + section_size};
	struct program program;

	skip(&cursor, offset);
	if (cursor.is_over || !read_header(&cursor, &program))
		return;
	run(table, &program, code);
	range_index_seal(&table->index);
	if (table->rows.count)
		table->rows.items =
			mem_grow(table->rows.items, table->rows.count, sizeof(*table->rows.items));
	table->rows.capacity = table->rows.count;
}

const struct line_row *line_table_find(const struct line_table *table, uint64_t address)
{
	uint32_t found = range_index_find(&table->index, address);
	const struct line_row *rows;
	size_t low = 0, high;

	if (found == RANGE_NONE)
		return NULL;
	rows = table->rows.items + table->sequences.items[found].first;
	high = table->sequences.items[found].count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (rows[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &rows[low - 1] : NULL;
}

void line_table_done(struct line_table *table)
{
	vec_done(&table->rows);
	vec_done(&table->sequences);
	range_index_done(&table->index);
}
