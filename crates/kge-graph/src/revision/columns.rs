//! A file of named columns: what `entities`, `relations` and `statements` are made of.
//!
//! ```text
//! header, 64 bytes     magic [8]  version u32  columns u32  rows u64  zeros
//! an entry a column,   name [16]  required u32  width u32  offset u64  bytes u64  zeros
//!   64 bytes
//! the columns          each from a multiple of 64 bytes, zeros up to the next
//! ```
//!
//! Numbers are little-endian; `width` is an element's size in bytes. A reader that does not know
//! a column may pass over it, unless it is required.

use crate::{Error, Result};

/// The version written, and the newest one read.
const VERSION: u32 = 1;

/// The size of the header and of each entry, and what columns are aligned to.
const BLOCK: usize = 64;

/// A file being written.
pub(super) struct ColumnsWriter {
    bytes: Vec<u8>,
    columns: usize,
}

impl ColumnsWriter {
    /// A file of this many columns, all to be added.
    pub(super) fn new(magic: &[u8; 8], columns: u32, rows: usize) -> Self {
        let mut bytes = vec![0; BLOCK * (1 + columns as usize)];
        bytes[..8].copy_from_slice(magic);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&columns.to_le_bytes());
        bytes[16..24].copy_from_slice(&(rows as u64).to_le_bytes());
        Self { bytes, columns: 0 }
    }

    /// Adds a required column of elements of this width, which `values` gives as bytes.
    pub(super) fn column<const WIDTH: usize>(
        mut self,
        name: &str,
        values: impl Iterator<Item = [u8; WIDTH]>,
    ) -> Self {
        let offset = self.bytes.len();
        values.for_each(|value| self.bytes.extend_from_slice(&value));
        self.close(name, WIDTH, offset)
    }

    /// Adds a required column of bytes.
    pub(super) fn bytes(mut self, name: &str, values: &[u8]) -> Self {
        let offset = self.bytes.len();
        self.bytes.extend_from_slice(values);
        self.close(name, 1, offset)
    }

    fn close(mut self, name: &str, width: usize, offset: usize) -> Self {
        let length = self.bytes.len() - offset;
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK), 0);
        self.columns += 1;
        let entry = &mut self.bytes[BLOCK * self.columns..][..BLOCK];
        entry[..name.len()].copy_from_slice(name.as_bytes());
        entry[16..20].copy_from_slice(&1u32.to_le_bytes());
        entry[20..24].copy_from_slice(&(width as u32).to_le_bytes());
        entry[24..32].copy_from_slice(&(offset as u64).to_le_bytes());
        entry[32..40].copy_from_slice(&(length as u64).to_le_bytes());
        self
    }

    /// The file.
    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// A file being read.
pub(super) struct Columns<'a> {
    file: &'static str,
    rows: u64,
    columns: Vec<Column<'a>>,
}

struct Column<'a> {
    name: &'a str,
    width: u32,
    values: &'a [u8],
}

impl<'a> Columns<'a> {
    /// Opens a file that must begin with this magic word; `known` are the columns that the
    /// caller understands.
    pub(super) fn open(
        file: &'static str,
        bytes: &'a [u8],
        magic: &[u8; 8],
        known: &[&str],
    ) -> Result<Self> {
        let corrupt = |reason: String| Error::Corrupt { file, reason };
        if bytes.get(..8) != Some(magic) {
            let magic = String::from_utf8_lossy(magic);
            return Err(corrupt(format!("expected a file that begins with {magic:?}")));
        }
        let cut = || corrupt(format!("cut short at {} bytes", bytes.len()));
        let header = bytes.get(..BLOCK).ok_or_else(cut)?;
        let version = u32_at(header, 8);
        if version > VERSION {
            let what = format!("version {version} of the format");
            return Err(Error::Newer { file, what });
        }
        if version == 0 {
            return Err(corrupt("expected a version from 1, found 0".into()));
        }
        let count = u32_at(header, 12) as usize;
        let entries = bytes.get(BLOCK..).unwrap_or_default();
        if entries.len() / BLOCK < count {
            return Err(cut());
        }
        let mut columns = Vec::with_capacity(count);
        for entry in entries.chunks_exact(BLOCK).take(count) {
            let end = entry[..16].iter().position(|&byte| byte == 0).unwrap_or(16);
            let name = std::str::from_utf8(&entry[..end])
                .map_err(|_| corrupt("expected a column's name in UTF-8".into()))?;
            if u32_at(entry, 16) != 0 && !known.contains(&name) {
                let what = format!("it needs the column {name:?} to be understood");
                return Err(Error::Newer { file, what });
            }
            let (offset, length) = (u64_at(entry, 24), u64_at(entry, 32));
            let values = usize::try_from(offset)
                .ok()
                .zip(usize::try_from(length).ok())
                .and_then(|(offset, length)| bytes.get(offset..offset.checked_add(length)?))
                .ok_or_else(cut)?;
            columns.push(Column { name, width: u32_at(entry, 20), values });
        }
        Ok(Self { file, rows: u64_at(header, 16), columns })
    }

