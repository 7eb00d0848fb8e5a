//! SQLite's errors, told in words that a user can act on.

use rusqlite::ErrorCode;

use crate::Error;

/// What stops a command: an error of the contract, or one of SQLite.
#[derive(Debug)]
pub(super) enum Fault {
    Job(Error),
    Sql(rusqlite::Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Job(error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl Fault {
    /// The error that a caller sees.
    pub(super) fn in_words(self, location: &str) -> Error {
        match self {
            Self::Job(error) => error,
            Self::Sql(error) => unavailable(location, reason(&error)),
        }
    }
}

pub(super) fn unavailable(location: &str, reason: impl Into<String>) -> Error {
    Error::Unavailable { location: location.to_owned(), reason: reason.into() }
}

/// What is wrong with the file, and what to do.
pub(super) fn reason(error: &rusqlite::Error) -> String {
    let advice = match error {
        rusqlite::Error::SqliteFailure(failure, _) => match failure.code {
            ErrorCode::DatabaseCorrupt => DAMAGED,
            ErrorCode::NotADatabase => {
                "it is not a database of this program, or it is damaged: move the file away; \
                 datasets and models are kept elsewhere"
            }
            ErrorCode::CannotOpen => "the file cannot be opened or made: check the path",
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied => {
                "it cannot be written: give its directory to the user that runs this"
            }
            ErrorCode::DiskFull => "the disk is full: free some space; nothing was changed",
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                "another process has held it locked for too long: try again"
            }
            ErrorCode::SystemIoFailure => "the disk reports an error: check it",
            _ => "unexpected",
        },
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..) => DAMAGED,
        _ => "unexpected",
    };
    format!("{advice} ({error})")
}

pub(super) const DAMAGED: &str = "the file is damaged: move it and its -wal and -shm files away; \
     only tasks are lost, datasets and models are kept elsewhere";
