//! Seeded random interleavings: parties, media, timers and commands in any order. Whatever happens, one record.

use crate::kit::switch::{Conv, replay};
use crate::kit::*;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use strowger_core::call::{
    AddPlan, ClickPlan, Command, Effect, Failure, Input, LegFact, PartyPlan, PlayId, Prompt, Ringback, Sound, Target,
};
use strowger_core::event::{Created, Event, Fact, Kind, RecordMode};
use strowger_core::project::Topic;
use strowger_core::{By, Cause, ConversationId, LegSeq, Role, Stamp};
use strowger_dialect_voicepaas::SubscriptionContext;

/// SplitMix64 (Steele, Lea, Flood 2014): small, seeded, and the same on every machine.
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize].clone()
    }
}

fn voice(r: &mut Rng, name: &str) -> Option<Prompt> {
    r.one_in(2).then(|| Prompt {
        name: name.to_owned(),
        millis: 500 + r.below(9_000) as u32,
    })
}

fn ringback(r: &mut Rng) -> Ringback {
    if r.one_in(2) {
        Ringback::Transparent
    } else {
        Ringback::Custom {
            voice: voice(r, "ring"),
            fail: voice(r, "fail"),
        }
    }
}

fn party_plan(text: &str) -> PartyPlan {
    PartyPlan {
        target: Target::Number(number(text)),
        text: text.to_owned(),
        cli: Some(CLI.to_owned()),
    }
}

fn click_plan(r: &mut Rng) -> (Created, ClickPlan) {
    let context = SubscriptionContext {
        account: Some(ACCOUNT),
        application: APP,
        version: "v1".into(),
        zone_minutes: 480,
        strict_causes: r.one_in(4),
        recording_base: "https://r.example.com".into(),
        batch: None,
    };
    let head = Created {
        tenant: TENANT,
        application: APP,
        account: Some(ACCOUNT),
        kind: Kind::ClickToCall,
        ani: CALLER.into(),
        dnis: CALLEE.into(),
        user_data: "u".into(),
        max_duration: r.one_in(3).then(|| 1 + r.below(150) as u32),
        record: r.pick(&[RecordMode::None, RecordMode::FromRinging, RecordMode::FromAnswer]),
        subscriptions: context.subscriptions(Some("http://x.example.com/s"), Some("http://x.example.com/c")),
    };
    let plan = ClickPlan {
        caller: party_plan(CALLER),
        callee: party_plan(CALLEE),
        greeting: voice(r, "greet"),
        ringback: ringback(r),
        caller_voice: voice(r, "caller"),
        callee_voice: voice(r, "callee"),
        last_minute: voice(r, "last"),
        ring_timeout: 5 + r.below(60) as u32,
        record_wait: 60,
        answer: Default::default(),
    };
    (head, plan)
}

fn add_plan(r: &mut Rng) -> AddPlan {
    AddPlan {
        party: party_plan(r.pick(&[THIRD, FOURTH])),
        greeting: voice(r, "greet"),
        ringback: ringback(r),
        caller_voice: voice(r, "caller"),
        callee_voice: voice(r, "callee"),
        record: r.one_in(2),
        ring_timeout: 5 + r.below(60) as u32,
    }
}

/// A far side that mostly behaves like one.
fn far_side(r: &mut Rng) -> Party {
    let mut at = r.below(4_000);
    let mut before = vec![];
    if !r.one_in(5) {
        before.push((at, LegFact::Ringing));
    }
    if r.one_in(3) {
        at += r.below(3_000);
        before.push((at, LegFact::EarlyMedia));
    }
    at += r.below(9_000);
    match r.below(8) {
        0 => {
            let status = r.pick(&[404, 480, 486, 487, 488, 500, 503, 603]);
            before.push((at, LegFact::Failed(Failure::Status { status, q850: 0 })));
        }
        1 => {}
        _ => before.push((at, LegFact::Answered { dialog: None })),
    }
    let mut after = vec![];
    if r.one_in(3) {
        let hold = r.below(20_000);
        after.push((hold, LegFact::Held));
        after.push((hold + r.below(10_000), LegFact::Retrieved));
    }
    if !r.one_in(3) {
        after.push((r.below(120_000), LegFact::HungUp { q850: 16 }));
    }
    Party {
        before,
        after,
        confirms: (!r.one_in(6)).then(|| r.below(3_000)),
    }
}

