// SPDX-License-Identifier: MIT OR Apache-2.0
//! A tree and config fragments become a kernel image, and one overlay module for each level.
//!
//! All levels but 0 share an image: what the series changes outside of overlayfs and documentation is in patch 1.

mod arch;
mod build_dir;
mod config;
mod kernel_cache;
mod make;
mod stage_timer;
mod tree_key;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use arch::Arch;
pub use build_dir::BuildDir;
pub use config::{configure, fragments};
pub use kernel_cache::{KernelCache, OBJECTS};
pub use make::Make;
pub use stage_timer::StageTimer;
use tree_key::TreeKey;
use vremount_util::{IoError, command, io_error, progress};

use crate::base::{Base, Level, PreApplied};
use crate::series::Series;
use crate::source::Tree;
use crate::workspace::Workspace;
use crate::{series, source, workspace};

/// Object files and a work tree, MiB.
pub const ROOM_MIB: u64 = 3000;

/// Of a machine whose kernel watches itself.
pub const MOST_MEMORY_MIB: u32 = 512;

/// A kernel that was built.
#[derive(Debug, Clone)]
pub struct Kernel {
    pub base: String,
    pub series: String,
    pub level: Level,
    /// The further configuration fragment, if there is one.
    pub fragment: Option<String>,
    /// What a machine boots.
    pub image: PathBuf,
    pub vmlinux: PathBuf,
    pub config: PathBuf,
    /// GNU build id, hex: what the running kernel says of itself.
    pub build_id: String,
    pub module: Module,
}

impl Kernel {
    /// How many times as long as others it may take: one that watches itself is busy with that.
    #[must_use]
    pub fn slowdown(&self) -> u32 {
        if self.fragment.is_some() { 10 } else { 1 }
    }

    /// Memory of its machines, MiB: enough for a hundred megabytes of page cache, and as much again where the kernel may keep
    /// watch over it.
    #[must_use]
    pub fn memory_mib(&self) -> u32 {
        if self.fragment.is_some() { MOST_MEMORY_MIB } else { 256 }
    }
}

/// The overlay module of a level.
#[derive(Debug, Clone)]
pub struct Module {
    pub path: PathBuf,
    pub sha256: String,
    /// What gcc noted of all that counts its arcs, image included: `.gcno` files below it. It is not there if nothing does.
    pub notes: PathBuf,
}

