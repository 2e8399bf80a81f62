//! Crossings of what extensions add, on good and on bad networks: both ends agree, each handle gets exactly one terminal
//! event, and nothing is left in any stack.

mod kit;

use kit::*;

use strowger_sim::{NodeId, Rng, SipNet};
use strowger_sip_core::*;

/// Gives a node a script with random numbers of its own.
fn script(
    net: &mut SipNet,
    node: NodeId,
    seed: u64,
    mut react: impl FnMut(DialogHandle, &SipEvent, &mut Rng) -> Vec<(u64, Command)> + 'static,
) {
    let mut rng = Rng::new(seed ^ (node.0 as u64 + 1) << 40);
    net.script(node, move |handle, event| react(handle, event, &mut rng));
}

/// Two ends with an application each; the callee answers within `answer_by` µs.
struct Pair {
    net: SipNet,
    a: NodeId,
    b: NodeId,
    caller: Shared,
    callee: Shared,
    times: Rng,
    seed: u64,
}

impl Pair {
    fn new(seed: u64, settings: impl Fn(&mut StackConfig) + Clone + 'static) -> Pair {
        let mut net = SipNet::new(seed, link(seed));
        let (a, b) = (net.add_node_with(settings.clone()), net.add_node_with(settings));
        let times = net.rng().clone();
        Pair {
            net,
            a,
            b,
            caller: App::new("a", true),
            callee: App::new("b", true),
            times,
            seed,
        }
    }

    fn invite(&mut self, change: impl FnOnce(&mut Invite)) {
        let mut invite = self.net.invite(self.a, self.b, 1);
        invite.sdp = Some(self.caller.borrow_mut().offer());
        change(&mut invite);
        self.net.command(self.a, Command::Invite(Box::new(invite)));
    }

    /// Both ends react as applications do; the callee answers at once.
    fn plain_scripts(&mut self) {
        let app = self.caller.clone();
        script(&mut self.net, self.a, self.seed, move |handle, event, rng| {
            app.borrow_mut().react(handle, event, rng)
        });
        let app = self.callee.clone();
        script(
            &mut self.net,
            self.b,
            self.seed,
            move |handle, event, rng| match event {
                SipEvent::Incoming(invite) => {
                    let answer = invite.sdp.as_ref().map(|offer| app.borrow_mut().answer(offer));
                    vec![(rng.below(50 * MS), respond(handle, 200, answer, false))]
                }
                _ => app.borrow_mut().react(handle, event, rng),
            },
        );
    }

    fn finish(mut self, name: &str) -> Pair {
        finish(&mut self.net, &[self.a, self.b], name, self.seed);
        let context = || story(name, self.seed, &self.net);
        agree(&self.net, self.a, self.b, &context);
        same_session(&self.net, (self.a, &self.caller), (self.b, &self.callee), &context);
        self
    }

    fn callee_handle(&self) -> Option<DialogHandle> {
        let incoming = |e: &&strowger_sim::Logged| e.node == self.b && matches!(e.event, SipEvent::Incoming(_));
        self.net.events().iter().find(incoming).map(|e| e.handle)
    }
}

#[test]
fn bye_and_bye() {
    for seed in seeds() {
        let mut pair = Pair::new(seed, |_| {});
        pair.plain_scripts();
        pair.invite(|_| {});
        let (first, second) = (pair.times.below(2 * S), pair.times.below(S));
        pair.net.after(first, pair.a, bye(ONE));
        pair.net.run_for(first.saturating_sub(second / 2));
        if let Some(handle) = pair.callee_handle() {
            pair.net.after(second, pair.b, bye(handle));
        }
        pair.finish("bye/bye");
    }
}

