/* Sections, CIEs and FDEs. */
#include "shm/ehframe.h"

#include <errno.h>

#include "shm/ehframe_read.h"

enum {
	/* Compilers write at most "zPLRS"; further letters exist, but not so many. */
	AUGMENTATION_MAX = 16,
	LEB_BYTES_MAX = 10, /* 64 bits, seven a byte */
};

uint64_t ehframe_uleb_long(struct ehframe_cursor *cursor)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < LEB_BYTES_MAX; i++) {
		uint8_t byte = ehframe_u8(cursor);

		if (cursor->failed)
			return 0;
		if (i == LEB_BYTES_MAX - 1 && byte > 1)
			break;
		value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (byte < 0x80)
			return value;
	}
	ehframe_fail(cursor);
	return 0;
}

int64_t ehframe_sleb(struct ehframe_cursor *cursor)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < LEB_BYTES_MAX; i++) {
		uint8_t byte = ehframe_u8(cursor);

		if (cursor->failed)
			return 0;
		/* The last byte holds the 64th bit and copies of it. */
		if (i == LEB_BYTES_MAX - 1 && byte != 0 && byte != 0x7f)
			break;
		value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (byte < 0x80) {
			if ((byte & 0x40) && i < LEB_BYTES_MAX - 1)
				value |= ~UINT64_C(0) << (7 * (i + 1));
			return (int64_t)value;
		}
	}
	ehframe_fail(cursor);
	return 0;
}

size_t ehframe_pointer_size(uint8_t encoding, uint8_t address_size)
{
	switch (encoding & EH_PE_FORMAT) {
	case EH_PE_ABSPTR:
		return address_size;
	case EH_PE_UDATA2:
	case EH_PE_SDATA2:
		return 2;
	case EH_PE_UDATA4:
	case EH_PE_SDATA4:
		return 4;
	case EH_PE_UDATA8:
	case EH_PE_SDATA8:
		return 8;
	default:
		return 0;
	}
}

uint64_t ehframe_pointer(struct ehframe_cursor *cursor, uint8_t encoding, uint8_t address_size,
			 uint64_t vaddr, uint64_t data_base)
{
	size_t size = ehframe_pointer_size(encoding, address_size);
	uint64_t value;

	switch (encoding & EH_PE_FORMAT) {
	case EH_PE_ULEB128:
		value = ehframe_uleb(cursor);
		break;
	case EH_PE_SLEB128:
		value = (uint64_t)ehframe_sleb(cursor);
		break;
	default:
		if (!size) {
			ehframe_fail(cursor);
			return 0;
		}
		value = ehframe_fixed(cursor, size);
		if ((encoding & EH_PE_FORMAT) == EH_PE_SDATA2)
			value = (uint64_t)(int64_t)(int16_t)value;
		else if ((encoding & EH_PE_FORMAT) == EH_PE_SDATA4)
			value = (uint64_t)(int64_t)(int32_t)value;
	}
	switch (encoding & (EH_PE_BASE | EH_PE_INDIRECT)) {
	case 0:
		return value;
	case EH_PE_PCREL:
		return vaddr + value;
	case EH_PE_DATAREL:
		if (data_base)
			return data_base + value;
		/* fall through */
	default:
		ehframe_fail(cursor);
		return 0;
	}
}

/* One entry's frame: what is between its length and its end. */
struct entry {
	struct ehframe_cursor body; /* behind the CIE id or pointer */
	size_t end;		    /* offset of the next entry */
	bool is_end;		    /* the terminator of .eh_frame */
	bool is_cie;
	size_t cie_offset; /* of an FDE; SIZE_MAX: outside */
};

/* false where the section ends within the entry. */
static bool read_entry(const struct ehframe_section *section, size_t offset,
		       struct entry *ret_entry)
{
	struct ehframe_cursor cursor;
	struct entry entry = {.cie_offset = SIZE_MAX};
	uint64_t length, id;
	size_t id_offset, id_size;
	bool is_long = false;

