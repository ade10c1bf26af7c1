// SPDX-License-Identifier: MIT OR Apache-2.0
//! A kernel and an initramfs become a running machine with a channel, which is gone for sure afterwards.

mod accel;
mod executor;
mod limits;
mod qemu;
mod run;
mod tsc;
mod uml;

pub use accel::{ACCEL_FILE, Accel, Choice, choose};
pub use executor::{Boot, Error, Executor};
pub use limits::Limits;
pub use qemu::Qemu;
pub use run::{End, Run, Times};
pub use uml::Uml;
