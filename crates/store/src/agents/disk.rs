//! Changes and states of agents as they are stored: JSON with types of its own.

use serde::{Deserialize, Serialize};
use strowger_core::centre::agent::{Change, Choice, DeviceMode, Kept, Overlays, Part, State};
use strowger_core::{GroupId, Stamp};

#[derive(Serialize, Deserialize)]
struct DiskChange {
    from: String,
    to: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
    #[serde(default)]
    overlays: DiskOverlays,
    at: i64,
}

#[derive(Default, Serialize, Deserialize)]
struct DiskOverlays {
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    call_only: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    mobile: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    muted: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pending: Option<DiskChoice>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    lost: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    device_lost: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    supervised: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    no_chats: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum DiskChoice {
    Ready,
    Break(String),
    NotReady(String),
    SignOut,
}

#[derive(Serialize, Deserialize)]
struct DiskKept {
    state: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    open: Option<(String, bool)>,
    before: (String, String),
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wrap_up_until: Option<i64>,
    #[serde(default)]
    overlays: DiskOverlays,
    groups: Vec<String>,
    idle_since: i64,
    since: i64,
    #[serde(default)]
    misses: u8,
}

fn overlays_to(o: &Overlays) -> DiskOverlays {
    DiskOverlays {
        call_only: o.call_only,
        mobile: o.mode == DeviceMode::Mobile,
        muted: o.muted,
        pending: o.pending.as_ref().map(|c| match c {
            Choice::Ready => DiskChoice::Ready,
            Choice::Break(reason) => DiskChoice::Break(reason.clone()),
            Choice::NotReady(reason) => DiskChoice::NotReady(reason.clone()),
            Choice::SignOut => DiskChoice::SignOut,
        }),
        lost: o.lost,
        device_lost: o.device_lost,
        supervised: o.supervised,
        no_chats: o.no_chats,
        device: o.device.map(|d| d.to_string()),
    }
}

fn overlays_from(o: DiskOverlays) -> Overlays {
    Overlays {
        call_only: o.call_only,
        mode: if o.mobile {
            DeviceMode::Mobile
        } else {
            DeviceMode::Devices
        },
        muted: o.muted,
        pending: o.pending.map(|c| match c {
            DiskChoice::Ready => Choice::Ready,
            DiskChoice::Break(reason) => Choice::Break(reason),
            DiskChoice::NotReady(reason) => Choice::NotReady(reason),
            DiskChoice::SignOut => Choice::SignOut,
        }),
        lost: o.lost,
        device_lost: o.device_lost,
        supervised: o.supervised,
        no_chats: o.no_chats,
        device: o.device.and_then(|d| d.parse().ok()),
    }
}

fn bytes(value: &impl Serialize) -> Vec<u8> {
    // Strings, numbers and booleans: nothing in these types can fail to be written.
    serde_json::to_vec(value).unwrap_or_default()
}

pub(super) fn change(c: &Change) -> Vec<u8> {
    bytes(&DiskChange {
        from: c.from.name().to_owned(),
        to: c.to.name().to_owned(),
        reason: c.reason.clone(),
        until: c.until.map(|u| u.0),
        overlays: overlays_to(&c.overlays),
        at: c.at.0,
    })
}

pub(super) fn read_change(json: &[u8]) -> Option<Change> {
    let c: DiskChange = serde_json::from_slice(json).ok()?;
    Some(Change {
        from: State::of_name(&c.from)?,
        to: State::of_name(&c.to)?,
        reason: c.reason,
        until: c.until.map(Stamp),
        overlays: overlays_from(c.overlays),
        at: Stamp(c.at),
    })
}

pub(super) fn kept(k: &Kept) -> Vec<u8> {
    bytes(&DiskKept {
        state: k.state.name().to_owned(),
        reason: k.reason.clone(),
        open: k.open.map(|(part, talked)| (part.name().to_owned(), talked)),
        before: (k.before.0.name().to_owned(), k.before.1.clone()),
        wrap_up_until: k.wrap_up_until.map(|u| u.0),
        overlays: overlays_to(&k.overlays),
        groups: k.groups.iter().map(ToString::to_string).collect(),
        idle_since: k.idle_since.0,
        since: k.since.0,
        misses: k.misses,
    })
}

pub(super) fn read_kept(json: &[u8]) -> Option<Kept> {
    let k: DiskKept = serde_json::from_slice(json).ok()?;
    let open = match k.open {
        Some((part, talked)) => Some((Part::of_name(&part)?, talked)),
        None => None,
    };
    Some(Kept {
        state: State::of_name(&k.state)?,
        reason: k.reason,
        open,
        before: (State::of_name(&k.before.0)?, k.before.1),
        wrap_up_until: k.wrap_up_until.map(Stamp),
        overlays: overlays_from(k.overlays),
        groups: k.groups.iter().filter_map(|g| g.parse::<GroupId>().ok()).collect(),
        idle_since: Stamp(k.idle_since),
        since: Stamp(k.since),
        misses: k.misses,
    })
}