/// Something that comes when it likes, whether it fits or not.
fn disturbance(r: &mut Rng) -> Input {
    let leg = LegSeq(r.below(5) as u16);
    let fact = |f| Input::Leg(leg, f);
    match r.below(16) {
        0..=2 => Input::Command(Command::Add(Box::new(add_plan(r)))),
        3 => Input::Command(Command::Cancel {
            leg: r.one_in(2).then_some(leg),
        }),
        4 => fact(LegFact::HungUp { q850: 0 }),
        5 => fact(LegFact::Lost),
        6 => fact(LegFact::Silent),
        7 => fact(LegFact::Answered { dialog: None }),
        8 => fact(LegFact::Ringing),
        9 => fact(LegFact::Failed(Failure::Media)),
        10 => fact(LegFact::Digit('7')),
        11 => fact(LegFact::Held),
        12 => Input::Played(PlayId(r.below(20) as u32)),
        13 => Input::RecordingDone {
            recording: r.below(2) as u16,
            result: Err("echo".into()),
        },
        14 if r.one_in(3) => Input::SystemEnd,
        14 => fact(LegFact::Released),
        _ => Input::Tick,
    }
}

fn play(seed: u64) -> (VirtualSwitch, ConversationId) {
    let mut r = Rng(seed);
    let switch = VirtualSwitch::new();
    let id;
    {
        let mut w = switch.world();
        for text in [CALLER, CALLEE, THIRD, FOURTH] {
            w.parties.insert(number(text).as_str().to_owned(), far_side(&mut r));
        }
        for name in ["ring", "fail", "greet", "caller", "callee", "last"] {
            w.sounds.insert(name.to_owned(), r.below(12_000));
        }
        w.file_after = r.pick(&[Some(0), Some(2_000), Some(70_000), None]);
        w.file_fails = r.one_in(5);
        let (head, plan) = click_plan(&mut r);
        id = w.start(head, plan);
        for _ in 0..r.below(12) {
            let at = START.plus_ms(r.below(90_000));
            let input = disturbance(&mut r);
            w.feed_at(at, id, input);
        }
        // Parties that talk for ever and nobody who ends it: the back end does, sometime.
        let cancel = Input::Command(Command::Cancel { leg: None });
        w.feed_at(START.plus_secs(400), id, cancel);
        w.run();
    }
    (switch, id)
}

/// What byeType must be, told from the order of events instead of the machine's verdict (domain-model §6).
fn expected_bye_type(events: &[Event]) -> u8 {
    let mut roles = BTreeMap::new();
    let mut answered = HashMap::new();
    let mut end = None;
    for e in events {
        match &e.fact {
            Fact::LegCreated { leg, role, .. } => {
                roles.insert(*leg, *role);
            }
            Fact::LegAnswered { leg, .. } => {
                answered.insert(roles[leg], e.seq);
            }
            Fact::Ending { cause, by } => end = Some((*cause, *by)),
            _ => {}
        }
    }
    let (cause, by) = end.expect("an end");
    match (
        answered.contains_key(&Role::Caller),
        answered.contains_key(&Role::Callee),
    ) {
        (false, _) => 0,
        (true, false) if by == By::Party(LegSeq(0), Role::Caller) || by == By::Api => 1,
        (true, false) => 2,
        (true, true) if cause == Cause::MaxDuration => 5,
        (true, true) if by == By::Party(LegSeq(1), Role::Callee) => 4,
        (true, true) => 3,
    }
}

fn one_end_each(c: &Conv) {
    let count = |f: &dyn Fn(&Fact) -> bool| c.events.iter().filter(|e| f(&e.fact)).count();
    assert_eq!(count(&|f| matches!(f, Fact::Ended)), 1);
    assert_eq!(count(&|f| matches!(f, Fact::Ending { .. })), 1);
    let mut over = BTreeMap::new();
    let mut ended = false;
    for e in &c.events {
        let leg = match &e.fact {
            Fact::LegEnded { leg, .. } => {
                assert!(over.insert(*leg, e.seq).is_none(), "leg {leg} ends twice");
                continue;
            }
            Fact::LegRinging { leg }
            | Fact::LegAnswered { leg, .. }
            | Fact::LegBridged { leg }
            | Fact::LegHeld { leg }
            | Fact::LegRetrieved { leg }
            | Fact::Digit { leg, .. } => Some(*leg),
            Fact::Ended => {
                ended = true;
                continue;
            }
            Fact::RecordingFinished { .. } | Fact::RecordingFailed { .. } | Fact::RecordDue => continue,
            Fact::LegQuality { .. } => continue,
            _ => None,
        };
        assert!(!ended, "{} after the end", e.fact.kind());
        assert!(
            leg.is_none_or(|l| !over.contains_key(&l)),
            "{} after its leg's end",
            e.fact.kind()
        );
    }
    assert_eq!(over.len(), c.fold.legs.len());
}

