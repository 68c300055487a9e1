#include "reader/store/migrate.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "reader/store/store.h"

struct migration {
	int64_t from;	  /* makes version from + 1 of it */
	const char *sql;  /* what changes; NULL ends the table */
	bool reads_as_is; /* readers need none of the change */
};

/* Version 1 is the first. */
static const struct migration migrations[] = {
	{0, NULL, false},
};

static const struct migration *find(int64_t from)
{
	for (const struct migration *step = migrations; step->sql; step++) {
		if (step->from == from)
			return step;
	}
	return NULL;
}

static int refuse_old(const struct sql *sql, int64_t version, struct err *err)
{
	return err_set(err, ERR_DATABASE, -EPROTONOSUPPORT,
		       "%s has format %" PRId64 ", which this rsprof cannot read any more.",
		       sql->shown, version);
}

int migrate_check(const struct sql *sql, int64_t version, struct err *err)
{
	if (version > STORE_VERSION) {
		err_set(err, ERR_DATABASE, -EPROTONOSUPPORT,
			"%s was written by a newer rsprof (format %" PRId64 ", this one knows %d).",
			sql->shown, version, STORE_VERSION);
		err_remedy(err, "Upgrade rsprof to read it.");
		return -EPROTONOSUPPORT;
	}
	for (int64_t at = version; at < STORE_VERSION; at++) {
		const struct migration *step = find(at);

		if (!step || !step->reads_as_is)
			return refuse_old(sql, version, err);
	}
	return 0;
}

int migrate(struct sql *sql, int64_t version, struct err *err)
{
	char stamp[128];
	int ret;

	for (int64_t at = version; at < STORE_VERSION; at++) {
		const struct migration *step = find(at);

		if (!step)
			return refuse_old(sql, version, err);
		ret = sql_exec(sql, step->sql, err);
		if (ret < 0)
			return ret;
	}
	if (version == STORE_VERSION)
		return 0;
	snprintf(stamp, sizeof(stamp),
		 "PRAGMA user_version=%d; UPDATE meta SET value = '%d' WHERE key = 'version'",
		 STORE_VERSION, STORE_VERSION);
	return sql_exec(sql, stamp, err);
}
