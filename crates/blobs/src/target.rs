//! Where finished recordings go.

use crate::BlobError;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A store, and the folder in it.
pub(crate) type Place = (Arc<dyn ObjectStore>, Key);

/// Where finished recordings go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// They stay in the spool.
    #[default]
    Spool,
    /// Another folder, such as that of a file server. It must exist.
    Folder(PathBuf),
    /// A bucket.
    S3(Box<S3>),
}

/// A bucket of Amazon S3, or of a server that speaks its protocol.
#[derive(Clone, PartialEq, Eq)]
pub struct S3 {
    /// Its name.
    pub bucket: String,
    /// Folder inside it; may be empty.
    pub prefix: String,
    /// Address of the server; `None` for Amazon's.
    pub endpoint: Option<String>,
    /// Region, such as `eu-central-1`.
    pub region: String,
    /// Access key and its secret; `None` takes those of the environment or of the machine.
    pub key: Option<(String, String)>,
    /// The bucket's name is part of the host name and not of the path.
    pub virtual_host: bool,
}

impl std::fmt::Debug for S3 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3")
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl Target {
    pub(crate) fn open(self) -> Result<Option<Place>, BlobError> {
        let settings = |e: object_store::Error| BlobError::Settings(e.to_string());
        Ok(match self {
            Target::Spool => None,
            Target::Folder(folder) => {
                let store = LocalFileSystem::new_with_prefix(folder).map_err(settings)?;
                Some((Arc::new(store), Key::default()))
            }
            Target::S3(s3) => {
                let prefix = Key::parse(&s3.prefix).map_err(|e| BlobError::Settings(e.to_string()))?;
                let plain = s3.endpoint.as_ref().is_some_and(|e| e.starts_with("http://"));
                // Amazon's own variables and the machine's role count where no key is set.
                let mut builder = match &s3.key {
                    None => AmazonS3Builder::from_env(),
                    Some((id, secret)) => AmazonS3Builder::new()
                        .with_access_key_id(id)
                        .with_secret_access_key(secret),
                };
                builder = builder
                    .with_bucket_name(&s3.bucket)
                    .with_region(&s3.region)
                    .with_virtual_hosted_style_request(s3.virtual_host)
                    .with_client_options(
                        ClientOptions::new()
                            .with_allow_http(plain)
                            .with_connect_timeout(Duration::from_secs(5))
                            .with_timeout(Duration::from_secs(60)),
                    )
                    // Whoever puts tries again for as long as it takes; whoever reads wants to know soon.
                    .with_retry(RetryConfig {
                        backoff: BackoffConfig::default(),
                        max_retries: 2,
                        retry_timeout: Duration::from_secs(15),
                    });
                if let Some(endpoint) = &s3.endpoint {
                    builder = builder.with_endpoint(endpoint);
                }
                Some((Arc::new(builder.build().map_err(settings)?), prefix))
            }
        })
    }
}
