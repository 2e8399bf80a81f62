//! A stack digests any sequence of datagrams in bounded time and memory. The first byte of each chunk is its length in
//! units of eight bytes; what is left is the last datagram.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use strowger_sip_core::{Input, Interface, Received, Stack, StackConfig, Time, Transport};

fuzz_target!(|data: &[u8]| {
    let local = ([127, 0, 0, 1], 5060).into();
    let interface = Interface::new(Transport::Udp, local);
    let mut stack = Stack::new(StackConfig::new([7; 16], interface));
    let mut rest = data;
    let mut now = Time(0);
    while let Some((&length, tail)) = rest.split_first() {
        let (datagram, after) = tail.split_at(tail.len().min(usize::from(length) * 8));
        let datagram = if after.is_empty() { tail } else { datagram };
        rest = after;
        let source = ([127, 0, 0, 2], 5060).into();
        stack.handle(Input::Received(Received::udp(local, source, Bytes::copy_from_slice(datagram))), now);
        while stack.poll().is_some() {}
        now = now.plus(700_000);
        stack.handle(Input::Tick, now);
        while stack.poll().is_some() {}
    }
});
