//! How frequent words, classes and values of facets are, as the planner knows it: whether few or many groups can meet a search decides
//! the way on which they are found, and the planner cannot see it through the conditions of the list's statement.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::RwLock;

use super::words::Word;
use super::{ReadError, Reader};

/// What is known is asked for again after this time.
const FRESH_MAX: Duration = Duration::from_secs(60);
/// Values that are remembered to be many.
const MANY_MAX: usize = 10_000;
/// What a word that is not among the frequent ones has at most, where nothing is known of any.
pub(super) const RARE: f64 = 0.001;

/// What was asked for last, and when.
pub(super) type Cached = Arc<RwLock<Option<(Instant, Arc<Frequencies>)>>>;

/// Words of groups with the part of all groups that has them.
#[derive(Debug, Default)]
pub(super) struct Frequencies {
    /// About how many groups there are in all projects.
    pub(super) group_count: f64,
    words: Vec<(String, f64)>,
    /// Classes that many groups have, with the number of groups.
    classes: HashMap<String, f64>,
    /// Values that many facets have, with the number of facets.
    values: HashMap<String, f64>,
    /// Project, key and value of facets that turned out to be many, beside those that the planner knows.
    many: Mutex<HashSet<(i64, String, String)>>,
}

impl Reader {
    pub(super) async fn frequencies(&self) -> Result<Arc<Frequencies>, ReadError> {
        if let Some((at, known)) = &*self.frequencies.read().await
            && at.elapsed() < FRESH_MAX
        {
            return Ok(Arc::clone(known));
        }
        let row = sqlx::query!(
            r#"select g.reltuples as "group_count!", f.reltuples as "facet_count!",
                   w.most_common_elems::text::text[] as "words?", w.most_common_elem_freqs as "word_parts?",
                   c.most_common_vals::text::text[] as "classes?", c.most_common_freqs as "class_parts?",
                   v.most_common_vals::text::text[] as "values?", v.most_common_freqs as "value_parts?"
               from pg_class g
               join pg_class f on f.oid = 'public.facet'::regclass
               left join pg_stats w on w.schemaname = 'public' and w.tablename = 'grp_text' and w.attname = 'words'
               left join pg_stats c on c.schemaname = 'public' and c.tablename = 'grp_text' and c.attname = 'class'
               left join pg_stats v on v.schemaname = 'public' and v.tablename = 'facet' and v.attname = 'value'
               where g.oid = 'public.grp_text'::regclass"#
        )
        .fetch_one(&self.pool)
        .await?;
        // A table that was never looked at has -1 rows.
        let group_count = f64::from(row.group_count.max(0.0));
        let facet_count = f64::from(row.facet_count.max(0.0));
        let known = Arc::new(Frequencies {
            group_count,
            words: shares(row.words, row.word_parts, 1.0).collect(),
            classes: shares(row.classes, row.class_parts, group_count).collect(),
            values: shares(row.values, row.value_parts, facet_count).collect(),
            many: Mutex::default(),
        });
        *self.frequencies.write().await = Some((Instant::now(), Arc::clone(&known)));
        Ok(known)
    }
}

/// What is frequent, each with its part of so many.
fn shares(names: Option<Vec<String>>, parts: Option<Vec<f32>>, of: f64) -> impl Iterator<Item = (String, f64)> {
    let parts = parts.unwrap_or_default().into_iter().map(move |part| f64::from(part) * of);
    names.unwrap_or_default().into_iter().zip(parts)
}

impl Frequencies {
    /// Whether more than `few` groups are known to have one of these classes.
    pub(super) fn are_many_of(&self, classes: &[String], few: i64) -> bool {
        self.count_of(classes) > few as f64
    }

    /// The part of all groups that is known to have one of these classes.
    pub(super) fn part_of(&self, classes: &[String]) -> f64 {
        (self.count_of(classes) / self.group_count.max(1.0)).clamp(RARE, 1.0)
    }

    fn count_of(&self, classes: &[String]) -> f64 {
        classes.iter().filter_map(|class| self.classes.get(class)).sum()
    }

    /// Whether more than `few` fingerprints are known to have this value.
    fn is_frequent_value(&self, value: &str, few: i64) -> bool {
        self.values.get(value).is_some_and(|count| *count > few as f64)
    }

    /// Whether more than `few` groups of a project are known to have this value.
    pub(super) fn has_many(&self, project_id: i64, key: &str, value: &str, few: i64) -> bool {
        let many = self.many.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_frequent_value(value, few) || many.contains(&(project_id, key.to_owned(), value.to_owned()))
    }

    /// Takes down that there were too many groups with this value to list them.
    pub(super) fn remember_many(&self, project_id: i64, key: &str, value: &str) {
        let mut many = self.many.lock().unwrap_or_else(PoisonError::into_inner);
        if many.len() < MANY_MAX {
            many.insert((project_id, key.to_owned(), value.to_owned()));
        }
    }

    /// The part of all groups that is known to have this value.
    pub(super) fn part_with(&self, value: &str) -> f64 {
        (self.values.get(value).copied().unwrap_or(0.0) / self.group_count.max(1.0)).clamp(RARE, 1.0)
    }

    /// The part of all groups that has a word, or its parts; at least that of words that are not known to be frequent.
    pub(super) fn of(&self, word: &Word) -> f64 {
        let parts = word.parts.iter().map(|part| self.begins(part)).reduce(f64::min).unwrap_or(0.0);
        let rare = self.words.iter().map(|(_, part)| *part).reduce(f64::min).map_or(RARE, |least| least.min(RARE));
        // A word without separators is its own only part: it is counted once.
        let whole = if word.parts == [word.whole.as_str()] { 0.0 } else { self.begins(&word.whole) };
        (whole + parts).clamp(rare, 1.0)
    }

    fn begins(&self, word: &str) -> f64 {
        self.words.iter().filter(|(known, _)| known.starts_with(word)).map(|(_, part)| part).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_as_frequent_as_its_rarest_part() {
        let words = [("timeout", 0.25), ("net", 0.5), ("network", 0.125)];
        let words = words.map(|(word, part)| (word.to_owned(), part)).into();
        let known = Frequencies { group_count: 1e6, words, ..Frequencies::default() };
        let of = |whole: &str, parts: &[&str]| {
            known.of(&Word {
                whole: whole.into(),
                parts: parts.iter().map(|&part| part.to_owned()).collect(),
                is_ended: false,
            })
        };
        assert_eq!(of("net::timeout", &["net", "timeout"]), 0.25);
        assert_eq!(of("nothing", &["nothing"]), RARE);
        assert_eq!(of("net", &["net"]), 0.625);
    }
}
