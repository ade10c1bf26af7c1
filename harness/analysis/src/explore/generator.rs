// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which sequences: every short one over the small alphabet, then random longer ones over the large. All of them are such
//! that the model knows what comes of every step.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use proptest_state_machine::Sequential;
use vremount_claims::Action;
use vremount_claims::model::{ModelState, OutOfModel};
use vremount_kernel::base::Level;
use vremount_machine::image::Fs;

use crate::explore::foretell;
use crate::explore::operations::{ActionGroup, LARGE, OPENINGS, SMALL, USED, closing, guest};

/// Longest sequences that are all tried: most bugs of filesystems need no more.
pub const EVERY: u32 = 3;

/// Which sequences are explored; the same plan is the same sequences.
pub struct ExplorePlan {
    pub fs: Fs,
    pub sequences: u64,
    /// Most steps of a random one, the opening aside.
    pub steps: usize,
    pub seed: u64,
    /// How a command line asks for the kernel and what it runs on, for who does it again; none, if it cannot.
    pub on: Option<String>,
    every: Vec<Vec<Action>>,
}

impl ExplorePlan {
    /// `every`: the longest sequences that are all tried, before any random one.
    #[must_use]
    pub fn new(fs: Fs, sequences: u64, steps: usize, seed: u64, every: u32) -> Self {
        ExplorePlan { fs, sequences, steps, seed, on: None, every: every_short(fs, every) }
    }

    /// The same, on what a command line asks for so.
    #[must_use]
    pub fn on(self, on: String) -> Self {
        ExplorePlan { on: Some(on), ..self }
    }

    /// Of no sequence: what is done is known.
    #[must_use]
    pub fn to_replay(fs: Fs) -> Self {
        ExplorePlan::new(fs, 0, 0, 0, 0)
    }

    /// How many of them come before the random ones.
    #[must_use]
    pub fn every(&self) -> u64 {
        self.sequences.min(self.every.len() as u64)
    }

    /// The acts of the sequence with this number.
    #[must_use]
    pub fn acts(&self, number: u64) -> Vec<Action> {
        let short = usize::try_from(number).ok().and_then(|number| self.every.get(number));
        short
            .cloned()
            .unwrap_or_else(|| self.random(number).map_or_else(Vec::new, |tree| self.acts_of(&tree.current())))
    }

    /// A random sequence, to shrink; none if it is one of the short ones.
    pub(super) fn random(&self, number: u64) -> Option<impl ValueTree<Value = Random> + use<>> {
        if number < self.every.len() as u64 {
            return None;
        }
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seed.to_le_bytes());
        seed[8..16].copy_from_slice(&number.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let config = Config { failure_persistence: None, max_local_rejects: u32::MAX, ..Config::default() };
        self.strategy().new_tree(&mut TestRunner::new_with_rng(config, rng)).ok()
    }

    /// The model is the state machine: what it cannot tell is no move.
    fn strategy(&self) -> impl Strategy<Value = Random> + use<> {
        let fs = self.fs;
        let start = move |opening: usize| {
            let world = after(&ModelState::new(Level::FULL, fs), &OPENINGS[opening]).ok()?;
            Some(State { opening, world })
        };
        Sequential::new(
            (1..=self.steps).into(),
            move || (0..OPENINGS.len()).prop_filter_map("the model does not know this opening", start),
            |state: &State, letter: &ActionGroup| after(&state.world, letter).is_ok(),
            |_| (0..LARGE.len()).prop_map(|letter| LARGE[letter].clone()),
            |state, letter| match after(&state.world, letter) {
                Ok(world) => State { world, ..state },
                // Not reached: its precondition does not hold.
                Err(_) => state,
            },
        )
    }

    /// The acts that a random sequence stands for.
    pub(super) fn acts_of(&self, (start, moves, _): &Random) -> Vec<Action> {
        closed(self.fs, [OPENINGS[start.opening].clone(), moves.concat()].concat())
    }
}

/// Initial state, moves, and how many of them were worked off, which shrinking wants to know.
pub(super) type Random = (State, Vec<ActionGroup>, Option<Arc<AtomicUsize>>);

#[derive(Debug, Clone)]
pub(super) struct State {
    opening: usize,
    world: ModelState,
}

/// The world after acts.
fn after(world: &ModelState, acts: &[Action]) -> Result<ModelState, OutOfModel> {
    let mut world = world.clone();
    for act in acts {
        world = match act {
            Action::Guest(op) => world.op(op)?.0,
            Action::HostAction(host) => world.host(*host)?,
        };
    }
    Ok(world)
}

