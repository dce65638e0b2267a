//! Scripts in packetdrill's notation: system calls of one application and packets of one peer, on one
//! time line (docs/scripts.md).
//!
//! *Owns* the language and its meaning. *Does not* have a clock, a thread or a descriptor: a script runs in virtual
//! time, and nothing that it says reaches a shell.
//!
//! ```
//! use netloom::drill::{Defines, Script};
//! let text = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3";
//! assert_eq!(Script::parse(text, &Defines::new()).unwrap().event_count(), 1);
//! let error = Script::parse("0 < X 0:0(0)", &Defines::new()).unwrap_err();
//! assert_eq!((error.line, error.column), (1, 5));
//! ```
//!
//! | file | owns |
//! |---|---|
//! | `source.rs` | comments, conditions, words that stand for others; lines and columns |
//! | `cursor.rs`, `parse/` | the grammar |
//! | `letters.rs` | flags, as read and as shown |
//! | `ast.rs` | [`Script`] |
//! | `profile.rs`, `shell.rs` | settings: as another stack, and as a script's commands ask for |
//! | `run/` | a script's time line, its packets, calls and code; [`Session`], a script in pieces |
//! | `drill.rs`, `verdict.rs`, `error.rs` | [`Drill`], and what a run comes to |

mod ast;
mod cursor;
#[expect(
    clippy::module_inception,
    reason = "the entrance has the name of the house"
)]
mod drill;
mod error;
mod letters;
mod parse;
mod profile;
mod run;
mod shell;
mod source;
mod verdict;

pub use ast::Script;
pub use drill::{Drill, Variant};
pub use error::SyntaxError;
pub use profile::{Profile, ProfileError};
pub use run::Session;
pub use source::Defines;
pub use verdict::{Cause, Outcome, Verdict};
