# shellcheck shell=sh disable=SC2034,SC2154
# SPDX-License-Identifier: MIT OR Apache-2.0
# Overlays.

# The overlay of a disk: its layers, where its upper filesystem is reached, and options.
overlay() {
    case $2 in other) layers=-other ;; *) layers='' ;; esac
    case $2 in first) at=$top/merged/$1 ;; *) at=$top/merged/$1-$2 ;; esac
    from=$top/$3/$1
    case $2 in
    lower) data=lowerdir=$from/upper:$top/lower${4:+,$4} ;;
    *) data=upperdir=$from/upper$layers,workdir=$from/work$layers${4:+,$4} ;;
    esac
    # Layers must agree as soon as they are named, also those that a further option would replace.
    case $data in *lowerdir=*) ;; *) data=lowerdir=$top/lower,$data ;; esac
    [ -d "$at" ] || must mkdir -p "$at"
    try mount -t overlay -o "$data" overlay "$at"
    find_overlay "$at" "${4:-}"
}

# What became of the mount of an overlay.
find_overlay() {
    case $got in
    failed*) got="refused ${got#failed }" ;;
    *)
        find_mounted "$1"
        # It goes on without what the upper filesystem has no room for.
        case $2 in *=on*) find_dropped "$2" ;; esac
        ;;
    esac
}

find_dropped() {
    for option in $(echo "$1" | tr , ' '); do
        case $option in *=on) case $options in *,"$option",*) ;; *) got="cannot tell: $option was dropped" ;; esac ;; esac
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
    find_overlay "$top/merged/$1" ''
}

# Mounts the overlay volatile and unmounts it again, so many times.
cycle() {
    times=0
    while [ "$times" -lt "$2" ]; do
        times=$((times + 1))
        overlay "$1" first mnt volatile
        [ "$got" = 'mounted volatile' ] || { got="differs: the one of number $times came out as $got"; return; }
        must umount "$at"
    done
    got='done'
}

# Mounts the overlay volatile so many times at once. Who begins before another has ended is in the middle of it with him.
race() {
    data=lowerdir=$top/lower,upperdir=$top/mnt/$1/upper,workdir=$top/mnt/$1/work,volatile
    racers='' racer=0
    while [ "$racer" -lt "$2" ]; do
        must mkdir -p "$top/race/$racer"
        racer=$((racer + 1))
    done
    while [ "$racer" -gt 0 ]; do
        racer=$((racer - 1))
        {
            echo begins >>"$top/race/story"
            message=$(mount -t overlay -o "$data" overlay "$top/race/$racer" 2>&1) || echo "$message" >"$top/race/$racer.why"
            echo ends >>"$top/race/story"
        } &
        racers="$racers $!"
    done
    for process in $racers; do
        wait "$process"
    done
    count_racers "$2"
    awk 'last == "begins" && $1 == "begins" { at_once = 1 } { last = $1 } END { exit !at_once }' "$top/race/story" ||
        got='cannot tell: the mounts came one after the other, and so none had to race'
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
            find_mounted "$top/race/$racer"
            [ "$got" = 'mounted volatile' ] || mounted=many
            must umount "$top/race/$racer"
        fi
        racer=$((racer + 1))
    done
    got="$mounted mounted, $refused refused${errnos:+ $errnos}"
}

# User 1000 mounts the overlay in a user namespace of his own and unmounts it again.
overlay_of_user() {
    must chown 1000:1000 "$top/mnt/$1/upper" "$top/mnt/$1/work"
    must mkdir -p "$top/merged/$1-user"
    data=lowerdir=$top/lower,upperdir=$top/mnt/$1/upper,workdir=$top/mnt/$1/work${2:+,$2}
    # shellcheck disable=SC2016
    try "$setpriv" --reuid 1000 --regid 1000 --clear-groups unshare --user --map-root-user --mount \
        sh -c 'mount -t overlay -o "$1" overlay "$2" && grep " $2 " /proc/self/mountinfo >&3 && umount "$2"' \
        sh "$data" "$top/merged/$1-user" 3>"$top/user"
    case $got in
    failed*) got="refused ${got#failed }" ;;
    *) case $(cat "$top/user") in *[,=]volatile*) got='mounted volatile' ;; *) got='mounted durable' ;; esac ;;
    esac
}

# Where it is a module, and nobody else uses it.
reload_overlay() {
    must modprobe -r overlay
    ! grep -qw overlay /proc/filesystems || cannot_tell 'overlay is built in, or was loaded again at once'
    must modprobe overlay
}

make_lowers() {
    lower=0
    while [ "$lower" -lt "$1" ]; do
        lower=$((lower + 1))
        must mkdir -p "$top/lowers/$lower"
        : >"$top/lowers/$lower/of-$lower"
    done
}
