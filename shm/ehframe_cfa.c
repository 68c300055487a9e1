/* The instructions of CIEs and FDEs, run. Of the registers only rbp, rsp and the return address are
 * followed. */
#include "shm/ehframe_read.h"

enum {
	CFA_ADVANCE = 0x40, /* the upper two bits; the lower six are an operand */
	CFA_OFFSET = 0x80,
	CFA_RESTORE = 0xc0,

	CFA_NOP = 0x00,
	CFA_SET_LOC = 0x01,
	CFA_ADVANCE1 = 0x02,
	CFA_ADVANCE2 = 0x03,
	CFA_ADVANCE4 = 0x04,
	CFA_OFFSET_EXTENDED = 0x05,
	CFA_RESTORE_EXTENDED = 0x06,
	CFA_UNDEFINED = 0x07,
	CFA_SAME_VALUE = 0x08,
	CFA_REGISTER = 0x09,
	CFA_REMEMBER = 0x0a,
	CFA_RESTORE_STATE = 0x0b,
	CFA_DEF_CFA = 0x0c,
	CFA_DEF_CFA_REGISTER = 0x0d,
	CFA_DEF_CFA_OFFSET = 0x0e,
	CFA_DEF_CFA_EXPRESSION = 0x0f,
	CFA_EXPRESSION = 0x10,
	CFA_OFFSET_EXTENDED_SF = 0x11,
	CFA_DEF_CFA_SF = 0x12,
	CFA_DEF_CFA_OFFSET_SF = 0x13,
	CFA_VAL_OFFSET = 0x14,
	CFA_VAL_OFFSET_SF = 0x15,
	CFA_VAL_EXPRESSION = 0x16,
	CFA_MIPS_ADVANCE8 = 0x1d,
	CFA_GNU_ARGS_SIZE = 0x2e,
	CFA_GNU_NEGATIVE_OFFSET = 0x2f,

	REGISTER_NONE = 0xff, /* a number that no register has */
};

struct machine {
	const struct ehframe_section *section;
	const struct ehframe_cie *cie;
	struct ehframe_cursor cursor;
	bool is_initial; /* runs a CIE, where nothing may be restored */
	uint64_t location, next;
	struct ehframe_state state;
	unsigned saved_count;
	struct ehframe_state saved[EH_REMEMBER_MAX];
};

static uint8_t read_register(struct ehframe_cursor *cursor)
{
	uint64_t number = ehframe_uleb(cursor);

	return number <= EH_REGISTER_RA ? (uint8_t)number : REGISTER_NONE;
}

/* NULL for registers that are not followed. */
static struct ehframe_value *place_of(struct ehframe_state *state, unsigned number)
{
	switch (number) {
	case EH_REGISTER_RBP:
		return &state->rbp;
	case EH_REGISTER_RSP:
		return &state->rsp;
	case EH_REGISTER_RA:
		return &state->ra;
	default:
		return NULL;
	}
}

static void set_value(struct machine *machine, unsigned number, struct ehframe_value value)
{
	struct ehframe_value *place = place_of(&machine->state, number);

	if (place)
		*place = value;
}

static void set_kind(struct machine *machine, unsigned number, enum ehframe_kind kind)
{
	set_value(machine, number, (struct ehframe_value){.kind = (uint8_t)kind});
}

/* A value with one number, which may be too large for any rule. */
static struct ehframe_value value_with(enum ehframe_kind kind, uint8_t register_number, int64_t n)
{
	if (n < INT32_MIN || n > INT32_MAX)
		return (struct ehframe_value){.kind = EH_VALUE_OTHER};
	return (struct ehframe_value){(uint8_t)kind, register_number, (int32_t)n, 0};
}

static int64_t factored(const struct machine *machine, int64_t count)
{
	int64_t product;

	/* Too large for any rule, as the true product is. */
	if (__builtin_mul_overflow(count, machine->cie->data_factor, &product))
		return INT64_MAX;
	return product;
}

/* Counts beyond what is signed are too large for any rule too. */
static int64_t as_signed(uint64_t count)
{
	return count > INT64_MAX ? INT64_MAX : (int64_t)count;
}

static void set_offset(struct machine *machine, enum ehframe_kind kind, unsigned number,
		       int64_t count)
{
	if (place_of(&machine->state, number))
		set_value(machine, number, value_with(kind, 0, factored(machine, count)));
}

static void restore(struct machine *machine, unsigned number)
{
	struct ehframe_state initial = machine->cie->initial;
	struct ehframe_value *value = place_of(&initial, number);

	if (value)
		set_value(machine, number, *value);
}

static struct ehframe_value read_expression(struct ehframe_cursor *cursor)
{
	uint64_t size = ehframe_uleb(cursor);
	const uint8_t *bytes = ehframe_take(cursor, size);

