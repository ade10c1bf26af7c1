// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program `vremount`; the library of this crate contains its code.

use std::process::ExitCode;

fn main() -> ExitCode {
    vremount::run().into()
}
