# shellcheck shell=sh disable=SC2034,SC2154
# SPDX-License-Identifier: MIT OR Apache-2.0
# What steps must lead to.

expect_done() {
    check 'done' "$got"
}

expect_whatever() {
    check_that yes whatever
}

expect_differs() {
    check differs "${got%%:*}"
}

# Volatile or durable.
expect_mounted() {
    check "mounted $1" "$got"
}

# An errno and the reason that the kernel states for it.
expect_refused() {
    look_for_reasons
    check "refused $1, $2" "$got, $stated"
}

expect_failed() {
    check "failed $1" "$got"
}

expect_failed_to_write_back() {
    case $got in 'failed EIO' | 'failed ENOSPC') held=yes ;; esac
    check_that "$held" 'failed EIO or ENOSPC'
}

# Whoever was told of them.
expect_io_errors() {
    read_log
    case "$got $log" in 'failed EIO'* | 'done '*'I/O error'*) held=yes ;; esac
    check_that "$held" 'I/O errors'
}

# As the one who is asked finds it.
expect_mounted_or_error() {
    look_for_reasons
    case "$got, $stated" in
    'mounted volatile, '* | 'refused EINVAL, writeback-error' | 'refused EIO, unseen-error') held=yes ;;
    esac
    check_that "$held" 'mounted, or refused for a writeback error'
}

# So many others are refused, all for this reason.
expect_one_wins() {
    look_for_reasons
    winners=1 others=0 all=''
    # Of two that have one lock each, each is in the other's way.
    case $got in '0 mounted'*) winners=0 ;; esac
    while [ "$others" -lt $(($1 + 1 - winners)) ]; do
        others=$((others + 1)) all="$all $2"
    done
    all=${all# }
    check "$winners mounted, $others refused EINVAL: $all" "$got: $stated"
}

expect_at_most_one_wins() {
    case $got in '0 mounted'* | '1 mounted'*) held=yes ;; esac
    check_that "$held" 'at most one mounted'
}

expect_no_io() {
    check '0 writes, 0 flushes' "$got"
}

expect_some_io() {
    case $got in '0 writes, 0 flushes') ;; *' writes, '*) held=yes ;; esac
    check_that "$held" 'writes or flushes'
}

# What the kernel logged in this step.
read_log() {
    log=$(dmesg | awk -v mark="$mark" 'found { print } index($0, mark) { found = 1 } END { exit !found }') ||
        cannot_tell 'the mark of this step is not in the kernel log'
}

# All reasons that the kernel states in it, one for each line that states one.
look_for_reasons() {
    read_log
    stated=''
    while read -r line; do
        find_reason "$line"
        [ -z "$reason" ] || { stated="${stated:+$stated }$reason" said="${said:+$said
}$line"; }
    done <<LOG
$log
LOG
    : "${stated:=no reason stated}"
}
