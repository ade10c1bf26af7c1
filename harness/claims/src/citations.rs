// SPDX-License-Identifier: MIT OR Apache-2.0
//! Passages that several claims test: quotes from the cover letter of 2020 and, where it does not
//! mention the subject, statements of this series (`OURS_...`).

pub const ALLOWS_VOLATILE: &str = "This also allows for: volatile -> volatile";
pub const BOOT_ID: &str = "it generates a UUID at load time which can be used to uniquely identify it";
pub const BY_HAND: &str = "Manually syncfs between mounts";
pub const CHECKPOINT: &str = "we can checkpoint this data on disk in an xattr";
pub const ERRSEQ: &str = "A sample of the errseq_t on the workdir / upperdir's superblock";
pub const HAD_ERRORS: &str = "primarily if the underlying FS has had writeback errors or not";
pub const INSTANCE: &str = "a per boot monotonically increasing integer identifying the superblock";
pub const NO_SYNCFS: &str = "If you have to syncfs every time you do this, it can lead to excess filesystem overhead";
pub const NOT_DURABLE: &str = "But, for now, prevents volatile -> non-volatile";
pub const REMOUNTED: &str = "It can also make sure the underlying filesystem wasn't remounted";
pub const RESTART: &str =
    "it is advantageous to be able to stop the container (runtime) and start it up on demand / invocation";
pub const SAME_FILESYSTEM: &str = "stall out every container who's upperdir is on the same underlying filesystem";
pub const SUBSET: &str = "this mechanism only determines a subset of the error scenarios";
pub const UNDERLYING: &str = "the consistency of the upperdir is not contingent on the mount of overlayfs, but rather the \
                              mount of the underlying filesystem";

pub const OURS_INCOMPAT: &str = "a mount fails if work/incompat names a feature that it does not know";
pub const OURS_IN_USE: &str = "there is no reuse while the upper is in use";
pub const OURS_LIMIT: &str = "The checkpoint does not identify the upper directory";
pub const OURS_LOGS: &str = "logs the reason in this form";
