//! Where a script stops being one.
//!
//! *Owns* the error of reading. *Does not* know the grammar.

/// A script that does not follow the grammar: the place, what would have been right there, and what
/// stands there instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: expected {expected}, found {found}")]
#[non_exhaustive]
pub struct SyntaxError {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What would have been right.
    pub expected: String,
    /// What is there: a word in quotes, or `the end`.
    pub found: String,
}