	if (!bytes)
		return (struct ehframe_value){.kind = EH_VALUE_OTHER};
	return ehframe_expression(bytes, (size_t)size);
}

static void set_expression(struct machine *machine, unsigned number, bool is_value)
{
	struct ehframe_value value = read_expression(&machine->cursor);

	/* Without val_ the expression is where the value is kept. */
	if (!is_value)
		value.kind = value.kind == EH_VALUE_IS_SUM ? EH_VALUE_AT_SUM : EH_VALUE_OTHER;
	set_value(machine, number, value);
}

static void set_cfa_offset(struct machine *machine, int64_t offset)
{
	struct ehframe_value *cfa = &machine->state.cfa;

	/* Only a sum has an offset to change. */
	if (cfa->kind == EH_VALUE_IS_SUM)
		*cfa = value_with(EH_VALUE_IS_SUM, cfa->register_number, offset);
	else
		cfa->kind = EH_VALUE_OTHER;
}

static bool advance(struct machine *machine, uint64_t count)
{
	uint64_t bytes;

	if (__builtin_mul_overflow(count, machine->cie->code_factor, &bytes) ||
	    __builtin_add_overflow(machine->next, bytes, &machine->next))
		return false;
	return !machine->is_initial;
}

static bool set_location(struct machine *machine)
{
	const struct ehframe_section *section = machine->section;
	uint64_t vaddr = section->vaddr + (uint64_t)(machine->cursor.at - section->bytes);
	uint64_t location = ehframe_pointer(&machine->cursor, machine->cie->pointer_encoding,
					    machine->cie->address_size, vaddr, 0);

	if (location < machine->next || machine->is_initial)
		return false;
	machine->next = location;
	return true;
}

/* The instructions without an operand in their first byte. false: damaged or unknown. */
static bool run_one(struct machine *machine, uint8_t op)
{
	struct ehframe_cursor *cursor = &machine->cursor;
	struct ehframe_state *state = &machine->state;
	unsigned number;

	switch (op) {
	case CFA_NOP:
		return true;
	case CFA_SET_LOC:
		return set_location(machine);
	case CFA_ADVANCE1:
		return advance(machine, ehframe_u8(cursor));
	case CFA_ADVANCE2:
		return advance(machine, ehframe_fixed(cursor, 2));
	case CFA_ADVANCE4:
		return advance(machine, ehframe_fixed(cursor, 4));
	case CFA_MIPS_ADVANCE8:
		return advance(machine, ehframe_fixed(cursor, 8));
	case CFA_OFFSET_EXTENDED:
		number = read_register(cursor);
		set_offset(machine, EH_VALUE_AT_CFA, number, as_signed(ehframe_uleb(cursor)));
		return true;
	case CFA_OFFSET_EXTENDED_SF:
		number = read_register(cursor);
		set_offset(machine, EH_VALUE_AT_CFA, number, ehframe_sleb(cursor));
		return true;
	case CFA_GNU_NEGATIVE_OFFSET:
		number = read_register(cursor);
		set_offset(machine, EH_VALUE_AT_CFA, number, -as_signed(ehframe_uleb(cursor)));
		return true;
	case CFA_VAL_OFFSET:
		number = read_register(cursor);
		set_offset(machine, EH_VALUE_IS_CFA, number, as_signed(ehframe_uleb(cursor)));
		return true;
	case CFA_VAL_OFFSET_SF:
		number = read_register(cursor);
		set_offset(machine, EH_VALUE_IS_CFA, number, ehframe_sleb(cursor));
		return true;
	case CFA_RESTORE_EXTENDED:
		restore(machine, read_register(cursor));
		return !machine->is_initial;
	case CFA_UNDEFINED:
		set_kind(machine, read_register(cursor), EH_VALUE_UNDEFINED);
		return true;
	case CFA_SAME_VALUE:
		set_kind(machine, read_register(cursor), EH_VALUE_SAME);
		return true;
	case CFA_REGISTER:
		number = read_register(cursor);
		set_value(machine, number,
			  value_with(EH_VALUE_IN_REGISTER, read_register(cursor), 0));
		return true;
	case CFA_REMEMBER:
		if (machine->saved_count == EH_REMEMBER_MAX)
			return false;
		machine->saved[machine->saved_count++] = *state;
		return true;
	case CFA_RESTORE_STATE:
		if (!machine->saved_count)
			return false;
		*state = machine->saved[--machine->saved_count];
		return true;
	case CFA_DEF_CFA:
		number = read_register(cursor);
		state->cfa = value_with(EH_VALUE_IS_SUM, (uint8_t)number,
					as_signed(ehframe_uleb(cursor)));
		return true;
	case CFA_DEF_CFA_SF:
		number = read_register(cursor);
		state->cfa = value_with(EH_VALUE_IS_SUM, (uint8_t)number,
					factored(machine, ehframe_sleb(cursor)));
		return true;
	case CFA_DEF_CFA_REGISTER:
		number = read_register(cursor);
		if (state->cfa.kind == EH_VALUE_IS_SUM)
			state->cfa.register_number = (uint8_t)number;
		else
			state->cfa.kind = EH_VALUE_OTHER;
		return true;
	case CFA_DEF_CFA_OFFSET:
		set_cfa_offset(machine, as_signed(ehframe_uleb(cursor)));
		return true;
	case CFA_DEF_CFA_OFFSET_SF:
		set_cfa_offset(machine, factored(machine, ehframe_sleb(cursor)));
		return true;
	case CFA_DEF_CFA_EXPRESSION:
		state->cfa = read_expression(cursor);
		return true;
	case CFA_EXPRESSION:
		number = read_register(cursor);
		set_expression(machine, number, false);
		return true;
	case CFA_VAL_EXPRESSION:
		number = read_register(cursor);
		set_expression(machine, number, true);
		return true;
	case CFA_GNU_ARGS_SIZE:
		ehframe_uleb(cursor);
		return true;
	default:
		return false;
	}
}

