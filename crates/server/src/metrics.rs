//! The figures of the metrics page.

use strowger_api::{Metric, MetricKind};
use strowger_runtime::Switch;

/// All figures, as they are now.
pub fn of(switch: &Switch) -> Vec<Metric> {
    let stats = switch.store().stats();
    let sip = switch.sip().stats();
    let door = switch.door.stats();
    let media = switch.media().metrics();
    let one = |name, help, kind, value: f64| Metric {
        name,
        help,
        kind,
        labels: Vec::new(),
        value,
    };
    use MetricKind::{Counter, Gauge};
    let sum = |f: fn(&strowger_media::ShardMetrics) -> u64| media.shards.iter().map(f).sum::<u64>() as f64;
    vec![
        one(
            "strowger_conversations",
            "Conversations that run now.",
            Gauge,
            switch.running() as f64,
        ),
        one(
            "strowger_journal_groups_total",
            "Group commits since the start.",
            Counter,
            stats.groups as f64,
        ),
        one(
            "strowger_journal_batches_total",
            "Batches committed since the start.",
            Counter,
            stats.batches as f64,
        ),
        one(
            "strowger_journal_failures_total",
            "Batches that failed.",
            Counter,
            stats.failures as f64,
        ),
        one(
            "strowger_journal_waiting",
            "Batches that wait for the writer.",
            Gauge,
            stats.waiting as f64,
        ),
        one(
            "strowger_journal_disk_full",
            "1 while new calls are refused for want of disk.",
            Gauge,
            f64::from(stats.disk_full),
        ),
        one(
            "strowger_sip_dialogs",
            "SIP dialogs and attempts held.",
            Gauge,
            sip.stack.dialogs as f64,
        ),
        one(
            "strowger_sip_transactions",
            "SIP transactions held.",
            Gauge,
            sip.stack.transactions as f64,
        ),
        one(
            "strowger_sip_received_total",
            "SIP messages received.",
            Counter,
            sip.received as f64,
        ),
        one(
            "strowger_sip_sent_total",
            "SIP messages sent.",
            Counter,
            sip.sent as f64,
        ),
        one(
            "strowger_sip_retransmitted_total",
            "SIP messages repeated by timers.",
            Counter,
            sip.stack.retransmitted as f64,
        ),
        one(
            "strowger_sip_refused_total",
            "Calls refused with 503 before any state existed.",
            Counter,
            sip.stack.refused as f64,
        ),
        one(
            "strowger_sip_not_admitted_total",
            "SIP messages dropped because their source sends too many or is banned.",
            Counter,
            sip.not_admitted as f64,
        ),
        one(
            "strowger_sip_connections",
            "TCP, TLS, WS and WSS connections now.",
            Gauge,
            sip.connections.open as f64,
        ),
        one(
            "strowger_sip_registrations",
            "Bindings of devices.",
            Gauge,
            door.bindings as f64,
        ),
        one(
            "strowger_sip_bans",
            "Sources that are banned now.",
            Gauge,
            door.bans as f64,
        ),
        one(
            "strowger_sip_authentication_failures_total",
            "Requests with wrong credentials.",
            Counter,
            door.failures as f64,
        ),
        one("strowger_media_legs", "Media legs open now.", Gauge, sum(|s| s.legs)),
        one(
            "strowger_media_packets_in_total",
            "RTP packets received.",
            Counter,
            sum(|s| s.packets_in),
        ),
        one(
            "strowger_media_packets_out_total",
            "RTP packets sent.",
            Counter,
            sum(|s| s.packets_out),
        ),
        one(
            "strowger_media_frames_skipped_total",
            "Frames of 20 ms left out because a shard came too late.",
            Counter,
            sum(|s| s.frames_skipped),
        ),
        one(
            "strowger_media_port_pairs_free",
            "Media port pairs that a leg could take.",
            Gauge,
            media
                .pairs_total
                .saturating_sub(media.pairs_used + media.pairs_quarantined) as f64,
        ),
    ]
}
