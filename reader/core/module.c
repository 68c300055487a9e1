#include "reader/core/module.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reader/util/hash.h"
#include "reader/util/mem.h"
#include "reader/util/vec.h"

struct module_table {
	VEC(struct module *) modules;
	struct str_map by_path; /* newest module of that path */
	/* Older module of the same path (a file replaced under its name), UINT32_MAX at the end. */
	VEC(uint32_t) same_path;
};

static const char *last_component(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

static struct module *add_module(struct module_table *table, const struct module_facts *facts)
{
	struct module *module = mem_zalloc(sizeof(*module));
	uint32_t index = (uint32_t)table->modules.count;

	module->id.v = index;
	module->kind = facts->kind;
	module->path = mem_strdup(facts->path);
	module->name = mem_strdup(last_component(facts->path));
	module->inode = facts->inode;
	module->device_major = facts->device_major;
	module->device_minor = facts->device_minor;
	memcpy(module->build_id, facts->build_id, sizeof(module->build_id));
	module->build_id_size = facts->build_id_size;
	module->segment_count = facts->segment_count;
	if (facts->segment_count)
		module->segments =
			mem_copy(facts->segments, facts->segment_count * sizeof(*facts->segments));
	module->fd = facts->fd;
	module->missing = mem_strdup(facts->missing);
	*vec_add(&table->modules) = module;
	*vec_add(&table->same_path) = str_map_get(&table->by_path, facts->path);
	str_map_put(&table->by_path, facts->path, index);
	return module;
}

struct module_table *module_table_new(void)
{
	static const struct module_facts unknown = {
		.kind = MODULE_UNKNOWN, .path = "[unknown]", .fd = -1};
	struct module_table *table = mem_zalloc(sizeof(*table));

	add_module(table, &unknown);
	return table;
}

void module_table_free(struct module_table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->modules.count; i++) {
		struct module *module = table->modules.items[i];

		if (module->fd >= 0)
			close(module->fd);
		free(module->path);
		free(module->name);
		free(module->segments);
		free(module->missing);
		free(module);
	}
	vec_done(&table->modules);
	vec_done(&table->same_path);
	str_map_done(&table->by_path);
	free(table);
}

static bool is_same_file(const struct module *module, uint64_t inode, uint32_t device_major,
			 uint32_t device_minor)
{
	return module->inode == inode && module->device_major == device_major &&
	       module->device_minor == device_minor;
}

const struct module *module_table_find(const struct module_table *table, const char *path,
				       uint64_t inode, uint32_t device_major, uint32_t device_minor)
{
	for (uint32_t index = str_map_get(&table->by_path, path); index != UINT32_MAX;
	     index = table->same_path.items[index]) {
		const struct module *module = table->modules.items[index];

		if (is_same_file(module, inode, device_major, device_minor))
			return module;
	}
	return NULL;
}

const struct module *module_table_intern(struct module_table *table,
					 const struct module_facts *facts, bool *ret_is_new)
{
	*ret_is_new = false;
	for (uint32_t index = str_map_get(&table->by_path, facts->path); index != UINT32_MAX;
	     index = table->same_path.items[index]) {
		const struct module *module = table->modules.items[index];

		if (module->kind == facts->kind &&
		    is_same_file(module, facts->inode, facts->device_major, facts->device_minor) &&
		    module->build_id_size == facts->build_id_size &&
		    memcmp(module->build_id, facts->build_id, facts->build_id_size) == 0) {
			if (facts->fd >= 0)
				close(facts->fd);
			return module;
		}
	}
	if (table->modules.count >= MODULES_MAX) {
		if (facts->fd >= 0)
			close(facts->fd);
		return NULL;
	}
	*ret_is_new = true;
	return add_module(table, facts);
}

const struct module *module_table_get(const struct module_table *table, module_id id)
{
	return table->modules.items[id.v];
}

size_t module_table_count(const struct module_table *table)
{
	return table->modules.count;
}

const char *module_build_id_text(const struct module *module, char buffer[2 * BUILD_ID_MAX + 1])
{
	static const char digits[] = "0123456789abcdef";
	char *to = buffer;

	for (size_t i = 0; i < module->build_id_size; i++) {
		*to++ = digits[module->build_id[i] >> 4];
		*to++ = digits[module->build_id[i] & 15];
	}
	*to = '\0';
	return buffer;
}

bool module_offset_to_vaddr(const struct module *module, uint64_t file_offset, uint64_t *ret_vaddr)
{
	/* Pages at a segment's edge hold bytes of its neighbour: the loader maps whole pages, so
	 * the segment whose own bytes hold the offset wins, and there is at most one. */
	for (size_t i = 0; i < module->segment_count; i++) {
		const struct segment *segment = &module->segments[i];

		if (file_offset >= segment->file_offset &&
		    file_offset - segment->file_offset < segment->file_size) {
			*ret_vaddr = segment->vaddr + (file_offset - segment->file_offset);
			return true;
		}
	}
	return false;
}
