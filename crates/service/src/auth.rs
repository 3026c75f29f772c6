//! How services prove themselves to each other: one shared token as a bearer.

use subtle::ConstantTimeEq;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

const BEARER: &str = "Bearer ";

/// The server's side: lets in who shows the token. Without a token nobody is let in.
#[derive(Clone)]
pub struct Guard(Option<String>);

impl Guard {
    /// Guards with this token.
    pub fn new(token: Option<String>) -> Guard {
        Guard(token)
    }

    /// Whether a token is set at all.
    pub fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// Refuses who does not show the token, in a time that does not depend on how much of it was right.
    pub fn check(&self, metadata: &MetadataMap) -> Result<(), Status> {
        let Some(token) = &self.0 else {
            return Err(Status::unauthenticated("this service has no CROAK_CONTROL_TOKEN, so it takes no orders"));
        };
        let shown = metadata.get("authorization").map_or(&[][..], |value| value.as_bytes());
        let shown = shown.strip_prefix(BEARER.as_bytes()).unwrap_or_default();
        if bool::from(shown.ct_eq(token.as_bytes())) {
            Ok(())
        } else {
            Err(Status::unauthenticated("wrong or missing token: CROAK_CONTROL_TOKEN must be the same here and there"))
        }
    }
}

impl Interceptor for Guard {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        self.check(request.metadata())?;
        Ok(request)
    }
}

/// The client's side: shows the token with every call.
#[derive(Clone)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Bearer {
    /// Shows this token; without one nothing is shown. `None` if the token cannot be written in a header.
    pub fn new(token: Option<&str>) -> Option<Bearer> {
        let Some(token) = token else {
            return Some(Bearer(None));
        };
        let mut value: MetadataValue<Ascii> = format!("{BEARER}{token}").parse().ok()?;
        value.set_sensitive(true);
        Some(Bearer(Some(value)))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &str) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        metadata.insert("authorization", value.parse().expect("plain text"));
        metadata
    }

    #[test]
    fn only_the_whole_token_opens() {
        let guard = Guard::new(Some("0123456789abcdef".to_owned()));
        assert!(guard.check(&shown("Bearer 0123456789abcdef")).is_ok());
        for wrong in ["Bearer 0123456789abcde", "Bearer ", "0123456789abcdef", "Basic 0123456789abcdef"] {
            assert!(guard.check(&shown(wrong)).is_err(), "{wrong}");
        }
        assert!(guard.check(&MetadataMap::new()).is_err());
    }

    #[test]
    fn no_token_means_closed() {
        assert!(Guard::new(None).check(&shown("Bearer ")).is_err());
    }
}
