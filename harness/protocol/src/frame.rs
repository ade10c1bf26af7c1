// SPDX-License-Identifier: MIT OR Apache-2.0
//! Frames: one line per event, with its CRC-32 as eight lowercase hexadecimal digits, a space, and
//! its JSON. The checksum detects lines that are truncated or mixed with other output.

use crate::event::Event;

/// A line is not a frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The line does not start with a checksum and a space. Contains the start of the line.
    #[error("failed to parse a frame: no checksum at the start of {0:?}")]
    NoChecksum(String),
    /// The checksum does not match the JSON.
    #[error("failed to parse a frame: the line states checksum {stated:08x}, its text has {found:08x}")]
    WrongChecksum {
        /// Checksum at the start of the line.
        stated: u32,
        /// Checksum of the JSON.
        found: u32,
    },
    /// The JSON is not an event, or an event could not be written as JSON.
    #[error("failed to convert an event from or to JSON: {0}")]
    NotAnEvent(#[from] serde_json::Error),
}

/// Converts an event to a frame, including the newline.
///
/// # Errors
/// [`FrameError::NotAnEvent`] if serialization fails.
pub fn encode(event: &Event) -> Result<String, FrameError> {
    let json = serde_json::to_string(event)?;
    Ok(format!("{} {json}\n", format_checksum(crc32fast::hash(json.as_bytes()))))
}

/// Parses a frame, with or without the newline.
///
/// # Errors
/// [`FrameError::NoChecksum`] if the line does not start with a checksum,
/// [`FrameError::WrongChecksum`] if the checksum does not match, [`FrameError::NotAnEvent`] if the
/// JSON is not an event.
pub fn decode(line: &str) -> Result<Event, FrameError> {
    let line = line.trim_end_matches(['\r', '\n']);
    let no_checksum = || FrameError::NoChecksum(line.chars().take(40).collect());
    let (digits, json) = line.split_once(' ').ok_or_else(no_checksum)?;
    // `from_str_radix` also accepts uppercase digits and a sign, which `encode` never writes.
    let stated =
        u32::from_str_radix(digits, 16).ok().filter(|crc| digits == format_checksum(*crc)).ok_or_else(no_checksum)?;
    let found = crc32fast::hash(json.as_bytes());
    if stated != found {
        return Err(FrameError::WrongChecksum { stated, found });
    }
    Ok(serde_json::from_str(json)?)
}

fn format_checksum(crc: u32) -> String {
    format!("{crc:08x}")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn end() -> Event {
        Event::End { steps: 3 }
    }

    #[test]
    fn encoded_event_decodes() {
        assert_eq!(decode(&encode(&end()).unwrap()).unwrap(), end());
    }

    #[rstest]
    #[case::empty("")]
    #[case::console_noise("[    0.1] random: crng init done")]
    #[case::truncated(&encode(&end()).unwrap()[..20])]
    #[case::changed_byte(&encode(&end()).unwrap().replace('3', "4"))]
    #[case::uppercase_checksum(&encode(&end()).unwrap().replace("63167cf3", "63167CF3"))]
    #[case::other_json(&format!("{:08x} {{}}", crc32fast::hash(b"{}")))]
    fn malformed_line_is_rejected(#[case] line: &str) {
        assert!(decode(line).is_err());
    }
}
