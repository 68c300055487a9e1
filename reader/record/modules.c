#include "reader/record/modules.h"

#include <stdlib.h>
#include <string.h>

#include "reader/source/event_text.h"
#include "reader/source/mapping_event.h"
#include "reader/util/mem.h"

/* A scan costs a millisecond on a large target; code that we were not told of is rare. */
#define RESCAN_NS UINT64_C(100000000)

struct modules {
	const struct target *target;
	struct losses *losses;
	FILE *save_events;
	struct module_table *table;
	struct address_space *space;
	struct module_storage storage;
	uint64_t scanned_ns; /* when an unknown address last made us scan */
	uint64_t rescans;
};

struct modules *modules_new(const struct target *target, struct losses *losses, FILE *save_events)
{
	struct modules *modules = mem_zalloc(sizeof(*modules));

	modules->target = target;
	modules->losses = losses;
	modules->save_events = save_events;
	modules->table = module_table_new();
	modules->space = address_space_new();
	return modules;
}

void modules_free(struct modules *modules)
{
	if (!modules)
		return;
	module_table_free(modules->table);
	address_space_free(modules->space);
	free(modules);
}

/* Only named files are known again by path, device and inode; other mappings are told apart by what
 * target_module_facts says of them. */
static const struct module *known_module(const struct modules *modules,
					 const struct target_mapping *mapping)
{
	if (mapping->path[0] != '/' || !mapping->inode)
		return NULL;
	return module_table_find(modules->table, mapping->path, mapping->inode,
				 mapping->device_major, mapping->device_minor);
}

static void replay_facts(const struct target_mapping *mapping, struct module_facts *ret_facts)
{
	*ret_facts = (struct module_facts){
		.kind = mapping->path[0] == '/' ? MODULE_FILE : MODULE_ANONYMOUS,
		.path = mapping->path[0] == '/' ? mapping->path : "[anon]",
		.inode = mapping->inode,
		.device_major = mapping->device_major,
		.device_minor = mapping->device_minor,
		.fd = -1,
		.missing = "the events were replayed",
	};
	if (strcmp(mapping->path, "[vdso]") == 0) {
		ret_facts->kind = MODULE_VDSO;
		ret_facts->path = mapping->path;
	}
}

const struct module *modules_intern(struct modules *modules, const struct target_mapping *mapping)
{
	const struct module *module = known_module(modules, mapping);
	struct module_facts facts;
	bool is_new;

	if (module)
		return module;
	if (modules->target)
		target_module_facts(modules->target, mapping, &modules->storage, &facts);
	else
		replay_facts(mapping, &facts);
	return module_table_intern(modules->table, &facts, &is_new);
}

static void map(struct modules *modules, const struct target_mapping *mapping)
{
	const struct module *module;

	if (!mapping->is_executable)
		return;
	module = modules_intern(modules, mapping);
	if (!module) {
		modules->losses->count[LOSS_MODULES_FULL]++;
		module = module_table_get(modules->table, (module_id){MODULE_UNKNOWN});
	}
	address_space_map(modules->space, mapping->start, mapping->end, mapping->file_offset,
			  module);
}

static void save_mapping(const struct modules *modules, const struct target_mapping *mapping,
			 uint64_t now_ns)
{
	struct event event = mapping_event(modules->target, mapping, now_ns);

	event_text_write(modules->save_events, &event);
}

void modules_scan(struct modules *modules, uint64_t now_ns)
{
	target_mappings mappings = {0};

	if (modules->target && target_list_mappings(modules->target, &mappings) == 0) {
		for (size_t i = 0; i < mappings.count; i++) {
			map(modules, &mappings.items[i]);
			if (modules->save_events && mappings.items[i].is_executable)
				save_mapping(modules, &mappings.items[i], now_ns);
		}
	}
	target_mappings_done(&mappings);
}

void modules_on_mmap(struct modules *modules, const struct event *event)
{
	static const char deleted[] = " (deleted)";
	struct target_mapping mapping = {
		.start = event->mmap.start,
		.end = event->mmap.start + event->mmap.length,
		.file_offset = event->mmap.file_offset,
		.inode = event->mmap.inode,
		.device_major = event->mmap.device_major,
		.device_minor = event->mmap.device_minor,
		.is_executable = event->mmap.is_executable,
	};
	char path[EVENT_PATH_MAX + sizeof(deleted)];
	size_t length = strnlen(event->mmap.path, EVENT_PATH_MAX);

	memcpy(path, event->mmap.path, length);
	path[length] = '\0';
	if (length >= sizeof(deleted) - 1 &&
	    strcmp(path + length - (sizeof(deleted) - 1), deleted) == 0) {
		path[length - (sizeof(deleted) - 1)] = '\0';
		mapping.is_deleted = true;
	}
	/* The kernel's name for memory without a file. */
	if (strcmp(path, "//anon") == 0)
		path[0] = '\0';
	mapping.path = path;
	map(modules, &mapping);
}

void modules_on_exec(struct modules *modules)
{
	address_space_clear(modules->space);
	modules->scanned_ns = 0;
}

bool modules_find_known(struct modules *modules, uint64_t address, struct place *ret_place)
{
	return address_space_find(modules->space, address, ret_place);
}

bool modules_find(struct modules *modules, uint64_t address, uint64_t now_ns,
		  struct place *ret_place)
{
	if (modules_find_known(modules, address, ret_place))
		return true;
	if (!modules->target || (modules->scanned_ns && now_ns - modules->scanned_ns < RESCAN_NS))
		return false;
	modules->scanned_ns = now_ns;
	modules->rescans++;
	modules_scan(modules, now_ns);
	return modules_find_known(modules, address, ret_place);
}

const struct module_table *modules_table(const struct modules *modules)
{
	return modules->table;
}

uint64_t modules_rescans(const struct modules *modules)
{
	return modules->rescans;
}
