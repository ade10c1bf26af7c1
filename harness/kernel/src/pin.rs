// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changes the pin of a base in `ci/bases.toml`. Comments and everything else are preserved.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use toml_edit::{DocumentMut, Item, Key, TableLike, Value};
use vremount_util::atomic_file::AtomicFile;
use vremount_util::io_error;

use crate::base::{self, Base, Package, Source, upstream_version};
use crate::error::Error;

/// The name of a base after it is pinned to a newer package: a base that is named after its version
/// is renamed, any other base keeps its name.
#[must_use]
pub fn renamed_base(base: &Base, newer: &Package) -> String {
    match &base.source {
        Source::Package(package) if upstream_version(&package.version) == base.name => {
            upstream_version(&newer.version).to_string()
        }
        _ => base.name.clone(),
    }
}

/// Writes the source, the features and the name of `pinned` to base `name` in the `ci/bases.toml`
/// below `root`.
///
/// # Errors
/// [`Error::Usage`] if the file has no such base or is malformed, [`Error::Io`] if it cannot be
/// read or written.
pub fn write_pin(root: &Path, name: &str, pinned: &Base) -> Result<(), Error> {
    let path = root.join(base::FILE);
    let text = fs::read_to_string(&path).map_err(io_error("read", &path))?;
    let text = replace_pin(&text, name, pinned)
        .map_err(|reason| Error::Usage(format!("failed to pin {name} in {}: {reason}", path.display())))?;
    Ok(AtomicFile::new(&path)?.write(&text)?)
}

/// The text of the file with the new pin. The error is what is missing or malformed.
fn replace_pin(text: &str, name: &str, pinned: &Base) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
    let base = document.get_mut("bases").and_then(|bases| bases.get_mut(name)).and_then(Item::as_table_like_mut);
    let base = base.ok_or_else(|| format!("it has no base {name:?}"))?;
    let features: Vec<_> = pinned.features.iter().map(ToString::to_string).collect();
    let listed = base.get("has").and_then(Item::as_array).into_iter().flatten().filter_map(Value::as_str);
    if listed.collect::<BTreeSet<_>>() != features.iter().map(String::as_str).collect() {
        set(base, "has", features.into_iter().collect::<Value>());
    }
    let source = base
        .get_mut("source")
        .and_then(Item::as_table_like_mut)
        .ok_or_else(|| format!("base {name:?} has no source"))?;
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
        let bases = bases.ok_or_else(|| "`bases` is not a table".to_string())?;
        if let Some(base) = bases.remove(name) {
            bases.insert_formatted(&Key::new(&pinned.name), base);
        }
        if document.get("default").and_then(Item::as_str) == Some(name) {
            set(document.as_table_mut(), "default", pinned.name.as_str());
        }
    }
    Ok(document.to_string())
}

/// Sets a value. The comments around an existing value are preserved.
fn set(table: &mut dyn TableLike, key: &str, value: impl Into<Value>) {
    let mut value = value.into();
    match table.get_mut(key).and_then(Item::as_value_mut) {
        // insert() would drop the comments of the key.
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

    const TEXT: &str = r#"# Comment of the file.
default = "6.12.8" # comment of the default

[bases."6.12.8"]
# Comment of the base.
series = "6.12"

[bases."6.12.8".fixes]
um = ["a.patch"]

[bases."6.12.8".source]
package = "linux"
version = "6.12.8-1" # comment of the version
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
            make_args: make,
            config_fragments: Vec::new(),
            features: std::collections::BTreeSet::new(),
            fixes,
            source,
            pre_applied: PreApplied::None,
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
    fn only_pin_and_name_change() {
        let newer = package("6.12.107-1", "new");
        let old = base("6.12.8", Source::Package(package("6.12.8-1", "old")));
        let name = renamed_base(&old, &newer);
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("ci")).unwrap();
        fs::write(folder.path().join(base::FILE), TEXT).unwrap();
        write_pin(folder.path(), "6.12.8", &base(&name, Source::Package(newer))).unwrap();
        let text = fs::read_to_string(folder.path().join(base::FILE)).unwrap();
        assert_eq!(text, TEXT.replace("6.12.8", "6.12.107").replace("\"old\"", "\"new\""));
    }

    #[test]
    fn changed_features_are_written() {
        let text = TEXT.replace("series = \"6.12\"\n", "series = \"6.12\"\nhas = [\"userxattr\"] # comment\n");
        let newer = Source::Package(package("6.12.8-2", "old"));
        let has = |features: &[Feature]| Base {
            features: features.iter().copied().collect(),
            ..base("6.12.8", newer.clone())
        };
        let same = replace_pin(&text, "6.12.8", &has(&[Feature::Userxattr])).unwrap();
        assert!(same.contains("\nhas = [\"userxattr\"] # comment\n"), "{same}");
        let more = replace_pin(&text, "6.12.8", &has(&[Feature::Userxattr, Feature::FsContext])).unwrap();
        assert!(more.contains("\nhas = [\"userxattr\", \"fs-context\"] # comment\n"), "{more}");
    }

    #[test]
    fn name_that_is_no_version_is_kept() {
        let trixie = base("trixie", Source::Package(package("6.12.8-1", "old")));
        assert_eq!(renamed_base(&trixie, &package("6.12.107-1", "new")), "trixie");
    }

    #[test]
    fn tree_of_a_commit_is_pinned() {
        let git = Git { git: "/linux".to_string(), commit: "c".to_string(), tree: Some("t".to_string()) };
        let text = replace_pin(TEXT, "tip", &base("tip", Source::Git(git))).unwrap();
        assert_eq!(text, TEXT.to_string() + "tree = \"t\"\n");
    }

    #[test]
    fn unknown_base_is_refused() {
        let error = replace_pin(TEXT, "7.3.4", &base("7.3.4", Source::Package(package("7.3.5-1", "")))).unwrap_err();
        assert_eq!(error, "it has no base \"7.3.4\"");
    }
}
