# voxanne_ops: PGXS builds the server module; the agent, a stand-alone program, has its own objects and link rule.

PG_CONFIG ?= pg_config
EXTENSION = voxanne_ops
MODULE_big = voxanne_ops
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" voxanne_ops.control)

# Rooms in the order in which their SQL is joined; arrows between them point to the left.
ROOMS = core data policy locks child backup alert remedy health
ROOM_SQL := $(wildcard $(foreach room,$(ROOMS),src/$(room)/$(room).sql))
OBJS = voxanne_ops.o $(patsubst %.c,%.o,$(foreach room,$(ROOMS),$(sort $(wildcard src/$(room)/*.c))))

AGENT_SRC := $(sort $(wildcard src/agent/*.c))
AGENT_OBJS = $(AGENT_SRC:.c=.o)
ifneq ($(AGENT_SRC),)
SCRIPTS_built = voxanne_agent
endif

SCRIPT = $(EXTENSION)--$(EXTVERSION).sql
DATA_built = $(SCRIPT)
DATA = $(wildcard $(EXTENSION)--*--*.sql)

REGRESS = $(sort $(basename $(notdir $(wildcard sql/*.sql))))
REGRESS_OPTS = --load-extension=voxanne_ops
ISOLATION = $(sort $(basename $(notdir $(wildcard specs/*.spec))))
ISOLATION_OPTS = --load-extension=voxanne_ops

# in PG_CPPFLAGS, as the bitcode for JIT is not compiled with PG_CFLAGS
PG_CPPFLAGS += -I$(CURDIR)/src -DVOXANNE_VERSION='"$(EXTVERSION)"'

STRICT_FLAGS = -Werror -Wextra -Wno-unused-parameter -Wno-missing-field-initializers -Wshadow=local \
	-Wstrict-prototypes -Wold-style-definition -Wnull-dereference \
	-Wduplicated-cond -Wduplicated-branches -Wlogical-op -Wformat=2 -Wdouble-promotion
ifdef STRICT
# The server's own headers are not ours to mend: as system headers they are read without warnings.
PG_CFLAGS += $(STRICT_FLAGS)
PG_CPPFLAGS += -isystem $(shell $(PG_CONFIG) --includedir-server)
endif
ifdef ASSERTS
PG_CFLAGS += -DUSE_ASSERT_CHECKING
endif
ifdef COVERAGE
PG_CFLAGS += -O0 --coverage
SHLIB_LINK += --coverage
AGENT_CFLAGS += -O0 --coverage -DVOXANNE_AGENT_COVERAGE
AGENT_LDFLAGS += --coverage
endif
ifdef SANITIZE
PG_CFLAGS += -fsanitize=undefined -fno-sanitize-recover=all
SHLIB_LINK += -fsanitize=undefined
AGENT_CFLAGS += -fsanitize=address,undefined -fno-sanitize-recover=all
AGENT_LDFLAGS += -fsanitize=address,undefined
endif

EXTRA_CLEAN = $(AGENT_OBJS) voxanne_agent voxanne_agent_static

# demo, test and their kin install what they need themselves, so they must parse without PGXS at hand.
SELF_CONTAINED = test demo demo-stop matrix agent-static-check help
ifneq ($(filter-out $(SELF_CONTAINED),$(or $(MAKECMDGOALS),all)),)
PGXS := $(shell $(PG_CONFIG) --pgxs)
ifeq ($(and $(PGXS),$(wildcard $(PGXS)),$(wildcard $(shell $(PG_CONFIG) --includedir-server)/postgres.h)),)
$(error $(PG_CONFIG) leads to no headers of a server. Install them (Debian: postgresql-server-dev-15) or set PG_CONFIG)
endif
include $(PGXS)

# Calls between our own files are calls, not look-ups in a table: the scan makes several a row.
ifeq ($(PORTNAME), linux)
SHLIB_LINK += -Wl,-Bsymbolic-functions
endif
endif

# One script from the rooms: the names are checked before anything is created; the one-line GRANTs
# stand beside their functions in the rooms and run after the ACL reset, which would undo them.
$(SCRIPT): $(ROOM_SQL) tools/join-sql voxanne_ops.control Makefile
	tools/join-sql $(ROOM_SQL) > $@.tmp && mv $@.tmp $@

# With STATIC_CURL, a libcurl.a of tools/agent-static, everything but libc is linked in.
ifdef STATIC_CURL
AGENT_LIBS = -Wl,-Bstatic $(STATIC_CURL) -lssl -lcrypto -lz -llz4 -lzstd -Wl,-Bdynamic
endif
AGENT_LIBS ?= -lcurl -lcrypto -lz -llz4 -lzstd
AGENT_HARDENING = -pthread -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE -fno-strict-aliasing
AGENT_WARNINGS = -Wall -Wmissing-prototypes -Wpointer-arith -Wdeclaration-after-statement -Wvla -Wformat-security -Wno-psabi
src/agent/%.o: src/agent/%.c $(wildcard src/agent/*.h)
	$(CC) -std=gnu11 -g -O2 $(AGENT_HARDENING) $(AGENT_WARNINGS) $(if $(STRICT),$(STRICT_FLAGS)) \
		-D_GNU_SOURCE -DVOXANNE_VERSION='"$(EXTVERSION)"' $(AGENT_CFLAGS) -c -o $@ $<
voxanne_agent voxanne_agent_static: $(AGENT_OBJS)
	$(CC) -pthread -pie -Wl,-z,relro,-z,now $(AGENT_LDFLAGS) -o $@ $^ $(AGENT_LIBS)

.PHONY: agent-static
agent-static: $(AGENT_OBJS)
	curl=$$(tools/agent-static --curl) && $(MAKE) voxanne_agent_static STATIC_CURL="$$curl"

# PGXS knows no manual pages; where they belong it does.
install: install-man
uninstall: uninstall-man
.PHONY: install-man uninstall-man
install-man:
	$(MKDIR_P) '$(DESTDIR)$(mandir)/man1'
	$(INSTALL_DATA) docs/voxanne_agent.1 '$(DESTDIR)$(mandir)/man1/'
uninstall-man:
	rm -f '$(DESTDIR)$(mandir)/man1/voxanne_agent.1'

$(filter src/%,$(OBJS)) voxanne_ops.o: $(wildcard src/*/*.h)

.PHONY: test demo demo-stop matrix agent-static-check help indent-check
test:
	tools/test
demo:
	demo/run $(SIZE)
demo-stop:
	demo/stop
matrix:
	tools/matrix 15 17 18
agent-static-check:
	tools/agent-static --check
indent-check:
	tools/indent --check
help:
	@echo 'make            build'
	@echo 'make install    install into the server that PG_CONFIG names'
	@echo 'make demo       private scratch server with sample data and a verified backup (demo-stop removes it)'
	@echo 'make test       all tests in private scratch servers'
	@echo 'make matrix     the same on PostgreSQL 15, 17 and 18 (root)'
	@echo 'make agent-static   voxanne_agent_static, which needs nothing but libc (agent-static-check tests it)'
	@echo 'make installcheck   regression and isolation tests on a running server'
	@echo 'STRICT=1, ASSERTS=1, COVERAGE=1, SANITIZE=1 change how it is compiled'
