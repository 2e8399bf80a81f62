//! Drafts and published versions of something: written, published, rolled back to.

use crate::time::Stamp;
use std::sync::Arc;

/// The most versions that are kept; the oldest go first, never the one in use.
pub const MAX_VERSIONS: usize = 100;

/// A version that was published.
#[derive(Clone, Debug, PartialEq)]
pub struct Version<T> {
    /// From 1, never used again.
    pub number: u32,
    /// When it was published.
    pub at: Stamp,
    /// By whom.
    pub by: String,
    /// What was changed, in the publisher's words.
    pub note: String,
    /// The version that it brought back.
    pub restored: Option<u32>,
    /// The thing itself.
    pub body: Arc<T>,
}

/// What is being worked on.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft<T> {
    /// Rises with each change; a change says which one it was made from.
    pub revision: u64,
    /// When it was last changed.
    pub at: Stamp,
    /// By whom.
    pub by: String,
    /// The thing itself; it may have errors.
    pub body: Arc<T>,
}

/// Something with a draft and versions, of which the last is in use.
#[derive(Clone, Debug, PartialEq)]
pub struct Versions<T> {
    draft: Option<Draft<T>>,
    published: Vec<Version<T>>,
    revision: u64,
}

/// Why a version was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused<F> {
    /// Someone else changed it meanwhile; with the revision that it has now.
    #[error("it was changed meanwhile and is revision {0} now; read it again and make the change to that")]
    Stale(u64),
    /// There is no draft.
    #[error("there is no draft; write one first")]
    NoDraft,
    /// There is no such version, or it is no longer kept.
    #[error("there is no version {0}")]
    NoVersion(u32),
    /// The check found errors.
    #[error("it has errors")]
    Wrong(F),
}

impl<T> Default for Versions<T> {
    fn default() -> Self {
        Versions {
            draft: None,
            published: Vec::new(),
            revision: 0,
        }
    }
}

impl<T> Versions<T> {
    /// As they were stored: the draft, what was published, oldest first, and the revision.
    pub fn stored(draft: Option<Draft<T>>, mut published: Vec<Version<T>>, revision: u64) -> Versions<T> {
        published.sort_by_key(|v| v.number);
        let revision = draft.as_ref().map_or(revision, |d| revision.max(d.revision));
        Versions {
            draft,
            published,
            revision,
        }
    }

    /// The version in use.
    pub fn live(&self) -> Option<&Version<T>> {
        self.published.last()
    }

    /// What is being worked on.
    pub const fn draft(&self) -> Option<&Draft<T>> {
        self.draft.as_ref()
    }

    /// All that are kept, oldest first.
    pub fn published(&self) -> &[Version<T>] {
        &self.published
    }

    /// The revision that the next change must be made from; 0 before the first.
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    fn fresh<F>(&self, from: u64) -> Result<(), Refused<F>> {
        if from == self.revision {
            Ok(())
        } else {
            Err(Refused::Stale(self.revision))
        }
    }

    /// Writes the draft. A draft may have errors: it is not checked.
    ///
    /// # Errors
    /// [`Refused::Stale`] if `from` is not the present revision.
    pub fn write<F>(&mut self, body: T, from: u64, at: Stamp, by: &str) -> Result<u64, Refused<F>> {
        self.fresh(from)?;
        self.revision += 1;
        self.draft = Some(Draft {
            revision: self.revision,
            at,
            by: by.to_owned(),
            body: Arc::new(body),
        });
        Ok(self.revision)
    }

    /// Throws the draft away.
    ///
    /// # Errors
    /// [`Refused::Stale`], [`Refused::NoDraft`].
    pub fn discard<F>(&mut self, from: u64) -> Result<(), Refused<F>> {
        self.fresh(from)?;
        self.draft.take().ok_or(Refused::NoDraft)?;
        self.revision += 1;
        Ok(())
    }

    /// Makes the draft the version in use, if the check finds nothing against it. The draft is gone then.
    ///
    /// # Errors
    /// [`Refused::Stale`], [`Refused::NoDraft`], and [`Refused::Wrong`] with what the check found.
    pub fn publish<F>(
        &mut self,
        from: u64,
        at: Stamp,
        by: &str,
        note: &str,
        check: impl FnOnce(&T) -> Result<(), F>,
    ) -> Result<u32, Refused<F>> {
        self.fresh(from)?;
        let draft = self.draft.as_ref().ok_or(Refused::NoDraft)?;
        check(&draft.body).map_err(Refused::Wrong)?;
        let body = draft.body.clone();
        self.draft = None;
        self.revision += 1;
        Ok(self.push(body, None, at, by, note))
    }

