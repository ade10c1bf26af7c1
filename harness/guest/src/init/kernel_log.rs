// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel log, read from /dev/kmsg. Documentation/ABI/testing/dev-kmsg.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

use vremount_protocol::MESSAGES_LOST;

use crate::error::{Failure, context};

const PATH: &str = "/dev/kmsg";

/// A reader of the kernel log.
pub struct KernelLog {
    device: File,
}

impl KernelLog {
    /// Opens the log at its end.
    pub fn open() -> Result<Self, Failure> {
        let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(PATH);
        let mut device = context("open", PATH, opened)?;
        context("seek in", PATH, device.seek(SeekFrom::End(0)))?;
        Ok(KernelLog { device })
    }

    /// Reads the messages since the last call, without time stamps.
    pub fn read(&mut self) -> Result<Vec<String>, Failure> {
        let mut messages = Vec::new();
        let mut record = [0; 8192];
        loop {
            match self.device.read(&mut record) {
                Ok(length) => messages.extend(message_text(&String::from_utf8_lossy(&record[..length]))),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(messages),
                // Records were overwritten before they were read. The next read returns the oldest
                // remaining one.
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {
                    messages.push(MESSAGES_LOST.to_string());
                }
                Err(error) => return context("read", PATH, Err(error)),
            }
        }
    }
}

/// Text of a record: `priority,sequence,time,flags;text`, followed by lines that start with a space
/// and contain keys and values.
fn message_text(record: &str) -> Option<String> {
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
    #[case::malformed("text", None)]
    fn text_of_a_record_is_extracted(#[case] record: &str, #[case] expected: Option<&str>) {
        assert_eq!(message_text(record).as_deref().filter(|text| !text.is_empty()), expected);
    }

    proptest! {
        #[test]
        fn nothing_but_the_text_is_extracted(
            (head, text) in ("[0-9]{1,3},[0-9]{1,9},[0-9]{1,9},[c-]", "[^\\r\\n]+"), fields in "( [A-Z]+=.*\n){0,2}", record in ".*"
        ) {
            prop_assert_eq!(message_text(&format!("{head};{text}\n{fields}")), Some(text));
            let is_in_record = |text: String| record.contains(&[";", &text].concat());
            prop_assert!(message_text(&record).is_none_or(is_in_record));
        }
    }
}