#[test]
fn cancel_and_200() {
    for seed in seeds() {
        let mut pair = Pair::new(seed, |_| {});
        pair.plain_scripts();
        let answer = pair.times.below(600 * MS);
        let app = pair.callee.clone();
        script(&mut pair.net, pair.b, seed, move |handle, event, _| match event {
            SipEvent::Incoming(invite) => {
                let sdp = invite.sdp.as_ref().map(|offer| app.borrow_mut().answer(offer));
                vec![
                    (0, respond(handle, 180, None, false)),
                    (answer, respond(handle, 200, sdp, false)),
                ]
            }
            _ => Vec::new(),
        });
        pair.invite(|_| {});
        let cancel = Command::Cancel {
            handle: ONE,
            reason: None,
        };
        let at = pair.times.below(600 * MS);
        pair.net.after(at, pair.a, cancel);
        pair.finish("cancel/200");
    }
}

#[test]
fn reinvite_and_reinvite() {
    let mut agreed = 0;
    for seed in seeds() {
        let mut pair = Pair::new(seed, |_| {});
        pair.plain_scripts();
        pair.invite(|_| {});
        pair.net.run_for(3 * S);
        let unanswered = pair.caller.borrow().pending.is_some();
        if let Some(handle) = pair.callee_handle().filter(|_| !unanswered) {
            let ours = pair.caller.borrow_mut().reinvite(ONE);
            let theirs = pair.callee.borrow_mut().reinvite(handle);
            let (first, second) = (pair.times.below(150 * MS), pair.times.below(150 * MS));
            pair.net.after(first, pair.a, ours);
            pair.net.after(second, pair.b, theirs);
        }
        pair.net.after(120 * S, pair.a, bye(ONE));
        let pair = pair.finish("reinvite/reinvite");
        agreed += pair.callee.borrow().agreed;
    }
    assert!(
        u64::from(agreed) > seeds().end / 2,
        "{agreed} of the callee's offers were answered"
    );
}

/// UPDATEs of both sides while a reliable response waits for its PRACK, while the call is answered, and after.
#[test]
fn update_and_prack() {
    let mut agreed = 0;
    for seed in seeds() {
        let mut pair = Pair::new(seed, |_| {});
        let late_offer = seed % 4 == 0;
        let required = seed % 5 == 0;
        let app = pair.caller.clone();
        script(&mut pair.net, pair.a, seed, move |handle, event, rng| {
            let mut todo = app.borrow_mut().react(handle, event, rng);
            let free = app.borrow().local.is_some() && app.borrow().pending.is_none();
            if matches!(event, SipEvent::Provisional { reliable: true, .. }) && free && rng.chance(600) {
                let update = app.borrow_mut().update(handle);
                todo.push((rng.below(200 * MS), update));
            }
            todo
        });
        let app = pair.callee.clone();
        script(&mut pair.net, pair.b, seed, move |handle, event, rng| match event {
            SipEvent::Incoming(invite) => {
                let first = match &invite.sdp {
                    Some(offer) => app.borrow_mut().answer(offer),
                    None => app.borrow_mut().offer(),
                };
                let rings = rng.below(300 * MS);
                let answers = rings + rng.below(900 * MS);
                vec![
                    (0, respond(handle, 183, Some(first), true)),
                    (rings, respond(handle, 180, None, true)),
                    (answers, respond(handle, 200, None, false)),
                ]
            }
            SipEvent::PrackReceived { .. } => {
                let mut todo = app.borrow_mut().react(handle, event, rng);
                if rng.chance(500) && app.borrow().pending.is_none() {
                    let update = app.borrow_mut().update(handle);
                    todo.push((rng.below(200 * MS), update));
                }
                todo
            }
            _ => app.borrow_mut().react(handle, event, rng),
        });
        pair.invite(|invite| {
            invite.reliable = if required {
                Reliable::Required
            } else {
                Reliable::Supported
            };
            if late_offer {
                invite.sdp = None;
            }
        });
        if late_offer {
            pair.caller.borrow_mut().pending = None;
        }
        pair.net.after(120 * S, pair.a, bye(ONE));
        let pair = pair.finish("update/prack");
        agreed += pair.caller.borrow().agreed + pair.callee.borrow().agreed;
    }
    assert!(u64::from(agreed) > seeds().end, "{agreed} offers were answered");
}

