# SPDX-License-Identifier: BSD-2-Clause
#
# make demo    build, then two app VMs share a group and play ping-pong
# make check   build, then run every test that can run here
# make help    the rest
#
# One Makefile, not recursive (but for building again with other flags). Everything it builds is under
# $(BUILD). Each folder is compiled with the include paths it may use and no others: see "The house" in
# docs/architecture.md.

BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
VERSION := 0.1.0
CC ?= cc
WERROR ?= 1
V ?= 0
ONLY ?=

.DEFAULT_GOAL := all
Q := $(if $(filter 1,$(V)),,@)
say = @$(if $(filter 1,$(V)),:,printf '  %-8s%s\n' $(1) $(2))

# ---- Flags --------------------------------------------------------------------------------------

WARN := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
	$(if $(filter 1,$(WERROR)),-Werror)
# SAN=address,undefined or SAN=thread builds everything that runs on the host with that sanitizer.
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all) \
	$(if $(filter thread,$(SAN)),-Wno-tsan) # fences publish no data here: see channel_wait.c
OPT ?= -O2
CFLAGS ?= -g
# Functions begin with a cache line: where else they begin changes with every function before them, and one of
# 3 ns took 6 to 8 % longer in some places than in others.
BASE := -std=gnu11 $(OPT) -falign-functions=64 $(CFLAGS) $(WARN) -MMD -MP -fno-strict-aliasing
HOST := $(BASE) -D_GNU_SOURCE -fPIC -fno-semantic-interposition $(SANFLAGS) -pthread
GCC_INCLUDE = $(shell $(CC) -print-file-name=include)
# App VMs: no libc, no host headers. The application runs in ring 3 of its own machine.
BARE := $(BASE) -ffreestanding -nostdinc -isystem $(GCC_INCLUDE) -fno-pic -fno-pie -mcmodel=small \
	-fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables

pkg_cflags = $(shell pkg-config --cflags $(1) 2>/dev/null)
pkg_libs = $(shell pkg-config --libs $(1) 2>/dev/null)

# The include paths of each folder: $(I)/abi has <isthmus/abi.h> alone, $(I)/ivshmem has
# "ivshmem/...", and so on. A folder not named cannot be included.
I := $(BUILD)/include
INC_ivshmem = -I$(I)/abi $(call pkg_cflags,libcyaml)
INC_coherence = -I$(I)/abi
INC_guestlib = -iquote guestlib/core -Iguestlib/include -I$(I)/abi -I$(I)/coherence
INC_cmd = -I$(I)/ivshmem -I$(I)/abi $(DEF_version)
INC_hv = -I$(I)/ivshmem -I$(I)/coherence -I$(I)/abi -I$(BUILD)/generated $(DEF_version)
DEF_version := -DISTHMUS_VERSION='"$(VERSION)"'
INC_bench = -Iguestlib/include -I$(I)/abi
INC_tests = -I. -iquote guestlib/core -Iguestlib/include -I$(I)/abi $(call pkg_cflags,check)

LIBS_vm = -lnuma -pthread
LIBS_isthmus = -lcyaml -lyaml -lnuma $(if $(BPF),-lbpf) -pthread
LIBS_guest = $(call pkg_libs,liburcu-bp) -pthread
LIBS_check = $(call pkg_libs,check)

# ---- Sources ------------------------------------------------------------------------------------

objects = $(patsubst %,$(BUILD)/$(1)/%.o,$(basename $(2)))

