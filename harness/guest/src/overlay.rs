// SPDX-License-Identifier: MIT OR Apache-2.0
//! Overlays: where they are, how they are mounted, what became of it.

use std::path::{Path, PathBuf};
use std::{fs, io};

use sys_mount::{Mount, MountFlags};
use vremount_protocol::{AccessPath, Disk, LayerSet, Mode, Outcome};

use crate::error::{Failure, context};
use crate::mounts::{self, upper_filesystem};

const LOWER: &str = "/lower";
const LOWERS: &str = "/lowers";

/// The layers of the container that a bench stops and starts.
pub const CONTAINER: LayerSet = LayerSet::First;

/// Where an overlay is mounted.
pub fn merged(disk: Disk, layers: LayerSet) -> PathBuf {
    match layers {
        LayerSet::First => PathBuf::from(format!("/merged/{disk}")),
        LayerSet::Second => PathBuf::from(format!("/merged/{disk}-second")),
        LayerSet::Other => PathBuf::from(format!("/merged/{disk}-other")),
        LayerSet::LowerOnly => PathBuf::from(format!("/merged/{disk}-lower")),
    }
}

/// The lower layer all overlays share: a directory to merge, with a file to copy up that has two names, and one to rename. On a filesystem
/// with file handles, which the initramfs is not.
pub fn make_lower() -> Result<(), Failure> {
    context("create", LOWER, fs::create_dir_all(LOWER))?;
    context("mount a tmpfs at", LOWER, Mount::builder().fstype("tmpfs").mount("none", LOWER))?;
    let folder = Path::new(LOWER).join("data");
    context("create", &folder, fs::create_dir_all(&folder))?;
    let (file, link) = (folder.join("lower-file"), folder.join("lower-link"));
    context("write", &file, fs::write(&file, "from the lower layer\n"))?;
    let other = Path::new(LOWER).join("folder");
    context("create", &other, fs::create_dir_all(&other))?;
    let inside = other.join("lower-file");
    context("write", &inside, fs::write(&inside, "from the lower layer too\n"))?;
    context("link", &link, fs::hard_link(&file, &link))
}

/// More lower layers, by number, each with a file of its own.
pub fn make_lowers(count: u32) -> Result<(), Failure> {
    for number in 1..=count {
        let folder = Path::new(LOWERS).join(number.to_string());
        context("create", &folder, fs::create_dir_all(&folder))?;
        let file = folder.join(format!("of-{number}"));
        context("write", &file, fs::write(&file, ""))?;
    }
    Ok(())
}

/// An overlay as it is to be mounted.
#[derive(Clone, Copy)]
pub struct Overlay<'a> {
    pub disk: Disk,
    pub layers: LayerSet,
    pub mode: Mode,
    pub via: AccessPath,
    /// Further options; one that is given again overrides, and `ro` is a flag.
    pub options: &'a str,
}

impl Overlay<'_> {
    /// What is mounted most of the time.
    pub fn of(disk: Disk, mode: Mode) -> Self {
        Overlay { disk, layers: LayerSet::First, mode, via: AccessPath::Mount, options: "" }
    }

    /// mount(2), at the usual place.
    pub fn mount(&self) -> Result<Outcome, Failure> {
        self.mount_at(&merged(self.disk, self.layers))
    }

    pub fn mount_at(&self, at: &Path) -> Result<Outcome, Failure> {
        context("create", at, fs::create_dir_all(at))?;
        let (flags, more) = flags(self.options);
        let mounted =
            Mount::builder().fstype("overlay").flags(flags).data(&self.data(&more)).mount("overlay", at).map(drop);
        let outcome = outcome(mounted, at)?;
        match dropped(&more, at, &outcome)? {
            Some(option) => Err(Failure::new(format!("the kernel dropped {option}"))),
            None => Ok(outcome),
        }
    }

    /// The options in one string.
    pub fn data(&self, more: &str) -> String {
        let filesystem = upper_filesystem(self.disk, self.via);
        let upper_and_work = |other| format!("upperdir={0}/upper{other},workdir={0}/work{other}", filesystem.display());
        // Layers must agree as soon as they are named, also those that a further option would replace.
        let lower = if more.contains("lowerdir=") { String::new() } else { format!("lowerdir={LOWER},") };
        let mut all = match self.layers {
            LayerSet::First | LayerSet::Second => format!("{lower}{}", upper_and_work("")),
            LayerSet::Other => format!("{lower}{}", upper_and_work("-other")),
            LayerSet::LowerOnly => format!("lowerdir={}/upper:{LOWER}", filesystem.display()),
        };
        if self.mode == Mode::Volatile {
            all += ",volatile";
        }
        if !more.is_empty() {
            all = format!("{all},{more}");
        }
        all
    }
}

