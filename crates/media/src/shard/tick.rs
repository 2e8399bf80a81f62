//! What happens by the clock: frames of 20 ms, and the slow work of a call.

use strowger_media_core::playout::Pulled;
use strowger_media_core::rtcp::{self, ReportBlock, SenderInfo};
use strowger_media_core::rtp;
use strowger_media_core::{FRAME, mixer};

use super::call::{Call, Recording};
use super::leg::{Legs, Output};
use super::{FRAME_PERIOD, SLOW_PERIOD, Shard};
use crate::api::{CallKey, Event, EventSink, Pause};
use crate::queue::{Counters, bump};

/// A call that owes more frames than this (200 ms) leaves the older ones out.
const MAX_OWED: u64 = 10;

/// What a tick works with besides its call.
pub(super) struct Desk<'a> {
    pub(super) legs: &'a mut Legs,
    pub(super) sink: &'a dyn EventSink,
    pub(super) counters: &'a Counters,
}

impl Shard {
    /// Make the frames that fall on millisecond `ms`.
    pub(super) fn run_frames(&mut self, ms: u64) {
        let phase = (ms % FRAME_PERIOD) as usize;
        let mut index = 0;
        while let Some(&key) = self.fast[phase].get(index) {
            // A call whose plan stops making frames leaves the list, and another one takes this place.
            let before = self.fast[phase].len();
            self.run_call(key, ms);
            if self.fast[phase].len() == before {
                index += 1;
            }
        }
    }

    fn run_call(&mut self, key: CallKey, ms: u64) {
        let lateness = self.now().saturating_sub(ms * 1000);
        let counters = &self.parts.queue.counters;
        let Some(call) = self.calls.get_mut(&key) else { return };
        let Some(last) = call.last_frame else { return };
        let present = (ms + FRAME_PERIOD - call.phase) / FRAME_PERIOD;
        let mut first = last + 1;
        if present >= first + MAX_OWED {
            let skipped = present - first;
            first = present;
            bump(&counters.frames_skipped, skipped);
            if let Recording::Running { recorder, .. } = &mut call.recording {
                recorder.skipped(skipped);
            }
            if let Some(tap) = &mut call.tap {
                tap.skipped(skipped);
            }
        }
        if lateness > counters.worst_lateness_us.load(std::sync::atomic::Ordering::Relaxed) {
            counters
                .worst_lateness_us
                .store(lateness, std::sync::atomic::Ordering::Relaxed);
        }
        let mut changed = false;
        let mut desk = Desk {
            legs: &mut self.legs,
            sink: &*self.parts.sink,
            counters,
        };
        for frame in first..=present {
            let micros = (frame * FRAME_PERIOD + call.phase).saturating_sub(FRAME_PERIOD) * 1000;
            changed |= call.frame(micros, &mut desk);
        }
        call.last_frame = Some(present);
        if changed {
            self.replan(key);
        }
    }

    /// The slow work of the calls that fall on millisecond `ms`.
    pub(super) fn run_slow(&mut self, ms: u64) {
        let phase = (ms % SLOW_PERIOD) as usize;
        let now = self.now();
        let inactivity = self.parts.config.inactivity.as_micros() as u64;
        // Empty, and without memory, in nearly every millisecond.
        let (mut due, mut pressed, mut pictures) = (Vec::new(), Vec::new(), Vec::new());
        for key in &self.slow[phase] {
            let Some(call) = self.calls.get(key) else { continue };
            for &(number, slot) in &call.legs {
                let Some(leg) = self.legs.get_mut(slot) else { continue };
                let Some(configured) = &mut leg.configured else {
                    continue;
                };
                let silent = now.saturating_sub(leg.last_at.max(configured.at));
                if configured.config.recv && !configured.inactive_reported && silent >= inactivity {
                    configured.inactive_reported = true;
                    self.parts.sink.event(*key, Event::Inactive { leg: number });
                }
                let clock = configured.dtmf_clock;
                if let Some(press) = leg.dtmf_in.poll(rtp::clock_units(now, clock)) {
                    pressed.push((slot, press));
                }
                if now >= leg.reports.due {
                    due.push(slot);
                }
                if leg.video.as_ref().is_some_and(|v| v.is_due(now)) {
                    pictures.push(slot);
                }
            }
        }
        for slot in due {
            self.assess(slot, false);
            self.send_report(slot, false);
        }
        for slot in pictures {
            self.report_video(slot, now);
        }
        for (slot, press) in pressed {
            self.on_press(slot, press);
        }
    }

