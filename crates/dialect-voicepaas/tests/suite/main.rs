//! The dialect's acceptance suite, in virtual time and without a socket.

mod add;
mod backed;
mod cancel;
mod click;
mod common;
mod cost;
mod fuzz;
mod golden;
mod kit;
mod links;
mod logs;
mod notice;
mod notice_batch;
mod notice_fuzz;
mod notice_result;
mod once;
mod outcome;
mod params;
mod projection;
mod pushes;
mod random;
mod records;
