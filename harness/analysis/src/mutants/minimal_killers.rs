// SPDX-License-Identifier: MIT OR Apache-2.0
//! Chooses a small set of killers that together detect every detected mutant.

use std::collections::{BTreeMap, BTreeSet};

use crate::mutants::outcome::MutantResult;

/// Greedy cover: chooses the killer of the most mutants not yet covered, of equal ones the first by
/// name, until all are covered. The set is small, but not always the smallest.
pub fn cover(results: &[MutantResult]) -> Vec<String> {
    let mut mutants_of: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for (index, result) in results.iter().enumerate() {
        for killer in &result.killed_by {
            mutants_of.entry(&killer.name).or_default().insert(index);
        }
    }
    let mut uncovered: BTreeSet<usize> = mutants_of.values().flatten().copied().collect();
    let mut chosen = Vec::new();
    while !uncovered.is_empty() {
        let best = mutants_of.iter().rev().max_by_key(|(_, mutants)| mutants.intersection(&uncovered).count());
        let Some((name, mutants)) = best else { break };
        chosen.push((*name).to_string());
        uncovered.retain(|index| !mutants.contains(index));
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutants::outcome::tests::result;

    #[test]
    fn every_killed_mutant_is_covered() {
        let killed_by = |killers: &[&str]| result("m", killers, None, None, 1);
        let results =
            [killed_by(&["a", "b"]), killed_by(&["b"]), killed_by(&["b", "c"]), killed_by(&["c", "d"]), killed_by(&[])];
        assert_eq!(cover(&results), ["b", "c"]);
        assert!(cover(&[killed_by(&[])]).is_empty());
    }
}
