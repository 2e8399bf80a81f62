//! WebRTC legs and legs with keys: found by their user names, heard under their keys, followed when they move.

mod common;

use common::*;
use std::sync::Arc;
use strowger_media::testkit::Peer;
use strowger_media::testkit::web::Browser;
use strowger_media::*;
use strowger_media_core::g711::Law;

/// A browser's transport around a plain peer, and its configured leg.
fn web_leg(bench: &Bench, leg: u16, peer: &Peer) -> Browser {
    let browser = Browser::start(peer.address());
    configure(bench, leg, peer, &browser);
    browser
}

fn configure(bench: &Bench, leg: u16, peer: &Peer, browser: &Browser) {
    let ours = bench.handle.open_webrtc(CALL, leg).unwrap();
    assert!(ours.lite);
    let agreed = browser.meet(&ours);
    bench.command(Command::Configure {
        leg,
        config: LegConfig {
            security: Security::WebRtc(Arc::new(agreed)),
            // What a browser's description says before it knows better.
            remote: "0.0.0.0:9".parse().unwrap(),
            ..config(peer)
        },
    });
}

fn connected(bench: &Bench, number: u16) {
    bench.events.wait("a connection", |_, event| {
        matches!(event, Event::TransportConnected { leg } if *leg == number).then_some(())
    });
}

#[test]
fn a_browser_and_a_telephone_hear_each_other() {
    let bench = Bench::start();
    let (page, phone) = (Peer::start(Law::Mu), Peer::start(Law::A));
    let browser = web_leg(&bench, 0, &page);
    let at_phone = bench.leg(1, &phone);
    bench.talk();
    connected(&bench, 0);
    page.say(1000, browser.inside());
    phone.say(1500, at_phone);
    page.wait_hears(1500);
    phone.wait_hears(1000);
    page.wait_packets(10);
    phone.wait_packets(10);
    // Digits of a browser come as those of a telephone do.
    page.press("5", 80, browser.inside());
    bench.events.wait("a digit", |_, event| {
        matches!(event, Event::Dtmf { leg: 0, digit: '5', .. }).then_some(())
    });
    bench.command(Command::CloseCall);
    let stats = bench.events.wait("the end", |_, event| match event {
        Event::LegClosed { leg: 0, stats } => Some(stats.clone()),
        _ => None,
    });
    assert!(stats.packets_in > 10 && stats.packets_out > 10, "{stats:?}");
    assert_eq!((stats.lost_in, stats.discarded_invalid), (0, 0), "{stats:?}");
    assert_ne!(stats.source, None);
}

#[test]
fn two_browsers_on_one_port() {
    let bench = Bench::start();
    let peers = [Peer::start(Law::A), Peer::start(Law::A)];
    let browsers = [web_leg(&bench, 0, &peers[0]), web_leg(&bench, 1, &peers[1])];
    bench.talk();
    for (n, hz) in [(0usize, 600u16), (1, 900)] {
        connected(&bench, n as u16);
        peers[n].say(hz, browsers[n].inside());
    }
    peers[0].wait_hears_only(&[900], &[600]);
    peers[1].wait_hears_only(&[600], &[900]);
}

#[test]
fn a_browser_that_moves_is_heard_from_its_new_address() {
    let bench = Bench::start();
    let (page, phone) = (Peer::start(Law::A), Peer::start(Law::A));
    let browser = web_leg(&bench, 0, &page);
    let at_phone = bench.leg(1, &phone);
    bench.talk();
    connected(&bench, 0);
    page.say(1000, browser.inside());
    phone.say(1500, at_phone);
    page.wait_hears(1500);
    phone.wait_hears(1000);
    // ICE restarts; keys and numbers go on.
    browser.move_away();
    configure(&bench, 0, &page, &browser);
    page.forget();
    page.wait_packets(20);
    page.wait_hears(1500);
    phone.forget();
    phone.wait_hears(1000);
    let again = bench.events.all();
    let keys = again
        .iter()
        .filter(|(_, e)| matches!(e, Event::TransportConnected { .. }));
    assert_eq!(keys.count(), 1, "one handshake");
}

