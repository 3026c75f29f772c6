//! Health: what a service needs before it is ready, and what it would rather have.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

/// The named checks of one service. Cheap to clone.
#[derive(Clone, Default)]
pub struct Health(Arc<Mutex<BTreeMap<&'static str, State>>>);

/// One named check, held by whoever knows how it stands.
#[derive(Clone)]
pub struct Check {
    name: &'static str,
    health: Health,
}

struct State {
    required: bool,
    /// Why not; `None` is well.
    trouble: Option<String>,
}

/// What `/health/ready` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ready {
    /// Whether everything required is there.
    pub ready: bool,
    /// Names of what is required and not there.
    pub missing: Vec<&'static str>,
    /// Names of what is not there and not required: the service does its work without.
    pub degraded: Vec<&'static str>,
    /// For each of these names, why.
    pub why: BTreeMap<&'static str, String>,
}

impl Health {
    /// A service without checks, which is ready.
    pub fn new() -> Health {
        Health::default()
    }

    /// Without this the service is not ready. Missing until told otherwise.
    pub fn requires(&self, name: &'static str) -> Check {
        self.register(name, true)
    }

    /// Without this the service is degraded, and ready all the same: an orchestrator that took it out would
    /// close the door for exactly the fault that the service survives. Well until told otherwise.
    pub fn prefers(&self, name: &'static str) -> Check {
        let check = self.register(name, false);
        check.well();
        check
    }

    /// How things stand now.
    pub fn ready(&self) -> Ready {
        let states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let names = |required: bool| {
            let troubled =
                states.iter().filter(move |(_, state)| state.required == required && state.trouble.is_some());
            troubled.map(|(name, _)| *name).collect::<Vec<_>>()
        };
        let missing = names(true);
        let why = states.iter().filter_map(|(name, state)| Some((*name, state.trouble.clone()?)));
        Ready { ready: missing.is_empty(), missing, degraded: names(false), why: why.collect() }
    }

    fn register(&self, name: &'static str, required: bool) -> Check {
        let state = State { required, trouble: Some("not there yet".to_owned()) };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name, state);
        Check { name, health: self.clone() }
    }
}

impl Check {
    /// It is there.
    pub fn well(&self) {
        self.set(None);
    }

    /// It is not there, and why.
    pub fn troubled(&self, why: impl Into<String>) {
        self.set(Some(why.into()));
    }

    fn set(&self, trouble: Option<String>) {
        let mut states = self.health.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = states.get_mut(self.name) {
            state.trouble = trouble;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_preferred_degrades_and_what_is_required_is_missing() {
        let health = Health::new();
        let journal = health.requires("journal");
        let redis = health.prefers("redis");
        assert_eq!(health.ready().missing, ["journal"]);

        journal.well();
        redis.troubled("connection refused");
        let ready = health.ready();
        assert!(ready.ready);
        assert_eq!(ready.degraded, ["redis"]);
        assert_eq!(ready.why["redis"], "connection refused");
    }
}
