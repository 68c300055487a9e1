#include "reader/view/source_places.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reader/util/own.h"

enum {
	TOOLCHAINS_MAX = 32,
	MANIFEST_BYTES_MAX = 16 << 20, /* they have 1 MB */
	COMMIT_DIGITS = 9, /* of the commit, in versions: "1.95.0 (59807616e 2026-04-14)" */
	/* A longer path is none of a file. */
	PATH_LENGTH_MAX = 4095,
};

/* Where rust-src is, below a toolchain and below /usr. */
static const char rust_source[] = "lib/rustlib/src/rust";

static void add_place(source_places *places, const char *folder, const char *tail, bool is_recorded)
{
	struct str path = {0};

	if (places->count >= SOURCE_PLACES_MAX)
		return;
	str_add(&path, folder);
	if (*folder && !str_ends(folder, "/"))
		str_add(&path, "/");
	str_add(&path, tail);
	for (size_t i = 0; i < places->count; i++) {
		if (!strcmp(places->items[i].path, str_text(&path))) {
			str_done(&path);
			return;
		}
	}
	if (!path.length || path.length > PATH_LENGTH_MAX) {
		str_done(&path);
		return;
	}
	*vec_add(places) = (struct source_place){.path = path.text, .is_recorded = is_recorded};
}

static size_t count_components(const char *path)
{
	size_t count = 0;

	while (*path) {
		path += strspn(path, "/");
		count += *path != '\0';
		path += strcspn(path, "/");
	}
	return count;
}

/* Tails of the path, the longest first, of at least so many components. Those that lead upwards are
 * left out: a folder is searched, not what is beside it. */
static void add_tails(source_places *places, const char *folder, const char *path, size_t least)
{
	const char *tail = path;

	if (strlen(path) > PATH_LENGTH_MAX)
		return;
	for (size_t count = count_components(path); count >= least && count; count--) {
		tail += strspn(tail, "/");
		if (!strstr(tail, "../") && strcmp(tail, ".."))
			add_place(places, folder, tail, false);
		tail += strcspn(tail, "/");
	}
}

static void add_folder(source_places *places, const struct source_request *request,
		       const char *folder, size_t least)
{
	const char *path = request->path ? request->path : request->file;

	add_tails(places, folder, path, least);
	if (request->path)
		add_tails(places, folder, request->file, least);
}

static void add_search_path(source_places *places, const struct source_request *request)
{
	const char *folders = getenv(SOURCE_PATH_VARIABLE);

	while (folders && *folders) {
		size_t length = strcspn(folders, ":");
		OWN(str_done) struct str folder = {0};

		str_add_bytes(&folder, folders, length);
		if (length)
			add_folder(places, request, str_text(&folder), 1);
		folders += length + (folders[length] == ':');
	}
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What rustup wrote down of a toolchain names its commits: another release has other lines. One
 * without such a file may be any. */
static bool is_other_release(const char *toolchain, const char *commit)
{
	OWN(str_done) struct str path = {0}, version = {0};
	OWN(own_free) char *text = NULL;
	OWN(own_close) int fd = -1;
	struct stat status;
	ssize_t got;

	if (strspn(commit, "0123456789abcdef") < COMMIT_DIGITS)
		return false;
	str_addf(&path, "%s/lib/rustlib/multirust-channel-manifest.toml", toolchain);
	fd = open(str_text(&path), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) ||
	    status.st_size > MANIFEST_BYTES_MAX)
		return false;
	text = mem_alloc((size_t)status.st_size + 1);
	got = read(fd, text, (size_t)status.st_size);
	if (got <= 0)
		return false;
	str_addf(&version, "(%.*s ", COMMIT_DIGITS, commit);
	return !memmem(text, (size_t)got, str_text(&version), version.length);
}

/* Toolchains of rustup, the stable one first. */
static void add_toolchains(source_places *places, const char *commit, const char *below)
{
	const char *home = getenv("RUSTUP_HOME"), *user = getenv("HOME");
	OWN(str_done) struct str root = {0};
	VEC(char *) names = {0};
	struct dirent *entry;
	DIR *folder;

	if (home && *home)
		str_add(&root, home);
	else
		str_addf(&root, "%s/.rustup", user ? user : "");
	str_add(&root, "/toolchains");
	folder = opendir(str_text(&root));
	if (!folder)
		return;
	while (names.count < TOOLCHAINS_MAX && (entry = readdir(folder))) {
		if (*entry->d_name != '.')
			*vec_add(&names) = mem_strdup(entry->d_name);
	}
	closedir(folder);
	if (names.count)
		qsort(names.items, names.count, sizeof(*names.items), compare_names);
	for (int turn = 0; turn < 2; turn++) {
		for (size_t i = 0; i < names.count; i++) {
			OWN(str_done) struct str at = {0};

			if (str_starts(names.items[i], "stable") != (turn == 0))
				continue;
			str_addf(&at, "%s/%s", str_text(&root), names.items[i]);
			if (is_other_release(str_text(&at), commit))
				continue;
			str_addf(&at, "/%s", rust_source);
			add_place(places, str_text(&at), below, false);
		}
	}
	for (size_t i = 0; i < names.count; i++)
		free(names.items[i]);
	vec_done(&names);
}

/* Released builds of Rust's library say /rustc/HASH/library/…; the text is where rust-src is
 * installed, if it is. */
static void add_rust(source_places *places, const char *path)
{
	static const char prefix[] = "/rustc/";
	const char *commit, *below;

	if (!str_starts(path, prefix))
		return;
	commit = path + strlen(prefix);
	below = strchr(commit, '/');
	if (!below || strstr(below, "/../"))
		return;
	below++;
	add_toolchains(places, commit, below);
	for (int i = 0; i < 2; i++) {
		OWN(str_done) struct str at = {0};

		str_addf(&at, "%s/%s", i ? "/usr/local" : "/usr", rust_source);
		add_place(places, str_text(&at), below, false);
	}
}

void source_places_list(const struct source_request *request, source_places *places)
{
	const char *path = request->path ? request->path : request->file;

	if (*path == '/')
		add_place(places, "", path, true);
	add_rust(places, path);
	/* Not shorter than it is shown: another program's src/main.rs may be here. */
	add_folder(places, request, "", count_components(request->file));
	for (size_t i = 0; i < request->folder_count; i++)
		add_folder(places, request, request->folders[i], 1);
	add_search_path(places, request);
}

void source_places_done(source_places *places)
{
	for (size_t i = 0; i < places->count; i++)
		free(places->items[i].path);
	vec_done(places);
}
