// SPDX-License-Identifier: MIT OR Apache-2.0
//! The cache of built kernels. A key is the hash of all build inputs. Entries are complete, because
//! they are written under a temporary name and then renamed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::Object;
use sha2::{Digest, Sha256};
use vremount_util::atomic_file::{copy_into_place, rename_into_place, replace_symlink};
use vremount_util::{command, hash, io_error};

use crate::base::Level;
use crate::build::arch::Arch;
use crate::build::error::Error;
use crate::build::kernel::{Kernel, KernelSpec, Module};

/// The inputs of the build of an image.
pub struct Inputs<'a> {
    /// The kernel to build.
    pub kernel_spec: &'a KernelSpec<'a>,
    /// Id of the content of the source.
    pub source: &'a str,
    /// The architecture.
    pub arch: Arch,
    /// Hash of the patches that the image is built with.
    pub image_state: &'a str,
    /// The configuration fragments.
    pub fragments: &'a [PathBuf],
}

/// Programs whose version is a build input.
const TOOLS: [&str; 3] = ["gcc", "as", "ld"];

/// Version of the build procedure. Change it whenever arguments of make or the configuration
/// procedure change, so that kernels of the old procedure are not used.
const RECIPE: &str = "1";

/// The folder of kernels in the cache.
const KERNELS: &str = "kernel";

/// Name of the folder of objects.
pub const OBJECTS_FOLDER: &str = "objects";

/// The only folder of the kernel that is compiled with coverage.
const COVERED: &str = "fs";

/// The cache entry of one image and the modules that load into it.
pub struct KernelCache {
    key: String,
    /// The folder with image and modules.
    kept: PathBuf,
    /// Name of the folder with work tree and objects: the key, or the name of the shared build
    /// folder.
    build_name: String,
    /// The folder with work tree and objects. It can be removed at any time; it is created again
    /// when needed.
    scratch: PathBuf,
    /// The file with the output of make.
    log: PathBuf,
}

impl KernelCache {
    /// The entry for these inputs in the folder `cache`. The entry need not exist.
    ///
    /// # Errors
    /// [`Error::Command`] if the version of a compiler cannot be determined, [`Error::Io`] if a
    /// fragment cannot be read or the folder of logs cannot be created.
    pub fn new(cache: &Path, inputs: &Inputs<'_>) -> Result<Self, Error> {
        let mut hash = Sha256::new();
        let mut add = |part: &[u8]| {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        };
        add(inputs.source.as_bytes());
        add(inputs.arch.name().as_bytes());
        add(inputs.image_state.as_bytes());
        for program in TOOLS {
            let version = command::run("read the version of a program", Command::new(program).arg("--version"))?;
            add(version.lines().next().unwrap_or_default().as_bytes());
        }
        add(RECIPE.as_bytes());
        inputs.kernel_spec.base.make_args.iter().for_each(|flag| add(flag.as_bytes()));
        for fragment in inputs.fragments {
            add(&fs::read(fragment).map_err(io_error("read", fragment))?);
        }
        let digest = hash::cache_key(hash);
        let KernelSpec { base, fragment, shared_build, .. } = *inputs.kernel_spec;
        let with_arch = |name: &str| format!("{name}-{}", inputs.arch.name());
        let key = format!("{}-{digest}", with_arch(shared_build.unwrap_or(&base.name)));
        let fragment = fragment.map(|name| format!("-{name}")).unwrap_or_default();
        let build_name = shared_build.map_or_else(|| key.clone(), |name| with_arch(name) + &fragment);
        let (kept, scratch) = (cache.join(KERNELS).join(&key), cache.join("build").join(&build_name));
        let logs = cache.join("log");
        fs::create_dir_all(&logs).map_err(io_error("create", &logs))?;
        Ok(KernelCache { log: logs.join(format!("{key}.log")), key, kept, build_name, scratch })
    }

