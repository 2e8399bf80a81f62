//! Recordings through the folder store: put once, read from wherever they are, in parts, deleted.

use futures_util::TryStreamExt;
use strowger_blobs::{BlobError, Blobs, Opened, Target, Wanted, is_name, wanted};

/// A name of a conversation of 2026-11-20.
fn name(n: u8) -> String {
    let ms = 20_777u64 * 86_400_000 + 5;
    format!("RE{ms:012x}{:020}{n:032x}.wav", 0)
}

async fn read(blobs: &Blobs, name: &str, part: Wanted) -> Result<Vec<u8>, BlobError> {
    match blobs.open_at(name, |size| part.of(size)).await? {
        Opened::Content(content) => {
            let chunks: Vec<bytes::Bytes> = content.stream.try_collect().await?;
            Ok(chunks.concat())
        }
        Opened::Outside { size } => panic!("outside of {size}"),
    }
}

struct House {
    spool: tempfile::TempDir,
    store: tempfile::TempDir,
    blobs: Blobs,
}

fn house() -> House {
    let (spool, store) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let blobs = Blobs::open(spool.path().into(), Target::Folder(store.path().into())).unwrap();
    House { spool, store, blobs }
}

impl House {
    fn spool(&self, name: &str, content: &[u8]) {
        std::fs::write(self.spool.path().join(name), content).unwrap();
    }
}

#[tokio::test]
async fn a_recording_moves_from_the_spool_into_the_store_and_stays_readable() {
    let h = house();
    let name = name(1);
    assert!(is_name(&name), "{name}");
    h.spool(&name, b"0123456789");
    h.spool(&format!("{name}.part"), b"x");
    assert_eq!(h.blobs.spooled().await.unwrap(), std::slice::from_ref(&name));
    assert_eq!((h.blobs.stats().waiting, h.blobs.stats().waiting_bytes), (1, 10));
    for place in ["spool", "store"] {
        let part = wanted("bytes=2-4");
        assert_eq!(read(&h.blobs, &name, part).await.unwrap(), b"234", "{place}");
        assert_eq!(
            read(&h.blobs, &name, Wanted::All).await.unwrap(),
            b"0123456789",
            "{place}"
        );
        let outside = h.blobs.open_at(&name, |size| wanted("bytes=10-").of(size)).await;
        assert!(matches!(outside, Ok(Opened::Outside { size: 10 })), "{place}");
        h.blobs
            .put(&name)
            .await
            .unwrap_or_else(|e| assert!(place == "store", "{e}"));
    }
    assert!(h.store.path().join("2026-11-20").join(&name).is_file());
    assert!(h.blobs.spooled().await.unwrap().is_empty());
    h.blobs.delete(&name).await.unwrap();
    h.blobs.delete(&name).await.unwrap();
    assert!(matches!(
        read(&h.blobs, &name, Wanted::All).await,
        Err(BlobError::NotFound)
    ));
}

#[tokio::test]
async fn what_a_crash_left_half_done_is_done_again() {
    let h = house();
    let name = name(2);
    // Killed between the store's answer and the removal: both places have it.
    h.spool(&name, b"whole");
    std::fs::create_dir_all(h.store.path().join("2026-11-20")).unwrap();
    std::fs::write(h.store.path().join("2026-11-20").join(&name), b"wh").unwrap();
    h.blobs.put(&name).await.unwrap();
    assert_eq!(read(&h.blobs, &name, Wanted::All).await.unwrap(), b"whole");
    assert!(!h.spool.path().join(&name).exists());
}

#[tokio::test]
async fn a_store_that_fails_leaves_the_recording_in_the_spool() {
    let h = house();
    let name = name(3);
    h.spool(&name, b"0123");
    // A file where the day's folder should be.
    std::fs::write(h.store.path().join("2026-11-20"), b"").unwrap();
    let error = h.blobs.put(&name).await.unwrap_err();
    assert_eq!(error.code(), "recording.store");
    assert_eq!(read(&h.blobs, &name, Wanted::All).await.unwrap(), b"0123");
    assert_eq!((h.blobs.stats().failed, h.blobs.stats().stored), (1, 0));
    std::fs::remove_file(h.store.path().join("2026-11-20")).unwrap();
    h.blobs.put(&name).await.unwrap();
    assert_eq!(h.blobs.stats().stored, 1);
}

#[tokio::test]
async fn a_long_recording_goes_in_parts() {
    let h = house();
    let name = name(4);
    let content: Vec<u8> = (0..20_000_000u32).map(|n| (n % 251) as u8).collect();
    h.spool(&name, &content);
    h.blobs.put(&name).await.unwrap();
    assert_eq!(read(&h.blobs, &name, Wanted::All).await.unwrap(), content);
    assert_eq!(
        read(&h.blobs, &name, Wanted::Last(3)).await.unwrap(),
        content[content.len() - 3..]
    );
}

#[tokio::test]
async fn old_ones_are_found_by_their_day() {
    let h = house();
    let (spooled, stored) = (name(5), name(6));
    h.spool(&spooled, b"a");
    h.spool(&stored, b"b");
    h.blobs.put(&stored).await.unwrap();
    let day = 86_400_000i64;
    assert!(h.blobs.older_than(20_776 * day).await.unwrap().is_empty());
    assert_eq!(h.blobs.older_than(20_777 * day).await.unwrap(), [spooled, stored]);
}

#[tokio::test]
async fn nothing_but_recordings_is_served() {
    let h = house();
    h.spool("secret", b"x");
    h.spool("REaa.wav", b"x");
    for bad in ["secret", "../secret", "REaa.wav", "", "RE", "RE世界"] {
        assert!(
            matches!(read(&h.blobs, bad, Wanted::All).await, Err(BlobError::NotFound)),
            "{bad}"
        );
    }
    let without = Blobs::open(h.spool.path().into(), Target::Spool).unwrap();
    let name = name(7);
    h.spool(&name, b"here");
    without.put(&name).await.unwrap();
    assert_eq!(
        read(&without, &name, Wanted::All).await.unwrap(),
        b"here",
        "without a store it stays"
    );
    let missing = Target::Folder(h.spool.path().join("nowhere"));
    let error = Blobs::open(h.spool.path().into(), missing).err().unwrap();
    assert_eq!(error.code(), "recording.settings");
}
