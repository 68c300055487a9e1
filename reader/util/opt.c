#include "reader/util/opt.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader/util/fmt.h"
#include "reader/util/mem.h"
#include "reader/util/near.h"
#include "reader/util/own.h"
#include "reader/util/str.h"

enum {
	SHOWN_MAX = 128,     /* bytes of a value that an error repeats */
	GIVEN_NAME_MAX = 64, /* longer than any name in the tables */
};

/* One option as it was written, and where its value goes. */
struct given {
	const struct opt *opt;
	char name[GIVEN_NAME_MAX]; /* "--top", "-n" or "$RSPROF_INTERVAL", for errors */
	const char *value;	   /* NULL for a flag */
};

struct parse {
	const struct opt *table; /* may be NULL */
	char *into;
	bool *was_given; /* by index in table: on the command line */
	struct err *err;
};

/* What the user typed, fit for an error: no control characters, not longer than SHOWN_MAX. */
static const char *shown(char buffer[SHOWN_MAX], const char *text)
{
	static const char ellipsis[] = "...";
	struct str scrubbed = {0};

	str_add_scrubbed(&scrubbed, text);
	if (scrubbed.length < SHOWN_MAX) {
		strcpy(buffer, str_text(&scrubbed));
	} else {
		size_t length = SHOWN_MAX - sizeof(ellipsis);

		/* Not in the middle of a character. */
		while (length && (scrubbed.text[length] & 0xc0) == 0x80)
			length--;
		memcpy(buffer, scrubbed.text, length);
		strcpy(buffer + length, ellipsis);
	}
	str_done(&scrubbed);
	return buffer;
}

/* A number of the option's unit as one would type it: "500ms", "16M", "99". */
static const char *typed_number(char buffer[FMT_MAX], enum opt_type type, uint64_t value)
{
	static const struct {
		enum opt_type type;
		uint64_t factor;
		const char *name;
	} units[] = {
		{OPT_DURATION, UINT64_C(3600000000000), "h"},
		{OPT_DURATION, UINT64_C(60000000000), "m"},
		{OPT_DURATION, UINT64_C(1000000000), "s"},
		{OPT_DURATION, 1000000, "ms"},
		{OPT_DURATION, 1000, "us"},
		{OPT_DURATION, 1, "ns"},
		{OPT_SIZE, UINT64_C(1) << 40, "T"},
		{OPT_SIZE, 1 << 30, "G"},
		{OPT_SIZE, 1 << 20, "M"},
		{OPT_SIZE, 1 << 10, "K"},
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		if (units[i].type == type && value && value % units[i].factor == 0) {
			snprintf(buffer, FMT_MAX, "%" PRIu64 "%s", value / units[i].factor,
				 units[i].name);
			return buffer;
		}
	}
	snprintf(buffer, FMT_MAX, "%" PRIu64, value);
	return buffer;
}

static int refuse_value(const struct given *given, struct err *err)
{
	static const char *const wanted[] = {
		[OPT_COUNT] = "a whole number",
		[OPT_PERCENT] = "a percentage from 0 to 100",
		[OPT_DURATION] = "a duration such as 30s, 5m, 1h30m or 250ms",
		[OPT_SIZE] = "a size such as 512, 64K or 16M",
	};
	const struct opt *opt = given->opt;
	char value[SHOWN_MAX], low[FMT_MAX], high[FMT_MAX], range[2 * FMT_MAX + 16] = "";

	if (opt->type != OPT_PERCENT && opt->max)
		snprintf(range, sizeof(range), " from %s to %s",
			 typed_number(low, opt->type, opt->min),
			 typed_number(high, opt->type, opt->max));
	else if (opt->type != OPT_PERCENT && opt->min)
		snprintf(range, sizeof(range), " of at least %s",
			 typed_number(low, opt->type, opt->min));
	return err_set(err, ERR_USAGE, -EINVAL, "%s takes %s%s, not \"%s\".", given->name,
		       wanted[opt->type], range, shown(value, given->value));
}

/* Digits and one point, by hand: strtod would take "nan", "0x10" and the locale's comma. */
static int parse_percent(const char *text, double *ret_percent)
{
	double value = 0, scale = 1;
	bool has_digit = false, has_point = false;

	for (; *text && strcmp(text, "%"); text++) {
		if (*text == '.' && !has_point) {
			has_point = true;
		} else if (*text >= '0' && *text <= '9') {
			has_digit = true;
			value = value * 10 + (*text - '0');
			if (has_point)
				scale *= 10;
			/* Digits beyond a double's precision change nothing and would overflow. */
			if (value > 1e15)
				return -EINVAL;
		} else {
			return -EINVAL;
		}
	}
	if (!has_digit || value / scale > 100)
		return -EINVAL;
	*ret_percent = value / scale;
	return 0;
}

