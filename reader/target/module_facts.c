#include "reader/target/target.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "reader/target/elf_image.h"
#include "reader/util/str.h"

static const char DELETED[] = " (deleted)";

/* Files without a name in any folder: what is mapped from them is as good as anonymous, unless it
 * is an ELF file (a program run from a memfd). */
static bool is_nameless(const char *path)
{
	return str_starts(path, "/memfd:") || str_starts(path, "/dev/zero") ||
	       str_starts(path, "/SYSV") || str_starts(path, "/anon_hugepage");
}

static enum module_kind kind_of(const char *path)
{
	if (strcmp(path, "[vdso]") == 0 || strcmp(path, "[vsyscall]") == 0)
		return MODULE_VDSO;
	if (path[0] != '/' || str_starts(path, "//"))
		return MODULE_ANONYMOUS;
	return MODULE_FILE;
}

static const char *tell_unusable(int error)
{
	switch (error) {
	case -ENOEXEC:
		return "it is not an ELF file";
	case -ENOTSUP:
		return "it is an ELF file for another machine";
	case -EBADMSG:
		return "its ELF headers are damaged";
	default:
		return "it cannot be read";
	}
}

static void make_anonymous(struct module_facts *facts)
{
	*facts = (struct module_facts){.kind = MODULE_ANONYMOUS, .path = "[anon]", .fd = -1};
}

/* Opens the file and takes segments and build-id from it. */
static void read_file(const struct target *target, const struct target_mapping *mapping,
		      struct module_storage *storage, struct module_facts *facts)
{
	struct elf_image image;
	int ret;

	facts->fd = target_open_mapping(target, mapping, &facts->missing);
	if (facts->fd < 0) {
		facts->fd = -1;
		return;
	}
	ret = elf_image_read(facts->fd, &image);
	if (ret < 0) {
		/* Nobody can use it, and a damaged file should reach no other parser. */
		close(facts->fd);
		facts->fd = -1;
		facts->missing = tell_unusable(ret);
		return;
	}
	memcpy(storage->segments, image.segments, sizeof(image.segments));
	facts->segments = storage->segments;
	facts->segment_count = image.segment_count;
	memcpy(facts->build_id, image.build_id, sizeof(facts->build_id));
	facts->build_id_size = image.build_id_size;
}

void target_module_facts(const struct target *target, const struct target_mapping *mapping,
			 struct module_storage *storage, struct module_facts *ret_facts)
{
	struct module_facts facts = {.kind = kind_of(mapping->path), .fd = -1};
	struct target_mapping plain = *mapping;
	size_t length = strlen(mapping->path);

	if (facts.kind == MODULE_ANONYMOUS) {
		make_anonymous(&facts);
		*ret_facts = facts;
		return;
	}
	if (length >= sizeof(storage->path))
		length = sizeof(storage->path) - 1;
	memcpy(storage->path, mapping->path, length);
	storage->path[length] = '\0';
	/* A path that comes from an event and not from maps still has the kernel's mark. */
	if (facts.kind == MODULE_FILE && str_ends(storage->path, DELETED)) {
		storage->path[length - strlen(DELETED)] = '\0';
		plain.is_deleted = true;
		plain.path = storage->path;
	}
	facts.path = storage->path;
	if (facts.kind == MODULE_FILE) {
		facts.inode = mapping->inode;
		facts.device_major = mapping->device_major;
		facts.device_minor = mapping->device_minor;
	}
	if (strcmp(facts.path, "[vsyscall]") == 0)
		facts.missing = "the vsyscall page is emulated by the kernel";
	else
		read_file(target, &plain, storage, &facts);
	if (is_nameless(facts.path) && facts.segment_count == 0)
		make_anonymous(&facts);
	*ret_facts = facts;
}
