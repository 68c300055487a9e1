# rsprof: `make help` lists what can be made.
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules
MODE ?= rel
V ?= 0
CC = gcc
PREFIX ?= /usr/local
DESTDIR ?=
STATIC ?= 1
BPF_CC = clang
BPF_STRIP = llvm-strip
# Debian keeps it where only root's PATH leads.
BPFTOOL := $(firstword $(shell command -v bpftool) /usr/sbin/bpftool)
VERSION := $(shell cat VERSION)

ifeq ($(filter $(MODE),rel dbg asan tsan),)
$(error MODE is rel, dbg, asan or tsan, not "$(MODE)")
endif

Q = $(if $(filter 1,$(V)),,@)
silent = $(findstring s,$(firstword -$(MAKEFLAGS)))
say = $(if $(filter 1,$(V)),,@$(if $(silent),:,printf '  %-8s%s\n' '$1' '$2'))
jobs = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

OUT = build$(if $(filter-out rel,$(MODE)),/$(MODE))
OBJ = build/.obj/$(MODE)

# ---- flags. CPPFLAGS, CFLAGS and LDFLAGS are the caller's and come last.

FLAGS_rel = -O2 -g -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
FLAGS_dbg = -O0 -g3
FLAGS_asan = -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
FLAGS_tsan = -O1 -g -fsanitize=thread -fno-omit-frame-pointer

WARNINGS = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith \
	-Wwrite-strings -Wno-unused-parameter $(if $(CI),-Werror)
ALL_CPPFLAGS = -I. -Iinclude -I$(OBJ)/gen -D_GNU_SOURCE -DRSPROF_VERSION='"$(VERSION)"' $(CPPFLAGS)
ALL_CFLAGS = -std=gnu11 $(FLAGS_$(MODE)) $(WARNINGS) -fno-strict-aliasing -fPIE -pthread $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now,-z,noexecstack $(LDFLAGS)

# What runs inside other people's processes: the same in all modes, since sanitizers have no business there.
AGENT_FLAGS = -std=gnu11 $(if $(filter dbg,$(MODE)),-O1,-O2) -g $(WARNINGS) -fno-strict-aliasing -fPIC -fvisibility=hidden \
	-ftls-model=initial-exec -fno-builtin-malloc -fno-builtin-calloc -fno-builtin-realloc -fno-builtin-free \
	-fno-omit-frame-pointer -fno-stack-protector -fno-plt -U_FORTIFY_SOURCE -fcf-protection=none
AGENT_CPPFLAGS = -I. -Iinclude -D_GNU_SOURCE -DRSPROF_VERSION='"$(VERSION)"'
AGENT_LDFLAGS = -shared -Wl,-z,relro,-z,now,-z,noexecstack,-z,defs,-z,nodelete -Wl,-soname,librsprof_agent.so \
	-Wl,--version-script=agent/exports.map -Wl,--no-undefined

# For the kernel: no C library; but the kernel's public headers, which Debian keeps by machine.
BPF_FLAGS := -O2 -g -target bpf -ffreestanding -I. -idirafter /usr/include/$(shell $(CC) -print-multiarch) \
	-Wall -Wextra -Wno-unused-parameter $(if $(CI),-Werror)

# In link order. libbpf needs elf and z, Debian's static libdw the last three but one, which is ncurses' terminfo.
LIBRARIES = -lbpf -ldw -lelf -lsqlite3 -liberty -lz -llzma -lbz2 -lzstd -ltinfo
LIBS = $(if $(filter 0,$(STATIC)),$(LIBRARIES),-Wl,-Bstatic $(LIBRARIES) -Wl,-Bdynamic) -lm -lpthread -ldl

# ---- what there is

READER_SOURCES = $(filter-out reader/main.c,$(wildcard reader/*.c reader/*/*.c)) $(wildcard shm/*.c)
READER_OBJECTS = $(READER_SOURCES:%.c=$(OBJ)/%.o)
AGENT_SOURCES = $(wildcard agent/*.c) $(wildcard shm/*.c)
AGENT_OBJECTS = $(AGENT_SOURCES:%.c=$(OBJ)/agent/%.o)
BPF_OBJECTS = $(patsubst %.c,$(OBJ)/%.o,$(wildcard bpf/*.bpf.c))
GENERATED = $(patsubst %.sql,$(OBJ)/gen/%.inc,$(wildcard reader/*/*.sql)) \
	$(BPF_OBJECTS:$(OBJ)/%.bpf.o=$(OBJ)/gen/%.skel.h)
