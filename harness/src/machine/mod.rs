// SPDX-License-Identifier: MIT OR Apache-2.0
//! A kernel and an initramfs become a running machine with a channel, which is gone for sure afterwards.

mod accel;
mod console;
mod process;
mod qemu;
mod run;

pub use accel::{Accel, Choice, choose};
pub use console::{Class, Sign, classify};
pub use qemu::{Boot, Error, Qemu};
pub use run::{End, Limits, Run};
