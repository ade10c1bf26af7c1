// SPDX-License-Identifier: MIT OR Apache-2.0
//! All that can go wrong, and the exit codes: the one place for both.

use std::collections::BTreeMap;
use std::process::ExitCode;

use crate::{base, build, image, machine, project, series, source, tables, tool};

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user asked for something that does not exist.
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Base(#[from] base::Error),
    #[error(transparent)]
    Source(#[from] source::Error),
    #[error(transparent)]
    Series(#[from] series::Error),
    #[error(transparent)]
    Lanes(#[from] crate::lanes::Error),
    #[error("failed to find a Linux in {0}: its Makefile names no version, or it has no overlayfs")]
    NoKernel(String),
    #[error(
        "failed to apply a series to {from} (Linux {version}); port one to it (patches/README.md){}",
        in_lines(tried)
    )]
    NoSeries {
        from: String,
        version: String,
        /// Where each series stopped fitting.
        tried: BTreeMap<String, String>,
    },
    #[error(transparent)]
    Project(#[from] project::Error),
    #[error(transparent)]
    Build(#[from] build::Error),
    #[error(transparent)]
    Image(#[from] image::Error),
    #[error(transparent)]
    Machine(#[from] machine::Error),
    #[error(transparent)]
    Tool(#[from] tool::Error),
    #[error(transparent)]
    Table(#[from] tables::Error),
    /// What finds fault with the right series says nothing about wrong ones.
    #[error(
        "failed to tell mutants from series {series}: it is not as claimed itself, {why}; `vremount verify` must hold first"
    )]
    NoControl { series: String, why: String },
    /// Nobody can tell where it came from.
    #[error("failed to bisect: {0}")]
    NotBisected(String),
    #[error(
        "failed to add up what machines counted: none told of any; was the kernel built with what ci/bases.toml has as `coverage`?"
    )]
    NotCounted,
    #[error(
        "failed to tell what of {file} was executed: its object counts nothing; have a fix for it in ci/bases.toml, \
         `coverage` of {base}"
    )]
    FileNotCounted { file: String, base: String },
    #[error("failed to understand what gcov says: {0}; is it of the compiler that built the kernel?")]
    Gcov(String),
    #[error("failed to measure on {fs}: {why}; its console log is with the others of the run, in target/runs")]
    Bench { fs: &'static str, why: String },
    #[error("failed to draw the plot of {axis}: {why}")]
    Plot { axis: &'static str, why: String },
    #[error("failed to understand {path}: {why}; run verify again", path = path.display())]
    Results { path: std::path::PathBuf, why: String },
    #[error("failed to understand {path}: {why}; run bisect again", path = path.display())]
    Bisection { path: std::path::PathBuf, why: String },
    #[error("failed to make the page: {0}; please report that with the folder it is of")]
    Page(String),
    #[error("failed to {what} {path}: {cause}", path = path.display())]
    Io { what: &'static str, path: std::path::PathBuf, cause: std::io::Error },
}

impl Error {
    /// Names what was tried on which file.
    pub fn io(what: &'static str, path: impl Into<std::path::PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |cause| Error::Io { what, path, cause }
    }

    /// Whether it is about the kernel, and not about this machine: with another kernel it may be otherwise.
    #[must_use]
    pub fn is_of_the_kernel(&self) -> bool {
        match self {
            Error::NoKernel(_) | Error::NoSeries { .. } | Error::Machine(machine::Error::NoUml(_)) => true,
            Error::Series(error) => error.is_of_the_kernel(),
            Error::Build(error) => error.is_of_the_kernel(),
            _ => false,
        }
    }
}

fn in_lines(tried: &BTreeMap<String, String>) -> String {
    tried.iter().map(|(series, misfit)| format!("\n- {series}: {misfit}")).collect()
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Every claim holds; for other commands: done.
    Holds = 0,
    /// A claim is broken.
    Broken = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// Nothing can be said; `git bisect run` skips the commit.
    CannotTell = 125,
}

impl Exit {
    /// What two say together. What is broken weighs more than what nobody can tell.
    #[must_use]
    pub fn or_worse(self, other: Exit) -> Exit {
        let worse = [Exit::Usage, Exit::Broken, Exit::CannotTell];
        worse.into_iter().find(|exit| [self, other].contains(exit)).unwrap_or(Exit::Holds)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

impl From<&Error> for Exit {
    fn from(error: &Error) -> Self {
        match error {
            Error::Usage(_) | Error::Base(base::Error::Unknown { .. }) => Exit::Usage,
            _ => Exit::CannotTell,
        }
    }
}
