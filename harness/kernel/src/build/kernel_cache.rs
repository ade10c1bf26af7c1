// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where kernels are kept: by what they were made of. What is there is whole, because it got there by rename.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::Object;
use sha2::{Digest, Sha256};
use vremount_util::{command, hash, io_error};

use crate::base::Level;
use crate::build::{Arch, Error, Kernel, KernelSpec, Module};

/// Everything that shows in an image.
pub struct Inputs<'a> {
    pub kernel_spec: &'a KernelSpec<'a>,
    /// Stands for the content of its source.
    pub source: &'a str,
    pub arch: Arch,
    pub image_state: &'a str,
    pub fragments: &'a [PathBuf],
}

/// What turns source into a kernel.
const TOOLS: [&str; 3] = ["gcc", "as", "ld"];

/// Changes with what make is told and how it is configured, so that nothing is kept that would be built otherwise now.
const RECIPE: &str = "1";

/// The folder of a cache that kernels are kept in.
const KERNELS: &str = "kernel";

/// The folder that a kernel is compiled in.
pub const OBJECTS: &str = "objects";

/// Nothing outside of it counts its arcs.
const COUNTED: &str = "fs";

/// The place of one image and the modules that load into it.
pub struct KernelCache {
    key: String,
    /// Image and modules.
    kept: PathBuf,
    /// What the place of work tree and objects is called: as the kernel, or as the workspace it is built in.
    build_name: String,
    /// Work tree and objects: can go, and are made again when they are needed.
    scratch: PathBuf,
    log: PathBuf,
}

