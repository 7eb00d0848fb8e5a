//! What every name must be: UTF-8, not empty, not longer than [`MAX_NAME_BYTES`].

use super::MAX_NAME_BYTES;
use crate::Error;

/// The names of a statement, as messages call them.
pub(super) const ROLES: [&str; 3] = ["head", "relation", "tail"];

/// Why some bytes are no name.
#[derive(Debug)]
pub(super) struct Fault {
    /// How many good characters come before it.
    pub(super) characters: u64,
    pub(super) expected: String,
    pub(super) found: String,
}

impl Fault {
    /// The error, for a name that begins at this place.
    pub(super) fn at(self, line: u64, column: u64) -> Error {
        let Self { characters, expected, found } = self;
        Error::Parse { line, column: column + characters, expected, found }
    }
}

/// The bytes as a name.
pub(super) fn check<'a>(bytes: &'a [u8], role: &str) -> Result<&'a str, Fault> {
    let fault = |characters, expected, found| Fault { characters, expected, found };
    if bytes.is_empty() {
        return Err(fault(0, format!("the name of the {role}"), "nothing".into()));
    }
    if bytes.len() > MAX_NAME_BYTES {
        let expected = format!("a name of at most {MAX_NAME_BYTES} bytes");
        return Err(fault(0, expected, format!("a {role} of {} bytes", bytes.len())));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let good = &bytes[..error.valid_up_to()];
        let found = format!("the byte 0x{:02x}", bytes[good.len()]);
        fault(characters(good), "UTF-8 text".into(), found)
    })
}

/// How many characters some UTF-8 text has; bytes that are none count as little as they can.
pub(super) fn characters(text: &[u8]) -> u64 {
    text.iter().filter(|&&byte| byte & 0xc0 != 0x80).count() as u64
}
