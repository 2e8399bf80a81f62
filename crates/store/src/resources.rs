//! Changes of resources: checked against the snapshot, written, then published as a new snapshot.

use crate::config::{Config, PLATFORM, Resource, ResourceId, Secret, Token};
use crate::crypto::{Keys, Place, TenantKey};
use crate::disk;
use crate::error::{OpenError, StoreError};
use crate::store::Store;
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use strowger_core::centre::resource::{Agent, Overflow, Queue, Skill};
use strowger_core::resource::RouteTarget;
use strowger_core::route::{DisplayPool, ItemBody, ItemKind, RoutingItem};
use strowger_core::{AccountId, DeviceId, GroupId, Number, RoutingId, Stamp, TenantId, TrunkId};
use tokio::sync::watch;

/// The kind and the id under which a resource is stored.
fn row_key(id: &ResourceId) -> (&'static str, String) {
    match id {
        ResourceId::Tenant(id) => ("tenant", id.to_string()),
        ResourceId::Account(id) => ("account", id.to_string()),
        ResourceId::Application(id) => ("application", id.to_string()),
        ResourceId::Trunk(id) => ("trunk", id.to_string()),
        ResourceId::Number(n) => ("number", n.as_str().to_owned()),
        ResourceId::Route(id) => ("route", id.to_string()),
        ResourceId::Device(id) => ("device", id.to_string()),
        ResourceId::Agent(id) => ("agent", id.to_string()),
        ResourceId::Group(id) => ("group", id.to_string()),
        ResourceId::Queue(id) => ("queue", id.to_string()),
        ResourceId::Centre(id) => ("centre", id.to_string()),
        ResourceId::Routing(id) => ("routing", id.to_string()),
        ResourceId::User(id) => ("user", id.to_string()),
        ResourceId::Key(id) => ("key", id.to_string()),
        ResourceId::Webhook(id) => ("webhook", id.to_string()),
        ResourceId::Prompt(t, a, name) => {
            let application = a.map_or_else(|| "-".to_owned(), |a| a.to_string());
            ("prompt", format!("{t}/{application}/{name}"))
        }
    }
}

/// The place of a resource's content: its name, as a digest.
fn place(tenant: TenantId, kind: &str, id: &str) -> Place {
    let digest = Sha256::new()
        .chain_update(kind)
        .chain_update([0])
        .chain_update(id)
        .finalize();
    let (major, minor) = (
        digest[..16].try_into().unwrap_or_default(),
        digest[16..24].try_into().unwrap_or_default(),
    );
    Place::new(b'C', tenant, u128::from_be_bytes(major), u64::from_be_bytes(minor))
}

fn import_place(tenant: TenantId, at: Stamp) -> Place {
    Place::new(b'G', tenant, 0, at.0 as u64)
}

/// Reads all resources.
pub(crate) fn load(conn: &Connection, keys: &Keys) -> Result<Config, OpenError> {
    let mut config = Config::default();
    let mut statement =
        conn.prepare("SELECT t.id, r.kind, r.id, r.content FROM resources r JOIN tenants t ON t.no = r.tenant")?;
    let mut rows = statement.query([])?;
    while let Some(r) = rows.next()? {
        let tenant = TenantId(u128::from_be_bytes(r.get(0)?));
        let (kind, id): (String, String) = (r.get(1)?, r.get(2)?);
        let plain = keys.get(tenant).and_then(|k| {
            let sealed: Vec<u8> = r.get(3).ok()?;
            k.cipher.open(place(tenant, &kind, &id), &sealed).ok()
        });
        let resource = plain.and_then(|p| disk::decode(&p));
        // The id of a number is the number itself, so the message names the kind only.
        config.insert(resource.ok_or_else(|| OpenError::Damaged(format!("a stored {kind} cannot be read")))?);
    }
    Ok(config)
}

/// A tenant uses its own trunks and the platform's.
fn usable_trunk(config: &Config, id: TrunkId, tenant: TenantId) -> Result<(), StoreError> {
    match config.trunk(id) {
        Some(t) if t.tenant.is_none_or(|owner| owner == tenant) => Ok(()),
        _ => Err(StoreError::NotFound("trunk")),
    }
}