impl KernelCache {
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
            let version = command::run("ask for a tool's version", Command::new(program).arg("--version"))?;
            add(version.lines().next().unwrap_or_default().as_bytes());
        }
        add(RECIPE.as_bytes());
        inputs.kernel_spec.base.make.iter().for_each(|flag| add(flag.as_bytes()));
        for fragment in inputs.fragments {
            add(&fs::read(fragment).map_err(io_error("read", fragment))?);
        }
        let digest = hash::short(hash);
        let KernelSpec { base, fragment, shared_build, .. } = *inputs.kernel_spec;
        let of_arch = |name: &str| format!("{name}-{}", inputs.arch.name());
        let key = format!("{}-{digest}", of_arch(shared_build.unwrap_or(&base.name)));
        let fragment = fragment.map(|name| format!("-{name}")).unwrap_or_default();
        let build_name = shared_build.map_or_else(|| key.clone(), |name| of_arch(name) + &fragment);
        let (kept, scratch) = (cache.join(KERNELS).join(&key), cache.join("build").join(&build_name));
        let logs = cache.join("log");
        fs::create_dir_all(&logs).map_err(io_error("create", &logs))?;
        Ok(KernelCache { log: logs.join(format!("{key}.log")), key, kept, build_name, scratch })
    }

    /// Moves what one cache keeps to another on the same filesystem, where that is not there yet.
    ///
    /// # Errors
    /// If it cannot be moved.
    pub fn adopt_from(cache: &Path, from: &Path) -> Result<(), Error> {
        let (kept, others) = (cache.join(KERNELS), from.join(KERNELS));
        fs::create_dir_all(&kept).map_err(io_error("create", &kept))?;
        for other in command::entries(&others).map_err(io_error("read", &others))? {
            let place = kept.join(other.file_name().unwrap_or_default());
            if !place.exists() {
                command::rename_into_place(&other, &place).map_err(io_error("move", &other))?;
                continue;
            }
            // The image is the same, and further modules are of another series: each after its notes.
            for module in command::entries(&other).map_err(io_error("read", &other))?.iter().rev() {
                let place = place.join(module.file_name().unwrap_or_default());
                if !place.exists() {
                    command::rename_into_place(module, &place).map_err(io_error("move", module))?;
                }
            }
        }
        Ok(())
    }

    pub fn build_name(&self) -> &str {
        &self.build_name
    }

    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    pub fn key(&self) -> &str {
        &self.key
    }

    pub fn source(&self) -> PathBuf {
        self.scratch.join("source")
    }

    pub fn objects(&self) -> PathBuf {
        self.scratch.join(OBJECTS)
    }

    pub fn log(&self) -> PathBuf {
        self.log.clone()
    }

    pub fn has_image(&self) -> bool {
        self.kept.exists()
    }

    pub fn has(&self, name: &str) -> bool {
        self.kept.join(name).exists()
    }

    /// Keeps image, vmlinux and configuration, all at once.
    pub fn keep_image(&self, objects: &Path, arch: Arch) -> Result<(), Error> {
        let folder = self.kept.parent().unwrap_or(&self.kept);
        fs::create_dir_all(folder).map_err(io_error("create", folder))?;
        let aside = tempfile::tempdir_in(folder).map_err(io_error("create a folder in", folder))?;
        let whole = aside.path().join("whole");
        fs::create_dir(&whole).map_err(io_error("create", &whole))?;
        for (from, to) in [(arch.image_path(), arch.image_target()), ("vmlinux", "vmlinux"), (".config", "config")] {
            let from = objects.join(from);
            copy(&from, &whole.join(to)).map_err(io_error("copy", &from))?;
        }
        let build_id = build_id(&whole.join("vmlinux"))?;
        fs::write(whole.join("build-id"), build_id).map_err(io_error("write to", &whole))?;
        Ok(command::rename_into_place(&whole, &self.kept).map_err(io_error("rename to", &self.kept))?)
    }

    /// Keeps an overlay.ko, last of all: who finds it finds the notes on it.
    pub fn keep_module(&self, objects: &Path, name: &str) -> Result<(), Error> {
        keep_notes(objects, &objects.join(COUNTED), &self.notes(name))?;
        let module = objects.join("fs/overlayfs/overlay.ko");
        let aside = self.kept.join(format!("{name}.{}", std::process::id()));
        copy(&module, &aside).map_err(io_error("copy", &module))?;
        Ok(command::rename_into_place(&aside, &self.kept.join(name)).map_err(io_error("rename", &aside))?)
    }

    fn notes(&self, module: &str) -> PathBuf {
        self.kept.join(format!("{module}.notes"))
    }

    pub fn kernel(&self, kernel_spec: &KernelSpec<'_>, arch: Arch, module: &str) -> Result<Kernel, Error> {
        let build_id = self.kept.join("build-id");
        let path = self.kept.join(module);
        let sha256 = hash::of_file(&path).map_err(io_error("read", &path))?;
        Ok(Kernel {
            base: kernel_spec.base.name.clone(),
            series: kernel_spec.series(),
            level: kernel_spec.level,
            fragment: kernel_spec.fragment.map(str::to_string),
            image: self.kept.join(arch.image_target()),
            vmlinux: self.kept.join("vmlinux"),
            config: self.kept.join("config"),
            build_id: fs::read_to_string(&build_id).map_err(io_error("read", &build_id))?,
            module: Module { path, sha256, notes: self.notes(module) },
        })
    }

    /// For people: what was built, under plain names.
    pub fn link(&self, folder: &Path, arch: Arch, modules: &[(Level, String)]) -> Result<(), Error> {
        fs::create_dir_all(folder).map_err(io_error("create", folder))?;
        let plain = [arch.image_target(), "vmlinux", "config"].map(|name| (name.to_string(), name.to_string()));
        let modules = modules.iter().map(|(level, name)| (format!("overlay-{level}.ko"), name.clone()));
        for (name, kept) in plain.into_iter().chain(modules) {
            let (link, kept) = (folder.join(name), self.kept.join(kept));
            if fs::read_link(&link).ok().as_ref() != Some(&kept) {
                // Aside, so that two harnesses do not find each other's link half made.
                let aside = link.with_extension(format!("new{}", std::process::id()));
                symlink(&kept, &aside).map_err(io_error("link", &aside))?;
                fs::rename(&aside, &link).map_err(io_error("link", &link))?;
            }
        }
        Ok(())
    }
}

/// Copies a file, so that it is whole before it is renamed, also after a loss of power.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    File::open(to)?.sync_all()
}

/// Copies what gcc noted of objects in a folder and below, under the same names.
fn keep_notes(objects: &Path, folder: &Path, to: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(io_error("read", folder))? {
        let path = entry.map_err(io_error("read", folder))?.path();
        if path.is_dir() {
            keep_notes(objects, &path, to)?;
        } else if path.extension().is_some_and(|ending| ending == "gcno") {
            let kept = to.join(path.strip_prefix(objects).unwrap_or(&path));
            let folder = kept.parent().unwrap_or(to);
            fs::create_dir_all(folder).map_err(io_error("create", folder))?;
            copy(&path, &kept).map_err(io_error("copy", &path))?;
        }
    }
    Ok(())
}

/// The GNU build id of a kernel, hex.
fn build_id(vmlinux: &Path) -> Result<String, Error> {
    let failed = |why: String| Error::BuildId { path: vmlinux.to_path_buf(), why };
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
    fn of_another_cache_what_is_lacking_is_taken() {
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
