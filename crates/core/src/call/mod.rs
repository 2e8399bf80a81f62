//! The conversation machine.
