//! The parts of attachments of a batch, and what tells that one is whole.

use std::collections::HashSet;

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::batch::{AttachmentHead, AttachmentPartRow, AttachmentRow, Batch, UploadEnd};
use crate::error::StoreError;
use crate::live_days::LiveDays;

pub(super) async fn write(tx: &mut PgConnection, lane: u16, batch: &Batch, live: LiveDays) -> Result<(), StoreError> {
    let parts: Vec<(&AttachmentRow, &AttachmentPartRow)> =
        batch.attachments.iter().filter_map(|row| Some((row, row.part.as_ref()?))).collect();
    if !parts.is_empty() {
        write_parts(tx, &parts, live).await?;
    }
    let mut ends: Vec<(&AttachmentRow, &AttachmentHead)> = Vec::new();
    let mut unneeded: Vec<&AttachmentRow> = Vec::new();
    for row in &batch.attachments {
        match &row.end {
            Some(UploadEnd::Whole(head)) => ends.push((row, head)),
            Some(UploadEnd::GivenUp) => unneeded.push(row),
            None => {}
        }
    }
    if !ends.is_empty() {
        let needed = write_heads(tx, i32::from(lane), &ends, live).await?;
        unneeded.extend(ends.iter().map(|(row, _)| *row).filter(|row| !needed.contains(&row.upload)));
    }
    if !unneeded.is_empty() {
        let_go(tx, &unneeded, live).await?;
    }
    Ok(())
}

async fn write_parts(
    tx: &mut PgConnection,
    parts: &[(&AttachmentRow, &AttachmentPartRow)],
    live: LiveDays,
) -> Result<(), StoreError> {
    let projects: Vec<i64> = parts.iter().map(|(row, _)| row.project_id).collect();
    let uploads: Vec<Uuid> = parts.iter().map(|(row, _)| row.upload).collect();
    let numbers: Vec<i32> = parts.iter().map(|(_, part)| part.part).collect();
    let at: Vec<OffsetDateTime> = parts.iter().map(|(row, _)| live.clamp(row.at_us)).collect();
    let lengths: Vec<i32> = parts.iter().map(|(_, part)| part.packed.byte_length).collect();
    let codecs: Vec<i16> = parts.iter().map(|(_, part)| part.packed.codec).collect();
    let bodies: Vec<&[u8]> = parts.iter().map(|(_, part)| part.packed.body.as_slice()).collect();
    sqlx::query_file!(
        "queries/batch/attachment_parts.sql",
        &projects,
        &uploads,
        &numbers,
        &at,
        &lengths,
        &codecs,
        &bodies as &[&[u8]],
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Answers the uploads whose parts are those of an attachment from now on.
async fn write_heads(
    tx: &mut PgConnection,
    lane: i32,
    ends: &[(&AttachmentRow, &AttachmentHead)],
    live: LiveDays,
) -> Result<HashSet<Uuid>, StoreError> {
    let projects: Vec<i64> = ends.iter().map(|(row, _)| row.project_id).collect();
    let ids: Vec<Uuid> = ends.iter().map(|(_, head)| head.id).collect();
    let text =
        |of: fn(&AttachmentHead) -> &String| -> Vec<String> { ends.iter().map(|(_, head)| of(head).clone()).collect() };
    let uploads: Vec<Uuid> = ends.iter().map(|(row, _)| row.upload).collect();
    let lengths: Vec<i64> = ends.iter().map(|(_, head)| head.byte_length).collect();
    let counts: Vec<i32> = ends.iter().map(|(_, head)| head.part_count).collect();
    let sums: Vec<&[u8]> = ends.iter().map(|(_, head)| head.sha256.as_slice()).collect();
    let at: Vec<OffsetDateTime> = ends.iter().map(|(row, _)| live.clamp(row.at_us)).collect();
    let needed = sqlx::query_file_scalar!(
        "queries/batch/attachments.sql",
        lane,
        &projects,
        &ids,
        &text(|head| &head.client_id),
        &uploads,
        &text(|head| &head.name),
        &text(|head| &head.content_type),
        &text(|head| &head.attachment_type),
        &lengths,
        &counts,
        &sums as &[&[u8]],
        &at,
    )
    .fetch_all(tx)
    .await?;
    Ok(needed.into_iter().collect())
}

async fn let_go(tx: &mut PgConnection, unneeded: &[&AttachmentRow], live: LiveDays) -> Result<(), StoreError> {
    let projects: Vec<i64> = unneeded.iter().map(|row| row.project_id).collect();
    let uploads: Vec<Uuid> = unneeded.iter().map(|row| row.upload).collect();
    let at: Vec<OffsetDateTime> = unneeded.iter().map(|row| live.clamp(row.at_us)).collect();
    sqlx::query_file!("queries/batch/attachments_let_go.sql", &projects, &uploads, &at).execute(tx).await?;
    Ok(())
}
