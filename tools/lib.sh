# Shared by tools/ and demo/: finding or installing what is needed, the unprivileged user, a private
# copy of the tree, a private installation.  To be sourced by bash after "set -eu".

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "== $*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# The pg_config to build with: PG_CONFIG, else the newest of Debian's server packages that has headers
# (pgxs.mk alone says nothing: the client's package brings it).
find_pg_config() {
    local candidate
    if [ -n "${PG_CONFIG:-}" ]; then
        printf '%s\n' "$PG_CONFIG"
        return
    fi
    for candidate in $(printf '%s\n' /usr/lib/postgresql/*/bin/pg_config | sort -t/ -k5,5nr); do
        if [ -x "$candidate" ] && [ -f "$("$candidate" --pgxs)" ] &&
            [ -f "$("$candidate" --includedir-server)/postgres.h" ] && [ -x "$("$candidate" --bindir)/postgres" ]; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    return 1
}

# What is needed, a row each: the Debian package, then a command that succeeds where it is not missing.
# What counts is the file, not the package: a matrix root holds unpacked headers that dpkg does not know.
BUILD_NEEDS='
gcc                   command -v gcc
make                  command -v make
libc6-dev             [ -f /usr/include/stdlib.h ]
zlib1g-dev            [ -f /usr/include/zlib.h ]
liblz4-dev            [ -f /usr/include/lz4frame.h ]
libzstd-dev           [ -f /usr/include/zstd.h ]
libssl-dev            [ -f /usr/include/openssl/evp.h ]
libcurl4-openssl-dev  find /usr/include -path "*curl/curl.h" | grep .
'
TEST_NEEDS='
libipc-run-perl       perl -MIPC::Run -e 1
openssl               command -v openssl
python3               command -v python3
procps                command -v ps
pgbackrest            command -v pgbackrest
barman                command -v barman
'

# The packages of the rows given on standard input that are missing, one name a line.
missing_of() {
    local package probe
    while read -r package probe; do
        [ -z "$package" ] || eval "$probe" >/dev/null 2>&1 || printf '%s\n' "$package"
    done
}

# The major version of the server to build for, or, as long as there is none, of Debian's own (of
# Debian 12 where even the lists of packages are missing).
wanted_major() {
    local config major
    if config=$(find_pg_config); then
        "$config" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/'
    else
        major=$(apt-cache depends postgresql 2>/dev/null | sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p' | head -n 1)
        printf '%s\n' "${major:-15}"
    fi
}

# Packages that are missing for building, and with "test" for testing as well: one name a line.
missing_packages() {
    local major
    major=$(wanted_major)
    printf '%s' "$BUILD_NEEDS" | missing_of
    find_pg_config >/dev/null || printf '%s\n' "postgresql-$major" "postgresql-server-dev-$major"
    [ "${1:-}" = test ] || return 0
    printf '%s' "$TEST_NEEDS" | missing_of
    # a server of one's own has no package of pg_cron
    [ -n "${PG_CONFIG:-}" ] || [ -f "/usr/share/postgresql/$major/extension/pg_cron.control" ] ||
        printf '%s\n' "postgresql-$major-cron"
}

# Install the packages given, quietly; waits for another apt.
apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -y -qq --no-install-recommends "$@" >/dev/null
}

# Install what missing_packages names; without root, say what an administrator must do.  With
# VOXANNE_OPS_OFFLINE set nothing is installed: what is there must do.
need_packages() {
    local wanted
    wanted=$(missing_packages "$@")
    [ -n "$wanted" ] || return 0
    if [ -n "${VOXANNE_OPS_OFFLINE:-}" ]; then
        say "not here, going on without: $(echo $wanted)"
        return
    fi
    if [ "$(id -u)" != 0 ]; then
        die "These Debian packages are missing; run as root: apt-get install -y $(echo $wanted)"
    fi
    # which major Debian has is known only with fresh lists
    apt-get update -qq
    wanted=$(missing_packages "$@")
    [ -n "$wanted" ] || return 0
    say "installing $(echo $wanted)"
    # postgresql-common would otherwise make and start a cluster of its own
    mkdir -p /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/voxanne_ops.conf
    apt_install $wanted
    rm -f /etc/postgresql-common/createcluster.d/voxanne_ops.conf
}

# Run a command as the unprivileged user: root's servers run as "postgres", anybody else's as himself.
as_user() {
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid=postgres --regid=postgres --init-groups env HOME="${WORK:-/tmp}" USER=postgres LOGNAME=postgres "$@"
    else
        "$@"
    fi
}

# The tree, without build products, as a tar archive on standard output.
archive_tree() {
    if git -C "$ROOT" rev-parse --git-dir >/dev/null 2>&1; then
        (cd "$ROOT" && git ls-files -z --cached --others --exclude-standard |
            while IFS= read -r -d '' file; do [ -e "$file" ] && printf '%s\0' "$file"; done |
            tar -c --null -T - -f -)
    else
        tar -c -C "$ROOT" --exclude=.git --exclude='*.o' --exclude='*.so' --exclude=./build --exclude=./stage \
            --exclude=./results --exclude=./output_iso --exclude=./tmp_check -f - .
    fi
}

# Copy the tree into $1, owned by the unprivileged user.
copy_tree() {
    mkdir -p "$1"
    archive_tree | tar -x -C "$1" -f -
    if [ "$(id -u)" = 0 ]; then chown -R postgres: "$1"; fi
}

# Install the build in $1 so that a private server finds it, and write to $2 the settings that make it
# do so.  Debian's servers up to 17 have extension_destdir, from 18 on all have
# extension_control_path; any other server is installed into.
install_private() {
    local build=$1 conf=$2 stage=$1/stage known
    known=$("$BINDIR/postgres" --describe-config | cut -f1 | grep -xE 'extension_destdir|extension_control_path' | head -n 1 || true)
    if [ -z "$known" ]; then
        make -s -C "$build" install with_llvm=no PG_CONFIG="$PG_CONFIG" >/dev/null
        as_user tee "$conf" >/dev/null </dev/null
        return
    fi
    as_user make -s -C "$build" install with_llvm=no PG_CONFIG="$PG_CONFIG" DESTDIR="$stage" >/dev/null
    {
        if [ "$known" = extension_destdir ]; then
            echo "extension_destdir = '$stage'"
        else
            echo "extension_control_path = '$stage$("$PG_CONFIG" --sharedir):\$system'"
        fi
        echo "dynamic_library_path = '$stage$("$PG_CONFIG" --pkglibdir):\$libdir'"
        echo "voxanne_ops.agent_path = '$stage$BINDIR/voxanne_agent'"
    } | as_user tee "$conf" >/dev/null
}

# The agent's files that a harness for its readers needs; memory.c it includes itself.
fuzz_sources() {
    find src/agent -name '*.c' ! -name main.c ! -name memory.c | sort
}
