// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel configuration: tinyconfig with the configuration fragments of `vm-images/config/`.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use vremount_util::io_error;

use crate::build::arch::Arch;
use crate::build::error::Error;
use crate::build::make::Make;

/// The configuration fragments of a kernel, in the order in which they are applied: of all kernels,
/// of the architecture, of the base (`base`, file names), and the further fragment (`further`:
/// `NAME.config`, then `NAME-ARCH.config` if it exists).
///
/// # Errors
/// [`Error::NoFragment`] if the further fragment does not exist.
pub fn config_fragments(
    root: &Path,
    arch: Arch,
    base: &[String],
    further: Option<&str>,
) -> Result<Vec<PathBuf>, Error> {
    let folder = root.join("vm-images/config");
    let file = |name: &str| folder.join(format!("{name}.config"));
    let mut fragments = vec![file("base"), file(arch.name())];
    fragments.extend(base.iter().map(|name| folder.join(name)));
    if let Some(name) = further {
        let path = file(name);
        if !path.is_file() {
            return Err(Error::NoFragment { name: name.to_string(), path });
        }
        let of_arch = file(&format!("{name}-{}", arch.name()));
        fragments.push(path);
        fragments.extend(of_arch.is_file().then_some(of_arch));
    }
    Ok(fragments)
}

/// Configures a folder of objects, and checks that each option of the fragments is set as they say:
/// Kconfig silently drops options that it does not know and options with unmet dependencies.
///
/// # Errors
/// [`Error::OptionsLost`] if an option is not set as a fragment says, [`Error::MakeFailed`] if make
/// fails, [`Error::Io`] if a file cannot be read or written.
pub fn configure(make: &Make<'_>, fragments: &[PathBuf]) -> Result<(), Error> {
    make.run("the minimal configuration", &["tinyconfig"])?;
    let path = make.objects().join(".config");
    let mut wanted = BTreeMap::new();
    for fragment in fragments {
        let text = fs::read_to_string(fragment).map_err(io_error("read", fragment))?;
        // Kconfig uses the last value of an option.
        let mut config = OpenOptions::new().append(true).open(&path).map_err(io_error("open", &path))?;
        config.write_all(text.as_bytes()).map_err(io_error("write", &path))?;
        wanted.extend(options(&text));
    }
    make.run("the configuration", &["olddefconfig"])?;
    let text = fs::read_to_string(&path).map_err(io_error("read", &path))?;
    let lost = lost_options(&wanted, &options(&text));
    if lost.is_empty() { Ok(()) } else { Err(Error::OptionsLost(lost)) }
}

/// Values of options, by name.
type Options = BTreeMap<String, String>;

/// Parses `CONFIG_X=value` and `# CONFIG_X is not set`, which is the value `n`.
fn options(text: &str) -> Options {
    text.lines()
        .filter_map(|line| match line.strip_prefix("# ").and_then(|line| line.strip_suffix(" is not set")) {
            Some(name) if name.starts_with("CONFIG_") => Some((name.to_string(), "n".to_string())),
            _ if line.starts_with("CONFIG_") => {
                line.split_once('=').map(|(name, value)| (name.to_string(), value.to_string()))
            }
            _ => None,
        })
        .collect()
}

/// Options that are not set as wanted. An option that the result does not mention has the value
/// `n`.
fn lost_options(wanted: &Options, found: &Options) -> Vec<String> {
    let value = |name: &String| found.get(name).map_or("n", String::as_str);
    let lost = wanted.iter().filter(|(name, wanted)| value(name) != wanted.as_str());
    lost.map(|(name, wanted)| format!("{name}={wanted} (is {})", value(name))).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::all_set("CONFIG_A=y\n# CONFIG_B is not set\n", "CONFIG_A=y\n", &[])]
    #[case::dropped("CONFIG_A=y\n", "# CONFIG_A is not set\n", &["CONFIG_A=y (is n)"])]
    #[case::unknown("CONFIG_A=m\n", "", &["CONFIG_A=m (is n)"])]
    #[case::built_in("CONFIG_A=m\n", "CONFIG_A=y\n", &["CONFIG_A=m (is y)"])]
    #[case::enabled("# CONFIG_A is not set\n", "CONFIG_A=y\n", &["CONFIG_A=n (is y)"])]
    #[case::last_value("CONFIG_A=y\n# CONFIG_A is not set\n", "", &[])]
    #[case::comment("# CONFIG_A would be nice\n#CONFIG_B=y\n", "", &[])]
    fn lost_options_are_listed(#[case] fragment: &str, #[case] result: &str, #[case] expected: &[&str]) {
        assert_eq!(lost_options(&options(fragment), &options(result)), expected);
    }
}
