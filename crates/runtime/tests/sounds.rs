//! What a tenant's callers hear besides people and prompts.

use std::sync::Arc;
use strowger_core::call::{Builtin, Sound as Wanted, Tone};
use strowger_core::{ApplicationId, TenantId};
use strowger_media::{Sound, SoundRef};
use strowger_media_core::probe;
use strowger_media_core::tone::Cadence;
use strowger_media_core::wav;
use strowger_runtime::SoundLibrary;
use strowger_store::config::{Prompt, PromptState, Tenant, TenantSounds};
use strowger_store::{MasterKey, Store, StoreConfig};

const TENANT: TenantId = TenantId(1);
const APP: ApplicationId = ApplicationId(2);

fn file(ms: usize) -> Vec<u8> {
    let mut file = wav::header(1, 8000, ms as u64 * 16).to_vec();
    file.extend((0..ms * 8).flat_map(|i| ((i % 20 * 500) as i16).to_le_bytes()));
    file
}

fn sound(library: &SoundLibrary, builtin: Builtin) -> Arc<Sound> {
    match library.find(TENANT, APP, &Wanted::Builtin(builtin)) {
        Some(SoundRef::Sound(sound)) => sound,
        other => panic!("{other:?}"),
    }
}

fn ringback(library: &SoundLibrary) -> Cadence {
    match library.find(TENANT, APP, &Wanted::Tone(Tone::Ringback)) {
        Some(SoundRef::Tone(cadence)) => cadence,
        other => panic!("{other:?}"),
    }
}

/// Whether a frequency makes up the first 300 ms.
fn hears(sound: &Sound, hz: f32) -> bool {
    probe::level(&sound.pcm()[..2400], hz) > -25.0
}

#[tokio::test]
async fn tones_and_music_are_the_tenants() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(StoreConfig::new(folder.path().join("db"), MasterKey::new([7; 32]))).unwrap();
    store.put(Tenant::new(TENANT, "t")).await.unwrap();
    let shipped: Vec<_> = Builtin::ALL.iter().map(|b| (b.file(), file(200))).collect();
    std::fs::write(folder.path().join("waltz.wav"), file(700)).unwrap();
    let library = SoundLibrary::new(store.clone(), folder.path().into(), &shipped).unwrap();
    let library = library.with_tones_of("DE");
    assert_eq!(ringback(&library), Cadence::ringback("DE"));
    for builtin in Builtin::ALL {
        assert_eq!(sound(&library, builtin).millis(), 200, "{builtin:?}");
    }
    let own = Tenant {
        sounds: TenantSounds {
            tones: Some("US".into()),
            failure_tones: true,
            hold_music: Some("waltz".into()),
        },
        ..Tenant::new(TENANT, "t")
    };
    store.put(own).await.unwrap();
    assert_eq!(ringback(&library), Cadence::ringback("US"));
    // Busy is 480 and 620 Hz, half a second on and off; congestion the same at twice the pace.
    let pulses = |sound: &Sound| {
        let loud = |at: usize| probe::rms(&sound.pcm()[at..at + 160]) > -40.0;
        let loud: Vec<bool> = (0..sound.pcm().len() - 160).step_by(160).map(loud).collect();
        loud.windows(2).filter(|w| w[0] != w[1]).count()
    };
    for builtin in [Builtin::Busy, Builtin::NoAnswer] {
        let tone = sound(&library, builtin);
        assert!(hears(&tone, 480.0) && hears(&tone, 620.0), "{builtin:?}");
        assert_eq!((tone.millis(), pulses(&tone)), (6000, 11), "{builtin:?}");
    }
    for builtin in [Builtin::Unreachable, Builtin::Invalid, Builtin::Failed] {
        let tone = sound(&library, builtin);
        assert_eq!((tone.millis(), pulses(&tone)), (6000, 23), "{builtin:?}");
    }
    assert_eq!(sound(&library, Builtin::LastMinute).millis(), 200, "no tone says that");
    assert_eq!(
        sound(&library, Builtin::HoldMusic).millis(),
        200,
        "there is no such prompt yet"
    );
    let waltz = Prompt {
        tenant: TENANT,
        application: None,
        name: "waltz".into(),
        duration_ms: 700,
        file: "waltz.wav".into(),
        checksum: "ab".repeat(32),
        state: PromptState::Ready,
    };
    store.put(waltz).await.unwrap();
    assert_eq!(sound(&library, Builtin::HoldMusic).millis(), 700);
}
