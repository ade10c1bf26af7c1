# shellcheck shell=sh disable=SC2034,SC2154
# SPDX-License-Identifier: MIT OR Apache-2.0
# Overlays.

# Mounts an overlay. $1: disk; $2: layers; $3: directory of the mount of the upper filesystem; $4:
# options.
mount_overlay() {
    case $2 in other) layers=-other ;; *) layers='' ;; esac
    case $2 in first) target=$top/merged/$1 ;; *) target=$top/merged/$1-$2 ;; esac
    from=$top/$3/$1
    case $2 in
    lower) data=lowerdir=$from/upper:$top/lower${4:+,$4} ;;
    *) data=upperdir=$from/upper$layers,workdir=$from/work$layers${4:+,$4} ;;
    esac
    # The kernel checks layers against each other as soon as they are given, even if a later option
    # replaces them.
    case $data in *lowerdir=*) ;; *) data=lowerdir=$top/lower,$data ;; esac
    [ -d "$target" ] || must mkdir -p "$target"
    try mount -t overlay -o "$data" overlay "$target"
    find_mount_outcome "$target" "${4:-}"
}

# Sets the outcome of a mount of an overlay at $1 with the options $2.
find_mount_outcome() {
    case $outcome in
    failed*) outcome="refused ${outcome#failed }" ;;
    *)
        find_mount_mode "$1"
        # The kernel drops options that the upper filesystem does not support, and mounts the
        # overlay without them.
        case $2 in *=on*) find_dropped_options "$2" ;; esac
        ;;
    esac
}

find_dropped_options() {
    for option in $(echo "$1" | tr , ' '); do
        case $option in *=on) case $options in *,"$option",*) ;; *) outcome="cannot tell: the kernel dropped $option" ;; esac ;; esac
    done
}

unmount_overlay() {
    case $2 in first) try umount "$top/merged/$1" ;; *) try umount "$top/merged/$1-$2" ;; esac
}

unmount_overlay_lazily() {
    try umount -l "$top/merged/$1"
}

remount_overlay() {
    try mount -t overlay -o "remount,$2" overlay "$top/merged/$1"
    find_mount_outcome "$top/merged/$1" ''
}

# Mounts the overlay volatile and unmounts it again, $2 times.
mount_repeatedly() {
    times=0
    while [ "$times" -lt "$2" ]; do
        times=$((times + 1))
        mount_overlay "$1" first mnt volatile
        [ "$outcome" = 'mounted volatile' ] || { outcome="differs: cycle $times: $outcome"; return; }
        must umount "$target"
    done
    outcome='done'
}

# Mounts the overlay volatile $2 times at once. Two mounts overlap if one begins before the other
# has ended.
race_mounts() {
    data=lowerdir=$top/lower,upperdir=$top/mnt/$1/upper,workdir=$top/mnt/$1/work,volatile
    racers='' racer=0
    while [ "$racer" -lt "$2" ]; do
        must mkdir -p "$top/race/$racer"
        racer=$((racer + 1))
    done
    while [ "$racer" -gt 0 ]; do
        racer=$((racer - 1))
        {
            echo begins >>"$top/race/events"
            message=$(mount -t overlay -o "$data" overlay "$top/race/$racer" 2>&1) || echo "$message" >"$top/race/$racer.why"
            echo ends >>"$top/race/events"
        } &
        racers="$racers $!"
    done
    for process in $racers; do
        wait "$process"
    done
    count_racers "$2"
    awk 'last == "begins" && $1 == "begins" { overlap = 1 } { last = $1 } END { exit !overlap }' "$top/race/events" ||
        outcome='cannot tell: no two mounts overlapped'
    must rm -r "$top/race"
}

count_racers() {
    mounted=0 refused=0 errnos=''
    while [ "$racer" -lt "$1" ]; do
        if [ -e "$top/race/$racer.why" ]; then
            find_errno "$(cat "$top/race/$racer.why")"
            refused=$((refused + 1))
            case " $errnos " in *" $errno "*) ;; *) errnos="${errnos:+$errnos }$errno" ;; esac
        else
            mounted=$((mounted + 1))
            find_mount_mode "$top/race/$racer"
            [ "$outcome" = 'mounted volatile' ] || mounted=many
            must umount "$top/race/$racer"
        fi
        racer=$((racer + 1))
    done
    outcome="$mounted mounted, $refused refused${errnos:+ $errnos}"
}

# Mounts the overlay as user 1000 in a user namespace, and unmounts it again.
mount_overlay_as_user() {
    must chown 1000:1000 "$top/mnt/$1/upper" "$top/mnt/$1/work"
    must mkdir -p "$top/merged/$1-user"
    data=lowerdir=$top/lower,upperdir=$top/mnt/$1/upper,workdir=$top/mnt/$1/work${2:+,$2}
    # shellcheck disable=SC2016
    try "$setpriv" --reuid 1000 --regid 1000 --clear-groups unshare --user --map-root-user --mount \
        sh -c 'mount -t overlay -o "$1" overlay "$2" && grep " $2 " /proc/self/mountinfo >&3 && umount "$2"' \
        sh "$data" "$top/merged/$1-user" 3>"$top/user"
    case $outcome in
    failed*) outcome="refused ${outcome#failed }" ;;
    *) case $(cat "$top/user") in *[,=]volatile*) outcome='mounted volatile' ;; *) outcome='mounted durable' ;; esac ;;
    esac
}

# Needs overlayfs as a module that is not in use.
reload_overlay() {
    must modprobe -r overlay
    ! grep -qw overlay /proc/filesystems || cannot_tell 'overlayfs is built in, or was loaded again immediately'
    must modprobe overlay
}

make_lower_layers() {
    lower=0
    while [ "$lower" -lt "$1" ]; do
        lower=$((lower + 1))
        must mkdir -p "$top/lowers/$lower"
        : >"$top/lowers/$lower/of-$lower"
    done
}
