// SPDX-License-Identifier: MIT OR Apache-2.0
//! Prints a claim as a POSIX shell script.

use vremount_claims::refusal_reason::Reason;
use vremount_claims::{Claim, Expectation, HostStep, Step, describe};
use vremount_machine::image::{Fs, TOOLS};
use vremount_protocol::Op;
use vremount_runner::transcript::Title;

use crate::reproduce::library::{Function, commands, used_by};
use crate::reproduce::shell_call::{Unsupported, call};
use crate::reproduce::shell_check::{ShellCheck, expectation};

/// Why steps cannot be a script; none if they can.
#[must_use]
pub fn unsupported_reason(steps: &[Step]) -> Option<Unsupported> {
    steps.iter().find_map(|step| match step {
        Step::Precondition(op, expected) | Step::Assertion(op, expected) => {
            call(op, Fs::Ext4).err().or_else(|| expectation(op, *expected).err())
        }
        Step::Host(HostStep::Reboot | HostStep::PowerCut | HostStep::Kexec) => {
            Some("the machine is restarted, which ends the script")
        }
    })
}

/// A claim on a filesystem as a POSIX shell script.
///
/// # Errors
/// If a shell cannot perform a step.
pub fn claim_script(claim: &Claim, fs: Fs) -> Result<String, Unsupported> {
    let printed_by = format!("vremount reproduce {} --fs {}", claim.name, fs.name());
    script(Title::from_claim(claim, fs), &claim.steps, &printed_by)
}

/// Steps as a POSIX shell script. `printed_by` is the command that prints it, quoted for a shell.
///
/// # Errors
/// If a shell cannot perform a step.
pub fn script(title: Title<'_>, steps: &[Step], printed_by: &str) -> Result<String, Unsupported> {
    if let Some(why) = unsupported_reason(steps) {
        return Err(why);
    }
    let steps = to_calls(steps, title.fs)?;
    let calls: Vec<_> = steps.iter().map(|step| format!("{}\n{}", step.call, step.check)).collect();
    let roots = format!("begin\nprecondition\nassertion\n{}", calls.join("\n"));
    let find_tools = find_tools(&used_by(&roots));
    let functions: Vec<_> = used_by(&format!("{roots}{find_tools}")).iter().map(|function| function.text).collect();
    let functions = [functions.join("\n\n"), find_reason()].join("\n\n");
    let settings = settings(title.fs);
    let used = commands(&functions).into_iter().chain(commands(&settings)).collect::<Vec<_>>();
    let tools =
        TOOLS.iter().filter(|(tool, _)| used.contains(tool)).map(|(tool, package)| format!(" {tool}:{package}"));
    let tools: String = tools.collect();
    let steps: String = steps.iter().map(|step| format!("\n{}\n", step.text())).collect();
    Ok(format!(
        "{}\n\n{settings}\n\n{functions}\n\nbegin{tools}{find_tools}\n{steps}\necho 'holds: every step has the expected outcome'\n",
        head(title, printed_by)
    ))
}

/// The expected outcome of each step, as the script prints it.
///
/// # Errors
/// If a shell cannot perform a step.
pub fn expected_outcomes(claim: &Claim, fs: Fs) -> Result<Vec<String>, Unsupported> {
    Ok(to_calls(&claim.steps, fs)?.into_iter().map(|call| call.expected).collect())
}

/// Lines that search for tools of which another program of the same name may come first in PATH.
pub fn find_tools(used: &[&Function]) -> String {
    let tools = [("sync", "coreutils"), ("setpriv", "reuid")];
    let is_used = |tool: &str| used.iter().any(|function| function.text.contains(&format!("\"${tool}\"")));
    tools.iter().filter(|(tool, _)| is_used(tool)).map(|(tool, word)| format!("\nfind_tool {tool} {word}")).collect()
}

fn head(Title { claim, title, sentence, fs }: Title<'_>, printed_by: &str) -> String {
    let sentence = if sentence.is_empty() { String::new() } else { format!("\n# \"{sentence}\"\n#") };
    // A quoted path may contain newlines.
    let printed_by = printed_by.replace('\n', "\n# ");
    format!(
        "#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# {claim} on {fs}: {title}.
#{sentence}
# Run this as root. Everything that it creates is in a directory of its own and on loop devices, and
# is removed at the end. It prints the expected and the observed outcome of each step. Exit code:
# 0 every step has the expected outcome, 1 the claim is broken, 125 cannot tell.
# Printed by: {printed_by}
# shellcheck disable=SC2034,SC2154 # variables of functions that this claim does not use
set -u
LC_ALL=C LIBMOUNT_FORCE_MOUNT2=always PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL LIBMOUNT_FORCE_MOUNT2 PATH
number=0 top='' loops='' devices='' frozen='' later='' interval=''",
        fs = fs.name(),
    )
}

