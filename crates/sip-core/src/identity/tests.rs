use super::*;

fn invite(extra: &str) -> Message {
    let from = if extra.starts_with("From:") {
        ""
    } else {
        "From: \"Ann\" <sip:100@a.example>;tag=1\r\n"
    };
    let text = format!(
        "INVITE sip:200@b.example SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\n{from}To: <sip:200@b.example>\r\n\
         Call-ID: c\r\nCSeq: 1 INVITE\r\n{extra}Content-Length: 0\r\n\r\n"
    );
    let message = Message::parse(text.into_bytes().into()).unwrap();
    assert_eq!(message.defect(), None);
    message
}

fn uri(party: &Option<Party>) -> &str {
    party.as_ref().map_or("", |p| &p.uri)
}

#[test]
fn whom_to_believe() {
    use IdentitySource::{Asserted, From, RemoteParty};
    const PAI: &str = "P-Asserted-Identity: \"Net\" <sip:+4930100@net.example>, <tel:+4930100>\r\n";
    const RPID: &str = "Remote-Party-ID: \"X\" <sip:+4930200@net.example>;party=calling;screen=yes;privacy=off\r\n";
    for (extra, trusted, identity, source, hidden) in [
        ("", true, "sip:100@a.example", From, false),
        (PAI, true, "sip:+4930100@net.example", Asserted, false),
        (PAI, false, "sip:100@a.example", From, false),
        (RPID, true, "sip:+4930200@net.example", RemoteParty, false),
        (RPID, false, "sip:100@a.example", From, false),
        (
            &format!("{RPID}{PAI}"),
            true,
            "sip:+4930100@net.example",
            Asserted,
            false,
        ),
        (
            &RPID.replace("calling", "called"),
            true,
            "sip:100@a.example",
            From,
            false,
        ),
        (
            &RPID.replace("privacy=off", "privacy=full"),
            true,
            "sip:+4930200@net.example",
            RemoteParty,
            true,
        ),
        (
            &RPID.replace("privacy=off", "privacy=full"),
            false,
            "sip:100@a.example",
            From,
            false,
        ),
        (
            &format!("{PAI}Privacy: id\r\n"),
            true,
            "sip:+4930100@net.example",
            Asserted,
            true,
        ),
        (
            &format!("{PAI}Privacy: user;critical\r\n"),
            true,
            "sip:+4930100@net.example",
            Asserted,
            true,
        ),
        (
            &format!("{PAI}Privacy: none\r\n"),
            true,
            "sip:+4930100@net.example",
            Asserted,
            false,
        ),
        ("Privacy: id\r\n", false, "sip:100@a.example", From, true),
        (
            "P-Asserted-Identity: nonsense\r\n",
            true,
            "sip:100@a.example",
            From,
            false,
        ),
        (
            "From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=1\r\n",
            true,
            "",
            From,
            true,
        ),
        ("From: <sip:Restricted@carrier.example>;tag=1\r\n", true, "", From, true),
        ("From: anonymous <sip:carrier.example>;tag=1\r\n", true, "", From, true),
        (
            "From: \"Anonymous\" <sip:+49301@carrier.example>;tag=1\r\n",
            true,
            "sip:+49301@carrier.example",
            From,
            false,
        ),
    ] {
        let caller = caller(&invite(extra), trusted);
        let found = (uri(&caller.identity), caller.source, caller.hidden);
        assert_eq!(found, (identity, source, hidden), "{extra} {trusted}");
    }
    let both = caller(&invite(PAI), true);
    assert_eq!(
        (uri(&both.second), uri(&both.from)),
        ("tel:+4930100", "sip:100@a.example")
    );
    assert_eq!(both.identity.unwrap().display.as_deref(), Some("Net"));
    let hidden = "From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=1\r\n".to_owned() + PAI;
    let hidden = caller(&invite(&hidden), true);
    assert!(hidden.hidden && uri(&hidden.identity) == "sip:+4930100@net.example");
    let wish = caller(&invite("P-Preferred-Identity: <sip:101@a.example>\r\n"), false);
    assert_eq!(uri(&wish.preferred), "sip:101@a.example");
}

fn presented() -> Presented {
    Presented {
        from: Party {
            display: Some("Ann".into()),
            uri: "sip:+4930100@us.example".into(),
        },
        identity: Some(Party::new("sip:+4930100@us.example")),
        target: "sip:+4989900@carrier.example".into(),
        ..Presented::default()
    }
}

fn lines(written: &Written) -> Vec<String> {
    let headers = written.headers.iter().map(|(n, v)| format!("{n}: {v}"));
    std::iter::once(format!("From: {}", party_value(&written.from)))
        .chain(headers)
        .collect()
}

