// SPDX-License-Identifier: MIT OR Apache-2.0
//! The script as a whole.

use vremount_claims::refusal_reason::Reason;
use vremount_claims::{Claim, Expectation, Step, describe};
use vremount_machine::image::{Fs, TOOLS};
use vremount_protocol::Op;
use vremount_runner::transcript::Title;

use crate::reproduce::library::{Function, commands, used_by};
use crate::reproduce::shell_call::ShellCheck;
use crate::reproduce::{Unsupported, shell_call};

/// A claim on a filesystem as a POSIX shell script.
///
/// # Errors
/// If a step is nothing that a shell can do.
pub fn of_claim(claim: &Claim, fs: Fs) -> Result<String, Unsupported> {
    let printed_by = format!("vremount reproduce {} --fs {}", claim.name, fs.name());
    script(Title::of(claim, fs), &claim.steps, &printed_by)
}

/// Steps as a POSIX shell script, and the command that printed it.
///
/// # Errors
/// If a step is nothing that a shell can do.
pub fn script(title: Title<'_>, steps: &[Step], printed_by: &str) -> Result<String, Unsupported> {
    if let Some(why) = super::no_script(steps) {
        return Err(why);
    }
    let steps = in_calls(steps, title.fs)?;
    let calls: Vec<_> = steps.iter().map(|step| format!("{}\n{}", step.call, step.check)).collect();
    let roots = format!("begin\ngiven\nclaim\n{}", calls.join("\n"));
    let finds = finds(&used_by(&roots));
    let functions: Vec<_> = used_by(&format!("{roots}{finds}")).iter().map(|function| function.text).collect();
    let functions = [functions.join("\n\n"), find_reason()].join("\n\n");
    let settings = settings(title.fs);
    let used = commands(&functions).into_iter().chain(commands(&settings)).collect::<Vec<_>>();
    let tools =
        TOOLS.iter().filter(|(tool, _)| used.contains(tool)).map(|(tool, package)| format!(" {tool}:{package}"));
    let tools: String = tools.collect();
    let steps: String = steps.iter().map(|step| format!("\n{}\n", step.in_lines())).collect();
    Ok(format!(
        "{}\n\n{settings}\n\n{functions}\n\nbegin{tools}{finds}\n{steps}\necho 'as claimed: every step led to what it must'\n",
        head(title, printed_by)
    ))
}

/// What each step of a script expects, in its words.
///
/// # Errors
/// If a step is nothing that a shell can do.
pub fn expected(claim: &Claim, fs: Fs) -> Result<Vec<String>, Unsupported> {
    Ok(in_calls(&claim.steps, fs)?.into_iter().map(|call| call.expected).collect())
}

/// Lines that find tools of which not all that have the name will do.
pub fn finds(used: &[&Function]) -> String {
    let tools = [("sync", "coreutils"), ("setpriv", "reuid")];
    let used = |tool: &str| used.iter().any(|function| function.text.contains(&format!("\"${tool}\"")));
    tools.iter().filter(|(tool, _)| used(tool)).map(|(tool, says)| format!("\nfind_tool {tool} {says}")).collect()
}

fn head(Title { claim, title, sentence, fs }: Title<'_>, printed_by: &str) -> String {
    let sentence = if sentence.is_empty() { String::new() } else { format!("\n# \"{sentence}\"\n#") };
    format!(
        "#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# {claim} on {fs}: {title}.
#{sentence}
# To be run as root. All that it makes is in a folder of its own, on loop devices, and is taken down in the end. It says what it
# expects and what it gets, and exits with 0 if all is as claimed, 1 if the claim is broken, 125 if it cannot tell.
# Printed by: {printed_by}
# shellcheck disable=SC2034,SC2154 # what is set for functions that this claim has no use for
set -u
LC_ALL=C LIBMOUNT_FORCE_MOUNT2=always PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL LIBMOUNT_FORCE_MOUNT2 PATH
number=0 top='' loops='' devices='' frozen='' later='' interval=''",
        fs = fs.name(),
    )
}

