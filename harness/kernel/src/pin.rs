// SPDX-License-Identifier: MIT OR Apache-2.0
//! Another pin in `ci/bases.toml`; comments and all else stay.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use toml_edit::{DocumentMut, Item, Key, TableLike, Value};
use vremount_util::atomic_file::AtomicFile;
use vremount_util::io_error;

use crate::base::{self, Base, Package, Source, upstream};
use crate::error::Error;

/// A base that is named after its version, under the name that a newer one has.
#[must_use]
pub fn renamed(base: &Base, newer: &Package) -> String {
    match &base.source {
        Source::Package(package) if upstream(&package.version) == base.name => upstream(&newer.version).to_string(),
        _ => base.name.clone(),
    }
}

/// Pins base `name` of a checkout as `pinned` is.
///
/// # Errors
/// If the file has no such base, or cannot be written.
pub fn write(root: &Path, name: &str, pinned: &Base) -> Result<(), Error> {
    let path = root.join(base::FILE);
    let text = fs::read_to_string(&path).map_err(io_error("read", &path))?;
    let text = repinned(&text, name, pinned)
        .map_err(|why| Error::Usage(format!("failed to pin {name} in {}: {why}", path.display())))?;
    Ok(AtomicFile::new(&path)?.write(&text)?)
}

/// The text with base `name` pinned as `pinned` is. The error says what is not there.
fn repinned(text: &str, name: &str, pinned: &Base) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
    let base = document.get_mut("bases").and_then(|bases| bases.get_mut(name)).and_then(Item::as_table_like_mut);
    let base = base.ok_or_else(|| format!("it has no base {name:?}"))?;
    let names: Vec<_> = pinned.has.iter().map(ToString::to_string).collect();
    let named = base.get("has").and_then(Item::as_array).map(|has| has.iter().filter_map(Value::as_str).collect());
    let named: BTreeSet<_> = named.unwrap_or_default();
    if named != names.iter().map(String::as_str).collect() {
        set(base, "has", names.into_iter().collect::<Value>());
    }
    let source = base
        .get_mut("source")
        .and_then(Item::as_table_like_mut)
        .ok_or_else(|| format!("it has no source of base {name:?}"))?;
    match &pinned.source {
        Source::Package(Package { version, file, sha256, .. }) => {
            let values = [("version", version), ("file", file), ("sha256", sha256)];
            values.into_iter().for_each(|(key, value)| set(source, key, value.as_str()));
        }
        Source::Git(git) => git.tree.iter().for_each(|tree| set(source, "tree", tree.as_str())),
        Source::Tarball(tarball) => set(source, "sha256", tarball.sha256.as_str()),
    }
    if pinned.name != name {
        let bases = document.get_mut("bases").and_then(Item::as_table_mut);
        let bases = bases.ok_or_else(|| "its bases are no table".to_string())?;
        if let Some(base) = bases.remove(name) {
            bases.insert_formatted(&Key::new(&pinned.name), base);
        }
        if document.get("default").and_then(Item::as_str) == Some(name) {
            set(document.as_table_mut(), "default", pinned.name.as_str());
        }
    }
    Ok(document.to_string())
}

/// A value in the place of another, with the comment behind it.
fn set(table: &mut dyn TableLike, key: &str, value: impl Into<Value>) {
    let mut value = value.into();
    match table.get_mut(key).and_then(Item::as_value_mut) {
        // In its place, so that the comments of its key stay too.
        Some(old) => {
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        None => drop(table.insert(key, Item::Value(value))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Feature, Git, PreApplied};

    const TEXT: &str = r#"# The kernels.
default = "6.12.8" # the one

[bases."6.12.8"]
# Why it is there.
series = "6.12"

[bases."6.12.8".fixes]
um = ["a.patch"]

[bases."6.12.8".source]
package = "linux"
version = "6.12.8-1" # a living suite
suite = "trixie"
file = "linux_6.12.8.orig.tar.xz"
sha256 = "old"

[bases.tip]
series = "tip"

[bases.tip.source]
git = "/linux"
commit = "c"
"#;

    fn base(name: &str, source: Source) -> Base {
        let (series, make, fixes) = (String::new(), Vec::new(), std::collections::BTreeMap::new());
        Base {
            name: name.to_string(),
            series,
            make,
            config: Vec::new(),
            has: std::collections::BTreeSet::new(),
            fixes,
            source,
            carries: PreApplied::Nothing,
        }
    }

    fn package(version: &str, sha256: &str) -> Package {
        Package {
            package: "linux".to_string(),
            version: version.to_string(),
            suite: "trixie".to_string(),
            file: format!("linux_{}.orig.tar.xz", version.trim_end_matches("-1")),
            sha256: sha256.to_string(),
        }
    }

    #[test]
    fn only_the_pin_and_the_name_change() {
        let newer = package("6.12.107-1", "new");
        let old = base("6.12.8", Source::Package(package("6.12.8-1", "old")));
        let name = renamed(&old, &newer);
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("ci")).unwrap();
        fs::write(folder.path().join(base::FILE), TEXT).unwrap();
        write(folder.path(), "6.12.8", &base(&name, Source::Package(newer))).unwrap();
        let text = fs::read_to_string(folder.path().join(base::FILE)).unwrap();
        assert_eq!(text, TEXT.replace("6.12.8", "6.12.107").replace("\"old\"", "\"new\""));
    }

    #[test]
    fn what_a_newer_one_has_besides_is_named() {
        let text = TEXT.replace("series = \"6.12\"\n", "series = \"6.12\"\nhas = [\"userxattr\"] # so far\n");
        let newer = Source::Package(package("6.12.8-2", "old"));
        let has =
            |features: &[Feature]| Base { has: features.iter().copied().collect(), ..base("6.12.8", newer.clone()) };
        let same = repinned(&text, "6.12.8", &has(&[Feature::Userxattr])).unwrap();
        assert!(same.contains("\nhas = [\"userxattr\"] # so far\n"), "{same}");
        let more = repinned(&text, "6.12.8", &has(&[Feature::Userxattr, Feature::FsContext])).unwrap();
        assert!(more.contains("\nhas = [\"userxattr\", \"fs-context\"] # so far\n"), "{more}");
    }

    #[test]
    fn a_name_that_is_no_version_stays() {
        let living = base("trixie", Source::Package(package("6.12.8-1", "old")));
        assert_eq!(renamed(&living, &package("6.12.107-1", "new")), "trixie");
    }

    #[test]
    fn a_commit_is_pinned_to_its_tree() {
        let git = Git { git: "/linux".to_string(), commit: "c".to_string(), tree: Some("t".to_string()) };
        let text = repinned(TEXT, "tip", &base("tip", Source::Git(git))).unwrap();
        assert_eq!(text, TEXT.to_string() + "tree = \"t\"\n");
    }

    #[test]
    fn what_is_not_there_is_not_pinned() {
        let error = repinned(TEXT, "7.3.4", &base("7.3.4", Source::Package(package("7.3.5-1", "")))).unwrap_err();
        assert_eq!(error, "it has no base \"7.3.4\"");
    }
}
