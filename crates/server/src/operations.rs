//! What operators see of the running SIP side, as the admin API shows it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::UNIX_EPOCH;
use strowger_api::{BanInfo, Direction, LadderStep, Metric, Operations, RegistrationInfo, Reply};
use strowger_core::{AddressRange, ConversationId, NoticeBatchId, TenantId, TrunkId};
use strowger_runtime::Switch;
use strowger_sip_core::Transport;

/// The operators' view of the switch.
pub struct Watch {
    /// The switch.
    pub switch: Arc<Switch>,
    /// Listeners that use a certificate.
    pub tls_listeners: usize,
}

impl Operations for Watch {
    fn running(&self) -> Vec<ConversationId> {
        self.switch.running_ids()
    }

    fn trunk_healthy(&self, trunk: TrunkId) -> Option<bool> {
        Some(self.switch.trunk_healthy(trunk))
    }

    fn trunk_registration(&self, trunk: TrunkId) -> Option<String> {
        self.switch.carriers.registration(trunk).map(|state| state.to_string())
    }

    fn registrations(&self, tenant: Option<TenantId>) -> Reply<'_, Vec<RegistrationInfo>> {
        Box::pin(async move { registrations(&self.switch, tenant) })
    }

    fn unregister<'a>(&'a self, tenant: TenantId, username: &'a str) -> Reply<'a, usize> {
        Box::pin(async move {
            let config = self.switch.store().snapshot();
            let device = config.device_by_name(tenant, username);
            device.map_or(0, |device| self.switch.door.unregister(&config, device))
        })
    }

    fn bans(&self) -> Reply<'_, Vec<BanInfo>> {
        Box::pin(async { bans(&self.switch) })
    }

    fn ban(&self, source: IpAddr, seconds: u32) -> Reply<'_, ()> {
        Box::pin(async move {
            self.switch.door.ban(source, seconds);
        })
    }

    fn unban(&self, source: IpAddr) -> Reply<'_, bool> {
        Box::pin(async move { self.switch.door.unban(source) })
    }

    fn ladder(&self, tenant: TenantId, conversation: ConversationId) -> Reply<'_, Vec<LadderStep>> {
        Box::pin(ladder(&self.switch, tenant, conversation))
    }

    fn reload_certificates(&self) -> Reply<'_, Result<usize, String>> {
        Box::pin(async {
            self.switch
                .sip()
                .reload_tls()
                .await
                .map(|()| self.tls_listeners)
                .map_err(|e| e.to_string())
        })
    }

    fn cancel_batch(&self, batch: NoticeBatchId) -> Reply<'_, Result<bool, String>> {
        Box::pin(async move { self.switch.cancel_batch(batch).await.map_err(|e| e.to_string()) })
    }

    fn not_ready(&self) -> Vec<String> {
        let mut why = Vec::new();
        if self.switch.is_draining() {
            why.push("the process is being drained".into());
        }
        if self.switch.store().stats().disk_full {
            why.push("the disk that holds the journal is full".into());
        }
        why
    }

    fn metrics(&self) -> Vec<Metric> {
        crate::metrics::of(&self.switch)
    }
}

fn lower(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
        Transport::Tls => "tls",
        Transport::Ws => "ws",
        Transport::Wss => "wss",
    }
}

/// The bindings of devices, of one tenant or of all.
fn registrations(switch: &Switch, tenant: Option<TenantId>) -> Vec<RegistrationInfo> {
    let config = switch.store().snapshot();
    let now = switch.door.now();
    let mut found = Vec::new();
    for device in config.devices().filter(|d| tenant.is_none_or(|t| d.device.tenant == t)) {
        for binding in switch.door.bindings(&config, device) {
            found.push(RegistrationInfo {
                tenant: device.device.tenant,
                username: device.device.username.clone(),
                contact: binding.contact,
                transport: lower(binding.target.transport),
                source: binding.target.addr,
                user_agent: Some(binding.user_agent).filter(|u| !u.is_empty()),
                expires_in: (binding.expires_at.since(now) / 1_000_000) as u32,
                path: !binding.path.is_empty(),
            });
        }
    }
    found
}

/// The bans in force, the newest first.
fn bans(switch: &Switch) -> Vec<BanInfo> {
    let now = switch.door.now();
    let mut bans: Vec<BanInfo> = switch
        .door
        .bans()
        .into_iter()
        .map(|(ban, left)| BanInfo {
            source: AddressRange {
                address: ban.source.address(),
                prefix: ban.source.bits(),
            },
            since_seconds: now.since(ban.since) / 1_000_000,
            until_seconds: left.as_secs(),
            count: ban.count,
            manual: ban.manual,
        })
        .collect();
    bans.sort_by_key(|b| b.since_seconds);
    bans
}

/// The messages of a conversation's dialogs that are still kept.
async fn ladder(switch: &Arc<Switch>, tenant: TenantId, conversation: ConversationId) -> Vec<LadderStep> {
    let events = match switch.store().load_events(tenant, conversation).await {
        Ok(events) => events,
        Err(error) => {
            tracing::warn!(%conversation, "the ladder of a call cannot be drawn: {error}");
            return Vec::new();
        }
    };
    let mut calls: Vec<String> = events
        .iter()
        .filter_map(|event| event.fact.call_id())
        .map(str::to_owned)
        .collect();
    calls.extend(switch.ladder.incoming(conversation));
    calls.sort_unstable();
    calls.dedup();
    let steps = switch.ladder.of(&calls).into_iter().map(|step| LadderStep {
        at_ms: step.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64,
        direction: if step.received { Direction::In } else { Direction::Out },
        transport: lower(step.transport),
        local: step.local,
        remote: step.remote,
        text: step.text,
    });
    steps.collect()
}
