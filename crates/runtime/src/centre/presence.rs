//! Tells desks when agents' devices come and go.

use super::Letter;
use crate::switch::Switch;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use strowger_core::centre::agent::Input;
use strowger_core::centre::resource::Agent;
use strowger_core::{AgentId, DeviceId};
use strowger_store::config::Config;

/// Runs as long as the process. What has changed is looked up afresh each time, so changes that come together are told as
/// one, and none of them is told late or in a wrong order.
pub(super) async fn watch(switch: Arc<Switch>) {
    let mut owners: HashMap<DeviceId, AgentId> = HashMap::new();
    let mut version = None;
    loop {
        let changed = switch.door.changes().await;
        let config = switch.store().snapshot();
        if version != Some(config.version()) {
            version = Some(config.version());
            let agents = config.centre().agents();
            owners = agents.flat_map(|a| a.devices.iter().map(|d| (*d, a.id))).collect();
        }
        let devices = changed.iter().filter_map(|aor| switch.door.device_of(&config, aor));
        let agents: HashSet<AgentId> = devices.filter_map(|d| owners.get(&d.device.id).copied()).collect();
        for agent in agents.into_iter().filter_map(|id| config.centre().agent(id)) {
            let input = if is_reached(&switch, &config, agent) {
                Input::DeviceUp
            } else {
                Input::DeviceLost
            };
            switch.tell_desk(agent.tenant, Letter::Agent(agent.id, input, None));
        }
    }
}

/// True if one of an agent's devices can be rung.
pub(super) fn is_reached(switch: &Switch, config: &Config, agent: &Agent) -> bool {
    let mut devices = agent.devices.iter().filter_map(|d| config.device(*d));
    devices.any(|d| !d.disabled && switch.door.reaches(config, d))
}
