// SPDX-License-Identifier: MIT OR Apache-2.0
//! Asks the model for the outcome of each action of a sequence.

use vremount_claims::model::{ModelState, OutOfModel};
use vremount_claims::{Action, Step};
use vremount_kernel::base::Level;
use vremount_machine::image::Fs;

/// Predicts the outcomes of actions on a fresh machine with the whole series. Each operation of the
/// guest becomes an assertion of the predicted outcome.
///
/// # Errors
/// If the model does not cover one of the actions in its state.
pub fn predict_steps(fs: Fs, acts: &[Action]) -> Result<Vec<Step>, OutOfModel> {
    let mut state = ModelState::new(Level::FULL, fs);
    let mut steps = Vec::with_capacity(acts.len());
    for action in acts {
        match action {
            Action::Guest(op) => {
                let (next, expectation) = state.apply_op(op)?;
                state = next;
                steps.push(Step::Assertion(op.clone(), expectation));
            }
            Action::Host(host) => {
                state = state.apply_host_step(*host)?;
                steps.push(Step::Host(*host));
            }
        }
    }
    Ok(steps)
}
