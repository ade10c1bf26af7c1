// SPDX-License-Identifier: MIT OR Apache-2.0
//! Plans and runs the build of a kernel.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use vremount_util::{command, io_error, progress};

use crate::base::{Level, PreApplied};
use crate::build::arch::Arch;
use crate::build::build_dir::BuildDir;
use crate::build::config;
use crate::build::error::Error;
use crate::build::kernel::{Kernel, KernelSpec};
use crate::build::kernel_cache::{Inputs, KernelCache};
use crate::build::make::Make;
use crate::build::stage_timer::{
    STAGE_CACHE, STAGE_CONFIGURE, STAGE_KEY, STAGE_MAKE, STAGE_OVERLAY, STAGE_SERIES, STAGE_SOURCE, StageTimer,
};
use crate::build::tree_key::TreeKey;
use crate::series::Series;
use crate::source::Tree;
use crate::workspace::Workspace;
use crate::{series, source};

/// Space that object files and a work tree need, MiB.
pub const BUILD_SPACE_MIB: u64 = 3000;

/// Builds a kernel with the modules of all levels that share its image. What is in the cache is not
/// built again.
///
/// # Errors
/// [`Error`] if the source cannot be obtained, the series does not apply, or the kernel does not
/// build.
pub fn build_kernel(workspace: &Workspace, kernel_spec: &KernelSpec<'_>, arch: Arch) -> Result<Kernel, Error> {
    build_kernel_timed(workspace, kernel_spec, arch, &mut StageTimer::start())
}

/// As [`build_kernel`], and measures the stages with `timer`.
///
/// # Errors
/// [`Error`] under the conditions of [`build_kernel`].
pub fn build_kernel_timed(
    workspace: &Workspace,
    kernel_spec: &KernelSpec<'_>,
    arch: Arch,
    timer: &mut StageTimer,
) -> Result<Kernel, Error> {
    let series = read_series(workspace, kernel_spec, arch)?;
    let plan = BuildPlan::new(workspace, kernel_spec, arch, &series)?;
    timer.finish_stage(STAGE_KEY);
    if !plan.is_built() {
        let _lock = workspace.lock(&format!("build-{}", plan.cache.build_name()))?;
        plan.build(workspace, timer)?;
    }
    plan.cache.link(&plan.link_folder(&workspace.root), arch, &plan.modules())?;
    let kernel = plan.cache.kernel(kernel_spec, arch, &plan.module_name(kernel_spec.level));
    timer.finish_stage(STAGE_CACHE);
    kernel
}

/// Builds image and modules of a kernel again with make alone, from the same tree and
/// configuration, and returns the time that make took.
///
/// # Errors
/// [`Error`] if the work tree of the kernel cannot be checked out, or make fails.
pub fn rebuild_with_make(
    workspace: &Workspace,
    kernel_spec: &KernelSpec<'_>,
    arch: Arch,
    kernel: &Kernel,
) -> Result<Duration, Error> {
    let series = read_series(workspace, kernel_spec, arch)?;
    let plan = BuildPlan::new(workspace, kernel_spec, arch, &series)?;
    let tree = plan.cache.source();
    series.check_out(&source::obtain(workspace, &kernel_spec.base.source)?, &tree, plan.levels[0])?;
    let objects = tempfile::tempdir_in(&workspace.cache).map_err(io_error("create a folder in", &workspace.cache))?;
    let config = objects.path().join(".config");
    std::fs::copy(&kernel.config, &config).map_err(io_error("copy", &kernel.config))?;
    let make = Make::new(kernel_spec.base, arch, &tree, objects.path(), plan.cache.log());
    let started = Instant::now();
    make.run("the same kernel with make alone", &[arch.image_target(), "modules"])?;
    Ok(started.elapsed())
}