fn stamps_in_order(c: &Conv) {
    for l in &c.fold.legs {
        let present: Vec<Stamp> = [Some(l.start), l.ring, l.answer, l.bridge, l.stop]
            .into_iter()
            .flatten()
            .collect();
        let (ring, answer) = (l.ring, l.answer);
        // A 183 may come after nothing else; a ring after the answer does not exist.
        if let (Some(r), Some(a)) = (ring, answer) {
            assert!(r <= a);
        }
        assert!(present.is_sorted(), "{present:?}");
        let gaps: i64 = present.windows(2).map(|w| w[1].secs() - w[0].secs()).sum();
        assert_eq!(gaps, l.stop.unwrap().secs() - l.start.secs());
        let talk = answer.map_or(0, |a| l.stop.unwrap().secs() - a.secs());
        assert_eq!(l.duration(), talk);
    }
    let sum: i64 = c.fold.legs.iter().map(|l| l.duration()).sum();
    assert_eq!(c.fold.bill_seconds(), sum);
}

fn pushes_are_right(c: &Conv) {
    assert_eq!(replay(&c.events), c.deliveries);
    let ended = c.events.iter().find(|e| matches!(e.fact, Fact::Ended)).unwrap().seq;
    let of_record: Vec<_> = c.deliveries.iter().filter(|d| d.topic == Topic::CallRecord).collect();
    assert!(of_record.iter().all(|d| d.event >= ended), "a record before the end");
    let bodies: Vec<Value> = of_record
        .iter()
        .map(|d| serde_json::from_slice(&d.bytes).unwrap())
        .collect();
    match bodies.as_slice() {
        [_] => {}
        [first, second] => {
            assert!(c.fold.record_due);
            assert_eq!(
                (
                    &first["recordingUrl"],
                    second["recordingUrl"].as_str().unwrap().is_empty()
                ),
                (&"".into(), false)
            );
            let mut same = second.clone();
            same["recordingUrl"] = first["recordingUrl"].clone();
            same["recordingDuration"] = first["recordingDuration"].clone();
            assert_eq!(&same, first);
        }
        other => panic!("{} records", other.len()),
    }
    assert_eq!(bodies[0]["byeType"], expected_bye_type(&c.events).to_string());
    for leg in bodies[0]["cdrs"].as_array().unwrap() {
        let time = |n: &str| leg[n].as_str().unwrap().to_owned();
        let all: Vec<String> = ["startTime", "ringTime", "answerTime", "stopTime"].map(time).into();
        let present: Vec<_> = all.iter().filter(|t| !t.is_empty()).collect();
        assert!(present.is_sorted() && !all[0].is_empty() && !all[3].is_empty());
        assert_eq!(all[2].is_empty(), leg["cause"] != "completed");
    }
    let mut words: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for d in c.deliveries.iter().filter(|d| d.topic == Topic::Status) {
        let v: Value = serde_json::from_slice(&d.bytes).unwrap();
        let text = |n: &str| v[n].as_str().unwrap().to_owned();
        words.entry(text("callSid")).or_default().push(text("callStatus"));
    }
    assert_eq!(words.len(), c.fold.legs.len());
    for list in words.values() {
        let rank = |w: &String| {
            ["initiated", "ringing", "answered", "completed"]
                .iter()
                .position(|x| x == w)
        };
        let ranks: Vec<_> = list.iter().map(|w| rank(w).unwrap()).collect();
        assert!(ranks.windows(2).all(|w| w[0] < w[1]), "{list:?}");
        assert_eq!((ranks.first(), ranks.last()), (Some(&0), Some(&3)));
    }
}

/// Sounds for one party reach that party only; parties hear each other from their bridge on.
fn sounds_stay_private(c: &Conv) {
    let bridged = |leg: LegSeq, at: Stamp| {
        let l = c.fold.leg(leg).unwrap();
        l.bridge.is_some_and(|b| b <= at)
    };
    let mut known: HashMap<PlayId, Sound> = HashMap::new();
    for (at, layout) in &c.layouts {
        for p in layout
            .legs
            .iter()
            .filter_map(|l| l.play.as_ref())
            .chain(&layout.announce)
        {
            let sound = known.entry(p.id).or_insert_with(|| p.sound.clone());
            assert_eq!(sound, &p.sound, "a sound changes under its identity");
        }
        for l in &layout.legs {
            let me = c.fold.leg(l.leg).unwrap();
            assert!(me.stop.is_none_or(|s| *at <= s), "a leg that is over hears");
            for heard in &l.hears {
                let far = c.fold.leg(*heard).unwrap();
                let early = far.answer.is_none_or(|a| *at < a);
                assert!(early || bridged(*heard, *at), "{heard} is heard before its bridge");
                if early {
                    let back = layout.legs.iter().any(|x| x.leg == *heard);
                    assert!(!back, "a party that has not answered hears");
                }
            }
            let Some(p) = &l.play else { continue };
            let Sound::Prompt(name) = &p.sound else { continue };
            match name.as_str() {
                "callee" => assert!(matches!(me.role, Role::Callee | Role::Third) && !bridged(l.leg, *at)),
                // The caller, or the callee once the caller has left.
                "greet" | "caller" | "ring" | "fail" => {
                    let first_left = c.fold.legs[0].stop.is_some_and(|s| s <= *at);
                    let host = if first_left { Role::Callee } else { Role::Caller };
                    assert_eq!(me.role, host, "{name}");
                    assert!(p.recorded == matches!(name.as_str(), "ring" | "fail") || !p.recorded);
                }
                other => panic!("{other} is played"),
            }
        }
    }
    assert!(
        c.layouts.last().is_none_or(|l| l.1 == Default::default()),
        "silence at the end"
    );
}