static bool is_choice(const char *choices, const char *value)
{
	size_t length = strlen(value);

	while (length && choices) {
		const char *end = strchrnul(choices, '|');

		if ((size_t)(end - choices) == length && !memcmp(choices, value, length))
			return true;
		choices = *end ? end + 1 : NULL;
	}
	return false;
}

static int refuse_choice(const struct given *given, struct err *err)
{
	struct str list = {0};
	char value[SHOWN_MAX];
	int ret;

	for (const char *at = given->opt->choices; *at;) {
		const char *end = strchrnul(at, '|');

		if (list.length)
			str_add(&list, *end ? ", " : " or ");
		str_add_bytes(&list, at, (size_t)(end - at));
		at = *end ? end + 1 : end;
	}
	ret = err_set(err, ERR_USAGE, -EINVAL, "%s takes %s, not \"%s\".", given->name,
		      str_text(&list), shown(value, given->value));
	str_done(&list);
	return ret;
}

static int store_list(struct parse *parse, const struct given *given)
{
	struct opt_list *list = (struct opt_list *)(parse->into + given->opt->offset);

	/* What is written replaces the default, and is added to what was written before. */
	if (!parse->was_given[given->opt - parse->table])
		list->count = 0;
	if (list->count == OPT_LIST_MAX)
		return err_set(parse->err, ERR_USAGE, -EINVAL, "%s may be given %d times at most.",
			       given->name, OPT_LIST_MAX);
	list->values[list->count++] = given->value;
	return 0;
}

static int store_value(struct parse *parse, const struct given *given)
{
	const struct opt *opt = given->opt;
	char *member = parse->into + opt->offset;
	uint64_t number;
	double percent;
	int ret;

	switch (opt->type) {
	case OPT_FLAG:
		*(bool *)member = true;
		return 0;
	case OPT_TEXT:
		*(const char **)member = given->value;
		return 0;
	case OPT_CHOICE:
		if (!is_choice(opt->choices, given->value))
			return refuse_choice(given, parse->err);
		*(const char **)member = given->value;
		return 0;
	case OPT_LIST:
		return store_list(parse, given);
	case OPT_PERCENT:
		if (parse_percent(given->value, &percent))
			return refuse_value(given, parse->err);
		*(double *)member = percent;
		return 0;
	case OPT_COUNT:
		ret = parse_count(given->value, &number);
		break;
	case OPT_DURATION:
		ret = parse_duration(given->value, &number);
		break;
	case OPT_SIZE:
		ret = parse_size(given->value, &number);
		break;
	default:
		abort();
	}
	if (ret || number < opt->min || (opt->max && number > opt->max))
		return refuse_value(given, parse->err);
	*(uint64_t *)member = number;
	return 0;
}

static int store_given(struct parse *parse, const struct given *given)
{
	int ret = store_value(parse, given);

	if (!ret)
		parse->was_given[given->opt - parse->table] = true;
	return ret;
}

/* Only where the command line is silent: a variable that it overrides may hold anything. */
static int store_environment(struct parse *parse)
{
	for (const struct opt *opt = parse->table; opt && opt->name; opt++) {
		struct given given = {.opt = opt};
		int ret;

		given.value = opt->environment ? getenv(opt->environment) : NULL;
		if (!given.value || !*given.value || parse->was_given[opt - parse->table])
			continue;
		/* A flag's variable is on unless it is 0. */
		if (opt->type == OPT_FLAG && !strcmp(given.value, "0"))
			continue;
		snprintf(given.name, sizeof(given.name), "$%s", opt->environment);
		ret = store_value(parse, &given);
		if (ret)
			return ret;
	}
	return 0;
}

static const struct opt *by_name(const struct opt *table, const char *name, size_t length)
{
	for (const struct opt *opt = table; opt && opt->name; opt++) {
		if (strlen(opt->name) == length && !memcmp(opt->name, name, length))
			return opt;
	}
	return NULL;
}

static const struct opt *by_letter(const struct opt *table, char letter)
{
	for (const struct opt *opt = table; opt && opt->name; opt++) {
		if (opt->letter && opt->letter == letter)
			return opt;
	}
	return NULL;
}

static int refuse_name(const struct parse *parse, const char *name, size_t length)
{
	size_t best = NEAR_EDITS_MAX + 1;
	const char *nearest = NULL;
	char value[SHOWN_MAX];
	OWN(own_free) char *typed = strndup(name, length);
	int ret;

	if (!typed)
		return err_set(parse->err, ERR_GENERAL, -ENOMEM, "Out of memory.");
	for (const struct opt *opt = parse->table; opt && opt->name; opt++) {
		if (near_is_better(typed, opt->name, &best))
			nearest = opt->name;
	}
	if (near_is_better(typed, "help", &best))
		nearest = "help";
	ret = err_set(parse->err, ERR_USAGE, -EINVAL, "There is no option \"--%s\".",
		      shown(value, typed));
	if (nearest)
		err_remedy(parse->err, "Did you mean --%s?", nearest);
	return ret;
}

