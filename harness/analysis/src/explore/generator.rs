// SPDX-License-Identifier: MIT OR Apache-2.0
//! Generates sequences of operations: first every short one over the small set, then random longer
//! ones over the large set. The model covers every step of them.

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

use crate::explore::operations::{ActionGroup, LARGE, OPENINGS, SMALL, USED, closing, guest};
use crate::explore::prediction::predict_steps;

/// Default length up to which all sequences are tried. Most bugs of filesystems need no more
/// operations.
pub const DEFAULT_EXHAUSTIVE_LENGTH: u32 = 3;

/// Which sequences are explored. Equal parameters give equal sequences.
pub struct ExplorePlan {
    /// The upper filesystem.
    pub fs: Fs,
    /// Number of sequences.
    pub sequences: u64,
    /// Maximum number of action groups of a random sequence, without opening and closing.
    pub max_steps: usize,
    /// Seed of the random sequences.
    pub seed: u64,
    /// Options of a command line that select the kernel and the executor, quoted for a shell; none
    /// if no command line can select the kernel.
    pub kernel_options: Option<String>,
    every: Vec<Vec<Action>>,
}

impl ExplorePlan {
    /// A plan that tries all sequences of up to `every` operations before any random one.
    #[must_use]
    pub fn new(fs: Fs, sequences: u64, steps: usize, seed: u64, every: u32) -> Self {
        ExplorePlan { fs, sequences, max_steps: steps, seed, kernel_options: None, every: every_short(fs, every) }
    }

    /// Sets the options that select kernel and executor. They must be quoted for a shell.
    #[must_use]
    pub fn with_kernel_options(self, on: String) -> Self {
        ExplorePlan { kernel_options: Some(on), ..self }
    }

    /// A plan without sequences, to repeat a transcript.
    #[must_use]
    pub fn for_replay(fs: Fs) -> Self {
        ExplorePlan::new(fs, 0, 0, 0, 0)
    }

    /// Number of sequences that come before the random ones.
    #[must_use]
    pub fn exhaustive_count(&self) -> u64 {
        self.sequences.min(self.every.len() as u64)
    }

    /// The actions of the sequence with this number.
    #[must_use]
    pub fn actions(&self, number: u64) -> Vec<Action> {
        let short = usize::try_from(number).ok().and_then(|number| self.every.get(number));
        short
            .cloned()
            .unwrap_or_else(|| self.random(number).map_or_else(Vec::new, |tree| self.to_actions(&tree.current())))
    }

    /// The random sequence with this number, which can be shortened; none if the number is of a
    /// short sequence.
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

    /// The model is the state machine. What it does not cover is not generated.
    fn strategy(&self) -> impl Strategy<Value = Random> + use<> {
        let fs = self.fs;
        let start = move |opening: usize| {
            let model = apply(&ModelState::new(Level::FULL, fs), &OPENINGS[opening]).ok()?;
            Some(State { opening, model })
        };
        Sequential::new(
            (1..=self.max_steps).into(),
            move || (0..OPENINGS.len()).prop_filter_map("the model does not cover this opening", start),
            |state: &State, group: &ActionGroup| apply(&state.model, group).is_ok(),
            |_| (0..LARGE.len()).prop_map(|index| LARGE[index].clone()),
            |state, group| match apply(&state.model, group) {
                Ok(model) => State { model, ..state },
                // Not reached: the precondition of the group does not hold.
                Err(_) => state,
            },
        )
    }

    /// The actions of a random sequence, with opening and closing.
    pub(super) fn to_actions(&self, (start, groups, _): &Random) -> Vec<Action> {
        with_closing(self.fs, [OPENINGS[start.opening].clone(), groups.concat()].concat())
    }
}

/// Initial state, action groups, and the number of groups that were run, which proptest needs for
/// shrinking.
pub(super) type Random = (State, Vec<ActionGroup>, Option<Arc<AtomicUsize>>);

#[derive(Debug, Clone)]
pub(super) struct State {
    /// Index in [`OPENINGS`].
    opening: usize,
    model: ModelState,
}

/// The state of the model after actions.
fn apply(model: &ModelState, actions: &[Action]) -> Result<ModelState, OutOfModel> {
    let mut model = model.clone();
    for action in actions {
        model = match action {
            Action::Guest(op) => model.apply_op(op)?.0,
            Action::Host(host) => model.apply_host_step(*host)?,
        };
    }
    Ok(model)
}

