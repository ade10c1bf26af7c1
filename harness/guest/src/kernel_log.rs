// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the kernel logs, from /dev/kmsg.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

use vremount_protocol::LOST;

use crate::error::{Failure, context};

const PATH: &str = "/dev/kmsg";

pub struct KernelLog {
    device: File,
}

impl KernelLog {
    /// From here on.
    pub fn open() -> Result<Self, Failure> {
        let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(PATH);
        let mut device = context("open", PATH, opened)?;
        context("seek in", PATH, device.seek(SeekFrom::End(0)))?;
        Ok(KernelLog { device })
    }

    /// The messages since the last call, without time stamps.
    pub fn read(&mut self) -> Result<Vec<String>, Failure> {
        let mut messages = Vec::new();
        let mut record = [0; 8192];
        loop {
            match self.device.read(&mut record) {
                Ok(length) => messages.extend(message(&String::from_utf8_lossy(&record[..length]))),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(messages),
                // Records were overwritten before they were read; the next one is there.
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {
                    messages.push(LOST.to_string());
                }
                Err(error) => return context("read", PATH, Err(error)),
            }
        }
    }
}

/// `priority,sequence,time,flags;text`, then lines that start with a space and repeat the text for machines.
fn message(record: &str) -> Option<String> {
    let (_, text) = record.split_once(';')?;
    text.lines().next().map(ToString::to_string)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain("6,339,5140900,-;NET: Registered protocol family 10\n", Some("NET: Registered protocol family 10"))]
    #[case::with_fields("4,1,2,-;text; more\n SUBSYSTEM=acpi\n DEVICE=+acpi:1\n", Some("text; more"))]
    #[case::empty("6,1,2,-;\n", None)]
    #[case::not_a_record("text", None)]
    fn keeps_the_text(#[case] record: &str, #[case] expected: Option<&str>) {
        assert_eq!(message(record).as_deref().filter(|text| !text.is_empty()), expected);
    }

    proptest! {
        #[test]
        fn of_a_record_the_text_alone_is_kept(
            (head, text) in ("[0-9]{1,3},[0-9]{1,9},[0-9]{1,9},[c-]", "[^\\r\\n]+"), fields in "( [A-Z]+=.*\n){0,2}", record in ".*"
        ) {
            prop_assert_eq!(message(&format!("{head};{text}\n{fields}")), Some(text));
            let is_kept = |text: String| record.contains(&[";", &text].concat());
            prop_assert!(message(&record).is_none_or(is_kept));
        }
    }
}