/// Variables and a function that depend on the filesystem.
fn settings(fs: Fs) -> String {
    let mounted = fs.filesystem();
    let subvolume = mounted.subvolume.as_ref().map(|name| format!("subvol={name}"));
    let options: Vec<_> = [mounted.options].into_iter().filter(|o| !o.is_empty()).chain(subvolume).collect();
    let variables = format!("upper_type={} upper_options={}", mounted.kind, options.join(","));
    let Some(mkfs) = fs.mkfs() else { return variables };
    let env: Vec<_> = mkfs.env().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let args = mkfs.args_for("\"$1\"").join(" ");
    let (mib, program, env) = (mkfs.image_mib, mkfs.program, env.join(" "));
    let export = if env.is_empty() { env } else { format!("    export {env}\n") };
    format!("{variables} image_mib={mib}\n\nmake_filesystem() {{\n{export}    must {program} {args}\n}}")
}

/// A shell function that finds the reason in a line of the kernel log.
pub fn find_reason() -> String {
    let cases = Reason::log_patterns()
        .map(|(words, reason)| format!("    *'overlay'*': '*'{}'*) reason='{reason}' ;;\n", escape(words)));
    let cases: String = cases.collect();
    format!(
        "# Sets reason to the reason of a refusal in a line of the kernel log; empty if there is none.\nfind_reason() {{\n    case $1 in\n{cases}    *) reason='' ;;\n    esac\n}}"
    )
}

/// Escapes text for the inside of single quotes.
fn escape(text: &str) -> String {
    text.replace('\'', "'\\''")
}

/// A step of a script.
pub struct Call {
    /// Whether the step is an assertion, and not a precondition.
    pub is_assertion: bool,
    /// What the step does, as the script prints it.
    pub description: String,
    /// The shell commands that perform it.
    pub call: String,
    /// The shell command that checks the outcome.
    pub check: String,
    /// The expected outcome, as the script prints it.
    pub expected: String,
}

impl Call {
    /// The lines of the script.
    pub fn text(&self) -> String {
        let kind = if self.is_assertion { "assertion" } else { "precondition" };
        format!("{kind} '{}'\n{}\n{}", escape(&self.description), self.call, self.check)
    }
}

/// Translates all steps of the guest. Steps of the host are left out.
///
/// # Errors
/// If a shell cannot perform a step.
pub fn to_calls(steps: &[Step], fs: Fs) -> Result<Vec<Call>, Unsupported> {
    // Whether a syncfs(2) has reported the error of the superblock since the last fault.
    let mut is_reported = false;
    let mut calls = Vec::new();
    for step in steps {
        let (is_assertion, op, mut expected) = match step {
            Step::Precondition(op, expected) => (false, op, *expected),
            Step::Assertion(op, expected) => (true, op, *expected),
            Step::Host(_) => continue,
        };
        let mut description = describe(op);
        match op {
            Op::InjectFault { .. } => is_reported = false,
            // sync(1) opens a new descriptor, and an error that was reported before the open is not
            // reported on it again.
            Op::SyncUpper { .. } if is_reported && expected == Expectation::Fails(libc::EIO) => {
                description += ", on a new descriptor, to which the error is not reported again";
                expected = Expectation::Done;
            }
            Op::SyncUpper { .. } | Op::SyncUpperNewDescriptor { .. } | Op::JoinThread => {
                is_reported |= expected == Expectation::Fails(libc::EIO);
            }
            _ => {}
        }
        let (call, ShellCheck { check, expected }) = (call(op, fs)?, expectation(op, expected)?);
        calls.push(Call { is_assertion, description, call, check, expected });
    }
    Ok(calls)
}

#[cfg(test)]
mod tests {
    use vremount_claims as claims;

    use super::*;
    use crate::reproduce::library::names;

    fn scripts() -> Vec<String> {
        let claims = claims::all();
        let scriptable = claims.iter().filter(|claim| unsupported_reason(&claim.steps).is_none());
        let on_some = |claim| [Fs::Ext4, Fs::BtrfsSubvolume, Fs::Tmpfs].map(|fs| claim_script(claim, fs).unwrap());
        scriptable.flat_map(on_some).collect()
    }

    #[test]
    fn every_function_of_the_library_is_used() {
        let scripts = scripts();
        for name in names() {
            assert!(scripts.iter().any(|script| script.contains(&format!("\n{name}() {{\n"))), "{name}");
        }
    }

    #[test]
    fn newline_in_the_command_stays_in_the_comment() {
        let claims = claims::all();
        let claim = claims.iter().find(|claim| claim.name == "reuse").unwrap();
        let text = script(Title::from_claim(claim, Fs::Ext4), &claim.steps, "vremount --replay 'a\nb'").unwrap();
        assert!(text.contains("\n# Printed by: vremount --replay 'a\n# b'\n"), "{text}");
    }
}