/// Every sequence of up to `longest` groups of the small set that the model covers, shortest first.
fn every_short(fs: Fs, longest: u32) -> Vec<Vec<Action>> {
    let opening = &OPENINGS[USED];
    let Ok(start) = apply(&ModelState::new(Level::FULL, fs), opening) else { return Vec::new() };
    let mut all = if longest > 0 { vec![with_closing(fs, opening.clone())] } else { Vec::new() };
    let mut longer = vec![(opening.clone(), start)];
    for _ in 0..longest {
        let mut next = Vec::new();
        for (actions, model) in &longer {
            for group in SMALL.iter() {
                if let Ok(model) = apply(model, group) {
                    next.push(([actions.as_slice(), group].concat(), model));
                }
            }
        }
        all.extend(next.iter().map(|(actions, _)| with_closing(fs, actions.clone())));
        longer = next;
    }
    // A sequence that ends with the first operations of the closing is equal to a shorter one.
    let mut known = HashSet::new();
    all.retain(|actions| known.insert(format!("{actions:?}")));
    all
}

/// Appends the operations of the closing that the model covers.
fn with_closing(fs: Fs, mut actions: Vec<Action>) -> Vec<Action> {
    for action in guest(closing()) {
        actions.push(action);
        if predict_steps(fs, &actions).is_err() {
            actions.pop();
        }
    }
    actions
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
    fn sequences_depend_on_the_seed_alone() {
        let actions = |seed| {
            let plan = ExplorePlan::new(Fs::Ext4, 500, 12, seed, 1);
            (0..500).map(|number| plan.actions(number)).collect::<Vec<_>>()
        };
        assert_eq!(actions(1), actions(1));
        assert_ne!(actions(1), actions(2));
    }

    #[test]
    fn short_sequences_come_first_and_are_distinct() {
        let plan = plan(Fs::Ext4);
        let short: Vec<_> = (0..plan.exhaustive_count()).map(|number| plan.actions(number)).collect();
        assert!(plan.exhaustive_count() > SMALL.len() as u64);
        assert_eq!(short.iter().map(|actions| format!("{actions:?}")).collect::<BTreeSet<_>>().len(), short.len());
        assert!(plan.random(0).is_none() && plan.random(plan.exhaustive_count()).is_some());
    }

    /// Refusals that sequences of three groups reach.
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

    /// Refusals that the model predicts for these sequences of a plan.
    fn refusals(plan: &ExplorePlan, numbers: std::ops::Range<u64>) -> BTreeSet<String> {
        let steps = numbers.flat_map(|number| predict_steps(plan.fs, &plan.actions(number)).unwrap());
        let refused = |step| match step {
            Step::Assertion(_, Expectation::Refused { reason, .. }) => Some(reason.to_string()),
            _ => None,
        };
        steps.filter_map(refused).collect()
    }

    /// If the model covers less, fewer sequences are generated, and this count changes.
    #[test]
    fn short_sequences_reach_every_refusal_on_one_machine_and_one_disk() {
        let plan = ExplorePlan::new(Fs::Ext4, 10_000, 12, 1, DEFAULT_EXHAUSTIVE_LENGTH);
        assert_eq!(plan.exhaustive_count(), 3849);
        assert_eq!(refusals(&plan, 0..plan.exhaustive_count()), BTreeSet::from(SHORT.map(|reason| reason.to_string())));
    }

    /// An outcome that is never predicted is never compared with a kernel.
    #[test]
    fn every_outcome_of_a_mount_is_reached() {
        let plan = plan(Fs::Ext4);
        let steps: Vec<Step> =
            (0..plan.sequences).flat_map(|number| predict_steps(plan.fs, &plan.actions(number)).unwrap()).collect();
        // upper-read-only needs another mount of the upper filesystem, so only random sequences
        // reach it.
        let all: Vec<_> = SHORT.into_iter().chain([Reason::UpperReadOnly]).map(|reason| reason.to_string()).collect();
        assert_eq!(refusals(&plan, plan.exhaustive_count()..plan.sequences), BTreeSet::from_iter(all));
        for step in [Step::Host(HostStep::Reboot), Step::Host(HostStep::PowerCut)] {
            assert!(steps.contains(&step), "{step}");
        }
        for expectation in [
            Expectation::Mounted,
            Expectation::MountedReadOnly,
            Expectation::Differs,
            Expectation::Fails(libc::EIO),
            Expectation::Fails(libc::EAGAIN),
        ] {
            assert!(
                steps.iter().any(|step| matches!(step, Step::Assertion(_, e) if *e == expectation)),
                "{expectation}"
            );
        }
    }

    #[test]
    fn sequences_are_generated_for_every_filesystem() {
        for fs in Fs::ALL {
            let plan = ExplorePlan::new(fs, 40, 12, 1, 1);
            assert!(
                (0..plan.sequences)
                    .all(|number| predict_steps(fs, &plan.actions(number)).is_ok_and(|steps| steps.len() > 2))
            );
        }
    }
}