/* Runs up to where the location moves, or to the end. false: damaged or unknown. */
static bool run(struct machine *machine)
{
	machine->location = machine->next;
	while (machine->next == machine->location && ehframe_left(&machine->cursor)) {
		uint8_t op = *machine->cursor.at++;
		bool is_good = true;

		switch (op & 0xc0) {
		case CFA_ADVANCE:
			is_good = advance(machine, op & 0x3f);
			break;
		case CFA_OFFSET:
			set_offset(machine, EH_VALUE_AT_CFA, op & 0x3f,
				   as_signed(ehframe_uleb(&machine->cursor)));
			break;
		case CFA_RESTORE:
			restore(machine, op & 0x3f);
			is_good = !machine->is_initial;
			break;
		default:
			is_good = run_one(machine, op);
		}
		if (!is_good || machine->cursor.failed)
			return false;
	}
	return true;
}

bool ehframe_run_initial(const struct ehframe_section *section, struct ehframe_cie *cie,
			 const uint8_t *program, size_t size)
{
	struct machine machine;

	machine.section = section;
	machine.cie = cie;
	machine.cursor = (struct ehframe_cursor){program, program + size, false};
	machine.is_initial = true;
	machine.next = 0;
	machine.state = (struct ehframe_state){{0}, {0}, {0}, {0}};
	machine.saved_count = 0;
	if (!run(&machine))
		return false;
	cie->initial = machine.state;
	return true;
}

/* ---- rows */

static void start(struct machine *machine, const struct ehframe_section *section,
		  const struct ehframe_cie *cie, const struct ehframe_fde *fde)
{
	machine->section = section;
	machine->cie = cie;
	machine->cursor =
		(struct ehframe_cursor){fde->program, fde->program + fde->program_size, false};
	machine->is_initial = false;
	machine->next = fde->start;
	machine->state = cie->initial;
	machine->saved_count = 0;
}

/* On to what holds from machine->location on, up to machine->next; false behind the last one.
 * *ret_is_good: that is known, else the entry is damaged. */
static bool next_row(struct machine *machine, const struct ehframe_fde *fde, bool *ret_is_good)
{
	if (machine->next >= fde->end)
		return false;
	*ret_is_good = run(machine);
	if (!*ret_is_good || machine->next == machine->location || machine->next > fde->end)
		machine->next = fde->end;
	return true;
}

static struct ehframe_rule rule_of(const struct machine *machine, bool is_good)
{
	if (!is_good)
		return (struct ehframe_rule){.cfa_type = EH_CFA_UNSUPPORTED};
	return ehframe_rule_of(&machine->state, machine->cie->is_signal);
}

static bool is_same(const struct ehframe_rule *a, const struct ehframe_rule *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

void ehframe_rows(const struct ehframe_section *section, const struct ehframe_cie *cie,
		  const struct ehframe_fde *fde, ehframe_row_fn row, void *context)
{
	struct machine machine;
	struct ehframe_rule rule, last = {0};
	bool is_good;

	start(&machine, section, cie, fde);
	while (next_row(&machine, fde, &is_good)) {
		rule = rule_of(&machine, is_good);
		/* `last` is no rule of an FDE at first: EH_CFA_NONE. */
		if (!is_same(&rule, &last))
			row(context, machine.location, &rule);
		last = rule;
	}
}

struct ehframe_rule ehframe_rule_at(const struct ehframe_section *section,
				    const struct ehframe_cie *cie, const struct ehframe_fde *fde,
				    uint64_t pc)
{
	struct machine machine;
	bool is_good;

	start(&machine, section, cie, fde);
	while (pc >= fde->start && next_row(&machine, fde, &is_good)) {
		if (pc < machine.next)
			return rule_of(&machine, is_good);
	}
	return (struct ehframe_rule){0};
}
