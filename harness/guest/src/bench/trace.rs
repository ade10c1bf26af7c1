// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long a function of the kernel takes, by its own tracer. Documentation/trace/ftrace.rst.

use std::fs;
use std::path::Path;

use crate::error::{Failure, context};
use crate::init_system;

const TRACING: &str = "/sys/kernel/debug/tracing";

/// Only this function, or all others would be told too.
pub fn start(function: &str) -> Result<(), Failure> {
    let file = |name: &str| Path::new(TRACING).join(name);
    init_system::set(file("set_ftrace_filter"), function)?;
    init_system::set(file("current_tracer"), "function_graph")?;
    // Opening it to be written empties it.
    init_system::set(file("trace"), "")
}

/// The calls since then; none is traced any more.
pub fn take() -> Result<Vec<u64>, Failure> {
    let file = |name: &str| Path::new(TRACING).join(name);
    let path = file("trace");
    let trace = context("read", &path, fs::read_to_string(&path))?;
    init_system::set(file("current_tracer"), "nop")?;
    Ok(trace.lines().filter_map(nanoseconds).collect())
}

/// A line of function_graph that holds a duration; a mark in front of it says that it was long.
fn nanoseconds(line: &str) -> Option<u64> {
    if line.starts_with('#') {
        return None;
    }
    let (before, _) = line.split_once(" us ")?;
    let number = before.split_whitespace().next_back()?;
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let part: u64 = format!("{part:0<3}").parse().ok()?;
    Some(whole.parse::<u64>().ok()? * 1000 + part)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::leaf(" 0)   1.234 us    |  ovl_fill_super [overlay]();", Some(1234))]
    #[case::long(" 1) # 2345.678 us |  ovl_fill_super [overlay]();", Some(2_345_678))]
    #[case::longer(" 1) @ 123456.7 us |  } /* ovl_fill_super [overlay] */", Some(123_456_700))]
    #[case::longest(" 1) $ 1234567 us |  }", Some(1_234_567_000))]
    #[case::entry(" 0)               |  ovl_fill_super [overlay]() {", None)]
    #[case::heading("# CPU  DURATION                  FUNCTION CALLS", None)]
    #[case::switch(" ------------------------------------------", None)]
    #[case::empty("", None)]
    fn reads_durations(#[case] line: &str, #[case] expected: Option<u64>) {
        assert_eq!(nanoseconds(line), expected);
    }
}