KIT_OBJECTS = $(patsubst %.c,$(OBJ)/%.o,$(wildcard tests/lib/*.c))
UNIT_PROGRAMS = $(patsubst %.c,$(OBJ)/%,$(wildcard tests/unit/test_*.c))
BENCH_PROGRAMS = $(patsubst %.c,$(OBJ)/%,$(wildcard tests/bench/*.c))
TUI_PROGRAMS = $(patsubst %.c,$(OBJ)/%,$(wildcard tests/tui/*.c))
SCRIPTS = $(wildcard tests/contract/*.sh tests/integration/*.sh tests/tui/*.sh)
DOCUMENTS = $(addprefix $(OUT)/share/,rsprof.1 rsprof.bash _rsprof rsprof.fish)

# The programs that tests profile: targets.mk adds to TARGETS what it knows to build in TARGETS_OUT.
TARGETS_OUT = $(OUT)/targets
TARGETS =

.PHONY: all
all: $(OUT)/rsprof $(OUT)/librsprof_agent.so $(OUT)/librsprof.a ## the program and the agent (the default)

-include tests/targets/targets.mk

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo
	@printf '  %s\n' 'MODE=rel|dbg|asan|tsan  how it is built; others than rel leave build/MODE/' \
		'V=1                     shows the commands' \
		'STATIC=0                links the shared libraries of this system' \
		'CI=1                    warnings are errors, skips of required tests failures' \
		'T=WORD                  `make check` runs only the tests with WORD in their path'

# ---- products

$(OUT)/rsprof: $(OBJ)/reader/main.o $(OBJ)/reader.a $(OBJ)/flags
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LIBS)

$(OBJ)/reader.a: $(READER_OBJECTS) $(OBJ)/sources
	$(call say,AR,$@)
	$(Q)rm -f $@
	$(Q)ar rcs $@ $(READER_OBJECTS)

$(OBJ)/agent/%.o: %.c $(OBJ)/flags
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(AGENT_CPPFLAGS) $(AGENT_FLAGS) -MMD -MP -c -o $@ $<

$(OUT)/librsprof_agent.so: $(AGENT_OBJECTS) agent/exports.map $(OBJ)/sources
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(AGENT_FLAGS) $(AGENT_LDFLAGS) -o $@ $(AGENT_OBJECTS)

# The agent without memos, which the benchmark compares it with.
WALK_PARTS = agent/heap.c agent/unwind.c
WALK_OBJECTS = $(WALK_PARTS:%.c=$(OBJ)/agent_walk/%.o)
$(OBJ)/agent_walk/%.o: %.c $(OBJ)/flags
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(AGENT_CPPFLAGS) -DUNWIND_HAS_MEMOS=0 $(AGENT_FLAGS) -MMD -MP -c -o $@ $<

$(OBJ)/agent_walk/librsprof_agent.so: $(filter-out $(WALK_PARTS:%.c=$(OBJ)/agent/%.o),$(AGENT_OBJECTS)) $(WALK_OBJECTS) agent/exports.map
	$(call say,LINK,$@)
	$(Q)$(CC) $(AGENT_FLAGS) $(AGENT_LDFLAGS) -o $@ $(filter %.o,$^)

# One object: who needs a part of it gets the hooks, too, and none of its names but those for programs.
$(OUT)/librsprof.a: $(AGENT_OBJECTS) $(OBJ)/sources
	$(call say,AR,$@)
	$(Q)mkdir -p $(@D)
	$(Q)rm -f $@
	$(Q)$(CC) -r -nostdlib -o $(OBJ)/agent/librsprof.o $(AGENT_OBJECTS)
	$(Q)objcopy --localize-hidden $(OBJ)/agent/librsprof.o
	$(Q)ar rcs $@ $(OBJ)/agent/librsprof.o

$(OBJ)/%.o: %.c $(OBJ)/flags | $(GENERATED)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# The text of an SQL file as a C string.
$(OBJ)/gen/%.inc: %.sql
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D)
	$(Q)sed 's/\\/\\\\/g; s/"/\\"/g; s/^/"/; s/$$/\\n"/' $< >$@

$(OBJ)/%.bpf.o: %.bpf.c $(OBJ)/flags
	$(call say,BPF,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(BPF_CC) $(BPF_FLAGS) -MMD -MP -c -o $@ $<
	$(Q)$(BPF_STRIP) -g $@

# BPF programs as bytes, and struct NAME_bpf with their maps and globals.
$(OBJ)/gen/%.skel.h: $(OBJ)/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(BPFTOOL) gen skeleton $< name $(notdir $*)_bpf >$@

# Written only when they change: what depends on them is then built anew.
$(OBJ)/flags: export STAMP = $(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(LIBS) \
	$(BPF_CC) $(BPF_FLAGS) $(AGENT_CPPFLAGS) $(AGENT_FLAGS) $(AGENT_LDFLAGS)
$(OBJ)/sources: export STAMP = $(READER_OBJECTS) $(AGENT_OBJECTS)
$(OBJ)/flags $(OBJ)/sources: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' "$$STAMP" | cmp -s - $@ || printf '%s\n' "$$STAMP" >$@

.PHONY: FORCE
FORCE:

$(OUT)/share/rsprof.1: $(OUT)/rsprof
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$< man >$@

$(OUT)/share/rsprof.bash: $(OUT)/rsprof
	$(Q)mkdir -p $(@D)
	$(Q)$< completions bash >$@

$(OUT)/share/_rsprof: $(OUT)/rsprof
	$(Q)mkdir -p $(@D)
	$(Q)$< completions zsh >$@

$(OUT)/share/rsprof.fish: $(OUT)/rsprof
	$(Q)mkdir -p $(@D)
	$(Q)$< completions fish >$@

# ---- tests

$(UNIT_PROGRAMS): $(OBJ)/%: $(OBJ)/%.o $(KIT_OBJECTS) $(OBJ)/reader.a $(OBJ)/flags
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LIBS)

# Those of the agent's unwinder are linked with it, but for what begins by itself or stands before libc.
AGENT_PARTS = $(patsubst %.c,$(OBJ)/agent/%.o,$(wildcard agent/unwind*.c) agent/site.c $(wildcard agent/sys.c) $(wildcard shm/*.c))
$(filter $(OBJ)/tests/unit/test_agent_unwind% $(OBJ)/tests/unit/test_agent_site,$(UNIT_PROGRAMS)): $(AGENT_PARTS)

$(BENCH_PROGRAMS) $(TUI_PROGRAMS): $(OBJ)/%: $(OBJ)/%.o $(KIT_OBJECTS) $(OBJ)/reader.a $(OBJ)/flags
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LIBS)

# Files on the way that make would remove.
.SECONDARY: $(GENERATED) $(BPF_OBJECTS) $(UNIT_PROGRAMS:=.o) $(BENCH_PROGRAMS:=.o) $(TUI_PROGRAMS:=.o) $(KIT_OBJECTS)

export_tests = RSPROF=$(OUT)/rsprof TARGETS=$(TARGETS_OUT) BUILD=$(OUT) OBJ=$(OBJ) MODE=$(MODE) V=$(V)

.PHONY: targets
targets: $(TARGETS) ## the programs that tests profile

.PHONY: check
check: all targets $(UNIT_PROGRAMS) $(TUI_PROGRAMS) ## every test that this machine allows; T=WORD: some of them
	$(Q)$(export_tests) tests/run $(if $(T),$(foreach test,$(UNIT_PROGRAMS) $(SCRIPTS),$(if \
		$(findstring $(T),$(test:$(OBJ)/%=%)),$(test))),$(UNIT_PROGRAMS) $(SCRIPTS))

.PHONY: bench
bench: all targets $(BENCH_PROGRAMS) $(OBJ)/agent_walk/librsprof_agent.so ## measures rsprof and what it costs (tests/bench/RESULTS.md)
	$(Q)$(export_tests) tests/bench/run

.PHONY: screenshots
screenshots: all $(TUI_PROGRAMS) ## the pictures of the README, anew (tests/tui/pictures)
	$(Q)$(export_tests) tests/tui/screenshots

.PHONY: lint
lint: ## who includes whom; each header compiles alone
	$(Q)CC='$(CC)' tests/lib/lint.sh

# ---- people

.PHONY: deps
deps: ## checks the packages that building and testing needs, installs the missing ones
	$(Q).ci/deps

.PHONY: demo
demo: deps ## builds, profiles bundled programs and shows where they spend time and memory
	$(Q)$(MAKE) --no-print-directory $(jobs) MODE=$(MODE) $(OUT)/rsprof $(OUT)/librsprof_agent.so \
		$(TARGETS_OUT)/burn $(TARGETS_OUT)/heapload
	$(Q)rm -f $(foreach name,demo demo_heap,build/$(name).db build/$(name).db-wal build/$(name).db-shm)
	$(call say,RECORD,build/demo.db: 5 seconds of $(TARGETS_OUT)/burn)
	$(Q)$(OUT)/rsprof run -q -d 5s -o build/demo.db -- $(TARGETS_OUT)/burn 6
	@printf '\n$$ %s\n' '$(OUT)/rsprof top cpu build/demo.db'
	$(Q)$(OUT)/rsprof top cpu build/demo.db
	@echo
	$(call say,RECORD,build/demo_heap.db: 10 million allocations of $(TARGETS_OUT)/heapload)
	$(Q)$(OUT)/rsprof run -q -o build/demo_heap.db -- $(TARGETS_OUT)/heapload 50000 1000 10000000 now \
		>build/demo_heap.log 2>&1 || { cat build/demo_heap.log; exit 1; }
	@printf '$$ %s\n' '$(OUT)/rsprof top heap --sort total_allocs -n 3 build/demo_heap.db'
	$(Q)$(OUT)/rsprof top heap --sort total_allocs -n 3 build/demo_heap.db
	@printf '\n%s\n' 'Next, in the terminal:'
	@printf '  %-40s %s\n' '$(OUT)/rsprof view build/demo.db' 'what was just recorded' \
		'$(OUT)/rsprof -p PID' 'a process of yours'


bindir = $(DESTDIR)$(PREFIX)/bin
libdir = $(DESTDIR)$(PREFIX)/lib
includedir = $(DESTDIR)$(PREFIX)/include
mandir = $(DESTDIR)$(PREFIX)/share/man/man1
bashdir = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
zshdir = $(DESTDIR)$(PREFIX)/share/zsh/site-functions
fishdir = $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d

.PHONY: install
install: all $(DOCUMENTS) ## program, man page, completions below PREFIX (/usr/local); DESTDIR= for packages
	$(Q)install -D -m 755 $(OUT)/rsprof '$(bindir)/rsprof'
	$(Q)install -D -m 755 $(OUT)/librsprof_agent.so '$(libdir)/librsprof_agent.so'
	$(Q)install -D -m 644 $(OUT)/librsprof.a '$(libdir)/librsprof.a'
	$(Q)install -D -m 644 include/rsprof/rsprof.h '$(includedir)/rsprof/rsprof.h'
	$(Q)install -D -m 644 $(OUT)/share/rsprof.1 '$(mandir)/rsprof.1'
	$(Q)install -D -m 644 $(OUT)/share/rsprof.bash '$(bashdir)/rsprof'
	$(Q)install -D -m 644 $(OUT)/share/_rsprof '$(zshdir)/_rsprof'
	$(Q)install -D -m 644 $(OUT)/share/rsprof.fish '$(fishdir)/rsprof.fish'

.PHONY: uninstall
uninstall: ## removes what install put there
	$(Q)rm -f '$(libdir)/librsprof_agent.so' '$(libdir)/librsprof.a' '$(includedir)/rsprof/rsprof.h' '$(bindir)/rsprof' '$(mandir)/rsprof.1' '$(bashdir)/rsprof' '$(zshdir)/_rsprof' \
		'$(fishdir)/rsprof.fish'

.PHONY: format
format: ## clang-format over all C
	$(Q)clang-format -i $(wildcard include/*/*.h shm/*.[ch] agent/*.[ch] bpf/*.[ch] reader/*.[ch] reader/*/*.[ch] \
		tests/lib/*.[ch] tests/unit/*.c)

.PHONY: clean
clean: ## removes build/
	$(Q)rm -rf build

-include $(AGENT_OBJECTS:.o=.d) $(READER_OBJECTS:.o=.d) $(OBJ)/reader/main.d $(KIT_OBJECTS:.o=.d) $(UNIT_PROGRAMS:=.d) \
	$(BPF_OBJECTS:.o=.d) $(BENCH_PROGRAMS:=.d) $(WALK_OBJECTS:.o=.d) $(TUI_PROGRAMS:=.d)