	if (offset > section->size)
		return false;
	cursor = (struct ehframe_cursor){section->bytes + offset, section->bytes + section->size,
					 false};
	length = ehframe_fixed(&cursor, 4);
	if (length == 0xffffffff) {
		length = ehframe_fixed(&cursor, 8);
		is_long = true;
	}
	if (cursor.failed || length > ehframe_left(&cursor))
		return false;
	cursor.end = cursor.at + length;
	entry.end = (size_t)(cursor.end - section->bytes);
	if (!length) {
		entry.is_end = !section->is_debug_frame;
		entry.body = cursor;
		entry.body.failed = true;
		*ret_entry = entry;
		return true;
	}
	/* In .eh_frame the id has 4 bytes in both forms; its zero is a CIE, and others count back
	 * from the id itself. In .debug_frame all ones are a CIE, others an offset. */
	id_offset = (size_t)(cursor.at - section->bytes);
	id_size = section->is_debug_frame && is_long ? 8 : 4;
	id = ehframe_fixed(&cursor, id_size);
	if (section->is_debug_frame) {
		entry.is_cie = id == (id_size == 8 ? UINT64_MAX : 0xffffffff);
		if (id < section->size)
			entry.cie_offset = (size_t)id;
	} else {
		entry.is_cie = id == 0;
		if (id <= id_offset)
			entry.cie_offset = id_offset - (size_t)id;
	}
	entry.body = cursor;
	*ret_entry = entry;
	return true;
}

/* Reads what follows the letters of the augmentation; false where one is unknown. */
static bool read_augmentation(const struct ehframe_section *section, struct ehframe_cie *cie,
			      struct ehframe_cursor *cursor, const uint8_t *letters, size_t count)
{
	struct ehframe_cursor data;
	uint64_t size;

	if (!count)
		return true;
	if (letters[0] != 'z')
		return false;
	cie->is_sized = true;
	size = ehframe_uleb(cursor);
	data = *cursor;
	if (!ehframe_take(cursor, size))
		return false;
	data.end = cursor->at;
	for (size_t i = 1; i < count; i++) {
		uint8_t encoding;

		switch (letters[i]) {
		case 'R':
			cie->pointer_encoding = ehframe_u8(&data);
			break;
		case 'S':
			cie->is_signal = true;
			break;
		case 'L':
			ehframe_u8(&data);
			break;
		case 'P':
			/* The handler's address does not matter, only where it ends. */
			encoding = ehframe_u8(&data);
			if ((encoding & EH_PE_BASE) == EH_PE_ALIGNED && encoding != EH_PE_OMIT)
				return false;
			if (encoding != EH_PE_OMIT)
				ehframe_pointer(&data, encoding & EH_PE_FORMAT, cie->address_size,
						0, 0);
			break;
		default:
			return false;
		}
	}
	return !data.failed;
}

static bool read_cie(const struct ehframe_section *section, size_t offset,
		     struct ehframe_cie *ret_cie)
{
	struct ehframe_cie cie = {.is_valid = true, .offset = offset, .address_size = 8};
	struct ehframe_cursor *cursor;
	struct entry entry;
	const uint8_t *letters;
	size_t letter_count = 0;
	uint64_t return_register;
	uint8_t version;

	if (!read_entry(section, offset, &entry) || !entry.is_cie || entry.body.failed)
		return false;
	cursor = &entry.body;
	version = ehframe_u8(cursor);
	if (version != 1 && version != 3 && !(version == 4 && section->is_debug_frame))
		return false;
	letters = cursor->at;
	while (ehframe_u8(cursor)) {
		if (++letter_count > AUGMENTATION_MAX)
			return false;
	}
	if (version == 4) {
		cie.address_size = ehframe_u8(cursor);
		/* Segment selectors are of no machine that is left. */
		if (ehframe_u8(cursor) != 0 || (cie.address_size != 4 && cie.address_size != 8))
			return false;
	}
	cie.code_factor = ehframe_uleb(cursor);
	cie.data_factor = ehframe_sleb(cursor);
	return_register = version == 1 ? ehframe_u8(cursor) : ehframe_uleb(cursor);
	if (cursor->failed || return_register != EH_REGISTER_RA ||
	    !read_augmentation(section, &cie, cursor, letters, letter_count) ||
	    ehframe_left(cursor) > EH_CIE_BYTES_MAX ||
	    !ehframe_run_initial(section, &cie, cursor->at, ehframe_left(cursor)))
		return false;
	*ret_cie = cie;
	return true;
}

static int read_fde(const struct ehframe_section *section, const struct entry *entry, size_t offset,
		    struct ehframe_cie *cie, struct ehframe_fde *ret_fde)
{
	struct ehframe_cursor cursor = entry->body;
	uint64_t vaddr, start, size;