/// The tenant that a resource belongs to, after checking all that it refers to.
fn check(config: &Config, resource: &Resource) -> Result<TenantId, StoreError> {
    let tenant = |id| config.tenant(id).map(|t| t.id).ok_or(StoreError::NotFound("tenant"));
    let application_of = |id, owner| match config.application(id) {
        Some(a) if a.tenant == owner => Ok(()),
        _ => Err(StoreError::NotFound("application")),
    };
    let owner = match resource {
        Resource::Tenant(t) if t.id == PLATFORM => return Err(StoreError::Exists("the platform's own tenant")),
        Resource::Tenant(t) => {
            let same = t.domain.as_deref().and_then(|d| config.tenant_by_domain(d));
            if same.is_some_and(|same| same.id != t.id) {
                return Err(StoreError::Exists("a tenant with this domain"));
            }
            t.emergency.map_or(Ok(()), |id| usable_trunk(config, id, t.id))?;
            t.id
        }
        Resource::Account(a) => tenant(a.tenant)?,
        Resource::Application(a) => {
            if let Some(id) = a.account
                && config.account(id).is_none_or(|account| account.tenant != a.tenant)
            {
                return Err(StoreError::NotFound("account"));
            }
            tenant(a.tenant)?
        }
        Resource::Trunk(t) => t.tenant.map_or(Ok(PLATFORM), tenant)?,
        Resource::Number(n) => {
            n.applications.iter().try_for_each(|a| application_of(*a, n.tenant))?;
            tenant(n.tenant)?
        }
        Resource::Route(r) => {
            let owner = config
                .application(r.application)
                .ok_or(StoreError::NotFound("application"))?
                .tenant;
            if config.route(&r.number).is_some_and(|old| old.id != r.id) {
                return Err(StoreError::Exists("a route of this number"));
            }
            match &r.target {
                RouteTarget::Device(id) if config.device(*id).is_none_or(|d| d.device.tenant != owner) => {
                    return Err(StoreError::NotFound("device"));
                }
                RouteTarget::Trunk(id) => usable_trunk(config, *id, owner)?,
                RouteTarget::Queue(id) if config.centre().queue(*id).is_none_or(|q| q.tenant != owner) => {
                    return Err(StoreError::NotFound("queue"));
                }
                RouteTarget::Agent(id) if config.centre().agent(*id).is_none_or(|a| a.tenant != owner) => {
                    return Err(StoreError::NotFound("agent"));
                }
                RouteTarget::Flow(id) => own_item(config, *id, ItemKind::Flow, owner)?,
                RouteTarget::Plan(id) => own_item(config, *id, ItemKind::Plan, owner)?,
                RouteTarget::Number(_) | RouteTarget::Device(_) | RouteTarget::Queue(_) | RouteTarget::Agent(_) => {}
            }
            owner
        }
        Resource::Device(d) => {
            let same = config.device_by_name(d.device.tenant, &d.device.username);
            if same.is_some_and(|same| same.device.id != d.device.id) {
                return Err(StoreError::Exists("a device with this user name"));
            }
            let application = d.device.application;
            application.map_or(Ok(()), |a| application_of(a, d.device.tenant))?;
            tenant(d.device.tenant)?
        }
        Resource::User(u) => {
            let same = config.user_by_name(u.tenant, &u.name);
            if same.is_some_and(|same| same.id != u.id) {
                return Err(StoreError::Exists("a user of this name"));
            }
            tenant(u.tenant)?
        }
        Resource::Key(k) => tenant(k.tenant)?,
        Resource::Agent(a) => {
            application_of(a.application, a.tenant)?;
            check_agent(config, a)?;
            tenant(a.tenant)?
        }
        Resource::Group(g) => {
            application_of(g.application, g.tenant)?;
            let mut others = config.centre().groups().filter(|o| o.application == g.application);
            if others.any(|o| o.id != g.id && o.name == g.name) {
                return Err(StoreError::Exists("a skill group of this name"));
            }
            own_numbers(config, g.tenant, &g.numbers)?;
            tenant(g.tenant)?
        }
        Resource::Queue(q) => {
            application_of(q.application, q.tenant)?;
            check_queue(config, q)?;
            tenant(q.tenant)?
        }
        Resource::Centre(c) => {
            application_of(c.application, c.tenant)?;
            let survey = c.survey.as_deref();
            if survey.is_some_and(|f| config.routing().named(c.application, ItemKind::Flow, f).is_none()) {
                return Err(StoreError::NotFound("flow"));
            }
            tenant(c.tenant)?
        }
        Resource::Routing(r) => {
            application_of(r.application, r.tenant)?;
            check_item(config, r)?;
            tenant(r.tenant)?
        }
        Resource::Webhook(w) => {
            let mut others = config.webhooks().filter(|o| o.tenant == w.tenant && o.id != w.id);
            if others.any(|o| o.name == w.name) {
                return Err(StoreError::Exists("a webhook of this name"));
            }
            w.application.map_or(Ok(()), |a| application_of(a, w.tenant))?;
            tenant(w.tenant)?
        }
        Resource::Prompt(p) => {
            p.application.map_or(Ok(()), |a| application_of(a, p.tenant))?;
            tenant(p.tenant)?
        }
    };
    // A resource never moves to another tenant: its name is taken there.
    match config.owner(&resource.id()) {
        Some(other) if other != owner => Err(StoreError::Exists("a resource with this id")),
        _ => Ok(owner),
    }
}