/// Why there is no kernel.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed.
    #[error(transparent)]
    Io(#[from] IoError),
    #[error("failed to build {what}: {first}\nall of make's output is in {log}", log = log.display())]
    Build { what: String, first: String, log: PathBuf },
    #[error(
        "failed to configure the kernel: {} of the fragments fell out: {}; \
         this kernel has no such option, or what it depends on is missing in vm-images/config/",
        if .0.len() == 1 { "an option" } else { "options" }, .0.join(", ")
    )]
    OptionsLost(Vec<String>),
    #[error("failed to find configuration fragment {name:?}: there is no {path}", path = path.display())]
    NoFragment { name: String, path: PathBuf },
    #[error("failed to share a kernel between levels: patches 2 to 4 also change {0}, which is not part of overlay.ko")]
    NotOnlyOverlay(String),
    #[error(
        "failed to make level {level} of {base}: it carries a series of its own, which cannot be taken out; \
             there is only level 4, the tree as it is"
    )]
    OneLevel { base: String, level: Level },
    #[error("failed to read the build id of {path}: {why}", path = path.display())]
    BuildId { path: PathBuf, why: String },
    #[error(transparent)]
    Source(#[from] source::Error),
    #[error(transparent)]
    Series(#[from] series::Error),
    #[error(transparent)]
    Tool(#[from] command::Error),
    #[error(transparent)]
    Project(#[from] workspace::Error),
}

impl Error {
    /// Whether another kernel may do better.
    #[must_use]
    pub fn is_of_the_kernel(&self) -> bool {
        match self {
            Error::Build { first, .. } => !first.contains("No space left on device"),
            Error::OptionsLost(_) | Error::NotOnlyOverlay(_) | Error::OneLevel { .. } | Error::BuildId { .. } => true,
            Error::Series(error) => error.is_of_the_kernel(),
            Error::Io(_) | Error::NoFragment { .. } | Error::Source(_) | Error::Tool(_) | Error::Project(_) => false,
        }
    }
}

/// Which kernel is wanted, whatever it runs on.
#[derive(Clone, Copy)]
pub struct KernelSpec<'a> {
    pub base: &'a Base,
    pub level: Level,
    /// A further configuration fragment, by the name of its file.
    pub fragment: Option<&'a str>,
    /// Work tree and objects that it shares with others of one history, which are built one after the other: what two of them
    /// have in common is built once, and only the level that is wanted.
    pub shared_build: Option<&'a str>,
    /// A diff on top of the series, part of level 4, that makes it wrong.
    pub mutant: Option<&'a Path>,
}

impl<'a> KernelSpec<'a> {
    /// All of the series of a base, and nothing else.
    #[must_use]
    pub fn of(base: &'a Base) -> Self {
        KernelSpec { base, level: Level::FULL, fragment: None, shared_build: None, mutant: None }
    }

    /// The series, and with which mutant.
    #[must_use]
    pub fn series(&self) -> String {
        let series = self.base.series.clone();
        self.mutant_name().map_or(series.clone(), |name| format!("{series} with {name}"))
    }

    /// What people call the mutant: its file, without the end.
    fn mutant_name(&self) -> Option<String> {
        Some(self.mutant?.file_stem()?.to_string_lossy().into_owned())
    }
}

/// The kernel, with the modules of all levels it serves. What is in the cache is not built again.
///
/// # Errors
/// If the source cannot be had, the series does not apply, or the kernel does not build.
pub fn kernel(workspace: &Workspace, kernel_spec: &KernelSpec<'_>, arch: Arch) -> Result<Kernel, Error> {
    kernel_timed(workspace, kernel_spec, arch, &mut StageTimer::start())
}

/// The same, and where its time went.
///
/// # Errors
/// As for the same.
pub fn kernel_timed(
    workspace: &Workspace,
    kernel_spec: &KernelSpec<'_>,
    arch: Arch,
    clock: &mut StageTimer,
) -> Result<Kernel, Error> {
    let series = series(workspace, kernel_spec, arch)?;
    let plan = BuildPlan::new(workspace, kernel_spec, arch, &series)?;
    clock.finish_stage(KEY);
    if !plan.is_built() {
        let _lock = workspace.lock(&format!("build-{}", plan.store.build_name()))?;
        plan.build(workspace, clock)?;
    }
    plan.store.link(&plan.folder(&workspace.root), arch, &plan.modules())?;
    let kernel = plan.store.kernel(kernel_spec, arch, &plan.module_name(kernel_spec.level));
    clock.finish_stage(KEEP);
    kernel
}

/// The image and modules of a kernel that was built, made again by nothing but make: same tree, same configuration.
///
/// # Errors
/// If the kernel was not built here, or does not build now.
pub fn make_alone(
    workspace: &Workspace,
    kernel_spec: &KernelSpec<'_>,
    arch: Arch,
    kernel: &Kernel,
) -> Result<Duration, Error> {
    let series = series(workspace, kernel_spec, arch)?;
    let plan = BuildPlan::new(workspace, kernel_spec, arch, &series)?;
    let tree = plan.store.source();
    series.check_out(&source::obtain(workspace, &kernel_spec.base.source)?, &tree, plan.levels[0])?;
    let objects = tempfile::tempdir_in(&workspace.cache).map_err(io_error("create a folder in", &workspace.cache))?;
    let config = objects.path().join(".config");
    std::fs::copy(&kernel.config, &config).map_err(io_error("copy", &kernel.config))?;
    let make = make::Make::new(kernel_spec.base, arch, &tree, objects.path(), plan.store.log());
    let started = Instant::now();
    make.run("the same kernel by make alone", &[arch.image_target(), "modules"])?;
    Ok(started.elapsed())
}

/// Stages of [`timed`].
pub const KEY: &str = "key";
pub const SOURCE: &str = "source";
pub const SERIES: &str = "work tree and patches";
pub const CONFIGURE: &str = "configuration";
pub const MAKE: &str = "image and modules";
pub const OVERLAY: &str = "overlay.ko of each level";
pub const KEEP: &str = "keeping it";

/// Stands for all that goes into that kernel and its modules: under it a CI service can keep them.
///
/// # Errors
/// If a source that is not pinned by its content cannot be had, or the series cannot be read.
pub fn key(workspace: &Workspace, kernel_spec: &KernelSpec<'_>, arch: Arch) -> Result<String, Error> {
    let series = series(workspace, kernel_spec, arch)?;
    let plan = BuildPlan::new(workspace, kernel_spec, arch, &series)?;
    Ok(format!("{}-{}", plan.store.key(), plan.module_state(kernel_spec.level)))
}

/// The series of a base, on the fixes that an architecture and a further configuration fragment need, with what is on top of
/// it.
///
/// # Errors
/// If it cannot be read.
pub fn series(workspace: &Workspace, kernel_spec: &KernelSpec<'_>, arch: Arch) -> Result<Series, series::Error> {
    let KernelSpec { base, fragment, mutant, .. } = *kernel_spec;
    let fixes = [Some(arch.name()), fragment].into_iter().flatten().filter_map(|name| base.fixes.get(name)).flatten();
    let fixes: Vec<_> = fixes.map(|name| workspace.root.join("vm-images/fixes").join(name)).collect();
    Series::read(&workspace.root.join("patches").join(&base.series), &fixes, base.carries, mutant)
}

/// What has to be there in the end.
struct BuildPlan<'a> {
    kernel_spec: KernelSpec<'a>,
    arch: Arch,
    series: &'a Series,
    levels: Vec<Level>,
    fragments: Vec<PathBuf>,
    store: KernelCache,
    /// Of a kernel in a workspace: it is known by what its tree has in the end, whatever led there.
    content: Option<TreeKey>,
}

impl<'a> BuildPlan<'a> {
    fn new(workspace: &Workspace, kernel_spec: &KernelSpec<'a>, arch: Arch, series: &'a Series) -> Result<Self, Error> {
        let KernelSpec { base, level, fragment, shared_build, .. } = *kernel_spec;
        let levels = match level {
            Level::FULL if base.carries == PreApplied::ItsOwn => vec![Level::FULL],
            _ if base.carries == PreApplied::ItsOwn => return Err(Error::OneLevel { base: base.name.clone(), level }),
            _ if shared_build.is_some() => vec![level],
            Level::PRISTINE => vec![Level::PRISTINE],
            _ => Level::patched().collect(),
        };
        let fragments = config::fragments(&workspace.root, arch, &base.config, fragment)?;
        let content = match shared_build {
            Some(_) => {
                let pristine = source::obtain(workspace, &base.source)?;
                Some(TreeKey::of(&pristine.repository, &series.commit_at(&pristine, level)?)?)
            }
            None => None,
        };
        let source = match &content {
            Some(content) => content.image.clone(),
            None => source::content_id(workspace, &base.source)?,
        };
        let state = if content.is_some() { "" } else { series.state(levels[0]) };
        let inputs =
            kernel_cache::Inputs { kernel_spec, source: &source, arch, image_state: state, fragments: &fragments };
        let store = KernelCache::new(&workspace.cache, &inputs)?;
        Ok(BuildPlan { kernel_spec: *kernel_spec, arch, series, levels, fragments, store, content })
    }

    /// Where people find it.
    fn folder(&self, root: &Path) -> PathBuf {
        let fragment = self.kernel_spec.fragment.map(|name| format!("-{name}")).unwrap_or_default();
        let pristine = if self.kernel_spec.level == Level::PRISTINE { "-pristine" } else { "" };
        let name = self.kernel_spec.shared_build.unwrap_or(&self.kernel_spec.base.name);
        let kernels = root.join("target/kernel").join(name);
        let folder = self.kernel_spec.mutant_name().map_or(kernels.clone(), |name| kernels.join("mutants").join(name));
        folder.join(format!("{}{fragment}{pristine}", self.arch.name()))
    }

    /// A module is named after its patches or its source, so that one that changed gives a new one.
    fn module_name(&self, level: Level) -> String {
        format!("overlay-{level}-{}.ko", self.module_state(level))
    }

    fn module_state(&self, level: Level) -> &str {
        self.content.as_ref().map_or_else(|| self.series.state(level), |content| &content.overlay)
    }

    fn modules(&self) -> Vec<(Level, String)> {
        self.levels.iter().map(|level| (*level, self.module_name(*level))).collect()
    }

    fn is_built(&self) -> bool {
        self.store.has_image() && self.levels.iter().all(|level| self.store.has(&self.module_name(*level)))
    }

    fn build(&self, workspace: &Workspace, clock: &mut StageTimer) -> Result<(), Error> {
        command::ensure_free_space("build a kernel", &workspace.cache, ROOM_MIB)?;
        let pristine = source::obtain(workspace, &self.kernel_spec.base.source)?;
        clock.finish_stage(SOURCE);
        let (tree, place) = (self.store.source(), self.store.objects());
        let objects = BuildDir::open(&pristine, self.store.scratch(), [&place, &tree])?;
        if self.levels.len() > 1 {
            self.check_levels_share(&pristine)?;
        }
        objects.begin()?;
        let make = make::Make::new(self.kernel_spec.base, self.arch, &tree, &place, self.store.log());
        let mut has_image = false;
        let made = self.make_image(&pristine, &objects, &make, clock).and_then(|()| {
            has_image = true;
            self.make_modules(&pristine, &make, clock)
        });
        // A module that does not build takes nothing from the image.
        objects.end(has_image.then(|| self.store.key()))?;
        made
    }

    fn make_image(
        &self,
        pristine: &Tree,
        objects: &BuildDir,
        make: &Make<'_>,
        clock: &mut StageTimer,
    ) -> Result<(), Error> {
        self.series.check_out(pristine, &self.store.source(), self.levels[0])?;
        clock.finish_stage(SERIES);
        // The objects may be gone, or of another image, or of one that was never finished; make knows what is left to do.
        if !self.store.has_image() || !objects.are_of(self.store.key()) {
            let base = &self.kernel_spec.base.name;
            let _progress = progress::start(format!("building Linux {base} at level {}", self.levels[0]));
            config::configure(make, &self.fragments)?;
            clock.finish_stage(CONFIGURE);
            make.run(&format!("Linux {base}"), &[self.arch.image_target(), "modules"])?;
            clock.finish_stage(MAKE);
            self.store.keep_image(make.objects(), self.arch)?;
            clock.finish_stage(KEEP);
        }
        Ok(())
    }

    fn make_modules(&self, pristine: &Tree, make: &Make<'_>, clock: &mut StageTimer) -> Result<(), Error> {
        for level in &self.levels {
            let name = self.module_name(*level);
            if !self.store.has(&name) {
                let _progress = progress::start(format!("building overlay.ko at level {level}"));
                self.series.check_out(pristine, &self.store.source(), *level)?;
                clock.finish_stage(SERIES);
                make.run(&format!("overlay.ko at level {level}"), &["fs/overlayfs/overlay.ko"])?;
                clock.finish_stage(OVERLAY);
                self.store.keep_module(make.objects(), &name)?;
            }
        }
        Ok(())
    }

    fn check_levels_share(&self, pristine: &Tree) -> Result<(), Error> {
        let changed = self.series.changes_after_first(pristine)?;
        let elsewhere =
            changed.lines().find(|path| !path.starts_with("fs/overlayfs/") && !path.starts_with("Documentation/"));
        elsewhere.map_or(Ok(()), |path| Err(Error::NotOnlyOverlay(path.to_string())))
    }
}
