# shellcheck shell=sh disable=SC2034,SC2154
# SPDX-License-Identifier: MIT OR Apache-2.0
# Setup, steps and cleanup of a script.

# Checks user, tools and kernel, and creates the directory of the script. $@: tools as TOOL:PACKAGE.
begin() {
    [ "$(id -u)" = 0 ] || cannot_tell 'this script must be run as root'
    missing=''
    for tool in "$@"; do
        command -v "${tool%:*}" >/dev/null || missing="$missing ${tool%:*} (${tool#*:})"
    done
    [ -z "$missing" ] || cannot_tell "these tools are missing, with their Debian packages:$missing"
    grep -qw overlay /proc/filesystems || modprobe overlay || cannot_tell 'this kernel has no overlayfs'
    uname -sr
    top=$(mktemp -d "${TMPDIR:-/tmp}/vremount.XXXXXX") || cannot_tell 'failed to create a temporary directory'
    # Without symbolic links, as in /proc/self/mountinfo.
    top=$(cd "$top" && pwd -P)
    trap finish EXIT
    trap 'exit 125' HUP INT PIPE TERM
    must mount -t tmpfs -o mode=755 vremount "$top"
    # A mount below a shared mount cannot be moved.
    must mount --make-private "$top"
    must mkdir -p "$top/lower/data" "$top/lower/folder"
    echo 'from the lower layer' >"$top/lower/data/lower-file"
    must ln "$top/lower/data/lower-file" "$top/lower/data/lower-link"
    echo 'from the lower layer too' >"$top/lower/folder/lower-file"
}

# Sets the variable $1 to the path of a tool whose --help mentions $2. This excludes busybox: its
# sync(1) ignores errors.
find_tool() {
    for folder in $(echo "$PATH" | tr : ' '); do
        case $("$folder/$1" --help 2>/dev/null) in *"$2"*) eval "$1=\$folder/\$1" && return ;; esac
    done
    cannot_tell "$1(1) is missing, or its --help does not mention $2"
}

# Removes everything that the script created, in reverse order.
finish() {
    trap '' HUP INT PIPE TERM
    {
        [ -z "$later" ] || kill "$later"
        wait
        exec 9<&-
        [ -z "$frozen" ] || fsfreeze --unfreeze "$frozen"
        [ -z "$interval" ] || echo "$interval" >/proc/sys/vm/dirty_writeback_centisecs
        unmount_all keep-images
        for device in $devices; do
            dmsetup remove --retry "$device"
        done
        for loop in $loops; do
            losetup -d "$loop"
        done
        unmount_all ''
        rmdir "$top"
    } >/dev/null 2>&1
    [ ! -e "$top" ] || echo "note: failed to remove $top; unmount what is mounted below it, then remove it" >&2
}

# Unmounts all mounts of the script, the last one first. With an argument, the mounts that contain
# images stay. A busy mount is detached, and goes away with its last user.
unmount_all() {
    [ -n "$top" ] || return 0
    awk -v top="$top" -v keep="$1" '
        index($5 "/", top "/") == 1 && (keep == "" || $5 != top && index($5, top "/images/") != 1) { paths[++count] = $5 }
        END { while (count) print paths[count--] }' /proc/self/mountinfo | while read -r path; do
        umount "$path" || umount -l "$path"
    done
}

# Begins a step that prepares the claim. With another outcome the script cannot tell.
precondition() {
    begin_step 125 "$1"
}

# Begins a step that the claim is about. With another outcome the claim is broken.
assertion() {
    begin_step 1 "$1"
}

# $1: the exit code if the step has another outcome. The kernel log after the mark belongs to the
# step.
begin_step() {
    number=$((number + 1)) failure_code=$1 outcome='done' output='' matches=''
    echo "$number. $2"
    mark="vremount-$$: step $number"
    echo "$mark" >/dev/kmsg || cannot_tell 'failed to write to /dev/kmsg'
}

# Compares the expected outcome with the observed one, and ends the script if they differ.
check() {
    echo "   expected: $1"
    echo "   observed: $2"
    [ -z "$output" ] || echo "$output" | sed 's/^/   | /'
    [ "$1" != "$2" ] || return 0
    case $outcome in cannot\ tell*) failure_code=125 ;; esac
    [ "$failure_code" != 1 ] || { echo "broken: step $number has another outcome than expected"; exit 1; }
    cannot_tell "step $number, which prepares the claim, has another outcome than expected"
}

# Like check, but a condition decides, and $2 only describes it.
check_that() {
    if [ "$1" = yes ]; then check "$2" "$2"; else check "$2" "$outcome"; fi
}

cannot_tell() {
    echo "cannot tell: $1"
    exit 125
}

# Runs a command. Its outcome is done, or failed with the errno of its message.
try() {
    if output=$("$@" 2>&1); then
        outcome='done' output=''
    else
        find_errno "$output"
        outcome="failed $errno"
    fi
}

# Runs a command that must succeed for the script to continue.
must() {
    output=$("$@" 2>&1) || cannot_tell "failed to run: $*: $output"
    output=''
}

# Sets errno to the name of the errno in a message. mount(8) has its own messages for some.
find_errno() {
    case $1 in
    *'Input/output error'* | *"can't read superblock"*) errno=EIO ;;
    *'Invalid argument'* | *'wrong fs type, bad option'* | *': not mounted'*) errno=EINVAL ;;
    *'No such file or directory'*) errno=ENOENT ;;
    *'No such attribute'* | *'No data available'*) errno=ENODATA ;;
    *'No space left on device'*) errno=ENOSPC ;;
    *'Read-only file system'*) errno=EROFS ;;
    *'Device or resource busy'* | *' already mounted '*) errno=EBUSY ;;
    *'Structure needs cleaning'*) errno=EUCLEAN ;;
    *'Cannot allocate memory'*) errno=ENOMEM ;;
    *'Operation not permitted'* | *'permission denied'*) errno=EPERM ;;
    *'Operation not supported'*) errno=EOPNOTSUPP ;;
    *'Stale file handle'*) errno=ESTALE ;;
    *) cannot_tell "unknown error message: $1" ;;
    esac
}

# Sets the outcome from the options of the mount at $1. Since Linux 6.12.80 the option is
# fsync=volatile.
find_mount_mode() {
    options=,$(awk -v path="$1" '$5 == path { options = $NF } END { print options }' /proc/self/mountinfo),
    case $options in *,volatile,* | *,fsync=volatile,*) outcome='mounted volatile' ;; *) outcome='mounted durable' ;; esac
    case $options in *,ro,*) outcome="$outcome, read-only" ;; esac
}
