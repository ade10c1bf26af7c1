// SPDX-License-Identifier: MIT OR Apache-2.0
//! Proves, claim by claim, when overlayfs may reuse a volatile upper.
