//! What operators see of the running SIP side, as the admin API shows it.

use std::sync::Arc;
use std::time::UNIX_EPOCH;
use strowger_api::{BanInfo, Direction, LadderStep, RegistrationInfo};
use strowger_core::{AddressRange, ConversationId, TenantId};
use strowger_runtime::Switch;
use strowger_sip_core::Transport;

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
pub fn registrations(switch: &Switch, tenant: Option<TenantId>) -> Vec<RegistrationInfo> {
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
pub fn bans(switch: &Switch) -> Vec<BanInfo> {
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
pub async fn ladder(switch: &Arc<Switch>, tenant: TenantId, conversation: ConversationId) -> Vec<LadderStep> {
    let events = match switch.store().load_events(tenant, conversation).await {
        Ok(events) => events,
        Err(error) => {
            tracing::warn!(%conversation, "the ladder of a call cannot be drawn: {error}");
            return Vec::new();
        }
    };
    let mut calls: Vec<u64> = events
        .iter()
        .filter_map(|event| event.fact.call_id())
        .map(|call_id| switch.sip().call_hash(call_id))
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
