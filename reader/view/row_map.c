#include "reader/view/row_map.h"

#include <stdlib.h>
#include <string.h>

#include "reader/util/mem.h"
#include "reader/util/own.h"

void row_map_init(struct row_map *map, size_t count, size_t group_count)
{
	map->of = mem_array(count, sizeof(*map->of));
	map->count = count;
	map->group_count = group_count;
}

void row_map_done(struct row_map *map)
{
	free(map->of);
	memset(map, 0, sizeof(*map));
}

void row_map_settle(struct row_map *map, const void *rows, size_t row_count, row_group_fn group)
{
	OWN(own_free) uint32_t *row_of = mem_array(map->group_count + 1, sizeof(*row_of));

	memset(row_of, 0xff, map->group_count * sizeof(*row_of));
	for (size_t i = 0; i < row_count; i++)
		row_of[group(rows, i)] = (uint32_t)i;
	for (size_t i = 0; i < map->count; i++)
		map->of[i] = row_of[map->of[i]];
}
