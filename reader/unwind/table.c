#include "reader/unwind/table.h"

#include <errno.h>
#include <stdlib.h>

#include "reader/unwind/elf_frames.h"
#include "reader/util/mem.h"
#include "reader/util/vec.h"

/* The lower counts more. */
enum span_kind { SPAN_EH_FRAME, SPAN_DEBUG_FRAME, SPAN_ENTRY, SPAN_BARE };

/* The code of an FDE, or some that is known without. */
struct span {
	uint64_t start, end;
	size_t offset; /* of the FDE in its section; SPAN_BARE: index */
	enum span_kind kind;
};

struct builder {
	struct unwind_table *table;
	struct unwind_rules *rules;
	VEC(struct span) spans;
	VEC(struct ehframe_row) rows;
	uint64_t page; /* that rows are added to */
	uint64_t end;  /* of the span at work */
	uint16_t rule; /* of the last row */
	bool is_full;
};

static int compare_spans(const void *left, const void *right)
{
	const struct span *a = left, *b = right;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return (a->offset > b->offset) - (a->offset < b->offset);
}

static int collect(struct builder *builder, const struct elf_frames *frames,
		   const struct ehframe_section *section)
{
	struct unwind_table *table = builder->table;
	struct ehframe_walk walk;
	struct ehframe_fde fde;

	if (!section->bytes)
		return 0;
	ehframe_walk_start(&walk, section);
	while (ehframe_walk_next(&walk, &fde)) {
		/* Linkers leave entries of functions that they dropped, at address 0 or without
		 * size. */
		if (fde.start < frames->text_start || fde.end > frames->text_end ||
		    fde.start == fde.end) {
			table->dropped_count++;
			continue;
		}
		if (builder->spans.count == UNWIND_FDES_MAX)
			return -EFBIG;
		*vec_add(&builder->spans) = (struct span){
			.start = fde.start,
			.end = fde.end,
			.offset = fde.offset,
			.kind = section->is_debug_frame ? SPAN_DEBUG_FRAME : SPAN_EH_FRAME,
		};
	}
	table->bad_count += walk.bad_count;
	table->is_cut = table->is_cut || walk.is_cut;
	return 0;
}

/* Sorts the spans and makes them disjoint: what begins inside an earlier one is dropped; but where
 * it counts more, the earlier one ends there. */
static void settle(struct builder *builder)
{
	struct span *spans = builder->spans.items;
	size_t count = builder->spans.count, kept = 0;
	bool is_sorted = true;

	for (size_t i = 1; i < count && is_sorted; i++)
		is_sorted = compare_spans(&spans[i - 1], &spans[i]) <= 0;
	if (!is_sorted)
		qsort(spans, count, sizeof(*spans), compare_spans);
	for (size_t i = 0; i < count; i++) {
		struct span *last = kept ? &spans[kept - 1] : NULL;

		if (last && spans[i].start < last->end) {
			if (spans[i].kind >= last->kind || spans[i].start == last->start) {
				builder->table->dropped_count += spans[i].kind < SPAN_ENTRY;
				continue;
			}
			last->end = spans[i].start;
		}
		spans[kept++] = spans[i];
	}
	builder->spans.count = kept;
}

/* The rule holds from vaddr on. Addresses ascend. */
static void put(struct builder *builder, uint64_t vaddr, uint16_t rule)
{
	struct unwind_table *table = builder->table;
	uint64_t page = (vaddr - table->base) >> EH_PAGE_BITS;
	uint16_t offset = (uint16_t)(vaddr & (EH_PAGE_BYTES - 1));

	if (rule == builder->rule)
		return;
	/* Pages up to this one begin with the rule so far. */
	vec_reserve(&builder->rows, page - builder->page + 1);
	while (builder->page < page) {
		table->index[++builder->page] = (uint32_t)builder->rows.count;
		*vec_add(&builder->rows) = (struct ehframe_row){0, builder->rule};
	}
	builder->rule = rule;
	if (builder->rows.items[builder->rows.count - 1].offset == offset) {
		builder->rows.items[builder->rows.count - 1].rule = rule;
		return;
	}
	if (builder->rows.count >= UNWIND_ROWS_MAX) {
		builder->is_full = true;
		return;
	}
	*vec_add(&builder->rows) = (struct ehframe_row){offset, rule};
}

static void put_row(void *context, uint64_t start, const struct ehframe_rule *rule)
{
	struct builder *builder = context;

	/* The span may have been cut shorter than its FDE. */
	if (start < builder->end && !builder->is_full)
		put(builder, start, unwind_rules_intern(builder->rules, rule));
}

static void put_bare(struct builder *builder, const struct elf_bare_code *bare)
{
	static const struct ehframe_rule plain = {.cfa_type = EH_CFA_RSP, .cfa_off = 8};
	static const struct ehframe_rule larger = {.cfa_type = EH_CFA_RSP, .cfa_off = 16};

	put_row(builder, bare->start, &plain);
	put_row(builder, bare->pushed, &larger);
	put_row(builder, bare->popped, &plain);
}

