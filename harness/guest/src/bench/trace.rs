// SPDX-License-Identifier: MIT OR Apache-2.0
//! Durations of a kernel function, measured by the function_graph tracer.
//! Documentation/trace/ftrace.rst.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Failure, context};
use crate::init::init_system;

const TRACING: &str = "/sys/kernel/debug/tracing";

fn file(name: &str) -> PathBuf {
    Path::new(TRACING).join(name)
}

/// Starts tracing calls of `function`, and of no other function.
pub fn start(function: &str) -> Result<(), Failure> {
    init_system::write_setting(file("set_ftrace_filter"), function)?;
    init_system::write_setting(file("current_tracer"), "function_graph")?;
    // Opening the file with O_TRUNC clears the trace.
    init_system::write_setting(file("trace"), "")
}

/// Stops tracing. Returns the duration of each call in nanoseconds.
pub fn stop() -> Result<Vec<u64>, Failure> {
    let path = file("trace");
    let trace = context("read", &path, fs::read_to_string(&path))?;
    init_system::write_setting(file("current_tracer"), "nop")?;
    Ok(trace.lines().filter_map(parse_duration).collect())
}

/// Parses the duration of a line, in nanoseconds. A long duration has a mark in front. None for
/// lines without a duration.
fn parse_duration(line: &str) -> Option<u64> {
    if line.starts_with('#') {
        return None;
    }
    let (before, _) = line.split_once(" us ")?;
    let number = before.split_whitespace().next_back()?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fraction: u64 = format!("{fraction:0<3}").parse().ok()?;
    Some(whole.parse::<u64>().ok()? * 1000 + fraction)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::leaf(" 0)   1.234 us    |  ovl_fill_super [overlay]();", Some(1234))]
    #[case::over_1_ms(" 1) # 2345.678 us |  ovl_fill_super [overlay]();", Some(2_345_678))]
    #[case::over_100_ms(" 1) @ 123456.7 us |  } /* ovl_fill_super [overlay] */", Some(123_456_700))]
    #[case::over_1_s(" 1) $ 1234567 us |  }", Some(1_234_567_000))]
    #[case::function_entry(" 0)               |  ovl_fill_super [overlay]() {", None)]
    #[case::heading("# CPU  DURATION                  FUNCTION CALLS", None)]
    #[case::separator(" ------------------------------------------", None)]
    #[case::empty("", None)]
    fn duration_is_parsed(#[case] line: &str, #[case] expected: Option<u64>) {
        assert_eq!(parse_duration(line), expected);
    }
}