/// A route leads to a flow or a plan of its tenant.
fn own_item(config: &Config, id: RoutingId, kind: ItemKind, owner: TenantId) -> Result<(), StoreError> {
    match config.routing().get(id) {
        Some(item) if item.tenant == owner && item.body.kind() == kind => Ok(()),
        _ => Err(StoreError::NotFound(kind.word())),
    }
}

/// A name is its application's only one of its kind, a resource stays of its kind, and numbers that are shown are the
/// tenant's own.
fn check_item(config: &Config, item: &RoutingItem) -> Result<(), StoreError> {
    let kind = item.body.kind();
    let named = config.routing().named(item.application, kind, &item.name);
    if named.is_some_and(|other| other.id != item.id) {
        return Err(StoreError::Exists(match kind {
            ItemKind::Flow => "a flow of this name",
            ItemKind::Plan => "a plan of this name",
            ItemKind::Calendar => "a calendar of this name",
            ItemKind::List => "a list of numbers of this name",
            ItemKind::Display => "a pool of display numbers of this name",
        }));
    }
    let before = config.routing().get(item.id);
    if before.is_some_and(|b| b.body.kind() != kind || b.application != item.application) {
        return Err(StoreError::Exists("a resource with this id"));
    }
    if let ItemBody::Display(pool) = &item.body {
        let numbers: Vec<Number> = pool.numbers.iter().map(|n| n.number.clone()).collect();
        own_numbers(config, item.tenant, &numbers)?;
        let group = |g: &GroupId| {
            let found = config.centre().group(*g);
            found.is_some_and(|g| g.application == item.application)
        };
        if !pool.groups.iter().all(group) {
            return Err(StoreError::NotFound("skill group"));
        }
    }
    Ok(())
}

/// True if a pool of display numbers satisfies this.
fn some_pool(config: &Config, test: impl Fn(&DisplayPool) -> bool) -> bool {
    let mut all = config.routing().all();
    all.any(|i| matches!(&i.body, ItemBody::Display(pool) if test(pool)))
}

/// Numbers that are shown are the tenant's own.
fn own_numbers(config: &Config, tenant: TenantId, numbers: &[Number]) -> Result<(), StoreError> {
    let own = |n: &Number| config.number(n).is_some_and(|n| n.tenant == tenant);
    match numbers.iter().all(own) {
        true => Ok(()),
        false => Err(StoreError::NotFound("number")),
    }
}

