//! The data folder: one server at a time, private to its user.

use crate::config::{Config, MasterKeySource};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Why the data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// It cannot be made or entered.
    #[error(
        "the data folder {path} cannot be used: {why}. Set server.data or --data to a folder that you may write to"
    )]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's reason.
        why: std::io::Error,
    },
    /// Another server has it.
    #[error(
        "the data folder {path} is in use by another server (process {holder}). Stop that one, or give this one a folder of its own with --data"
    )]
    Locked {
        /// The folder.
        path: PathBuf,
        /// Process id of the holder, `unknown` if it left none.
        holder: String,
    },
    /// The master key is missing or unusable.
    #[error("no master key: {0}")]
    Key(String),
}

/// The data folder, locked for this process until dropped.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    // The lock is the descriptor's: it ends with the process, however that ends.
    _lock: File,
}

impl DataFolder {
    /// Makes the folder if it does not exist (mode 0700), and locks it.
    pub fn open(path: &Path) -> Result<DataFolder, DataError> {
        let failed = |why| DataError::Folder {
            path: path.to_owned(),
            why,
        };
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(failed)?;
        let path = path.canonicalize().map_err(failed)?;
        let mut lock = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(failed)?;
        // SAFETY: flock takes a descriptor that `lock` keeps open, and no memory.
        if unsafe { libc::flock(lock.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
            let mut holder = String::new();
            let _ = lock.read_to_string(&mut holder);
            let holder = match holder.trim() {
                "" => "unknown".to_owned(),
                pid => pid.to_owned(),
            };
            return Err(DataError::Locked { path, holder });
        }
        lock.set_len(0).map_err(failed)?;
        lock.rewind().map_err(failed)?;
        writeln!(lock, "{}", std::process::id()).map_err(failed)?;
        Ok(DataFolder { path, _lock: lock })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A subfolder, made if it does not exist.
    pub fn sub(&self, name: &str) -> Result<PathBuf, DataError> {
        let path = self.path.join(name);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(|why| DataError::Folder {
                path: path.clone(),
                why,
            })?;
        Ok(path)
    }

    /// Where the recordings are: the configured folder, else `recordings` here.
    pub fn recordings(&self, config: &Config) -> Result<PathBuf, DataError> {
        match &config.recording.folder {
            None => self.sub("recordings"),
            Some(path) => {
                std::fs::create_dir_all(path).map_err(|why| DataError::Folder {
                    path: path.clone(),
                    why,
                })?;
                Ok(path.clone())
            }
        }
    }

    /// The master key; made in the folder at the first start if the configuration names no source. The flag is true if
    /// it was made now.
    ///
    /// A new key beside an old database would make the database unreadable, so that is refused.
    pub fn master_key(&self, config: &Config, database_exists: bool) -> Result<([u8; 32], bool), DataError> {
        use crate::config::{read_master_key_environment, read_master_key_file};
        match &config.keys.master_key {
            Some(MasterKeySource::File(path)) => {
                return read_master_key_file(path).map(with(false)).map_err(DataError::Key);
            }
            Some(MasterKeySource::Environment(name)) => {
                return read_master_key_environment(name)
                    .map(with(false))
                    .map_err(DataError::Key);
            }
            None => {}
        }
        let path = self.path.join("master.key");
        if path.exists() {
            return read_master_key_file(&path).map(with(false)).map_err(DataError::Key);
        }
        if database_exists {
            return Err(DataError::Key(format!(
                "{} is gone, and the database beside it was encrypted with it. Put it back from your copy",
                path.display()
            )));
        }
        let mut key = [0u8; 32];
        getrandom::fill(&mut key).map_err(|e| DataError::Key(format!("the system gives no randomness: {e}")))?;
        let text: String = key.iter().map(|b| format!("{b:02x}")).collect();
        let failed = |why| DataError::Folder {
            path: path.clone(),
            why,
        };
        let mut file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        writeln!(file, "{text}")
            .and_then(|()| file.sync_all())
            .map_err(failed)?;
        Ok((key, true))
    }
}

fn with(made: bool) -> impl Fn([u8; 32]) -> ([u8; 32], bool) {
    move |key| (key, made)
}

/// Where the admin socket of a data folder is.
pub fn admin_socket(data: &Path) -> PathBuf {
    data.join("admin.sock")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn one_folder_serves_one_server() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b");
        let first = DataFolder::open(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        let refused = DataFolder::open(&path).unwrap_err().to_string();
        assert!(refused.contains("in use by another server"), "{refused}");
        assert!(refused.contains(&std::process::id().to_string()), "{refused}");
        drop(first);
        DataFolder::open(&path).unwrap();
    }

    #[test]
    fn the_master_key_is_made_once_and_never_beside_an_old_database() {
        let root = tempfile::tempdir().unwrap();
        let data = DataFolder::open(root.path()).unwrap();
        let config = Config::default();
        let lost = data.master_key(&config, true).unwrap_err().to_string();
        assert!(lost.contains("Put it back"), "{lost}");
        let (key, made) = data.master_key(&config, false).unwrap();
        assert!(made);
        assert_eq!(data.master_key(&config, true).unwrap(), (key, false));
        let mode = std::fs::metadata(root.path().join("master.key"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(root.path().join("master.key"), "short").unwrap();
        let wrong = data.master_key(&config, true).unwrap_err().to_string();
        assert!(
            wrong.contains("64 hexadecimal digits") && !wrong.contains("short"),
            "{wrong}"
        );
    }
}
