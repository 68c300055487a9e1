/* Hashes and two open-addressed maps: u64 → u32 and string → u32. */
#ifndef RSPROF_UTIL_HASH_H
#define RSPROF_UTIL_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline uint64_t hash_u64(uint64_t value)
{
	value ^= value >> 32;
	value *= 0xd6e8feb86659fd93u;
	value ^= value >> 32;
	value *= 0xd6e8feb86659fd93u;
	value ^= value >> 32;
	return value;
}

static inline uint64_t hash_two(uint64_t a, uint64_t b)
{
	return hash_u64(a * 0x9e3779b97f4a7c15u + hash_u64(b));
}

uint64_t hash_bytes(const void *bytes, size_t count);

/* Zero-initialised is empty and usable. The value UINT32_MAX is not storable. */
struct u64_map {
	uint64_t *keys;
	uint32_t *values;
	size_t count, capacity;
};

/* The value, or UINT32_MAX where the key is absent. */
uint32_t u64_map_get(const struct u64_map *map, uint64_t key);
void u64_map_put(struct u64_map *map, uint64_t key, uint32_t value);
void u64_map_clear(struct u64_map *map);
void u64_map_done(struct u64_map *map);

/* Keys are copied. */
struct str_map {
	char **keys;
	uint32_t *values;
	size_t count, capacity;
};

uint32_t str_map_get(const struct str_map *map, const char *key);
void str_map_put(struct str_map *map, const char *key, uint32_t value);
void str_map_done(struct str_map *map);

#endif
