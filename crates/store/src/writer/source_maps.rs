//! Source maps, for whoever folds.

use std::sync::Arc;

use notice::Notice;

use super::Writer;
use crate::StoreError;
use crate::source_maps::{NewestBundles, SourceMaps};

impl Writer {
    /// Which projects have artifacts, at most five seconds old.
    pub async fn newest_bundles(&self, maps: &SourceMaps) -> Result<Arc<NewestBundles>, StoreError> {
        Ok(maps.newest(&self.pool).await?)
    }

    /// The notice with its frames resolved, as far as there are maps.
    pub async fn resolved(&self, maps: &SourceMaps, project_id: i64, notice: Notice) -> Result<Notice, StoreError> {
        Ok(maps.resolve(&self.pool, project_id, notice).await?.0)
    }
}
