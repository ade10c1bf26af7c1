// SPDX-License-Identifier: MIT OR Apache-2.0
//! Boots a kernel with an initramfs and a program, and reads the events of its guest.
//!
//! In: a [`vremount_kernel::build::Kernel`], an [`image::Initramfs`] with a program, and an [`Executor`] (QEMU or User Mode
//! Linux). Out: a [`Run`]: events, console, timings and the reason why the machine ended.
//!
//! Entry points: [`image::build_guest`], [`image::Medium::obtain`], [`choose`] and [`Executor::run`].
//!
//! Invariants: no machine outlives the call that started it; a machine that is silent or slow is killed by a deadline; only
//! the final record of the guest shows that a run is complete.

mod accel;
mod executor;
mod executor_choice;
pub mod image;
mod monitor;
mod qemu;
mod timeouts;
mod tsc;
mod uml;

pub use accel::{ACCEL_FILE, Accel, AccelChoice, choose};
pub use executor::{Error, Executor, MachineConfig};
pub use executor_choice::ExecutorChoice;
pub use monitor::{ExitReason, MachineOutput, Timings};
pub use qemu::Qemu;
pub use timeouts::Timeouts;
pub use uml::Uml;
