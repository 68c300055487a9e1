# The profiled programs. TARGETS lists all of them for `make targets`; they are the same in every MODE.
TARGETS_C := burn threads64 reader faults sleeper plugin execer execee forker renamer manythreads \
	zombie exits work threadexec noperf
# As release builds and libraries are: without frame pointers.
TARGETS_NOFRAMES := noframes sortsig recursion jit realign maps1000 waiter waitstacks waitkinds pingpong churn heapbench
# They know their own heap.
TARGETS_HEAP := heapload heapchange heaprate
TARGETS_RUSTC := $(shell command -v rustc 2>/dev/null)
TARGETS_LLD := $(shell command -v ld.lld 2>/dev/null)
# Frames everywhere (target.h forces them in leaves) and no tail calls: a walk along frame pointers then
# sees every caller.
TARGETS_CFLAGS := -std=gnu11 -D_GNU_SOURCE -I. -O2 -g -Wall -Wextra -fno-omit-frame-pointer \
	-fno-shrink-wrap -fno-optimize-sibling-calls -pthread
TARGETS_NOFRAMES_CFLAGS := $(filter-out -fno-omit-frame-pointer,$(TARGETS_CFLAGS)) -fomit-frame-pointer \
	-DNO_FRAMES
TARGETS_RUSTFLAGS := --edition 2021 -O -g -C force-frame-pointers=yes

TARGETS := $(TARGETS_C:%=$(TARGETS_OUT)/%) $(TARGETS_OUT)/plug_a.so $(TARGETS_OUT)/plug_b.so \
	$(TARGETS_OUT)/stripped $(TARGETS_OUT)/nodwarf $(TARGETS_NOFRAMES:%=$(TARGETS_OUT)/%) \
	$(TARGETS_OUT)/plugin_noframes $(TARGETS_OUT)/bare/plug_a.so $(TARGETS_OUT)/bare/plug_b.so
TARGETS += $(TARGETS_HEAP:%=$(TARGETS_OUT)/%) $(TARGETS_OUT)/heapsites $(TARGETS_OUT)/heapsignal \
	$(TARGETS_OUT)/heapload_static $(TARGETS_OUT)/heapload_stripped $(TARGETS_OUT)/heapload_own \
	$(TARGETS_OUT)/heapinfo.so $(TARGETS_OUT)/ownalloc.so $(TARGETS_OUT)/heapround
TARGETS += $(TARGETS_OUT)/callback_a.so $(TARGETS_OUT)/callback_b.so
ifneq ($(TARGETS_RUSTC),)
TARGETS += $(TARGETS_OUT)/heap_rust $(TARGETS_OUT)/heap_rust_truth $(TARGETS_OUT)/rustalloc
TARGETS += $(TARGETS_OUT)/rust $(TARGETS_OUT)/rust_v0 $(TARGETS_OUT)/deep
ifneq ($(TARGETS_LLD),)
TARGETS += $(TARGETS_OUT)/rust_lld
endif
endif

$(TARGETS_C:%=$(TARGETS_OUT)/%): $(TARGETS_OUT)/%: tests/targets/%.c tests/targets/target.h
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TARGETS_CFLAGS) -o $@ $< -ldl

$(TARGETS_OUT)/%.so: tests/targets/%.c tests/targets/target.h
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TARGETS_CFLAGS) -shared -fPIC -o $@ $<

$(TARGETS_NOFRAMES:%=$(TARGETS_OUT)/%): $(TARGETS_OUT)/%: tests/targets/%.c tests/targets/target.h
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TARGETS_NOFRAMES_CFLAGS) -o $@ $< -ldl

$(TARGETS_OUT)/plugin_noframes: tests/targets/plugin.c tests/targets/target.h
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TARGETS_NOFRAMES_CFLAGS) -o $@ $< -ldl

$(TARGETS_OUT)/bare/%.so: tests/targets/%.c tests/targets/target.h
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TARGETS_NOFRAMES_CFLAGS) -shared -fPIC -o $@ $<

# One library and another that fits where it was.
$(TARGETS_OUT)/callback_b.so: TARGETS_NOFRAMES_CFLAGS += -DOTHER
$(TARGETS_OUT)/callback_a.so $(TARGETS_OUT)/callback_b.so: tests/targets/callback.c
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TARGETS_NOFRAMES_CFLAGS) -shared -fPIC -o $@ $<

$(TARGETS_OUT)/nodwarf: tests/targets/burn.c tests/targets/target.h
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TARGETS_CFLAGS) -g0 -o $@ $<

$(TARGETS_OUT)/stripped: $(TARGETS_OUT)/nodwarf
	$(call say,STRIP,$@)
	$(Q)strip -s -o $@ $<

