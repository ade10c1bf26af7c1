// SPDX-License-Identifier: MIT OR Apache-2.0
//! One event a line: its CRC-32 in eight hex digits, a space, its JSON. A line that was cut short or mixed with
//! something else is noticed, never guessed at.

use crate::Event;

/// Why a line is not an event.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("failed to read a frame: no checksum in front of {0:?}")]
    NoChecksum(String),
    #[error("failed to read a frame: checksum {stated:08x} stated, {found:08x} found")]
    WrongChecksum { stated: u32, found: u32 },
    #[error("failed to read a frame: {0}")]
    NotAnEvent(#[from] serde_json::Error),
}

/// An event as a line, with its newline.
///
/// # Errors
/// If the event has no JSON form.
pub fn encode(event: &Event) -> Result<String, FrameError> {
    let json = serde_json::to_string(event)?;
    Ok(format!("{} {json}\n", checksum(crc32fast::hash(json.as_bytes()))))
}

/// The event a line stands for; the newline may be there or not.
///
/// # Errors
/// If the line has no checksum, another than its text gives, or is not an event.
pub fn decode(line: &str) -> Result<Event, FrameError> {
    let line = line.trim_end_matches(['\r', '\n']);
    let no_checksum = || FrameError::NoChecksum(line.chars().take(40).collect());
    let (words, json) = line.split_once(' ').ok_or_else(no_checksum)?;
    // As it is written: not in capitals, nor with a sign.
    let stated = u32::from_str_radix(words, 16).ok().filter(|crc| words == checksum(*crc)).ok_or_else(no_checksum)?;
    let found = crc32fast::hash(json.as_bytes());
    if stated != found {
        return Err(FrameError::WrongChecksum { stated, found });
    }
    Ok(serde_json::from_str(json)?)
}

/// As it stands in front of a text.
fn checksum(crc: u32) -> String {
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
    fn what_was_encoded_decodes() {
        assert_eq!(decode(&encode(&end()).unwrap()).unwrap(), end());
    }

    #[rstest]
    #[case::empty("")]
    #[case::console_noise("[    0.1] random: crng init done")]
    #[case::cut_short(&encode(&end()).unwrap()[..20])]
    #[case::one_byte_off(&encode(&end()).unwrap().replace('3', "4"))]
    #[case::capitals(&encode(&end()).unwrap().replace("63167cf3", "63167CF3"))]
    #[case::wrong_kind(&format!("{:08x} {{}}", crc32fast::hash(b"{}")))]
    fn anything_else_is_refused(#[case] line: &str) {
        assert!(decode(line).is_err());
    }
}