#[test]
fn refer_and_bye() {
    let (mut reported, mut finished) = (0, 0);
    for seed in seeds() {
        let mut pair = Pair::new(seed, |_| {});
        pair.plain_scripts();
        let app = pair.callee.clone();
        script(&mut pair.net, pair.b, seed, move |handle, event, rng| match event {
            SipEvent::Incoming(invite) => {
                let answer = invite.sdp.as_ref().map(|offer| app.borrow_mut().answer(offer));
                vec![(0, respond(handle, 200, answer, false))]
            }
            SipEvent::ReferReceived { id, .. } => {
                let notify = |status, finished| Command::NotifyRefer {
                    handle,
                    id: *id,
                    status,
                    phrase: None,
                    finished,
                };
                let answer = rng.below(200 * MS);
                let status = if rng.chance(800) { 202 } else { 603 };
                vec![
                    (
                        answer,
                        Command::AnswerRefer {
                            handle,
                            id: *id,
                            status,
                        },
                    ),
                    (answer + rng.below(S), notify(180, false)),
                    (answer + S + rng.below(S), notify(200, true)),
                ]
            }
            _ => app.borrow_mut().react(handle, event, rng),
        });
        pair.invite(|_| {});
        let start = 2 * S;
        for _ in 0..1 + pair.times.below(3) {
            let refer = Command::Refer {
                handle: ONE,
                refer_to: "sip:third@10.0.9.9".into(),
                referred_by: Some("<sip:caller@10.0.0.1>".into()),
            };
            let at = start + pair.times.below(300 * MS);
            pair.net.after(at, pair.a, refer);
        }
        let at = start + pair.times.below(3 * S);
        if seed % 2 == 0 {
            pair.net.after(at, pair.a, bye(ONE));
        } else {
            pair.net.run_for(start);
            match pair.callee_handle() {
                Some(handle) => pair.net.after(at - start, pair.b, bye(handle)),
                None => pair.net.after(60 * S, pair.a, bye(ONE)),
            }
        }
        let pair = pair.finish("refer/bye");
        for event in pair.net.events_of(pair.a) {
            match event {
                SipEvent::ReferProgress { finished: true, .. } => finished += 1,
                SipEvent::ReferProgress { .. } => reported += 1,
                _ => {}
            }
        }
    }
    assert!(
        reported > seeds().end / 4 && finished > seeds().end / 10,
        "{reported} {finished}"
    );
}

#[test]
fn two_answers_of_one_invite() {
    let mut stray = 0;
    for seed in seeds() {
        let mut net = SipNet::new(seed, link(seed));
        let (a, b, c) = (net.add_node(), net.add_node(), net.add_node());
        let proxy = net.add_forking_proxy(&[b, c]);
        let mut times = net.rng().clone();
        for node in [b, c] {
            let app = App::new("x", false);
            script(&mut net, node, seed, move |handle, event, rng| match event {
                SipEvent::Incoming(invite) => {
                    let sdp = invite.sdp.as_ref().map(|offer| app.borrow_mut().answer(offer));
                    let reliable = rng.chance(500);
                    let at = rng.below(300 * MS);
                    let early = if reliable { sdp.clone() } else { None };
                    vec![
                        (0, respond(handle, 183, early, reliable)),
                        (at, respond(handle, 200, sdp, false)),
                    ]
                }
                _ => Vec::new(),
            });
        }
        let mut invite = net.invite(a, proxy, 1);
        invite.reliable = Reliable::Supported;
        net.command(a, Command::Invite(Box::new(invite)));
        net.after(5 * S + times.below(S), a, bye(ONE));
        finish(&mut net, &[b, c], "2xx/2xx", seed);
        let answered = net
            .events_of(a)
            .filter(|e| matches!(e, SipEvent::Answered { .. }))
            .count();
        assert!(answered <= 1, "{}", story("2xx/2xx", seed, &net));
        stray += usize::from(
            net.events_of(b)
                .chain(net.events_of(c))
                .filter(|e| matches!(e, SipEvent::AckReceived { .. }))
                .count()
                == 2,
        );
    }
    assert!(stray as u64 > seeds().end / 4, "two answers met {stray} times");
}

