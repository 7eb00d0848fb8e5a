//! Unique names.
