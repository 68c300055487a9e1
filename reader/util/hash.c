#include "reader/util/hash.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "reader/util/mem.h"

enum { ABSENT = UINT32_MAX, FIRST_CAPACITY = 64 };

uint64_t hash_bytes(const void *bytes, size_t count)
{
	const unsigned char *at = bytes;
	uint64_t hash = 0xcbf29ce484222325u ^ count;

	while (count >= 8) {
		uint64_t word;

		memcpy(&word, at, 8);
		hash = hash_u64(hash ^ word);
		at += 8;
		count -= 8;
	}
	while (count--)
		hash = (hash ^ *at++) * 0x100000001b3u;
	return hash_u64(hash);
}

/* Grown at two thirds, so a probe always meets an empty slot. */
static bool is_full(size_t count, size_t capacity)
{
	return (count + 1) * 3 > capacity * 2;
}

static size_t u64_slot(const struct u64_map *map, uint64_t key)
{
	size_t slot = hash_u64(key) & (map->capacity - 1);

	while (map->values[slot] != ABSENT && map->keys[slot] != key)
		slot = (slot + 1) & (map->capacity - 1);
	return slot;
}

uint32_t u64_map_get(const struct u64_map *map, uint64_t key)
{
	return map->capacity ? map->values[u64_slot(map, key)] : ABSENT;
}

static void u64_map_grow(struct u64_map *map)
{
	struct u64_map old = *map;

	map->capacity = old.capacity ? old.capacity * 2 : FIRST_CAPACITY;
	map->keys = mem_array(map->capacity, sizeof(*map->keys));
	map->values = mem_array(map->capacity, sizeof(*map->values));
	memset(map->values, 0xff, map->capacity * sizeof(*map->values));
	for (size_t i = 0; i < old.capacity; i++) {
		if (old.values[i] != ABSENT) {
			size_t slot = u64_slot(map, old.keys[i]);

			map->keys[slot] = old.keys[i];
			map->values[slot] = old.values[i];
		}
	}
	free(old.keys);
	free(old.values);
}

void u64_map_put(struct u64_map *map, uint64_t key, uint32_t value)
{
	size_t slot;

	assert(value != ABSENT);
	if (is_full(map->count, map->capacity))
		u64_map_grow(map);
	slot = u64_slot(map, key);
	if (map->values[slot] == ABSENT)
		map->count++;
	map->keys[slot] = key;
	map->values[slot] = value;
}

void u64_map_clear(struct u64_map *map)
{
	if (map->capacity)
		memset(map->values, 0xff, map->capacity * sizeof(*map->values));
	map->count = 0;
}

void u64_map_done(struct u64_map *map)
{
	free(map->keys);
	free(map->values);
	memset(map, 0, sizeof(*map));
}

static size_t str_slot(const struct str_map *map, const char *key)
{
	size_t slot = hash_bytes(key, strlen(key)) & (map->capacity - 1);

	while (map->keys[slot] && strcmp(map->keys[slot], key))
		slot = (slot + 1) & (map->capacity - 1);
	return slot;
}

uint32_t str_map_get(const struct str_map *map, const char *key)
{
	size_t slot;

	if (!map->capacity)
		return ABSENT;
	slot = str_slot(map, key);
	return map->keys[slot] ? map->values[slot] : ABSENT;
}

void str_map_put(struct str_map *map, const char *key, uint32_t value)
{
	size_t slot;

	if (is_full(map->count, map->capacity)) {
		struct str_map old = *map;

		map->capacity = old.capacity ? old.capacity * 2 : FIRST_CAPACITY;
		map->keys = mem_array(map->capacity, sizeof(*map->keys));
		map->values = mem_array(map->capacity, sizeof(*map->values));
		for (size_t i = 0; i < old.capacity; i++) {
			if (old.keys[i]) {
				slot = str_slot(map, old.keys[i]);
				map->keys[slot] = old.keys[i];
				map->values[slot] = old.values[i];
			}
		}
		free(old.keys);
		free(old.values);
	}
	slot = str_slot(map, key);
	if (!map->keys[slot]) {
		map->keys[slot] = mem_strdup(key);
		map->count++;
	}
	map->values[slot] = value;
}

void str_map_done(struct str_map *map)
{
	for (size_t i = 0; i < map->capacity; i++)
		free(map->keys[i]);
	free(map->keys);
	free(map->values);
	memset(map, 0, sizeof(*map));
}