#[test]
fn session_refresh_and_bye() {
    let mut refreshed = 0;
    for seed in seeds() {
        let mut pair = Pair::new(seed, |config| {
            config.session = SessionConfig {
                expires: 20,
                min_se: 10,
                enabled: true,
            };
        });
        pair.plain_scripts();
        pair.invite(|_| {});
        let at = 9_800 * MS + pair.times.below(600 * MS) + (seed % 3) * 10 * S;
        pair.net.run_for(S);
        match (seed % 2, pair.callee_handle()) {
            (1, Some(handle)) => pair.net.after(at, pair.b, bye(handle)),
            _ => pair.net.after(at, pair.a, bye(ONE)),
        }
        let pair = pair.finish("refresh/bye");
        refreshed += pair
            .net
            .events_of(pair.a)
            .filter(|e| matches!(e, SipEvent::SessionRefreshed { .. }))
            .count() as u64;
    }
    assert!(refreshed > seeds().end / 2, "{refreshed}");
}

/// C takes A's place in A's call with B, while A or B hangs up.
#[test]
fn replaces_and_bye() {
    let (mut taken, mut refused) = (0, 0);
    for seed in seeds() {
        let mut net = SipNet::new(seed, link(seed));
        let (a, b, c) = (net.add_node(), net.add_node(), net.add_node());
        let mut times = net.rng().clone();
        script(&mut net, b, seed, move |handle, event, rng| match event {
            SipEvent::Incoming(invite) => {
                let answer = invite.sdp.clone();
                let mut todo = vec![(rng.below(30 * MS), respond(handle, 200, answer, false))];
                if let Some(replaced) = invite.replaces {
                    todo.push((rng.below(60 * MS), bye(replaced.handle)));
                }
                todo
            }
            _ => Vec::new(),
        });
        let invite = net.invite(a, b, 1);
        net.command(a, Command::Invite(Box::new(invite)));
        net.run_for(2 * S);
        let snapshot = net.events_of(a).find_map(|e| match e {
            SipEvent::Answered { snapshot, .. } => Some(snapshot.clone()),
            _ => None,
        });
        if let Some(snapshot) = snapshot {
            let replaces = Replaces {
                call_id: snapshot.call_id.clone(),
                to_tag: snapshot.remote_tag.clone(),
                from_tag: snapshot.local_tag.clone(),
                early_only: false,
            };
            let mut invite = net.invite(c, b, 2);
            invite.headers = vec![
                ("Replaces".into(), replaces.value()),
                ("Require".into(), "replaces".into()),
            ];
            net.after(times.below(200 * MS), c, Command::Invite(Box::new(invite)));
        }
        net.after(times.below(200 * MS), a, bye(ONE));
        net.after(20 * S, c, bye(DialogHandle(2)));
        finish(&mut net, &[b], "replaces", seed);
        for event in net.events_of(c) {
            match event {
                SipEvent::Answered { .. } => taken += 1,
                SipEvent::Failed(f) => {
                    let known = [481, 603, 408].contains(&f.status);
                    assert!(known, "{} {}", f.status, story("replaces", seed, &net));
                    refused += 1;
                }
                _ => {}
            }
        }
    }
    assert!(
        taken > seeds().end / 10 && refused > seeds().end / 10,
        "{taken} {refused}"
    );
}

/// Nobody hears anybody any more: the session timer ends the call on both sides.
#[test]
fn a_cut_network_ends_the_call_on_both_sides() {
    let mut expired = 0;
    for seed in 0..seeds().end / 20 {
        let mut pair = Pair::new(seed, |config| {
            config.session = SessionConfig {
                expires: 20,
                min_se: 10,
                enabled: true,
            };
        });
        pair.plain_scripts();
        pair.invite(|_| {});
        let at = 2 * S + pair.times.below(30 * S);
        pair.net.run_for(at);
        pair.net.lose_if(|_| true);
        let pair = pair.finish("cut");
        let ended_by_timer = |e: &&SipEvent| {
            matches!(
                e,
                SipEvent::Ended {
                    cause: EndCause::SessionExpired
                }
            )
        };
        expired += pair.net.events_of(pair.b).filter(ended_by_timer).count() as u64;
    }
    assert!(expired > seeds().end / 40, "{expired}");
}
