//! Attachments of a notice: which there are, and their bytes part by part.

use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

use super::{Opened, ReadError, Reader};
use crate::attachment::{Packed, unpack};

/// Most attachments that are shown of one notice.
const SHOWN_MAX: i64 = 100;

/// A file that came with a notice.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// Its id.
    pub id: Uuid,
    /// The name that the client gave it.
    pub name: String,
    /// The media type that the client says it has.
    pub content_type: String,
    /// What it is: `event.attachment`, `event.minidump`, `event.view_hierarchy`, …
    pub attachment_type: String,
    /// How long it is.
    pub byte_length: i64,
    /// How many parts it has.
    pub part_count: i32,
    upload: Uuid,
    at: OffsetDateTime,
}

impl Reader {
    /// The attachments of the notice to which its client gave this id, as far as they are whole.
    pub async fn attachments(&self, opened: &Opened, client_id: &str) -> Result<Vec<Attachment>, ReadError> {
        self.attachments_like(opened, client_id, None).await
    }

    /// One of them.
    pub async fn attachment(
        &self,
        opened: &Opened,
        client_id: &str,
        id: Uuid,
    ) -> Result<Option<Attachment>, ReadError> {
        Ok(self.attachments_like(opened, client_id, Some(id)).await?.pop())
    }

    async fn attachments_like(
        &self,
        opened: &Opened,
        client_id: &str,
        id: Option<Uuid>,
    ) -> Result<Vec<Attachment>, ReadError> {
        let rows = sqlx::query_file!("queries/read_attachments.sql", opened.id(), client_id, id, SHOWN_MAX)
            .fetch_all(&self.pool)
            .await?;
        let attachments = rows.into_iter().map(|row| Attachment {
            id: row.id,
            name: row.name,
            content_type: row.content_type,
            attachment_type: row.attachment_type,
            byte_length: row.byte_length,
            part_count: row.part_count,
            upload: row.upload,
            at: row.at,
        });
        Ok(attachments.collect())
    }

    /// The bytes of one part.
    pub async fn attachment_part(
        &self,
        opened: &Opened,
        attachment: &Attachment,
        part: i32,
    ) -> Result<Vec<u8>, ReadError> {
        let row = sqlx::query!(
            "select codec, byte_length, body from attachment_part
             where project_id = $1 and upload = $2 and part = $3 and at between $4::timestamptz - interval '1 day' and $4::timestamptz + interval '1 day'",
            opened.id(),
            attachment.upload,
            part,
            attachment.at
        )
        .fetch_optional(&self.pool)
        .await?;
        let row = row.ok_or(ReadError::Database(sqlx::Error::RowNotFound))?;
        unpack(Packed { codec: row.codec, byte_length: row.byte_length, body: row.body })
            .map_err(|source| ReadError::Attachment { id: attachment.id, source })
    }
}
