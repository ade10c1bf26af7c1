// SPDX-License-Identifier: MIT OR Apache-2.0
//! Port of the kernel's `lib/errseq.c` for one thread, with the same names.
//!
//! The low 12 bits of an `errseq_t` hold the last errno, the next bit says whether the error was
//! reported (`SEEN`), and the upper 19 bits count errors. The counter is incremented only if the
//! previous error was reported, and it wraps. `harness/cli/tests/errseq.rs` compares this port with
//! the kernel's code.

/// Largest errno.
pub const MAX_ERRNO: u32 = 4095;
/// Number of low bits that hold the errno.
pub const ERRSEQ_SHIFT: u32 = (MAX_ERRNO + 1).ilog2();
/// Flag: the error was reported.
pub const ERRSEQ_SEEN: u32 = 1 << ERRSEQ_SHIFT;
/// Lowest bit of the counter.
pub const ERRSEQ_CTR_INC: u32 = 1 << (ERRSEQ_SHIFT + 1);

/// `errseq_t`. Zero means that no error was ever recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ErrSeq(pub u32);

/// Records an error, given as a negative errno, and returns the previous value. Ignores 0 and
/// values beyond `MAX_ERRNO`.
pub fn errseq_set(eseq: &mut ErrSeq, err: i32) -> ErrSeq {
    let old = *eseq;
    let errno = err.wrapping_neg().cast_unsigned();
    // Zero would clear the error, and a value above MAX_ERRNO would overwrite other bits.
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

/// Samples a value for later checks. If the last error was not reported yet, the sample is 0, so
/// that the sampler gets it.
#[must_use]
pub fn errseq_sample(eseq: &ErrSeq) -> ErrSeq {
    if eseq.0 & ERRSEQ_SEEN == 0 { ErrSeq(0) } else { *eseq }
}

/// Last error as a negative errno if one was recorded since the sample, else 0. Does not mark the
/// error as reported.
#[must_use]
pub fn errseq_check(eseq: &ErrSeq, since: ErrSeq) -> i32 {
    if *eseq == since { 0 } else { -(eseq.0 & MAX_ERRNO).cast_signed() }
}

/// As [`errseq_check`], but marks the error as reported and advances the sample, so the error is
/// returned once.
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
    fn error_is_returned_once_to_each_sampler_and_to_new_samplers_only_if_unseen() {
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
        assert_eq!(errseq_sample(&eseq), ErrSeq(0), "the second error was not reported");
    }

    #[test]
    fn counter_is_incremented_only_after_a_report_and_wraps_after_2_to_the_19() {
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
        assert_eq!(eseq, first, "2^19 reported errors are not noticed: a known limit");
    }

    #[rstest]
    #[case(EIO, EIO)]
    #[case(-4095, -4095)]
    #[case(-4097, 0)]
    #[case(0, 0)]
    fn value_that_is_not_an_errno_is_ignored(#[case] err: i32, #[case] expected: i32) {
        let mut eseq = ErrSeq::default();
        errseq_set(&mut eseq, err);
        assert_eq!(errseq_check(&eseq, ErrSeq::default()), expected);
        assert_eq!(eseq == ErrSeq::default(), expected == 0);
    }
}