fn timers_hold(c: &Conv) {
    let answered = c
        .fold
        .legs
        .get(1)
        .and_then(|l| l.answer)
        .filter(|_| c.fold.legs[0].answer.is_some());
    if let (Some(max), Some(answered)) = (c.fold.head.max_duration, answered) {
        let limit = answered.plus_secs(u64::from(max));
        for l in c.fold.legs.iter().filter(|l| l.answer.is_some()) {
            assert!(l.stop.unwrap() <= limit);
        }
    }
    assert!(c.fold.ended_at.unwrap().ms_since(c.started) <= 403_000);
    let dials: Vec<_> = c
        .effects
        .iter()
        .filter_map(|(at, e)| match e {
            Effect::Dial { leg, .. } => Some((*leg, *at)),
            _ => None,
        })
        .collect();
    for (leg, at) in dials.iter().filter(|d| d.0 != LegSeq(0)) {
        let first = c.fold.legs[0]
            .answer
            .expect("the caller answered before anyone else was dialled");
        assert!(first <= *at, "{leg}");
    }
}

/// The file is as long as the span from its start to the last moment with anything to record.
fn recording_is_as_long_as_its_span(c: &Conv) {
    let started = c
        .events
        .iter()
        .find(|e| matches!(e.fact, Fact::RecordingStarted { .. }));
    let finished = c.events.iter().find_map(|e| match &e.fact {
        Fact::RecordingFinished { millis, .. } => Some(*millis),
        _ => None,
    });
    let ending = c.events.iter().find(|e| matches!(e.fact, Fact::Ending { .. }));
    if let (Some(s), Some(millis), Some(e)) = (started, finished, ending) {
        // During a failure prompt the end is already fixed and the recording goes on until the prompt is over.
        let stop = c.fold.legs[0].stop.unwrap().max(e.at);
        assert!(millis >= e.at.ms_since(s.at) && millis <= stop.ms_since(s.at));
    }
    assert!(c.fold.recordings.len() <= 1);
}

fn check(switch: &VirtualSwitch, id: ConversationId) {
    let w = switch.world();
    let c = &w.convs[&id];
    assert!(c.machine.is_over() && c.machine.next_deadline().is_none());
    one_end_each(c);
    stamps_in_order(c);
    pushes_are_right(c);
    sounds_stay_private(c);
    timers_hold(c);
    recording_is_as_long_as_its_span(c);
}

const SEEDS: u64 = 4_000;

// accept: domain-model I3-I7, I12, I18, I24, I26, I28
// accept: domain-model M14
#[test]
fn any_interleaving_leaves_one_right_record() {
    let mut seen: BTreeMap<u8, u32> = BTreeMap::new();
    let mut most_legs = 0;
    let mut late = 0;
    for seed in 0..SEEDS {
        let played = std::panic::catch_unwind(|| {
            let (switch, id) = play(seed);
            check(&switch, id);
            let w = switch.world();
            let c = &w.convs[&id];
            (expected_bye_type(&c.events), c.fold.legs.len(), c.fold.record_due)
        });
        let (bye, legs, due) = played.unwrap_or_else(|_| panic!("seed {seed}"));
        *seen.entry(bye).or_default() += 1;
        most_legs = most_legs.max(legs);
        late += u32::from(due);
    }
    // The walk is worth its name: every byeType, added parties and late recordings all happen often.
    for bye in 0..=5 {
        assert!(seen.get(&bye).is_some_and(|n| *n > 50), "{seen:?}");
    }
    assert!(most_legs >= 4 && late > 100, "{most_legs} {late}");
}

#[test]
fn a_seed_plays_the_same_twice() {
    for seed in [1, 77, 4_711] {
        let ((a, id), (b, _)) = (play(seed), play(seed));
        let (a, b) = (a.world(), b.world());
        assert_eq!(a.convs[&id].events, b.convs[&id].events);
        assert_eq!(a.convs[&id].deliveries, b.convs[&id].deliveries);
    }
}
