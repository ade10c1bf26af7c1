// SPDX-License-Identifier: MIT OR Apache-2.0
//! `lib/errseq.c`, name for name, for one thread: a value that changes with every error that somebody may not have seen.
//!
//! Low bits hold the last errno, one bit tells whether anybody has seen it, the others count. The counter moves only if the
//! error before was seen; it has 19 bits, and wraps. `tests/errseq.rs` compares this with the kernel's own.

pub const MAX_ERRNO: u32 = 4095;
/// The low bits are for the errno.
pub const ERRSEQ_SHIFT: u32 = (MAX_ERRNO + 1).ilog2();
/// Somebody has seen this value.
pub const ERRSEQ_SEEN: u32 = 1 << ERRSEQ_SHIFT;
/// The lowest bit of the counter.
pub const ERRSEQ_CTR_INC: u32 = 1 << (ERRSEQ_SHIFT + 1);

/// `errseq_t`; all zeros is "never an error".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ErrSeq(pub u32);

/// Records an error, given as a negative errno. Returns the value before.
pub fn errseq_set(eseq: &mut ErrSeq, err: i32) -> ErrSeq {
    let old = *eseq;
    let errno = err.wrapping_neg().cast_unsigned();
    // Zero would clear an error, and more than fits would be another.
    if errno == 0 || errno > MAX_ERRNO {
        return old;
    }
    let mut new = (old.0 & !(MAX_ERRNO | ERRSEQ_SEEN)) | errno;
    if old.0 & ERRSEQ_SEEN != 0 {
        new = new.wrapping_add(ERRSEQ_CTR_INC);
    }
    *eseq = ErrSeq(new);
    old
}

/// Where to check from later. An error that nobody has seen yet is left for the sampler to see.
#[must_use]
pub fn errseq_sample(eseq: &ErrSeq) -> ErrSeq {
    if eseq.0 & ERRSEQ_SEEN == 0 { ErrSeq(0) } else { *eseq }
}

/// The last error as a negative errno if there was one since the sample, else 0. Nobody has seen it by that.
#[must_use]
pub fn errseq_check(eseq: &ErrSeq, since: ErrSeq) -> i32 {
    if *eseq == since { 0 } else { -(eseq.0 & MAX_ERRNO).cast_signed() }
}

/// The same, seen: the sample moves on, and the error is told by it once.
pub fn errseq_check_and_advance(eseq: &mut ErrSeq, since: &mut ErrSeq) -> i32 {
    if eseq == since {
        return 0;
    }
    eseq.0 |= ERRSEQ_SEEN;
    *since = *eseq;
    -(eseq.0 & MAX_ERRNO).cast_signed()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const EIO: i32 = -libc::EIO;

    #[test]
    fn an_error_is_told_once_to_each_and_to_newcomers_only_if_nobody_saw_it() {
        let mut eseq = ErrSeq::default();
        let (mut early, mut other) = (errseq_sample(&eseq), errseq_sample(&eseq));
        errseq_set(&mut eseq, EIO);
        let mut newcomer = errseq_sample(&eseq);
        assert_eq!(errseq_check_and_advance(&mut eseq, &mut early), EIO);
        assert_eq!(errseq_check_and_advance(&mut eseq, &mut early), 0);
        assert_eq!(errseq_check_and_advance(&mut eseq, &mut newcomer), EIO);
        assert_eq!(errseq_check_and_advance(&mut eseq, &mut other), EIO);
        let late = errseq_sample(&eseq);
        assert_eq!(errseq_check(&eseq, late), 0);
        errseq_set(&mut eseq, EIO);
        assert_eq!(errseq_sample(&eseq), ErrSeq(0), "nobody saw the second");
    }

    #[test]
    fn the_counter_moves_only_when_somebody_looked_and_wraps_after_2_to_the_19() {
        let mut eseq = ErrSeq::default();
        errseq_set(&mut eseq, EIO);
        let unseen = eseq;
        errseq_set(&mut eseq, EIO);
        assert_eq!(eseq, unseen);
        let mut cursor = ErrSeq(0);
        errseq_check_and_advance(&mut eseq, &mut cursor);
        let first = errseq_sample(&eseq);
        for _ in 0..(1 << 19) - 1 {
            errseq_set(&mut eseq, EIO);
            assert_eq!(errseq_check_and_advance(&mut eseq, &mut cursor), EIO);
            assert_ne!(eseq, first);
        }
        errseq_set(&mut eseq, EIO);
        errseq_check_and_advance(&mut eseq, &mut cursor);
        assert_eq!(eseq, first, "what is known: as many errors as that, each seen, are not noticed");
    }

    #[rstest]
    #[case(EIO, EIO)]
    #[case(-4095, -4095)]
    #[case(-4097, 0)]
    #[case(0, 0)]
    fn what_is_no_errno_is_no_error(#[case] err: i32, #[case] told: i32) {
        let mut eseq = ErrSeq::default();
        errseq_set(&mut eseq, err);
        assert_eq!(errseq_check(&eseq, ErrSeq::default()), told);
        assert_eq!(eseq == ErrSeq::default(), told == 0);
    }
}
