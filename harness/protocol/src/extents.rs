// SPDX-License-Identifier: MIT OR Apache-2.0
//! Packed disk images, which contain only the non-zero extents. The harness packs, the guest
//! unpacks to a sparse file.
//!
//! Format: magic, length of the image (64 bits), then records until the end of the file. A record
//! has offset (64 bits), length (32 bits) and data. All integers are little-endian.

use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};

const MAGIC: &[u8; 7] = b"VREXT1\n";
/// Granularity in bytes at which zeros are detected.
const BLOCK: usize = 4096;

/// Packs an image.
///
/// # Errors
/// If reading `image` or writing `packed` fails, or with `FileTooLarge` if an extent has 4 GiB or
/// more.
pub fn pack(image: &mut impl Read, packed: &mut (impl Write + ?Sized)) -> io::Result<()> {
    let mut bytes = Vec::new();
    image.read_to_end(&mut bytes)?;
    packed.write_all(MAGIC)?;
    packed.write_all(&(bytes.len() as u64).to_le_bytes())?;
    let is_zero = |block: &[u8]| block.iter().all(|byte| *byte == 0);
    let mut offset = 0;
    for run in bytes.chunks(BLOCK).collect::<Vec<_>>().chunk_by(|a, b| is_zero(a) == is_zero(b)) {
        let length: usize = run.iter().map(|block| block.len()).sum();
        if !is_zero(run[0]) {
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
/// With `InvalidData` if `packed` is not a packed image or an extent is outside of the image, with
/// `UnexpectedEof` if it is truncated, and if reading or writing fails.
pub fn unpack(packed: &mut impl Read, image: &mut (impl Write + Seek)) -> io::Result<()> {
    let mut magic = [0; MAGIC.len()];
    packed.read_exact(&mut magic)?;
    if magic != *MAGIC {
        return Err(io::Error::new(ErrorKind::InvalidData, "not a packed disk image"));
    }
    let total = u64::from_le_bytes(read_array(packed)?);
    while let Some(first) = read_byte(packed)? {
        let rest: [u8; 7] = read_array(packed)?;
        let mut offset = [first; 8];
        offset[1..].copy_from_slice(&rest);
        let offset = u64::from_le_bytes(offset);
        let length = u32::from_le_bytes(read_array(packed)?);
        if offset.checked_add(u64::from(length)).is_none_or(|end| end > total) {
            return Err(io::Error::new(
                ErrorKind::InvalidData,
                "an extent of the packed disk image is outside of the image",
            ));
        }
        image.seek(SeekFrom::Start(offset))?;
        if io::copy(&mut packed.take(u64::from(length)), image)? != u64::from(length) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    // A hole at the end: write the last byte, so that the file has the length of the image.
    if total > 0 && image.seek(SeekFrom::End(0))? < total {
        image.seek(SeekFrom::Start(total - 1))?;
        image.write_all(&[0])?;
    }
    image.flush()
}

fn read_array<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_byte(from: &mut impl Read) -> io::Result<Option<u8>> {
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
        pack(&mut &*image, &mut packed).unwrap();
        packed
    }

    fn image_with_holes() -> Vec<u8> {
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
    #[case::data_and_holes(image_with_holes())]
    fn packed_image_unpacks(#[case] image: Vec<u8>) {
        let mut unpacked = Cursor::new(Vec::new());
        unpack(&mut packed(&image).as_slice(), &mut unpacked).unwrap();
        assert_eq!(unpacked.into_inner(), image);
    }

    #[test]
    fn zeros_are_not_stored() {
        assert!(packed(&image_with_holes()).len() < 3 * BLOCK + 100);
    }

    #[rstest]
    #[case::not_packed(b"#!/bin/sh\n".to_vec())]
    #[case::truncated(packed(&image_with_holes())[..4000].to_vec())]
    #[case::extent_outside_of_image({ let mut p = packed(&image_with_holes()); p[7] = 1; p[8] = 0; p[9] = 0; p })]
    fn malformed_file_is_rejected(#[case] packed: Vec<u8>) {
        assert!(unpack(&mut packed.as_slice(), &mut Cursor::new(Vec::new())).is_err());
    }
}
