// SPDX-License-Identifier: MIT OR Apache-2.0
//! Summary of repeated measurements. There is no mean, because a single interruption of the machine
//! would distort it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Median, quartiles and extremes of measurements, in the unit of the measurements. A quantile is
/// one of the measured values, never an interpolation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Number of measurements.
    pub n: usize,
    /// The 50th percentile.
    pub median: f64,
    /// The 25th percentile.
    pub q1: f64,
    /// The 75th percentile.
    pub q3: f64,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
}

impl Summary {
    /// Summarizes values; none if there are no values.
    #[must_use]
    pub fn from_values(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let quantile = |percent| percentile(&values, percent);
        Some(Summary {
            n: values.len(),
            median: quantile(50)?,
            q1: quantile(25)?,
            q3: quantile(75)?,
            min: *values.first()?,
            max: *values.last()?,
        })
    }
}

/// Median and extremes of values in milliseconds: `2.0 ms (1.0 to 3.0)`.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} ms ({:.1} to {:.1})", self.median, self.min, self.max)
    }
}

/// The value below which `percent` percent of the values lie; none if there are no values. The
/// values must be sorted in ascending order. 100 gives the largest value.
#[must_use]
pub fn percentile<T: Copy>(sorted: &[T], percent: usize) -> Option<T> {
    sorted.get((sorted.len() * percent / 100).min(sorted.len().checked_sub(1)?)).copied()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::several(&[3.0, 1.0, 2.0], "2.0 ms (1.0 to 3.0)")]
    #[case::single(&[5.0], "5.0 ms (5.0 to 5.0)")]
    fn summary_is_shown_as_median_and_extremes(#[case] values: &[f64], #[case] expected: &str) {
        assert_eq!(Summary::from_values(values.iter().copied()).unwrap().to_string(), expected);
    }

    #[test]
    fn quartiles_are_measured_values() {
        let summary = Summary::from_values((0..100).map(f64::from)).unwrap();
        assert_eq!((summary.n, summary.q1, summary.median, summary.q3), (100, 25.0, 50.0, 75.0));
        assert_eq!(Summary::from_values([]), None);
    }

    #[test]
    fn percentile_is_a_measured_value() {
        let values: Vec<u32> = (1..=200).collect();
        assert_eq!([50, 99, 100].map(|percent| percentile(&values, percent)), [Some(101), Some(199), Some(200)]);
        assert_eq!(percentile::<u32>(&[], 50), None);
    }
}
