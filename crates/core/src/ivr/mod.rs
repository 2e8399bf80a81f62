//! IVR: dialogues with callers as data, their check, and the machine that runs them (domain-model §2.3, §5.1, §10).
//!
//! A [`Flow`] is nodes with names and the ways between them. [`check`](check::check) finds what is wrong with one before
//! it is published; [`Run`] takes a call through it; [`walk`](walk::walk) does so without a call; [`Versions`] keeps
//! its drafts and what was published. The JSON form is the native API's.

pub mod check;
pub mod flow;
pub mod io;
mod run;
pub mod template;
#[cfg(test)]
mod tests;
pub mod versions;
pub mod walk;

pub use check::{Finding, Level};
pub use flow::{Flow, Node};
pub use io::{Action, Answer, Call, Fact, HandOver, Input, Library, Outcome, Over, Pressed, Said, Step};
pub use run::{Run, Waits};
pub use template::Template;
pub use versions::Versions;
