// SPDX-License-Identifier: MIT OR Apache-2.0
//! One line a claim.

use std::fmt;

use crate::error::Exit;
use crate::prove::Proof;
use crate::verdict::{Seen, Verdict};

/// The line of a proof: verdict, claim, filesystem, outcome, time; below it, why it is not `holds`.
#[must_use]
pub fn line(proof: &Proof) -> String {
    let judgement = &proof.judgement;
    let outcome = judgement.observed.as_ref().map_or_else(|| "-".to_string(), Seen::to_string);
    let mut line = format!(
        "{:<12} {:<28} {:<15} {:<32} {:>5.2} s",
        judgement.verdict.to_string(),
        proof.claim,
        proof.fs.name(),
        outcome,
        proof.time.as_secs_f64()
    );
    if let Some(because) = &judgement.because {
        line += &format!("\n             {because}\n             see {}", proof.log.display());
    }
    line
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Holds => "holds",
            Verdict::Broken => "broken",
            Verdict::CannotTell => "cannot tell",
            Verdict::Skipped => "skipped",
        })
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.outcome)?;
        if let Some(errno) = &self.errno {
            write!(f, " {errno}")?;
        }
        if let Some(reason) = &self.reason {
            write!(f, " {reason}")?;
        }
        Ok(())
    }
}

/// How many claims came out which way.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    pub holds: usize,
    pub broken: usize,
    pub cannot_tell: usize,
    pub skipped: usize,
}

impl Tally {
    pub fn count(&mut self, proof: &Proof) {
        *match proof.judgement.verdict {
            Verdict::Holds => &mut self.holds,
            Verdict::Broken => &mut self.broken,
            Verdict::CannotTell => &mut self.cannot_tell,
            Verdict::Skipped => &mut self.skipped,
        } += 1;
    }

    /// How many there are.
    #[must_use]
    pub fn total(self) -> usize {
        self.holds + self.broken + self.cannot_tell + self.skipped
    }

    /// What it means for the command as a whole. What is broken weighs more than what nobody can tell.
    #[must_use]
    pub fn exit(self) -> Exit {
        match self {
            Tally { broken: 1.., .. } => Exit::Broken,
            Tally { cannot_tell: 1.., .. } => Exit::CannotTell,
            _ => Exit::Holds,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { holds, broken, cannot_tell, skipped } = self;
        write!(f, "{holds} hold, {broken} broken, {cannot_tell} cannot tell, {skipped} skipped")
    }
}