# GNU ld's one text segment against LLD's split segments, where file offset and address differ.
$(TARGETS_OUT)/rust: TARGETS_RUSTFLAGS += -C link-arg=-fuse-ld=bfd
$(TARGETS_OUT)/rust_v0: TARGETS_RUSTFLAGS += -C link-arg=-fuse-ld=bfd -C symbol-mangling-version=v0
$(TARGETS_OUT)/rust_lld: TARGETS_RUSTFLAGS += -C link-arg=-fuse-ld=lld
$(TARGETS_OUT)/rust $(TARGETS_OUT)/rust_v0 $(TARGETS_OUT)/rust_lld: tests/targets/inline.rs
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)MAKEFLAGS= $(TARGETS_RUSTC) $(TARGETS_RUSTFLAGS) -o $@ $<

$(TARGETS_OUT)/deep: tests/targets/deep.rs
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)MAKEFLAGS= $(TARGETS_RUSTC) --edition 2021 -O -g -o $@ $<

# Programs that know their own heap. Failing and freeing by realloc is what some of them test.
TARGETS_HEAP_CFLAGS := $(TARGETS_NOFRAMES_CFLAGS) -Wno-missing-field-initializers -Wno-use-after-free
TARGETS_HEAP_HEADERS := tests/targets/target.h tests/targets/heap_truth.h

$(TARGETS_HEAP:%=$(TARGETS_OUT)/%): $(TARGETS_OUT)/%: tests/targets/%.c $(TARGETS_HEAP_HEADERS)
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TARGETS_HEAP_CFLAGS) -o $@ $< -ldl

$(TARGETS_OUT)/heapsites: tests/targets/heapsites.cc $(TARGETS_HEAP_HEADERS)
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)g++ $(filter-out -std=gnu11,$(TARGETS_HEAP_CFLAGS)) -std=gnu++20 -o $@ $<

# With an allocator of its own, in a library.
$(TARGETS_OUT)/heapsignal: tests/targets/heapsignal.c $(TARGETS_OUT)/ownalloc.so $(TARGETS_HEAP_HEADERS)
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TARGETS_HEAP_CFLAGS) -o $@ $< -L$(TARGETS_OUT) -l:ownalloc.so -Wl,-rpath,'$$ORIGIN'

# libc's allocator in the executable, with its symbols and without; and one of the program's own.
$(TARGETS_OUT)/heapload_static: tests/targets/heapload.c $(TARGETS_HEAP_HEADERS)
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TARGETS_HEAP_CFLAGS) -static -o $@ $<

$(TARGETS_OUT)/heapload_stripped: $(TARGETS_OUT)/heapload_static
	$(call say,STRIP,$@)
	$(Q)strip -s -o $@ $<

$(TARGETS_OUT)/heapload_own: tests/targets/heapload.c tests/targets/ownalloc.c $(TARGETS_HEAP_HEADERS)
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TARGETS_HEAP_CFLAGS) -fno-builtin -o $@ $(filter %.c,$^)

$(TARGETS_OUT)/heapround: tests/targets/heapround.c bpf/shared.h
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TARGETS_CFLAGS) -o $@ $<

# The same program twice: as a release, and with an allocator that counts.
$(TARGETS_OUT)/heap_rust: tests/targets/heap.rs
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)MAKEFLAGS= $(TARGETS_RUSTC) --edition 2021 -O -g -o $@ $<

$(TARGETS_OUT)/heap_rust_truth: tests/targets/heap.rs
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)MAKEFLAGS= $(TARGETS_RUSTC) --edition 2021 -O -g --cfg counting -o $@ $<

$(TARGETS_OUT)/rustalloc: tests/targets/rustalloc.rs
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)MAKEFLAGS= $(TARGETS_RUSTC) --edition 2021 -O -g -o $@ $<

# What an agent inside the process has to see.
TARGETS_AGENT := agentways agentprogress agentsafe agentbench agentedge agentthread
TARGETS += $(TARGETS_AGENT:%=$(TARGETS_OUT)/%) $(TARGETS_OUT)/agentlook $(TARGETS_OUT)/agentthrow \
	$(TARGETS_OUT)/agentsafe_own $(TARGETS_OUT)/agentjump $(TARGETS_OUT)/agentplug_a.so \
	$(TARGETS_OUT)/agentplug_b.so $(TARGETS_OUT)/agentcount.so
ifneq ($(TARGETS_RUSTC),)
TARGETS += $(TARGETS_OUT)/agentchurn
endif

$(TARGETS_AGENT:%=$(TARGETS_OUT)/%): $(TARGETS_OUT)/%: tests/targets/%.c $(TARGETS_HEAP_HEADERS)
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TARGETS_HEAP_CFLAGS) -o $@ $< -ldl