    /// Moves the kernels and modules of the cache `from` to `cache`, unless they exist there. Both
    /// must be on one filesystem.
    ///
    /// # Errors
    /// [`Error::Io`] if an entry cannot be moved.
    pub fn adopt_from(cache: &Path, from: &Path) -> Result<(), Error> {
        let (kept, others) = (cache.join(KERNELS), from.join(KERNELS));
        fs::create_dir_all(&kept).map_err(io_error("create", &kept))?;
        for other in command::sorted_entries(&others).map_err(io_error("read", &others))? {
            let place = kept.join(other.file_name().unwrap_or_default());
            if !place.exists() {
                rename_into_place(&other, &place).map_err(io_error("move", &other))?;
                continue;
            }
            // The image is the same; only modules may be missing. In reverse order the notes of a
            // module come before it.
            for module in command::sorted_entries(&other).map_err(io_error("read", &other))?.iter().rev() {
                let place = place.join(module.file_name().unwrap_or_default());
                if !place.exists() {
                    rename_into_place(module, &place).map_err(io_error("move", module))?;
                }
            }
        }
        Ok(())
    }

    /// Name of the folder with work tree and objects.
    pub fn build_name(&self) -> &str {
        &self.build_name
    }

    /// The folder with work tree and objects.
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// The key: base, architecture and a hash of all inputs.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The work tree.
    pub fn source(&self) -> PathBuf {
        self.scratch.join("source")
    }

    /// The folder of objects.
    pub fn objects(&self) -> PathBuf {
        self.scratch.join(OBJECTS_FOLDER)
    }

    /// The file with the output of make.
    pub fn log(&self) -> PathBuf {
        self.log.clone()
    }

    /// Whether the image is in the cache.
    pub fn has_image(&self) -> bool {
        self.kept.exists()
    }

    /// Whether the module with this file name is in the cache.
    pub fn has(&self, name: &str) -> bool {
        self.kept.join(name).exists()
    }

    /// Copies image, vmlinux and configuration from a folder of objects to the cache, all at once.
    ///
    /// # Errors
    /// [`Error::Io`] if a file cannot be copied, [`Error::BuildId`] if vmlinux has no build id.
    pub fn keep_image(&self, objects: &Path, arch: Arch) -> Result<(), Error> {
        let folder = self.kept.parent().unwrap_or(&self.kept);
        fs::create_dir_all(folder).map_err(io_error("create", folder))?;
        let scratch = tempfile::tempdir_in(folder).map_err(io_error("create a folder in", folder))?;
        let finished = scratch.path().join("finished");
        fs::create_dir(&finished).map_err(io_error("create", &finished))?;
        for (from, to) in [(arch.image_path(), arch.image_target()), ("vmlinux", "vmlinux"), (".config", "config")] {
            let from = objects.join(from);
            copy(&from, &finished.join(to)).map_err(io_error("copy", &from))?;
        }
        let build_id = build_id(&finished.join("vmlinux"))?;
        fs::write(finished.join("build-id"), build_id).map_err(io_error("write to", &finished))?;
        Ok(rename_into_place(&finished, &self.kept).map_err(io_error("rename to", &self.kept))?)
    }

    /// Copies overlay.ko and its notes from a folder of objects to the cache. The module comes
    /// last, so that a module in the cache always has its notes.
    ///
    /// # Errors
    /// [`Error::Io`] if a file cannot be copied.
    pub fn keep_module(&self, objects: &Path, name: &str) -> Result<(), Error> {
        keep_notes(objects, &objects.join(COVERED), &self.notes(name))?;
        let module = objects.join("fs/overlayfs/overlay.ko");
        Ok(copy_into_place(&module, &self.kept.join(name)).map_err(io_error("copy", &module))?)
    }

    /// The folder with the notes of a module.
    fn notes(&self, module: &str) -> PathBuf {
        self.kept.join(format!("{module}.notes"))
    }

