// SPDX-License-Identifier: MIT OR Apache-2.0
//! The running kernel: identity, settings, modules, logs, leak and coverage reports, shutdown.

pub mod gcov;
pub mod init_system;
pub mod kernel_log;
pub mod kexec;
pub mod kmemleak;
pub mod module;