/// An agent's names are its own in its application, and so are its devices and its user.
fn check_agent(config: &Config, a: &Agent) -> Result<(), StoreError> {
    for other in config.centre().agents().filter(|o| o.id != a.id) {
        if other.application == a.application {
            if other.login == a.login {
                return Err(StoreError::Exists("an agent of this login"));
            }
            if other.extension == a.extension {
                return Err(StoreError::Exists("an agent of this extension"));
            }
            if a.user.is_some() && other.user == a.user {
                return Err(StoreError::Exists("an agent of this user"));
            }
        }
        if a.devices.iter().any(|d| other.devices.contains(d)) {
            return Err(StoreError::Exists("an agent of this device"));
        }
    }
    let user = a.user.map(|u| config.user(u).is_some_and(|u| u.tenant == a.tenant));
    if user == Some(false) {
        return Err(StoreError::NotFound("user"));
    }
    let group = |s: &Skill| {
        config
            .centre()
            .group(s.group)
            .is_some_and(|g| g.application == a.application)
    };
    if !a.skills.iter().all(group) {
        return Err(StoreError::NotFound("skill group"));
    }
    let device = |d: &DeviceId| config.device(*d).is_some_and(|d| d.device.tenant == a.tenant);
    if !a.devices.iter().all(device) {
        return Err(StoreError::NotFound("device"));
    }
    own_numbers(config, a.tenant, &a.numbers)
}

/// A queue's name is its own, and its group and the queue that it overflows into are its application's.
fn check_queue(config: &Config, q: &Queue) -> Result<(), StoreError> {
    let mut others = config.centre().queues().filter(|o| o.application == q.application);
    if others.any(|o| o.id != q.id && o.name == q.name) {
        return Err(StoreError::Exists("a queue of this name"));
    }
    if config
        .centre()
        .group(q.group)
        .is_none_or(|g| g.application != q.application)
    {
        return Err(StoreError::NotFound("skill group"));
    }
    match &q.overflow {
        Overflow::Queue(next)
            if *next == q.id
                || config
                    .centre()
                    .queue(*next)
                    .is_none_or(|n| n.application != q.application) =>
        {
            Err(StoreError::NotFound("queue"))
        }
        _ => Ok(()),
    }
}

/// Refuses to remove what something else needs.
fn check_removal(config: &Config, id: &ResourceId) -> Result<TenantId, StoreError> {
    let owner = config.owner(id).ok_or(StoreError::NotFound("resource"))?;
    let needed = match id {
        ResourceId::Account(a) => config.applications().any(|app| app.account == Some(*a)),
        ResourceId::Application(a) => {
            config.routes().any(|r| r.application == *a)
                || config.numbers().any(|n| n.applications.contains(a))
                || config.prompts().any(|p| p.application == Some(*a))
                || config.devices().any(|d| d.device.application == Some(*a))
                || config.centre().agents().any(|g| g.application == *a)
                || config.centre().groups().any(|g| g.application == *a)
                || config.centre().queues().any(|q| q.application == *a)
                || config.centre().centre(*a).is_some()
                || config.routing().all().any(|i| i.application == *a)
                || config.webhooks().any(|w| w.application == Some(*a))
        }
        ResourceId::Trunk(t) => {
            config.routes().any(|r| r.target == RouteTarget::Trunk(*t))
                || config.tenants().any(|tenant| tenant.emergency == Some(*t))
        }
        ResourceId::Device(d) => {
            config.routes().any(|r| r.target == RouteTarget::Device(*d))
                || config.centre().agents().any(|a| a.devices.contains(d))
        }
        ResourceId::Number(n) => {
            config.centre().agents().any(|a| a.numbers.contains(n))
                || config.centre().groups().any(|g| g.numbers.contains(n))
                || some_pool(config, |p| p.numbers.iter().any(|shown| shown.number == *n))
        }
        ResourceId::User(u) => config.centre().agents().any(|a| a.user == Some(*u)),
        ResourceId::Group(g) => {
            config.centre().agents().any(|a| a.level(*g).is_some())
                || config.centre().queues().any(|q| q.group == *g)
                || some_pool(config, |p| p.groups.contains(g))
        }
        ResourceId::Queue(q) => {
            let into = |other: &Queue| matches!(&other.overflow, Overflow::Queue(next) if next == q);
            config.centre().queues().any(|other| into(other))
                || config.routes().any(|r| r.target == RouteTarget::Queue(*q))
        }
        ResourceId::Routing(id) => {
            let leads = |r: &RouteTarget| *r == RouteTarget::Flow(*id) || *r == RouteTarget::Plan(*id);
            let asks = |item: &RoutingItem| {
                let centre = config.centre().centre(item.application);
                let survey = centre.and_then(|c| c.survey.as_deref());
                item.body.kind() == ItemKind::Flow && survey == Some(item.name.as_str())
            };
            config.routes().any(|r| leads(&r.target))
                || config.routing().is_named(*id)
                || config.routing().get(*id).is_some_and(|i| asks(i))
        }
        ResourceId::Agent(a) => config.routes().any(|r| r.target == RouteTarget::Agent(*a)),
        _ => false,
    };
    if needed {
        return Err(StoreError::Reference(
            "something else refers to it; remove or change that first",
        ));
    }
    Ok(owner)
}

