//! What an idle registration takes, counted by the allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use strowger_sip_core::registrar::{Aor, Registrar, RegistrarSettings};
use strowger_sip_core::{FlowId, Message, Target, Time, Transport};

/// Counts bytes that are held.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn an_idle_registration_is_small() {
    const COUNT: usize = 50_000;
    let register = |n: usize| {
        let text = format!(
            "REGISTER sip:tenant.example SIP/2.0\r\nVia: SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bK{n}\r\n\
             From: <sip:user{n}@tenant.example>;tag=t\r\nTo: <sip:user{n}@tenant.example>\r\nCall-ID: call-{n}\r\nCSeq: 1 REGISTER\r\n\
             Contact: <sip:u{n}@df7jal23ls0d.invalid;transport=ws>;reg-id=1;\
             +sip.instance=\"<urn:uuid:00000000-0000-1000-8000-{n:012x}>\"\r\nSupported: path, outbound, gruu\r\n\
             User-Agent: Browser/{}\r\nContent-Length: 0\r\n\r\n",
            n % 20
        );
        Message::parse(text.into_bytes().into()).unwrap()
    };
    let mut registrar = Registrar::new(&[9; 16], RegistrarSettings::default());
    let before = HELD.load(Ordering::Relaxed);
    let mut rounds = Vec::new();
    for round in 0..2u64 {
        for n in 0..COUNT {
            let number = round << 32 | n as u64;
            let flow = Target {
                transport: Transport::Wss,
                addr: ([198, 51, 100, 7], 40_000).into(),
                flow: Some(FlowId(number)),
            };
            let aor = Aor::new("tenant.example", &format!("user{n}"));
            let outcome = registrar.register(&aor, &register(n), flow, ([192, 0, 2, 1], 443).into(), Time(1));
            assert_eq!(outcome.status, 200);
        }
        rounds.push((HELD.load(Ordering::Relaxed) - before) / COUNT);
        for n in 0..COUNT {
            assert_eq!(registrar.flow_gone(FlowId(round << 32 | n as u64)).len(), 1);
        }
        assert!(registrar.is_empty());
    }
    println!("{rounds:?} bytes a binding of an outbound client");
    assert!(rounds[0] < 700, "{rounds:?} bytes a binding");
    // Tables keep their room and use it again.
    assert!(rounds[1] <= rounds[0] + 16, "{rounds:?} bytes a binding");
}