# What a VM process needs of ivshmem/ (small: it stays resident) and what the isthmus command does.
SRC_ivshmem_vm := $(wildcard ivshmem/client*.c ivshmem/wire.c ivshmem/bell.c ivshmem/log.c ivshmem/numa.c ivshmem/size.c ivshmem/device*.c)
SRC_ivshmem := $(filter-out ivshmem/run_state%.c ivshmem/bell_count%.c ivshmem/bpf_%.c,$(wildcard ivshmem/*.c))
# The run-state page and the count of doorbells take a compiler for BPF and libbpf. Without one of
# them there are none.
BPF_CC ?= clang
BPF ?= $(and $(shell command -v $(BPF_CC)),$(shell pkg-config --exists libbpf && echo libbpf))
SRC_ivshmem += $(addprefix ivshmem/,$(if $(BPF),run_state.c bell_count.c bpf_object.c,run_state_absent.c bell_count_absent.c))
# hv/ is the hypervisor core (isthmus-vm), ivshmem/cmd/ the isthmus command.
SRC_vm := $(wildcard hv/*.c)
SRC_cmd := $(wildcard ivshmem/cmd/*.c)
SRC_core := $(wildcard guestlib/core/*.c)
# The coherence protocol: part of the library and of the hypervisor core. What enforces it for pages
# needs a Linux host: it is part of the library for processes, and of the hypervisor core.
SRC_coherence := $(wildcard coherence/*.c)
SRC_pager := $(wildcard coherence/pager/*.c)
SRC_host := $(wildcard $(patsubst %,guestlib/platform/%/*.c,process host linux))
SRC_bare := $(wildcard guestlib/platform/bare/*.c guestlib/platform/bare/*.S)

OBJ_ivshmem := $(call objects,host,$(SRC_ivshmem))
OBJ_ivshmem_vm := $(call objects,host,$(SRC_ivshmem_vm))
OBJ_vm := $(call objects,host,$(SRC_vm))
OBJ_cmd := $(call objects,host,$(SRC_cmd))
OBJ_coherence := $(call objects,host,$(SRC_coherence))
OBJ_pager := $(call objects,host,$(SRC_pager))
OBJ_core := $(call objects,host,$(SRC_core)) $(OBJ_coherence)
OBJ_host := $(OBJ_core) $(OBJ_pager) $(call objects,host,$(SRC_host))
OBJ_bare := $(call objects,bare,$(SRC_core) $(SRC_coherence) $(SRC_bare))

PROGRAMS := $(BUILD)/isthmus $(BUILD)/isthmus-vm
LIBRARIES := $(BUILD)/libisthmus.a $(BUILD)/libisthmus.so $(BUILD)/libisthmus-bare.a

# Applications: bench/*.c with a main() for both platforms are bench/app_*.c, each built twice:
# $(BUILD)/bench/NAME (process) and $(BUILD)/bench/NAME.app (app VM). tests/vm/app_*.c likewise.
# An application may have parts: bench/app_NAME.c takes bench/NAME_*.c with it.
SRC_apps := $(wildcard bench/app_*.c tests/vm/app_*.c tests/linux/app_*.c)
app_name = $(patsubst app_%.c,%,$(notdir $(1)))
app_parts = $(wildcard $(dir $(1))$(call app_name,$(1))_*.c)
APPS := $(foreach s,$(SRC_apps),$(BUILD)/$(dir $(s))$(patsubst app_%.c,%,$(notdir $(s))))
APP_IMAGES := $(addsuffix .app,$(APPS))
APPS_static := $(patsubst $(BUILD)/%,$(BUILD)/static/%,$(APPS))
# Host-only bench programs: bench/*.c that are not applications.
SRC_bench := $(filter-out $(SRC_apps) $(foreach s,$(SRC_apps),$(call app_parts,$(s))),$(wildcard bench/*.c))
BENCHES := $(patsubst bench/%.c,$(BUILD)/bench/%,$(SRC_bench))
# bench/rings.c races DPDK's and Concurrency Kit's rings where their headers are, and says so where not.
$(BUILD)/host/bench/rings.o: INC_bench += $(patsubst -I%,-isystem %,$(call pkg_cflags,libdpdk))
# bench/floor_pages.c is isthmus-vm with another thread in it.
$(BUILD)/host/bench/floor_pages.o: INC_bench = $(INC_tests)
$(BUILD)/bench/floor_pages: $(BUILD)/libvm.a
LIBS_bench_floor_pages := -lnuma
# bench/revoke.c asks a running `up`.
$(BUILD)/host/bench/revoke.o: INC_bench = $(INC_tests)
$(BUILD)/bench/revoke: $(BUILD)/libivshmem.a
LIBS_bench_revoke := $(BUILD)/libivshmem.a $(LIBS_isthmus)
LIBS_bench_rings := $(if $(call pkg_cflags,libdpdk),-lrte_ring -lrte_eal)

# tests/unit/*.c: Check programs over all host code. tests/core/*.c: Check programs over guestlib's core
# with a platform in memory (tests/core/platform/*.c). tests/fault/*.c: programs that inject failures.
SRC_unit := $(wildcard tests/unit/*.c)
SRC_coretest := $(wildcard tests/core/*.c)
SRC_fault := $(wildcard tests/fault/*.c)
SRC_memplat := $(wildcard tests/core/platform/*.c)
SRC_fuzz := $(wildcard tests/fuzz/fuzz_*.c)
TESTS_unit := $(patsubst tests/%.c,$(BUILD)/tests/%,$(SRC_unit))
TESTS_core := $(patsubst tests/%.c,$(BUILD)/tests/%,$(SRC_coretest))
TESTS_fault := $(patsubst tests/%.c,$(BUILD)/tests/%,$(SRC_fault))
# tests/model/*.c: what the scripts there compare with the protocol's model.
TESTS_model := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/model/*.c))
TESTS := $(TESTS_unit) $(TESTS_core) $(TESTS_fault) $(TESTS_model)
FUZZERS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(SRC_fuzz))
OBJ_memplat := $(call objects,host,$(SRC_memplat))

.PHONY: all programs libraries apps static benches tests-build tests-sanitized
all: programs libraries apps benches
programs: $(PROGRAMS)
libraries: $(LIBRARIES) $(BUILD)/isthmus.pc
apps: $(APPS) $(APP_IMAGES)
static: $(APPS_static)
benches: $(BENCHES)
tests-build: all $(TESTS)
# What runs under a sanitizer; applications and libraries to install do not.
tests-sanitized: $(BUILD)/isthmus-vm $(TESTS_unit) $(TESTS_core) $(if $(filter thread,$(SAN)),,$(TESTS_fault))

# ---- How things are built -----------------------------------------------------------------------

# Only root-relative links, so that a moved tree still builds.
$(I)/.made: Makefile
	$(Q)mkdir -p $(I)/abi/isthmus $(I)/ivshmem $(I)/coherence
	$(Q)ln -sfn $(CURDIR)/ivshmem/abi.h $(I)/abi/isthmus/abi.h
	$(Q)ln -sfn $(CURDIR)/ivshmem $(I)/ivshmem/ivshmem
	$(Q)ln -sfn $(CURDIR)/coherence $(I)/coherence/coherence
	$(Q)touch $@

define compile # folder in the tree, its include variable
$(BUILD)/host/$(1)/%.o: $(1)/%.c $(I)/.made
	$$(call say,CC,$$<)
	$$(Q)mkdir -p $$(@D) && $$(CC) $$(HOST) $$(INC_$(2)) -c $$< -o $$@
$(BUILD)/bare/$(1)/%.o: $(1)/%.c $(I)/.made
	$$(call say,CC-BARE,$$<)
	$$(Q)mkdir -p $$(@D) && $$(CC) $$(BARE) $$(INC_$(2)) -c $$< -o $$@
$(BUILD)/bare/$(1)/%.o: $(1)/%.S $(I)/.made
	$$(call say,AS-BARE,$$<)
	$$(Q)mkdir -p $$(@D) && $$(CC) $$(BARE) $$(INC_$(2)) -c $$< -o $$@
endef
$(foreach f,ivshmem coherence guestlib hv bench tests,$(eval $(call compile,$(f),$(f))))
$(eval $(call compile,ivshmem/cmd,cmd))

# The ACPI byte code of Linux VMs, as a list of numbers.
$(BUILD)/host/hv/acpi.o: $(BUILD)/generated/dsdt.inc
$(BUILD)/generated/dsdt.inc: hv/dsdt.asl
	$(call say,IASL,$<)
	$(Q)mkdir -p $(@D) && iasl -p $(@D)/dsdt $< >$(@D)/dsdt.log || { cat $(@D)/dsdt.log >&2; exit 1; }
	$(Q)od -An -v -tu1 -w16 $(@D)/dsdt.aml | sed 's/[0-9][0-9]*/&,/g' >$@

# The BPF programs, as lists of numbers.
$(BUILD)/host/ivshmem/run_state.o: $(BUILD)/generated/run_state.inc
$(BUILD)/host/ivshmem/bell_count.o: $(BUILD)/generated/bell_count.inc
$(BUILD)/host/ivshmem/run_state.o $(BUILD)/host/ivshmem/bell_count.o: INC_ivshmem += -I$(BUILD)/generated
$(BUILD)/generated/run_state.inc: ivshmem/run_state_maps.h ivshmem/abi.h
$(BUILD)/generated/%.inc: ivshmem/%.bpf.c
	$(call say,BPF,$<)
	$(Q)mkdir -p $(@D) && $(BPF_CC) -target bpf -std=gnu11 -O2 -g -Wall -Wextra -Wno-unused-parameter -Werror \
		-ffreestanding -D__TARGET_ARCH_x86 -idirafter /usr/include/$(shell $(CC) -print-multiarch) \
		-c $< -o $(@D)/$*.bpf.o
	$(Q)od -An -v -tu1 -w16 $(@D)/$*.bpf.o | sed 's/[0-9][0-9]*/&,/g' >$@

archive = $(Q)rm -f $@ && $(AR) rcs $@ $^
$(BUILD)/libivshmem.a: $(OBJ_ivshmem)
	$(call say,AR,$@)
	$(archive)
$(BUILD)/libvm.a: $(filter-out %/main.o,$(OBJ_vm)) $(OBJ_ivshmem_vm) $(OBJ_coherence) $(OBJ_pager)
	$(call say,AR,$@)
	$(archive)
$(BUILD)/libisthmus.a: $(OBJ_host)
	$(call say,AR,$@)
	$(archive)
$(BUILD)/libisthmus-bare.a: $(OBJ_bare)
	$(call say,AR,$@)
	$(archive)

$(BUILD)/libisthmus.so: $(OBJ_host) guestlib/libisthmus.map
	$(call say,LD,$@)
	$(Q)$(CC) -shared $(SANFLAGS) -Wl,-soname,libisthmus.so.0 \
		$(if $(SAN),,-Wl,--no-undefined) \
		-Wl,--version-script=guestlib/libisthmus.map -o $@ $(OBJ_host) $(LIBS_guest)
	$(Q)ln -sfn libisthmus.so $(BUILD)/libisthmus.so.0

# Made anew each time: PREFIX may be another.
.PHONY: $(BUILD)/isthmus.pc
$(BUILD)/isthmus.pc: guestlib/isthmus.pc.in
	$(Q)mkdir -p $(@D) && sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@VERSION@|$(VERSION)|g' $< > $@

$(BUILD)/isthmus-vm: $(BUILD)/host/hv/main.o $(BUILD)/libvm.a
	$(call say,LD,$@)
	$(Q)$(CC) $(SANFLAGS) -o $@ $^ $(LIBS_vm)
$(BUILD)/isthmus: $(OBJ_cmd) $(BUILD)/libivshmem.a
	$(call say,LD,$@)
	$(Q)$(CC) $(SANFLAGS) -o $@ $^ $(LIBS_isthmus)

# An application: a process, the same linked statically for guests that have no libraries
# ($(BUILD)/static/...), and an image, linked by the script that is installed for users.
APP_LDSCRIPT := guestlib/platform/bare/app.ld
define application # source folder, name, parts
$(BUILD)/$(1)$(2): $(BUILD)/host/$(1)app_$(2).o $(call objects,host,$(3)) $(BUILD)/libisthmus.a
	$$(call say,LD,$$@)
	$$(Q)mkdir -p $$(@D) && $$(CC) $$(SANFLAGS) -o $$@ $$^ $$(LIBS_guest)
$(BUILD)/static/$(1)$(2): $(BUILD)/host/$(1)app_$(2).o $(call objects,host,$(3)) $(BUILD)/libisthmus.a
	$$(call say,LD,$$@)
	$$(Q)mkdir -p $$(@D) && $$(CC) -static -o $$@ $$^ $$(LIBS_guest)
$(BUILD)/$(1)$(2).app: $(BUILD)/bare/$(1)app_$(2).o $(call objects,bare,$(3)) $(BUILD)/libisthmus-bare.a $(APP_LDSCRIPT)
	$$(call say,LD-APP,$$@)
	$$(Q)mkdir -p $$(@D) && $$(CC) -nostdlib -static -Wl,-T,$(APP_LDSCRIPT) \
		-Wl,--build-id=none -o $$@ $$(filter %.o,$$^) -Wl,--start-group \
		$(BUILD)/libisthmus-bare.a -Wl,--end-group
endef
$(foreach s,$(SRC_apps),$(eval $(call application,$(dir $(s)),$(call app_name,$(s)),$(call app_parts,$(s)))))

$(BENCHES): $(BUILD)/bench/%: $(BUILD)/host/bench/%.o $(BUILD)/libisthmus.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(SANFLAGS) -o $@ $^ $(LIBS_guest) $(LIBS_bench_$*)

# A trace build: what carries out the coherence protocol, with a hook at every step (coherence/trace.h),
# for the tests that say what it is.
$(BUILD)/traced/%.o: %.c $(I)/.made
	$(call say,CC-TRACE,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(HOST) $(INC_coherence) -DCOH_TRACING -c $< -o $@
$(BUILD)/traced/guestlib/%.o: guestlib/%.c $(I)/.made
	$(call say,CC-TRACE,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(HOST) $(INC_guestlib) -DCOH_TRACING -c $< -o $@
OBJ_traced_core := $(patsubst %.c,$(BUILD)/traced/%.o,$(SRC_core))
$(BUILD)/tests/model/cell_run: $(OBJ_traced_core) $(OBJ_memplat)
OBJ_traced_pager := $(SRC_pager:%.c=$(BUILD)/traced/%.o)
$(BUILD)/tests/fault/fault_pager_kill: $(OBJ_traced_pager)
$(BUILD)/tests/model/page_run: $(OBJ_traced_pager)

# Calls of the system, or of the platform, that a test replaces.
WRAP_fault_host := calloc socket setsockopt connect send recvmsg fcntl fstat eventfd mmap ppoll syscall \
	ioctl madvise pthread_create
WRAP_fault_reload := calloc
WRAP_fault_restart := ivshm_state_set_peer ivshm_roster_admit ivshm_roster_set_state ivshm_wire_send \
	ivshm_bell_ring ivshm_eventfd_id close
WRAP_test_cell_batch := ist_time_ns
WRAP_test_cell_memory := ist_platform_alloc ist_platform_free
WRAP_test_cell_turn := ist_time_ns
WRAP_test_spin := ist_time_ns ist_platform_wait
WRAP_test_linux_device := ioctl mmap
WRAP_test_linux_ioctl := ioctl mmap
WRAP_fault_pager := ioctl mmap calloc madvise mprotect fallocate pthread_create
$(TESTS_unit) $(TESTS_fault) $(BUILD)/tests/model/page_run: $(BUILD)/tests/%: $(BUILD)/host/tests/%.o $(BUILD)/libvm.a \
		$(BUILD)/libivshmem.a $(BUILD)/libisthmus.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(SANFLAGS) $(WRAP_$(notdir $*):%=-Wl,--wrap=%) -o $@ $(filter %.o,$^) -Wl,--start-group $(BUILD)/libvm.a \
		$(BUILD)/libivshmem.a $(BUILD)/libisthmus.a -Wl,--end-group $(LIBS_check) \
		$(LIBS_isthmus) $(LIBS_guest)
LIBS_test_near := -lnuma
$(TESTS_core): $(BUILD)/tests/%: $(BUILD)/host/tests/%.o $(OBJ_core) $(OBJ_memplat)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(SANFLAGS) $(WRAP_$(notdir $*):%=-Wl,--wrap=%) -o $@ $^ $(LIBS_check) \
		$(LIBS_$(notdir $*)) -pthread

$(filter-out %/page_run,$(TESTS_model)): $(BUILD)/tests/%: $(BUILD)/host/tests/%.o $(OBJ_coherence)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(SANFLAGS) -o $@ $^ -pthread

# What runs in the test bed's Linux guests beside static applications: tests/linux/guest_*.c.
SRC_guest := $(wildcard tests/linux/guest_*.c)
GUESTS := $(patsubst tests/%.c,$(BUILD)/%,$(SRC_guest))
$(BUILD)/linux/guest_driver: $(call objects,host,$(wildcard tests/linux/driver_*.c))
$(GUESTS): $(BUILD)/linux/%: $(BUILD)/host/tests/linux/%.o
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) -static -o $@ $^ -pthread

# The fuzzers need clang and its libFuzzer, and everything they reach instrumented: `make fuzzers`.
.PHONY: fuzzers fuzz-programs
fuzzers:
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/fuzz CC=clang \
		SAN=fuzzer-no-link,address,undefined CFLAGS="$(CFLAGS_lines)" fuzz-programs
fuzz-programs: $(FUZZERS)
$(FUZZERS): $(BUILD)/tests/%: $(BUILD)/host/tests/%.o $(BUILD)/libmemplat.a $(BUILD)/libvm.a \
		$(BUILD)/libivshmem.a $(BUILD)/libisthmus.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(subst fuzzer-no-link,fuzzer,$(SANFLAGS)) -o $@ $< \
		$(BUILD)/libmemplat.a -Wl,--start-group $(BUILD)/libvm.a $(BUILD)/libivshmem.a \
		$(BUILD)/libisthmus.a -Wl,--end-group $(LIBS_isthmus) $(LIBS_guest)
# Before the host's platform in link order: a fuzzer of the core gets this one.
$(BUILD)/libmemplat.a: $(OBJ_memplat)
	$(call say,AR,$@)
	$(archive)

# ---- What people call ---------------------------------------------------------------------------

.PHONY: help setup demo check check-run soak bench install asan tsan ubsan analyze headers-check fuzz loc clean
help:
	@sed -n 's/^#: //p' $(MAKEFILE_LIST)

#: make demo           two app VMs play ping-pong (processes, where there is no /dev/kvm)
demo: setup
	$(Q)$(MAKE) --no-print-directory -j2 all
	$(Q)BUILD=$(BUILD) bench/demo.sh

#: make check          every test that can run here; the last line counts them
check: setup
	$(Q)$(MAKE) --no-print-directory -j2 tests-build
	$(Q)$(if $(wildcard $(KDIR)),$(MAKE) --no-print-directory -j2 linux-build,echo "make: no kernel headers: the test bed for Linux guests is skipped")
	$(Q)$(MAKE) --no-print-directory check-run
check-run:
	$(Q)BUILD=$(BUILD) ONLY="$(ONLY)" tests/run.sh

#: make soak           the tests in their long forms (tests/soak.sh): hours; ONLY=GLOB some, KINDS="vm fault" these
soak: setup
	$(Q)$(MAKE) --no-print-directory -j2 tests-build
	$(Q)$(if $(wildcard $(KDIR)),$(MAKE) --no-print-directory -j2 linux-build,echo "make: no kernel headers: the test bed for Linux guests is skipped")
	$(Q)BUILD=$(BUILD) ONLY="$(ONLY)" tests/soak.sh

#: make bench          all benchmarks into $(BUILD)/bench/results.json; ONLY=pingpong runs one
bench: setup
	$(Q)$(MAKE) --no-print-directory -j2 all
	$(Q)BUILD=$(BUILD) bench/run.py $(ONLY)

#: make linux-test     the scenarios of tests/linux alone; ONLY=GLOB some, KEEP=1 then takes commands
#: make demo-linux     two Debian guests load the module and play ping-pong
.PHONY: linux-build linux-test demo-linux
linux-build: all $(GUESTS) modules static $(addprefix $(BUILD)/tests/unit/,test_bell_count test_broker_bells)
linux-test: setup
	$(Q)$(MAKE) --no-print-directory -j2 linux-build
	$(Q)BUILD=$(BUILD) tests/linux/run.py --only "$(ONLY)" $(if $(KEEP),--keep)
demo-linux: setup
	$(Q)$(MAKE) --no-print-directory -j2 linux-build
	$(Q)BUILD=$(BUILD) tests/linux/run.py --job demo

setup:
	$(Q).ci/setup

# Reports have lines, and need no more of -g.
CFLAGS_lines = $(patsubst -g,-g1,$(CFLAGS))
#: make asan|tsan       the unit and process tests, built with ASan and UBSan, or with TSan
asan:
	$(Q)$(MAKE) --no-print-directory -j2 BUILD=$(BUILD)/asan SAN=address,undefined CFLAGS="$(CFLAGS_lines)" tests-sanitized
	$(Q)BUILD=$(BUILD)/asan KINDS="fault core unit" SANITIZER=asan+ubsan tests/run.sh
tsan:
	$(Q)$(MAKE) --no-print-directory -j2 BUILD=$(BUILD)/tsan SAN=thread CFLAGS="$(CFLAGS_lines)" tests-sanitized
	$(Q)BUILD=$(BUILD)/tsan KINDS="core unit" SANITIZER=tsan tests/run.sh

#: make analyze        clang-tidy, cppcheck and gcc's analyzer over the tree
analyze:
	$(Q)BUILD=$(BUILD) tests/analyze.sh

#: make headers-check  every public header alone: C99, freestanding C, C++17; abi.h in a kernel module
headers-check: $(I)/.made
	$(Q)BUILD=$(BUILD) tests/headers.sh

#: make fuzz           extend the saved corpora of the fuzzers (SECONDS_EACH=60)
fuzz:
	$(Q)BUILD=$(BUILD) tests/fuzz.sh

# The guest's kernel modules are built where their sources are linked to, so that the tree stays clean.
KDIR ?= $(shell ls -d /lib/modules/*/build 2>/dev/null | sort -V | tail -n 1)
SRC_driver := $(wildcard drivers/linux/*.[ch]) drivers/linux/Kbuild
#: make modules        the guest's kernel modules, in $(BUILD)/drivers (KDIR=kernel headers, W=1 C=2)
.PHONY: modules
modules:
	$(Q)[ -n "$(KDIR)" ] || { echo "modules: no kernel's headers are here (Debian: linux-headers-amd64)" >&2; exit 1; }
	$(call say,KBUILD,$(KDIR))
	$(Q)mkdir -p $(BUILD)/drivers/isthmus
	$(Q)ln -sfn $(CURDIR)/ivshmem/abi.h $(BUILD)/drivers/isthmus/abi.h
	$(Q)ln -sfn $(addprefix $(CURDIR)/,$(SRC_driver)) $(BUILD)/drivers/
	$(Q)MAKEFLAGS= $(MAKE) $(if $(filter 1,$(V)),V=1,-s) --no-print-directory -j2 -C $(KDIR) \
		M=$(abspath $(BUILD))/drivers CONFIG_DEBUG_INFO_BTF_MODULES= $(if $(W),W=$(W)) $(if $(C),C=$(C)) modules

#: make install        programs, libraries, headers, man pages, module sources (PREFIX, DESTDIR)
install: all install-driver
	$(Q)install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin libexec/isthmus lib/pkgconfig lib/isthmus \
		include/isthmus share/isthmus share/man/man1 share/man/man3 share/man/man4 share/man/man5 share/doc/isthmus)
	$(Q)install -m 755 $(BUILD)/isthmus $(DESTDIR)$(PREFIX)/bin/
	$(Q)install -m 755 guestlib/isthmus-cc $(DESTDIR)$(PREFIX)/bin/
	$(Q)install -m 755 $(BUILD)/isthmus-vm $(DESTDIR)$(PREFIX)/libexec/isthmus/
	$(Q)install -m 644 $(BUILD)/libisthmus.a $(BUILD)/libisthmus-bare.a $(DESTDIR)$(PREFIX)/lib/
	$(Q)install -m 755 $(BUILD)/libisthmus.so $(DESTDIR)$(PREFIX)/lib/libisthmus.so.$(VERSION)
	$(Q)ln -sfn libisthmus.so.$(VERSION) $(DESTDIR)$(PREFIX)/lib/libisthmus.so.0
	$(Q)ln -sfn libisthmus.so.0 $(DESTDIR)$(PREFIX)/lib/libisthmus.so
	$(Q)install -m 644 $(BUILD)/isthmus.pc $(DESTDIR)$(PREFIX)/lib/pkgconfig/
	$(Q)install -m 644 guestlib/include/isthmus/*.h ivshmem/abi.h $(DESTDIR)$(PREFIX)/include/isthmus/
	$(Q)install -m 644 $(APP_LDSCRIPT) guestlib/isthmus-app.mk $(DESTDIR)$(PREFIX)/share/isthmus/
	$(Q)for s in 1 3 4 5; do for f in docs/man/*.$$s; do [ ! -e $$f ] || \
		install -m 644 $$f $(DESTDIR)$(PREFIX)/share/man/man$$s/; done; done
	$(Q)cd docs/man && for f in *.3; do for n in $$(sed -n 's/^\.Nm \(ist_[a-z_]*\).*/\1.3/p' $$f); do \
		[ $$n = $$f ] || ln -sf $$f $(DESTDIR)$(PREFIX)/share/man/man3/$$n; done; done
	$(Q)[ -n "$(DESTDIR)" ] || ! command -v ldconfig >/dev/null || ldconfig 2>/dev/null || :

# The modules' sources, where DKMS looks for them (dkms add isthmus/VERSION; with PREFIX=/usr).
.PHONY: install-driver
install-driver:
	$(Q)install -d $(addprefix $(DESTDIR)$(PREFIX)/,src/isthmus-$(VERSION)/isthmus lib/udev/rules.d)
	$(Q)install -m 644 $(SRC_driver) $(DESTDIR)$(PREFIX)/src/isthmus-$(VERSION)/
	$(Q)install -m 644 ivshmem/abi.h $(DESTDIR)$(PREFIX)/src/isthmus-$(VERSION)/isthmus/
	$(Q)sed 's|@VERSION@|$(VERSION)|g' drivers/linux/dkms.conf.in > $(DESTDIR)$(PREFIX)/src/isthmus-$(VERSION)/dkms.conf
	$(Q)install -m 644 drivers/linux/60-isthmus.rules $(DESTDIR)$(PREFIX)/lib/udev/rules.d/

#: make loc            lines by folder: of code (neither blank nor comment), and all
loc:
	@printf '%-10s %6s %6s\n' folder code all; for d in ivshmem coherence guestlib hv drivers bench tests; do \
		git ls-files -co --exclude-standard $$d | grep -E '\.(c|h|S)$$' | xargs -r cat | awk -v d=$$d '\
		{ all++; line = $$0; \
		  while (in_comment || match(line, /\/\*/)) { \
			if (!in_comment) { before = before substr(line, 1, RSTART - 1); line = substr(line, RSTART + 2) } \
			in_comment = !match(line, /\*\//); \
			if (in_comment) { line = ""; break } \
			line = substr(line, RSTART + 2) } \
		  line = before line; before = ""; sub(/\/\/.*/, "", line); if (line ~ /[^ \t]/) code++ } \
		END { printf "%-10s %6d %6d\n", d, code, all }'; done

#: make clean          remove $(BUILD)
clean:
	$(Q)rm -rf $(BUILD)

-include $(shell find $(BUILD)/host $(BUILD)/bare $(BUILD)/traced -name '*.d' 2>/dev/null)
