//! The video beside a leg's audio: passed on packet by packet to whoever hears the leg, never decoded.
//!
//! A receiver sees one stream of ours, with its own payload types and extension numbers, whoever is behind it. What it asks
//! for goes to the sender under the sender's own numbers.

use strowger_media_core::feedback::{self, Passage};
use strowger_media_core::rewrite::Rewriter;
use strowger_media_core::rtcp::{self, ReportBlock, SenderInfo};
use strowger_media_core::rtp::{self, Packet};
use strowger_media_core::stats::ReceiverStats;

use super::Shard;
use super::call::Call;
use super::leg::{Leg, Legs};
use crate::api::{CallKey, VIDEO_CLOCK, Video, VideoStats};
use crate::queue::{Counters, bump};

/// Between reports about video, in µs: senders of pictures adapt faster than voices need.
const REPORT_INTERVAL: u64 = 1_000_000;
/// A payload type that was not agreed on.
const UNKNOWN: u8 = 0xFF;

/// What a packet is, by its payload type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Picture,
    /// RFC 4588: its payload begins with the number of the packet that it repeats.
    Repetition,
}

/// Where packets of a leg's video go.
pub(super) struct VideoRoute {
    /// The slot of the leg that sees.
    target: u32,
    /// The target's payload type for each of ours.
    payload_types: [u8; 128],
    /// The target's extension number for each of ours, 0 for none.
    extensions: [u8; 16],
}

/// The video of a leg.
pub(super) struct VideoLeg {
    config: Video,
    routes: Vec<VideoRoute>,
    /// Whose pictures are sent to this leg, by slot.
    source: Option<u32>,
    /// The far side's sources, once they were heard.
    heard: Option<u32>,
    stats: ReceiverStats,
    rewriter: Rewriter,
    repetitions: u16,
    packets_out: u64,
    octets_out: u64,
    /// Key frames that the far side was asked for, and those that it asked for.
    asked: u32,
    asks: u32,
    /// What the far side can take, in bit/s, and its losses in 1/256.
    limit: Option<u64>,
    loss_out: u8,
    /// Somebody new sees it, who needs a picture that stands alone.
    wanted: bool,
    due: u64,
    last_sr: Option<(u32, u64)>,
    packets_reported: u64,
}

impl VideoLeg {
    fn new(config: Video, random: u64) -> VideoLeg {
        VideoLeg {
            rewriter: Rewriter::with_clock(random as u16, (random >> 16) as u32, VIDEO_CLOCK),
            repetitions: (random >> 48) as u16,
            config,
            routes: Vec::new(),
            source: None,
            heard: None,
            stats: ReceiverStats::default(),
            packets_out: 0,
            octets_out: 0,
            asked: 0,
            asks: 0,
            limit: None,
            loss_out: 0,
            wanted: false,
            due: 0,
            last_sr: None,
            packets_reported: 0,
        }
    }

    fn kind(&self, payload_type: u8) -> Option<Kind> {
        self.config.codecs.iter().find_map(|c| match c.receive {
            (picture, _) if picture == payload_type => Some(Kind::Picture),
            (_, Some(repetition)) if repetition == payload_type => Some(Kind::Repetition),
            _ => None,
        })
    }

    /// The totals.
    pub(super) fn totals(&self) -> VideoStats {
        VideoStats {
            packets_in: self.stats.packets(),
            packets_out: self.packets_out,
            lost_in: self.stats.lost().max(0) as u64,
            key_frames_asked: self.asked,
            key_frames_wanted: self.asks,
        }
    }

    /// A report is due.
    pub(super) fn is_due(&self, now: u64) -> bool {
        now >= self.due && (self.packets_out > 0 || self.heard.is_some())
    }

    /// A sender report of this source is about the video.
    pub(super) fn is_heard(&self, ssrc: u32) -> bool {
        self.heard == Some(ssrc)
    }

    /// What it said of its own time, for the reports that answer it.
    pub(super) fn sender_report(&mut self, middle: u32, now: u64) {
        self.last_sr = Some((middle, now));
    }

    /// A report of the far side about what it got from us.
    pub(super) fn reported(&mut self, block: &ReportBlock) {
        if block.ssrc == self.config.ssrc {
            self.loss_out = block.fraction_lost;
        }
    }

