//! Notices of a group, newest first, and single notices by their ids.

use notice::prost::Message as _;
use notice::{Item, Notice, NoticeId};
use serde_json::{Value, json};
use uuid::Uuid;

use super::chunks::{Found, PAGE_BYTES_MAX, bytes};
use super::{Opened, ReadError, Reader};
use crate::source_maps::Resolution;

/// One notice with its body and its place.
#[derive(Clone, Debug)]
pub struct StoredNotice {
    /// Its id.
    pub id: NoticeId,
    /// Its project.
    pub project_id: i64,
    /// The group that it is in now.
    pub group_id: i64,
    /// When it was accepted, Unix microseconds.
    pub accepted_at_us: i64,
    /// The notice, with its frames resolved as far as there are source maps today.
    pub notice: Notice,
    /// What was resolved, and what is missing; `None` if there is nothing to resolve.
    pub resolution: Option<Resolution>,
    /// Why it is in this group: `{fingerprint, version, parts}`.
    pub why: Option<Value>,
}

impl StoredNotice {
    /// The notice as the JSON API shows it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut json = notice::to_json(&notice::Stored {
            id: self.id,
            project_id: self.project_id,
            group_id: self.group_id,
            accepted_at_us: self.accepted_at_us,
            notice: &self.notice,
            why: self.why.as_ref(),
        });
        if let Some(resolution) = &self.resolution {
            resolution.add_to_json(&mut json);
        }
        json
    }
}

/// One page of the notices of a group.
#[derive(Clone, Debug)]
pub struct NoticePage {
    /// The notices, newest first.
    pub notices: Vec<StoredNotice>,
    /// The page after this one has those before this id.
    pub next: Option<NoticeId>,
}

/// The neighbours of a notice in its group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Around {
    /// The next older one.
    pub older: Option<NoticeId>,
    /// The next newer one.
    pub newer: Option<NoticeId>,
}

/// A fingerprint of a group.
pub(super) struct Identity {
    pub(super) id: i64,
    pub(super) group_id: i64,
    pub(super) why: Value,
}

impl Reader {
    /// Notices of a group, newest first, those before the id `before`.
    pub async fn notices(
        &self,
        opened: &Opened,
        group_id: i64,
        before: Option<NoticeId>,
        limit: usize,
    ) -> Result<NoticePage, ReadError> {
        let identities = self.identities_of_group(opened, group_id).await?;
        let found = self.before(opened, &identities, before, limit).await?;
        let is_cut = found.len() == limit || bytes(&found) >= PAGE_BYTES_MAX;
        let next = found.last().map(|last| last.item.id).filter(|_| is_cut);
        let mut notices = Vec::with_capacity(found.len());
        for found in &found {
            notices.push(self.stored(opened, &identities, found).await?);
        }
        Ok(NoticePage { notices, next })
    }

    /// A notice of a group.
    pub async fn notice_in_group(
        &self,
        opened: &Opened,
        group_id: i64,
        id: NoticeId,
    ) -> Result<Option<StoredNotice>, ReadError> {
        let identities = self.identities_of_group(opened, group_id).await?;
        let after = Uuid::from_u64_pair(id.as_uuid().as_u64_pair().0, id.as_uuid().as_u64_pair().1.wrapping_add(1));
        let mut found = self.before(opened, &identities, Some(NoticeId::from(after)), 1).await?;
        match found.pop() {
            Some(found) if found.item.id == id => Ok(Some(self.stored(opened, &identities, &found).await?)),
            _ => Ok(None),
        }
    }

    /// The notice before and the notice after one of a group.
    pub async fn around(&self, opened: &Opened, group_id: i64, id: NoticeId) -> Result<Around, ReadError> {
        let identities = self.identities_of_group(opened, group_id).await?;
        let older = self.before(opened, &identities, Some(id), 1).await?;
        let newer = self.after(opened, &identities, id).await?;
        Ok(Around { older: older.first().map(|found| found.item.id), newer })
    }

    /// The oldest notice of a group that is still kept.
    pub async fn oldest(&self, opened: &Opened, group_id: i64) -> Result<Option<NoticeId>, ReadError> {
        let identities = self.identities_of_group(opened, group_id).await?;
        self.after(opened, &identities, NoticeId::from(Uuid::nil())).await
    }

    /// A notice of a project by its id. The id itself says in which lane and when it was accepted.
    pub async fn notice(&self, opened: &Opened, id: NoticeId) -> Result<Option<StoredNotice>, ReadError> {
        let Some((identity, item)) = self.find(opened, id).await? else { return Ok(None) };
        Ok(Some(self.decoded(opened, &item, Some(&identity)).await?))
    }

    async fn stored(&self, opened: &Opened, identities: &[Identity], found: &Found) -> Result<StoredNotice, ReadError> {
        let identity = identities.iter().find(|identity| identity.id == found.fingerprint_id);
        self.decoded(opened, &found.item, identity).await
    }

    /// A notice as it is shown: read, and resolved by the source maps that there are now.
    pub(super) async fn decoded(
        &self,
        opened: &Opened,
        item: &Item,
        identity: Option<&Identity>,
    ) -> Result<StoredNotice, ReadError> {
        // A worker reads in full only one notice of those that are equal: one that somebody put into the queue by hand may be
        // broken inside, and must not take the page of all others with it.
        let notice = Notice::decode(item.body.as_slice()).unwrap_or_else(|error| {
            tracing::error!(id = %item.id, %error, "a stored notice cannot be read");
            Notice { notes: vec!["the stored notice cannot be read".to_owned()], ..Notice::default() }
        });
        let (notice, resolution) = self.source_maps.resolve(&self.pool, opened.id(), notice).await?;
        Ok(StoredNotice {
            id: item.id,
            project_id: opened.id(),
            group_id: identity.map_or(0, |identity| identity.group_id),
            accepted_at_us: item.accepted_at_us,
            notice,
            resolution,
            why: identity.map(|identity| identity.why.clone()),
        })
    }

    pub(super) async fn identities_of_group(&self, opened: &Opened, group_id: i64) -> Result<Vec<Identity>, ReadError> {
        let rows = sqlx::query!(
            "select id, group_id, fingerprint, version, parts from fingerprint
             where project_id = $1 and group_id = $2 and deleted_at is null",
            opened.id(),
            group_id
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| identity(row.id, row.group_id, &row.fingerprint, row.version, &row.parts))
            .collect())
    }

    pub(super) async fn identities(&self, opened: &Opened, ids: &[i64]) -> Result<Vec<Identity>, ReadError> {
        let rows = sqlx::query!(
            "select id, group_id, fingerprint, version, parts from fingerprint
             where project_id = $1 and id = any($2::bigint[]) and deleted_at is null",
            opened.id(),
            ids
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| identity(row.id, row.group_id, &row.fingerprint, row.version, &row.parts))
            .collect())
    }
}

pub(super) fn identity(id: i64, group_id: i64, fingerprint: &[u8], version: i16, parts: &Value) -> Identity {
    let hex: String = fingerprint.iter().map(|byte| format!("{byte:02x}")).collect();
    Identity { id, group_id, why: json!({"fingerprint": hex, "version": version, "parts": parts}) }
}
