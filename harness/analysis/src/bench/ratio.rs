// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ratio of two sets of samples.

use serde::{Deserialize, Serialize};
use vremount_util::stats::Summary;

/// The ratio of two sets of samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// The ratio of the medians.
    pub value: f64,
    /// The lower quartile of the ratios of each sample of the first set to each sample of the second.
    pub low: f64,
    /// The upper quartile of these ratios.
    pub high: f64,
}

impl Ratio {
    /// The ratio of `values` to `reference`. `None` if one of them is empty.
    #[must_use]
    pub fn from_values(values: &[f64], reference: &[f64]) -> Option<Self> {
        let median = |values: &[f64]| Some(Summary::from_values(values.iter().copied())?.median);
        let pairs = values.iter().flat_map(|value| reference.iter().map(move |reference| value / reference));
        let pairs = Summary::from_values(pairs)?;
        Some(Ratio { value: median(values)? / median(reference)?, low: pairs.q1, high: pairs.q3 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratio_has_medians_and_quartiles_of_all_pairs() {
        let ratio = Ratio::from_values(&[10.0, 20.0, 90.0], &[10.0, 10.0, 30.0]).unwrap();
        assert_eq!(ratio, Ratio { value: 2.0, low: 1.0, high: 3.0 });
        assert_eq!(Ratio::from_values(&[], &[]), None);
    }
}
