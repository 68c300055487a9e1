/* What rsprof doctor tells: gathered by cmd_doctor.c before any of it is printed. */
#ifndef RSPROF_CMD_DOCTOR_H
#define RSPROF_CMD_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>

#include "reader/record_agent.h"
#include "reader/symbol/symbol.h"
#include "reader/target/allocator.h"
#include "reader/target/offer.h"
#include "reader/target/permit.h"
#include "reader/target/target.h"
#include "reader/target/traits.h"
#include "reader/util/str.h"

struct doctor_report {
	struct permit permit;
	char *agent_library;   /* NULL: not found */
	struct target *target; /* NULL without -p */
	struct offer_answers answers;
	struct err bpf_err;  /* where bpf is not allowed */
	struct err perf_err; /* where perf is not PERMIT_YES */
	struct offer offers[OFFER_SOURCES];
	/* Of the target. */
	bool has_mappings;
	bool is_static; /* has no dynamic linker */
	struct agent_verdict agent;
	const char *allocator;		 /* may be NULL */
	struct allocator_finder *finder; /* owns the files of allocators */
	struct allocator_list allocators;
	struct doctor_layer {
		size_t function_count;
		int emulated_count;	/* -1: its code could not be read */
	} layers[ALLOCATOR_LAYERS_MAX]; /* of allocators.layers */
	size_t layer_count;
	enum frame_pointers frame_pointers;
	struct symbolizer *symbolizer; /* owns the strings in symbols */
	struct module_table *modules;
	struct symbol_facts symbols;
	const char *executable_missing; /* static, or NULL */
	size_t file_count, unreadable_count;
	struct str first_unreadable; /* "PATH: reason", scrubbed */
};

/* NULL where it cannot be told. */
const char *doctor_frame_pointers_text(enum frame_pointers use);

/* Whether --inject would put the agent into the target: NULL where it would, else why not, in
 * short. */
const char *doctor_inject_missing(const struct doctor_report *report);

void doctor_print_text(const struct doctor_report *report);
void doctor_print_json(const struct doctor_report *report);

#endif
