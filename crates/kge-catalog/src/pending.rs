//! Pending files.
