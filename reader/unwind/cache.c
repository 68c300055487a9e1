#include "reader/unwind/cache.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "reader/unwind/elf_frames.h"
#include "reader/util/hash.h"
#include "reader/util/mem.h"
#include "reader/util/vec.h"

/* Without padding: compared and hashed as bytes. */
struct key {
	uint64_t device, inode, size;
	int64_t changed_s, changed_ns;
	struct unwind_build_id build_id;
	uint8_t zero[3];
};
_Static_assert(sizeof(struct key) == 40 + sizeof(struct unwind_build_id) + 3, "no padding");

struct file {
	struct key key;
	struct unwind_table *table; /* NULL: error */
	int error;
};

struct unwind_cache {
	struct unwind_rules *rules;
	VEC(struct file) files;
	struct u64_map by_hash; /* of the key; where hashes are equal, the next number */
	uint64_t full_count;
	uint64_t bytes;
};

struct unwind_cache *unwind_cache_new(void)
{
	struct unwind_cache *cache = mem_zalloc(sizeof(*cache));

	cache->rules = unwind_rules_new();
	return cache;
}

void unwind_cache_free(struct unwind_cache *cache)
{
	if (!cache)
		return;
	for (size_t i = 0; i < cache->files.count; i++)
		unwind_table_free(cache->files.items[i].table);
	vec_done(&cache->files);
	u64_map_done(&cache->by_hash);
	unwind_rules_free(cache->rules);
	free(cache);
}

static int read_stat(int fd, struct key *key)
{
	struct stat status;

	if (fstat(fd, &status) != 0)
		return -errno;
	key->device = status.st_dev;
	key->inode = status.st_ino;
	key->size = (uint64_t)status.st_size;
	key->changed_s = status.st_mtim.tv_sec;
	key->changed_ns = status.st_mtim.tv_nsec;
	return 0;
}

/* Is the error about the file's contents? */
static bool is_lasting(int error)
{
	return error == 0 || error == -ENOEXEC || error == -ENOTSUP || error == -ENODATA ||
	       error == -EBADMSG || error == -EFBIG;
}

static int give(const struct file *file, const struct unwind_table **ret_table)
{
	if (file->table)
		*ret_table = file->table;
	return file->error;
}

static int read_key(int fd, struct key *ret_key)
{
	int ret;

	memset(ret_key, 0, sizeof(*ret_key));
	ret = read_stat(fd, ret_key);
	/* What is no ELF file has no build-id either. */
	if (!ret)
		(void)elf_frames_build_id(fd, &ret_key->build_id);
	return ret;
}

/* The file with that key, or NULL and the hash under which it is to be kept. */
static const struct file *find_file(const struct unwind_cache *cache, const struct key *key,
				    uint64_t *ret_hash)
{
	uint64_t hash = hash_bytes(key, sizeof(*key));
	uint32_t number;

	while ((number = u64_map_get(&cache->by_hash, hash)) != UINT32_MAX) {
		const struct file *known = &cache->files.items[number];

		if (memcmp(&known->key, key, sizeof(*key)) == 0)
			return known;
		hash++;
	}
	*ret_hash = hash;
	return NULL;
}

int unwind_cache_find(const struct unwind_cache *cache, int fd,
		      const struct unwind_table **ret_table)
{
	const struct file *known;
	struct key key;
	uint64_t hash;
	int ret = read_key(fd, &key);

	if (ret)
		return ret;
	known = find_file(cache, &key, &hash);
	return known ? give(known, ret_table) : -ENOENT;
}

int unwind_cache_get(struct unwind_cache *cache, int fd, const struct unwind_table **ret_table)
{
	const struct file *known;
	struct file file;
	struct key after;
	uint64_t hash;
	int ret;

	memset(&file, 0, sizeof(file));
	memset(&after, 0, sizeof(after));
	ret = read_key(fd, &file.key);
	if (ret)
		return ret;
	known = find_file(cache, &file.key, &hash);
	if (known)
		return give(known, ret_table);
	if (cache->files.count == UNWIND_CACHE_FILES_MAX) {
		cache->full_count++;
		return -ENOSPC;
	}
	file.error = unwind_table_build(fd, cache->rules, &file.table);
	after.build_id = file.key.build_id;
	if (!is_lasting(file.error))
		return file.error;
	ret = read_stat(fd, &after);
	if (!ret && memcmp(&after, &file.key, sizeof(after)) != 0)
		ret = -EAGAIN;
	if (ret) {
		unwind_table_free(file.table);
		return ret;
	}
	if (file.table)
		cache->bytes += unwind_table_bytes(file.table);
	u64_map_put(&cache->by_hash, hash, (uint32_t)cache->files.count);
	*vec_add(&cache->files) = file;
	return give(&file, ret_table);
}

const struct unwind_rules *unwind_cache_rules(const struct unwind_cache *cache)
{
	return cache->rules;
}

uint64_t unwind_cache_full_count(const struct unwind_cache *cache)
{
	return cache->full_count;
}

uint64_t unwind_cache_bytes(const struct unwind_cache *cache)
{
	return cache->bytes;
}
