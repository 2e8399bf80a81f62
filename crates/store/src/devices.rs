//! The devices of a snapshot, found by id and by name.

use crate::config::DeviceEntry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use strowger_core::{DeviceId, TenantId};

/// The devices of a tenant, by user name.
type Names = Arc<HashMap<Arc<str>, Arc<DeviceEntry>>>;

/// All devices. A clone shares the maps; a change copies those that it touches, so that changes of other resources do
/// not pay for 100,000 devices.
#[derive(Clone, Debug, Default)]
pub(crate) struct Devices {
    by_id: Arc<BTreeMap<DeviceId, Arc<DeviceEntry>>>,
    by_tenant: HashMap<TenantId, Names>,
    owners: Arc<HashMap<Arc<str>, Owners>>,
}

/// The tenants that have a device with a certain user name.
#[derive(Clone, Copy, Debug)]
enum Owners {
    One(TenantId),
    Several(u32),
}

impl Devices {
    pub fn get(&self, id: DeviceId) -> Option<&Arc<DeviceEntry>> {
        self.by_id.get(&id)
    }

    pub fn by_name(&self, tenant: TenantId, username: &str) -> Option<&Arc<DeviceEntry>> {
        self.by_tenant.get(&tenant)?.get(username)
    }

    pub fn anywhere(&self, username: &str) -> Option<&Arc<DeviceEntry>> {
        match self.owners.get(username)? {
            Owners::One(tenant) => self.by_name(*tenant, username),
            Owners::Several(_) => None,
        }
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<DeviceEntry>> {
        self.by_id.values()
    }

    /// The devices of one tenant alone.
    pub fn of_tenant(&self, tenant: TenantId) -> Devices {
        let mut seen = Devices::default();
        if let Some(names) = self.by_tenant.get(&tenant) {
            seen.by_id = Arc::new(names.values().map(|d| (d.device.id, d.clone())).collect());
            seen.owners = Arc::new(names.keys().map(|n| (n.clone(), Owners::One(tenant))).collect());
            seen.by_tenant.insert(tenant, names.clone());
        }
        seen
    }

    /// Adds or replaces a device. Its user name is no other device's of its tenant.
    pub fn insert(&mut self, entry: Arc<DeviceEntry>) {
        let device = &entry.device;
        self.remove(device.id);
        let username: Arc<str> = device.username.as_str().into();
        Arc::make_mut(&mut self.owners)
            .entry(username.clone())
            .and_modify(|o| {
                *o = match *o {
                    Owners::One(_) => Owners::Several(2),
                    Owners::Several(n) => Owners::Several(n.saturating_add(1)),
                };
            })
            .or_insert(Owners::One(device.tenant));
        Arc::make_mut(self.by_tenant.entry(device.tenant).or_default()).insert(username, entry.clone());
        Arc::make_mut(&mut self.by_id).insert(device.id, entry);
    }

    pub fn remove(&mut self, id: DeviceId) {
        if !self.by_id.contains_key(&id) {
            return;
        }
        if let Some(entry) = Arc::make_mut(&mut self.by_id).remove(&id) {
            let device = &entry.device;
            if let Some(names) = self.by_tenant.get_mut(&device.tenant) {
                Arc::make_mut(names).remove(device.username.as_str());
            }
            self.disown(&device.username);
        }
    }

    pub fn remove_tenant(&mut self, tenant: TenantId) {
        let Some(names) = self.by_tenant.remove(&tenant) else {
            return;
        };
        Arc::make_mut(&mut self.by_id).retain(|_, d| d.device.tenant != tenant);
        for username in names.keys() {
            self.disown(username);
        }
    }

    /// One device fewer has this user name; the maps of tenants do not have it any more.
    fn disown(&mut self, username: &str) {
        let owners = Arc::make_mut(&mut self.owners);
        match owners.get_mut(username) {
            Some(Owners::Several(n)) if *n > 2 => *n -= 1,
            Some(several @ Owners::Several(_)) => {
                let left = self.by_tenant.iter().find(|(_, names)| names.contains_key(username));
                if let Some((tenant, _)) = left {
                    *several = Owners::One(*tenant);
                }
            }
            _ => {
                owners.remove(username);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strowger_core::resource::Device;

    fn entry(id: u128, tenant: u128, username: &str) -> Arc<DeviceEntry> {
        Arc::new(DeviceEntry {
            device: Device::new(DeviceId(id), TenantId(tenant), username),
            password: None,
            disabled: false,
        })
    }

    fn found(d: Option<&Arc<DeviceEntry>>) -> Option<u128> {
        d.map(|d| d.device.id.0)
    }

    #[test]
    fn a_name_is_found_in_its_tenant_and_anywhere_while_it_is_the_only_one() {
        let mut all = Devices::default();
        all.insert(entry(1, 1, "desk"));
        assert_eq!(found(all.by_name(TenantId(1), "desk")), Some(1));
        assert_eq!(found(all.anywhere("desk")), Some(1));
        all.insert(entry(2, 2, "desk"));
        all.insert(entry(3, 3, "desk"));
        let before = all.clone();
        assert_eq!(found(all.anywhere("desk")), None);
        all.remove(DeviceId(1));
        assert_eq!(found(all.anywhere("desk")), None);
        all.remove_tenant(TenantId(3));
        assert_eq!(found(all.anywhere("desk")), Some(2));
        assert_eq!(found(all.by_name(TenantId(1), "desk")), None);
        all.insert(entry(2, 2, "renamed"));
        assert_eq!(found(all.anywhere("desk")), None);
        assert_eq!(found(all.anywhere("renamed")), Some(2));
        assert_eq!(all.all().count(), 1);
        assert_eq!(before.all().count(), 3, "an older snapshot does not change");
    }
}
