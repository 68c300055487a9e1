#include "reader/record/truth_match.h"

#include <stdlib.h>

#include "reader/util/mem.h"

struct candidate {
	uint64_t apart_ns;
	struct truth_pair pair;
};

struct order {
	const struct truth_walk *walk;
	uint32_t index;
};

static int compare_order(const void *left, const void *right)
{
	const struct truth_walk *a = ((const struct order *)left)->walk;
	const struct truth_walk *b = ((const struct order *)right)->walk;

	if (a->tid != b->tid)
		return a->tid < b->tid ? -1 : 1;
	return a->time_ns < b->time_ns ? -1 : a->time_ns > b->time_ns;
}

static struct order *sort_walks(const struct truth_walk *walks, size_t count)
{
	struct order *order = mem_array(count + 1, sizeof(*order));

	for (size_t i = 0; i < count; i++)
		order[i] = (struct order){.walk = &walks[i], .index = (uint32_t)i};
	qsort(order, count, sizeof(*order), compare_order);
	return order;
}

static int compare_candidates(const void *left, const void *right)
{
	const struct candidate *a = left, *b = right;

	return a->apart_ns < b->apart_ns ? -1 : a->apart_ns > b->apart_ns;
}

static int compare_pairs(const void *left, const void *right)
{
	const struct truth_pair *a = left, *b = right;

	return a->ours < b->ours ? -1 : a->ours > b->ours;
}

static bool may_be_same(const struct truth_walk *a, const struct truth_walk *b)
{
	return a->rip == b->rip && (!a->rsp || !b->rsp || a->rsp == b->rsp);
}

/* A walk of ours has at most a few candidates, since a thread's samples are apart. */
typedef VEC(struct candidate) candidates;

static void find_candidates(const struct order *ours, size_t our_count, const struct order *libdw,
			    size_t libdw_count, uint64_t apart_ns_max, candidates *found)
{
	size_t first = 0;

	for (size_t i = 0; i < our_count; i++) {
		const struct truth_walk *walk = ours[i].walk;
		uint64_t low = walk->time_ns > apart_ns_max ? walk->time_ns - apart_ns_max : 0;

		while (first < libdw_count &&
		       (libdw[first].walk->tid < walk->tid ||
			(libdw[first].walk->tid == walk->tid && libdw[first].walk->time_ns < low)))
			first++;
		for (size_t j = first; j < libdw_count && libdw[j].walk->tid == walk->tid; j++) {
			const struct truth_walk *other = libdw[j].walk;
			uint64_t apart = other->time_ns > walk->time_ns
						 ? other->time_ns - walk->time_ns
						 : walk->time_ns - other->time_ns;

			if (apart > apart_ns_max)
				break;
			if (may_be_same(walk, other))
				*vec_add(found) = (struct candidate){
					.apart_ns = apart, .pair = {ours[i].index, libdw[j].index}};
		}
	}
}

size_t truth_match(const struct truth_walk *ours, size_t our_count, const struct truth_walk *libdw,
		   size_t libdw_count, uint64_t apart_ns_max, struct truth_pair *pairs)
{
	struct order *our_order = sort_walks(ours, our_count);
	struct order *libdw_order = sort_walks(libdw, libdw_count);
	bool *our_used = mem_zalloc(our_count + 1), *libdw_used = mem_zalloc(libdw_count + 1);
	candidates found = {0};
	size_t count = 0;

	find_candidates(our_order, our_count, libdw_order, libdw_count, apart_ns_max, &found);
	if (found.count)
		qsort(found.items, found.count, sizeof(*found.items), compare_candidates);
	for (size_t i = 0; i < found.count; i++) {
		const struct truth_pair *pair = &found.items[i].pair;

		if (our_used[pair->ours] || libdw_used[pair->libdw])
			continue;
		our_used[pair->ours] = libdw_used[pair->libdw] = true;
		pairs[count++] = *pair;
	}
	if (count)
		qsort(pairs, count, sizeof(*pairs), compare_pairs);
	vec_done(&found);
	free(our_order);
	free(libdw_order);
	free(our_used);
	free(libdw_used);
	return count;
}

/* ---- lists */

void truth_lists_add(struct truth_lists *lists, bool is_ours, const struct truth_walk *walk)
{
	struct truth_walk copy = *walk;

	copy.pcs = mem_copy(walk->pcs, walk->pc_count * sizeof(*walk->pcs));
	if (is_ours)
		*vec_add(&lists->ours) = copy;
	else
		*vec_add(&lists->libdw) = copy;
}

static void drop(struct truth_walk *walk)
{
	free((void *)walk->pcs);
	walk->pcs = NULL;
}

static uint64_t newest_of(const struct truth_walk *walks, size_t count)
{
	uint64_t newest = 0;

	for (size_t i = 0; i < count; i++) {
		if (walks[i].time_ns > newest)
			newest = walks[i].time_ns;
	}
	return newest;
}

/* Returns how many stay: what was used has no pcs any more. */
static size_t keep_young(struct truth_walk *walks, size_t count, uint64_t from_ns,
			 uint64_t *unmatched)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (!walks[i].pcs)
			continue;
		if (walks[i].time_ns >= from_ns) {
			walks[kept++] = walks[i];
			continue;
		}
		drop(&walks[i]);
		++*unmatched;
	}
	return kept;
}

void truth_lists_match(struct truth_lists *lists, uint64_t keep_ns, struct truth *truth)
{
	size_t our_count = lists->ours.count, libdw_count = lists->libdw.count;
	uint64_t ours_ns = newest_of(lists->ours.items, our_count);
	uint64_t libdw_ns = newest_of(lists->libdw.items, libdw_count);
	uint64_t newest = ours_ns > libdw_ns ? ours_ns : libdw_ns;
	uint64_t from_ns = keep_ns ? (newest > keep_ns ? newest - keep_ns : 0) : UINT64_MAX;
	struct truth_pair *pairs = mem_array(our_count + 1, sizeof(*pairs));
	size_t count = truth_match(lists->ours.items, our_count, lists->libdw.items, libdw_count,
				   lists->apart_ns_max, pairs);

	for (size_t i = 0; i < count; i++) {
		struct truth_walk *ours = &lists->ours.items[pairs[i].ours];
		struct truth_walk *libdw = &lists->libdw.items[pairs[i].libdw];

		truth_add(truth, ours, libdw);
		drop(ours);
		drop(libdw);
	}
	lists->ours.count = keep_young(lists->ours.items, our_count, from_ns, &lists->unmatched);
	lists->libdw.count =
		keep_young(lists->libdw.items, libdw_count, from_ns, &lists->unmatched);
	free(pairs);
}

void truth_lists_done(struct truth_lists *lists)
{
	for (size_t i = 0; i < lists->ours.count; i++)
		drop(&lists->ours.items[i]);
	for (size_t i = 0; i < lists->libdw.count; i++)
		drop(&lists->libdw.items[i]);
	vec_done(&lists->ours);
	vec_done(&lists->libdw);
}