/// Every sequence of up to so many letters that the model can tell, shortest first.
fn every_short(fs: Fs, longest: u32) -> Vec<Vec<Action>> {
    let opening = &OPENINGS[USED];
    let Ok(start) = after(&ModelState::new(Level::FULL, fs), opening) else { return Vec::new() };
    let mut all = if longest > 0 { vec![closed(fs, opening.clone())] } else { Vec::new() };
    let mut longer = vec![(opening.clone(), start)];
    for _ in 0..longest {
        let mut next = Vec::new();
        for (acts, world) in &longer {
            for letter in SMALL.iter() {
                if let Ok(world) = after(world, letter) {
                    next.push(([acts.as_slice(), letter].concat(), world));
                }
            }
        }
        all.extend(next.iter().map(|(acts, _)| closed(fs, acts.clone())));
        longer = next;
    }
    // What ends as the closing begins was there without it.
    let mut known = HashSet::new();
    all.retain(|acts| known.insert(format!("{acts:?}")));
    all
}

/// With as much of the closing as can be told.
fn closed(fs: Fs, mut acts: Vec<Action>) -> Vec<Action> {
    for act in guest(closing()) {
        acts.push(act);
        if foretell(fs, &acts).is_err() {
            acts.pop();
        }
    }
    acts
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use vremount_claims::refusal_reason::Reason;
    use vremount_claims::{Expectation, HostStep, Step};

    use super::*;

    fn plan(fs: Fs) -> ExplorePlan {
        ExplorePlan::new(fs, 1500, 12, 1, 2)
    }

    #[test]
    fn the_same_plan_is_the_same_sequences_and_another_seed_is_not() {
        let acts = |seed| {
            let plan = ExplorePlan::new(Fs::Ext4, 500, 12, seed, 1);
            (0..500).map(|number| plan.acts(number)).collect::<Vec<_>>()
        };
        assert_eq!(acts(1), acts(1));
        assert_ne!(acts(1), acts(2));
    }

    #[test]
    fn short_ones_come_first_and_each_once() {
        let plan = plan(Fs::Ext4);
        let short: Vec<_> = (0..plan.every()).map(|number| plan.acts(number)).collect();
        assert!(plan.every() > SMALL.len() as u64);
        assert_eq!(short.iter().map(|acts| format!("{acts:?}")).collect::<BTreeSet<_>>().len(), short.len());
        assert!(plan.random(0).is_none() && plan.random(plan.every()).is_some());
    }

    /// Refusals that three letters are enough for.
    const SHORT: [Reason; 10] = [
        Reason::NotVolatile,
        Reason::InUse,
        Reason::NoCheckpoint,
        Reason::BadCheckpoint,
        Reason::OtherBoot,
        Reason::UpperRemounted,
        Reason::WritebackError,
        Reason::UnseenError,
        Reason::Incompat,
        Reason::Unreadable,
    ];

    /// Refusals that are foretold of these sequences of a plan.
    fn refusals(plan: &ExplorePlan, numbers: std::ops::Range<u64>) -> BTreeSet<String> {
        let steps = numbers.flat_map(|number| foretell(plan.fs, &plan.acts(number)).unwrap());
        let refused = |step| match step {
            Step::Assertion(_, Expectation::Refused { reason, .. }) => Some(reason.to_string()),
            _ => None,
        };
        steps.filter_map(refused).collect()
    }

    /// A model that knows less leaves out more of them: it would show here.
    #[test]
    fn short_ones_reach_all_that_is_of_one_machine_and_one_disk() {
        let plan = ExplorePlan::new(Fs::Ext4, 10_000, 12, 1, EVERY);
        assert_eq!(plan.every(), 3849);
        assert_eq!(refusals(&plan, 0..plan.every()), BTreeSet::from(SHORT.map(|reason| reason.to_string())));
    }

    /// What is never foretold is never compared.
    #[test]
    fn every_outcome_of_a_mount_is_reached() {
        let plan = plan(Fs::Ext4);
        let steps: Vec<Step> =
            (0..plan.sequences).flat_map(|number| foretell(plan.fs, &plan.acts(number)).unwrap()).collect();
        // By random ones alone, one of which needs another mount of the upper.
        let all: Vec<_> = SHORT.into_iter().chain([Reason::UpperReadOnly]).map(|reason| reason.to_string()).collect();
        assert_eq!(refusals(&plan, plan.every()..plan.sequences), BTreeSet::from_iter(all));
        for step in [Step::Host(HostStep::Reboot), Step::Host(HostStep::PowerCut)] {
            assert!(steps.contains(&step), "{step}");
        }
        for want in [
            Expectation::Mounted,
            Expectation::MountedReadOnly,
            Expectation::Differs,
            Expectation::Fails(libc::EIO),
            Expectation::Fails(libc::EAGAIN),
        ] {
            assert!(steps.iter().any(|step| matches!(step, Step::Assertion(_, w) if *w == want)), "{want}");
        }
    }

    #[test]
    fn sequences_are_found_on_every_filesystem() {
        for fs in Fs::ALL {
            let plan = ExplorePlan::new(fs, 40, 12, 1, 1);
            assert!(
                (0..plan.sequences).all(|number| foretell(fs, &plan.acts(number)).is_ok_and(|steps| steps.len() > 2))
            );
        }
    }
}