    /// Send a report on a leg: SR when packets were sent since the last one, else RR; with BYE at its end.
    pub(super) fn send_report(&mut self, slot: u32, bye: bool) {
        let now = self.now();
        let ntp = self.ntp(now);
        let interval = self.parts.config.rtcp_interval.as_micros() as u64;
        let Some(leg) = self.legs.get_mut(slot) else { return };
        leg.reports.due = now + interval;
        let Some(configured) = &leg.configured else { return };
        // A far side that has sent nothing and been sent nothing knows of no stream.
        if leg.packets_out == 0 && leg.first_at.is_none() {
            return;
        }
        let sending = leg.packets_out > leg.reports.packets_reported;
        let wall = rtp::clock_units(now, configured.clock);
        let sender = sending.then(|| SenderInfo {
            ntp,
            rtp_timestamp: leg.rewriter.timestamp_at(wall),
            packets: leg.packets_out as u32,
            octets: leg.bytes_out as u32,
        });
        leg.reports.packets_reported = leg.packets_out;
        let (last_sr, delay) = match leg.reports.last_sr {
            Some((middle, at)) => (middle, (u128::from(now - at) * 65536 / 1_000_000) as u32),
            None => (0, 0),
        };
        let report = leg.stats.ssrc().map(|ssrc| ReportBlock {
            ssrc,
            fraction_lost: leg.stats.take_fraction_lost(),
            cumulative_lost: leg.stats.lost().clamp(-0x80_0000, 0x7F_FFFF) as i32,
            highest_sequence: leg.stats.extended_sequence(),
            jitter: leg.stats.jitter(),
            last_sr,
            delay_since_last_sr: delay,
        });
        rtcp::build(&mut self.scratch, leg.ssrc, sender, report, &self.cname, bye);
        if let Some(to) = leg.rtcp_destination()
            && leg.link.send_rtcp(leg.pair.as_ref(), &self.scratch, to).is_err()
        {
            bump(&self.parts.queue.counters.send_errors, 1);
        }
    }
}

impl Call {
    /// Make one frame of everything; `micros` is the instant it is for. True when the plan must be derived anew.
    fn frame(&mut self, micros: u64, desk: &mut Desk<'_>) -> bool {
        for &(_, slot) in &self.legs {
            if let Some(decoded) = desk.legs.get_mut(slot).and_then(|l| l.decoded.as_deref_mut()) {
                decoded.pulled = decoded.playout.pull(&mut *decoded.decoder, &mut decoded.frame);
            }
            if let Some(leg) = desk.legs.get_mut(slot) {
                leg.look_at_frame();
            }
        }
        self.listen_in(micros / 1000, desk);
        let mut changed = self.tell_tap(desk.legs);
        let mut announcement = None;
        if let Some(playing) = self.announce.as_mut().filter(|p| p.is_active())
            && self.hearing.iter().any(|h| !h.hears.is_empty())
        {
            let mut frame = [0; FRAME];
            playing.next(&mut frame, None, &mut [0; FRAME]);
            announcement = Some(frame);
            if playing.finished {
                changed = true;
                desk.sink
                    .event(self.key, Event::AnnounceFinished { id: playing.play.id });
            }
        }
        let recorded_left = match &self.recording {
            Recording::Running { left, .. } => Some(*left),
            _ => None,
        };
        let mut recorded_right = [0i16; FRAME];
        for index in 0..self.legs.len() {
            let (number, slot) = self.legs[index];
            let record = (recorded_left == Some(number)).then_some(&mut recorded_right);
            changed |= self.leg_frame(number, slot, micros, announcement.as_ref(), record, desk);
            changed |= self.send_digits(number, slot, micros, desk);
        }
        if recorded_left.is_some() {
            self.record_frame(&mut recorded_right, desk.legs);
        }
        changed
    }

