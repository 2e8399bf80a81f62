//! Wiring: which engine knows which, and the order in which they start and stop.
//!
//! Start: store, switch, SIP and media, recovery of what a dead process left, notifier, listeners. A call is taken only
//! when everything that it needs is there. Stop: the other way round, after a drain.

use crate::config::{self, Config};
use crate::data::{DataFolder, admin_socket};
use crate::equipment;
use crate::operations::Watch;
use crate::outside;
use crate::recordings;
use crate::signalling::Signalling;
use crate::sounds::{self, Sound};
use crate::speech;
use crate::telephony;
use axum::Router;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use strowger_api::{Api, IceServers, Profile, Speech};
use strowger_blobs::{BlobError, Blobs};
use strowger_core::Stamp;

use strowger_core::call::Builtin;
use strowger_core::project::Projector;
use strowger_core::resource::ApplicationSettings;
use strowger_dialect_voicepaas as voicepaas;
use strowger_notify::Notifier;
use strowger_runtime::{
    IncomingSubscriptions, MediaSink, SipSink, SoundLibrary, Switch, SwitchCalls, SwitchConfig, archive, carriers,
    clock, health, recovery,
};
use strowger_sip::{Endpoint, EndpointHandle};
use strowger_speech::synthesis::Synthesiser;
use strowger_store::{MasterKey, Store, StoreConfig};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Why the server did not start: what happened, with the part that it happened to.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder.
    #[error(transparent)]
    Data(#[from] crate::data::DataError),
    /// The database.
    #[error("storage: {0}")]
    Store(#[from] strowger_store::OpenError),
    /// A speech engine.
    #[error("{0}")]
    Speech(String),
    /// The table of regions.
    #[error("routing.regions: {0}. Make the file anew: scripts/number-regions")]
    Regions(String),
    /// Where recordings go.
    #[error(transparent)]
    Recordings(#[from] BlobError),
    /// A sound.
    #[error("sounds: {0}")]
    Sound(String),
    /// The SIP address.
    #[error("sip: {0}. Change sip.port or interface.address, or stop what uses it")]
    Sip(#[from] strowger_sip::StartError),
    /// The capture server.
    #[error("hep: {0}. Check hep.server")]
    Hep(std::io::Error),
    /// The names of trunks.
    #[error("dns: {0}. Check /etc/resolv.conf")]
    Dns(#[from] strowger_sip::ResolveError),
    /// The media engine.
    #[error("media: {0}")]
    Media(#[from] strowger_media::MediaError),
    /// The address that the outside sees.
    #[error("media.stun: {0}. Check the server, or set interface.advertised in its place")]
    Stun(String),
    /// The signalling thread.
    #[error("the signalling thread cannot start: {0}")]
    Thread(std::io::Error),
    /// The outgoing pushes.
    #[error("push: {0}")]
    Push(String),
    /// A listener.
    #[error("{what} {address}: {why}. Change {key}, or stop what uses it")]
    Listen {
        /// What it is for.
        what: &'static str,
        /// Where.
        address: String,
        /// The key to change.
        key: &'static str,
        /// The system's reason.
        why: std::io::Error,
    },
    /// What access tokens are signed with.
    #[error("identity: {0}. The database is untouched; check it with a backup before you go on")]
    Identity(String),
    /// What an earlier process left could not be read.
    #[error("recovery: {0}. The database is untouched; check it with a backup before you go on")]
    Recovery(#[from] strowger_store::StoreError),
}

/// A running server.
pub struct Running {
    /// The HTTP address, with the port that the system chose.
    pub http: SocketAddr,
    /// The SIP address.
    pub sip: SocketAddr,
    /// The admin socket.
    pub socket: PathBuf,
    /// Resources, records, deliveries.
    pub store: Store,
    switch: Arc<Switch>,
    endpoint: EndpointHandle,
    media: Option<strowger_media::Engine>,
    notifier: Option<Notifier>,
    background: Vec<JoinHandle<()>>,
    listeners: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    _signalling: Signalling,
    _data: DataFolder,
}

/// Starts everything.
///
/// # Errors
/// [`StartError`]; nothing is left running.
pub async fn start(config: &Config, data: DataFolder) -> Result<Running, StartError> {
    let config = &outside::found(config).await?;
    let store = open_store(config, &data)?;
    let prompts = data.sub("prompts")?;
    let recordings = data.recordings(config)?;
    let blobs = Arc::new(Blobs::open(recordings.clone(), config.recording.target())?);
    let synthesiser = speech::synthesiser(config, data.sub("speech")?).await?;
    let sounds = library(config, &store, prompts.clone(), synthesiser.as_ref()).await?;
    let all: [Arc<dyn Projector>; 3] = [
        Arc::new(strowger_api::WebhookProjector),
        Arc::new(voicepaas::VoicePaasProjector),
        Arc::new(voicepaas::NoticeProjector),
    ];
    let projectors = Arc::new(HashMap::from(all.map(|p| (p.name(), p))));
    let sip_addr = SocketAddr::new(config.interface().address, config.sip.port);
    let settings = SwitchConfig {
        codecs: config.media.codecs.clone(),
        hosts: telephony::hosts(config),
        door: telephony::door(config),
        ladder: telephony::ladder(config),
        max_conversations: config.limits.conversations,
        browser_grace: config.media.browser_grace,
        incoming: incoming_subscriptions(config),
    };
    let signalling = Signalling::start().map_err(StartError::Thread)?;
    let switch = {
        let _on = signalling.handle().enter();
        Switch::new(settings, store.clone(), sounds, projectors)
    };
    // Owners wait for their commits on the signalling loop: a group commit wakes it once.
    if let Some(answers) = store.relay_answers() {
        signalling.handle().spawn(answers.run());
    }

    let media = strowger_media::Engine::start(
        media_config(config, recordings.clone()),
        Arc::new(MediaSink(switch.clone())),
    )?;
    let sip = telephony::endpoint(config, &switch).map_err(StartError::Hep)?;
    let endpoint = {
        let _on = signalling.handle().enter();
        Endpoint::start(sip, Arc::new(SipSink(switch.clone())))?
    };
    switch.attach(endpoint.clone(), media.handle());
    let engines = equipment::Engines::default();
    switch.equip(equipment::open(config, &store, &engines)?);
    let outside = tokio::spawn(outside::watch(config.clone(), endpoint.clone(), media.handle()));

    recovery::recover(&switch, &recordings).await?;
    if let Err(error) = switch.restore_displays().await {
        tracing::error!(
            code = error.code(),
            "the display numbers of today's calls could not be counted: {error}"
        );
    }
    if let Err(error) = switch.restore_spending().await {
        tracing::error!("caps of spending count from now on only, the records of today cannot be read: {error}");
    }
    // An error means that the engine has ended already, which the first command would tell.
    let _ = endpoint.set_overload(strowger_sip_core::Overload::Accept).await;
    let notifier = start_notifier(config, &store)?;
    let background = vec![
        outside,
        tokio::spawn(recovery::heartbeat(switch.clone())),
        tokio::spawn(health::watch(switch.clone())),
        tokio::spawn(carriers::keep(switch.clone(), telephony::resolver(config)?)),
        tokio::spawn(retention(store.clone(), config.storage.clone(), blobs.clone())),
        tokio::spawn(archive::keep(store.clone(), blobs.clone())),
    ];

    switch.resume_batches().await?;
    switch.open_desks();

    let (stop, stopped) = watch::channel(false);
    let speech = Arc::new(speech::open(config, &switch, synthesiser).await?);
    engines.set(speech.clone());
    let api = api_of(config, &switch, &store, (prompts, blobs), speech);
    api.prepare().await.map_err(|p| StartError::Identity(p.to_string()))?;
    // Readiness is told over HTTP, so the socket of the operators comes first.
    let (socket, admin) = listen_admin(&data, api.clone(), stopped.clone())?;
    let (http, public) = listen_http(config, &switch, &store, &api, stopped).await?;
    Ok(Running {
        http,
        sip: endpoint.local_addrs().first().copied().unwrap_or(sip_addr),
        socket,
        store,
        switch,
        endpoint,
        media: Some(media),
        notifier: Some(notifier),
        background,
        listeners: vec![public, admin],
        stop,
        _signalling: signalling,
        _data: data,
    })
}

fn open_store(config: &Config, data: &DataFolder) -> Result<Store, StartError> {
    let folder = data.sub("db")?;
    let (key, made) = data.master_key(config, folder.join("strowger.db").exists())?;
    if made {
        tracing::info!("a master key was made in the data folder; keep a copy of it elsewhere");
    }
    let mut settings = StoreConfig::new(folder, MasterKey::new(key));
    settings.durability = match config.storage.durability {
        config::Durability::Power => strowger_store::Durability::Power,
        config::Durability::Process => strowger_store::Durability::Process,
    };
    settings.queue = config.storage.queue;
    settings.min_free = config.storage.min_free_mb << 20;
    Ok(Store::open(settings)?)
}

async fn library(
    config: &Config,
    store: &Store,
    prompts: PathBuf,
    synthesiser: Option<&Synthesiser>,
) -> Result<SoundLibrary, StartError> {
    let mut shipped = Vec::new();
    for builtin in Builtin::ALL {
        let sound = match builtin {
            Builtin::LastMinute => Sound::LastMinute,
            Builtin::Busy => Sound::Busy,
            Builtin::NoAnswer => Sound::NoAnswer,
            Builtin::Unreachable => Sound::Unreachable,
            Builtin::Invalid => Sound::Invalid,
            Builtin::Failed => Sound::Failed,
            Builtin::HoldMusic => Sound::Hold,
        };
        let wav = sound
            .wav(config.sounds.language, config.sounds.folder.as_deref())
            .map_err(|e| StartError::Sound(format!("{}: {e}", sound.file(config.sounds.language))))?;
        shipped.push((builtin.file(), wav.into_owned()));
    }
    let (units, missing) = sounds::units::load(config.sounds.folder.as_deref(), config.sounds.missing_units)
        .map_err(|(path, e)| StartError::Sound(format!("{path}: {e}")))?;
    let said = match synthesiser {
        Some(engine) => sounds::units::say(engine, &missing)
            .await
            .map_err(|(unit, e)| StartError::Sound(format!("{unit} has no recording and cannot be spoken: {e}")))?,
        None => Vec::new(),
    };
    SoundLibrary::new(store.clone(), prompts, &shipped)
        .map(|library| library.with_tones_of(&config.sounds.tones))
        .and_then(|library| library.with_units(units))
        .map(|library| library.with_spoken_units(said))
        .map_err(|e| StartError::Sound(e.to_string()))
}

fn media_config(config: &Config, recordings: PathBuf) -> strowger_media::Config {
    strowger_media::Config {
        shards: config.media.shards,
        realtime: config.media.realtime,
        opus_complexity: config.media.opus_complexity,
        bind: config.interface().address,
        advertised: config.interface().advertised,
        ports: config.media.ports.clone(),
        webrtc: config.media.webrtc,
        webrtc_port: (config.media.webrtc_port != 0).then_some(config.media.webrtc_port),
        full_ice: config.media.full_ice,
        recording_dir: recordings,
        ..strowger_media::Config::default()
    }
}

/// Records of calls that came in are pushed where the application wants its records.
fn incoming_subscriptions(config: &Config) -> IncomingSubscriptions {
    let recording_base = recording_base(config, config.http.listen);
    Arc::new(move |app| {
        let base = recording_base.clone();
        let context = voicepaas::SubscriptionContext::of_application(app.id, app.account, &app.settings, base);
        context.subscriptions(None, app.settings.record_url.as_deref())
    })
}

/// What a recording's name is put behind.
fn recording_base(config: &Config, address: SocketAddr) -> String {
    let base = match &config.http.public_url {
        Some(url) => url.clone(),
        None => format!("http://{address}"),
    };
    format!("{base}/recordings")
}

fn start_notifier(config: &Config, store: &Store) -> Result<Notifier, StartError> {
    let settings = strowger_notify::NotifyConfig {
        concurrency: config.push.concurrency,
        per_destination: config.push.per_host,
        timeout: config.push.timeout,
        clock: Arc::new(clock::wall_now),
        ..strowger_notify::NotifyConfig::default()
    };
    Notifier::start(store.clone(), settings).map_err(|e| StartError::Push(e.to_string()))
}

fn api_of(
    config: &Config,
    switch: &Arc<Switch>,
    store: &Store,
    (prompts, blobs): (PathBuf, Arc<Blobs>),
    speech: Arc<Speech>,
) -> Api {
    let voice = Profile {
        name: "voice-paas".into(),
        settings: ApplicationSettings::default(),
    };
    let events = Arc::new(strowger_api::events::EventHub::new(now(), None));
    let changes = switch.centre_events();
    tokio::spawn(strowger_api::follow_centre(events.clone(), store.clone(), changes));
    let (told, changes) = (Arc::new(clock::wall_now), switch.centre_events());
    tokio::spawn(strowger_api::follow_webhooks(store.clone(), told, changes));
    Api {
        store: store.clone(),
        calls: Arc::new(SwitchCalls(switch.clone())),
        desks: Arc::new(SwitchCalls(switch.clone())),
        operations: Arc::new(Watch {
            switch: switch.clone(),
            tls_listeners: telephony::tls_listeners(config),
        }),
        now: Arc::new(clock::wall_now),
        prompts,
        blobs,
        speech,
        ice: Arc::new(IceServers::new(
            config.turn.servers.clone(),
            config.turn.secret.clone(),
            config.turn.lifetime,
            config.sip.origins.clone(),
        )),
        profiles: vec![voice].into(),
        events: Arc::new(strowger_api::events::Events::of_hub(events, Duration::from_secs(20))),
        identity: Arc::new(strowger_api::Identity::new(config.http.api_rate)),
        changing: Arc::default(),
    }
}

async fn listen_http(
    config: &Config,
    switch: &Arc<Switch>,
    store: &Store,
    api: &Api,
    stopped: watch::Receiver<bool>,
) -> Result<(SocketAddr, JoinHandle<()>), StartError> {
    let failed = |why| StartError::Listen {
        what: "http",
        address: config.http.listen.to_string(),
        key: "http.listen",
        why,
    };
    let listener = TcpListener::bind(config.http.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let settings = voicepaas::Settings {
        recording_base: recording_base(config, address),
        max_body: config.http.body_limit,
        ..voicepaas::Settings::default()
    };
    let dialect = voicepaas::router(voicepaas::VoicePaas {
        calls: Arc::new(SwitchCalls(switch.clone())),
        notices: Arc::new(SwitchCalls(switch.clone())),
        agents: Arc::new(voicepaas::DeskAgents::new(
            store.clone(),
            Arc::new(SwitchCalls(switch.clone())),
        )),
        directory: Arc::new(voicepaas::StoreDirectory::new(store.clone(), Arc::new(clock::wall_now))),
        ledger: Arc::new(voicepaas::StoreLedger::new(store.clone(), Arc::new(clock::wall_now))),
        settings: Arc::new(settings),
    });
    let app = Router::new()
        .merge(strowger_api::public_router(api.clone()))
        .merge(recordings::router(api.blobs.clone()))
        .merge(dialect);
    let served = tokio::spawn(async move {
        // The audit log says where a request came from.
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        let serve = axum::serve(listener, app).with_graceful_shutdown(until(stopped));
        if let Err(error) = serve.await {
            tracing::error!("the HTTP listener ended: {error}");
        }
    });
    Ok((address, served))
}

fn listen_admin(
    data: &DataFolder,
    api: Api,
    stopped: watch::Receiver<bool>,
) -> Result<(PathBuf, JoinHandle<()>), StartError> {
    let path = admin_socket(data.path());
    let failed = |why| StartError::Listen {
        what: "admin socket",
        address: path.display().to_string(),
        key: "server.data",
        why,
    };
    // The folder is locked by this process, so a socket that is there belongs to nobody any more.
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(e)),
        _ => {}
    }
    let listener = UnixListener::bind(&path).map_err(failed)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    let served = tokio::spawn(async move {
        let serve = axum::serve(listener, strowger_api::admin_router(api)).with_graceful_shutdown(until(stopped));
        if let Err(error) = serve.await {
            tracing::error!("the admin socket ended: {error}");
        }
    });
    Ok((path, served))
}

/// Once an hour, takes away what is older than the setting. The first time is an hour after the start, so that a server
/// that is restarted in a hurry does not begin with the least urgent of its work.
async fn retention(store: Store, keep: config::Storage, blobs: Arc<Blobs>) {
    let ago = |days: u64| Stamp(now().0.saturating_sub_unsigned(days.saturating_mul(86_400_000)));
    loop {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let before = ago(keep.keep_days);
        // Idempotency keys are good for a day, and so are the tokens of a login that is over.
        for done in [
            store.prune_logins(ago(1)).await,
            store.prune_audit(ago(keep.audit_days)).await,
        ] {
            if let Err(error) = done {
                tracing::warn!("old logins or audit rows could not be taken away: {error}");
            }
        }
        match store.prune(before).await {
            Ok(pruned) => tracing::debug!(?pruned, "took old rows away"),
            Err(error) => tracing::warn!("old rows could not be taken away: {error}"),
        }
        match strowger_runtime::retention::sweep(&store, &blobs, now()).await {
            Ok(swept) if swept.deleted > 0 => {
                tracing::info!(
                    deleted = swept.deleted,
                    "recordings were deleted that have been kept long enough"
                );
            }
            Ok(_) => {}
            Err(error) => tracing::warn!("the recordings could not be looked through: {error}"),
        }
    }
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // An error means that the server is gone, which is an end too.
    let _ = stopped.wait_for(|stop| *stop).await;
}

impl Running {
    /// Refuses new calls from now on.
    pub fn drain(&self) {
        self.switch.drain();
    }

    /// Conversations that have not ended.
    pub fn conversations(&self) -> usize {
        self.switch.running()
    }

    /// Drains for at most `patience`, ends what is left, and stops every part. What was accepted is recorded.
    pub async fn stop(mut self, patience: Duration) {
        self.switch.shut_down(patience).await;
        let _ = self.stop.send(true);
        for listener in self.listeners.drain(..) {
            // Open keep-alive connections must not hold the process.
            let _ = tokio::time::timeout(Duration::from_secs(2), listener).await;
        }
        for task in self.background.drain(..) {
            task.abort();
        }
        // BYEs of the last calls are repeated until they are answered.
        self.endpoint.shutdown(Duration::from_secs(2)).await;
        if let Some(notifier) = self.notifier.take() {
            // Attempts under way may end; one that hangs is taken up again by the next process.
            let _ = tokio::time::timeout(Duration::from_secs(5), notifier.shutdown()).await;
        }
        if let Some(media) = self.media.take() {
            media.shutdown();
        }
        let _ = tokio::time::timeout(Duration::from_secs(2), self.switch.settle_desks()).await;
        if let Err(error) = self.store.flush().await {
            tracing::error!("the journal could not be flushed: {error}");
        }
    }
}

/// The wall clock, for what is outside conversations.
pub fn now() -> Stamp {
    clock::wall_now()
}
