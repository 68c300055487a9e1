#include "reader/store/ids.h"

#include <assert.h>
#include <string.h>

uint32_t id_map_get(const struct id_map *map, uint32_t own)
{
	assert(own >= map->first && own - map->first < map->count);
	return map->is_identity ? own : map->ids.items[own - map->first];
}

void id_map_add_known(struct id_map *map, uint32_t id)
{
	assert(!map->is_identity);
	*vec_add(&map->ids) = id;
	map->count++;
}

uint32_t id_map_add_new(struct id_map *map)
{
	if (map->last >= IDS_MAX)
		return 0;
	map->last++;
	if (!map->is_identity)
		*vec_add(&map->ids) = map->last;
	map->count++;
	return map->last;
}

void id_map_done(struct id_map *map)
{
	vec_done(&map->ids);
	memset(map, 0, sizeof(*map));
}

uint32_t tuple_index_get(const struct tuple_index *index, const struct tuple *key)
{
	for (uint32_t at = u64_map_get(&index->by_hash, hash_bytes(key, sizeof(*key)));
	     at != UINT32_MAX; at = index->entries.items[at].next) {
		const struct tuple_entry *entry = &index->entries.items[at];

		if (memcmp(&entry->key, key, sizeof(*key)) == 0)
			return entry->id;
	}
	return UINT32_MAX;
}

void tuple_index_put(struct tuple_index *index, const struct tuple *key, uint32_t id)
{
	uint64_t hash = hash_bytes(key, sizeof(*key));
	uint32_t next = u64_map_get(&index->by_hash, hash);

	u64_map_put(&index->by_hash, hash, (uint32_t)index->entries.count);
	*vec_add(&index->entries) = (struct tuple_entry){*key, id, next};
}

void tuple_index_done(struct tuple_index *index)
{
	vec_done(&index->entries);
	u64_map_done(&index->by_hash);
}
