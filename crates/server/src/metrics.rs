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
    let mut all = vec![
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
    ];
    all.extend(switch.one_way().map(|(cause, count)| Metric {
        labels: vec![("cause", cause.name().to_owned())],
        ..one(
            "strowger_media_one_way_total",
            "Legs on which one side heard nothing, by the likely cause.",
            Counter,
            count as f64,
        )
    }));
    quality(&media, &mut all);
    all
}

/// How legs sound: histograms with a value for each leg, direction and report interval.
fn quality(media: &strowger_media::Metrics, all: &mut Vec<Metric>) {
    use strowger_media::{DirectionMetrics, HistogramMetrics, QualityMetrics};
    let mut shards = media.shards.iter().map(|s| &s.quality);
    let Some(mut sum) = shards.next().cloned() else { return };
    let add = |to: &mut DirectionMetrics, from: &DirectionMetrics| {
        to.mos.add(&from.mos);
        to.loss.add(&from.loss);
        to.jitter.add(&from.jitter);
    };
    for shard in shards {
        add(&mut sum.inward, &shard.inward);
        add(&mut sum.outward, &shard.outward);
        sum.round_trip.add(&shard.round_trip);
    }
    let mut show = |name, help, direction: Option<&str>, h: &HistogramMetrics| {
        let labels: Vec<_> = direction.map(|d| ("direction", d.to_owned())).into_iter().collect();
        let metric = |kind, labels, value| Metric {
            name,
            help,
            kind,
            labels,
            value,
        };
        let bounds = h.bounds.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
        let mut count = 0;
        for (bound, n) in bounds.zip(&h.counts) {
            count += n;
            let labels = labels.iter().cloned().chain([("le", bound)]).collect();
            all.push(metric(MetricKind::Bucket, labels, count as f64));
        }
        all.push(metric(MetricKind::Sum, labels.clone(), h.sum));
        all.push(metric(MetricKind::Count, labels, count as f64));
    };
    let QualityMetrics {
        inward,
        outward,
        round_trip,
    } = &sum;
    for (name, d) in [("in", inward), ("out", outward)] {
        let name = Some(name);
        show("strowger_media_mos", "Mean opinion scores, 1 to 4.5.", name, &d.mos);
        show("strowger_media_loss_ratio", "Lost packets, 0 to 1.", name, &d.loss);
        show("strowger_media_jitter_seconds", "Interarrival jitter.", name, &d.jitter);
    }
    show(
        "strowger_media_round_trip_seconds",
        "Round trips by RTCP.",
        None,
        round_trip,
    );
}
