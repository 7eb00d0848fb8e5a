//! What can go wrong with graphs and their files.

use std::io;
use std::path::PathBuf;

use crate::read::Format;

/// One error for readers, writers and revisions.
///
/// [`Error::is_input`] tells a document that its author must mend from everything else.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A document does not hold what its format asks for.
    #[error("line {line}, column {column}: expected {expected}, found {found}")]
    Parse {
        /// Counted from 1.
        line: u64,
        /// In characters, counted from 1.
        column: u64,
        /// What may stand there.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// A document breaks its format's grammar, in the words of that format's parser.
    #[error("line {line}, column {column}: {message}")]
    Syntax {
        /// Counted from 1.
        line: u64,
        /// In characters, counted from 1.
        column: u64,
        /// What the parser says.
        message: String,
    },
    /// As [`Error::Syntax`], of a parser that keeps no lines.
    #[error("{format}, after statement {statements}: {message}")]
    Unplaced {
        /// The format that was read.
        format: Format,
        /// How many statements were read before.
        statements: u64,
        /// What is wrong.
        message: String,
    },
    /// No format has this name.
    #[error("unknown format {0:?}: expected one of {names}", names = Format::names())]
    UnknownFormat(String),
    /// No split has this name.
    #[error("unknown split {0:?}: expected train, valid or test")]
    UnknownSplit(String),
    /// A name cannot be written in this format.
    #[error("{name:?} cannot be written as {format}: {reason}")]
    Inexpressible {
        /// The format that was asked for.
        format: Format,
        /// The name in question.
        name: String,
        /// What is wrong with it, and what to do instead.
        reason: &'static str,
    },
    /// A file of a revision is not there.
    #[error("the revision has no file {file:?}")]
    Missing {
        /// The file's name in the revision's folder.
        file: &'static str,
    },
    /// A file of a revision was written by a newer release, or needs one.
    #[error("{file}: {what}, which this release cannot read: use a newer kge")]
    Newer {
        /// The file's name in the revision's folder.
        file: &'static str,
        /// What is unknown here.
        what: String,
    },
    /// A file of a revision is damaged, or is something else.
    #[error("{file}: {reason}")]
    Corrupt {
        /// The file's name in the revision's folder.
        file: &'static str,
        /// What is wrong and what is expected.
        reason: String,
    },
    /// A file could not be opened.
    #[error("{}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Reading or writing failed below us.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Whoever takes the statements wants no more of them, and says why.
    #[error(transparent)]
    Sink(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Whether the document itself is at fault, rather than a disk or a caller.
    pub fn is_input(&self) -> bool {
        match self {
            Self::Parse { .. } | Self::Syntax { .. } | Self::Unplaced { .. } => true,
            Self::UnknownFormat(_) | Self::UnknownSplit(_) => true,
            // A broken archive is known by these kinds; a broken disk has others.
            Self::Io(error) => {
                use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
                matches!(error.kind(), InvalidData | InvalidInput | UnexpectedEof)
            }
            _ => false,
        }
    }

    /// Line and column, both counted from 1, where they are known.
    pub fn position(&self) -> Option<(u64, u64)> {
        match *self {
            Self::Parse { line, column, .. } | Self::Syntax { line, column, .. } => {
                Some((line, column))
            }
            _ => None,
        }
    }
}
