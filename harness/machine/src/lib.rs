// SPDX-License-Identifier: MIT OR Apache-2.0
//! Boots a kernel with an initramfs and a program, and reads the events of its guest.
//!
//! In: a [`vremount_kernel::build::Kernel`], an [`image::Initramfs`] with a program, and an
//! [`Executor`] (QEMU or User Mode Linux). Out: a [`MachineOutput`]: events, console, timings and
//! the reason why the machine ended.
//!
//! Entry points: [`image::build_guest`] and [`image::DiskSetup::obtain`] for the initramfs,
//! [`choose_accel`] for QEMU's accelerator, [`MachineConfig::new`] and [`Executor::run`] for a
//! machine.
//!
//! Invariants: no machine outlives the call that started it; a machine that is silent or slow is
//! killed by a deadline; only the end record of the guest shows that a run is complete.

#![warn(missing_docs)]

mod accel;
mod executor;
mod executor_choice;
pub mod image;
mod kvm_probe;
mod machine_config;
mod monitor;
mod output;
mod qemu;
mod streams;
mod timeouts;
mod tsc;
mod uml;

pub use accel::Accel;
pub use executor::{Error, Executor};
pub use executor_choice::ExecutorChoice;
pub use kvm_probe::{ACCEL_FILE, AccelChoice, choose_accel};
pub use machine_config::MachineConfig;
pub use output::{ExitReason, MachineOutput, Timings};
pub use qemu::Qemu;
pub use timeouts::Timeouts;
pub use uml::Uml;