/// The cache key of a kernel and the module of its level. Equal keys mean identical build inputs. A
/// CI service can use it as the key of its own cache.
///
/// # Errors
/// [`Error`] if the series cannot be read, or a source whose content is not pinned cannot be
/// obtained.
pub fn cache_key(workspace: &Workspace, kernel_spec: &KernelSpec<'_>, arch: Arch) -> Result<String, Error> {
    let series = read_series(workspace, kernel_spec, arch)?;
    let plan = BuildPlan::new(workspace, kernel_spec, arch, &series)?;
    Ok(format!("{}-{}", plan.cache.key(), plan.module_state(kernel_spec.level)))
}

/// The series of a kernel, with the fixes for an architecture and for the further configuration
/// fragment, and with the mutant.
///
/// # Errors
/// [`series::Error`] if a patch is missing or cannot be read.
pub fn read_series(workspace: &Workspace, kernel_spec: &KernelSpec<'_>, arch: Arch) -> Result<Series, series::Error> {
    let KernelSpec { base, fragment, mutant, .. } = *kernel_spec;
    let fixes = [Some(arch.name()), fragment].into_iter().flatten().filter_map(|name| base.fixes.get(name)).flatten();
    let fixes: Vec<_> = fixes.map(|name| workspace.root.join("vm-images/fixes").join(name)).collect();
    Series::read(&workspace.root.join("patches").join(&base.series), &fixes, base.pre_applied, mutant)
}

/// What has to be built for a kernel.
struct BuildPlan<'a> {
    kernel_spec: KernelSpec<'a>,
    arch: Arch,
    series: &'a Series,
    /// The levels whose modules are built. The image is built at the first of them.
    levels: Vec<Level>,
    fragments: Vec<PathBuf>,
    cache: KernelCache,
    /// Key of the patched tree. Only for a kernel in a shared build folder: commits with the same
    /// tree are then built once.
    tree_key: Option<TreeKey>,
}

impl<'a> BuildPlan<'a> {
    fn new(workspace: &Workspace, kernel_spec: &KernelSpec<'a>, arch: Arch, series: &'a Series) -> Result<Self, Error> {
        let KernelSpec { base, level, fragment, shared_build, .. } = *kernel_spec;
        let levels = match level {
            Level::FULL if base.pre_applied == PreApplied::OtherImplementation => vec![Level::FULL],
            _ if base.pre_applied == PreApplied::OtherImplementation => {
                return Err(Error::OnlyFullLevel { base: base.name.clone(), level });
            }
            _ if shared_build.is_some() => vec![level],
            Level::PRISTINE => vec![Level::PRISTINE],
            _ => Level::patched().collect(),
        };
        let fragments = config::config_fragments(&workspace.root, arch, &base.config_fragments, fragment)?;
        let tree_key = match shared_build {
            Some(_) => {
                let pristine = source::obtain(workspace, &base.source)?;
                Some(TreeKey::of_commit(&pristine.repository, &series.commit_of_level(&pristine, level)?)?)
            }
            None => None,
        };
        let source = match &tree_key {
            Some(tree_key) => tree_key.image.clone(),
            None => source::content_id(workspace, &base.source)?,
        };
        let image_state = if tree_key.is_some() { "" } else { series.patches_hash(levels[0]) };
        let inputs = Inputs { kernel_spec, source: &source, arch, image_state, fragments: &fragments };
        let cache = KernelCache::new(&workspace.cache, &inputs)?;
        Ok(BuildPlan { kernel_spec: *kernel_spec, arch, series, levels, fragments, cache, tree_key })
    }

    /// The folder below `target/kernel` with links to the result.
    fn link_folder(&self, root: &Path) -> PathBuf {
        let fragment = self.kernel_spec.fragment.map(|name| format!("-{name}")).unwrap_or_default();
        let pristine = if self.kernel_spec.level == Level::PRISTINE { "-pristine" } else { "" };
        let name = self.kernel_spec.shared_build.unwrap_or(&self.kernel_spec.base.name);
        let kernels = root.join("target/kernel").join(name);
        let folder = self.kernel_spec.mutant_name().map_or(kernels.clone(), |name| kernels.join("mutants").join(name));
        folder.join(format!("{}{fragment}{pristine}", self.arch.name()))
    }