    fn route_to(&self, target: u32, other: &VideoLeg) -> Option<VideoRoute> {
        let mut route = VideoRoute {
            target,
            payload_types: [UNKNOWN; 128],
            extensions: [0; 16],
        };
        for c in &self.config.codecs {
            let Some(o) = other.config.codecs.iter().find(|o| o.encoding == c.encoding) else {
                continue;
            };
            route.payload_types[usize::from(c.receive.0 & 0x7F)] = o.send.0;
            if let (Some(own), Some(theirs)) = (c.receive.1, o.send.1) {
                route.payload_types[usize::from(own & 0x7F)] = theirs;
            }
        }
        for (number, uri) in &self.config.extensions {
            if let Some((theirs, _)) = other.config.extensions.iter().find(|(_, u)| u == uri) {
                route.extensions[usize::from(number & 0x0F)] = theirs & 0x0F;
            }
        }
        route.payload_types.iter().any(|t| *t != UNKNOWN).then_some(route)
    }

    /// The way of requests from this leg to the leg whose pictures it gets.
    fn passage(&self, source: &VideoLeg, slot: u32) -> Option<Passage> {
        Some(Passage {
            ours: [self.config.ssrc, self.config.rtx_ssrc],
            asking: source.config.ssrc,
            theirs: source.heard?,
            ahead: self.rewriter.ahead_of(slot).map_or(0, |(sequence, _)| sequence),
        })
    }
}

impl Call {
    /// Derives from the layout whose pictures each leg gets: of the first leg that it hears and that has some.
    pub(super) fn plan_video(&self, legs: &mut Legs) {
        for &(_, slot) in &self.legs {
            if let Some(video) = legs.get_mut(slot).and_then(|l| l.video.as_deref_mut()) {
                video.routes.clear();
            }
        }
        for &(number, slot) in &self.legs {
            let Some(target) = legs.get(slot).and_then(|l| l.video.as_deref()) else {
                continue;
            };
            let hears = self.hearing.iter().filter(|h| h.leg == number).flat_map(|h| &h.hears);
            let found = hears.filter(|_| target.config.send).find_map(|&(from, _)| {
                let from = self.slot(from)?;
                let source = legs.get(from)?.video.as_deref().filter(|v| v.config.recv)?;
                Some((from, source.route_to(slot, target)?))
            });
            let source = found.as_ref().map(|(from, _)| *from);
            let fresh = source != target.source;
            if let Some(video) = legs.get_mut(slot).and_then(|l| l.video.as_deref_mut()) {
                video.source = source;
                if fresh {
                    (video.limit, video.loss_out) = (None, 0);
                }
            }
            if let Some((from, route)) = found
                && let Some(video) = legs.get_mut(from).and_then(|l| l.video.as_deref_mut())
            {
                video.routes.push(route);
                video.wanted |= fresh;
            }
        }
    }
}

impl Leg {
    /// The payload type is one of its video's.
    #[inline]
    pub(super) fn is_video(&self, packet: &[u8]) -> bool {
        match (&self.video, packet) {
            (Some(video), [_, second, ..]) => video.kind(second & 0x7F).is_some(),
            _ => false,
        }
    }

    fn send_video(&mut self, packet: &[u8], counters: &Counters) -> bool {
        let Some(configured) = &self.configured else {
            return false;
        };
        let to = configured.latch.destination();
        match self.link.send_rtp(self.pair.as_ref(), packet, to) {
            Ok(sent) => {
                bump(&counters.packets_out, u64::from(sent));
                sent
            }
            Err(_) => {
                bump(&counters.send_errors, 1);
                false
            }
        }
    }
}

impl Shard {
    /// Takes over what was agreed about a leg's video.
    pub(super) fn configure_video(&mut self, key: CallKey, number: u16, video: Option<Video>) {
        let random = self.random();
        let leg = self.calls.get(&key).and_then(|c| c.slot(number));
        let Some(leg) = leg.and_then(|s| self.legs.get_mut(s)) else {
            tracing::warn!(leg = number, "video for a media leg that is not open");
            return;
        };
        match (video, &mut leg.video) {
            (None, kept) => *kept = None,
            // The stream goes on: a receiver must not see its numbers begin anew.
            (Some(config), Some(kept)) if kept.config.ssrc == config.ssrc => {
                // It returns from a hold, or changes its codecs.
                kept.source = None;
                kept.config = config;
            }
            (Some(config), kept) => *kept = Some(Box::new(VideoLeg::new(config, random))),
        }
        self.replan(key);
    }

    /// Asks the senders that somebody new sees for a picture that stands alone.
    pub(super) fn ask_for_pictures(&mut self, key: CallKey) {
        for index in 0.. {
            let Some(&(_, slot)) = self.calls.get(&key).and_then(|c| c.legs.get(index)) else {
                return;
            };
            let video = self.legs.get_mut(slot).and_then(|l| l.video.as_deref_mut());
            if video.is_some_and(|v| std::mem::take(&mut v.wanted)) {
                self.ask_for_picture(slot);
            }
        }
    }

