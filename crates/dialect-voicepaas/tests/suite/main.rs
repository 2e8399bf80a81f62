//! The dialect's acceptance suite, in virtual time and without a socket.

mod add;
mod cancel;
mod click;
mod common;
mod kit;
mod outcome;
mod params;
