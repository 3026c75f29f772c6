//! What source maps say of minified frames, before they are grouped: once per fold key.
//!
//! Only the group goes by it. What is kept is what the client sent, and whoever shows a notice resolves it again: so maps that are
//! uploaded later hold for all notices that there are.

use std::collections::HashMap;
use std::sync::Arc;

use notice::FoldKey;
use store::StoreError;
use store::batch::Identity;

use super::Fold;
use super::identity::Unresolved;

/// Most notices that wait for their maps in one go.
pub(crate) const UNRESOLVED_MAX: usize = 256;

/// Identities by project and fold key; `None` for what is to be grouped as it came.
pub(crate) type Resolved = HashMap<(i64, FoldKey), Option<Arc<Identity>>>;

/// The identities of these notices, with their frames resolved as far as there are maps.
pub(crate) async fn resolve(fold: &Arc<Fold>, unresolved: Vec<Unresolved>) -> Result<Resolved, StoreError> {
    let mut resolved = Resolved::with_capacity(unresolved.len());
    for one in unresolved {
        let key = (one.key.project_id, one.key.fold_key);
        // In a task of its own: whatever a map makes of it, the notice itself must not be lost for that.
        let fold = Arc::clone(fold);
        let task = tokio::spawn(async move {
            let Fold { writer, source_maps, identities, .. } = &*fold;
            let Unresolved { key, grouping, notice } = one;
            let notice = writer.resolved(source_maps, key.project_id, notice).await?;
            Ok::<_, StoreError>(identities.of_resolved(key, grouping, &notice))
        });
        let identity = match task.await {
            Ok(identity) => Some(identity?),
            Err(error) => {
                tracing::error!(%error, project = key.0, "source maps failed: a notice is grouped as it came");
                None
            }
        };
        resolved.insert(key, identity);
    }
    Ok(resolved)
}
