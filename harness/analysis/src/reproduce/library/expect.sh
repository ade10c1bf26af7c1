# shellcheck shell=sh disable=SC2034,SC2154
# SPDX-License-Identifier: MIT OR Apache-2.0
# Compares the outcome of a step with the expected one.

expect_done() {
    check 'done' "$outcome"
}

expect_anything() {
    check_that yes anything
}

expect_differs() {
    check differs "${outcome%%:*}"
}

# $1: volatile or durable, with ", read-only" if the mount is.
expect_mounted() {
    check "mounted $1" "$outcome"
}

# $1: the errno; $2: the reason that the kernel logs, or "no reason stated".
expect_refused() {
    find_reasons
    check "refused $1, $2" "$outcome, $reasons"
}

expect_failed() {
    check "failed $1" "$outcome"
}

expect_failed_to_write_back() {
    case $outcome in 'failed EIO' | 'failed ENOSPC') matches=yes ;; esac
    check_that "$matches" 'failed EIO or ENOSPC'
}

# Either the operation failed, or the kernel logged I/O errors.
expect_io_errors() {
    read_log
    case "$outcome $log" in 'failed EIO'* | 'done '*'I/O error'*) matches=yes ;; esac
    check_that "$matches" 'I/O errors'
}

# Depends on who reports the error first.
expect_mounted_or_error() {
    find_reasons
    case "$outcome, $reasons" in
    'mounted volatile, '* | 'refused EINVAL, writeback-error' | 'refused EIO, unseen-error') matches=yes ;;
    esac
    check_that "$matches" 'mounted, or refused for a writeback error'
}

# $1: the number of mounts that are refused; $2: their reason.
expect_one_wins() {
    find_reasons
    winners=1 others=0 all=''
    # No mount succeeds if each of two holds one of the locks that both need.
    case $outcome in '0 mounted'*) winners=0 ;; esac
    while [ "$others" -lt $(($1 + 1 - winners)) ]; do
        others=$((others + 1)) all="$all $2"
    done
    all=${all# }
    check "$winners mounted, $others refused EINVAL: $all" "$outcome: $reasons"
}

expect_at_most_one_wins() {
    case $outcome in '0 mounted'* | '1 mounted'*) matches=yes ;; esac
    check_that "$matches" 'at most one mounted'
}

expect_no_io() {
    check '0 writes, 0 flushes' "$outcome"
}

expect_some_io() {
    case $outcome in '0 writes, 0 flushes') ;; *' writes, '*) matches=yes ;; esac
    check_that "$matches" 'writes or flushes'
}

# Sets log to what the kernel logged in this step.
read_log() {
    log=$(dmesg | awk -v mark="$mark" 'found { print } index($0, mark) { found = 1 } END { exit !found }') ||
        cannot_tell 'the kernel log does not contain the mark of this step; it may be too small'
}

# Sets reasons to all reasons that the kernel logged in this step.
find_reasons() {
    read_log
    reasons=''
    while read -r line; do
        find_reason "$line"
        [ -z "$reason" ] || { reasons="${reasons:+$reasons }$reason" output="${output:+$output
}$line"; }
    done <<LOG
$log
LOG
    : "${reasons:=no reason stated}"
}