#[test]
fn a_leg_may_have_both_and_use_one_after_the_other() {
    let bench = Bench::start();
    let (page, desk, phone) = (Peer::start(Law::A), Peer::start(Law::A), Peer::start(Law::A));
    // It rings at a browser and at a desk; the desk is heard early, and the browser answers.
    let ours = bench.handle.open_webrtc(CALL, 0).unwrap();
    let at_desk = bench.leg(0, &desk);
    let at_phone = bench.leg(1, &phone);
    bench.talk();
    desk.say(700, at_desk);
    phone.say(1500, at_phone);
    phone.wait_hears(700);
    let browser = Browser::start(page.address());
    let agreed = browser.meet(&ours);
    bench.command(Command::Configure {
        leg: 0,
        config: LegConfig {
            security: Security::WebRtc(Arc::new(agreed)),
            ..config(&page)
        },
    });
    connected(&bench, 0);
    page.say(1000, browser.inside());
    page.wait_hears(1500);
    phone.wait_hears_only(&[1000], &[700]);
}

#[test]
fn keys_of_descriptions_protect_both_ways_and_survive_a_renewal() {
    for suite in Suite::ALL {
        let bench = Bench::start();
        let key = |n: u8| MasterKey::new(suite, &vec![n; suite.key_len() + suite.salt_len()]).unwrap();
        // Two legs of two calls are each other's far sides; their partners are plain telephones.
        let phones = [Peer::start(Law::A), Peer::start(Law::A)];
        let calls = [CallKey(1), CallKey(2)];
        let secure = calls.map(|call| bench.handle.open_leg(call, 0).unwrap());
        let plain = calls.map(|call| bench.handle.open_leg(call, 1).unwrap());
        for renewal in [false, true] {
            for n in [0usize, 1] {
                let security = Security::Sdes {
                    send: key(n as u8),
                    receive: key(1 - n as u8),
                };
                let towards = LegConfig {
                    security,
                    remote: secure[1 - n],
                    ..config(&phones[0])
                };
                let commands = [
                    Command::Configure {
                        leg: 0,
                        config: towards,
                    },
                    Command::Configure {
                        leg: 1,
                        config: config(&phones[n]),
                    },
                    Command::Layout(Layout {
                        legs: vec![hears(0, &[1]), hears(1, &[0])],
                        announce: None,
                    }),
                ];
                bench.handle.commands(calls[n], &commands).unwrap();
            }
            for (n, hz) in [(0usize, 600u16), (1, 900)] {
                phones[n].say(hz, plain[n]);
                phones[n].forget();
            }
            phones[0].wait_hears_only(&[900], &[600]);
            phones[1].wait_hears_only(&[600], &[900]);
            assert!(!renewal || phones[0].received().len() > 9);
        }
        // What is not protected is not heard: the packets of a stranger are thrown away before the address is looked at.
        let stranger = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let plain = [&[0x80, 8, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9][..], &[0x55; 160]].concat();
        stranger.send_to(&plain, secure[0]).unwrap();
        phones[0].wait_packets(5);
        bench.handle.command(calls[0], Command::CloseCall).unwrap();
        let stats = bench.events.wait("the end", |call, event| match event {
            Event::LegClosed { leg: 0, stats } if call == calls[0] => Some(stats.clone()),
            _ => None,
        });
        assert!(stats.packets_in > 9 && stats.discarded_invalid == 1, "{stats:?}");
    }
}

#[test]
fn browsers_can_be_off() {
    let bench = Bench::with(|config| config.webrtc = false);
    assert!(matches!(bench.handle.open_webrtc(CALL, 0), Err(MediaError::WebRtcOff)));
    assert!(!bench.handle.has_webrtc());
}
