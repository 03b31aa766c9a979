# Shared by the developers' tools: Debian's archive as this machine's own package sources name it, what
# is taken from it, and where that is kept.  To be sourced after tools/lib.sh.

# Print the directory $1 of the cache, made if it is missing: below VOXANNE_OPS_CACHE, by default
# /var/cache/voxanne_ops for root and ~/.cache/voxanne_ops for anybody else.
cache_dir() {
    local base=/var/cache/voxanne_ops
    if [ "$(id -u)" != 0 ]; then base=${XDG_CACHE_HOME:-$HOME/.cache}/voxanne_ops; fi
    base=${VOXANNE_OPS_CACHE:-$base}/$1
    mkdir -p "$base"
    printf '%s\n' "$base"
}

# Install the programs given if they are missing: PROGRAM from the package of its name, or PROGRAM:PACKAGE.
need_tools() {
    local tool missing=
    for tool; do
        command -v "${tool%:*}" >/dev/null || missing="$missing ${tool#*:}"
    done
    [ -n "$missing" ] || return 0
    [ "$(id -u)" = 0 ] || die "These programs are missing; run as root: apt-get install -y$missing"
    say "installing$missing"
    apt-get update -qq
    apt_install $missing
}

# The address of the archive with label $1, Debian or Debian-Security; nothing if there is none.
archive_of() {
    apt-get indextargets --format '$(LABEL) $(REPO_URI)' | sed -n "s/^$1 //p" | head -n 1
}

# Which archives there are is known only after an update.
need_archive() {
    if [ -z "$(archive_of Debian)" ] && [ "$(id -u)" = 0 ]; then apt-get update -qq; fi
    [ -n "$(archive_of Debian)" ] || die "no Debian archive among this machine's package sources"
}

# Download source package $1 of suite $2 into directory $3, with package lists of its own: the machine's
# stay as they are.  A mirror may list a security update and not hold its source: the suite's own will do.
download_source() {
    local package=$1 suite=$2 get=$3 state security archive
    state=$(mktemp -d /tmp/voxanne_ops-source.XXXXXX)
    chmod 0755 "$state"
    mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$get"
    archive="deb-src $(archive_of Debian) $suite main"
    security=$(archive_of Debian-Security)
    case $suite in
        bookworm | trixie) [ -z "$security" ] || security="deb-src $security $suite-security main" ;;
        *) security= ;;
    esac
    (
        cd "$get"
        set -- -qq -o APT::Sandbox::User="$(id -un)" -o Dir::Etc::SourceList="$state/sources.list" \
            -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists="$state/lists" -o Dir::Cache="$state/cache"
        for more in ${security:+"$security"} ""; do
            printf '%s\n' "$archive" "$more" >"$state/sources.list"
            if apt-get "$@" update && apt-get "$@" source --download-only "$package"; then exit 0; fi
            rm -f "$package"_*
        done
        exit 1
    ) || { rm -rf "$state"; die "no source of $package in Debian $suite; is its index reachable?"; }
    rm -rf "$state"
}

# Unpack upstream's part of source package $1 of suite $2 into directory $3.
debian_source() {
    local get
    get=$(mktemp -d /tmp/voxanne_ops-source.XXXXXX)
    chmod 0755 "$get"
    download_source "$1" "$2" "$get"
    mkdir -p "$3"
    tar -x -C "$3" --strip-components=1 -f "$get/$1"_*.orig.tar.*[2z]
    rm -rf "$get"
}
