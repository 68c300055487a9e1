#include "reader/record/module_tables.h"

#include <errno.h>
#include <stdlib.h>

#include "reader/util/mem.h"
#include "reader/util/vec.h"

struct known {
	bool is_known;
	const struct unwind_table *table; /* NULL: none */
};

struct module_tables {
	struct unwind_cache *cache;
	VEC(struct known) known; /* by module */
};

struct module_tables *module_tables_new(void)
{
	struct module_tables *tables = mem_zalloc(sizeof(*tables));

	tables->cache = unwind_cache_new();
	return tables;
}

void module_tables_free(struct module_tables *tables)
{
	if (!tables)
		return;
	unwind_cache_free(tables->cache);
	vec_done(&tables->known);
	free(tables);
}

struct unwind_cache *module_tables_cache(struct module_tables *tables)
{
	return tables->cache;
}

static struct known *entry_of(struct module_tables *tables, const struct module *module)
{
	while (tables->known.count <= module->id.v)
		*vec_add(&tables->known) = (struct known){0};
	return &tables->known.items[module->id.v];
}

const struct unwind_table *module_tables_get(struct module_tables *tables,
					     const struct module *module)
{
	struct known *known = entry_of(tables, module);

	if (!known->is_known) {
		known->is_known = true;
		if (module->fd < 0 ||
		    unwind_cache_get(tables->cache, module->fd, &known->table) < 0)
			known->table = NULL;
	}
	return known->table;
}

bool module_tables_find(struct module_tables *tables, const struct module *module,
			const struct unwind_table **ret_table)
{
	struct known *known = entry_of(tables, module);

	if (!known->is_known && module->fd >= 0) {
		if (unwind_cache_find(tables->cache, module->fd, &known->table) == -ENOENT)
			return false;
	}
	known->is_known = true;
	*ret_table = known->table;
	return true;
}