/// `mount -o remount`
pub fn remount(at: &Path, options: &str) -> Result<Outcome, Failure> {
    let (flags, data) = flags(options);
    let flags = flags | MountFlags::REMOUNT;
    outcome(Mount::builder().fstype("overlay").flags(flags).data(&data).mount("overlay", at).map(drop), at)
}

/// Takes what mount(8) makes a flag out of options.
pub fn flags(options: &str) -> (MountFlags, String) {
    let (flags, rest): (Vec<_>, Vec<_>) = options.split(',').partition(|option| ["ro", "rw"].contains(option));
    let flags = if flags.last() == Some(&"ro") { MountFlags::RDONLY } else { MountFlags::empty() };
    (flags, rest.join(","))
}

/// What became of a mount.
pub fn outcome(mounted: io::Result<()>, at: &Path) -> Result<Outcome, Failure> {
    match mounted {
        Ok(()) => Ok(outcome_of(&mounts::superblock_options(at)?)),
        Err(error) => Ok(Outcome::Refused { errno: error.raw_os_error().unwrap_or(0) }),
    }
}

/// An option that was asked for and that the mounted overlay does not have: overlayfs goes on without those that the upper
/// filesystem has no room for.
fn dropped(more: &str, at: &Path, outcome: &Outcome) -> Result<Option<String>, Failure> {
    if !matches!(outcome, Outcome::Mounted { .. }) {
        return Ok(None);
    }
    let has = mounts::superblock_options(at)?;
    let asked = more.split(',').filter(|option| option.ends_with("=on"));
    Ok(asked.map(str::to_string).find(|option| !has.contains(option)))
}

/// How an overlay is mounted, from the options of its superblock: since 6.12.80 `volatile` is shown in another form.
fn outcome_of(options: &[String]) -> Outcome {
    let has = |wanted: &str| options.iter().any(|option| option == wanted);
    Outcome::Mounted { volatile: has("volatile") || has("fsync=volatile"), read_only: has("ro") }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::volatile("rw,lowerdir=/lower,upperdir=/mnt/a/upper,volatile", true, false)]
    #[case::read_only("ro,lowerdir=/lower", false, true)]
    #[case::durable("rw,lowerdir=/volatile", false, false)]
    #[case::newer("rw,lowerdir=/lower,fsync=volatile", true, false)]
    fn reads_options(#[case] options: &str, #[case] volatile: bool, #[case] read_only: bool) {
        let options: Vec<_> = options.split(',').map(str::to_string).collect();
        assert_eq!(outcome_of(&options), Outcome::Mounted { volatile, read_only });
    }

    #[rstest]
    #[case::none("", MountFlags::empty(), "")]
    #[case::only_data("index=on,volatile", MountFlags::empty(), "index=on,volatile")]
    #[case::flag("ro,index=on", MountFlags::RDONLY, "index=on")]
    #[case::last_word("ro,rw", MountFlags::empty(), "")]
    fn takes_flags_out_of_options(#[case] options: &str, #[case] expected: MountFlags, #[case] rest: &str) {
        assert_eq!(flags(options), (expected, rest.to_string()));
    }
}