impl Store {
    /// All resources as they are now. Cheap: the hot path reads nothing else.
    pub fn snapshot(&self) -> Arc<Config> {
        self.inner.config.borrow().clone()
    }

    /// Follows the snapshots.
    pub fn watch(&self) -> watch::Receiver<Arc<Config>> {
        self.inner.config.subscribe()
    }

    /// Creates a resource.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if its name is taken, [`StoreError::NotFound`] if it refers to something that is not its
    /// tenant's.
    pub async fn create(&self, resource: impl Into<Resource>) -> Result<Arc<Config>, StoreError> {
        self.write(resource.into(), true).await
    }

    /// Creates a resource or replaces it.
    ///
    /// # Errors
    /// As [`Store::create`], without the complaint that it exists.
    pub async fn put(&self, resource: impl Into<Resource>) -> Result<Arc<Config>, StoreError> {
        self.write(resource.into(), false).await
    }

    async fn write(&self, resource: Resource, new: bool) -> Result<Arc<Config>, StoreError> {
        let _one = self.inner.changing.lock().await;
        self.write_locked(resource, new).await
    }

    async fn write_locked(&self, resource: Resource, new: bool) -> Result<Arc<Config>, StoreError> {
        let config = self.snapshot();
        let id = resource.id();
        if new && config.contains(&id) {
            return Err(StoreError::Exists("a resource with this id"));
        }
        let owner = check(&config, &resource)?;
        if self.inner.keys.get(owner).is_none() {
            self.create_key(owner).await?;
        }
        let key = self.inner.keys.get(owner).ok_or(StoreError::NotFound("tenant"))?;
        let (kind, name) = row_key(&id);
        let sealed = key.cipher.seal(place(owner, kind, &name), &disk::encode(&resource));
        let no = key.no;
        self.admin(move |conn| {
            conn.execute(
                "INSERT OR REPLACE INTO resources VALUES(?1, ?2, ?3, ?4)",
                params![no, kind, name, sealed],
            )?;
            Ok(())
        })
        .await?;
        Ok(self.publish(|config| config.insert(resource)))
    }

    /// Makes a data key for a new tenant. The id of an erased tenant is not used again: its rows may still be there.
    async fn create_key(&self, tenant: TenantId) -> Result<(), StoreError> {
        let master = self.inner.master.lock().unwrap_or_else(|e| e.into_inner()).clone();
        let key = self
            .admin(move |conn| {
                let id = tenant.0.to_be_bytes();
                if conn.prepare("SELECT 1 FROM tenants WHERE id = ?1")?.exists([id])? {
                    return Err(StoreError::Exists("an erased tenant with this id"));
                }
                let no = conn.query_row("SELECT MAX(no) + 1 FROM tenants", [], |r| r.get(0))?;
                let key = TenantKey::generate(no);
                conn.execute(
                    "INSERT INTO tenants VALUES(?1, ?2, ?3)",
                    params![no, id, key.wrap(tenant, &master)],
                )?;
                Ok(key)
            })
            .await?;
        self.inner.keys.insert(tenant, Arc::new(key));
        Ok(())
    }