    /// File name of a module in the cache. It contains the hash of the patches or of the source, so
    /// that a changed module has another name.
    fn module_name(&self, level: Level) -> String {
        format!("overlay-{level}-{}.ko", self.module_state(level))
    }

    fn module_state(&self, level: Level) -> &str {
        self.tree_key.as_ref().map_or_else(|| self.series.patches_hash(level), |tree_key| &tree_key.overlay)
    }

    fn modules(&self) -> Vec<(Level, String)> {
        self.levels.iter().map(|level| (*level, self.module_name(*level))).collect()
    }

    fn is_built(&self) -> bool {
        self.cache.has_image() && self.levels.iter().all(|level| self.cache.has(&self.module_name(*level)))
    }

    fn build(&self, workspace: &Workspace, timer: &mut StageTimer) -> Result<(), Error> {
        command::ensure_free_space("build a kernel", &workspace.cache, BUILD_SPACE_MIB)?;
        let pristine = source::obtain(workspace, &self.kernel_spec.base.source)?;
        timer.finish_stage(STAGE_SOURCE);
        let (tree, objects) = (self.cache.source(), self.cache.objects());
        let build_dir = BuildDir::open(&pristine, self.cache.scratch(), [&objects, &tree])?;
        if self.levels.len() > 1 {
            self.check_shared_image(&pristine)?;
        }
        build_dir.record_start()?;
        let make = Make::new(self.kernel_spec.base, self.arch, &tree, &objects, self.cache.log());
        let mut has_image = false;
        let result = self.make_image(&pristine, &build_dir, &make, timer).and_then(|()| {
            has_image = true;
            self.make_modules(&pristine, &make, timer)
        });
        // The objects of the image are complete even if a module does not build.
        build_dir.record_end(has_image.then(|| self.cache.key()))?;
        result
    }

    fn make_image(
        &self,
        pristine: &Tree,
        build_dir: &BuildDir,
        make: &Make<'_>,
        timer: &mut StageTimer,
    ) -> Result<(), Error> {
        self.series.check_out(pristine, &self.cache.source(), self.levels[0])?;
        timer.finish_stage(STAGE_SERIES);
        // The objects may be missing, of another image, or incomplete. make builds what is missing.
        if !self.cache.has_image() || !build_dir.has_objects_of(self.cache.key()) {
            let base = &self.kernel_spec.base.name;
            let _progress = progress::start(format!("building Linux {base} at level {}", self.levels[0]));
            config::configure(make, &self.fragments)?;
            timer.finish_stage(STAGE_CONFIGURE);
            make.run(&format!("Linux {base}"), &[self.arch.image_target(), "modules"])?;
            timer.finish_stage(STAGE_MAKE);
            self.cache.keep_image(make.objects(), self.arch)?;
            timer.finish_stage(STAGE_CACHE);
        }
        Ok(())
    }

    fn make_modules(&self, pristine: &Tree, make: &Make<'_>, timer: &mut StageTimer) -> Result<(), Error> {
        for level in &self.levels {
            let name = self.module_name(*level);
            if !self.cache.has(&name) {
                let _progress = progress::start(format!("building overlay.ko at level {level}"));
                self.series.check_out(pristine, &self.cache.source(), *level)?;
                timer.finish_stage(STAGE_SERIES);
                make.run(&format!("overlay.ko at level {level}"), &["fs/overlayfs/overlay.ko"])?;
                timer.finish_stage(STAGE_OVERLAY);
                self.cache.keep_module(make.objects(), &name)?;
            }
        }
        Ok(())
    }

    /// Checks that patches 2 to 4 do not change the image.
    fn check_shared_image(&self, pristine: &Tree) -> Result<(), Error> {
        let changed = self.series.paths_changed_after_first(pristine)?;
        let elsewhere =
            changed.lines().find(|path| !path.starts_with("fs/overlayfs/") && !path.starts_with("Documentation/"));
        elsewhere.map_or(Ok(()), |path| Err(Error::ImageChanged(path.to_string())))
    }
}
