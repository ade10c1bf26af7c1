// SPDX-License-Identifier: MIT OR Apache-2.0
//! A tree and config fragments become a kernel image, and one overlay module for each level.
//!
//! All levels but 0 share an image: what the series changes outside of overlayfs and documentation is in patch 1.

mod arch;
mod config;
mod make;
mod store;

use std::path::{Path, PathBuf};

pub use arch::Arch;
pub(crate) use config::configure;
pub(crate) use make::Make;
pub use store::Store;

use crate::base::{Base, Level};
use crate::project::{self, Project};
use crate::series::{self, Series};
use crate::{progress, source, tool};

/// Object files and a work tree, MiB.
const ROOM_MIB: u64 = 3000;

/// A kernel that was built.
#[derive(Debug, Clone)]
pub struct Kernel {
    pub base: String,
    pub series: String,
    pub level: Level,
    /// What a machine boots.
    pub image: PathBuf,
    pub vmlinux: PathBuf,
    pub config: PathBuf,
    /// GNU build id, hex: what the running kernel says of itself.
    pub build_id: String,
    pub module: Module,
}

#[cfg(test)]
impl Kernel {
    /// One that nobody built.
    pub(crate) fn toy() -> Self {
        let nowhere = PathBuf::new;
        Kernel {
            base: "toy".to_string(),
            series: "s".to_string(),
            level: Level::FULL,
            image: nowhere(),
            vmlinux: nowhere(),
            config: nowhere(),
            build_id: "k".to_string(),
            module: Module { path: nowhere(), sha256: "m".to_string() },
        }
    }
}

/// The overlay module of a level.
#[derive(Debug, Clone)]
pub struct Module {
    pub path: PathBuf,
    pub sha256: String,
}

/// Why there is no kernel.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to {what} {path}: {cause}", path = path.display())]
    Io { what: &'static str, path: PathBuf, cause: std::io::Error },
    #[error("failed to build {what}: {first}\nall of make's output is in {log}", log = log.display())]
    Build { what: String, first: String, log: PathBuf },
    #[error(
        "failed to configure the kernel: {} of the fragments fell out: {}; \
         this kernel has no such option, or what it depends on is missing in vm-images/config/",
        if .0.len() == 1 { "an option" } else { "options" }, .0.join(", ")
    )]
    OptionsLost(Vec<String>),
    #[error("failed to share a kernel between levels: patches 2 to 4 also change {0}, which is not part of overlay.ko")]
    NotOnlyOverlay(String),
    #[error("failed to read the build id of {path}: {why}", path = path.display())]
    BuildId { path: PathBuf, why: String },
    #[error(transparent)]
    Source(#[from] source::Error),
    #[error(transparent)]
    Series(#[from] series::Error),
    #[error(transparent)]
    Tool(#[from] tool::Error),
    #[error(transparent)]
    Project(#[from] project::Error),
}

impl Error {
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |cause| Error::Io { what, path, cause }
    }
}

/// The kernel of a base at a level, with the modules of all levels it serves. What is in the cache is not built again.
///
/// # Errors
/// If the source cannot be had, the series does not apply, or the kernel does not build.
pub fn kernel(project: &Project, base: &Base, arch: Arch, level: Level) -> Result<Kernel, Error> {
    let series = series(project, base, arch)?;
    let plan = Plan::new(project, base, arch, &series, level)?;
    if !plan.is_built() {
        let _lock = project.lock(&format!("build-{}", plan.store.key()))?;
        plan.build(project)?;
    }
    plan.store.link(&project.root, base, arch, &plan.modules())?;
    plan.store.kernel(base, arch, level, &plan.module_name(level))
}

/// The series of a base, on top of the fixes that an architecture needs.
///
/// # Errors
/// If it cannot be read.
pub fn series(project: &Project, base: &Base, arch: Arch) -> Result<Series, series::Error> {
    let fixes = base.fixes.get(arch.name()).map(Vec::as_slice).unwrap_or_default();
    let fixes: Vec<_> = fixes.iter().map(|name| project.root.join("vm-images/fixes").join(name)).collect();
    Series::read(&project.root.join("patches").join(&base.series), &fixes)
}

/// What has to be there in the end.
struct Plan<'a> {
    base: &'a Base,
    arch: Arch,
    series: &'a Series,
    levels: Vec<Level>,
    fragments: Vec<PathBuf>,
    store: Store,
}

impl<'a> Plan<'a> {
    fn new(project: &Project, base: &'a Base, arch: Arch, series: &'a Series, level: Level) -> Result<Self, Error> {
        let levels = match level {
            Level::PRISTINE => vec![Level::PRISTINE],
            _ => Level::patched().collect(),
        };
        let fragments = arch.fragments(&project.root, &base.config);
        let inputs = store::Inputs { base, arch, image_state: series.state(levels[0]), fragments: &fragments };
        let store = Store::new(&project.cache, &inputs)?;
        Ok(Plan { base, arch, series, levels, fragments, store })
    }

    /// A module is named after its patches, so that a patch that changed gives a new one.
    fn module_name(&self, level: Level) -> String {
        format!("overlay-{level}-{}.ko", self.series.state(level))
    }

    fn modules(&self) -> Vec<(Level, String)> {
        self.levels.iter().map(|level| (*level, self.module_name(*level))).collect()
    }

    fn is_built(&self) -> bool {
        self.store.has_image() && self.levels.iter().all(|level| self.store.has(&self.module_name(*level)))
    }

    fn build(&self, project: &Project) -> Result<(), Error> {
        tool::need_room("build a kernel", &project.cache, ROOM_MIB)?;
        let repository = source::obtain(project, self.base)?;
        let tree = self.store.source();
        series::work_tree(&repository, &tree)?;
        let objects = self.store.objects();
        std::fs::create_dir_all(&objects).map_err(Error::io("create", &objects))?;
        let make = make::Make::new(self.base, self.arch, &tree, &objects, self.store.log());
        if self.levels.len() > 1 {
            self.check_levels_share(&tree)?;
        }
        self.series.check_out(&tree, self.levels[0])?;
        // The objects may be gone, or of an image that was never finished; make knows.
        if !self.store.has_image() || !objects.join("vmlinux").exists() {
            let _progress = progress::start(format!("building Linux {} at level {}", self.base.name, self.levels[0]));
            config::configure(&make, &self.fragments)?;
            make.run(&format!("Linux {}", self.base.name), &[self.arch.image_target(), "modules"])?;
            self.store.keep_image(&objects, self.arch)?;
        }
        for level in &self.levels {
            let name = self.module_name(*level);
            if !self.store.has(&name) {
                let _progress = progress::start(format!("building overlay.ko at level {level}"));
                self.series.check_out(&tree, *level)?;
                make.run(&format!("overlay.ko at level {level}"), &["fs/overlayfs/overlay.ko"])?;
                self.store.keep_module(&objects.join("fs/overlayfs/overlay.ko"), &name)?;
            }
        }
        Ok(())
    }

    fn check_levels_share(&self, tree: &Path) -> Result<(), Error> {
        self.series.check_out(tree, Level::FULL)?;
        let changed = self.series.changes_after_first(tree)?;
        let elsewhere =
            changed.lines().find(|path| !path.starts_with("fs/overlayfs/") && !path.starts_with("Documentation/"));
        elsewhere.map_or(Ok(()), |path| Err(Error::NotOnlyOverlay(path.to_string())))
    }
}