static int fill(struct builder *builder, const struct elf_frames *frames)
{
	const struct ehframe_section *sections[] = {&frames->eh_frame, &frames->debug_frame};
	struct ehframe_cie cies[2] = {{0}, {0}};
	struct unwind_table *table = builder->table;
	uint64_t table_end = table->base + (uint64_t)table->page_count * EH_PAGE_BYTES;

	*vec_add(&builder->rows) = (struct ehframe_row){0, UNWIND_RULE_NONE};
	for (size_t i = 0; i < builder->spans.count; i++) {
		const struct span *span = &builder->spans.items[i];
		uint64_t end = span->end;
		uint64_t next = i + 1 < builder->spans.count ? span[1].start : table_end;
		struct ehframe_fde fde;

		builder->end = span->end;
		if (span->kind == SPAN_ENTRY) {
			put(builder, span->start, UNWIND_RULE_STOP);
		} else if (span->kind == SPAN_BARE) {
			put_bare(builder, &frames->bare[span->offset]);
		} else if (ehframe_fde_at(sections[span->kind], span->offset, &cies[span->kind],
					  &fde) == 0) {
			ehframe_rows(sections[span->kind], &cies[span->kind], &fde, put_row,
				     builder);
			table->fde_count++;
			/* The system call that ends a signal handler is the last instruction of
			 * its function: in the kernel, the thread is at the one behind. */
			if (cies[span->kind].is_signal && end < next)
				end++;
		}
		if (end < table_end)
			put(builder, end, UNWIND_RULE_NONE);
		if (builder->is_full)
			return -EFBIG;
	}
	while (builder->page + 1 < table->page_count) {
		table->index[++builder->page] = (uint32_t)builder->rows.count;
		*vec_add(&builder->rows) = (struct ehframe_row){0, builder->rule};
	}
	table->index[table->page_count] = (uint32_t)builder->rows.count;
	for (size_t i = 0; i < builder->rows.count; i++)
		table->unsupported_count += builder->rows.items[i].rule == UNWIND_RULE_UNSUPPORTED;
	return 0;
}

/* The dynamic linker's and other entry points are written without unwind information. */
static void add_entry(struct builder *builder, const struct elf_frames *frames)
{
	uint64_t start = frames->entry, end = start + UNWIND_ENTRY_BYTES;

	if (start < frames->text_start || start >= frames->text_end)
		return;
	for (size_t i = 0; i < builder->spans.count; i++) {
		const struct span *span = &builder->spans.items[i];

		if (span->start <= start && start < span->end)
			return;
		if (span->start > start && span->start < end)
			end = span->start;
	}
	*vec_add(&builder->spans) = (struct span){
		.start = start,
		.end = end < frames->text_end ? end : frames->text_end,
		.kind = SPAN_ENTRY,
	};
}

static int build(struct builder *builder, const struct elf_frames *frames)
{
	struct unwind_table *table = builder->table;
	int ret;

	if (!frames->eh_frame.bytes && !frames->debug_frame.bytes)
		return -ENODATA;
	ret = collect(builder, frames, &frames->eh_frame);
	if (!ret)
		ret = collect(builder, frames, &frames->debug_frame);
	if (ret)
		return ret;
	if (!builder->spans.count)
		return -ENODATA;
	add_entry(builder, frames);
	for (size_t i = 0; i < frames->bare_count; i++)
		*vec_add(&builder->spans) = (struct span){.start = frames->bare[i].start,
							  .end = frames->bare[i].end,
							  .offset = i,
							  .kind = SPAN_BARE};
	settle(builder);
	table->base = frames->text_start & ~(uint64_t)(EH_PAGE_BYTES - 1);
	table->page_count =
		(uint32_t)((frames->text_end - table->base + EH_PAGE_BYTES - 1) >> EH_PAGE_BITS);
	table->index = mem_array((size_t)table->page_count + 1, sizeof(*table->index));
	/* What compilers write makes 12 to 15 rows a page. */
	vec_reserve(&builder->rows, (size_t)table->page_count * 16);
	return fill(builder, frames);
}

int unwind_table_build(int fd, struct unwind_rules *rules, struct unwind_table **ret_table)
{
	struct builder builder = {.rules = rules};
	struct elf_frames frames;
	int ret;

	ret = elf_frames_read(fd, &frames);
	if (ret)
		return ret;
	builder.table = mem_zalloc(sizeof(*builder.table));
	builder.table->text_bytes = frames.text_bytes;
	builder.table->is_debug_frame_packed = frames.is_debug_frame_packed;
	ret = build(&builder, &frames);
	vec_done(&builder.spans);
	elf_frames_done(&frames);
	if (ret) {
		vec_done(&builder.rows);
		unwind_table_free(builder.table);
		return ret;
	}
	builder.table->row_count = (uint32_t)builder.rows.count;
	builder.table->rows =
		mem_grow(builder.rows.items, builder.rows.count, sizeof(*builder.rows.items));
	*ret_table = builder.table;
	return 0;
}

void unwind_table_free(struct unwind_table *table)
{
	if (!table)
		return;
	free(table->index);
	free(table->rows);
	free(table);
}

uint16_t unwind_table_find(const struct unwind_table *table, uint64_t vaddr)
{
	uint64_t page = (vaddr - table->base) >> EH_PAGE_BITS;
	uint16_t offset = (uint16_t)(vaddr & (EH_PAGE_BYTES - 1));
	uint32_t low, high;

	if (vaddr < table->base || page >= table->page_count)
		return UNWIND_RULE_NONE;
	/* The page's first row is at offset 0: it is not behind any address of the page. */
	low = table->index[page];
	high = table->index[page + 1];
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (table->rows[middle].offset <= offset)
			low = middle;
		else
			high = middle;
	}
	return table->rows[low].rule;
}

uint64_t unwind_table_bytes(const struct unwind_table *table)
{
	return ((uint64_t)table->page_count + 1) * sizeof(*table->index) +
	       (uint64_t)table->row_count * sizeof(*table->rows);
}
