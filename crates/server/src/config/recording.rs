//! The slice of recordings: where they are written, and where finished ones go.

use super::reader::Section;
use super::slices::path;
use std::path::PathBuf;
use strowger_blobs::{S3, Target};
use strowger_store::Secret;

/// `[recording]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// Folder in which they are written; `recordings` in the data folder if absent.
    pub folder: Option<PathBuf>,
    /// Where they go from there.
    pub store: RecordingStore,
    /// The folder that they go to.
    pub store_folder: Option<PathBuf>,
    /// The bucket that they go to.
    pub s3: Bucket,
}

/// Where finished recordings go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingStore {
    /// They stay where they were written.
    None,
    /// Another folder.
    Folder,
    /// A bucket.
    S3,
}

/// `[recording.s3]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub bucket: Option<String>,
    /// Folder in it.
    pub prefix: Option<String>,
    /// Address of a server that is not Amazon's.
    pub endpoint: Option<String>,
    /// Region.
    pub region: String,
    /// Access key; the environment's or the machine's if absent.
    pub access_key: Option<String>,
    /// Its secret.
    pub secret_key: Option<Secret>,
    /// The bucket's name is part of the host name.
    pub virtual_host: bool,
}

fn text(text: &str) -> Option<String> {
    (!text.trim().is_empty()).then(|| text.trim().to_owned())
}

fn url(text: &str) -> Option<String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    (!rest.is_empty()).then(|| text.trim_end_matches('/').to_owned())
}

impl Bucket {
    fn read(s: Section<'_>, used: bool) -> Bucket {
        let read = Bucket {
            bucket: s.optional("bucket", "the name of a bucket", text),
            prefix: s.optional("prefix", "a folder in the bucket", text),
            endpoint: s.optional("endpoint", "a URL: https://… or http://…", url),
            region: s.parsed(
                "region",
                "us-east-1".to_owned(),
                "a region, such as \"eu-central-1\"",
                text,
            ),
            access_key: s.optional("access_key", "an access key", text),
            secret_key: s.optional("secret_key", "its secret", text).map(Secret::new),
            virtual_host: s.boolean("virtual_host", false),
        };
        if used && read.bucket.is_none() {
            s.problem(
                "bucket",
                "recording.store = \"s3\" needs the name of a bucket".to_owned(),
            );
        }
        if read.access_key.is_some() != read.secret_key.is_some() {
            s.problem(
                "secret_key",
                "access_key and secret_key belong together: set both, or none for those of the environment".to_owned(),
            );
        }
        s.close();
        read
    }
}

impl Recording {
    pub(super) fn read(s: Section<'_>) -> Recording {
        let words = [
            ("none", RecordingStore::None),
            ("folder", RecordingStore::Folder),
            ("s3", RecordingStore::S3),
        ];
        let store = s.choice("store", RecordingStore::None, &words);
        let read = Recording {
            folder: s.optional("folder", "the path of a folder", path),
            store,
            store_folder: s.optional("store_folder", "the path of a folder", path),
            s3: Bucket::read(s.section("s3"), store == RecordingStore::S3),
        };
        if store == RecordingStore::Folder && read.store_folder.is_none() {
            s.problem(
                "store_folder",
                "recording.store = \"folder\" needs the folder that recordings go to".to_owned(),
            );
        }
        if read.folder.is_some() && read.folder == read.store_folder {
            s.problem(
                "store_folder",
                "it is recording.folder; leave recording.store out to keep recordings there".to_owned(),
            );
        }
        s.close();
        read
    }

    /// What it says, for the recordings.
    pub fn target(&self) -> Target {
        match (self.store, &self.store_folder, &self.s3.bucket) {
            (RecordingStore::Folder, Some(folder), _) => Target::Folder(folder.clone()),
            (RecordingStore::S3, _, Some(bucket)) => {
                let s3 = &self.s3;
                let secret = s3.secret_key.as_ref().map(|s| s.expose().to_owned());
                Target::S3(Box::new(S3 {
                    bucket: bucket.clone(),
                    prefix: s3.prefix.clone().unwrap_or_default(),
                    endpoint: s3.endpoint.clone(),
                    region: s3.region.clone(),
                    key: s3.access_key.clone().zip(secret),
                    virtual_host: s3.virtual_host,
                }))
            }
            // The other combinations were refused when they were read.
            _ => Target::Spool,
        }
    }
}