    fn ask_for_picture(&mut self, slot: u32) {
        let Some(video) = self.legs.get(slot).and_then(|l| l.video.as_deref()) else {
            return;
        };
        // One that was never heard begins with such a picture.
        let Some(theirs) = video.heard else { return };
        let passage = Passage {
            ours: [0; 2],
            asking: video.config.ssrc,
            theirs,
            ahead: 0,
        };
        feedback::key_frame(&passage, &mut self.scratch);
        self.send_scratch(slot);
        self.count_asked(slot);
    }

    fn count_asked(&mut self, slot: u32) {
        if let Some(video) = self.legs.get_mut(slot).and_then(|l| l.video.as_deref_mut()) {
            video.asked = video.asked.saturating_add(1);
        }
    }

    /// Sends the RTCP packet in `scratch` to a leg.
    fn send_scratch(&mut self, slot: u32) {
        let Some(leg) = self.legs.get_mut(slot) else { return };
        if let Some(to) = leg.rtcp_destination()
            && leg.link.send_rtcp(leg.pair.as_ref(), &self.scratch, to).is_err()
        {
            bump(&self.parts.queue.counters.send_errors, 1);
        }
    }

    /// The packet in the buffer, in the clear, is of a leg's video: pass it on.
    pub(super) fn take_video(&mut self, slot: u32, length: usize, now: u64) {
        let Some(leg) = self.legs.get_mut(slot) else { return };
        let receiving = leg.configured.is_some();
        let Some(video) = leg.video.as_deref_mut().filter(|_| receiving) else {
            return;
        };
        let Ok(packet) = Packet::parse(&self.buffer[..length]) else {
            leg.discarded_invalid += 1;
            return;
        };
        let Some(kind) = video.kind(packet.payload_type) else {
            return;
        };
        if kind == Kind::Picture {
            video.heard = Some(packet.ssrc);
            let arrival = rtp::clock_units(now, VIDEO_CLOCK);
            video
                .stats
                .received(packet.ssrc, packet.sequence, packet.timestamp, arrival);
        }
        if !video.config.recv {
            return;
        }
        let parsed = Parsed {
            kind,
            marker: packet.marker,
            payload_type: packet.payload_type,
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            ssrc: packet.ssrc,
            payload: (packet.payload_offset, packet.payload.len()),
            length,
        };
        let mut restarted = false;
        let mut index = 0;
        while self.forward_video(slot, index, parsed, now, &mut restarted) {
            index += 1;
        }
        if restarted {
            self.ask_for_picture(slot);
        }
    }

    /// Passes a packet on over a leg's route with this index; false if there is none.
    fn forward_video(&mut self, slot: u32, index: usize, packet: Parsed, now: u64, restarted: &mut bool) -> bool {
        let source = self.legs.get(slot).and_then(|l| l.video.as_deref());
        let Some(route) = source.and_then(|v| v.routes.get(index)) else {
            return false;
        };
        let (target, numbers) = (route.target, route.extensions);
        let payload_type = route.payload_types[usize::from(packet.payload_type & 0x7F)];
        let Some(leg) = self.legs.get_mut(target) else {
            return true;
        };
        let Some(video) = leg.video.as_deref_mut() else {
            return true;
        };
        let out = &mut self.scratch;
        out.clear();
        out.extend_from_slice(&self.buffer[..packet.length]);
        let (sequence, timestamp, ssrc) = match packet.kind {
            Kind::Picture => {
                if payload_type == UNKNOWN {
                    video.rewriter.skip(&packet.view());
                    return true;
                }
                let known = video.rewriter.ahead_of(slot).is_some();
                let wall = rtp::clock_units(now, VIDEO_CLOCK);
                let Some(stamp) = video.rewriter.relay(wall, slot, &packet.view(), 0) else {
                    return true;
                };
                // What follows a break cannot be decoded without a new beginning.
                *restarted |= known && stamp.marker && !packet.marker;
                (stamp.sequence, stamp.timestamp, video.config.ssrc)
            }
            Kind::Repetition => {
                let (at, length) = packet.payload;
                // A packet of padding alone fills a path that is being measured; ours is another one.
                let (Some((ahead, later)), true) =
                    (video.rewriter.ahead_of(slot), length > 2 && payload_type != UNKNOWN)
                else {
                    return true;
                };
                let repeated = u16::from_be_bytes([out[at], out[at + 1]]).wrapping_add(ahead);
                out[at..at + 2].copy_from_slice(&repeated.to_be_bytes());
                video.repetitions = video.repetitions.wrapping_add(1);
                let timestamp = packet.timestamp.wrapping_add(later);
                (video.repetitions, timestamp, video.config.rtx_ssrc)
            }
        };
        out[1] = out[1] & 0x80 | payload_type;
        out[2..4].copy_from_slice(&sequence.to_be_bytes());
        out[4..8].copy_from_slice(&timestamp.to_be_bytes());
        out[8..12].copy_from_slice(&ssrc.to_be_bytes());
        rtp::renumber_extensions(out, &numbers);
        let octets = packet.payload.1 as u64;
        let sent = leg.send_video(out, &self.parts.queue.counters);
        if let Some(video) = leg.video.as_deref_mut()
            && sent
            && packet.kind == Kind::Picture
        {
            video.packets_out += 1;
            video.octets_out += octets;
        }
        true
    }

