// SPDX-License-Identifier: MIT OR Apache-2.0
//! Few killers that together kill all that is killed: enough to show that each of them is needed.

use std::collections::{BTreeMap, BTreeSet};

use crate::mutants::MutantResult;

/// Greedy: those first that kill most of what is left, of equals the first by name.
pub fn cover(fates: &[MutantResult]) -> Vec<String> {
    let mut kills: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for (place, fate) in fates.iter().enumerate() {
        for killer in &fate.killed_by {
            kills.entry(&killer.name).or_default().insert(place);
        }
    }
    let mut left: BTreeSet<usize> = kills.values().flatten().copied().collect();
    let mut chosen = Vec::new();
    while !left.is_empty() {
        let most = kills.iter().rev().max_by_key(|(_, killed)| killed.intersection(&left).count());
        let Some((name, killed)) = most else { break };
        chosen.push((*name).to_string());
        left.retain(|place| !killed.contains(place));
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutants::outcome::tests::fate;

    #[test]
    fn every_mutant_that_is_killed_is_covered_by_few() {
        let of = |killers: &[&str]| fate("m", killers, None, None, 1);
        let fates = [of(&["a", "b"]), of(&["b"]), of(&["b", "c"]), of(&["c", "d"]), of(&[])];
        assert_eq!(cover(&fates), ["b", "c"]);
        assert!(cover(&[of(&[])]).is_empty());
    }
}
