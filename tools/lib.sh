# Shared by tools/ and demo/: finding or installing what is needed, the unprivileged user, a private
# copy of the tree, a private installation.  To be sourced by bash after "set -eu".

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "== $*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# The pg_config to build with: PG_CONFIG, else the newest of Debian's server packages that has headers.
find_pg_config() {
    local candidate
    if [ -n "${PG_CONFIG:-}" ]; then
        printf '%s\n' "$PG_CONFIG"
        return
    fi
    for candidate in $(printf '%s\n' /usr/lib/postgresql/*/bin/pg_config | sort -t/ -k5,5nr); do
        if [ -x "$candidate" ] && [ -f "$("$candidate" --pgxs)" ] &&
            [ -x "$("$candidate" --bindir)/postgres" ]; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    return 1
}

# Packages that are missing for building, and with "test" for testing as well: one name a line.
# What counts is the file, not the package: a matrix root holds unpacked headers that dpkg does not know.
missing_packages() {
    local major
    major=$(apt-cache depends postgresql 2>/dev/null | sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p' | head -n 1)
    major=${major:-15}
    command -v gcc >/dev/null || echo gcc
    command -v make >/dev/null || echo make
    [ -f /usr/include/zlib.h ] || echo zlib1g-dev
    find /usr/include -path '*curl/curl.h' 2>/dev/null | grep -q . || echo libcurl4-openssl-dev
    if ! find_pg_config >/dev/null; then
        echo "postgresql-$major"
        echo "postgresql-server-dev-$major"
    fi
    if [ "${1:-}" = test ]; then
        perl -MIPC::Run -e 1 2>/dev/null || echo libipc-run-perl
        command -v openssl >/dev/null || echo openssl
        command -v python3 >/dev/null || echo python3
        if major=$(find_pg_config); then
            major=$("$major" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
            [ -n "${PG_CONFIG:-}" ] || [ -f "/usr/share/postgresql/$major/extension/pg_cron.control" ] ||
                echo "postgresql-$major-cron"
        else
            echo "postgresql-${major:-15}-cron"
        fi
    fi
}

# Install what missing_packages names; without root, say what an administrator must do.
need_packages() {
    local wanted
    if [ "$(id -u)" = 0 ] && [ -z "$(find /var/lib/apt/lists -name '*Packages*' 2>/dev/null | head -n 1)" ]; then
        apt-get update -qq
    fi
    wanted=$(missing_packages "$@")
    [ -n "$wanted" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        die "These Debian packages are missing; run as root: apt-get install -y $(echo $wanted)"
    fi
    say "installing $(echo $wanted)"
    # postgresql-common would otherwise make and start a cluster of its own
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        mkdir -p /etc/postgresql-common/createcluster.d
        echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/voxanne_ops.conf
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -y -qq --no-install-recommends $wanted >/dev/null
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

# Copy the tree, without build products, into $1, owned by the unprivileged user.
copy_tree() {
    mkdir -p "$1"
    if git -C "$ROOT" rev-parse --git-dir >/dev/null 2>&1; then
        (cd "$ROOT" && git ls-files -z --cached --others --exclude-standard |
            while IFS= read -r -d '' file; do [ -e "$file" ] && printf '%s\0' "$file"; done |
            tar -c --null -T - -f -) | tar -x -C "$1" -f -
    else
        tar -c -C "$ROOT" --exclude=.git --exclude='*.o' --exclude='*.so' . | tar -x -C "$1" -f -
    fi
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
