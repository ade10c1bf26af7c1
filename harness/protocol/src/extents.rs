// SPDX-License-Identifier: MIT OR Apache-2.0
//! A disk image as its non-zero extents: the harness packs it, the guest unpacks it sparsely.
//!
//! After the magic and the length of the image, records of offset, length and bytes follow until the end. Numbers are
//! little-endian: offsets and lengths of images 64 bits, lengths of records 32.

use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};

const MAGIC: &[u8; 7] = b"VREXT1\n";
/// What is looked at for being zero as a whole: a page.
const BLOCK: usize = 4096;

/// Packs an image.
///
/// # Errors
/// If the image cannot be read or the packed form not written.
pub fn write(image: &mut impl Read, packed: &mut (impl Write + ?Sized)) -> io::Result<()> {
    let mut bytes = Vec::new();
    image.read_to_end(&mut bytes)?;
    packed.write_all(MAGIC)?;
    packed.write_all(&(bytes.len() as u64).to_le_bytes())?;
    let zero = |block: &[u8]| block.iter().all(|byte| *byte == 0);
    let mut offset = 0;
    for run in bytes.chunks(BLOCK).collect::<Vec<_>>().chunk_by(|a, b| zero(a) == zero(b)) {
        let length: usize = run.iter().map(|block| block.len()).sum();
        if !zero(run[0]) {
            let too_long = |_| io::Error::from(ErrorKind::FileTooLarge);
            packed.write_all(&(offset as u64).to_le_bytes())?;
            packed.write_all(&u32::try_from(length).map_err(too_long)?.to_le_bytes())?;
            packed.write_all(&bytes[offset..offset + length])?;
        }
        offset += length;
    }
    Ok(())
}

/// Unpacks an image into an empty file.
///
/// # Errors
/// If this is not a packed image, or either file cannot be used.
pub fn unpack(packed: &mut impl Read, image: &mut (impl Write + Seek)) -> io::Result<()> {
    let mut magic = [0; MAGIC.len()];
    packed.read_exact(&mut magic)?;
    if magic != *MAGIC {
        return Err(io::Error::new(ErrorKind::InvalidData, "not a packed disk image"));
    }
    let total = u64::from_le_bytes(array(packed)?);
    while let Some(first) = byte(packed)? {
        let rest: [u8; 7] = array(packed)?;
        let mut offset = [first; 8];
        offset[1..].copy_from_slice(&rest);
        let offset = u64::from_le_bytes(offset);
        let length = u32::from_le_bytes(array(packed)?);
        if offset.checked_add(u64::from(length)).is_none_or(|end| end > total) {
            return Err(io::Error::new(ErrorKind::InvalidData, "an extent is outside of the disk image"));
        }
        image.seek(SeekFrom::Start(offset))?;
        if io::copy(&mut packed.take(u64::from(length)), image)? != u64::from(length) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    // The rest is a hole: only the last byte makes the file as long as the image.
    if total > 0 && image.seek(SeekFrom::End(0))? < total {
        image.seek(SeekFrom::Start(total - 1))?;
        image.write_all(&[0])?;
    }
    image.flush()
}

fn array<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn byte(from: &mut impl Read) -> io::Result<Option<u8>> {
    let mut byte = [0];
    Ok((from.read(&mut byte)? == 1).then_some(byte[0]))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use rstest::rstest;

    use super::*;

    fn packed(image: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        write(&mut &*image, &mut packed).unwrap();
        packed
    }

    fn island() -> Vec<u8> {
        let mut image = vec![0; 10 * BLOCK];
        image[3 * BLOCK + 5] = 1;
        image[4 * BLOCK] = 2;
        image[8 * BLOCK] = 3;
        image
    }

    #[rstest]
    #[case::empty(vec![])]
    #[case::hole(vec![0; 3 * BLOCK])]
    #[case::data(vec![7; 2 * BLOCK + 100])]
    #[case::islands(island())]
    fn what_was_packed_unpacks(#[case] image: Vec<u8>) {
        let mut unpacked = Cursor::new(Vec::new());
        unpack(&mut packed(&image).as_slice(), &mut unpacked).unwrap();
        assert_eq!(unpacked.into_inner(), image);
    }

    #[test]
    fn zeros_take_no_room() {
        assert!(packed(&island()).len() < 3 * BLOCK + 100);
    }

    #[rstest]
    #[case::not_packed(b"#!/bin/sh\n".to_vec())]
    #[case::cut_short(packed(&island())[..4000].to_vec())]
    #[case::outside({ let mut p = packed(&island()); p[7] = 1; p[8] = 0; p[9] = 0; p })]
    fn anything_else_is_refused(#[case] packed: Vec<u8>) {
        assert!(unpack(&mut packed.as_slice(), &mut Cursor::new(Vec::new())).is_err());
    }
}