static int refuse_missing(const struct given *given, struct err *err)
{
	return err_set(err, ERR_USAGE, -EINVAL, "%s needs a value: %s %s.", given->name,
		       given->name, given->opt->value_name);
}

/* "--name", "--name=value" or "--name value"; *ret_used counts the arguments it took. */
static int parse_long(struct parse *parse, char *const *argv, int left, int *ret_used,
		      bool *ret_help)
{
	const char *name = argv[0] + 2, *equals = strchrnul(name, '=');
	struct given given = {.opt = by_name(parse->table, name, (size_t)(equals - name))};
	char value[SHOWN_MAX];

	if (!given.opt && !strcmp(name, "help")) {
		*ret_help = true;
		return 0;
	}
	if (!given.opt)
		return refuse_name(parse, name, (size_t)(equals - name));
	snprintf(given.name, sizeof(given.name), "--%s", given.opt->name);
	*ret_used = 1;
	if (given.opt->type == OPT_FLAG) {
		if (*equals)
			return err_set(parse->err, ERR_USAGE, -EINVAL,
				       "%s takes no value, but was given \"%s\".", given.name,
				       shown(value, equals + 1));
	} else if (*equals) {
		given.value = equals + 1;
	} else if (left > 1) {
		given.value = argv[1];
		*ret_used = 2;
	} else {
		return refuse_missing(&given, parse->err);
	}
	return store_given(parse, &given);
}

/* "-q", "-qa", "-n5", "-n 5", "-qn5". */
static int parse_letters(struct parse *parse, char *const *argv, int left, int *ret_used,
			 bool *ret_help)
{
	*ret_used = 1;
	for (const char *at = argv[0] + 1; *at; at++) {
		struct given given = {.opt = by_letter(parse->table, *at)};
		char value[SHOWN_MAX];
		int ret;

		if (!given.opt && *at == 'h') {
			*ret_help = true;
			return 0;
		}
		if (!given.opt && *at > ' ' && *at < 0x7f)
			return err_set(parse->err, ERR_USAGE, -EINVAL,
				       "There is no option \"-%c\".", *at);
		if (!given.opt)
			return err_set(parse->err, ERR_USAGE, -EINVAL,
				       "There is an unknown option in \"%s\".",
				       shown(value, argv[0]));
		snprintf(given.name, sizeof(given.name), "-%c", *at);
		if (given.opt->type != OPT_FLAG) {
			if (at[1]) {
				given.value = at + 1;
			} else if (left > 1) {
				given.value = argv[1];
				*ret_used = 2;
			} else {
				return refuse_missing(&given, parse->err);
			}
			return store_given(parse, &given);
		}
		ret = store_given(parse, &given);
		if (ret)
			return ret;
	}
	return 0;
}

static size_t table_count(const struct opt *table)
{
	size_t count = 0;

	while (table && table[count].name)
		count++;
	return count;
}

int opt_parse(const struct opt *table, int argc, char **argv, bool stop_at_operand, void *into,
	      int *ret_operands, bool *ret_help, struct err *err)
{
	OWN(own_free) bool *was_given = mem_array(table_count(table), sizeof(*was_given));
	struct parse parse = {table, into, was_given, err};
	int operands = 0, ret = 0;
	bool help = false;

	for (int at = 0, used; !ret && !help && at < argc; at += used) {
		const char *text = argv[at];

		used = 1;
		if (text[0] == '-' && text[1] == '-' && text[2]) {
			ret = parse_long(&parse, argv + at, argc - at, &used, &help);
		} else if (text[0] == '-' && text[1] && text[1] != '-') {
			ret = parse_letters(&parse, argv + at, argc - at, &used, &help);
		} else if (text[0] == '-' && text[1] == '-') {
			used = argc - at;
			for (int rest = at + 1; rest < argc; rest++)
				argv[operands++] = argv[rest];
		} else if (stop_at_operand) {
			used = argc - at;
			for (int rest = at; rest < argc; rest++)
				argv[operands++] = argv[rest];
		} else {
			/* Gathering never overtakes reading: operands <= at. */
			argv[operands++] = argv[at];
		}
	}
	if (!ret && !help)
		ret = store_environment(&parse);
	if (ret)
		return ret;
	*ret_operands = operands;
	*ret_help = help;
	return 0;
}
