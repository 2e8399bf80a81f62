use super::*;

const S: u64 = SECOND;
const START: Time = Time(1_000 * S);

fn guard(change: impl FnOnce(&mut GuardSettings)) -> Guard {
    let mut settings = GuardSettings::default();
    change(&mut settings);
    Guard::new(&[2; 16], settings)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn v4(n: u32) -> IpAddr {
    Ipv4Addr::from(0x0a00_0000 + n).into()
}

#[test]
fn networks() {
    for (network, addr, inside) in [
        ("192.0.2.0/24", "192.0.2.255", true),
        ("192.0.2.77/24", "192.0.3.0", false),
        ("192.0.2.1", "192.0.2.1", true),
        ("192.0.2.1", "192.0.2.2", false),
        ("0.0.0.0/0", "255.1.2.3", true),
        ("0.0.0.0/0", "2001:db8::1", false),
        ("2001:db8::/32", "2001:db8:ffff::1", true),
        ("::/0", "2001:db8::1", true),
        ("192.0.2.0/24", "::ffff:192.0.2.9", true),
    ] {
        assert_eq!(
            network.parse::<Network>().unwrap().contains(ip(addr)),
            inside,
            "{network} {addr}"
        );
    }
    for bad in ["", "x", "192.0.2.0/33", "::/129", "192.0.2.0/-1", "192.0.2.0/"] {
        assert_eq!(bad.parse::<Network>(), Err(NetworkError), "{bad}");
    }
    assert_eq!(
        Network::of_source(ip("2001:db8:1:2:3:4:5:6")).to_string(),
        "2001:db8:1:2::/64"
    );
}

#[test]
fn a_source_has_its_rate_and_its_burst() {
    let mut guard = guard(|s| (s.rate, s.burst) = (10, 20));
    let (a, b) = (ip("192.0.2.1"), ip("192.0.2.2"));
    let burst =
        |guard: &mut Guard, from: IpAddr, now: Time| (0..100).filter(|_| guard.admit(from, now) == Admit::Ok).count();
    assert_eq!(burst(&mut guard, a, START), 20);
    assert_eq!(guard.admit(a, START), Admit::Limited);
    assert_eq!(burst(&mut guard, b, START), 20, "others are not concerned");
    assert_eq!(burst(&mut guard, a, START.plus(S)), 10);
    assert_eq!(burst(&mut guard, a, START.plus(100 * S)), 20);
    // Asking often does not cost what is earned in between.
    let admitted = (1..=10_000u64)
        .filter(|n| guard.admit(a, START.plus(200 * S + n * 1_000)) == Admit::Ok)
        .count();
    assert_eq!(admitted, 20 + 100 - 1);
    // One host has a whole /64.
    let six = |n: u64| ip(&format!("2001:db8::{n:x}"));
    assert_eq!(
        (0..100).filter(|n| guard.admit(six(*n), START) == Admit::Ok).count(),
        20
    );
}

#[test]
fn guessing_ends_in_bans_that_grow() {
    let mut guard = guard(|_| {});
    let source = ip("192.0.2.1");
    let mut now = START;
    for hours in [1, 2, 4, 8, 16, 24, 24] {
        for _ in 0..9 {
            assert_eq!(guard.failed(source, now), None);
        }
        assert_eq!(guard.admit(source, now), Admit::Ok);
        let ban = guard.failed(source, now).expect("the tenth failure");
        assert_eq!(ban.until, now.plus(hours * 3_600 * S));
        assert_eq!(guard.admit(source, now), Admit::Banned);
        assert!(guard.is_banned(source, now));
        assert_eq!(guard.admit(ip("192.0.2.2"), now), Admit::Ok);
        assert_eq!(guard.list(now), [ban]);
        now = ban.until;
        assert_eq!(guard.admit(source, now), Admit::Ok);
        assert!(guard.list(now).is_empty());
    }
    // Who behaves for long enough begins anew.
    now = now.plus(30 * 24 * 3_600 * S);
    guard.ban(ip("192.0.2.9"), 1, now);
    assert_eq!(guard.held(), 1, "old bans are forgotten");
}

#[test]
fn failures_count_within_their_window() {
    let mut guard = guard(|s| s.failures_an_hour = 30);
    let source = ip("192.0.2.1");
    let mut now = START;
    for n in 0..29 {
        assert_eq!(guard.failed(source, now), None, "{n}");
        now = now.plus(10 * S);
    }
    assert!(
        guard.failed(source, now).is_some(),
        "the slow one is caught by the hour"
    );
}

#[test]
fn an_office_with_one_wrong_telephone_is_given_more_time() {
    let mut guard = guard(|_| {});
    let source = ip("192.0.2.1");
    guard.succeeded(source, START);
    for _ in 0..49 {
        assert_eq!(guard.failed(source, START), None);
        guard.succeeded(source, START);
    }
    assert!(
        guard.failed(source, START).is_some(),
        "but an account does not buy endless guesses"
    );
}

#[test]
fn exempt_networks_and_hands() {
    let mut guard = guard(|s| {
        s.exempt = vec!["198.51.100.0/24".parse().unwrap()];
        (s.rate, s.burst) = (1, 1);
    });
    let trunk = ip("198.51.100.7");
    for _ in 0..100 {
        assert_eq!(guard.admit(trunk, START), Admit::Ok);
        assert_eq!(guard.failed(trunk, START), None);
    }
    let source = ip("2001:db8::1");
    guard.ban(source, 60, START);
    assert_eq!(guard.admit(ip("2001:db8::2"), START), Admit::Banned, "the same /64");
    assert!(guard.list(START)[0].manual);
    assert!(guard.unban(source, START) && !guard.unban(source, START));
    assert_eq!(guard.admit(source, START), Admit::Ok);
    let text = format!("{guard:?}");
    assert!(!text.contains("198.51"), "{text}");
}

#[test]
fn loopback_is_not_exempt_unless_it_is_said() {
    let mut guard = guard(|s| (s.rate, s.burst) = (1, 1));
    assert_eq!(guard.admit(ip("127.0.0.1"), START), Admit::Ok);
    assert_eq!(guard.admit(ip("127.0.0.1"), START), Admit::Limited);
}

#[test]
fn a_million_sources_cost_what_ten_cost() {
    let mut guard = guard(|s| {
        s.max_sources = 4_096;
        s.max_bans = 100;
        (s.rate, s.burst) = (10, 10);
    });
    let bytes = guard.sources.bytes();
    for n in 0..1_000_000 {
        guard.admit(v4(n), START);
        if n % 1_000 == 0 {
            guard.ban(v4(n), 60 + n / 1_000, START);
        }
    }
    assert_eq!(guard.sources.bytes(), bytes);
    assert_eq!((guard.held(), guard.forget.len()), (100, 100));
    // The bans that end last are those that are left.
    assert!(guard.is_banned(v4(999_000), START) && !guard.is_banned(v4(0), START));
}

/// A source that keeps talking is not pushed out by a flood of others as long as its set sees it now and then.
#[test]
fn who_talks_is_remembered_through_a_flood() {
    let mut guard = guard(|s| {
        s.max_sources = 4_096;
        (s.rate, s.burst) = (1, 50);
    });
    let busy = ip("192.0.2.1");
    let mut admitted = 0;
    for n in 0..100_000 {
        guard.admit(v4(n), START);
        if n % 100 == 0 {
            admitted += u32::from(guard.admit(busy, START) == Admit::Ok);
        }
    }
    assert_eq!(admitted, 50);
}
