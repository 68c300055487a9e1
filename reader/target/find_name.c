#include "reader/target/target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reader/target/proc.h"
#include "reader/util/own.h"

enum {
	/* The list must fit into an error's sentence, and a person reads no longer one. */
	MATCHES_SHOWN = 16,
	COMMAND_SHOWN_BYTES = 60,
	ARGUMENTS_READ_MAX = 4096,
	/* Leaves room in struct err for the heading and "… and N more". */
	LIST_BYTES_MAX = 1700,
};

enum match_quality { MATCH_NONE, MATCH_SUBSTRING, MATCH_EXACT };

struct match {
	pid_t pid;
	uint64_t start_ticks;
	enum match_quality quality;
	char comm[16];
	char *command; /* arguments joined by spaces, scrubbed, cut */
};

typedef VEC(struct match) match_list;

static void matches_done(match_list *matches)
{
	for (size_t i = 0; i < matches->count; i++)
		free(matches->items[i].command);
	vec_done(matches);
}

static enum match_quality match_text(const char *text, const char *name)
{
	if (strcmp(text, name) == 0)
		return MATCH_EXACT;
	return strstr(text, name) ? MATCH_SUBSTRING : MATCH_NONE;
}

static enum match_quality match_process(const char *comm, const char *program, const char *name)
{
	const char *slash = strrchr(program, '/');
	enum match_quality by_comm = match_text(comm, name);
	enum match_quality by_program = match_text(slash ? slash + 1 : program, name);

	return by_comm > by_program ? by_comm : by_program;
}

/* Arguments as one line, cut where a character begins. */
static char *shown_command(const struct str *arguments)
{
	OWN(str_done) struct str joined = {0};
	struct str shown = {0};

	str_add_bytes(&joined, str_text(arguments), arguments->length);
	while (joined.length > 0 && joined.text[joined.length - 1] == '\0')
		joined.length--;
	for (size_t i = 0; i < joined.length; i++)
		if (joined.text[i] == '\0')
			joined.text[i] = ' ';
	str_add_scrubbed(&shown, str_text(&joined));
	if (shown.length > COMMAND_SHOWN_BYTES) {
		size_t cut = COMMAND_SHOWN_BYTES;

		while (cut > 0 && ((unsigned char)shown.text[cut] & 0xc0) == 0x80)
			cut--;
		shown.length = cut;
		shown.text[cut] = '\0';
		str_add(&shown, "…");
	}
	return shown.text ? shown.text : mem_strdup("");
}

static void look_at(int proc_fd, pid_t pid, const char *name, match_list *matches)
{
	OWN(str_done) struct str arguments = {0};
	OWN(own_close) int folder = -1;
	enum match_quality quality;
	struct process_stat stat;
	char number[16];

	snprintf(number, sizeof(number), "%d", pid);
	folder = openat(proc_fd, number, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0 || process_stat_read(folder, "stat", &stat) < 0 || stat.is_kernel_thread ||
	    process_has_ended(&stat))
		return;
	/* What cannot be read matches by its comm alone. */
	proc_read(folder, "cmdline", ARGUMENTS_READ_MAX, &arguments);
	quality = match_process(stat.comm, str_text(&arguments), name);
	if (quality != MATCH_NONE) {
		struct match *match = vec_add(matches);

		match->pid = pid;
		match->start_ticks = stat.start_ticks;
		match->quality = quality;
		memcpy(match->comm, stat.comm, sizeof(match->comm));
		match->command = shown_command(&arguments);
	}
}

static int compare_matches(const void *left, const void *right)
{
	const struct match *a = left, *b = right;

	if (a->quality != b->quality)
		return a->quality > b->quality ? -1 : 1;
	return a->pid < b->pid ? -1 : a->pid > b->pid;
}

static int refuse_several(const char *name, const struct match *matches, size_t count,
			  struct err *err)
{
	OWN(str_done) struct str list = {0}, shown_name = {0};
	size_t shown = 0;

	str_add_scrubbed(&shown_name, name);
	for (; shown < count && shown < MATCHES_SHOWN && list.length < LIST_BYTES_MAX; shown++) {
		OWN(str_done) struct str comm = {0};

		str_add_scrubbed(&comm, matches[shown].comm);
		str_addf(&list, "\n%8d  %-15s  %s", matches[shown].pid, str_text(&comm),
			 matches[shown].command);
	}
	if (shown < count)
		str_addf(&list, "\n          … and %zu more", count - shown);
	err_set(err, ERR_USAGE, -EINVAL, "%zu processes match \"%.64s\":%s", count,
		str_text(&shown_name), str_text(&list));
	err_remedy(err, "Choose one by its PID: rsprof -p %d", matches[0].pid);
	return -EINVAL;
}

static int refuse_none(const char *name, struct err *err)
{
	OWN(str_done) struct str shown_name = {0};

	str_add_scrubbed(&shown_name, name);
	err_set(err, ERR_NOT_FOUND, -ESRCH, "No process is called \"%.64s\".",
		str_text(&shown_name));
	err_remedy(err, "List the processes: ps -e");
	return -ESRCH;
}

static int list_matches(const char *name, match_list *matches)
{
	OWN(own_closedir) DIR *proc = opendir("/proc");
	const struct dirent *entry;

	if (!proc)
		return -errno;
	while ((entry = readdir(proc))) {
		char *end;
		long pid = strtol(entry->d_name, &end, 10);

		if (*end == '\0' && pid > 0 && pid <= INT32_MAX && pid != getpid())
			look_at(dirfd(proc), (pid_t)pid, name, matches);
	}
	return 0;
}

int target_open_name(const char *name, struct target **ret_target, struct err *err)
{
	OWN(matches_done) match_list matches = {0};
	struct target *target;
	size_t count = 0;
	int ret;

	if (!*name) {
		err_set(err, ERR_USAGE, -EINVAL, "The name of the process is empty.");
		err_remedy(err, "List the processes: ps -e");
		return -EINVAL;
	}
	ret = list_matches(name, &matches);
	if (ret < 0) {
		err_set(err, ERR_GENERAL, ret, "/proc cannot be read: %s.", strerror(-ret));
		err_remedy(err, "Mount it: sudo mount -t proc proc /proc");
		return ret;
	}
	if (matches.count == 0)
		return refuse_none(name, err);
	qsort(matches.items, matches.count, sizeof(matches.items[0]), compare_matches);
	/* Exact ones come first; only the best kind counts. */
	while (count < matches.count && matches.items[count].quality == matches.items[0].quality)
		count++;
	if (count > 1)
		return refuse_several(name, matches.items, count, err);
	ret = target_open_pid(matches.items[0].pid, &target, err);
	if (ret < 0)
		return ret;
	if (target->start_ticks != matches.items[0].start_ticks) {
		target_free(target);
		return refuse_none(name, err);
	}
	*ret_target = target;
	return 0;
}
