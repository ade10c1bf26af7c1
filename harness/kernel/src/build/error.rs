// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a kernel cannot be built.

use std::path::PathBuf;

use vremount_util::{IoError, command};

use crate::base::Level;
use crate::{series, source, workspace};

/// Why a kernel cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed.
    #[error(transparent)]
    Io(#[from] IoError),
    /// make failed.
    #[error("failed to build {what}: {first}\nall of make's output is in {log}", log = log.display())]
    MakeFailed {
        /// What make was to build.
        what: String,
        /// The first error in the output of make.
        first: String,
        /// The file with the output of make.
        log: PathBuf,
    },
    /// Kconfig dropped options of the configuration fragments.
    #[error(
        "failed to configure the kernel: the configuration does not have {}, as a fragment of vm-images/config/ says; \
         either this kernel has no such option, or an option that it depends on is missing in the fragments",
        .0.join(", ")
    )]
    OptionsLost(
        /// The options, as `NAME=WANTED (is VALUE)`.
        Vec<String>,
    ),
    /// The configuration fragment that the user named does not exist. Bad usage.
    #[error("failed to find configuration fragment {name:?}: {path} does not exist; name a file of vm-images/config/ \
             without .config", path = path.display())]
    NoFragment {
        /// The name of the fragment.
        name: String,
        /// The file that does not exist.
        path: PathBuf,
    },
    /// A patch after the first changes the kernel image, so that levels cannot share it.
    #[error(
        "failed to share a kernel image between levels: patches 2 to 4 also change {0}, which is not part of overlay.ko"
    )]
    ImageChanged(
        /// The first such path.
        String,
    ),
    /// The source has another implementation of the series, so that it has no other level than 4.
    #[error(
        "failed to build level {level} of {base}: it has another implementation of the series, which cannot be \
         reverted; use level 4, which is the tree as it is"
    )]
    OnlyFullLevel {
        /// The name of the base.
        base: String,
        /// The level that was asked for.
        level: Level,
    },
    /// The build id of a kernel cannot be read.
    #[error("failed to read the build id of {path}: {reason}", path = path.display())]
    BuildId {
        /// The vmlinux file.
        path: PathBuf,
        /// Why it cannot be read.
        reason: String,
    },
    /// The source cannot be obtained.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// The series cannot be applied.
    #[error(transparent)]
    Series(#[from] series::Error),
    /// A program failed.
    #[error(transparent)]
    Command(#[from] command::Error),
    /// The cache cannot be locked.
    #[error(transparent)]
    Workspace(#[from] workspace::Error),
}

impl Error {
    /// Whether the kernel is the cause, and not this machine: another kernel may work.
    #[must_use]
    pub fn is_kernel_failure(&self) -> bool {
        match self {
            Error::MakeFailed { first, .. } => !first.contains("No space left on device"),
            Error::OptionsLost(_) | Error::ImageChanged(_) | Error::OnlyFullLevel { .. } | Error::BuildId { .. } => {
                true
            }
            Error::Series(error) => error.is_kernel_failure(),
            Error::Io(_) | Error::NoFragment { .. } | Error::Source(_) | Error::Command(_) | Error::Workspace(_) => {
                false
            }
        }
    }

    /// Whether the command line is the cause: it names something that does not exist or is of the
    /// wrong kind.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Error::NoFragment { .. } => true,
            Error::Source(error) => error.is_usage(),
            _ => false,
        }
    }
}
