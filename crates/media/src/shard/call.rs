//! A call on its shard: its legs, its layout, and the plan that follows from them.

use std::sync::Arc;

use strowger_media_core::codec::EncoderSettings;
use strowger_media_core::mixer::Gain;

use super::leg::{Leg, Legs, Output, Route};
use super::play::Playing;
use crate::api::{CallKey, CodecKind, Config, DigitsBy, Event, EventSink, Layout, Pause, RecordSpec};
use crate::record::Recorder;
use crate::tap::Tap;

/// What one leg hears, whether or not it is open yet.
pub(super) struct Hearing {
    pub(super) leg: u16,
    pub(super) hears: Vec<(u16, Gain)>,
    pub(super) playing: Option<Playing>,
}

/// A recording of a call.
pub(super) enum Recording {
    None,
    /// Waits for its left leg to be configured.
    Waiting(RecordSpec),
    Running {
        /// [`RecordSpec::id`](crate::RecordSpec::id).
        id: u128,
        recorder: Recorder,
        left: u16,
        hide_digits: bool,
        pause: Option<Pause>,
    },
}

pub(super) struct Call {
    pub(super) key: CallKey,
    /// Leg numbers and their slots.
    pub(super) legs: Vec<(u16, u32)>,
    pub(super) hearing: Vec<Hearing>,
    pub(super) announce: Option<Playing>,
    pub(super) recording: Recording,
    /// Somebody who listens to all legs.
    pub(super) tap: Option<Tap>,
    /// Which millisecond of 20 its frames fall on.
    pub(super) phase: u64,
    /// Which millisecond of [`super::SLOW_PERIOD`] its slow work falls on.
    pub(super) slow_phase: u64,
    /// The number of the last frame that was made, while frames are made.
    pub(super) last_frame: Option<u64>,
}

impl Call {
    pub(super) fn new(key: CallKey, phase: u64, slow_phase: u64) -> Call {
        Call {
            key,
            legs: Vec::new(),
            hearing: Vec::new(),
            announce: None,
            recording: Recording::None,
            tap: None,
            phase,
            slow_phase,
            last_frame: None,
        }
    }

    pub(super) fn slot(&self, leg: u16) -> Option<u32> {
        self.legs.iter().find(|l| l.0 == leg).map(|l| l.1)
    }

    /// Take over a new layout; plays whose id stays go on.
    pub(super) fn set_layout(&mut self, layout: Layout) {
        let mut before = std::mem::take(&mut self.hearing);
        for entry in layout.legs {
            if self.hearing.iter().any(|h| h.leg == entry.leg) {
                tracing::warn!(leg = entry.leg, "a layout names a leg twice; the first entry counts");
                continue;
            }
            let old = before
                .iter_mut()
                .find(|h| h.leg == entry.leg)
                .and_then(|h| h.playing.take());
            let mut hears: Vec<(u16, Gain)> = Vec::with_capacity(entry.hears.len());
            for (from, gain) in entry.hears {
                if from != entry.leg && gain != Gain::MUTE && !hears.iter().any(|h| h.0 == from) {
                    hears.push((from, gain));
                }
            }
            self.hearing.push(Hearing {
                leg: entry.leg,
                hears,
                playing: Playing::update(old, entry.play),
            });
        }
        self.announce = Playing::update(self.announce.take(), layout.announce);
    }

    fn announcing(&self) -> bool {
        self.announce.as_ref().is_some_and(Playing::is_active)
    }

    /// Derive from layout, configurations and recording what each leg is sent and whose samples are needed. Returns
    /// whether frames must be made every 20 ms.
    pub(super) fn plan(&mut self, legs: &mut Legs, config: &Config, sink: &Arc<dyn EventSink>) -> bool {
        let comfort = config.comfort_silence;
        let settings = EncoderSettings {
            complexity: config.opus_complexity,
            ..EncoderSettings::default()
        };
        self.fail_opaque_plays(legs, sink);
        for &(_, slot) in &self.legs {
            if let Some(leg) = legs.get_mut(slot) {
                leg.routes.clear();
            }
        }
        let mut need_samples: Vec<u16> = Vec::new();
        let mut frames = self.announcing() && self.hearing.iter().any(|h| !h.hears.is_empty());
        for &(number, slot) in &self.legs {
            let hearing = self.hearing.iter().find(|h| h.leg == number);
            let (output, route) = self.output_of(hearing, slot, legs, comfort);
            if let Some((from, route)) = route
                && let Some(leg) = legs.get_mut(from)
            {
                leg.routes.push(route);
            }
            if output == Output::Mix {
                frames = true;
                need_samples.extend(hearing.iter().flat_map(|h| &h.hears).map(|h| h.0));
            }
            if let Some(leg) = legs.get_mut(slot) {
                leg.set_output(output);
                leg.attach_encoder(output == Output::Mix || leg.sends_tones(), settings);
                frames |= leg.dtmf_out.is_some();
                if leg.listener.is_some() {
                    frames = true;
                    need_samples.push(number);
                }
            }
        }
        if let Recording::Running { left, .. } = &self.recording {
            frames = true;
            need_samples.push(*left);
            let hearing = self.hearing.iter().find(|h| h.leg == *left);
            need_samples.extend(hearing.iter().flat_map(|h| &h.hears).map(|h| h.0));
        }
        if self.tap.is_some() {
            frames = true;
            need_samples.extend(self.legs.iter().map(|l| l.0));
        }
        for &(number, slot) in &self.legs {
            if let Some(leg) = legs.get_mut(slot) {
                leg.attach_decoder(need_samples.contains(&number));
            }
        }
        self.plan_video(legs);
        frames
    }

