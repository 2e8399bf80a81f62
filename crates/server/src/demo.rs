//! The demonstration: a tenant with everything that a first call needs, and a trunk to the lab carrier.

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use strowger_core::number::CHINA;
use strowger_core::resource::{ApplicationSettings, OwnedNumber, Trunk};
use strowger_core::{AccountId, ApplicationId, Number, Stamp, TenantId, TrunkId};
use strowger_store::{Account, Application, Secret, Store, StoreError, Tenant, Token};

/// Name of the tenant, and of its account and application.
const NAME: &str = "demo";
/// A fixed line that the demonstration may show.
const NUMBER: &str = "01062345678";
/// Where the lab carrier listens unless it is told otherwise.
pub const LAB: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 5090);

/// What the demonstration shows.
#[derive(Debug)]
pub struct Demo {
    account: AccountId,
    token: Secret,
    application: ApplicationId,
}

/// Makes what is missing of the demonstration. A second start finds all of it.
///
/// # Errors
/// The store's.
pub async fn furnish(store: &Store) -> Result<Demo, StoreError> {
    let now = crate::wire::now();
    let config = store.snapshot();
    let tenant = match config.tenants().find(|t| t.name == NAME) {
        Some(t) => t.id,
        None => {
            let tenant = Tenant {
                // So that pushes to a receiver on this machine can be tried; other tenants have this closed.
                push_allowed: ["127.0.0.0/8", "::1"].iter().filter_map(|r| r.parse().ok()).collect(),
                ..Tenant::new(TenantId(strowger_runtime::mint::random()), NAME)
            };
            store.create(tenant.clone()).await?;
            tenant.id
        }
    };
    let config = store.snapshot();
    let (account, token) = match config.accounts().find(|a| a.tenant == tenant && a.name == NAME) {
        Some(a) => {
            let newest = a.tokens.iter().rev().find(|t| t.valid_at(now));
            (a.id, newest.map(|t| t.secret.clone()).unwrap_or_default())
        }
        None => make_account(store, tenant, now).await?,
    };
    let application = match config.applications().find(|a| a.tenant == tenant && a.name == NAME) {
        Some(a) => a.id,
        None => make_application(store, tenant).await?,
    };
    furnish_lines(store, tenant).await?;
    Ok(Demo {
        account,
        token,
        application,
    })
}

async fn make_account(store: &Store, tenant: TenantId, now: Stamp) -> Result<(AccountId, Secret), StoreError> {
    let token = Secret::new(format!("{:032x}", strowger_runtime::mint::random()));
    let account = Account {
        tokens: vec![Token {
            secret: token.clone(),
            created_at: now,
            expires_at: None,
        }],
        ..Account::new(AccountId(strowger_runtime::mint::random()), tenant, NAME)
    };
    let id = account.id;
    store.create(account).await?;
    Ok((id, token))
}

async fn make_application(store: &Store, tenant: TenantId) -> Result<ApplicationId, StoreError> {
    let application = Application {
        id: ApplicationId(strowger_runtime::mint::random()),
        tenant,
        account: None,
        name: NAME.to_owned(),
        profile: "voice-paas".to_owned(),
        settings: ApplicationSettings {
            default_cli: Number::parse(NUMBER, CHINA).ok(),
            ..ApplicationSettings::default()
        },
        push_secret: None,
        disabled: false,
    };
    let id = application.id;
    store.create(application).await?;
    Ok(id)
}

/// The number that is shown, and the trunk to the lab.
async fn furnish_lines(store: &Store, tenant: TenantId) -> Result<(), StoreError> {
    let config = store.snapshot();
    if let Ok(number) = Number::parse(NUMBER, CHINA)
        && config.number(&number).is_none()
    {
        let owned = OwnedNumber {
            number,
            tenant,
            applications: Vec::new(),
            outgoing: true,
            incoming: true,
        };
        store.create(owned).await?;
    }
    if !config.trunks().iter().any(|t| t.name == "lab") {
        let trunk = Trunk {
            tenant: Some(tenant),
            name: "lab".to_owned(),
            codecs: vec!["PCMA".to_owned(), "PCMU".to_owned()],
            ..Trunk::new(TrunkId(strowger_runtime::mint::random()), Some(LAB))
        };
        store.create(trunk).await?;
    }
    Ok(())
}

/// How this program is called: its path, so that the printed line works as it stands.
fn program() -> String {
    std::env::current_exe().map_or_else(|_| "strowger".to_owned(), |p| p.display().to_string())
}

impl Demo {
    /// Credentials, and how to place a call.
    pub fn text(&self, http: SocketAddr, data: &Path) -> String {
        let (account, application) = (self.account, self.application);
        let mut out = String::new();
        let _ = write!(
            out,
            "\ndemonstration\n  account      {account}\n  token        {}\n  application  {application}\n  \
             trunk        lab ({LAB})\n\n\
             place a call from one lab number to another, over HTTP:\n\n  \
             curl -su {account}:{} -H 'Content-Type: application/json' \\\n    \
             -d '{{\"action\":\"click2call\",\"caller\":\"13800000001\",\"callee\":\"13800000002\",\"maxDuration\":\"20\"}}' \\\n    \
             http://{http}/v1/Accounts/{account}/Applications/{application}/ctc/Conversations\n\n\
             or on the command line, watching it:\n\n  \
             {} call place 13800000001 13800000002 --max-duration 10 --data {}\n\n",
            self.token.expose(),
            self.token.expose(),
            program(),
            data.display()
        );
        out
    }
}