	if (entry->is_cie || cursor.failed)
		return -EBADMSG;
	if (!cie->is_valid || cie->offset != entry->cie_offset) {
		cie->is_valid = false;
		if (!read_cie(section, entry->cie_offset, cie))
			return -EBADMSG;
	}
	vaddr = section->vaddr + (uint64_t)(cursor.at - section->bytes);
	start = ehframe_pointer(&cursor, cie->pointer_encoding, cie->address_size, vaddr, 0);
	size = ehframe_pointer(&cursor, cie->pointer_encoding & EH_PE_FORMAT, cie->address_size, 0,
			       0);
	if (cie->is_sized)
		ehframe_take(&cursor, ehframe_uleb(&cursor));
	if (cursor.failed || start + size < start || ehframe_left(&cursor) > EH_FDE_BYTES_MAX)
		return -EBADMSG;
	*ret_fde = (struct ehframe_fde){
		.start = start,
		.end = start + size,
		.offset = offset,
		.program = cursor.at,
		.program_size = ehframe_left(&cursor),
	};
	return 0;
}

int ehframe_fde_at(const struct ehframe_section *section, size_t offset, struct ehframe_cie *cie,
		   struct ehframe_fde *ret_fde)
{
	struct entry entry;

	if (!read_entry(section, offset, &entry))
		return -EBADMSG;
	return read_fde(section, &entry, offset, cie, ret_fde);
}

void ehframe_walk_start(struct ehframe_walk *walk, const struct ehframe_section *section)
{
	*walk = (struct ehframe_walk){.section = *section};
}

bool ehframe_walk_next(struct ehframe_walk *walk, struct ehframe_fde *ret_fde)
{
	struct entry entry;

	while (walk->offset < walk->section.size) {
		size_t offset = walk->offset;

		if (!read_entry(&walk->section, offset, &entry)) {
			walk->is_cut = true;
			walk->offset = walk->section.size;
			return false;
		}
		if (entry.is_end) {
			walk->offset = walk->section.size;
			return false;
		}
		walk->offset = entry.end;
		if (entry.is_cie)
			continue;
		if (!read_fde(&walk->section, &entry, offset, &walk->cie, ret_fde))
			return true;
		walk->bad_count++;
	}
	return false;
}

int ehframe_index_open(const uint8_t *bytes, size_t size, uint64_t vaddr,
		       struct ehframe_index *ret_index)
{
	struct ehframe_cursor cursor = {bytes, bytes + size, false};
	struct ehframe_index index = {.bytes = bytes, .size = size, .vaddr = vaddr};
	uint8_t version, frame_encoding, count_encoding;
	uint64_t count = 0;

	version = ehframe_u8(&cursor);
	frame_encoding = ehframe_u8(&cursor);
	count_encoding = ehframe_u8(&cursor);
	index.encoding = ehframe_u8(&cursor);
	if (cursor.failed || version != 1)
		return -EBADMSG;
	index.frame_vaddr = ehframe_pointer(&cursor, frame_encoding, 8,
					    vaddr + (uint64_t)(cursor.at - bytes), vaddr);
	if (count_encoding != EH_PE_OMIT && index.encoding != EH_PE_OMIT)
		count = ehframe_pointer(&cursor, count_encoding, 8,
					vaddr + (uint64_t)(cursor.at - bytes), vaddr);
	if (cursor.failed)
		return -EBADMSG;
	index.table = (size_t)(cursor.at - bytes);
	index.entry_half = (uint8_t)ehframe_pointer_size(index.encoding, 8);
	if (count && (!index.entry_half || count > ehframe_left(&cursor) / (2 * index.entry_half)))
		return -EBADMSG;
	index.count = (size_t)count;
	*ret_index = index;
	return 0;
}

/* Half 0 of an entry is the address of code, half 1 that of its FDE. */
static bool index_read(const struct ehframe_index *index, size_t entry, unsigned half,
		       uint64_t *ret_vaddr)
{
	size_t offset = index->table + (2 * entry + half) * index->entry_half;
	struct ehframe_cursor cursor = {index->bytes + offset, index->bytes + index->size, false};

	*ret_vaddr =
		ehframe_pointer(&cursor, index->encoding, 8, index->vaddr + offset, index->vaddr);
	return !cursor.failed;
}

int ehframe_index_find(const struct ehframe_index *index, const struct ehframe_section *section,
		       uint64_t pc, struct ehframe_cie *cie, struct ehframe_fde *ret_fde)
{
	size_t low = 0, high = index->count;
	struct ehframe_fde fde;
	uint64_t vaddr;
	int ret;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (!index_read(index, middle, 0, &vaddr))
			return -EBADMSG;
		if (vaddr <= pc)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return -ENOENT;
	if (!index_read(index, low - 1, 1, &vaddr) || vaddr < section->vaddr ||
	    vaddr - section->vaddr >= section->size)
		return -EBADMSG;
	ret = ehframe_fde_at(section, (size_t)(vaddr - section->vaddr), cie, &fde);
	if (ret)
		return ret;
	if (pc < fde.start || pc >= fde.end)
		return -ENOENT;
	*ret_fde = fde;
	return 0;
}