#[test]
fn what_a_trunk_is_told() {
    const OPEN: &str = "From: \"Ann\" <sip:+4930100@us.example>";
    const HIDDEN: &str = "From: \"Anonymous\" <sip:anonymous@anonymous.invalid>";
    const PAI: &str = "P-Asserted-Identity: <sip:+4930100@us.example>";
    let main = || AssertPolicy::Set("sip:+49300@us.example".into());
    let id = Privacy {
        id: true,
        ..Privacy::default()
    };
    for (privacy, hidden, assert, policy, expected) in [
        (
            Privacy::default(),
            false,
            AssertPolicy::Pass,
            PrivacyPolicy::Pass,
            vec![OPEN, PAI],
        ),
        (
            Privacy::default(),
            false,
            AssertPolicy::Remove,
            PrivacyPolicy::Pass,
            vec![OPEN],
        ),
        (
            Privacy::default(),
            false,
            main(),
            PrivacyPolicy::Pass,
            vec![OPEN, "P-Asserted-Identity: <sip:+49300@us.example>"],
        ),
        (
            id,
            false,
            AssertPolicy::Pass,
            PrivacyPolicy::Pass,
            vec![HIDDEN, PAI, "Privacy: id"],
        ),
        (
            id,
            false,
            AssertPolicy::Pass,
            PrivacyPolicy::Enforce,
            vec![HIDDEN, "Privacy: id"],
        ),
        (id, false, main(), PrivacyPolicy::Enforce, vec![HIDDEN, "Privacy: id"]),
        (id, false, AssertPolicy::Pass, PrivacyPolicy::Remove, vec![OPEN, PAI]),
        (
            Privacy::default(),
            true,
            AssertPolicy::Pass,
            PrivacyPolicy::Pass,
            vec![HIDDEN, PAI, "Privacy: id"],
        ),
        (
            Privacy { none: true, ..id },
            false,
            AssertPolicy::Pass,
            PrivacyPolicy::Pass,
            vec![OPEN, PAI, "Privacy: none;id"],
        ),
    ] {
        let call = Presented {
            privacy,
            hidden,
            ..presented()
        };
        let policy = TrunkPolicy {
            assert,
            privacy: policy,
            ..TrunkPolicy::default()
        };
        assert_eq!(
            lines(&present(&call, &policy)),
            expected,
            "{privacy:?} {hidden} {policy:?}"
        );
    }
}

const DIVERSION: &str = "Diversion: \"Bob\" <sip:bob@b.example>;reason=user-busy;counter=1;privacy=off\r\n\
                         Diversion: <sip:carol@c.example>;reason=unconditional;privacy=full\r\n";

fn written(message: &Message, policy: DiversionPolicy, privacy: PrivacyPolicy) -> Vec<String> {
    let call = Presented {
        diverted: diversions(message),
        ..presented()
    };
    let policy = TrunkPolicy {
        assert: AssertPolicy::Remove,
        privacy,
        diversion: policy,
    };
    present(&call, &policy)
        .headers
        .into_iter()
        .map(|(n, v)| format!("{n}: {v}"))
        .collect()
}

#[test]
fn diversions_are_kept_converted_or_removed() {
    let message = invite(DIVERSION);
    assert_eq!(
        written(&message, DiversionPolicy::Diversion, PrivacyPolicy::Pass),
        [
            "Diversion: \"Bob\" <sip:bob@b.example>;reason=user-busy;counter=1;privacy=off",
            "Diversion: <sip:carol@c.example>;reason=unconditional;counter=1;privacy=full"
        ]
    );
    // RFC 7544: oldest first, and the cause stands with the one that was called next.
    let history = [
        "History-Info: <sip:carol@c.example?Privacy=history>;index=1",
        "History-Info: \"Bob\" <sip:bob@b.example;cause=302>;index=1.1",
        "History-Info: <sip:+4989900@carrier.example;cause=486>;index=1.1.1",
    ];
    assert_eq!(
        written(&message, DiversionPolicy::HistoryInfo, PrivacyPolicy::Pass),
        history
    );
    let enforced = written(&message, DiversionPolicy::HistoryInfo, PrivacyPolicy::Enforce);
    assert_eq!(enforced[0], "History-Info: <sip:anonymous@anonymous.invalid>;index=1");
    assert!(written(&message, DiversionPolicy::Remove, PrivacyPolicy::Pass).is_empty());
    // And back.
    let back = invite(&history.map(|h| h.to_owned() + "\r\n").concat());
    assert_eq!(diversions(&back), diversions(&message));
}

#[test]
fn history_info_as_others_write_it() {
    let history =
        "History-Info: <sip:bob@b.example?Reason=SIP%3Bcause%3D408>;index=1, <sip:x@y.example>;index=1.1;mp=1\r\n";
    let found = diversions(&invite(history));
    assert_eq!((found.len(), found[0].reason), (1, DiversionReason::NoAnswer));
    assert_eq!(found[0].by.uri, "sip:bob@b.example");
    // Without a cause nobody diverted the call: a proxy only sent it on.
    let forwarded = "History-Info: <sip:bob@b.example>;index=1, <sip:bob@10.0.0.1>;index=1.1;rc=1\r\n";
    assert!(diversions(&invite(forwarded)).is_empty());
    for odd in [
        "History-Info: <sip:b@b>;index=x, <sip:c@c;cause=1>;index=1\r\n",
        "Diversion: nonsense\r\n",
        "Diversion: <sip:b@b>;counter=999\r\n",
    ] {
        let _ = diversions(&invite(odd));
    }
    let many = "Diversion: <sip:b@b.example>\r\n".repeat(100);
    assert_eq!(diversions(&invite(&many)).len(), MAX_VALUES);
}

#[test]
fn hidden_history_stays_here() {
    let call = Presented {
        privacy: Privacy {
            history: true,
            ..Privacy::default()
        },
        diverted: diversions(&invite(DIVERSION)),
        ..presented()
    };
    let policy = TrunkPolicy {
        privacy: PrivacyPolicy::Enforce,
        diversion: DiversionPolicy::Diversion,
        ..TrunkPolicy::default()
    };
    assert!(
        !lines(&present(&call, &policy))
            .iter()
            .any(|l| l.starts_with("Diversion"))
    );
}