    /// Removes a resource.
    ///
    /// # Errors
    /// [`StoreError::Reference`] if something else refers to it. A tenant goes with all that it owns: see
    /// [`Store::erase_tenant`].
    pub async fn remove(&self, id: ResourceId) -> Result<Arc<Config>, StoreError> {
        if let ResourceId::Tenant(tenant) = id {
            return self.erase_tenant(tenant).await;
        }
        let _one = self.inner.changing.lock().await;
        let owner = check_removal(&self.snapshot(), &id)?;
        let no = self.tenant_no(owner)?;
        let (kind, name) = row_key(&id);
        self.admin(move |conn| {
            let row = params![no, kind, name];
            conn.execute("DELETE FROM resources WHERE tenant = ?1 AND kind = ?2 AND id = ?3", row)?;
            Ok(())
        })
        .await?;
        Ok(self.publish(|config| config.delete(&id)))
    }

    /// Destroys a tenant's data key and removes its resources, call records and deliveries. What the journal holds of
    /// it can never be read again; [`Store::prune`] takes the rows away when their time comes. Backups that were made
    /// before still have the key.
    pub async fn erase_tenant(&self, tenant: TenantId) -> Result<Arc<Config>, StoreError> {
        let _one = self.inner.changing.lock().await;
        if self.snapshot().tenant(tenant).is_none() {
            return Err(StoreError::NotFound("tenant"));
        }
        let no = self.tenant_no(tenant)?;
        self.admin(move |conn| {
            // Freed bytes are overwritten, or the wrapped key would stay readable in the page.
            conn.pragma_update(None, "secure_delete", true)?;
            conn.execute(
                "DELETE FROM batch_items WHERE batch IN (SELECT id FROM batches WHERE tenant = ?1)",
                [no],
            )?;
            conn.execute(
                "DELETE FROM refresh_tokens WHERE login IN (SELECT id FROM logins WHERE tenant = ?1)",
                [no],
            )?;
            // Every table of theirs, also one that a later schema adds. What is journalled is nothing without the key, and
            // goes with the rest of its age.
            let mut theirs = conn.prepare(
                "SELECT m.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c ON c.name = 'tenant'
                WHERE m.type = 'table' AND m.name <> 'journal'",
            )?;
            let tables: Vec<String> = theirs.query_map([], |r| r.get(0))?.collect::<rusqlite::Result<_>>()?;
            for table in tables {
                conn.execute(&format!("DELETE FROM {table} WHERE tenant = ?1"), [no])?;
            }
            conn.execute("UPDATE tenants SET wrapped_key = NULL WHERE no = ?1", [no])?;
            Ok(())
        })
        .await?;
        self.inner.keys.remove(tenant);
        let config = self.publish(|config| config.delete(&ResourceId::Tenant(tenant)));
        self.truncate_log().await?;
        Ok(config)
    }

    /// Changes many resources of a tenant at once: all of it, or nothing. `puts` are checked in their order, a later one
    /// seeing the earlier ones; `removed` go in an order in which none is referred to. `before` is kept for
    /// [`Store::last_import`], and the newest ten of these.
    ///
    /// # Errors
    /// As [`Store::put`] and [`Store::remove`]; nothing is changed then.
    pub async fn apply(
        &self,
        tenant: TenantId,
        puts: Vec<Resource>,
        mut removed: Vec<ResourceId>,
        (at, before): (Stamp, Vec<u8>),
    ) -> Result<Arc<Config>, StoreError> {
        let _one = self.inner.changing.lock().await;
        let key = self.inner.keys.get(tenant).ok_or(StoreError::NotFound("tenant"))?;
        let mut config = (*self.snapshot()).clone();
        let mut rows = Vec::with_capacity(puts.len());
        for resource in puts {
            if check(&config, &resource)? != tenant {
                return Err(StoreError::NotFound("resource"));
            }
            let (kind, name) = row_key(&resource.id());
            let sealed = key.cipher.seal(place(tenant, kind, &name), &disk::encode(&resource));
            rows.push((kind, name, Some(sealed)));
            config.insert(resource);
        }
        while !removed.is_empty() {
            let (free, needed): (Vec<_>, Vec<_>) = removed
                .into_iter()
                .partition(|id| check_removal(&config, id).is_ok_and(|owner| owner == tenant));
            if free.is_empty() {
                return Err(StoreError::Reference(
                    "something that is not removed refers to one that is; remove or change that too",
                ));
            }
            for id in free {
                let (kind, name) = row_key(&id);
                rows.push((kind, name, None));
                config.delete(&id);
            }
            removed = needed;
        }
        let (no, sealed) = (key.no, key.cipher.seal(import_place(tenant, at), &before));
        self.admin(move |conn| {
            for (kind, name, content) in &rows {
                match content {
                    Some(sealed) => conn.execute(
                        "INSERT OR REPLACE INTO resources VALUES(?1, ?2, ?3, ?4)",
                        params![no, kind, name, sealed],
                    )?,
                    None => conn.execute(
                        "DELETE FROM resources WHERE tenant = ?1 AND kind = ?2 AND id = ?3",
                        params![no, kind, name],
                    )?,
                };
            }
            conn.execute(
                "INSERT INTO imports(tenant, at, content) VALUES(?1, ?2, ?3)",
                params![no, at.0, sealed],
            )?;
            conn.execute(
                "DELETE FROM imports WHERE tenant = ?1 AND id NOT IN
                    (SELECT id FROM imports WHERE tenant = ?1 ORDER BY id DESC LIMIT 10)",
                [no],
            )?;
            Ok(())
        })
        .await?;
        let config = Arc::new(config);
        self.inner.config.send_replace(config.clone());
        Ok(config)
    }