    /// How many rows the file says to have.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// A column of 64-bit numbers.
    pub(super) fn u64s(&self, name: &str) -> Result<Vec<u64>> {
        let values = self.values(name, 8)?;
        Ok(values.as_chunks().0.iter().map(|&bytes| u64::from_le_bytes(bytes)).collect())
    }

    /// A column of 32-bit numbers, one a row.
    pub(super) fn u32s(&self, name: &str) -> Result<impl Iterator<Item = u32> + use<'a>> {
        let values = self.values(name, 4)?;
        self.expect_rows(name, values.len() / 4)?;
        Ok(values.as_chunks().0.iter().map(|&bytes| u32::from_le_bytes(bytes)))
    }

    /// A column of bytes, one a row.
    pub(super) fn u8s(&self, name: &str) -> Result<&'a [u8]> {
        let values = self.values(name, 1)?;
        self.expect_rows(name, values.len())?;
        Ok(values)
    }

    /// A column's bytes, whose elements have this width.
    pub(super) fn values(&self, name: &str, width: u32) -> Result<&'a [u8]> {
        let column = self.columns.iter().find(|column| column.name == name);
        let column = column.ok_or_else(|| self.corrupt(format!("it has no column {name:?}")))?;
        if column.width != width || !column.values.len().is_multiple_of(width as usize) {
            let reason = format!("expected elements of {width} bytes in the column {name:?}");
            return Err(self.corrupt(reason));
        }
        Ok(column.values)
    }

    /// An error about this file.
    pub(super) fn corrupt(&self, reason: impl Into<String>) -> Error {
        Error::Corrupt { file: self.file, reason: reason.into() }
    }

    fn expect_rows(&self, name: &str, found: usize) -> Result<()> {
        if found as u64 == self.rows {
            return Ok(());
        }
        let rows = self.rows;
        Err(self.corrupt(format!("expected {rows} rows in the column {name:?}, found {found}")))
    }
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|i| bytes[offset + i]))
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| bytes[offset + i]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAGIC: &[u8; 8] = b"kge.test";

    fn file() -> Vec<u8> {
        ColumnsWriter::new(MAGIC, 2, 3)
            .column("number", [1u32, 2, 3].into_iter().map(u32::to_le_bytes))
            .bytes("letter", b"abc")
            .finish()
    }

    fn failure(bytes: &[u8], known: &[&str]) -> String {
        Columns::open("statements", bytes, MAGIC, known).err().unwrap().to_string()
    }

    #[test]
    fn columns_lie_at_multiples_of_64_bytes() {
        let file = file();
        assert_eq!(file.len(), 5 * 64);
        assert_eq!(&file[3 * 64..3 * 64 + 8], [1, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(&file[4 * 64..4 * 64 + 4], b"abc\0");
        let columns = Columns::open("statements", &file, MAGIC, &["number", "letter"]).unwrap();
        assert!(columns.u32s("number").unwrap().eq([1, 2, 3]));
        assert_eq!(columns.u8s("letter").unwrap(), b"abc");
        assert!(columns.u8s("number").is_err());
    }

    #[test]
    fn what_is_newer_is_refused_in_words_and_what_is_optional_passed_over() {
        let mut newer = file();
        newer[8] = 2;
        assert_eq!(
            failure(&newer, &[]),
            "statements: version 2 of the format, which this release cannot read: use a newer kge"
        );
        assert_eq!(
            failure(&file(), &["letter"]),
            "statements: it needs the column \"number\" to be understood, \
             which this release cannot read: use a newer kge"
        );
        let mut optional = file();
        optional[64 + 16] = 0;
        let columns = Columns::open("statements", &optional, MAGIC, &["letter"]).unwrap();
        assert_eq!(columns.u8s("letter").unwrap(), b"abc");
    }

    #[test]
    fn a_file_cut_anywhere_is_refused() {
        let file = file();
        for length in 0..4 * 64 + 3 {
            assert!(
                Columns::open("statements", &file[..length], MAGIC, &["number", "letter"]).is_err()
            );
        }
        assert_eq!(
            failure(b"something else", &[]),
            "statements: expected a file that begins with \"kge.test\""
        );
        let mut far = file.clone();
        far[64 + 24..64 + 32].fill(0xff);
        assert_eq!(failure(&far, &["number", "letter"]), "statements: cut short at 320 bytes");
    }
}
