//! How each leg sounds, and why one side hears nothing: looked at whenever a report is due, and at the leg's end.

use strowger_media_core::codec::Kind;
use strowger_media_core::meter::{FarReport, Moment, Totals};
use strowger_media_core::playout::Pulled;
use strowger_media_core::quality::Impairment;

use super::Shard;
use super::leg::{Heard, Leg, Output};
use super::link::Link;
use crate::api::Event;

/// A decoded sample of digital silence is at most this far from zero: codecs with memory ring on a little.
const SILENT: u16 = 16;

impl Leg {
    /// Looks at the present frame of a codec whose packets do not show whether they are silent.
    #[inline]
    pub(super) fn look_at_frame(&mut self) {
        if self.heard == Heard::Sound {
            return;
        }
        if let Some(decoded) = self.decoded.as_deref()
            && matches!(decoded.kind, Kind::G722 | Kind::G729)
            && decoded.pulled == Pulled::Audio
        {
            let silent = decoded.frame.iter().all(|s| s.unsigned_abs() <= SILENT);
            self.heard.note(Some(silent));
        }
    }

    /// The leg at the end of an interval that began when it was last asked; `None` before it is configured.
    fn moment(&mut self, now: u64, interval: u64) -> Option<Moment> {
        let configured = self.configured.as_ref()?;
        let clock = configured.clock;
        let ms = |units: u32| units as f32 * 1000.0 / clock.max(1) as f32;
        let config = &configured.config;
        let far = self.reports.far.take().map(|(lost, jitter)| FarReport {
            loss: f32::from(lost) / 256.0,
            jitter_ms: ms(jitter),
        });
        let totals = Totals {
            expected: self.stats.expected(),
            received: self.stats.packets(),
            offered: self.offered,
            sent: self.packets_out,
            strangers: self.discarded_source,
            unknown: self.discarded_unknown,
        };
        let offered = self.meter.offered_since(&totals);
        Some(Moment {
            totals,
            impairment: Impairment::of(configured.coded),
            jitter_ms: self.stats.jitter_ms(clock).0 as f32,
            round_trip_ms: self.reports.round_trip.map_or(0.0, |d| d.as_secs_f32() * 1000.0),
            ptime_ms: f32::from(config.ptime_ms),
            far,
            // Reports are due up to a slow period late; what was agreed on within the interval was not in force for all of it.
            settled: now.saturating_sub(configured.at) >= interval,
            expects_in: config.recv,
            expects_out: config.send && (self.output == Output::Mix || offered > 0),
            unconnected: matches!(&self.link, Link::Peer(shared) if !shared.peer.is_connected()),
            silent: std::mem::take(&mut self.heard) == Heard::Silence,
        })
    }
}

impl Shard {
    /// Ends an interval of a leg; its last one, which may be short, still counts for the scores.
    pub(super) fn assess(&mut self, slot: u32, last: bool) {
        let now = self.now();
        let interval = self.parts.config.rtcp_interval.as_micros() as u64;
        let Some(leg) = self.legs.get_mut(slot) else { return };
        let Some(moment) = leg.moment(now, interval) else {
            return;
        };
        let assessed = leg.meter.interval(&moment);
        self.parts.queue.counters.quality.note(&assessed);
        if let Some(cause) = assessed.one_way.filter(|_| !last) {
            let event = Event::OneWay { leg: leg.number, cause };
            self.parts.sink.event(leg.call, event);
        }
    }
}