    /// A prompt for a leg whose codec is opaque cannot be heard: say so once instead of playing silence.
    fn fail_opaque_plays(&mut self, legs: &Legs, sink: &Arc<dyn EventSink>) {
        for hearing in &mut self.hearing {
            let slot = self.legs.iter().find(|l| l.0 == hearing.leg).map(|l| l.1);
            let configured = slot.and_then(|s| legs.get(s)).and_then(|l| l.configured.as_ref());
            if let (Some(configured), Some(playing)) = (configured, &mut hearing.playing)
                && configured.coded.is_none()
                && playing.is_active()
            {
                playing.finished = true;
                sink.event(
                    self.key,
                    Event::PlayFailed {
                        leg: hearing.leg,
                        id: playing.play.id,
                    },
                );
            }
        }
    }

    /// What a leg is sent, and the route by which it is relayed.
    fn output_of(
        &self,
        hearing: Option<&Hearing>,
        slot: u32,
        legs: &Legs,
        comfort: bool,
    ) -> (Output, Option<(u32, Route)>) {
        let nothing = (Output::Idle, None);
        let Some(leg) = legs.get(slot) else { return nothing };
        let Some(configured) = &leg.configured else {
            return nothing;
        };
        let empty: &[(u16, Gain)] = &[];
        let hears = hearing.map_or(empty, |h| &h.hears);
        let playing = hearing.and_then(|h| h.playing.as_ref()).is_some_and(Playing::is_active);
        let mixed_in = playing || (self.announcing() && !hears.is_empty());
        // A play goes on while the far side has us on hold; nothing is sent then (see the tick).
        if !configured.config.send && !mixed_in {
            return nothing;
        }
        if configured.coded.is_none() {
            // Opaque to us: the first leg with the same codec can be relayed, and nothing else is possible.
            let route = hears.iter().find_map(|&(from, _)| self.route(from, slot, legs));
            return if route.is_some() {
                (Output::Relay, route)
            } else {
                nothing
            };
        }
        if let (&[(from, Gain::UNITY)], false) = (hears, mixed_in) {
            if let Some(route) = self.route(from, slot, legs) {
                return (Output::Relay, Some(route));
            }
            let source = self.slot(from).and_then(|s| legs.get(s));
            if source.and_then(Leg::coded).is_none() {
                // Not open, not configured, or opaque: nothing can be heard from it.
                return if comfort { (Output::Mix, None) } else { nothing };
            }
        }
        if mixed_in || comfort || !hears.is_empty() {
            (Output::Mix, None)
        } else {
            nothing
        }
    }

    /// How `from` can be relayed to the leg in slot `to`, if it can: the same codec on both sides, or G.711 of either law
    /// with the same packet time. Receivers of the other codecs take any packet time.
    fn route(&self, from: u16, to: u32, legs: &Legs) -> Option<(u32, Route)> {
        let source_slot = self.slot(from)?;
        let source = legs.get(source_slot)?.configured.as_ref()?;
        let target_digits = legs.get(to)?.digits_by;
        let target = legs.get(to)?.configured.as_ref()?;
        let transcode = match (&source.config.codec.kind, &target.config.codec.kind) {
            (CodecKind::Opaque { name: a, clock: x }, CodecKind::Opaque { name: b, clock: y })
                if a.eq_ignore_ascii_case(b) && x == y =>
            {
                None
            }
            _ => {
                let (a, b) = (source.coded?, target.coded?);
                match (a.law(), b.law()) {
                    (Some(x), Some(y)) if source.config.ptime_ms == target.config.ptime_ms => {
                        (x != y).then_some((x, y))
                    }
                    (None, None) if a == b => None,
                    _ => return None,
                }
            }
        };
        // Durations of digits are relayed as they are.
        let events = source.dtmf_clock == target.dtmf_clock
            && source.config.dtmf.is_some()
            && matches!(target_digits, DigitsBy::Auto | DigitsBy::Events);
        let route = Route {
            target: to,
            transcode,
            events,
        };
        Some((source_slot, route))
    }
}
