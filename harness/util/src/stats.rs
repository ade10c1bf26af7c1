// SPDX-License-Identifier: MIT OR Apache-2.0
//! What many measurements of the same come to. No mean: one interruption of the machine would show in it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Median, quartiles and extremes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub n: usize,
    pub median: f64,
    pub q1: f64,
    pub q3: f64,
    pub min: f64,
    pub max: f64,
}

impl Summary {
    /// None of nothing.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |percent| percentile(&values, percent);
        Some(Summary {
            n: values.len(),
            median: at(50)?,
            q1: at(25)?,
            q3: at(75)?,
            min: *values.first()?,
            max: *values.last()?,
        })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} ms ({:.1} to {:.1})", self.median, self.min, self.max)
    }
}

/// The value that so many percent of the others, which are in order, are not above.
#[must_use]
pub fn percentile<T: Copy>(sorted: &[T], percent: usize) -> Option<T> {
    sorted.get((sorted.len() * percent / 100).min(sorted.len().checked_sub(1)?)).copied()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&[3.0, 1.0, 2.0], "2.0 ms (1.0 to 3.0)")]
    #[case(&[5.0], "5.0 ms (5.0 to 5.0)")]
    fn spreads_are_median_and_extremes(#[case] values: &[f64], #[case] expected: &str) {
        assert_eq!(Summary::of(values.iter().copied()).unwrap().to_string(), expected);
    }

    #[test]
    fn quartiles_are_of_what_is_there() {
        let spread = Summary::of((0..100).map(f64::from)).unwrap();
        assert_eq!((spread.n, spread.q1, spread.median, spread.q3), (100, 25.0, 50.0, 75.0));
        assert_eq!(Summary::of([]), None);
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<u32> = (1..=200).collect();
        assert_eq!([50, 99, 100].map(|percent| percentile(&values, percent)), [Some(101), Some(199), Some(200)]);
        assert_eq!(percentile::<u32>(&[], 50), None);
    }
}