    /// What [`Store::apply`] kept the last time: when that was, and how it was before.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] if it does not open.
    pub async fn last_import(&self, tenant: TenantId) -> Result<Option<(Stamp, Vec<u8>)>, StoreError> {
        let key = self.inner.keys.get(tenant).ok_or(StoreError::NotFound("tenant"))?;
        self.read(move |conn| {
            let mut statement =
                conn.prepare_cached("SELECT at, content FROM imports WHERE tenant = ?1 ORDER BY id DESC LIMIT 1")?;
            let row = |r: &rusqlite::Row<'_>| Ok((Stamp(r.get(0)?), r.get::<_, Vec<u8>>(1)?));
            let Some((at, sealed)) = statement.query_row([key.no], row).optional()? else {
                return Ok(None);
            };
            let plain = key.cipher.open(import_place(tenant, at), &sealed);
            let plain = plain.map_err(|e| StoreError::Unreadable("import", e.to_string()))?;
            Ok(Some((at, plain)))
        })
        .await
    }

    /// A text that changes whenever the stored form of the resource does, for conditional requests: a digest under the
    /// owner's data key, so that it tells nothing about the secrets in it.
    pub fn tag(&self, resource: &Resource) -> Result<String, StoreError> {
        let owner = match self.snapshot().owner(&resource.id()) {
            Some(owner) => owner,
            None => check(&self.snapshot(), resource)?,
        };
        let key = self.inner.keys.get(owner).ok_or(StoreError::NotFound("tenant"))?;
        Ok(hex::encode(&key.digest(&[b"tag", &disk::encode(resource)])[..12]))
    }

    /// Gives an account a new token. The tokens that it has stay valid until `overlap_ms` after `now`; those that have
    /// expired are dropped.
    pub async fn rotate_token(
        &self,
        account: AccountId,
        secret: Secret,
        now: Stamp,
        overlap_ms: u64,
    ) -> Result<Arc<Config>, StoreError> {
        let _one = self.inner.changing.lock().await;
        let config = self.snapshot();
        let mut account = (**config.account(account).ok_or(StoreError::NotFound("account"))?).clone();
        let end = now.plus_ms(overlap_ms);
        account.tokens.retain(|t| t.valid_at(now));
        for token in &mut account.tokens {
            token.expires_at = Some(token.expires_at.map_or(end, |e| e.min(end)));
        }
        account.tokens.push(Token {
            secret,
            created_at: now,
            expires_at: None,
        });
        self.write_locked(Resource::Account(account), false).await
    }

    fn publish(&self, change: impl FnOnce(&mut Config)) -> Arc<Config> {
        // A clone copies the maps and shares the resources in them.
        let mut config = (*self.snapshot()).clone();
        change(&mut config);
        let config = Arc::new(config);
        self.inner.config.send_replace(config.clone());
        config
    }
}