$(TARGETS_OUT)/agentlook: tests/targets/agentlook.c include/rsprof/shm_abi.h
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TARGETS_CFLAGS) -o $@ $<

$(TARGETS_OUT)/agentthrow: tests/targets/agentthrow.cc $(TARGETS_HEAP_HEADERS)
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)g++ $(filter-out -std=gnu11,$(TARGETS_HEAP_CFLAGS)) -std=gnu++20 -o $@ $<

# With an allocator that handlers may use.
$(TARGETS_OUT)/agentsafe_own $(TARGETS_OUT)/agentjump: $(TARGETS_OUT)/%: $(TARGETS_OUT)/ownalloc.so \
		$(TARGETS_HEAP_HEADERS)
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TARGETS_HEAP_CFLAGS) -DOWN -o $@ $(filter %.c,$^) -L$(TARGETS_OUT) -l:ownalloc.so \
		-Wl,-rpath,'$$ORIGIN'
$(TARGETS_OUT)/agentsafe_own: tests/targets/agentsafe.c
$(TARGETS_OUT)/agentjump: tests/targets/agentjump.c

$(TARGETS_OUT)/agentplug_b.so: TARGETS_CFLAGS += -DSECOND
$(TARGETS_OUT)/agentplug_a.so $(TARGETS_OUT)/agentplug_b.so: tests/targets/agentplug.c
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TARGETS_CFLAGS) -shared -fPIC -o $@ $<

# As release builds are: without frame pointers.
$(TARGETS_OUT)/agentchurn: tests/targets/agentchurn.rs
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)MAKEFLAGS= $(TARGETS_RUSTC) --edition 2021 -O -g -o $@ $<

# The agent's: what it does to a program, and what it says. agentlinked has it in it, or wants it preloaded, or
# is built without.
TARGETS += $(TARGETS_OUT)/agentcpu $(TARGETS_OUT)/agentsig $(TARGETS_OUT)/agentdump \
	$(TARGETS_OUT)/agentlinked $(TARGETS_OUT)/agentlinked_weak $(TARGETS_OUT)/agentlinked_off
TARGETS_LINKED_CFLAGS := $(TARGETS_CFLAGS) -Iinclude

$(TARGETS_OUT)/agentcpu $(TARGETS_OUT)/agentsig $(TARGETS_OUT)/agentdump: $(TARGETS_OUT)/%: tests/targets/%.c \
	tests/targets/target.h include/rsprof/shm_abi.h
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TARGETS_CFLAGS) -o $@ $<

$(TARGETS_OUT)/agentlinked: tests/targets/agentlinked.c tests/targets/target.h include/rsprof/rsprof.h \
	$(OUT)/librsprof.a
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TARGETS_LINKED_CFLAGS) -DRSPROF_ENABLE -o $@ $< $(OUT)/librsprof.a

$(TARGETS_OUT)/agentlinked_weak: tests/targets/agentlinked.c tests/targets/target.h include/rsprof/rsprof.h
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TARGETS_LINKED_CFLAGS) -DRSPROF_ENABLE -DRSPROF_WEAK -o $@ $<

$(TARGETS_OUT)/agentlinked_off: tests/targets/agentlinked.c tests/targets/target.h include/rsprof/rsprof.h
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TARGETS_LINKED_CFLAGS) -o $@ $<

# An agent is put into them while they run.
TARGETS += $(TARGETS_OUT)/injectee $(TARGETS_OUT)/injectee_static $(TARGETS_OUT)/injectee_own $(TARGETS_OUT)/injectplug.so
$(TARGETS_OUT)/injectee: tests/targets/injectee.c tests/targets/target.h
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TARGETS_HEAP_CFLAGS) -o $@ $< -ldl

$(TARGETS_OUT)/injectee_static: tests/targets/injectee.c tests/targets/target.h
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TARGETS_HEAP_CFLAGS) -static -o $@ $< 2>/dev/null

$(TARGETS_OUT)/injectee_own: tests/targets/injectee.c tests/targets/ownalloc.c tests/targets/target.h
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TARGETS_HEAP_CFLAGS) -fno-builtin -o $@ $(filter %.c,$^) -ldl

ifneq ($(TARGETS_RUSTC),)
TARGETS += $(TARGETS_OUT)/injectee_rust
$(TARGETS_OUT)/injectee_rust: tests/targets/injectee.rs
	$(call say,TARGET,$@)
	$(Q)mkdir -p $(@D)
	$(Q)MAKEFLAGS= $(TARGETS_RUSTC) --edition 2021 -O -g -o $@ $<
endif