    /// The kernel with a module, both from the cache.
    ///
    /// # Errors
    /// [`Error::Io`] if the module or the build id is not in the cache.
    pub fn kernel(&self, kernel_spec: &KernelSpec<'_>, arch: Arch, module: &str) -> Result<Kernel, Error> {
        let build_id = self.kept.join("build-id");
        let path = self.kept.join(module);
        let sha256 = hash::sha256_file(&path).map_err(io_error("read", &path))?;
        Ok(Kernel {
            base: kernel_spec.base.name.clone(),
            series: kernel_spec.series_name(),
            level: kernel_spec.level,
            fragment: kernel_spec.fragment.map(str::to_string),
            image: self.kept.join(arch.image_target()),
            vmlinux: self.kept.join("vmlinux"),
            config: self.kept.join("config"),
            build_id: fs::read_to_string(&build_id).map_err(io_error("read", &build_id))?,
            module: Module { path, sha256, notes: self.notes(module) },
        })
    }

    /// Creates links to the files of the entry, under simple names, in a folder for the user.
    ///
    /// # Errors
    /// [`Error::Io`] if a link cannot be created.
    pub fn link(&self, folder: &Path, arch: Arch, modules: &[(Level, String)]) -> Result<(), Error> {
        fs::create_dir_all(folder).map_err(io_error("create", folder))?;
        let plain = [arch.image_target(), "vmlinux", "config"].map(|name| (name.to_string(), name.to_string()));
        let modules = modules.iter().map(|(level, name)| (format!("overlay-{level}.ko"), name.clone()));
        for (name, kept) in plain.into_iter().chain(modules) {
            let (link, kept) = (folder.join(name), self.kept.join(kept));
            if fs::read_link(&link).ok().as_ref() != Some(&kept) {
                replace_symlink(&kept, &link).map_err(io_error("link", &link))?;
            }
        }
        Ok(())
    }
}

/// Copies a file to a folder that is renamed later, and flushes the copy to the disk.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    File::open(to)?.sync_all()
}

/// Copies the `.gcno` files in `folder` and below, which gcc writes for coverage, to the same paths
/// below `to`.
fn keep_notes(objects: &Path, folder: &Path, to: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(io_error("read", folder))? {
        let path = entry.map_err(io_error("read", folder))?.path();
        if path.is_dir() {
            keep_notes(objects, &path, to)?;
        } else if path.extension().is_some_and(|extension| extension == "gcno") {
            let kept = to.join(path.strip_prefix(objects).unwrap_or(&path));
            let folder = kept.parent().unwrap_or(to);
            fs::create_dir_all(folder).map_err(io_error("create", folder))?;
            copy(&path, &kept).map_err(io_error("copy", &path))?;
        }
    }
    Ok(())
}

/// The GNU build id of a kernel, hexadecimal.
fn build_id(vmlinux: &Path) -> Result<String, Error> {
    let failed = |why: String| Error::BuildId { path: vmlinux.to_path_buf(), reason: why };
    let content = fs::read(vmlinux).map_err(io_error("read", vmlinux))?;
    let file = object::File::parse(content.as_slice()).map_err(|error| failed(error.to_string()))?;
    match file.build_id() {
        Ok(Some(id)) => Ok(hash::hex(id)),
        Ok(None) => Err(failed("it has none".to_string())),
        Err(error) => Err(failed(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_kernels_and_modules_are_moved_from_another_cache() {
        let folder = tempfile::tempdir().unwrap();
        let file = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        file("mine/kernel/both/linux", "mine");
        for name in ["both/linux", "both/overlay-4-b.ko", "both/overlay-4-b.ko.notes/fs/a.gcno", "other/linux"] {
            file(&format!("others/kernel/{name}"), "other");
        }
        KernelCache::adopt_from(&folder.path().join("mine"), &folder.path().join("others")).unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join("mine/kernel").join(name)).unwrap();
        assert_eq!(read("both/linux"), "mine");
        for name in ["both/overlay-4-b.ko", "both/overlay-4-b.ko.notes/fs/a.gcno", "other/linux"] {
            assert_eq!(read(name), "other");
        }
    }
}