    /// Gives the recorder the frame of both sides, or what takes its place.
    fn record_frame(&mut self, right: &mut [i16; FRAME], legs: &Legs) {
        const SILENCE: [i16; FRAME] = [0; FRAME];
        let Recording::Running {
            recorder,
            left,
            hide_digits,
            pause,
            ..
        } = &mut self.recording
        else {
            return;
        };
        let find = |number: u16| {
            let slot = self.legs.iter().find(|l| l.0 == number).map(|l| l.1);
            slot.and_then(|s| legs.get(s))
        };
        let presses = |number: u16| *hide_digits && find(number).is_some_and(|l| l.dtmf_in.is_active());
        match pause {
            Some(Pause::Cut) => return,
            Some(Pause::Mask) => return recorder.frame(&SILENCE, &SILENCE),
            None => {}
        }
        let heard = self.hearing.iter().find(|h| h.leg == *left);
        if heard.is_some_and(|h| h.hears.iter().any(|&(from, _)| presses(from))) {
            right.fill(0);
        }
        let decoded = find(*left).and_then(|l| l.decoded.as_deref());
        let voice = decoded.filter(|_| !presses(*left)).map_or(&SILENCE, |d| &d.frame);
        recorder.frame(voice, right);
    }

    /// Give the tap what the legs said in this frame. True when it is gone and the plan must be derived anew.
    fn tell_tap(&mut self, all: &Legs) -> bool {
        let Some(tap) = &mut self.tap else { return false };
        let said = self.legs.iter().filter_map(|&(number, slot)| {
            let decoded = all.get(slot)?.decoded.as_deref()?;
            Some((number, &decoded.frame))
        });
        if tap.frame(said) {
            return false;
        }
        self.tap = None;
        true
    }

    /// What one leg hears in this frame: sent to it when it is in mixing mode, and given to the recorder if asked.
    fn leg_frame(
        &mut self,
        number: u16,
        slot: u32,
        micros: u64,
        announcement: Option<&[i16; FRAME]>,
        record: Option<&mut [i16; FRAME]>,
        desk: &mut Desk<'_>,
    ) -> bool {
        let Some(leg) = desk.legs.get(slot) else { return false };
        let mix = leg.output == Output::Mix;
        if !mix && record.is_none() {
            return false;
        }
        let law = leg.law();
        let mut sum = [0i32; FRAME];
        let mut sources = 0;
        let legs = &self.legs;
        let mut hearing = self.hearing.iter_mut().find(|h| h.leg == number);
        if let Some(hearing) = &hearing {
            for &(from, gain) in &hearing.hears {
                let source = legs.iter().find(|l| l.0 == from).and_then(|l| desk.legs.get(l.1));
                if let Some(decoded) = source.and_then(|l| l.decoded.as_deref())
                    && decoded.pulled != Pulled::Silence
                {
                    mixer::add(&mut sum, &decoded.frame, gain);
                    sources += 1;
                }
            }
            if let Some(frame) = announcement.filter(|_| !hearing.hears.is_empty()) {
                mixer::add(&mut sum, frame, mixer::Gain::UNITY);
                sources += 1;
            }
        }
        let mut played = [0i16; FRAME];
        let mut encoded = [0u8; FRAME];
        let mut copied = false;
        let mut changed = false;
        let mut play_recorded = false;
        // A play waits until its leg is configured; the plan says `Mix` from then on.
        if let Some(playing) = hearing
            .as_mut()
            .and_then(|h| h.playing.as_mut())
            .filter(|p| mix && p.is_active())
        {
            copied = playing.next(&mut played, law, &mut encoded) && sources == 0;
            play_recorded = playing.play.recorded;
            if playing.finished {
                changed = true;
                desk.sink.event(
                    self.key,
                    Event::PlayFinished {
                        leg: number,
                        id: playing.play.id,
                    },
                );
            }
        }
        if let Some(right) = record {
            let mut heard = sum;
            if play_recorded {
                mixer::add(&mut heard, &played, mixer::Gain::UNITY);
            }
            mixer::saturate(&heard, right);
        }
        let Some(leg) = desk.legs.get_mut(slot).filter(|l| mix && l.dtmf_out.is_none()) else {
            return changed;
        };
        if !leg.configured.as_ref().is_some_and(|c| c.config.send) {
            return changed;
        }
        if copied {
            leg.send_frame(&encoded, micros, desk.counters);
            return changed;
        }
        let mut out = [0i16; FRAME];
        mixer::add(&mut sum, &played, mixer::Gain::UNITY);
        mixer::saturate(&sum, &mut out);
        leg.send_samples(&out, micros, desk.counters);
        changed
    }
}