    /// The RTCP packet in the buffer, in the clear, may ask for something about the pictures that its leg gets.
    pub(super) fn take_feedback(&mut self, slot: u32, length: usize) {
        let video = |slot: u32| self.legs.get(slot).and_then(|l| l.video.as_deref());
        let Some(own) = video(slot) else { return };
        let Some(from) = own.source else { return };
        let Some(passage) = video(from).and_then(|source| own.passage(source, from)) else {
            return;
        };
        let heard = feedback::pass_on(&self.buffer[..length], &passage, &mut self.scratch);
        if heard.is_passed() {
            self.send_scratch(from);
        }
        if heard.key_frame {
            if let Some(video) = self.legs.get_mut(slot).and_then(|l| l.video.as_deref_mut()) {
                video.asks = video.asks.saturating_add(1);
            }
            self.count_asked(from);
        }
        let Some(limit) = heard.bitrate else { return };
        if let Some(video) = self.legs.get_mut(slot).and_then(|l| l.video.as_deref_mut()) {
            video.limit = Some(limit);
        }
        // Who sends to several sends what the slowest of them can take.
        let limits = self.targets(from).filter_map(|v| v.limit);
        if let Some(least) = limits.min() {
            feedback::limit(&passage, least, &mut self.scratch);
            self.send_scratch(from);
        }
    }

    /// The legs that get a leg's pictures.
    fn targets(&self, slot: u32) -> impl Iterator<Item = &VideoLeg> {
        let routes = self.legs.get(slot).and_then(|l| l.video.as_deref()).into_iter();
        let targets = routes.flat_map(|v| &v.routes).map(|r| r.target);
        targets.filter_map(|t| self.legs.get(t)?.video.as_deref())
    }

    /// Reports about video that are due on a leg.
    pub(super) fn report_video(&mut self, slot: u32, now: u64) {
        // What is lost behind us is as lost as what is lost before.
        let behind = self.targets(slot).map(|v| v.loss_out).max().unwrap_or(0);
        let ntp = self.ntp(now);
        let Some(leg) = self.legs.get_mut(slot) else { return };
        let Some(video) = leg.video.as_deref_mut() else { return };
        video.due = now + REPORT_INTERVAL;
        let sending = video.packets_out > video.packets_reported;
        video.packets_reported = video.packets_out;
        let sender = sending.then(|| SenderInfo {
            ntp,
            rtp_timestamp: video.rewriter.timestamp_at(rtp::clock_units(now, VIDEO_CLOCK)),
            packets: video.packets_out as u32,
            octets: video.octets_out as u32,
        });
        let (last_sr, delay) = match video.last_sr {
            Some((middle, at)) => (middle, (u128::from(now - at) * 65536 / 1_000_000) as u32),
            None => (0, 0),
        };
        let report = video.stats.ssrc().map(|ssrc| ReportBlock {
            ssrc,
            fraction_lost: video.stats.take_fraction_lost().max(behind),
            cumulative_lost: video.stats.lost().clamp(-0x80_0000, 0x7F_FFFF) as i32,
            highest_sequence: video.stats.extended_sequence(),
            jitter: video.stats.jitter(),
            last_sr,
            delay_since_last_sr: delay,
        });
        rtcp::build(&mut self.scratch, video.config.ssrc, sender, report, &self.cname, false);
        self.send_scratch(slot);
    }
}

/// A parsed packet without its borrow of the buffer.
#[derive(Clone, Copy)]
struct Parsed {
    kind: Kind,
    marker: bool,
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    /// Where the payload begins, and its length without padding.
    payload: (usize, usize),
    length: usize,
}

impl Parsed {
    fn view(&self) -> Packet<'static> {
        Packet {
            marker: self.marker,
            payload_type: self.payload_type,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
            payload_offset: self.payload.0,
            payload: &[],
        }
    }
}
