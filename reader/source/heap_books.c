#include "reader/source/heap_books.h"

enum { ABSENT = UINT32_MAX };

void heap_books_done(struct heap_books *books)
{
	vec_done(&books->sites);
	u64_map_done(&books->by_key);
}

static struct heap_book_site *site_of(struct heap_books *books, uint64_t key)
{
	uint32_t at = u64_map_get(&books->by_key, key);

	if (at == ABSENT) {
		at = (uint32_t)books->sites.count;
		u64_map_put(&books->by_key, key, at);
		*vec_add(&books->sites) = (struct heap_book_site){.key = key};
	}
	return &books->sites.items[at];
}

void heap_books_stack_told(struct heap_books *books, uint64_t key)
{
	site_of(books, key)->is_told = true;
}

static void raise(__u64 *seen, __u64 now)
{
	if (now > *seen)
		*seen = now;
}

/* A counter that went back has been read while it was written, or was deleted: it says nothing
 * until it is beyond what was there. */
static void see(struct bpf_heap_site *seen, const struct bpf_heap_site *now)
{
	raise(&seen->allocs, now->allocs);
	raise(&seen->alloc_bytes, now->alloc_bytes);
	raise(&seen->frees, now->frees);
	raise(&seen->free_bytes, now->free_bytes);
	raise(&seen->untracked, now->untracked);
	raise(&seen->untracked_bytes, now->untracked_bytes);
	raise(&seen->temporary, now->temporary);
	raise(&seen->reallocs, now->reallocs);
	raise(&seen->growth_bytes, now->growth_bytes);
	raise(&seen->estimated, now->estimated);
}

static uint64_t whole(uint64_t parts)
{
	return parts / HEAP_ONE;
}

/* What is to be told of the site by now, all in all. Frees and untracked allocations together are
 * rounded as one: what was counted as allocated and has gone must leave nothing alive. */
static struct heap_counts total(const struct heap_book_site *site)
{
	const struct bpf_heap_site *seen = &site->seen;
	struct heap_counts next = site->told.counts;

	next.allocs = heap_told_go_on(next.allocs, whole(seen->allocs), UINT64_MAX);
	next.untracked =
		heap_told_go_on(next.untracked, whole(seen->untracked) + site->told.lost_calls,
				next.allocs - next.frees);
	next.frees = heap_told_go_on(next.frees,
				     whole(seen->frees + seen->untracked) + site->told.lost_calls -
					     next.untracked,
				     next.allocs - next.untracked);
	next.alloc_bytes = seen->alloc_bytes;
	next.untracked_bytes =
		heap_told_go_on(next.untracked_bytes, seen->untracked_bytes + site->told.lost_bytes,
				next.alloc_bytes - next.free_bytes);
	next.free_bytes = heap_told_go_on(next.free_bytes, seen->free_bytes,
					  next.alloc_bytes - next.untracked_bytes);
	next.temporary = heap_told_go_on(next.temporary, whole(seen->temporary), next.frees);
	next.reallocs = heap_told_go_on(next.reallocs, whole(seen->reallocs), next.allocs);
	next.growth_bytes =
		heap_told_go_on(next.growth_bytes, seen->growth_bytes, next.alloc_bytes);
	next.estimated = heap_told_go_on(next.estimated, whole(seen->estimated), next.allocs);
	return next;
}

void heap_books_site(struct heap_books *books, uint64_t key, const struct bpf_heap_site *now,
		     uint64_t time_ns, bool is_last, source_sink sink, void *context)
{
	struct heap_book_site *site = site_of(books, key);
	struct heap_counts next;

	see(&site->seen, now);
	if (key >= HEAP_SITES_FIRST && !site->is_told && !is_last)
		return;
	next = total(site);
	heap_told_tell(&site->told, &next, key, books->target_pid, time_ns, sink, context);
}

void heap_books_exec(struct heap_books *books, uint64_t time_ns, source_sink sink, void *context)
{
	for (size_t i = 0; i < books->sites.count; i++) {
		struct heap_book_site *site = &books->sites.items[i];
		/* One whose stack has not come yet is told now: it is the last of its program. */
		struct heap_counts next = total(site);

		heap_told_write_off(&site->told, &next);
		heap_told_tell(&site->told, &next, site->key, books->target_pid, time_ns, sink,
			       context);
	}
}
