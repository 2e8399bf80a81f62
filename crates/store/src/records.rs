//! Search over call records.

use crate::batch::RecordRow;
use strowger_core::{AccountId, ApplicationId, ConversationId, Stamp};

/// Which call records to list, in the order of start and then id.
///
/// A run over several pages is stable while new calls end: the first answer names [`RecordPage::as_of`], and the pages
/// after it ask with that value, by cursor or by page number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordQuery {
    /// Of this application only.
    pub application: Option<ApplicationId>,
    /// Of this account only.
    pub account: Option<AccountId>,
    /// First start.
    pub from: Option<Stamp>,
    /// First start that is too late.
    pub to: Option<Stamp>,
    /// Behind this one: the last of the page before.
    pub after: Option<(Stamp, ConversationId)>,
    /// Rows left out at the front: (page − 1) × limit. Not together with `after`.
    pub offset: u64,
    /// Rows of a page; 0 stands for 20, and 1000 is the most.
    pub limit: u32,
    /// Leaves out what was published later than the first page of this run.
    pub as_of: Option<u64>,
}

/// One page of call records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordPage {
    /// The rows, with their summaries opened.
    pub rows: Vec<RecordRow>,
    /// Rows over all pages, as of the first page.
    pub total: u64,
    /// Put this into the queries of the next pages.
    pub as_of: u64,
}
