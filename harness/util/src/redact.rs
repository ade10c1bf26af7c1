// SPDX-License-Identifier: MIT OR Apache-2.0
//! Removes credentials from what is logged or shown.

/// Removes user and password from a URL: `https://user:token@host/path` becomes
/// `https://host/path`. Other text is returned unchanged.
#[must_use]
pub fn strip_credentials(arg: &str) -> String {
    let Some((scheme, rest)) = arg.split_once("://") else { return arg.to_string() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::user_and_password("git:https://me:secret@a.example/linux.git#v6.1", "git:https://a.example/linux.git#v6.1")]
    #[case::at_sign_in_path("git:https://a.example/linux@home.git#v6.1", "git:https://a.example/linux@home.git#v6.1")]
    #[case::scp_syntax("git:me@a.example:linux", "git:me@a.example:linux")]
    #[case::option("--fs", "--fs")]
    fn credentials_are_removed_from_urls(#[case] arg: &str, #[case] expected: &str) {
        assert_eq!(strip_credentials(arg), expected);
    }
}