    /// Publishes an earlier version once more. It is checked again: what it refers to may be gone. A draft stays.
    ///
    /// # Errors
    /// [`Refused::Stale`], [`Refused::NoVersion`], and [`Refused::Wrong`] with what the check found.
    pub fn roll_back<F>(
        &mut self,
        to: u32,
        from: u64,
        at: Stamp,
        by: &str,
        check: impl FnOnce(&T) -> Result<(), F>,
    ) -> Result<u32, Refused<F>> {
        self.fresh(from)?;
        let found = self.published.iter().find(|v| v.number == to);
        let found = found.ok_or(Refused::NoVersion(to))?;
        check(&found.body).map_err(Refused::Wrong)?;
        let body = found.body.clone();
        let note = format!("version {to} again");
        self.revision += 1;
        Ok(self.push(body, Some(to), at, by, &note))
    }

    fn push(&mut self, body: Arc<T>, restored: Option<u32>, at: Stamp, by: &str, note: &str) -> u32 {
        let number = self.live().map_or(1, |v| v.number + 1);
        self.published.push(Version {
            number,
            at,
            by: by.to_owned(),
            note: note.to_owned(),
            restored,
            body,
        });
        if self.published.len() > MAX_VERSIONS {
            self.published.remove(0);
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Said = Refused<&'static str>;

    fn fine(_: &i32) -> Result<(), &'static str> {
        Ok(())
    }

    #[test]
    fn a_draft_is_written_published_and_rolled_back() {
        let mut v = Versions::<i32>::default();
        let at = Stamp(1);
        assert_eq!(v.publish(0, at, "a", "", fine), Err(Refused::NoDraft));
        assert_eq!(v.write::<()>(10, 0, at, "a"), Ok(1));
        assert_eq!(v.write::<()>(11, 0, at, "b"), Err(Refused::Stale(1)));
        assert_eq!(v.publish(1, at, "a", "first", fine), Ok(1));
        assert!(v.draft().is_none());
        let r = v.write::<()>(20, v.revision(), at, "b").unwrap();
        let wrong: Result<u32, Said> = v.publish(r, at, "b", "", |_| Err("no"));
        assert_eq!(wrong, Err(Refused::Wrong("no")));
        assert_eq!(v.draft().map(|d| *d.body), Some(20), "a refused draft stays");
        assert_eq!(v.publish(r, at, "b", "second", fine), Ok(2));
        assert_eq!(v.write::<()>(30, v.revision(), at, "c"), Ok(v.revision()));
        assert_eq!(v.roll_back(1, v.revision(), at, "c", fine), Ok(3));
        let live = v.live().unwrap();
        assert_eq!((*live.body, live.restored, live.by.as_str()), (10, Some(1), "c"));
        assert_eq!(v.draft().map(|d| *d.body), Some(30), "a draft stays over a roll-back");
        assert_eq!(v.roll_back(9, v.revision(), at, "c", fine), Err(Refused::NoVersion(9)));
        let again = Versions::stored(v.draft().cloned(), v.published().to_vec(), v.revision());
        assert_eq!(again, v);
        assert_eq!(v.discard::<()>(v.revision()), Ok(()));
        assert_eq!(v.discard::<()>(v.revision()), Err(Refused::NoDraft));
        assert_eq!(v.published().len(), 3);
    }

    #[test]
    fn old_versions_go_and_numbers_do_not_come_back() {
        let mut v = Versions::<i32>::default();
        for n in 0..150 {
            v.write::<()>(n, v.revision(), Stamp(0), "a").unwrap();
            v.publish(v.revision(), Stamp(0), "a", "", fine).unwrap();
        }
        assert_eq!(v.published().len(), MAX_VERSIONS);
        assert_eq!(v.live().map(|l| (l.number, *l.body)), Some((150, 149)));
        assert_eq!(
            v.roll_back(50, v.revision(), Stamp(0), "a", fine),
            Err(Refused::NoVersion(50))
        );
    }
}