/// What differs from one filesystem to another.
fn settings(fs: Fs) -> String {
    let mounted = fs.filesystem();
    let subvolume = mounted.subvolume.as_ref().map(|name| format!("subvol={name}"));
    let options: Vec<_> = [mounted.options].into_iter().filter(|o| !o.is_empty()).chain(subvolume).collect();
    let how = format!("upper_type={} upper_options={}", mounted.kind, options.join(","));
    let Some(mkfs) = fs.mkfs() else { return how };
    let env: Vec<_> = mkfs.env().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let args = mkfs.args_for("\"$1\"").join(" ");
    let (mib, program, env) = (mkfs.image_mib, mkfs.program, env.join(" "));
    let export = if env.is_empty() { env } else { format!("    export {env}\n") };
    format!("{how} image_mib={mib}\n\nmake_filesystem() {{\n{export}    must {program} {args}\n}}")
}

/// The reasons that this program knows, as a function.
pub fn find_reason() -> String {
    let quoted = |words: &str| words.replace('\'', "'\\''");
    let cases = Reason::words()
        .map(|(words, reason)| format!("    *'overlay'*': '*'{}'*) reason='{reason}' ;;\n", quoted(words)));
    let cases: String = cases.collect();
    format!(
        "# The reason that a line of the kernel log states, if it does.\nfind_reason() {{\n    case $1 in\n{cases}    *) reason='' ;;\n    esac\n}}"
    )
}

/// A step of a script.
pub struct Call {
    /// Whether it is the claim.
    pub claimed: bool,
    pub words: String,
    /// What does it.
    pub call: String,
    /// What looks at the outcome.
    pub check: String,
    /// What that outcome must be, in the words of the script.
    pub expected: String,
}

impl Call {
    pub fn in_lines(&self) -> String {
        let kind = if self.claimed { "claim" } else { "given" };
        format!("{kind} '{}'\n{}\n{}", self.words.replace('\'', "'\\''"), self.call, self.check)
    }
}

/// All steps but for what happens to the machine.
pub fn in_calls(steps: &[Step], fs: Fs) -> Result<Vec<Call>, Unsupported> {
    let mut told = false;
    let mut calls = Vec::new();
    for step in steps {
        let (claimed, op, mut want) = match step {
            Step::Precondition(op, want) => (false, op, *want),
            Step::Assertion(op, want) => (true, op, *want),
            Step::Host(_) => continue,
        };
        let mut words = describe(op);
        match op {
            Op::Break { .. } => told = false,
            // A shell has no descriptor from before the error, and who opens the filesystem after somebody was told is not.
            Op::SyncUpper { .. } if told && want == Expectation::Fails(libc::EIO) => {
                words += ", where nobody is told a second time";
                want = Expectation::Done;
            }
            Op::SyncUpper { .. } | Op::SyncUpperAfresh { .. } | Op::Join => {
                told |= want == Expectation::Fails(libc::EIO)
            }
            _ => {}
        }
        let (call, ShellCheck { check, expected }) = (shell_call::call(op, fs)?, shell_call::expectation(op, want)?);
        calls.push(Call { claimed, words, call, check, expected });
    }
    Ok(calls)
}

#[cfg(test)]
mod tests {
    use vremount_claims as claims;

    use super::*;
    use crate::reproduce::library::names;
    use crate::reproduce::no_script;

    fn scripts() -> Vec<String> {
        let claims = claims::all();
        let fit = claims.iter().filter(|claim| no_script(&claim.steps).is_none());
        let on_all = |claim| [Fs::Ext4, Fs::BtrfsSubvolume, Fs::Tmpfs].map(|fs| of_claim(claim, fs).unwrap());
        fit.flat_map(on_all).collect()
    }

    #[test]
    fn nothing_in_the_library_is_without_use() {
        let scripts = scripts();
        for name in names() {
            assert!(scripts.iter().any(|script| script.contains(&format!("\n{name}() {{\n"))), "{name}");
        }
    }
}
