/* The unwind table of each module, looked for once. The unwinder and the publisher share them.
 * Belongs to the pump's thread. */
#ifndef RSPROF_RECORD_MODULE_TABLES_H
#define RSPROF_RECORD_MODULE_TABLES_H

#include <stdbool.h>

#include "reader/core/module.h"
#include "reader/unwind/cache.h"

struct module_tables;

struct module_tables *module_tables_new(void);
void module_tables_free(struct module_tables *tables);
/* Where the tables are; files that will be mapped later may be put into it before. */
struct unwind_cache *module_tables_cache(struct module_tables *tables);
/* The module's table, built where it has to be: a tenth of a second for the largest files. NULL:
 * it has none. It lives as long as the tables. */
const struct unwind_table *module_tables_get(struct module_tables *tables,
					     const struct module *module);
/* Without building; false: it would have to be built. */
bool module_tables_find(struct module_tables *tables, const struct module *module,
			const struct unwind_table **ret_table);

#endif
